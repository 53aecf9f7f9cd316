"""What became of a message, stage by stage."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import WhatsAppUser
from media.models import MessageMedia
from messaging.delivery import defer_send
from messaging.forgetting import redact_messages
from messaging.inbound import enqueue_media, enqueue_message
from messaging.models import DeliveryEvent, OutboundMessage, RawMessage
from messaging.stages import Explanation, explain
from tests.media.objects import make_file
from tests.memories.sides import NOON, make_person
from tests.messaging.made import MINUTE, answer, make_raw, make_turn, remember
from whatsbot.integrations.twilio_error_texts import BY_CLASS, TEXTS, describe_error
from whatsbot.integrations.twilio_errors import ErrorClass

pytestmark = pytest.mark.django_db
FILE = {"NumMedia": "1", "MediaUrl0": "https://api.twilio.com/ME1", "MediaContentType0": "image/jpeg"}


@pytest.fixture
def ana() -> WhatsAppUser:
    return make_person()


def look(raw: RawMessage) -> Explanation:
    explanation = explain(raw.id)
    assert explanation is not None
    return explanation


def states(raw: RawMessage) -> dict[str, str]:
    return {str(stage.name): str(stage.state) for stage in look(raw).stages}


def attach(raw: RawMessage, **fields: Any) -> MessageMedia:
    return MessageMedia.objects.create(
        raw_message=raw, user=raw.user, position=0, sent_at=raw.received_at, **fields
    )


def run_as(status: str, **fields: Any) -> None:
    """Let the only job be in this state."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = %s, attempts = %s, scheduled_at = %s",
            [status, fields.get("attempts", 1), fields.get("scheduled_at")],
        )


def test_a_message_that_went_all_the_way_is_done_everywhere(ana: WhatsAppUser) -> None:
    raw = make_raw(ana, at=NOON, **FILE)
    file = make_file(described_by="a model", described_at=NOON + MINUTE)
    attach(raw, file=file)
    memory = remember(ana, raw=raw, tool_call="media.0")
    made = answer(ana, raw=raw, kind="saved", used=[memory], parts=2, status="read", at=NOON + 2 * MINUTE)
    parts = OutboundMessage.objects.filter(interaction=made)
    parts.update(sent_at=NOON + 3 * MINUTE, delivered_at=NOON + 4 * MINUTE)
    seen = look(raw)
    assert [(str(stage.name), str(stage.state)) for stage in seen.stages] == [
        (name, "done")
        for name in ("received", "media", "described", "answered", "remembered", "sent", "delivered")
    ]
    assert not any(stage.retry or stage.obstacle or stage.error for stage in seen.stages)
    assert [seen[name].at for name in ("received", "answered", "sent", "delivered")] == [
        NOON,
        NOON + 2 * MINUTE,
        NOON + 3 * MINUTE,
        NOON + 4 * MINUTE,
    ]
    assert [seen[name].took for name in ("sent", "delivered")] == [MINUTE, MINUTE]
    assert seen["remembered"].lines == [f"#{memory.number} saved"]
    assert [citation.memory for citation in seen.facts.citations] == [memory]


def test_a_message_without_a_job_has_failed_and_one_with_a_job_waits(ana: WhatsAppUser) -> None:
    raw = make_raw(ana)
    assert states(raw) == {
        "received": "done",
        "media": "skipped",
        "described": "skipped",
        "answered": "failed",
        "remembered": "waiting",
        "sent": "waiting",
        "delivered": "waiting",
    }
    assert look(raw)["answered"].retry == "Answer it"
    enqueue_message(raw)
    assert (look(raw)["answered"].state, look(raw)["answered"].retry) == ("waiting", "")
    run_as("todo", scheduled_at=timezone.now() + timedelta(minutes=3))
    assert look(raw)["answered"].retry == "Try now"
    run_as("doing")
    assert "Its worker has died" in look(raw)["answered"].detail
    run_as("failed")
    assert look(raw)["answered"].state == "failed"


def test_an_apology_and_what_is_never_answered_offer_nothing(ana: WhatsAppUser) -> None:
    sorry = make_raw(ana)
    made = answer(ana, raw=sorry, kind="apology")
    type(made).objects.filter(id=made.id).update(attempts=6, error="OperationalError")
    stage = look(sorry)["answered"]
    assert (stage.state, stage.error, stage.retry) == ("failed", "OperationalError", "")
    assert "No message is answered twice" in stage.obstacle
    ignored = make_raw(ana)
    RawMessage.objects.filter(id=ignored.id).update(status="ignored")
    assert set(states(ignored).values()) == {"done", "skipped"}


