from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memories.dates import LocalDays, UtcRange, format_day, format_range, get_next_day, start_of_day

DAY = timedelta(days=1)
ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})
zones = st.sampled_from(ZONES).map(ZoneInfo)
recent_days = st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 1, 1))
many = settings(max_examples=500, print_blob=True, suppress_health_check=[HealthCheck.too_slow])


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("UTC", "2026-06-03", "2026-06-03T00:00"),
        ("Asia/Kathmandu", "2026-06-03", "2026-06-02T18:15"),
        ("Asia/Kolkata", "2025-09-10", "2025-09-09T18:30"),
        ("America/Los_Angeles", "2025-09-10", "2025-09-10T07:00"),
        # No midnight: the clocks jump from 00:00 to 01:00.
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00"),
        ("Asia/Beirut", "2024-03-31", "2024-03-30T22:00"),
        ("Africa/Cairo", "2024-04-26", "2024-04-25T22:00"),
        # No midnight: the clocks jump from 23:30 the day before to 00:30.
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30"),
        # Midnight twice on the same date: the first counts.
        ("America/Havana", "2024-11-03", "2024-11-03T04:00"),
        ("Atlantic/Azores", "2024-10-27", "2024-10-27T00:00"),
        # The clocks fall back from 00:01 into the day before: the second midnight counts.
        ("America/St_Johns", "2008-11-02", "2008-11-02T03:30"),
        # The clocks fall back at midnight into the day before.
        ("America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00"),
        # The day does not exist.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00"),
    ],
)
def test_a_day_begins_when_its_zone_says(zone: str, day: str, start: str) -> None:
    assert start_of_day(date.fromisoformat(day), ZoneInfo(zone)) == utc(start)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2025-03-30", 23),
        ("Europe/Berlin", "2025-10-26", 25),
        ("America/New_York", "2025-11-02", 25),
        ("America/Havana", "2024-11-03", 25),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("Australia/Lord_Howe", "2024-10-06", 23.5),
        ("Australia/Lord_Howe", "2024-04-07", 24.5),
        ("Pacific/Apia", "2011-12-30", 0),
        ("Pacific/Kwajalein", "1969-09-30", 47),
        ("Asia/Kathmandu", "2026-06-03", 24),
    ],
)
def test_a_day_lasts_as_long_as_its_clocks_say(zone: str, day: str, hours: float) -> None:
    first = date.fromisoformat(day)
    days = LocalDays(start=first, end=first + DAY).to_utc(ZoneInfo(zone))
    assert days.start is not None
    assert days.end is not None
    assert days.end - days.start == timedelta(hours=hours)


@many
@given(zone=zones, day=recent_days)
@example(zone=ZoneInfo("America/St_Johns"), day=date(2008, 11, 2))
@example(zone=ZoneInfo("America/Havana"), day=date(2024, 11, 3))
@example(zone=ZoneInfo("Pacific/Apia"), day=date(2011, 12, 30))
def test_consecutive_days_tile_time(zone: ZoneInfo, day: date) -> None:
    today = LocalDays(start=day, end=day + DAY).to_utc(zone)
    tomorrow = LocalDays(start=day + DAY, end=day + 2 * DAY).to_utc(zone)
    assert today.end == tomorrow.start
    assert today.start is not None
    assert today.end is not None
    assert timedelta(0) <= today.end - today.start <= timedelta(hours=48)


@many
@given(zone=zones, day=recent_days)
@example(zone=ZoneInfo("America/Sao_Paulo"), day=date(2018, 11, 4))
@example(zone=ZoneInfo("America/Havana"), day=date(2024, 11, 3))
@example(zone=ZoneInfo("America/St_Johns"), day=date(2008, 11, 2))
@example(zone=ZoneInfo("America/Toronto"), day=date(1919, 3, 31))
def test_before_a_day_begins_its_date_is_not_shown_and_after_it_no_earlier_one(
    zone: ZoneInfo, day: date
) -> None:
    start = start_of_day(day, zone)
    assert (start - timedelta(seconds=1)).astimezone(zone).date() < day
    for minutes in range(0, 24 * 60, 20):
        assert (start + timedelta(minutes=minutes)).astimezone(zone).date() >= day


