"""The doors Twilio knocks at: only Twilio gets in, every genuine message is stored whole, nothing is stored twice."""

import json
import urllib.parse
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest
from django.db import OperationalError
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from messaging import inbound
from messaging.inbound import get_raw_message_by_sid
from messaging.models import RawMessage
from tests.conftest import PAYLOADS, make_payload
from tests.settings import AUTH_TOKEN, SENDER
from whatsbot.integrations.twilio import sign

pytestmark = pytest.mark.django_db
Deliver = Callable[..., Any]
FORM = "application/x-www-form-urlencoded"


def assert_says_why(response: Any, status: int) -> str:
    """The refusal has this status and is TwiML without a message; returns its reason."""
    assert response.status_code == status
    assert response["Content-Type"] == "text/xml"
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    root = ElementTree.fromstring(response.content, parser)
    assert root.tag == "Response"
    assert [child.tag for child in root] == [ElementTree.Comment]
    return (root[0].text or "").strip()


@pytest.mark.parametrize("index", range(len(PAYLOADS)))
def test_every_recorded_payload_is_stored_whole(deliver: Deliver, index: int) -> None:
    payload = PAYLOADS[index]
    response = deliver(payload)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/xml"
    assert response.content == b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
    raw = get_raw_message_by_sid(payload["MessageSid"])
    assert raw is not None
    assert raw.payload == payload
    assert raw.body == payload.get("Body", "")
    assert raw.from_address == payload["From"]
    assert raw.to_address == SENDER


def test_a_new_message_gets_one_job_locked_to_its_user(deliver: Deliver) -> None:
    payload = make_payload()
    deliver(payload)
    raw = RawMessage.objects.get()
    job = ProcrastinateJob.objects.get()
    assert job.task_name == "messaging.process_message"
    assert job.queue_name == "messages"
    assert job.args == {"raw_message_id": raw.id}
    assert job.lock == f"user:{raw.user_id}"


def test_a_repeated_delivery_stores_and_enqueues_nothing(deliver: Deliver) -> None:
    payload = make_payload()
    assert {deliver(payload).status_code for _ in range(3)} == {200}
    assert RawMessage.objects.count() == 1
    assert ProcrastinateJob.objects.count() == 1


def test_message_and_job_are_stored_in_one_round_trip(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(make_payload())
    executed: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        executed.append(str(query))
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    deliver(make_payload())
    assert len(executed) == 1


def test_an_unsigned_request_is_refused_and_leaves_no_row(client: Client) -> None:
    response = client.post("/webhook", data=urllib.parse.urlencode(make_payload()), content_type=FORM)
    assert "signature" in assert_says_why(response, 403)
    assert RawMessage.objects.count() == 0


@pytest.mark.parametrize("field", ["Body", "From", "MessageSid"])
def test_a_changed_field_breaks_the_signature(client: Client, field: str) -> None:
    payload = make_payload()
    signature = sign(url="https://bot.example.com/webhook", params=payload, token=AUTH_TOKEN)
    changed = payload | {field: payload[field] + "0"}
    response = client.post(
        "/webhook",
        data=urllib.parse.urlencode(changed),
        content_type=FORM,
        headers={"X-Twilio-Signature": signature},
    )
    assert_says_why(response, 403)


def test_a_signature_of_another_address_or_token_is_refused(client: Client) -> None:
    payload = make_payload()
    for url, token in [
        ("https://bot.example.com/webhook/status", AUTH_TOKEN),
        ("http://bot.example.com/webhook", AUTH_TOKEN),
        ("https://bot.example.com/webhook", "stolen"),
    ]:
        response = client.post(
            "/webhook",
            data=urllib.parse.urlencode(payload),
            content_type=FORM,
            headers={"X-Twilio-Signature": sign(url=url, params=payload, token=token)},
        )
        assert_says_why(response, 403)


def test_both_tokens_are_accepted_while_one_replaces_the_other(client: Client, settings: Any) -> None:
    settings.TWILIO_AUTH_TOKENS = ["the new one", "the old one"]
    for token in settings.TWILIO_AUTH_TOKENS:
        payload = make_payload()
        response = client.post(
            "/webhook",
            data=urllib.parse.urlencode(payload),
            content_type=FORM,
            headers={
                "X-Twilio-Signature": sign(url="https://bot.example.com/webhook", params=payload, token=token)
            },
        )
        assert response.status_code == 200
    assert RawMessage.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"MessageSid": ""}, "MessageSid"),
        ({"MessageSid": "SM1\n"}, "MessageSid"),
        ({"MessageSid": "S" * 65}, "MessageSid"),
        ({"Body": "a\0b"}, "NUL"),
        ({"Odd\0": "x"}, "NUL"),
        ({"AccountSid": "AC" + "f" * 32}, "AccountSid"),
        ({"From": ""}, "From"),
        ({"To": "w" * 161}, "To"),
        ({"Body": "x" * 65_537}, "too long"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_the_reason(
    deliver: Deliver, change: dict[str, str], reason: str
) -> None:
    assert reason in assert_says_why(deliver(make_payload() | change), 400)
    assert RawMessage.objects.count() == 0
    assert WhatsAppUser.objects.count() == 0


def test_a_message_without_a_sid_is_refused(deliver: Deliver) -> None:
    payload = make_payload()
    del payload["MessageSid"]
    assert "MessageSid" in assert_says_why(deliver(payload), 400)


def test_a_body_of_a_megabyte_is_refused(deliver: Deliver) -> None:
    assert "too large" in assert_says_why(deliver(make_payload("x" * 2**20)), 413)


def test_a_thousand_and_one_fields_are_refused(deliver: Deliver) -> None:
    assert_says_why(deliver(make_payload() | {f"F{n}": "" for n in range(1001)}), 400)


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""]
)
def test_another_content_type_is_refused(client: Client, content_type: str) -> None:
    response = client.generic("POST", "/webhook", data=json.dumps(make_payload()), content_type=content_type)
    assert_says_why(response, 415)


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options", "head"])
def test_another_method_is_refused(client: Client, method: str) -> None:
    assert getattr(client, method)("/webhook").status_code == 405


