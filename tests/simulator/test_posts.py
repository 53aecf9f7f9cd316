"""What a phone sends reaches the webhook as Twilio would bring it."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from procrastinate.contrib.django.models import ProcrastinateJob
from twilio.request_validator import RequestValidator

from messaging.inbound import get_raw_message_by_sid
from messaging.simulator import tasks
from messaging.simulator.exchange import Status, moving
from messaging.simulator.models import SimulatedMessage
from messaging.simulator.tasks import defer_delivery
from tests.conftest import PAYLOADS
from tests.settings import AUTH_TOKEN
from tests.simulator.conftest import Recorder, write

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_queue")]
RunJobs = Callable[[], int]

PLACE = {"latitude": 51.500729, "longitude": -0.124625, "label": "Example Café", "address": "1 Sample Street"}
# Examples of the contract, and the messages that must look like them.
TEXT, VENUE, REPLY, HIDDEN = (PAYLOADS[index] for index in (0, 5, 12, 24))


def post(run_jobs: RunJobs, message: SimulatedMessage) -> SimulatedMessage:
    with transaction.atomic():
        defer_delivery(message)
    run_jobs()
    message.refresh_from_db()
    return message


def assert_looks_like(fields: dict[str, str], example: dict[str, str]) -> None:
    """The same fields, and the same values wherever they do not depend on who writes what."""
    assert set(fields) == set(example)
    fixed = (
        "SmsStatus",
        "NumMedia",
        "NumSegments",
        "MessageType",
        "ApiVersion",
        "AccountSid",
        "To",
        "ReferralNumMedia",
    )
    assert {name: fields[name] for name in fixed} == {name: example[name] for name in fixed}
    assert fields["MessageSid"] == fields["SmsSid"] == fields["SmsMessageSid"]


def test_a_text_carries_every_field_of_a_real_one(bot: Recorder, run_jobs: RunJobs) -> None:
    message = post(run_jobs, write("שלום 👋🏽 — café\n*bold*  "))
    [request] = bot.received
    assert request.path == "/webhook"
    assert_looks_like(request.fields, TEXT)
    assert request.fields["From"] == TEXT["From"]
    assert request.fields["WaId"] == TEXT["WaId"]
    assert request.fields["Body"] == "שלום 👋🏽 — café\n*bold*  "
    assert request.fields["MessageSid"] == message.sid


def test_a_sender_with_a_hidden_number_has_an_id_instead(bot: Recorder, run_jobs: RunJobs) -> None:
    post(run_jobs, write(phone="hidden"))
    [request] = bot.received
    assert_looks_like(request.fields, HIDDEN)
    assert request.fields["From"] == request.fields["ExternalUserId"] == HIDDEN["From"]


def test_a_place_carries_its_coordinates_and_name(bot: Recorder, run_jobs: RunJobs) -> None:
    post(run_jobs, write("", phone="gb", place=PLACE))
    [request] = bot.received
    assert_looks_like(request.fields, VENUE)
    same = ("Latitude", "Longitude", "Label", "Body")
    assert {name: request.fields[name] for name in same} == {name: VENUE[name] for name in same}


def test_a_place_without_a_name_sends_no_empty_name(bot: Recorder, run_jobs: RunJobs) -> None:
    post(run_jobs, write("", place=PLACE | {"label": "", "address": ""}))
    assert not {"Label", "Address"} & set(bot.received[0].fields)


def test_a_reply_names_the_message_it_answers(bot: Recorder, run_jobs: RunJobs) -> None:
    first = write("First")
    post(run_jobs, write("Second", replied_to_sid=first.sid))
    [request] = bot.received
    assert_looks_like(request.fields, REPLY)
    assert request.fields["OriginalRepliedMessageSid"] == first.sid
    assert request.fields["OriginalRepliedMessageSender"] == first.from_address


def test_nobody_quotes_a_message_of_another_phone(bot: Recorder, run_jobs: RunJobs) -> None:
    post(run_jobs, write(replied_to_sid=write(phone="fr").sid))
    assert "OriginalRepliedMessageSid" not in bot.received[0].fields


def test_the_public_address_is_signed_although_the_request_stays_on_this_machine(
    bot: Recorder, run_jobs: RunJobs
) -> None:
    post(run_jobs, write("Grüße"))
    [request] = bot.received
    validator = RequestValidator(AUTH_TOKEN)
    signature = request.headers["X-Twilio-Signature"]
    assert validator.validate("https://bot.example.com/webhook", request.fields, signature)
    assert not validator.validate(
        "https://bot.example.com/webhook", request.fields | {"Body": "x"}, signature
    )
    assert request.headers["Host"] == "bot.example.com"


def test_the_real_webhook_takes_it(live_server: Any, settings: Any) -> None:
    settings.PORT = live_server.thread.port
    message = write("My sister's birthday is on 14 March")
    tasks.deliver.func(FirstAttempt(), message_id=message.id)
    message.refresh_from_db()
    assert (message.status, message.webhook_status) == (Status.DELIVERED, 200)
    stored = get_raw_message_by_sid(message.sid)
    assert stored is not None
    assert stored.body == message.body


class FirstAttempt:
    """The part of a job's context that counts."""

    class job:
        attempts = 0


