"""Days and times of the model's tools: the person's own, turned into UTC."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from memories.dates import LocalDays
from memories.models import Memory
from messaging.assistant_times import describe_event, read_days, read_event

KOLKATA, NEW_YORK, BERLIN = (ZoneInfo(name) for name in ("Asia/Kolkata", "America/New_York", "Europe/Berlin"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "last", "start", "end"),
    [
        ("2026-09-01", "2026-09-07", date(2026, 9, 1), date(2026, 9, 8)),
        ("2026-09-01", None, date(2026, 9, 1), None),
        (None, "2026-09-07", None, date(2026, 9, 8)),
        ("2026-09-01T10:30", "2026-09-01", date(2026, 9, 1), date(2026, 9, 2)),
        ("2026-09-01T23:30:00Z", "2026-09-01 23:59", date(2026, 9, 1), date(2026, 9, 2)),
    ],
)
def test_both_days_of_a_range_are_included(
    first: str | None, last: str | None, start: date | None, end: date | None
) -> None:
    assert read_days(first, last) == LocalDays(start=start, end=end)


def test_no_days_are_no_range() -> None:
    assert read_days(None, "") is None


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        ("2026-09-08", "2026-09-07", "start_date is after end_date"),
        ("last week", None, "start_date must be a date"),
        ("2026-02-30", None, "start_date: there is no such day"),
        (None, "9999-12-31", "end_date must be between"),
        ("2026-9-1", None, "start_date must be a date"),
    ],
)
def test_what_is_no_range_of_days_is_refused_with_a_reason(
    first: str | None, last: str | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        read_days(first, last)


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        (KOLKATA, "2026-09-10", None, ("2026-09-09T18:30", "2026-09-10T18:30")),
        (KOLKATA, "2026-09-10", "2026-09-11", ("2026-09-09T18:30", "2026-09-11T18:30")),
        (KOLKATA, "2026-09-10T09:00", None, ("2026-09-10T03:30", None)),
        (KOLKATA, "2026-09-10T09:00", "2026-09-10T10:15", ("2026-09-10T03:30", "2026-09-10T04:45")),
        (KOLKATA, "2026-09-10T09:00+02:00", None, ("2026-09-10T07:00", None)),
        (KOLKATA, "2026-09-10T09:00Z", None, ("2026-09-10T09:00", None)),
        # 25 and 23 hours: the clocks change.
        (NEW_YORK, "2026-11-01", None, ("2026-11-01T04:00", "2026-11-02T05:00")),
        (BERLIN, "2026-03-29", None, ("2026-03-28T23:00", "2026-03-29T22:00")),
        # A time the clocks skip, and one they show twice.
        (BERLIN, "2026-03-29T02:30", None, ("2026-03-29T01:30", None)),
        (NEW_YORK, "2026-11-01T01:30", None, ("2026-11-01T05:30", None)),
        (KOLKATA, None, None, (None, None)),
    ],
)
def test_events_are_kept_in_utc_and_whole_days_as_long_as_they_are(
    zone: ZoneInfo, start: str | None, end: str | None, expected: tuple[str | None, str | None]
) -> None:
    assert read_event(start, end, zone=zone) == tuple(utc(text) if text else None for text in expected)


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (None, "2026-09-10", "event_end needs an event_start"),
        ("2026-09-10T10:00", "2026-09-10T10:00", "event_end is not after"),
        ("2026-09-10", "2026-09-09", "event_end is not after"),
        ("2026-09-10T25:00", None, "event_start: there is no such time"),
        ("tomorrow", None, "event_start must be a date"),
    ],
)
def test_what_is_no_event_is_refused_with_a_reason(start: str | None, end: str | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_event(start, end, zone=KOLKATA)


@pytest.mark.parametrize(
    ("start", "end", "described"),
    [
        ("2026-11-01", None, "Sunday 2026-11-01"),
        ("2026-11-01", "2026-11-03", "Sunday 2026-11-01 to Tuesday 2026-11-03"),
        ("2026-11-01T09:00", None, "Sunday 2026-11-01 09:00"),
        ("2026-11-01T09:00", "2026-11-01T10:30", "Sunday 2026-11-01 09:00 to Sunday 2026-11-01 10:30"),
    ],
)
def test_events_are_told_in_the_persons_own_time(start: str, end: str | None, described: str) -> None:
    begins, ends = read_event(start, end, zone=NEW_YORK)
    assert describe_event(Memory(event_start=begins, event_end=ends), NEW_YORK) == described
