"""Answers go out once, whatever Twilio says or does not say."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from messaging import delivery
from messaging.models import DeliveryEvent, Interaction, OutboundMessage, RawMessage
from tests.doubles.twilio import RecordedMessage, TwilioDouble
from tests.settings import ACCOUNT_SID, SENDER

pytestmark = pytest.mark.django_db
TO = "whatsapp:+12025550123"


@pytest.fixture
def queued() -> OutboundMessage:
    """One part of one answer, queued but not sent."""
    return queue("Saved as #1.")


def queue(answer: str) -> OutboundMessage:
    user, _ = WhatsAppUser.objects.get_or_create(whatsapp_id=TO, phone_number="+12025550123")
    raw = RawMessage.objects.create(
        message_sid=f"SM{uuid.uuid4().hex}",
        user=user,
        from_address=TO,
        to_address=SENDER,
        body="x",
        payload={},
    )
    interaction = Interaction.objects.create(
        raw_message=raw,
        answer=answer,
        kind=Interaction.Kind.SAVED,
        answered_at=timezone.now() + timedelta(seconds=1),
    )
    delivery.queue_answer(raw_message=raw, interaction=interaction)
    first = OutboundMessage.objects.filter(interaction=interaction).order_by("part").first()
    assert first is not None
    return first


def send(row: OutboundMessage) -> float | None:
    wait = delivery.send_message(row.id)
    row.refresh_from_db()
    return wait


def pass_grace(row: OutboundMessage) -> None:
    OutboundMessage.objects.filter(id=row.id).update(attempted_at=timezone.now() - timedelta(seconds=5))


def callback(deliver: Callable[..., Any], sid: str, status: str, *, tag: Any = None, **fields: str) -> Any:
    path = f"/webhook/status?o={tag}" if tag else "/webhook/status"
    form = {"AccountSid": ACCOUNT_SID, "MessageSid": sid, "MessageStatus": status} | fields
    return deliver(form, path=path)


def test_a_long_answer_becomes_parts_in_order_with_a_job_each(twilio_double: TwilioDouble) -> None:
    queue("A sentence of some length, to be remembered. " * 100)
    parts = list(OutboundMessage.objects.order_by("part"))
    assert len(parts) == 4
    assert [part.part for part in parts] == [1, 2, 3, 4]
    jobs = list(ProcrastinateJob.objects.order_by("id"))
    assert [job.args["outbound_id"] for job in jobs] == [str(part.id) for part in parts]
    assert {job.lock for job in jobs} == {f"outbox:{parts[0].user_id}"}


def test_a_part_is_sent_with_its_tagged_callback(
    twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    assert send(queued) is None
    (message,) = twilio_double.messages
    assert (message.to, message.from_, message.body) == (TO, SENDER, "Saved as #1.")
    assert message.status_callback == f"https://bot.example.com/webhook/status?o={queued.id}"
    assert (queued.status, queued.twilio_sid) == ("sent", message.sid)
    assert queued.sent_at is not None


def test_a_sent_part_is_not_sent_again(twilio_double: TwilioDouble, queued: OutboundMessage) -> None:
    send(queued)
    assert send(queued) is None
    assert len(twilio_double.messages) == 1


def test_a_part_that_is_gone_is_nothing_to_do(twilio_double: TwilioDouble) -> None:
    assert delivery.send_message(uuid.uuid4()) is None


@pytest.mark.parametrize("kind", ["cut_body", "junk", "empty", "reset_after_storing"])
def test_a_lost_answer_is_found_and_not_sent_again(
    twilio_double: TwilioDouble, queued: OutboundMessage, kind: Any
) -> None:
    twilio_double.fail_next("create", kind=kind)
    wait = send(queued)
    assert wait == pytest.approx(0.2)
    assert queued.status == "sending"
    pass_grace(queued)
    assert send(queued) is None
    assert queued.status == "sent"
    assert [message.sid for message in twilio_double.messages] == [queued.twilio_sid]


@pytest.mark.parametrize("kind", ["unavailable", "reset_before_storing"])
def test_what_twilio_does_not_have_is_sent_again(
    twilio_double: TwilioDouble, queued: OutboundMessage, kind: Any
) -> None:
    twilio_double.fail_next("create", kind=kind)
    send(queued)
    assert queued.status == "sending"
    pass_grace(queued)
    assert send(queued) is None
    assert queued.status == "sent"
    assert len(twilio_double.messages) == 1
    assert queued.attempts == 2


def test_a_worker_killed_while_sending_leaves_an_unknown_outcome(
    twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    OutboundMessage.objects.filter(id=queued.id).update(
        status="sending", attempted_at=timezone.now(), attempts=1
    )
    wait = send(queued)
    assert wait is not None
    assert 0 < wait <= 0.2
    assert twilio_double.messages == []


def test_an_equal_text_that_belongs_to_another_part_is_not_taken_for_this_one(
    twilio_double: TwilioDouble,
) -> None:
    earlier, later = queue("Saved."), queue("Saved.")
    send(earlier)
    twilio_double.fail_next("create", kind="unavailable")
    send(later)
    pass_grace(later)
    send(later)
    assert len(twilio_double.messages) == 2
    assert earlier.twilio_sid != later.twilio_sid


def test_a_tagged_callback_settles_a_lost_answer_before_any_look_up(
    deliver: Callable[..., Any], twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    twilio_double.fail_next("create", kind="reset_after_storing")
    send(queued)
    (message,) = twilio_double.messages
    assert callback(deliver, message.sid, "delivered", tag=queued.id).status_code == 200
    requests = len(twilio_double.requests)
    assert send(queued) is None
    assert queued.status == "delivered"
    assert len(twilio_double.requests) == requests


def test_callbacks_before_the_create_call_returns_are_not_undone(
    twilio_double: TwilioDouble, queued: OutboundMessage, deliver: Callable[..., Any]
) -> None:
    create = twilio_double.create

    def answer_late(**fields: Any) -> RecordedMessage:
        message = create(**fields)
        early.append(message)
        return message

    early: list[RecordedMessage] = []
    twilio_double.create = answer_late  # type: ignore[method-assign]
    original = delivery.twilio.send_message

    def send_then_callbacks(**fields: Any) -> Any:
        sent = original(**fields)
        for status in ("sent", "delivered", "read"):
            callback(deliver, early[0].sid, status, tag=queued.id)
        return sent

    delivery.twilio.send_message = send_then_callbacks  # type: ignore[assignment]
    try:
        send(queued)
    finally:
        delivery.twilio.send_message = original  # type: ignore[assignment]
    assert queued.status == "read"
    assert queued.twilio_sid == early[0].sid
    assert queued.sent_at is not None
    assert queued.delivered_at is not None


def test_a_callback_that_settles_a_lost_answer_frees_the_persons_next_answers(
    deliver: Callable[..., Any], twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    twilio_double.fail_next("create", kind="unavailable")
    message = twilio_double.add_message(to=TO, from_=SENDER, body="Saved as #1.")
    send(queued)
    later = timezone.now() + timedelta(hours=1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = %s", [later])
    callback(deliver, message.sid, "sent", tag=queued.id)
    assert ProcrastinateJob.objects.get().scheduled_at is None


@pytest.mark.parametrize("order", list(permutations(["sent", "delivered", "read"])))
def test_callbacks_in_any_order_end_at_read(
    deliver: Callable[..., Any], twilio_double: TwilioDouble, queued: OutboundMessage, order: tuple[str, ...]
) -> None:
    send(queued)
    for status in [*order, *order]:
        assert callback(deliver, str(queued.twilio_sid), status, tag=queued.id).status_code == 200
    queued.refresh_from_db()
    assert queued.status == "read"
    assert DeliveryEvent.objects.filter(outbound_message=queued).count() == 3


def test_an_unknown_sid_waits_for_its_message(
    deliver: Callable[..., Any], twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    """A callback of the sender's own setting carries no tag of ours."""
    assert callback(deliver, "SM" + "9" * 32, "delivered").status_code == 200
    delivery.settle(queued.id, sid="SM" + "9" * 32, twilio_status="queued")
    queued.refresh_from_db()
    assert queued.status == "delivered"
    assert DeliveryEvent.objects.get().outbound_message == queued


