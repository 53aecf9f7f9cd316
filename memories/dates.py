"""Days as people count them, and the instants at which they begin and end. Pure: no clock, no database."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class UtcRange:
    """Instants from ``start`` up to but not including ``end``, in UTC; None leaves that side open."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalDays:
    """Calendar days from ``start`` up to but not including ``end``; None leaves that side open.

    Raises ValueError for a range without days, TypeError for a datetime (whose day depends on a zone).
    """

    start: date | None
    end: date | None

    def __post_init__(self) -> None:
        if isinstance(self.start, datetime) or isinstance(self.end, datetime):
            raise TypeError("LocalDays takes dates, not datetimes")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"LocalDays must hold a day: {self.start} to {self.end}")

    @classmethod
    def between(cls, *, first: date, last: date) -> Self:
        """The days from ``first`` to ``last``, both included."""
        return cls(start=first, end=get_next_day(last))

    def to_utc(self, zone: ZoneInfo) -> UtcRange:
        """The instants of these days on the clocks of ``zone``.

        Empty (start equals end) for a day the zone skipped, such as 30 December 2011 in Samoa.
        """
        return UtcRange(
            start=None if self.start is None else start_of_day(self.start, zone),
            end=None if self.end is None else start_of_day(self.end, zone),
        )


def get_next_day(day: date) -> date | None:
    """The day after; None after the last day there is, which as the end of a range means open."""
    return None if day == date.max else day + DAY


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The instant (UTC) from which the clocks of ``zone`` never again show an earlier date than ``day``.

    That is midnight where there is one; the end of the jump where clocks skip it; the first of two midnights
    on the same date; the second where clocks fall back into the day before. So days tile time: each begins
    where the one before ends, be it 23, 24, 25 or 0 hours after that began.
    """
    midnight = datetime.combine(day, time.min, tzinfo=zone)
    first, second = (_to_utc(midnight.replace(fold=fold)) for fold in (0, 1))
    if first < second:  # midnight comes twice
        return second if _get_date(second - SECOND, zone) < day else first
    if first > second:  # the clocks jump over midnight: the jump lies between the two readings of it
        return _find_first_second(day, zone=zone, after=second, by=first)
    return first


def _find_first_second(day: date, *, zone: ZoneInfo, after: datetime, by: datetime) -> datetime:
    while by - after > SECOND:
        middle = (after + (by - after) / 2).replace(microsecond=0)
        if _get_date(middle, zone) < day:
            after = middle
        else:
            by = middle
    return by


def _to_utc(when: datetime) -> datetime:
    try:
        return when.astimezone(UTC)
    except OverflowError:  # the first midnight there is, east of Greenwich
        return FIRST_INSTANT


def _get_date(when: datetime, zone: ZoneInfo) -> date:
    return when.astimezone(zone).date()


def format_day(when: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """The day of an instant as people begin a sentence: "Today", "Yesterday", "On Tuesday 3 June".

    The year is said when it is not the year of ``now``: "On Tuesday 3 June 2025".
    """
    day, today = when.astimezone(zone).date(), now.astimezone(zone).date()
    named = _name_day(day, today=today)
    return named[0].upper() + named[1:]


def format_range(days: LocalDays, *, today: date) -> str:
    """Days as people end a sentence: "yesterday", "on Tuesday 3 June", "from 1 to 7 September", "in May".

    The year is said when it is not the year of ``today``. Open sides: "since 3 June", "before 3 June".
    """
    if days.start is None:
        return "at any time" if days.end is None else f"before {_format_date(days.end, today=today)}"
    if days.end is None:
        return f"since {_format_date(days.start, today=today)}"
    first, last = days.start, days.end - DAY
    if first == last:
        return _name_day(first, today=today)
    if _is_whole_year(first, days.end):
        return f"in {first.year}"
    if _is_whole_month(first, days.end):
        return f"in {MONTHS[first.month - 1]}{_format_year(first, today=today)}"
    if (first.year, first.month) == (last.year, last.month):
        return f"from {first.day} to {_format_date(last, today=today)}"
    if first.year == last.year:
        return f"from {first.day} {MONTHS[first.month - 1]} to {_format_date(last, today=today)}"
    return f"from {_format_date(first, today=None)} to {_format_date(last, today=None)}"


def _name_day(day: date, *, today: date) -> str:
    near = {0: "today", -1: "yesterday", 1: "tomorrow"}.get((day - today).days)
    return near or f"on {WEEKDAYS[day.weekday()]} {_format_date(day, today=today)}"


def _format_date(day: date, *, today: date | None) -> str:
    return f"{day.day} {MONTHS[day.month - 1]}{_format_year(day, today=today)}"


def _format_year(day: date, *, today: date | None) -> str:
    return "" if today and day.year == today.year else f" {day.year}"


def _is_whole_month(start: date, end: date) -> bool:
    return start.day == end.day == 1 and (end - start).days <= 31


def _is_whole_year(start: date, end: date) -> bool:
    return (start.month, start.day, end.month, end.day) == (1, 1, 1, 1) and end.year == start.year + 1
