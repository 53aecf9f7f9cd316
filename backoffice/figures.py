"""How things went in the last days and how they stand now, in numbers, without anything anybody has said.

The figures of a day can be added to those of another, so that every period is the sum of its days. That holds for
response times too, because they are kept as a histogram: how many took how long, in steps of `STEP`.

What was counted is kept in Django's cache, which all processes share, and counted again when it is `FRESH` no longer,
by one process at a time. Only the last two days and one of those before are counted again each time. Days are in UTC.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import WhatsAppUser
from backoffice.queues import Queue, count_workers, get_queues
from media.models import MessageMedia
from memories.models import Memory, MemoryHistory
from messaging.daily_counts import Span, count_by, count_by_day, count_kept_files, within
from messaging.models import OutboundMessage, RawMessage

PERIODS = (7, 30, 90)  # days
DAY = timedelta(days=1)
FRESH = timedelta(minutes=1)
KEPT_SECONDS = 7 * 86400  # what is no longer fresh is better than waiting, while somebody else counts
# Word of a failed delivery may come so long after the message; then a day only changes when people are erased.
SETTLED_AFTER = DAY
STEP = 1.05  # each step of a histogram is so many times as long as the one before
SHORTEST = 0.01  # seconds: whatever was faster counts as this
KEY = "backoffice.figures.1"  # the number changes with the shape of what is kept under it
LOCK = 5_790_217_345_761  # PostgreSQL's advisory lock: who holds it counts

# Answers by kind, by the time from message to answer, and to the delivery of its first part: in one reading of these
# three tables, the widest there are. (Logarithms of float8, because those of exact numbers take many times as long.)
_ANSWERS = """
    SELECT day, kind, to_answer, to_arrive, grouping(kind, to_answer, to_arrive), count(*)
    FROM (
        SELECT (turn.answered_at AT TIME ZONE 'UTC')::date AS day, turn.kind,
            floor(ln(greatest(extract(epoch FROM turn.answered_at - message.received_at)::float8
                / %(shortest)s, 1)) / %(growth)s)::int AS to_answer,
            CASE WHEN part.delivered_at IS NOT NULL THEN
                floor(ln(greatest(extract(epoch FROM part.delivered_at - message.received_at)::float8
                    / %(shortest)s, 1)) / %(growth)s)::int
            END AS to_arrive
        FROM messaging_interaction AS turn
            JOIN messaging_rawmessage AS message ON message.id = turn.raw_message_id
            LEFT JOIN messaging_outboundmessage AS part ON part.interaction_id = turn.id AND part.part = 1
        WHERE turn.answered_at >= %(since)s AND turn.answered_at < %(until)s
    ) AS answer
    GROUP BY GROUPING SETS ((day, kind), (day, to_answer), (day, to_arrive))
