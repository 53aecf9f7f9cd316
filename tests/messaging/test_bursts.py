"""Messages sent within a few seconds are one turn: answered together, once, each of them marked."""

import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from memories.models import Memory
from messaging.bursts import MOST_MESSAGES, begin_turn
from messaging.models import Interaction, OutboundMessage, RawMessage
from messaging.turns import process_message
from tests.conftest import make_payload
from tests.doubles.twilio import TwilioDouble

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clean(transactional_db: None, settings: Any) -> Iterator[None]:
    settings.BURST_SECONDS = 3.0
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def user() -> WhatsAppUser:
    """Somebody."""
    return WhatsAppUser.objects.create(
        whatsapp_id="whatsapp:+12025550123", timezone="America/New_York", timezone_source="inferred"
    )


def add(user: WhatsAppUser, body: str, *, seconds_ago: float) -> RawMessage:
    return RawMessage.objects.create(
        message_sid="SM" + secrets.token_hex(16),
        user=user,
        from_address=user.whatsapp_id,
        to_address="whatsapp:+12025550199",
        body=body,
        payload={"Body": body},
        received_at=timezone.now() - timedelta(seconds=seconds_ago),
    )


def texts(begun: tuple[Interaction, list[RawMessage]] | None) -> list[str]:
    assert begun is not None
    turn, messages = begun
    assert list(turn.messages.order_by("id")) == messages
    assert turn.raw_message == messages[-1]
    return [raw.body for raw in messages]


def test_the_job_of_the_last_message_answers_all_of_a_burst(user: WhatsAppUser) -> None:
    first, second, third = (
        add(user, text, seconds_ago=ago) for text, ago in (("a", 4), ("b", 2.5), ("c", 1))
    )
    assert begin_turn(first) is None
    assert begin_turn(second) is None
    assert texts(begin_turn(third)) == ["a", "b", "c"]
    assert begin_turn(first) is None


def test_a_burst_that_is_over_is_answered_by_whichever_job_comes(user: WhatsAppUser) -> None:
    first, _ = add(user, "a", seconds_ago=8), add(user, "b", seconds_ago=6)
    assert texts(begin_turn(first)) == ["a", "b"]


def test_messages_further_apart_are_answered_one_by_one_even_if_they_had_to_wait(user: WhatsAppUser) -> None:
    first, second = add(user, "a", seconds_ago=100), add(user, "b", seconds_ago=90)
    assert texts(begin_turn(first)) == ["a"]
    assert texts(begin_turn(second)) == ["b"]


def test_messages_that_were_held_back_are_answered_together(user: WhatsAppUser) -> None:
    first = add(user, "a", seconds_ago=100)
    add(user, "b", seconds_ago=60)
    assert texts(begin_turn(first, is_held=True)) == ["a", "b"]


@pytest.mark.parametrize("alone", ["/list", "  /forget 3"])
def test_a_command_is_answered_by_itself_and_in_its_turn(user: WhatsAppUser, alone: str) -> None:
    before = add(user, "a", seconds_ago=2)
    command = add(user, alone, seconds_ago=1.5)
    after = add(user, "b", seconds_ago=1)
    assert texts(begin_turn(before)) == ["a"]  # nothing can come to it any more
    assert texts(begin_turn(command)) == [alone]
    assert texts(begin_turn(after)) == ["b"]


def test_who_never_stops_sending_is_answered_meanwhile(user: WhatsAppUser) -> None:
    first = add(user, "0", seconds_ago=12.5)
    for number in range(1, 12):
        add(user, str(number), seconds_ago=12.5 - number)
    assert texts(begin_turn(first)) == [str(number) for number in range(12)]


def test_a_burst_has_an_end(user: WhatsAppUser) -> None:
    rows = [add(user, str(number), seconds_ago=1) for number in range(MOST_MESSAGES + 1)]
    assert len(texts(begin_turn(rows[0]))) == MOST_MESSAGES
    assert texts(begin_turn(rows[-1])) == [str(MOST_MESSAGES)]


def test_messages_of_others_are_never_in_a_burst(user: WhatsAppUser) -> None:
    other = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550124", timezone="UTC")
    add(other, "theirs", seconds_ago=1)
    assert texts(begin_turn(add(user, "mine", seconds_ago=1))) == ["mine"]


def test_a_new_message_is_not_taken_into_a_turn_that_has_begun(user: WhatsAppUser) -> None:
    first = add(user, "a", seconds_ago=3)
    begun = begin_turn(first)
    later = add(user, "b", seconds_ago=0.5)
    assert begin_turn(first) is None
    assert texts(begun) == ["a"]
    assert texts(begin_turn(later)) == ["b"]


def test_a_turn_begun_by_the_version_before_is_taken_over(user: WhatsAppUser) -> None:
    raw = add(user, "a", seconds_ago=3)
    old = Interaction.objects.create(raw_message=raw, attempts=2)
    begun = begin_turn(raw)
    assert texts(begun) == ["a"]
    assert begun
    assert begun[0].id == old.id


def test_a_burst_gets_one_reply_and_all_of_it_is_remembered(
    deliver: Callable[..., Any], run_jobs: Callable[[], int], twilio_double: TwilioDouble
) -> None:
    for body in ("The gate code is 4711", "Milk is on the list", "The bins go out on Monday"):
        deliver(make_payload(body))
    assert run_jobs() >= 4
    assert [message.body for message in twilio_double.messages] == [
        "Saved as #1. Ask me about it any time.\nSaved as #2. Ask me about it any time.\n"
        "Saved as #3. Ask me about it any time."
    ]
    assert set(RawMessage.objects.values_list("status", flat=True)) == {"answered"}
    assert RawMessage.objects.values("turn").distinct().count() == 1
    assert Interaction.objects.count() == OutboundMessage.objects.count() == 1
    assert {memory.raw_message_id for memory in Memory.objects.all()} == {
        raw.id for raw in RawMessage.objects.all()
    }


def test_the_webhook_gives_a_message_time_for_others_but_a_command_none(deliver: Callable[..., Any]) -> None:
    deliver(make_payload("The gate code is 4711"))
    deliver(make_payload("/list"))
    message, command = ProcrastinateJob.objects.order_by("id")
    received = RawMessage.objects.earliest("id").received_at
    assert message.scheduled_at - received == timedelta(seconds=3)
    assert command.scheduled_at is None


def test_a_turn_of_several_messages_that_failed_is_resumed_with_the_same(
    user: WhatsAppUser, twilio_double: TwilioDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = add(user, "Milk is on the list", seconds_ago=5), add(user, "So is bread", seconds_ago=4)

    def fail(turn: Any) -> Any:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr("messaging.turns.answer_from_memories", fail)
        with pytest.raises(TimeoutError):
            process_message(last.id)
    add(user, "And butter", seconds_ago=0)
    process_message(first.id)  # the sweep may name either
    assert Interaction.objects.get().answer.count("Saved as") == 2
    assert RawMessage.objects.filter(status="answered").count() == 2
