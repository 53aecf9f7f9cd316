"""What failed is done again when staff ask for it, and nobody is answered twice."""

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent, StaffUser, WhatsAppUser
from media.models import MessageMedia
from memories.models import Memory
from messaging import turns
from messaging.delivery import queue_answer
from messaging.models import DeliveryEvent, Interaction, OutboundMessage, RawMessage
from messaging.resending import send_again
from messaging.retrying import NothingToRetry, retry
from messaging.stages import explain
from tests.conftest import make_payload
from tests.doubles.gemini import running_gemini_double
from tests.doubles.gemini_model import describe_as
from tests.doubles.twilio import TwilioDouble
from tests.media.files import picture
from tests.messaging.made import make_raw
from tests.settings import ACCOUNT_SID

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clean(settings: Any, tmp_path: Path, transactional_db: None) -> Iterator[None]:
    settings.MEDIA_ROOT, settings.UPLOADS_DIR = tmp_path / "files", tmp_path
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def staff() -> StaffUser:
    return StaffUser.objects.create(username="operator", is_staff=True)


@pytest.fixture
def ana() -> WhatsAppUser:
    return WhatsAppUser.objects.create(
        whatsapp_id="whatsapp:+12025550143", phone_number="+12025550143", timezone_source="chosen"
    )


@pytest.fixture
def failed(ana: WhatsAppUser) -> OutboundMessage:
    """The one part of an answer, that Twilio has not taken."""
    return give_up(queue(ana))


def queue(person: WhatsAppUser, text: str = "The gate code is 4711.") -> OutboundMessage:
    raw = make_raw(person, at=timezone.now())
    made = Interaction.objects.create(
        raw_message=raw, answer=text, kind="recalled", answered_at=timezone.now() + timedelta(seconds=1)
    )
    RawMessage.objects.filter(id=raw.id).update(turn=made, status="answered")
    queue_answer(raw_message=raw, interaction=made)
    return OutboundMessage.objects.get(interaction=made)


def give_up(row: OutboundMessage, **fields: Any) -> OutboundMessage:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    OutboundMessage.objects.filter(id=row.id).update(
        status="failed", error_code=63024, attempts=8, attempted_at=timezone.now(), **fields
    )
    row.refresh_from_db()
    return row


def message_of(row: OutboundMessage) -> int:
    return int(row.interaction.raw_message_id)


def test_an_unanswered_message_is_answered_once_with_all_its_attempts(
    ana: WhatsAppUser,
    staff: StaffUser,
    twilio_double: TwilioDouble,
    run_jobs: Callable[[], int],
) -> None:
    raw = make_raw(ana, at=timezone.now())
    stuck = Interaction.objects.create(raw_message=raw, attempts=5, error="OperationalError")
    RawMessage.objects.filter(id=raw.id).update(turn=stuck)
    retry(raw.id, stage="answered", staff=staff)
    with pytest.raises(NothingToRetry, match="worked on already"):
        retry(raw.id, stage="answered", staff=staff)
    run_jobs()
    assert [message.body for message in twilio_double.messages] == ["Saved as #1. Ask me about it any time."]
    stuck.refresh_from_db()
    assert (stuck.kind, stuck.attempts) == ("saved", 1)
    with pytest.raises(NothingToRetry):
        retry(raw.id, stage="answered", staff=staff)
    event = AuditEvent.objects.get()
    assert (event.action, event.staff_name, event.person_id) == ("retried", "operator", ana.id)
    assert (event.object_type, event.object_id) == ("messaging.rawmessage", str(raw.id))
    assert event.detail == {"stage": "answered", "jobs": 1}