@many
@example(zone=ZoneInfo("America/St_Johns"), instant=datetime(2008, 11, 2, 2, 30, 30))  # noqa: DTZ001
@given(zone=zones, instant=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_an_instant_lies_in_the_range_of_its_local_date(zone: ZoneInfo, instant: datetime) -> None:
    when = instant.replace(tzinfo=UTC)
    day = when.astimezone(zone).date()
    days = LocalDays(start=day, end=day + DAY).to_utc(zone)
    assert days.start is not None
    assert days.end is not None
    if when < days.start:  # the clocks had yet to fall back into the day before, as in Newfoundland at 00:01
        assert (days.start - timedelta(seconds=1)).astimezone(zone).date() < day
    else:
        assert when < days.end


@pytest.mark.parametrize(
    "zone", ["Pacific/Kiritimati", "Asia/Kolkata", "UTC", "America/Los_Angeles", "Etc/GMT+12"]
)
def test_the_first_and_the_last_day_there_is_do_not_overflow(zone: str) -> None:
    ends = LocalDays(start=date.min, end=date.max).to_utc(ZoneInfo(zone))
    assert ends.start is not None
    assert ends.end is not None
    assert ends.start.utcoffset() == ends.end.utcoffset() == timedelta(0)
    assert ends.start < ends.end
    assert get_next_day(date.max) is None
    assert LocalDays.between(first=date.max, last=date.max).end is None


def test_an_open_side_stays_open() -> None:
    zone = ZoneInfo("America/New_York")
    assert LocalDays(start=date(2026, 6, 1), end=None).to_utc(zone) == UtcRange(
        start=utc("2026-06-01T04:00"), end=None
    )
    assert LocalDays(start=None, end=date(2026, 6, 1)).to_utc(zone) == UtcRange(
        start=None, end=utc("2026-06-01T04:00")
    )
    assert LocalDays(start=None, end=None).to_utc(zone) == UtcRange(start=None, end=None)


def test_clock_change_days_end_at_the_next_midnight_not_24_hours_later() -> None:
    new_york = LocalDays(start=date(2025, 11, 2), end=date(2025, 11, 3)).to_utc(ZoneInfo("America/New_York"))
    berlin = LocalDays(start=date(2025, 3, 30), end=date(2025, 3, 31)).to_utc(ZoneInfo("Europe/Berlin"))
    assert new_york == UtcRange(start=utc("2025-11-02T04:00"), end=utc("2025-11-03T05:00"))
    assert berlin == UtcRange(start=utc("2025-03-29T23:00"), end=utc("2025-03-30T22:00"))


@pytest.mark.parametrize("end", [date(2026, 6, 3), date(2026, 6, 2)])
def test_a_range_without_days_is_refused(end: date) -> None:
    with pytest.raises(ValueError, match="must hold a day"):
        LocalDays(start=date(2026, 6, 3), end=end)


def test_a_datetime_is_no_day() -> None:
    with pytest.raises(TypeError):
        LocalDays(start=datetime(2026, 6, 3, tzinfo=UTC), end=None)
    with pytest.raises(TypeError):
        LocalDays(start=None, end=datetime(2026, 6, 3, tzinfo=UTC))


@pytest.mark.parametrize(
    ("when", "zone", "said"),
    [
        ("2026-06-10T20:00", "UTC", "Today"),
        ("2026-06-09T20:00", "UTC", "Yesterday"),
        ("2026-06-09T20:00", "Asia/Kolkata", "Today"),  # already the 10th there
        ("2026-06-03T12:00", "UTC", "On Wednesday 3 June"),
        ("2025-06-03T12:00", "UTC", "On Tuesday 3 June 2025"),
        ("2026-06-11T12:00", "UTC", "Tomorrow"),
        ("2026-06-12T12:00", "UTC", "On Friday 12 June"),
    ],
)
def test_a_day_is_told_as_people_say_it(when: str, zone: str, said: str) -> None:
    now = utc("2026-06-10T12:00")
    assert format_day(utc(when), ZoneInfo(zone), now=now) == said


def test_the_day_said_is_the_day_where_the_person_is() -> None:
    now, when = utc("2026-06-10T02:00"), utc("2026-06-09T12:00")
    assert format_day(when, ZoneInfo("America/New_York"), now=now) == "Today"
    assert format_day(when, ZoneInfo("Europe/Paris"), now=now) == "Yesterday"


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-06-10", "2026-06-11", "today"),
        ("2026-06-09", "2026-06-10", "yesterday"),
        ("2026-06-03", "2026-06-04", "on Wednesday 3 June"),
        ("2025-06-03", "2025-06-04", "on Tuesday 3 June 2025"),
        ("2026-09-01", "2026-09-08", "from 1 to 7 September"),
        ("2025-09-01", "2025-09-08", "from 1 to 7 September 2025"),
        ("2026-08-28", "2026-09-04", "from 28 August to 3 September"),
        ("2025-12-28", "2026-01-04", "from 28 December 2025 to 3 January 2026"),
        ("2026-05-01", "2026-06-01", "in May"),
        ("2025-12-01", "2026-01-01", "in December 2025"),
        ("2025-01-01", "2026-01-01", "in 2025"),
        ("2024-01-01", "2026-01-01", "from 1 January 2024 to 31 December 2025"),
        ("2026-02-01", "2026-04-01", "from 1 February to 31 March"),
        ("2026-06-03", None, "since 3 June"),
        (None, "2025-06-03", "before 3 June 2025"),
        (None, None, "at any time"),
    ],
)
def test_a_range_is_told_as_people_say_it(start: str | None, end: str | None, said: str) -> None:
    days = LocalDays(
        start=date.fromisoformat(start) if start else None, end=date.fromisoformat(end) if end else None
    )
    assert format_range(days, today=date(2026, 6, 10)) == said