def test_deliver_this_twice_posts_the_same_message_at_the_same_moment(
    bot: Recorder, run_jobs: RunJobs
) -> None:
    bot.pause = 0.2
    post(run_jobs, write(deliver_twice=True))
    first, second = bot.received
    assert first.fields == second.fields
    assert first.headers["I-Twilio-Idempotency-Token"] == second.headers["I-Twilio-Idempotency-Token"]
    assert bot.most_at_once == 2


def test_one_copy_that_arrives_is_enough(bot: Recorder, run_jobs: RunJobs) -> None:
    bot.answers = [503, 200]
    message = post(run_jobs, write(deliver_twice=True))
    assert (message.status, message.webhook_status) == (Status.DELIVERED, 200)
    assert len(bot.received) == 2


def test_a_refusal_is_final_and_shown(bot: Recorder, run_jobs: RunJobs) -> None:
    bot.answers = [403]
    message = post(run_jobs, write())
    assert (message.status, message.webhook_status, message.error_code) == (Status.FAILED, 403, 11200)
    assert len(bot.received) == 1


def test_a_server_error_is_tried_again(bot: Recorder, run_jobs: RunJobs) -> None:
    bot.answers = [503, 502]
    message = post(run_jobs, write())
    assert message.status == Status.DELIVERED
    assert len(bot.received) == 3


def test_a_server_error_that_lasts_is_given_up_after_three_tries(bot: Recorder, run_jobs: RunJobs) -> None:
    bot.answers = [503] * 9
    message = post(run_jobs, write())
    assert (message.status, message.webhook_status) == (Status.FAILED, 503)
    assert len(bot.received) == 3


def test_silence_is_a_failure_too(settings: Any, run_jobs: RunJobs) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        settings.PORT = taken.getsockname()[1]
        message = post(run_jobs, write())
    assert (message.status, message.webhook_status, message.error_code) == (Status.FAILED, None, 11205)


def test_a_failed_message_can_be_sent_again(bot: Recorder, run_jobs: RunJobs) -> None:
    bot.answers = [403]
    message = post(run_jobs, write())
    again = write(sid=message.sid)
    assert (again.id, again.status, again.error_code) == (message.id, Status.SENT, None)
    assert post(run_jobs, again).status == Status.DELIVERED


def test_a_message_the_bot_has_read_already_stays_read(bot: Recorder, run_jobs: RunJobs) -> None:
    message = write()
    with moving(message_id=message.id, status=Status.READ):
        pass
    post(run_jobs, message)
    assert (message.status, message.webhook_status) == (Status.READ, 200)


def test_messages_of_one_phone_wait_for_each_other_and_other_phones_do_not() -> None:
    with transaction.atomic():
        for phone in ("us", "us", "de"):
            defer_delivery(write(phone=phone))
    locks = ProcrastinateJob.objects.order_by("id").values_list("lock", flat=True)
    assert locks[0] == locks[1] != locks[2]


def test_no_database_connection_is_held_while_the_webhook_works(
    monkeypatch: pytest.MonkeyPatch, run_jobs: RunJobs
) -> None:
    held = []
    main = connection._connections[connection._alias]  # the proxy would give each thread its own

    def look(**_: Any) -> int:
        held.append(main.connection is not None)
        return 200

    monkeypatch.setattr(tasks, "post_signed", look)
    post(run_jobs, write())
    assert held == [False]
