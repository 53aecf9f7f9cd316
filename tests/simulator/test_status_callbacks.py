"""The bot hears what became of its messages."""

from collections.abc import Callable

import pytest
from django.db import transaction
from twilio.request_validator import RequestValidator

from messaging.simulator.exchange import Status, looking_at, store_outbound
from messaging.simulator.models import SimulatedMessage
from messaging.simulator.phones import PHONES
from messaging.simulator.tasks import defer_report, defer_sending
from tests.settings import ACCOUNT_SID, AUTH_TOKEN, SENDER
from tests.simulator.conftest import Recorder

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_queue")]
RunJobs = Callable[[], int]

ADDRESS = PHONES["us"].address
CALLBACK = "https://bot.example.com/webhook/status?o=0f2a"


def send(*, to: str = ADDRESS, callback: str = CALLBACK) -> SimulatedMessage:
    with transaction.atomic():
        message = store_outbound(to=to, from_=SENDER, body="Saved.", status_callback=callback)
        defer_sending(message)
    return message


def look(address: str = ADDRESS) -> None:
    with looking_at(address) as delivered:
        for message in delivered:
            defer_report(message, status=Status.READ)


def status_of(message: SimulatedMessage) -> str:
    message.refresh_from_db()
    return message.status


def test_a_message_is_sent_then_delivered_and_read_once_somebody_looks(
    bot: Recorder, run_jobs: RunJobs
) -> None:
    message = send()
    run_jobs()
    assert bot.statuses == ["sent", "delivered"]
    assert status_of(message) == Status.DELIVERED
    look()
    run_jobs()
    assert bot.statuses == ["sent", "delivered", "read"]
    assert status_of(message) == Status.READ
    assert message.sent_at <= message.delivered_at <= message.read_at  # type: ignore[operator]


def test_a_message_that_arrives_in_an_open_chat_is_read_after_it_is_delivered(
    bot: Recorder, run_jobs: RunJobs
) -> None:
    send()
    look()
    run_jobs()
    assert bot.statuses == ["sent", "delivered", "read"]


def test_looking_twice_reports_once(bot: Recorder, run_jobs: RunJobs) -> None:
    send()
    run_jobs()
    look()
    look()
    run_jobs()
    assert bot.statuses.count("read") == 1


def test_looking_at_one_chat_reads_no_other(bot: Recorder, run_jobs: RunJobs) -> None:
    send()
    run_jobs()
    look(PHONES["de"].address)
    run_jobs()
    assert "read" not in bot.statuses


def test_a_callback_is_a_signed_form_to_the_messages_own_address(bot: Recorder, run_jobs: RunJobs) -> None:
    message = send()
    run_jobs()
    look()
    run_jobs()
    first, *_, last = bot.received
    assert first.path == "/webhook/status?o=0f2a"
    assert first.fields == {
        "AccountSid": ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
        "ChannelInstallSid": f"XE{ACCOUNT_SID[2:]}",
        "ChannelPrefix": "whatsapp",
        "From": SENDER,
        "MessageSid": message.sid,
        "MessageStatus": "sent",
        "SmsSid": message.sid,
        "SmsStatus": "sent",
        "To": ADDRESS,
    }
    assert last.fields["EventType"] == "READ"
    signature = first.headers["X-Twilio-Signature"]
    assert RequestValidator(AUTH_TOKEN).validate(CALLBACK, first.fields, signature)
    assert not RequestValidator(AUTH_TOKEN).validate(CALLBACK + "1", first.fields, signature)


def test_a_message_to_nobodys_number_fails_with_twilios_code(bot: Recorder, run_jobs: RunJobs) -> None:
    message = send(to="whatsapp:+12025550187")
    run_jobs()
    [request] = bot.received
    assert (request.fields["MessageStatus"], request.fields["ErrorCode"]) == ("failed", "63003")
    assert request.fields["ChannelStatusMessage"]
    assert status_of(message) == Status.FAILED


def test_a_message_without_a_callback_is_delivered_silently(bot: Recorder, run_jobs: RunJobs) -> None:
    message = send(callback="")
    run_jobs()
    assert bot.received == []
    assert status_of(message) == Status.DELIVERED


def test_a_failing_callback_is_repeated_three_times_and_stops_nothing(
    bot: Recorder, run_jobs: RunJobs
) -> None:
    bot.answers = [500] * 99
    message = send()
    run_jobs()
    assert bot.statuses.count("sent") == bot.statuses.count("delivered") == 3
    assert status_of(message) == Status.DELIVERED


def test_a_callback_that_is_late_does_not_move_the_message_back(bot: Recorder, run_jobs: RunJobs) -> None:
    bot.answers = [500]
    message = send()
    run_jobs()
    assert sorted(bot.statuses) == ["delivered", "sent", "sent"]
    assert status_of(message) == Status.DELIVERED
