"""The first page of the back-office: figures of the last days as cards, charts and tables, without anybody's data.

Everybody on the staff sees it. Links lead only where a login may go.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from backoffice.charts import Chart, Series, write_bytes, write_number, write_seconds
from backoffice.figures import PERIODS, Figures, find_percentile, get_figures
from memories.models import MemoryHistory
from messaging.models import Interaction
from whatsbot.integrations.twilio_error_texts import describe_error

USUAL_DAYS = 30
LATE_SECONDS = 60.0  # that a job may be due before the page warns
NO_CODE = ("none", "", "Given up after several tries, too late, or its file was forgotten.")
MOST_ZONES = 12  # of the table; the others are one row


@dataclass(frozen=True, slots=True)
class Card:
    """One figure. ``note`` says what it is made of; ``url`` leads to the rows it counts, for those who may see them."""

    name: str
    figure: str
    note: str = ""
    url: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table with a bar: ``share`` is its part of the greatest, 0 to 100."""

    cells: tuple[str, ...]
    count: int
    share: float


def add_figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Give the first page its figures: the theme's ``DASHBOARD_CALLBACK``."""
    days = _read_days(request)
    figures = get_figures(days=days)
    return context | {
        "title": f"Figures of the last {days} days",
        "periods": [(period, period == days) for period in PERIODS],
        "days": days,
        "counted_at": figures.counted_at,
        "cards": _make_cards(figures, request),
        "charts": _make_charts(figures),
        "failures": _make_failures(figures.add_up("undelivered")),
        "zones": _make_zones(figures.standing.people_by_zone),
        "queues": [
            (
                queue,
                write_seconds(queue.oldest_seconds),
                queue.oldest_seconds is not None and queue.oldest_seconds > LATE_SECONDS,
            )
            for queue in figures.standing.queues
        ],
        "workers": figures.standing.workers,
        "jobs_url": _find_list(request, "procrastinate", "procrastinatejob"),
    }


def _read_days(request: HttpRequest) -> int:
    asked = request.GET.get("days", "")
    return next((period for period in PERIODS if asked == str(period)), USUAL_DAYS)


def _find_list(request: HttpRequest, app: str, model: str, query: str = "") -> str:
    """The address of a list, or nothing for a login that may not see it."""
    if not request.user.has_perm(f"{app}.view_{model}"):
        return ""
    return reverse(f"admin:{app}_{model}_changelist") + query


