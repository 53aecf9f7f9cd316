"""Days and times between the language model, which speaks of the person's own, and us, who keep UTC."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from memories.dates import LocalDays, get_next_day, start_of_day
from memories.models import Memory
from messaging.answers import Turn

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?")
EARLIEST, LATEST = date(1900, 1, 1), date(2200, 1, 1)


def read_days(first: str | None, last: str | None) -> LocalDays | None:
    """The days from ``first`` to ``last``, both included; None if there is neither. Raises ValueError with a reason.

    A date and time stands for its day: a model that knows the hour may say it.
    """
    start = _read_date(first, name="start_date") if first else None
    end = _read_date(last, name="end_date") if last else None
    if start is None and end is None:
        return None
    if start and end and start > end:
        raise ValueError("start_date is after end_date.")
    return LocalDays(start=start, end=get_next_day(end) if end else None)


def read_event(
    start: str | None, end: str | None, *, zone: ZoneInfo
) -> tuple[datetime | None, datetime | None]:
    """When something takes place, in UTC and half-open. Dates mean whole days of ``zone``, the last one included.

    Raises ValueError with a reason.
    """
    if not start:
        if end:
            raise ValueError("event_end needs an event_start.")
        return None, None
    begins = _read_moment(start, zone=zone, name="event_start")
    if not end:
        return begins if isinstance(begins, datetime) else start_of_day(begins, zone), _end_of(begins, zone)
    ends = _read_moment(end, zone=zone, name="event_end")
    start_at = begins if isinstance(begins, datetime) else start_of_day(begins, zone)
    end_at = ends if isinstance(ends, datetime) else _end_of(ends, zone)
    if end_at is not None and end_at <= start_at:
        raise ValueError("event_end is not after event_start.")
    return start_at, end_at


def _end_of(when: date | datetime, zone: ZoneInfo) -> datetime | None:
    """The end of a day; an instant without an end has none."""
    return None if isinstance(when, datetime) else start_of_day(when + timedelta(days=1), zone)


def _read_date(text: str, *, name: str) -> date:
    if not (_DATE.fullmatch(text) or _MOMENT.fullmatch(text)):
        raise ValueError(f"{name} must be a date like 2026-03-14.")
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        raise ValueError(f"{name}: there is no such day.") from None
    if not EARLIEST <= day < LATEST:
        raise ValueError(f"{name} must be between {EARLIEST.year} and {LATEST.year}.")
    return day


def _read_moment(text: str, *, zone: ZoneInfo, name: str) -> date | datetime:
    """A day, or an instant in UTC. A time the clocks skip is taken as if they had not been changed yet."""
    day = _read_date(text, name=name)
    if _DATE.fullmatch(text):
        return day
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: there is no such time.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def describe_memory(turn: Turn, memory: Memory, *, limit: int) -> dict[str, Any]:
    """A memory as the model reads it; its times are the person's own."""
    described: dict[str, Any] = {
        "number": memory.number,
        "text": memory.text if len(memory.text) <= limit else memory.text[:limit] + " …",
        "type": memory.type,
        "said": describe_moment(memory.happened_at, turn.zone),
    }
    if memory.event_start:
        described["takes_place"] = describe_event(memory, turn.zone)
    if memory.corrected_by_id:
        described["corrected"] = True
    return described


def describe_moment(when: datetime, zone: ZoneInfo) -> str:
    """Weekday, date and time: "Tuesday 2026-03-17 14:05"."""
    return f"{when.astimezone(zone):%A %Y-%m-%d %H:%M}"


def describe_event(memory: Memory, zone: ZoneInfo) -> str:
    """When a memory takes place: whole days without hours."""
    assert memory.event_start
    start, end = memory.event_start, memory.event_end
    first = start.astimezone(zone).date()
    if end and start == start_of_day(first, zone):
        last = (end - timedelta(seconds=1)).astimezone(zone).date()
        if end == start_of_day(last + timedelta(days=1), zone):
            return f"{first:%A %Y-%m-%d}" + ("" if first == last else f" to {last:%A %Y-%m-%d}")
    return describe_moment(start, zone) + (f" to {describe_moment(end, zone)}" if end else "")
