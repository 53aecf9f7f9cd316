"""What was forgotten is blanked wherever it was said, and nothing else is."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from memories.changes import forget_memory, undo_memory, update_memory
from memories.models import MemoryHistory
from messaging.commands import find_command
from messaging.content import read_content
from messaging.forgetting import FORGOTTEN, REDACT, redact, redact_messages
from messaging.models import Interaction, OutboundMessage, RawMessage
from tests.conftest import PAYLOADS
from tests.memories.sides import make_person
from tests.messaging.made import CODE, answer, make_raw, make_turn, remember

pytestmark = pytest.mark.django_db
NEW_CODE = "The gate code is 8362"


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody without memories."""
    return make_person()


def is_blank(raw: RawMessage) -> bool:
    raw.refresh_from_db()
    assert (raw.body == "") == (raw.redacted_at is not None)
    assert (raw.body == "") == ("Body" not in raw.payload)
    return raw.body == ""


def is_blanked(answer: Interaction) -> bool:
    answer.refresh_from_db()
    bodies = set(OutboundMessage.objects.filter(interaction=answer).values_list("body", flat=True))
    texts = {answer.answer, *bodies}
    assert FORGOTTEN not in texts or (texts == {FORGOTTEN} and answer.transcript == [])
    return texts == {FORGOTTEN}


def get_jobs() -> list[dict[str, Any]]:
    return [job.args for job in ProcrastinateJob.objects.filter(task_name=REDACT)]


def test_the_messages_that_said_it_and_their_answers_are_blanked(ana: WhatsAppUser) -> None:
    said, again, corrected = (make_raw(ana, text) for text in (CODE, "4711!", NEW_CODE))
    gate = remember(ana, raw=said)
    MemoryHistory.objects.create(
        memory=gate, kind="repeated", text=CODE, said_at=said.received_at, raw_message=again, tool_call="x"
    )
    update_memory(user_id=ana.id, number=1, text=NEW_CODE, raw_message_id=corrected.id, tool_call="y")
    answers = [answer(ana, raw=raw, text="Saved as #1") for raw in (said, again, corrected)]
    forget_memory(user_id=ana.id, number=1)
    assert all(map(is_blank, (said, again, corrected)))
    assert all(map(is_blanked, answers))
    assert get_jobs() == []


def test_the_answers_that_used_it_are_blanked_but_not_the_questions(ana: WhatsAppUser) -> None:
    gate = remember(ana)
    told = answer(ana, "What is the gate code?", used=[gate, remember(ana, "Milk")], parts=2)
    forget_memory(user_id=ana.id, number=1)
    assert is_blanked(told)
    assert told.raw_message.body == "What is the gate code?"


def test_nothing_else_is_touched(ana: WhatsAppUser) -> None:
    bo = make_person()
    remember(ana)
    kept = [remember(ana, "Milk"), remember(bo)]
    answers = [answer(memory.user, used=[memory]) for memory in kept]
    before = {"raw_messages": list(RawMessage.objects.filter(memories__in=kept).values())}
    forget_memory(user_id=ana.id, number=1)
    assert not any(map(is_blanked, answers))
    assert list(RawMessage.objects.filter(memories__in=kept).values()) == before["raw_messages"]
    assert RawMessage.objects.filter(redacted_at__isnull=False).count() == 1


def test_all_messages_of_a_burst_are_blanked(ana: WhatsAppUser) -> None:
    turn = make_turn(ana, "The gate code", "is 4711")
    newest = RawMessage.objects.get(id=turn.raw_message_id)
    told = answer_of(turn)
    remember(ana, raw=newest)
    forget_memory(user_id=ana.id, number=1)
    assert all(is_blank(RawMessage.objects.get(id=content.raw_message_id)) for content in turn.contents)
    assert is_blanked(told)


def test_of_a_burst_only_the_message_that_said_it_where_that_is_known(ana: WhatsAppUser) -> None:
    turn = make_turn(ana, CODE, "and milk")
    said, other = (RawMessage.objects.get(id=content.raw_message_id) for content in turn.contents)
    told = answer_of(turn)
    remember(ana, raw=said)
    forget_memory(user_id=ana.id, number=1)
    assert is_blank(said)
    assert not is_blank(other)
    assert is_blanked(told)


def answer_of(turn: Any) -> Interaction:
    interaction = Interaction.objects.get(raw_message_id=turn.raw_message_id)
    Interaction.objects.filter(id=interaction.id).update(
        answer="Saved as #1", kind="saved", answered_at=interaction.started_at
    )
    return interaction


def test_forgetting_that_is_rolled_back_blanks_nothing(ana: WhatsAppUser) -> None:
    told = answer(ana, used=[remember(ana)])
    with transaction.atomic():
        forget_memory(user_id=ana.id, number=1)
        transaction.set_rollback(True)
    assert not is_blanked(told)
    assert RawMessage.objects.filter(redacted_at__isnull=False).count() == 0


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_a_part_that_is_not_sent_yet_is_blanked_when_it_is(ana: WhatsAppUser, status: str) -> None:
    now = timezone.now()
    told = answer(ana, used=[remember(ana)], parts=2, status=status, at=now)
    first, second = OutboundMessage.objects.filter(interaction=told).order_by("part")
    OutboundMessage.objects.filter(id=first.id).update(status="sent", twilio_sid="SM1")
    forget_memory(user_id=ana.id, number=1)
    (arguments,) = get_jobs()
    assert redact(**arguments) is not None
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.body == FORGOTTEN
    assert second.body == "4711 (2)", "it is sent, and looked up at Twilio, by its text"
    OutboundMessage.objects.filter(id=second.id).update(status="sent", twilio_sid="SM2")
    assert redact(**arguments) is None
    assert is_blanked(told)