def test_odd_bytes_are_never_a_server_error(client: Client) -> None:
    for body in [b"%", b"&&&===", b"\xff\xfe=\x80", b"MessageSid=%00", b"a=" + b"%F0%28%8C%28" * 10]:
        response = client.generic(
            "POST", "/webhook", data=body, content_type=FORM, headers={"X-Twilio-Signature": "AAAA"}
        )
        assert_says_why(response, 403)


def test_fields_sent_twice_are_all_kept(deliver: Deliver, client: Client) -> None:
    payload = make_payload()
    pairs = [*payload.items(), ("Twice", "a"), ("Twice", "b")]
    body = urllib.parse.urlencode(pairs)
    from django.http import QueryDict

    signature = sign(url="https://bot.example.com/webhook", params=QueryDict(body), token=AUTH_TOKEN)
    response = client.post(
        "/webhook", data=body, content_type=FORM, headers={"X-Twilio-Signature": signature}
    )
    assert response.status_code == 200
    assert RawMessage.objects.get().payload["Twice"] == ["a", "b"]


def test_a_person_is_made_once_and_their_name_kept_fresh(deliver: Deliver) -> None:
    deliver(make_payload(ProfileName="First"))
    deliver(make_payload(ProfileName="Second"))
    deliver(PAYLOADS[28] | {"MessageSid": "SM" + "1" * 32})  # carries no name
    user = WhatsAppUser.objects.get()
    assert user.profile_name == "Second"
    assert user.phone_number == "+12025550123"
    assert user.timezone == "America/New_York"


def test_two_senders_without_waid_are_two_people(deliver: Deliver) -> None:
    for number in ("+12025550123", "+12025550124"):
        payload = make_payload(From=f"whatsapp:{number}")
        del payload["WaId"]
        deliver(payload)
    assert WhatsAppUser.objects.count() == 2


def test_a_person_who_hides_the_number_is_kept_without_one(deliver: Deliver) -> None:
    deliver(PAYLOADS[24])
    user = WhatsAppUser.objects.get()
    assert user.whatsapp_id == user.business_scoped_id == "whatsapp:US.10000000000000000042"
    assert user.phone_number is None


def test_hiding_the_number_later_keeps_the_person(deliver: Deliver) -> None:
    scoped = "whatsapp:US.10000000000000000077"
    deliver(make_payload(From="whatsapp:+12025550123", ExternalUserId=scoped))
    deliver(make_payload(From=scoped, ExternalUserId=scoped))
    assert WhatsAppUser.objects.count() == 1
    assert {raw.from_address for raw in RawMessage.objects.all()} == {"whatsapp:+12025550123", scoped}


def test_showing_the_number_later_keeps_the_person_and_learns_it(deliver: Deliver) -> None:
    scoped = "whatsapp:US.10000000000000000077"
    deliver(make_payload(From=scoped, ExternalUserId=scoped))
    deliver(make_payload(From="whatsapp:+12025550123", ExternalUserId=scoped))
    assert WhatsAppUser.objects.get().phone_number == "+12025550123"


def test_two_known_people_are_not_merged_by_an_id(deliver: Deliver) -> None:
    scoped = "whatsapp:US.10000000000000000077"
    deliver(make_payload(From=scoped, ExternalUserId=scoped))
    deliver(make_payload(From="whatsapp:+12025550123"))
    response = deliver(make_payload(From="whatsapp:+12025550123", ExternalUserId=scoped))
    assert response.status_code == 200
    assert WhatsAppUser.objects.count() == 2


def test_a_database_that_comes_back_in_time_costs_only_time(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = inbound._store_and_enqueue
    failures = [
        OperationalError("gone"),
        psycopg.OperationalError("gone"),
        psycopg.errors.UniqueViolation("race"),
    ]

    def flaky(*args: Any) -> bool:
        if failures:
            raise failures.pop()
        return store(*args)

    monkeypatch.setattr(inbound, "_store_and_enqueue", flaky)
    monkeypatch.setattr(inbound, "discard_broken_connections", lambda: None)
    assert deliver(make_payload()).status_code == 200
    assert RawMessage.objects.count() == 1


def test_a_database_that_stays_away_is_a_503(deliver: Deliver, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> bool:
        raise OperationalError("the text of an exception")

    monkeypatch.setattr(inbound, "_store_and_enqueue", away)
    monkeypatch.setattr(inbound, "discard_broken_connections", lambda: None)
    monkeypatch.setattr(inbound, "DATABASE_BUDGET_SECONDS", 0.3)
    reason = assert_says_why(deliver(make_payload()), 503)
    assert "the text of an exception" not in reason


def test_the_reason_cannot_break_out_of_its_comment() -> None:
    from whatsbot.drf import twiml

    assert (
        "--><Message>" not in twiml(reason="--><Message>hello</Message>--", status_code=400).content.decode()
    )
    assert_says_why(twiml(reason="--><Message>hello</Message>---", status_code=400), 400)


def test_every_other_door_is_locked(client: Client) -> None:
    assert client.get("/health/live").status_code == 200
    for path in ("/memories", "/health/ready"):
        assert client.get(path).status_code == 401
    for path in ("/simulator", "/admin/"):
        response = client.get(path)
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")
