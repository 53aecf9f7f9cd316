"""How much one person may ask for: what is too fast waits and is answered together, once it was said politely."""

import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.models import WhatsAppUser
from memories.models import Memory
from messaging import limits
from messaging.models import Interaction, OutboundMessage, RawMessage
from messaging.turns import process_message
from tests.conftest import make_payload
from tests.doubles.twilio import TwilioDouble

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clean(transactional_db: None) -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


def add_answer(user: WhatsAppUser, *, ago: timedelta, tokens: int = 0) -> Interaction:
    when = timezone.now() - ago
    raw = RawMessage.objects.create(
        message_sid="SM" + secrets.token_hex(16),
        user=user,
        from_address="a",
        to_address="b",
        payload={},
        status="answered",
        received_at=when,
    )
    return Interaction.objects.create(
        raw_message=raw,
        kind="saved",
        answer="x",
        started_at=when,
        answered_at=when,
        input_tokens=tokens,
        output_tokens=tokens,
    )


@pytest.fixture
def user(settings: Any) -> WhatsAppUser:
    """Somebody."""
    return WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550123", timezone_source="inferred")


def test_who_had_the_answers_of_a_minute_waits_until_the_first_of_them_is_a_minute_old(
    user: WhatsAppUser, settings: Any
) -> None:
    settings.MESSAGES_PER_MINUTE = 3
    other = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550124")
    for seconds in (70, 50, 40):
        add_answer(user, ago=timedelta(seconds=seconds))
        add_answer(other, ago=timedelta(seconds=1))
    raw = RawMessage.objects.latest("id")
    raw.user, raw.received_at = user, timezone.now()
    assert limits.get_pace(raw) == limits.Pace(seconds_to_wait=0, was_held=False, is_last=True)
    add_answer(user, ago=timedelta(seconds=5))
    pace = limits.get_pace(raw)
    assert 8 < pace.seconds_to_wait <= 10
    assert not pace.is_last
    raw.received_at -= timedelta(seconds=11)
    add_answer(user, ago=timedelta(seconds=61))
    assert limits.get_pace(raw).was_held


def test_no_limit_is_no_limit(user: WhatsAppUser, settings: Any) -> None:
    settings.MESSAGES_PER_MINUTE = settings.TOKENS_PER_DAY = 0
    for _ in range(3):
        add_answer(user, ago=timedelta(seconds=1), tokens=10**6)
    raw = RawMessage.objects.latest("id")
    assert limits.get_pace(raw) == limits.Pace()
    assert not limits.has_spent_tokens(user.id)


def test_what_is_sent_too_fast_waits_and_is_answered_together_with_one_notice(
    deliver: Callable[..., Any], run_jobs: Callable[[], int], twilio_double: TwilioDouble, settings: Any
) -> None:
    settings.MESSAGES_PER_MINUTE = 2
    things = ("Milk", "Bread", "Butter", "Honey", "Salt")
    for body in things[:2]:
        deliver(make_payload(f"{body} is on the list"))
        run_jobs()
    first, second = (message.body for message in twilio_double.messages)
    assert "faster" not in first
    assert second.startswith("Saved as #2.")
    assert second != "Saved as #2. Ask me about it any time."  # says that the next ones will wait
    for body in things[2:]:
        deliver(make_payload(f"{body} is on the list"))
    third = RawMessage.objects.order_by("id")[2]
    wait = process_message(third.id)
    assert wait is not None
    assert 50 < wait <= 60
    assert len(twilio_double.messages) == 2
    minute = timedelta(seconds=61)  # passes
    Interaction.objects.update(started_at=F("started_at") - minute, answered_at=F("answered_at") - minute)
    RawMessage.objects.update(received_at=F("received_at") - minute)
    run_jobs()
    assert len(twilio_double.messages) == 3
    assert twilio_double.messages[2].body.count("Saved as") == 3
    assert Memory.objects.count() == 5
    assert OutboundMessage.objects.count() == 3
    assert not RawMessage.objects.exclude(status="answered").exists()


def test_tokens_of_the_last_day_count_and_the_notice_comes_once_a_day(
    user: WhatsAppUser, settings: Any
) -> None:
    settings.TOKENS_PER_DAY = 1000
    add_answer(user, ago=timedelta(hours=25), tokens=5000)
    add_answer(user, ago=timedelta(hours=23), tokens=499)
    assert not limits.has_spent_tokens(user.id)
    add_answer(user, ago=timedelta(minutes=1), tokens=1)
    assert limits.has_spent_tokens(user.id)
    assert [limits.take_tokens_notice(user.id) for _ in range(2)] == [True, False]
    WhatsAppUser.objects.update(tokens_notice_at=timezone.now() - timedelta(hours=25))
    assert limits.take_tokens_notice(user.id)