def test_an_apology_is_an_answer_too(
    ana: WhatsAppUser,
    staff: StaffUser,
    twilio_double: TwilioDouble,
    deliver: Callable[..., Any],
    run_jobs: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(turn: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(turns, "answer_from_memories", fail)
    deliver(make_payload("The gate code is 4711"))
    run_jobs()
    assert [message.body for message in twilio_double.messages] == [turns.APOLOGY]
    for stage in ("answered", "remembered", "sent", "delivered", "nonsense"):
        with pytest.raises(NothingToRetry):
            retry(RawMessage.objects.get().id, stage=stage, staff=staff)
    assert run_jobs() == 0


def test_two_who_press_at_once_enqueue_one_job(ana: WhatsAppUser, staff: StaffUser) -> None:
    raw = make_raw(ana, at=timezone.now())
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def press() -> None:
        start.wait()
        try:
            retry(raw.id, stage="answered", staff=staff)
            outcomes.append("done")
        except NothingToRetry:
            outcomes.append("nothing")
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "nothing"]
    assert ProcrastinateJob.objects.count() == 1
    assert AuditEvent.objects.count() == 1


def test_a_job_that_waits_for_its_time_runs_now(ana: WhatsAppUser, staff: StaffUser) -> None:
    row = queue(ana)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET attempts = 3, scheduled_at = now() + interval '5 minutes'"
        )
    retry(message_of(row), stage="sent", staff=staff)
    assert ProcrastinateJob.objects.get().scheduled_at is None


def test_files_that_were_not_to_be_had_are_fetched_behind_the_answer_without_a_second_reply(
    staff: StaffUser,
    twilio_double: TwilioDouble,
    deliver: Callable[..., Any],
    run_jobs: Callable[[], int],
    settings: Any,
) -> None:
    deliver(make_payload("The lease", **twilio_double.make_media_payload(picture(), "image/jpeg")))
    raw = RawMessage.objects.get()
    MessageMedia.objects.create(
        raw_message=raw, user=raw.user, position=0, sent_at=raw.received_at, refusal="unreachable", attempts=4
    )
    run_jobs()
    said = len(twilio_double.messages)
    memories = Memory.objects.count()
    retry(raw.id, stage="media", staff=staff)
    run_jobs()
    link = MessageMedia.objects.get()
    assert link.file is not None
    assert link.file.stored_at is not None
    assert Memory.objects.filter(tool_call="media.0").count() == 1
    assert Memory.objects.count() == memories + 1
    with running_gemini_double() as gemini:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = gemini.api_key, gemini.base_url
        gemini.describe_with(lambda request: describe_as(description="A lease with a stamp", text=""))
        retry(raw.id, stage="described", staff=staff)
        run_jobs()
    assert "A lease with a stamp" in Memory.objects.get(tool_call="media.0").text
    assert len(twilio_double.messages) == said


def test_what_twilio_never_took_is_sent_again(
    failed: OutboundMessage,
    staff: StaffUser,
    twilio_double: TwilioDouble,
    run_jobs: Callable[[], int],
) -> None:
    retry(message_of(failed), stage="sent", staff=staff)
    run_jobs()
    failed.refresh_from_db()
    assert (failed.status, failed.attempts, failed.error_code) == ("sent", 1, None)
    assert [message.sid for message in twilio_double.messages] == [failed.twilio_sid]


def test_what_twilio_took_after_all_is_not_sent_again(
    failed: OutboundMessage,
    staff: StaffUser,
    twilio_double: TwilioDouble,
    run_jobs: Callable[[], int],
) -> None:
    there = twilio_double.add_message(
        to=failed.to_address, from_=failed.from_address, body=failed.body, status="sent"
    )
    retry(message_of(failed), stage="sent", staff=staff)
    run_jobs()
    failed.refresh_from_db()
    assert (failed.status, failed.twilio_sid) == ("sent", there.sid)
    assert len(twilio_double.messages) == 1


