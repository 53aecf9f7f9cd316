"""The REST API, asked by Twilio's own SDK over HTTP."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from messaging.simulator.exchange import TYPING_LASTS, Direction, Status
from messaging.simulator.models import SimulatedMessage, SimulatedPhone
from messaging.simulator.phones import PHONES
from tests.settings import ACCOUNT_SID, AUTH_TOKEN, SENDER
from tests.simulator.conftest import Recorder, write

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_queue")]

US = PHONES["us"].address
MESSAGES = f"/simulator/twilio/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
MakeClient = Callable[..., Client]


@pytest.fixture
def make_client(live_server: Any) -> Iterator[MakeClient]:
    """Twilio's SDK, pointed at the simulator as the bot points it."""

    def make(account: str = ACCOUNT_SID, token: str = AUTH_TOKEN) -> Client:
        client = Client(account, token, http_client=TwilioHttpClient(timeout=5))
        client.api.base_url = client.messaging.base_url = f"{live_server.url}/simulator/twilio"
        return client

    return make


@pytest.fixture
def twilio(make_client: MakeClient) -> Client:
    return make_client()


def send(twilio: Client, **fields: Any) -> Any:
    return twilio.messages.create(**{"to": US, "from_": SENDER, "body": "Saved."} | fields)


def test_a_sent_message_is_stored_queued_and_on_its_way(twilio: Client) -> None:
    sent = send(twilio, body="Grüße 👋🏽", status_callback="https://bot.example.com/webhook/status?o=1")
    row = SimulatedMessage.objects.get(sid=sent.sid)
    assert (row.body, row.status, row.direction, row.phone_id) == (
        "Grüße 👋🏽",
        Status.QUEUED,
        Direction.OUTBOUND,
        US,
    )
    assert row.status_callback == "https://bot.example.com/webhook/status?o=1"
    job = ProcrastinateJob.objects.get()
    assert (job.task_name, job.queue_name) == ("simulator.report", "simulator")
    assert job.args == {"message_id": row.id, "status": "sent"}


def test_a_sent_message_looks_like_twilios(twilio: Client) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    sent = send(twilio)
    assert (sent.status, sent.direction, sent.error_code, sent.num_segments) == (
        "queued",
        "outbound-api",
        None,
        "1",
    )
    assert (sent.account_sid, sent.api_version, sent.date_sent) == (ACCOUNT_SID, "2010-04-01", None)
    assert before <= sent.date_created <= datetime.now(UTC)
    assert sent.uri == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sent.sid}.json"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": ""}, 21604),
        ({"to": "+12025550123"}, 21211),
        ({"to": "whatsapp:12025550123"}, 21211),
        ({"to": "whatsapp:+12025550123\n"}, 21211),
        ({"to": "whatsapp:us.123"}, 21211),
        ({"from_": ""}, 21603),
        ({"from_": "whatsapp:+12025550188"}, 63007),
        ({"body": ""}, 21602),
        ({"body": " \n"}, 21602),
        ({"body": "a" * 1601}, 21617),
        ({"body": "👋" * 801}, 21617),
        ({"body": "a\0b"}, 21619),
        ({"media_url": ["https://elsewhere.example.com/a.jpg"]}, 21620),
        ({"media_url": ["https://bot.example.com.elsewhere.example.com/a.jpg"]}, 21620),
        ({"status_callback": "https://elsewhere.example.com/webhook/status"}, 21609),
        ({"status_callback": "https://bot.example.com.elsewhere.example.com/"}, 21609),
    ],
)
def test_what_twilio_would_refuse_is_refused_with_its_code(twilio: Client, fields: Any, code: int) -> None:
    with pytest.raises(TwilioRestException) as caught:
        send(twilio, **fields)
    assert (caught.value.status, caught.value.code) == (400, code)
    assert not SimulatedMessage.objects.exists()


@pytest.mark.parametrize("body", ["a" * 1600, "👋" * 800])
def test_sixteen_hundred_characters_are_taken(twilio: Client, body: str) -> None:
    assert twilio.messages(send(twilio, body=body).sid).fetch().body == body


def test_a_message_to_nobodys_number_is_taken_and_will_fail(twilio: Client) -> None:
    assert send(twilio, to="whatsapp:+12025550187").status == "queued"
    assert ProcrastinateJob.objects.get().args["status"] == "failed"


def test_a_wrong_token_is_no_entry(make_client: MakeClient) -> None:
    with pytest.raises(TwilioRestException) as caught:
        send(make_client(token="guess"))
    assert (caught.value.status, caught.value.code) == (401, 20003)


def test_any_of_our_tokens_opens_while_one_is_being_exchanged(make_client: MakeClient, settings: Any) -> None:
    settings.TWILIO_AUTH_TOKENS = ["new", AUTH_TOKEN]
    assert send(make_client(token="new")).sid != send(make_client()).sid


def test_another_account_is_not_found_even_with_our_credentials(live_server: Any) -> None:
    url = live_server.url + MESSAGES.replace(ACCOUNT_SID, "AC" + "f" * 32)
    assert requests.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5).status_code == 404