def test_a_failure_is_recorded_with_its_code(
    deliver: Callable[..., Any], twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    send(queued)
    callback(deliver, str(queued.twilio_sid), "undelivered", tag=queued.id, ErrorCode="63024")
    queued.refresh_from_db()
    assert (queued.status, queued.error_code) == ("failed", 63024)


def test_a_failure_that_comes_after_delivery_does_not_overrule_it(
    deliver: Callable[..., Any], twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    send(queued)
    callback(deliver, str(queued.twilio_sid), "delivered", tag=queued.id)
    callback(deliver, str(queued.twilio_sid), "failed", tag=queued.id, ErrorCode="63024")
    queued.refresh_from_db()
    assert queued.status == "delivered"


def test_a_passing_failure_of_the_channel_is_sent_once_more_as_a_new_message(
    deliver: Callable[..., Any], twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    send(queued)
    first = str(queued.twilio_sid)
    jobs = ProcrastinateJob.objects.count()
    for _ in range(2):  # a repeated callback queues nothing more
        callback(deliver, first, "undelivered", tag=queued.id, ErrorCode="63010")
    assert ProcrastinateJob.objects.count() == jobs + 1
    callback(deliver, first, "sent", tag=queued.id)  # a late word about the first try
    queued.refresh_from_db()
    assert queued.status == "pending"
    send(queued)
    assert len(twilio_double.messages) == 2
    assert queued.twilio_sid == twilio_double.messages[1].sid


def test_a_lost_answer_to_the_second_try_is_not_looked_up_as_the_first(
    deliver: Callable[..., Any], twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    send(queued)
    callback(deliver, str(queued.twilio_sid), "undelivered", tag=queued.id, ErrorCode="63010")
    twilio_double.fail_next("create", kind="reset_before_storing")
    send(queued)
    pass_grace(queued)
    assert send(queued) is None
    assert (queued.status, queued.twilio_sid) == ("sent", twilio_double.messages[1].sid)


def test_a_refusal_for_good_is_not_tried_again(twilio_double: TwilioDouble, queued: OutboundMessage) -> None:
    twilio_double.fail_next("create", kind="error", code=63024)
    assert send(queued) is None
    assert (queued.status, queued.error_code) == ("failed", 63024)
    assert send(queued) is None
    assert twilio_double.messages == []


def test_too_many_requests_wait_as_long_as_twilio_asks(
    twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    twilio_double.fail_next("create", kind="too_many_requests", retry_after="7")
    assert send(queued) == 7
    assert (queued.status, queued.attempts) == ("pending", 0)
    assert send(queued) is None
    assert queued.status == "sent"


def test_a_wrong_token_keeps_the_answer_until_it_is_mended(
    twilio_double: TwilioDouble, queued: OutboundMessage, settings: Any
) -> None:
    right = settings.TWILIO_AUTH_TOKENS
    settings.TWILIO_AUTH_TOKENS = ["wrong"]
    assert send(queued)
    assert queued.status == "pending"
    settings.TWILIO_AUTH_TOKENS = right
    assert send(queued) is None
    assert queued.status == "sent"


def test_twilio_being_away_keeps_the_answer(queued: OutboundMessage) -> None:
    wait = send(queued)  # nothing listens at the address of the test settings
    assert wait is not None
    assert wait >= 1
    assert (queued.status, queued.attempts) == ("pending", 0)


def test_outside_whatsapps_window_an_answer_fails_without_a_call(
    twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    WhatsAppUser.objects.update(last_inbound_at=timezone.now() - timedelta(hours=25))
    assert send(queued) is None
    assert (queued.status, queued.error_code) == ("failed", 63016)
    assert twilio_double.requests == []


def test_unknown_outcomes_without_end_come_to_an_end(
    twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    twilio_double.fail_next("create", kind="unavailable", times=50)
    for _ in range(50):
        if send(queued) is None:
            break
        pass_grace(queued)
    assert queued.status == "failed"
    assert queued.attempts == delivery.MAX_ATTEMPTS


@pytest.mark.parametrize(
    "change",
    [
        {"MessageSid": ""},
        {"MessageStatus": ""},
        {"MessageSid": "S" * 65},
        {"MessageStatus": "s" * 33},
        {"MessageSid": "a\0"},
    ],
)
def test_a_malformed_callback_is_refused(deliver: Callable[..., Any], change: dict[str, str]) -> None:
    form = {"AccountSid": ACCOUNT_SID, "MessageSid": "SM1", "MessageStatus": "sent"} | change
    assert deliver(form, path="/webhook/status").status_code == 400
    assert DeliveryEvent.objects.count() == 0


@pytest.mark.parametrize("tag", ["", "1", "not-a-uuid", "0f2a9c1e-7d44-4b6a-9a51-3f0c2d1e8b77", "%00"])
def test_a_tag_that_is_not_ours_is_no_error(deliver: Callable[..., Any], tag: str) -> None:
    form = {"AccountSid": ACCOUNT_SID, "MessageSid": "SM1", "MessageStatus": "sent", "ErrorCode": "x"}
    assert deliver(form, path=f"/webhook/status?o={tag}").status_code == 200


def test_an_unsigned_callback_changes_nothing(
    client: Any, twilio_double: TwilioDouble, queued: OutboundMessage
) -> None:
    send(queued)
    response = client.post(
        f"/webhook/status?o={queued.id}",
        data=f"MessageSid={queued.twilio_sid}&MessageStatus=read",
        content_type="application/x-www-form-urlencoded",
    )
    assert response.status_code == 403
    queued.refresh_from_db()
    assert queued.status == "sent"


def test_a_send_without_a_job_is_found_by_the_sweep(queued: OutboundMessage) -> None:
    later = timedelta(seconds=-1)  # everything is older than a moment ahead
    assert delivery.get_unfinished_outbound(older_than=later) == []
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'failed'")
    assert delivery.get_unfinished_outbound(older_than=later) == [queued]
