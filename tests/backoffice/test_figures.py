"""The first page: numbers that can be counted by hand, few statements, and nobody's words."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import escape

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import WhatsAppUser
from backoffice import figures
from backoffice.charts import Chart, Series, write_bytes, write_seconds
from backoffice.figures import find_percentile, get_figures
from backoffice.queues import get_queues
from media.models import MessageMedia
from messaging.models import Interaction, OutboundMessage, RawMessage
from tests.backoffice.conftest import Staff
from tests.media.objects import make_file, send_file
from tests.messaging.made import answer, make_raw, remember
from whatsbot.integrations.twilio_error_texts import TEXTS

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    """What other tests have counted does not count."""
    cache.delete(figures.KEY)
    yield
    cache.delete(figures.KEY)


@pytest.fixture
def noon() -> datetime:
    """Twelve o'clock yesterday."""
    return timezone.now().astimezone(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - DAY


def make_person(number: str, *, zone: str) -> WhatsAppUser:
    """Somebody who lives in a zone."""
    return WhatsAppUser.objects.create(
        whatsapp_id=f"whatsapp:{number}", phone_number=number, timezone=zone, profile_name="zanzibar"
    )


def make_days(noon: datetime) -> WhatsAppUser:
    """Yesterday four answers after 1, 2, 3 and 10 s, one of them an apology; a message that waits; and more."""
    person = make_person("+12025550143", zone="America/New_York")
    make_person("+442079460123", zone="Europe/London")
    make_person("+442079460124", zone="Europe/London")
    for seconds in (1, 2, 3, 10):
        raw = make_raw(person, "zanzibar", at=noon)
        made = answer(person, raw=raw, kind="recalled" if seconds < 10 else "apology", at=noon)
        Interaction.objects.filter(id=made.id).update(answered_at=noon + timedelta(seconds=seconds))
    OutboundMessage.objects.update(created_at=noon, delivered_at=noon + timedelta(seconds=20))
    failed = OutboundMessage.objects.filter(
        id__in=list(OutboundMessage.objects.values_list("id", flat=True)[:2])
    )
    failed.update(status="failed", error_code=63016, delivered_at=None)
    make_raw(person, "zanzibar", at=noon - 40 * DAY)
    memory = remember(person, "zanzibar", source="api")
    type(memory).objects.update(created_at=noon)
    file = make_file(b"1234567890")
    send_file(person, file, at=noon)
    send_file(person, file, at=noon)
    MessageMedia.objects.create(
        raw_message=make_raw(person, at=noon - 200 * DAY),
        user=person,
        position=0,
        refusal="bomb",
        sent_at=noon,
    )
    RawMessage.objects.filter(media__isnull=False).update(received_at=noon - 300 * DAY)
    return person


def test_the_figures_are_those_counted_by_hand(noon: datetime) -> None:
    make_days(noon)
    counted = get_figures(days=30)
    today = timezone.now().astimezone(UTC).date()
    assert [*counted.days] == [today - number * DAY for number in range(29, -1, -1)]
    messages = counted.count_each_day("messages")
    assert messages[-2:] == [4, 0]
    assert counted.add_up("answers") == {"recalled": 3, "apology": 1}
    assert counted.count_each_day("answers", value="apology")[-2:] == [1, 0]
    assert counted.add_up("undelivered") == {63016: 2}
    assert (counted.add_up("memories"), counted.add_up("files")) == ({"api": 1}, {"picture": 2})
    assert counted.add_up("refused files") == {"bomb": 1}
    assert counted.standing.people_by_zone == {"America/New_York": 1, "Europe/London": 2}
    assert (counted.standing.files_stored, counted.standing.bytes_stored) == (1, 10)
    assert counted.standing.bytes_saved == 10
    times = counted.add_up("seconds to answer")
    assert find_percentile(times, 0.5) == pytest.approx(2, rel=0.03)
    assert find_percentile(times, 0.95) == pytest.approx(10, rel=0.03)
    assert find_percentile(counted.add_up("seconds to arrive"), 0.5) == pytest.approx(20, rel=0.03)
    assert counted.find_percentile_each_day("seconds to answer", 0.5)[-1] is None
    assert sum(get_figures(days=90).count_each_day("messages")) == sum(messages) + 1  # 40 days ago
    assert sum(get_figures(days=7).count_each_day("messages")) == messages[-2]


def test_what_was_counted_lasts_a_minute_and_settled_days_a_day(
    noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = make_days(noon)
    make_raw(person, at=noon - 10 * DAY)
    before = get_figures(days=30).count_each_day("messages")
    make_raw(person, at=noon)
    make_raw(person, at=noon - 10 * DAY)
    assert get_figures(days=30).count_each_day("messages") == before

    def pass_time(by: timedelta) -> list[int]:
        monkeypatch.setattr(figures, "timezone", _Clock(by))
        return get_figures(days=30).count_each_day("messages")

    later = pass_time(timedelta(minutes=2))
    assert (later[-2], later[-12]) == (before[-2] + 1, 1)  # the settled day is as it was
    # A day later all settled days are old: each time one is counted again, the one that is counted longest ago.
    kept = cache.get(figures.KEY)
    date = (noon - 10 * DAY).date()
    kept["days"][date]["counted_at"] -= timedelta(hours=30)
    kept["counted_at"] -= timedelta(minutes=5)
    cache.set(figures.KEY, kept)
    assert pass_time(timedelta(minutes=2))[-12] == 2


class _Clock:
    """Django's clock, ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        """The time it will be."""
        return timezone.now() + self._ahead


def test_while_somebody_counts_others_show_what_there_was(
    noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_days(noon)
    old = figures._count(None)  # under no lock: the test's own transaction would hold it
    cache.set(figures.KEY, old)
    monkeypatch.setattr(figures, "timezone", _Clock(timedelta(minutes=2)))
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [figures.LOCK])
        assert get_figures(days=7).counted_at == old["counted_at"]
        other.rollback()
        assert get_figures(days=7).counted_at > old["counted_at"]
    finally:
        other.close()


def test_queues_say_what_is_due_and_for_how_long() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status, scheduled_at) VALUES"
            " ('outbox', 'a', 'todo', NULL), ('outbox', 'a', 'todo', now() - interval '50 s'),"
            " ('outbox', 'a', 'todo', now() + interval '1 h'), ('outbox', 'a', 'doing', NULL),"
            " ('outbox', 'a', 'succeeded', NULL), ('upkeep', 'a', 'failed', NULL), ('media', 'a', 'todo', NULL),"
            " ('media', 'a', 'todo', now() - interval '90 s')"
        )
        cursor.execute(
            "UPDATE procrastinate_events SET at = now() - interval '70 s' FROM procrastinate_jobs AS job"
            " WHERE job_id = job.id AND scheduled_at IS NULL"
        )
    media, outbox, upkeep = get_queues()
    assert (media.due, media.oldest_seconds) == (2, pytest.approx(90, abs=5))
    assert (outbox.due, outbox.scheduled, outbox.running, outbox.failed) == (2, 1, 1, 0)
    assert outbox.oldest_seconds == pytest.approx(70, abs=5)
    assert (upkeep.due, upkeep.failed, upkeep.oldest_seconds) == (0, 1, None)


def test_the_page_says_what_was_counted_and_nobodys_words(
    noon: datetime, operator: Staff, support: Staff
) -> None:
    make_days(noon)
    with CaptureQueriesContext(connection) as first:
        page = operator.read("/admin/", {"days": "7"})
    assert "<title> Figures of the last 7 days | Whatsbot</title>" in page
    for text in (
        *("Messages and answers", "95 % within 10 s", "apologies: 1, parts not delivered: 2", "10 B"),
        *("63016", escape(TEXTS[63016]), "Europe/London", "nobody does the work"),
    ):
        assert text in page, text
    for text in ("zanzibar", "5550143", "79460123"):
        assert text not in page
    assert "/admin/procrastinate/procrastinatejob/" in page
    assert "/admin/procrastinate/procrastinatejob/" not in support.read("/admin/")
    for number in range(20):
        make_raw(make_person(f"+1202555{number:04}", zone="UTC"), at=noon - number * DAY)
    cache.delete(figures.KEY)
    with CaptureQueriesContext(connection) as again:
        operator.read("/admin/", {"days": "7"})
    assert len(again) == len(first)
    with CaptureQueriesContext(connection) as kept:
        operator.read("/admin/", {"days": "nonsense"})
    assert len(kept) < 8


def test_a_fresh_bot_has_figures_too(root: Staff) -> None:
    page = root.read("/admin/")
    assert page.count("Nothing in these days.") == 4
    assert "Nobody has written yet." in page
    assert "NaN" not in page


def test_charts_have_round_edges_and_gaps() -> None:
    days = [datetime(2026, 5, number).date() for number in (1, 2, 3)]  # noqa: DTZ001
    lines = Chart(title="t", unit="s", days=days, series=[Series("a", [1.0, None, 3.0])])
    assert (lines.top, lines.marks) == (4, ["4", "2", "0"])
    assert lines.drawings[0][2] == "M0.5 75.00h0M2.5 25.00h0"
    assert lines.rows[1] == (days[1], ["–"])
    bars = Chart(title="t", unit="a day", days=days, series=[Series("a", [0, 1, 1])], is_bars=True)
    assert bars.top == 2  # so that half of it is a whole number
    assert [(bar.x, bar.y, bar.height) for bar in bars.drawings[0][1]] == [(1.1, 50, 50), (2.1, 50, 50)]
    assert [write_seconds(value) for value in (None, 0.42, 5.2, 119, 7300, 200_000)] == [
        *("–", "0.42 s", "5.2 s", "119 s", "2 h", "2 d")
    ]
    assert [write_bytes(count) for count in (10, 1_234_567, 5_300_000_000)] == ["10 B", "1.2 MB", "5.3 GB"]