"""
_BY_KIND, _BY_ANSWER, _BY_ARRIVAL = 0b011, 0b101, 0b110  # what PostgreSQL's grouping() says of each

Counts = Counter[Any]
Day = Mapping[str, Counts]  # measure → value → how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand at one moment."""

    people_by_zone: Mapping[str, int]
    unanswered: int
    files_stored: int
    bytes_stored: int
    bytes_saved: int
    workers: int
    queues: list[Queue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The last days, oldest first and today last, and how things stood when they were counted."""

    counted_at: datetime
    days: Mapping[date, Day]
    standing: Standing

    def add_up(self, measure: str) -> Counts:
        """A measure of all days together."""
        return sum((day.get(measure, Counter()) for day in self.days.values()), Counter())

    def count_each_day(self, measure: str, *, value: str | None = None) -> list[int]:
        """How many there were on each day; of one value only, if it is named."""
        counts = [day.get(measure, Counter()) for day in self.days.values()]
        return [count.total() if value is None else count[value] for count in counts]

    def find_percentile_each_day(self, measure: str, share: float) -> list[float | None]:
        """`find_percentile` of each day."""
        return [find_percentile(day.get(measure, Counter()), share) for day in self.days.values()]


def find_percentile(histogram: Counts, share: float) -> float | None:
    """The seconds within which ``share`` (0 to 1) of what is counted was done, to within 3 %; None if nothing is."""
    rank = math.ceil(share * histogram.total())
    for step in sorted(histogram):
        rank -= histogram[step]
        if rank <= 0:
            return float(SHORTEST * STEP ** (step + 0.5))
    return None


def get_figures(*, days: int) -> Figures:
    """The figures of the last so many days, at most the longest of `PERIODS`; counted now, or in the last minute."""
    kept = cache.get(KEY)
    if kept is None or not _is_fresh(kept):
        kept = _count_again(kept)
    standing = kept["standing"]
    return Figures(
        counted_at=kept["counted_at"],
        days={day: kept["days"][day]["counts"] for day in sorted(kept["days"])[-days:]},
        standing=Standing(**standing | {"queues": [Queue(**queue) for queue in standing["queues"]]}),
    )


def _is_fresh(kept: Mapping[str, Any]) -> bool:
    age: timedelta = timezone.now() - kept["counted_at"]
    return age < FRESH


@transaction.atomic
def _count_again(kept: dict[str, Any] | None) -> dict[str, Any]:
    """Count, unless somebody else does: then take what there was, or wait for theirs where there was nothing."""
    with connection.cursor() as cursor:
        if kept is None:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        else:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if cursor.fetchone() != (True,):
                return kept
    now: dict[str, Any] | None = cache.get(KEY)  # somebody may have counted meanwhile
    if now is None or not _is_fresh(now):
        now = _count(now)
        cache.set(KEY, now, KEPT_SECONDS)
    return now


def _count(kept: dict[str, Any] | None) -> dict[str, Any]:
    """Everything, in plain values; days that are settled are taken from what is kept, but for the oldest count."""
    counted_at = timezone.now()
    today = counted_at.astimezone(UTC).date()
    dates = [today - number * DAY for number in reversed(range(max(PERIODS)))]
    known = kept["days"] if kept else {}
    settled = {
        day: known[day]
        for day in dates
        if day in known and known[day]["counted_at"] > _get_midnight(day + DAY) + SETTLED_AFTER
    }
    days = dict(settled)
    spans = [[day for day in dates if day not in settled]]  # today is one of them
    if settled and min(count["counted_at"] for count in settled.values()) < counted_at - DAY:
        spans.append([min(settled, key=lambda day: settled[day]["counted_at"])])
    for span in spans:
        counts = count_days(first=span[0], last=span[-1])
        days |= {day: {"counted_at": counted_at, "counts": counts.get(day, {})} for day in span}
    return {"counted_at": counted_at, "days": days, "standing": asdict(_take_standing())}


def count_days(*, first: date, last: date) -> dict[date, Day]:
    """Every measure of these days, both included, as far as there is anything to count."""
    span = (_get_midnight(first), _get_midnight(last + DAY))
    files = MessageMedia.objects.all()
    failed = OutboundMessage.objects.filter(status=OutboundMessage.Status.FAILED)
    measures: tuple[tuple[str, QuerySet[Any], str, str | None], ...] = (
        ("messages", RawMessage.objects.all(), "received_at", None),
        ("undelivered", failed, "created_at", "error_code"),
        ("memories", Memory.objects.all(), "created_at", "source"),
        ("changes", MemoryHistory.objects.all(), "created_at", "kind"),
        ("files", files.filter(file__isnull=False), "sent_at", "file__kind"),
        ("refused files", files.exclude(refusal=""), "sent_at", "refusal"),
        ("people", WhatsAppUser.objects.all(), "created_at", None),
    )
    days: dict[date, dict[str, Counts]] = {}
    for name, rows, at, by in measures:
        for day, counts in count_by_day(within(rows, at, span), at, by=by).items():
            days.setdefault(day, {})[name] = counts
    for day, name, value, count in _count_answers(span):
        days.setdefault(day, {}).setdefault(name, Counter())[value] += count
    return {**days}


def _count_answers(span: Span) -> Iterator[tuple[date, str, Any, int]]:
    """Day, measure, value and how many of each."""
    with connection.cursor() as cursor:
        cursor.execute(
            _ANSWERS, {"since": span[0], "until": span[1], "shortest": SHORTEST, "growth": math.log(STEP)}
        )
        for day, kind, to_answer, to_arrive, group, count in cursor.fetchall():
            name, value = {
                _BY_KIND: ("answers", kind),
                _BY_ANSWER: ("seconds to answer", to_answer),
                _BY_ARRIVAL: ("seconds to arrive", to_arrive),
            }[group]
            if value is not None:  # not delivered, or not yet
                yield day, name, value, count


def _take_standing() -> Standing:
    return Standing(
        people_by_zone=count_by(WhatsAppUser.objects.all(), "timezone"),
        unanswered=RawMessage.objects.filter(status=RawMessage.Status.RECEIVED).count(),
        workers=count_workers(),
        queues=get_queues(),
        **count_kept_files(),
    )


def _get_midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