@pytest.mark.parametrize("word", ["failed", "undelivered", "canceled"])
def test_what_twilio_says_has_failed_is_sent_as_a_new_message_and_late_words_about_the_old_one_do_not_count(
    failed: OutboundMessage,
    staff: StaffUser,
    twilio_double: TwilioDouble,
    run_jobs: Callable[[], int],
    deliver: Callable[..., Any],
    word: str,
) -> None:
    old = twilio_double.add_message(
        to=failed.to_address, from_=failed.from_address, body=failed.body, status=word, error_code=63024
    )
    OutboundMessage.objects.filter(id=failed.id).update(twilio_sid=old.sid)
    retry(message_of(failed), stage="delivered", staff=staff)
    assert explain(message_of(failed))["delivered"].state == "waiting"  # type: ignore[index]
    with connection.cursor() as cursor:  # asked, and not sent yet
        cursor.execute("SELECT args->>'outbound_id' FROM procrastinate_jobs")
        assert cursor.fetchall() == [(str(failed.id),)]
    send_again(failed.id)
    form = {"AccountSid": ACCOUNT_SID, "MessageSid": old.sid, "MessageStatus": "failed", "ErrorCode": "63024"}
    assert deliver(form, path=f"/webhook/status?o={failed.id}").status_code in (200, 204)
    failed.refresh_from_db()
    assert (failed.status, failed.twilio_sid) == ("pending", None)
    run_jobs()
    failed.refresh_from_db()
    new = twilio_double.messages[-1]
    assert new.sid != old.sid
    assert (failed.status, failed.twilio_sid, failed.attempts) == ("sent", new.sid, 1)
    assert len(twilio_double.messages) == 2
    assert DeliveryEvent.objects.filter(twilio_sid=old.sid, status=word, outbound_message=failed).exists()


@pytest.mark.parametrize("word", ["delivered", "read", "sent", "queued", None])
def test_what_twilio_does_not_say_has_failed_is_not_sent_again(
    failed: OutboundMessage,
    staff: StaffUser,
    twilio_double: TwilioDouble,
    run_jobs: Callable[[], int],
    word: str | None,
) -> None:
    sid = f"SM{uuid.uuid4().hex}"  # which it does not know
    if word is not None:
        details = {"to": failed.to_address, "from_": failed.from_address, "body": failed.body}
        sid = twilio_double.add_message(**details, status=word).sid
    OutboundMessage.objects.filter(id=failed.id).update(twilio_sid=sid)
    before = len(twilio_double.messages)
    retry(message_of(failed), stage="delivered", staff=staff)
    run_jobs()
    failed.refresh_from_db()
    assert failed.twilio_sid == sid
    assert failed.status == (word if word in ("delivered", "read") else "failed")
    assert len(twilio_double.messages) == before


def test_as_long_as_twilio_cannot_be_asked_nothing_is_sent(
    failed: OutboundMessage,
    staff: StaffUser,
    twilio_double: TwilioDouble,
    run_jobs: Callable[[], int],
) -> None:
    old = twilio_double.add_message(
        to=failed.to_address, from_=failed.from_address, body=failed.body, status="failed"
    )
    OutboundMessage.objects.filter(id=failed.id).update(twilio_sid=old.sid)
    twilio_double.fail_next("fetch", kind="unavailable", times=2)
    retry(message_of(failed), stage="delivered", staff=staff)
    run_jobs()
    assert ProcrastinateJob.objects.get(task_name="messaging.send_again").attempts == 3
    assert len(twilio_double.messages) == 2


def test_outside_the_window_and_once_forgotten_nothing_is_sent_again(
    failed: OutboundMessage, ana: WhatsAppUser, staff: StaffUser
) -> None:
    OutboundMessage.objects.filter(id=failed.id).update(body="[forgotten]")
    with pytest.raises(NothingToRetry, match="forgotten"):
        retry(message_of(failed), stage="sent", staff=staff)
    OutboundMessage.objects.filter(id=failed.id).update(body="x")
    WhatsAppUser.objects.update(last_inbound_at=timezone.now() - timedelta(hours=25))
    with pytest.raises(NothingToRetry, match="24 hours"):
        retry(message_of(failed), stage="sent", staff=staff)
    with pytest.raises(NothingToRetry, match="gone"):
        retry(0, stage="sent", staff=staff)
    assert not ProcrastinateJob.objects.exists()
    assert not AuditEvent.objects.exists()