def test_files_say_why_they_are_not_there_and_whether_it_is_of_use_to_fetch_them_again(
    ana: WhatsAppUser, settings: Any
) -> None:
    raw = make_raw(ana, **FILE)
    answer(ana, raw=raw)
    assert look(raw)["media"].retry == "Fetch again"  # never begun, and nobody at it
    link = attach(raw, refusal="gone")
    assert (look(raw)["media"].state, look(raw)["media"].retry) == ("failed", "Fetch again")
    link.refusal = "too_big"
    link.save()
    stage = look(raw)["media"]
    assert (stage.retry, stage.obstacle) == ("", "It was refused for what it is, and would be again.")
    assert stage.lines == ["picture: refused, too big"]
    link.refusal, link.file = "", make_file(description_error="PermanentProviderError")
    link.save()
    assert look(raw)["media"].state == "done"
    assert look(raw)["described"].state == "skipped"  # no model is set up
    settings.GEMINI_API_KEY = "a key"
    stage = look(raw)["described"]
    assert (stage.state, stage.error, stage.retry) == ("failed", "PermanentProviderError", "Describe again")
    settings.TOKENS_PER_DAY = 1
    MessageMedia.objects.update(tokens=5, sent_at=timezone.now())
    assert "spent" in look(raw)["described"].obstacle
    enqueue_media(raw)
    assert look(raw)["described"].state == "waiting"


def test_parts_that_failed_say_what_the_code_means(ana: WhatsAppUser) -> None:
    raw = make_raw(ana)
    made = answer(ana, raw=raw, parts=2)
    refused, failed = OutboundMessage.objects.filter(interaction=made).order_by("part")
    OutboundMessage.objects.filter(id=refused.id).update(status="failed", twilio_sid=None, error_code=63003)
    OutboundMessage.objects.filter(id=failed.id).update(status="failed", error_code=63024)
    DeliveryEvent.objects.create(
        twilio_sid=failed.twilio_sid, status="undelivered", error_code=63024, outbound_message=failed
    )
    seen = look(raw)
    assert seen["sent"].error == "63003: The number is not on WhatsApp."
    assert seen["delivered"].error == "63024: WhatsApp does not know the recipient."
    assert [seen[name].retry for name in ("sent", "delivered")] == ["Send again", "Send again"]
    WhatsAppUser.objects.update(last_inbound_at=timezone.now() - timedelta(hours=25))
    assert "24 hours" in look(raw)["sent"].obstacle
    OutboundMessage.objects.filter(id=refused.id).update(status="pending")
    assert look(raw)["sent"].retry == "Send again"  # without a job
    defer_send(refused)
    assert (look(raw)["sent"].state, look(raw)["sent"].retry) == ("waiting", "")


def test_messages_of_a_burst_share_the_answer_and_what_was_forgotten_is_said_to_be(ana: WhatsAppUser) -> None:
    turn = make_turn(ana, "The gate code", "is 4711")
    first, second = RawMessage.objects.order_by("id")
    remember(ana, raw=second, tool_call="1.1")
    answer_of_both = second.interaction
    answer_of_both.answer, answer_of_both.kind = "Saved", "saved"
    answer_of_both.transcript = [{"tool": {"name": "store_memory", "args": {}, "outcome": {"failed": "x"}}}]
    answer_of_both.answered_at = answer_of_both.started_at
    answer_of_both.save()
    seen = look(first)
    assert seen.facts.messages == [first, second]
    assert "2 messages that were answered together" in seen["received"].detail
    assert (seen["remembered"].state, seen["remembered"].lines) == ("failed", ["#1 saved"])
    redact_messages([turn.contents[0].raw_message_id])
    assert "forgotten" in look(first)["received"].detail


def test_a_long_way_costs_no_more_statements_than_a_short_one(ana: WhatsAppUser) -> None:
    def count(raw: RawMessage) -> int:
        with CaptureQueriesContext(connection) as queries:
            look(raw)
        return len(queries)

    short = make_raw(ana)
    answer(ana, raw=short)
    make_turn(ana, *("one of many" for _ in range(10)))
    raw = RawMessage.objects.latest("id")
    for number in range(10):
        remember(ana, f"thing {number}", raw=raw, tool_call=f"1.{number}")
        OutboundMessage.objects.create(
            interaction=raw.interaction, user=ana, part=number + 1, body="x", status="failed"
        )
        defer_send(OutboundMessage.objects.latest("created_at"))
    assert count(raw) == count(short) <= 11


def test_every_code_has_a_sentence() -> None:
    assert set(BY_CLASS) == set(ErrorClass)
    assert describe_error(None) == ""
    assert describe_error(63027) == "63027: The content was refused."
    assert describe_error(99999).startswith("99999: ")
    known = {code for kind in ErrorClass for code in kind.value}
    assert set(TEXTS) <= known


def test_what_staff_have_or_have_answered_waits_for_no_job_and_is_not_retried(ana: WhatsAppUser) -> None:
    raw = make_raw(ana)
    for status, state in (("held", "waiting"), ("answered", "done")):
        RawMessage.objects.filter(id=raw.id).update(status=status)
        stage = look(raw)["answered"]
        assert (str(stage.state), stage.retry) == (state, "")
        assert "member of staff" in stage.detail
        assert states(raw)["sent"] == ("waiting" if status == "held" else "skipped")