def test_a_part_that_can_never_be_sent_is_not_waited_for(ana: WhatsAppUser) -> None:
    told = answer(ana, used=[remember(ana)], status="pending")
    OutboundMessage.objects.update(created_at=timezone.now() - timedelta(hours=26))
    forget_memory(user_id=ana.id, number=1)
    assert is_blanked(told)
    assert get_jobs() == []


def test_a_turn_that_is_running_can_still_be_resumed_and_is_blanked_when_it_is_answered(
    ana: WhatsAppUser,
) -> None:
    turn = make_turn(ana, CODE, at=timezone.now())
    raw = RawMessage.objects.get(id=turn.raw_message_id)
    running = Interaction.objects.get(raw_message=raw)
    Interaction.objects.filter(id=running.id).update(transcript=[{"tool": {}}])
    remember(ana, raw=raw)
    forget_memory(user_id=ana.id, number=1)
    running.refresh_from_db()
    assert running.transcript == [{"tool": {}}]
    assert not is_blank(raw)
    (arguments,) = get_jobs()
    assert redact(**arguments) is not None
    answer_of(turn)
    assert redact(**arguments) is None
    assert is_blank(raw)
    assert is_blanked(running)


def test_a_turn_that_never_ended_is_not_waited_for(ana: WhatsAppUser) -> None:
    turn = make_turn(ana, CODE, at=timezone.now() - timedelta(hours=26))
    raw = RawMessage.objects.get(id=turn.raw_message_id)
    remember(ana, raw=raw)
    forget_memory(user_id=ana.id, number=1)
    assert is_blank(raw)
    assert get_jobs() == []


@pytest.mark.parametrize("text", ["/forget 1", "/undo 1"])
def test_the_answer_that_quotes_what_was_forgotten_is_blanked_once_it_is_sent(
    ana: WhatsAppUser, text: str
) -> None:
    remember(ana)
    turn = make_turn(ana, text, at=timezone.now())
    found = find_command(turn)
    assert found is not None
    assert CODE in found.run().text
    (arguments,) = get_jobs()
    running = Interaction.objects.get(raw_message_id=turn.raw_message_id)
    assert arguments["interaction_ids"] == [running.id]
    answer_of(turn)
    assert redact(**arguments) is None
    assert is_blanked(running)


def test_the_job_waits_for_what_is_to_be_sent_first(ana: WhatsAppUser) -> None:
    answer(ana, used=[remember(ana)], status="pending", at=timezone.now())
    forget_memory(user_id=ana.id, number=1)
    job = ProcrastinateJob.objects.get(task_name=REDACT)
    assert (job.queue_name, job.lock) == ("upkeep", None)
    assert job.priority < 0


def test_undoing_a_correction_blanks_only_the_message_that_corrected(ana: WhatsAppUser) -> None:
    said, corrected = make_raw(ana), make_raw(ana, NEW_CODE)
    gate = remember(ana, raw=said)
    used = answer(ana, used=[gate])
    update_memory(user_id=ana.id, number=1, text=NEW_CODE, raw_message_id=corrected.id, tool_call="y")
    told = answer(ana, raw=corrected, text=f"Corrected: {NEW_CODE}")
    undo_memory(user_id=ana.id, number=1)
    assert is_blank(corrected)
    assert is_blanked(told)
    assert not is_blank(said)
    assert not is_blanked(used)


def test_a_message_that_also_said_what_holds_again_is_kept(ana: WhatsAppUser) -> None:
    said = make_raw(ana, f"{CODE}, no, 8362")
    remember(ana, raw=said)
    update_memory(user_id=ana.id, number=1, text=NEW_CODE, raw_message_id=said.id, tool_call="y")
    undo_memory(user_id=ana.id, number=1)
    assert not is_blank(said)


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_nothing_anybody_wrote_is_left_in_a_blanked_payload(ana: WhatsAppUser, number: int) -> None:
    payload = PAYLOADS[number]
    raw = RawMessage.objects.create(
        message_sid=payload["MessageSid"],
        user=ana,
        from_address=payload["From"],
        to_address=payload["To"],
        body=payload.get("Body", ""),
        payload=payload,
    )
    before = read_content(raw)
    redact_messages([raw.id])
    raw.refresh_from_db()
    after = read_content(raw)
    assert raw.body == after.text == ""
    assert after.place is None
    wordy = ("Body", "Button", "List", "Label", "Address", "Latitude", "Longitude", "ProfileName", "Referral")
    assert not [
        name for name in raw.payload if name.startswith((*wordy, "MediaUrl", "Channel", "Interactive"))
    ]
    assert [each.kind for each in after.attachments] == [each.kind for each in before.attachments]
    for name in ("is_forwarded", "replied_to_sid", "is_reaction", "opt_out"):
        assert getattr(after, name) == getattr(before, name)
    assert raw.payload["MessageSid"] == raw.message_sid


def test_blanking_again_keeps_the_time_of_the_first(ana: WhatsAppUser) -> None:
    raw = make_raw(ana)
    redact_messages([raw.id])
    raw.refresh_from_db()
    first = raw.redacted_at
    redact_messages([raw.id])
    raw.refresh_from_db()
    assert raw.redacted_at == first