def _make_cards(figures: Figures, request: HttpRequest) -> list[Card]:
    standing = figures.standing
    messages, answers = figures.add_up("messages").total(), figures.add_up("answers")
    apologies = answers[Interaction.Kind.APOLOGY]
    undelivered = figures.add_up("undelivered").total()
    to_answer, to_arrive = figures.add_up("seconds to answer"), figures.add_up("seconds to arrive")
    memories, changes = figures.add_up("memories"), figures.add_up("changes")
    files, refused = figures.add_up("files").total(), figures.add_up("refused files").total()
    people = sum(standing.people_by_zone.values())
    due = sum(queue.due for queue in standing.queues)
    failed = sum(queue.failed for queue in standing.queues)
    waits = [queue.oldest_seconds for queue in standing.queues if queue.oldest_seconds is not None]
    return [
        Card(
            "Messages",
            write_number(messages),
            f"waiting for an answer now: {write_number(standing.unanswered)}",
            _find_list(request, "messaging", "rawmessage"),
        ),
        Card(
            "Answers",
            write_number(answers.total()),
            f"from memories: {write_number(answers[Interaction.Kind.RECALLED])}",
            _find_list(request, "messaging", "interaction"),
        ),
        Card(
            "Response time",
            write_seconds(find_percentile(to_answer, 0.5)),
            f"for half of the answers; 95 % within {write_seconds(find_percentile(to_answer, 0.95))}."
            f" Delivered within {write_seconds(find_percentile(to_arrive, 0.5))},"
            f" 95 % within {write_seconds(find_percentile(to_arrive, 0.95))}"
            if to_answer
            else "no answer yet",
        ),
        Card(
            "Failures",
            write_number(apologies + undelivered),
            f"apologies: {write_number(apologies)}, parts not delivered: {write_number(undelivered)}",
            _find_list(request, "messaging", "outboundmessage", "?status__exact=failed"),
            is_bad=apologies + undelivered > 0,
        ),
        Card(
            "Memories stored",
            write_number(memories.total()),
            f"corrected: {write_number(changes[MemoryHistory.Kind.CORRECTED])},"
            f" known already: {write_number(changes[MemoryHistory.Kind.REPEATED])}",
            _find_list(request, "memories", "memory"),
        ),
        Card(
            "Files received",
            write_number(files),
            f"refused: {write_number(refused)}",
            _find_list(request, "media", "messagemedia"),
        ),
        Card(
            "Saved by deduplication",
            write_bytes(standing.bytes_saved),
            f"files kept: {write_number(standing.files_stored)}, of {write_bytes(standing.bytes_stored)}",
            _find_list(request, "media", "mediafile"),
        ),
        Card(
            "People",
            write_number(people),
            f"new: {write_number(figures.add_up('people').total())}",
            _find_list(request, "accounts", "whatsappuser"),
        ),
        Card(
            "Jobs that are due",
            write_number(due),
            (f"the oldest for {write_seconds(max(waits))}; " if waits else "")
            + f"failed in the last week: {write_number(failed)}",
            _find_list(request, "procrastinate", "procrastinatejob", "?state=due"),
            is_bad=bool(waits) and max(waits) > LATE_SECONDS,
        ),
        Card(
            "Workers",
            write_number(standing.workers),
            "heard of just now" if standing.workers else "nobody does the work: start a worker",
            is_bad=not standing.workers,
        ),
    ]


def _make_charts(figures: Figures) -> list[Chart]:
    days = list(figures.days)
    return [
        Chart(
            title="Messages and answers",
            unit="a day",
            days=days,
            series=[
                Series("messages", figures.count_each_day("messages")),
                Series("answers", figures.count_each_day("answers")),
            ],
        ),
        Chart(
            title="Response time",
            unit="s",
            days=days,
            series=[
                Series("half within", figures.find_percentile_each_day("seconds to answer", 0.5)),
                Series("95 % within", figures.find_percentile_each_day("seconds to answer", 0.95)),
            ],
        ),
        Chart(
            title="Memories and files",
            unit="a day",
            days=days,
            series=[
                Series("memories", figures.count_each_day("memories")),
                Series("files", figures.count_each_day("files")),
            ],
            is_bars=True,
        ),
        Chart(
            title="Failures",
            unit="a day",
            days=days,
            series=[
                Series("apologies", figures.count_each_day("answers", value=Interaction.Kind.APOLOGY)),
                Series("not delivered", figures.count_each_day("undelivered")),
            ],
            is_bars=True,
        ),
    ]


def _make_failures(by_code: "Counter[int | None]") -> list[Row]:
    rows = [
        (describe_error(code).partition(": ") if code else NO_CODE, count)
        for code, count in by_code.most_common()
    ]
    return _make_rows([((code, meaning), count) for (code, _, meaning), count in rows])


def _make_zones(people: Mapping[str, int]) -> list[Row]:
    ranked = Counter(people).most_common()
    rows: list[tuple[tuple[str, ...], int]] = [
        ((zone.replace("_", " "),), count) for zone, count in ranked[:MOST_ZONES]
    ]
    if others := ranked[MOST_ZONES:]:
        rows.append(((f"{len(others)} others",), sum(count for _, count in others)))
    return _make_rows(rows)


def _make_rows(rows: Sequence[tuple[tuple[str, ...], int]]) -> list[Row]:
    most = max((count for _, count in rows), default=1)
    return [Row(cells, count, round(100 * count / most, 1)) for cells, count in rows]