@pytest.mark.parametrize(
    "header", [None, "", "Basic", "Basic ###", "Basic w7w=", "Bearer x", f"Basic {ACCOUNT_SID}"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_strangers_get_twilios_own_refusal(client: Any, method: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = client.generic(method, MESSAGES, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == 20003


def test_a_login_opens_the_page_and_not_the_api(admin_client: Any) -> None:
    assert admin_client.get(MESSAGES).status_code == 401


def test_a_message_can_be_fetched(twilio: Client) -> None:
    fetched = twilio.messages(write("Hello").sid).fetch()
    assert (fetched.body, fetched.direction, fetched.status, fetched.to) == (
        "Hello",
        "inbound",
        "received",
        SENDER,
    )


def test_a_message_that_is_not_there_is_not_found(twilio: Client) -> None:
    with pytest.raises(TwilioRestException) as caught:
        twilio.messages(f"SM{'0' * 32}").fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)


def test_the_list_is_filtered_by_both_ends_newest_first(twilio: Client) -> None:
    hello, other = write("Hello"), write("Hallo", phone="de")
    answer = send(twilio)
    assert [message.sid for message in twilio.messages.list()] == [answer.sid, other.sid, hello.sid]
    assert [message.sid for message in twilio.messages.list(to=SENDER)] == [other.sid, hello.sid]
    assert [message.sid for message in twilio.messages.list(to=US, from_=SENDER)] == [answer.sid]
    assert [message.sid for message in twilio.messages.list(from_=US)] == [hello.sid]


def test_the_list_can_begin_at_a_time(twilio: Client) -> None:
    rows = [write(str(number)) for number in range(3)]
    now = timezone.now().replace(microsecond=0)
    for hours, row in enumerate(rows):
        SimulatedMessage.objects.filter(id=row.id).update(sent_at=now - timedelta(hours=hours))
    since = twilio.messages.list(date_sent_after=now - timedelta(hours=1))
    assert {message.body for message in since} == {"0", "1"}
    until = twilio.messages.list(date_sent_before=now - timedelta(hours=1))
    assert {message.body for message in until} == {"1", "2"}


def test_pages_hold_every_message_once_although_new_ones_arrive(twilio: Client) -> None:
    rows = [write(str(number)) for number in range(8)]
    seen = []
    for message in twilio.messages.stream(to=SENDER, page_size=3):
        seen.append(message.sid)
        if len(seen) % 3 == 1:
            write("a newer one")
    assert seen == [row.sid for row in reversed(rows)]


@pytest.mark.parametrize("query", ["PageSize=x", "Page=-", "DateSent>=yesterday", "DateSent=2026-13-40"])
def test_a_query_that_makes_no_sense_is_refused(live_server: Any, query: str) -> None:
    url = f"{live_server.url}{MESSAGES}?{query}"
    assert requests.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5).status_code == 400


def test_typing_dots_mark_everything_before_them_read(twilio: Client) -> None:
    first, second, later = write("1"), write("2"), write("3")
    other = write(phone="de")
    assert twilio.messaging.v2.typing_indicator.create(channel="whatsapp", message_id=second.sid).success
    read = SimulatedMessage.objects.filter(status=Status.READ).values_list("id", flat=True)
    assert set(read) == {first.id, second.id}
    assert later.id not in read
    assert other.id not in read


def test_typing_dots_last_until_the_reply_or_25_seconds(twilio: Client) -> None:
    twilio.messaging.v2.typing_indicator.create(channel="whatsapp", message_id=write().sid)
    until = SimulatedPhone.objects.get(address=US).typing_until
    assert until is not None
    assert timedelta(seconds=20) < until - timezone.now() <= TYPING_LASTS == timedelta(seconds=25)
    send(twilio)
    assert SimulatedPhone.objects.get(address=US).typing_until is None


@pytest.mark.parametrize(("channel", "sid", "status"), [("whatsapp", "SMx", 404), ("sms", "SMx", 400)])
def test_typing_about_nothing_is_refused(twilio: Client, channel: str, sid: str, status: int) -> None:
    with pytest.raises(TwilioRestException) as caught:
        twilio.messaging.v2.typing_indicator.create(channel=channel, message_id=sid)
    assert caught.value.status == status


def test_a_message_of_the_bots_own_is_not_typed_about(twilio: Client) -> None:
    with pytest.raises(TwilioRestException):
        twilio.messaging.v2.typing_indicator.create(channel="whatsapp", message_id=send(twilio).sid)


def test_a_lost_reply_is_stored_and_reported_though_the_caller_hears_503(
    twilio: Client, bot: Recorder, run_jobs: Any
) -> None:
    write(lose_reply=True)
    with pytest.raises(TwilioRestException) as caught:
        send(twilio, body="Lost", status_callback="https://bot.example.com/webhook/status?o=7")
    assert (caught.value.status, caught.value.code) == (503, 503)  # no JSON, as from a proxy on the way
    run_jobs()
    assert [(request.path, request.fields["MessageStatus"]) for request in bot.received] == [
        ("/webhook/status?o=7", "sent"),
        ("/webhook/status?o=7", "delivered"),
    ]
    [listed] = twilio.messages.list(to=US, from_=SENDER)
    assert listed.body == "Lost"


def test_only_the_next_reply_to_that_phone_is_lost(twilio: Client) -> None:
    write(lose_reply=True)
    assert send(twilio, to=PHONES["de"].address).sid
    with pytest.raises(TwilioRestException):
        send(twilio)
    assert send(twilio).sid
