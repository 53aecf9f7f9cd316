"""The page and its JSON: for staff only, strict about what it is told, and cheap however long a chat is."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from messaging.simulator.exchange import Status, mark_read_by_bot, moving, store_outbound
from messaging.simulator.models import SimulatedMessage, SimulatedPhone
from messaging.simulator.phones import PHONES
from messaging.simulator.views import MAX_CHANGES, PAGE_SIZE
from tests.settings import SENDER
from tests.simulator.conftest import make_sid, write

pytestmark = pytest.mark.django_db
STATIC = Path(str(finders.find("simulator/app.js"))).parent


def poll(client: Client, *, phone: str = "us", **query: Any) -> dict[str, Any]:
    answer = client.get("/simulator/messages", {"phone": phone, **query})
    assert answer.status_code == 200, answer.content
    return answer.json()


def bodies(answer: dict[str, Any]) -> list[str]:
    return [message["body"] for message in answer["messages"]]


def post_message(client: Client, **fields: Any) -> Any:
    return client.post("/simulator/send", {"phone": "us", "sid": make_sid(), "body": "Hello"} | fields)


def answer_from_bot(*, phone: str = "us", body: str = "Saved.") -> SimulatedMessage:
    return store_outbound(to=PHONES[phone].address, from_=SENDER, body=body, status_callback="")


@pytest.fixture
def stranger(client: Client) -> Client:
    """Signed in, but not staff."""
    client.force_login(get_user_model().objects.create_user("someone", password="a long password"))
    return client


def test_nobody_sees_the_page_without_signing_in(client: Client) -> None:
    answer = client.get("/simulator")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/simulator")


def test_a_login_that_is_not_staff_does_not_see_the_page(stranger: Client) -> None:
    assert stranger.get("/simulator").status_code == 302


@pytest.mark.parametrize("path", ["messages?phone=us", "send", "seen"])
def test_the_json_says_403_to_strangers_and_to_sessions_that_ended(stranger: Client, path: str) -> None:
    method = stranger.get if path.startswith("messages") else stranger.post
    assert method(f"/simulator/{path}").status_code == 403
    stranger.logout()
    answer = method(f"/simulator/{path}")
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "Your session has ended. Please sign in again."},
    )


def test_a_post_needs_djangos_token(admin_user: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert post_message(client).status_code == 403
    assert client.post("/simulator/seen", {"phone": "us"}).status_code == 403
    assert not SimulatedMessage.objects.exists()


def test_the_page_shows_every_phone_with_its_zone(admin_client: Client) -> None:
    page = admin_client.get("/simulator").content.decode()
    for phone in PHONES.values():
        assert phone.name in page
        assert f'data-zone="{phone.time_zone[0]}"' in page
    assert 'data-zone="Australia/Sydney"' in page
    assert "no-store" in admin_client.get("/simulator")["Cache-Control"]


def test_the_page_needs_nothing_a_strict_policy_forbids(admin_client: Client) -> None:
    page = admin_client.get("/simulator").content.decode()
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", page)


@pytest.mark.parametrize("script", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_scripts_never_turn_text_into_html_or_code(script: Path) -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script.read_text()
    )


def test_a_sent_message_is_stored_with_its_job_and_shown(admin_client: Client) -> None:
    sid = make_sid()
    answer = post_message(
        admin_client, sid=sid, body="  two\nlines ", deliver_twice="true", lose_reply="false"
    )
    assert answer.status_code == 201
    message = answer.json()["message"]
    assert (message["sid"], message["body"], message["mine"], message["status"]) == (
        sid,
        "  two\nlines ",
        True,
        "sent",
    )
    assert (message["deliver_twice"], message["lose_reply"]) == (True, False)
    assert ProcrastinateJob.objects.get().task_name == "simulator.deliver"
    assert bodies(poll(admin_client)) == ["  two\nlines "]


def test_posting_a_message_again_sends_it_once(admin_client: Client) -> None:
    sid = make_sid()
    first, again = post_message(admin_client, sid=sid), post_message(admin_client, sid=sid)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert SimulatedMessage.objects.count() == ProcrastinateJob.objects.count() == 1


def test_a_sid_taken_by_another_phone_changes_nothing(admin_client: Client) -> None:
    other = write(phone="de")
    assert post_message(admin_client, sid=other.sid).json()["message"]["body"] == other.body
    assert SimulatedMessage.objects.count() == 1


def test_a_failed_message_posted_again_is_delivered_again(admin_client: Client) -> None:
    message = write()
    with moving(message_id=message.id, status=Status.FAILED):
        pass
    assert post_message(admin_client, sid=message.sid).json()["message"]["status"] == "sent"
    assert ProcrastinateJob.objects.count() == 1


def test_a_place_is_sent_instead_of_a_text(admin_client: Client) -> None:
    place = {"latitude": "51.5", "longitude": "-0.12", "label": "Example Café", "address": ""}
    message = post_message(admin_client, body="", **place).json()["message"]
    assert message["place"] == {"latitude": 51.5, "longitude": -0.12, "label": "Example Café", "address": ""}


@pytest.mark.parametrize(
    "fields",
    [
        {"phone": "mars"},
        {"phone": PHONES["us"].address},
        {"body": ""},
        {"body": " \n "},
        {"body": "a" * 4097},
        {"body": "a\0b"},
        {"sid": ""},
        {"sid": "SM123"},
        {"sid": "MM" + "0" * 32},
        {"latitude": "91", "longitude": "0"},
        {"latitude": "nan", "longitude": "0"},
        {"latitude": "1"},
        {"latitude": "1", "longitude": "1", "label": "a" * 201},
        {"latitude": "1", "longitude": "1", "label": "a\0"},
        {"replied_to": "x" * 35},
    ],
)
def test_what_makes_no_sense_is_refused_in_words(admin_client: Client, fields: dict[str, str]) -> None:
    answer = post_message(admin_client, **fields)
    assert answer.status_code == 400
    assert len(answer.json()["error"]) > 10
    assert not SimulatedMessage.objects.exists()


def test_the_longest_message_whatsapp_takes_is_taken(admin_client: Client) -> None:
    assert post_message(admin_client, body="a" * 4096).status_code == 201


@pytest.mark.parametrize(
    "query", [{"phone": "mars"}, {}, {"phone": "us", "after": "x"}, {"phone": "us", "before": "0"}]
)
def test_a_poll_that_makes_no_sense_is_refused(admin_client: Client, query: dict[str, str]) -> None:
    assert admin_client.get("/simulator/messages", query).status_code == 400


def test_reading_needs_get_and_writing_needs_post(admin_client: Client) -> None:
    assert admin_client.post("/simulator/messages").status_code == 405
    assert admin_client.get("/simulator/send").status_code == 405
    assert admin_client.get("/simulator/seen").status_code == 405


def test_a_phone_sees_its_own_chat_only(admin_client: Client) -> None:
    write("from the US"), write("aus Deutschland", phone="de")
    assert bodies(poll(admin_client)) == ["from the US"]
    assert bodies(poll(admin_client, phone="de")) == ["aus Deutschland"]
    assert bodies(poll(admin_client, phone="fr")) == []


def test_a_long_chat_comes_in_pages(admin_client: Client) -> None:
    for number in range(PAGE_SIZE + 5):
        write(str(number))
    newest = poll(admin_client)
    assert bodies(newest) == [str(number) for number in range(5, PAGE_SIZE + 5)]
    assert newest["has_older"]
    older = poll(admin_client, before=newest["messages"][0]["id"])
    assert bodies(older) == ["0", "1", "2", "3", "4"]
    assert not older["has_older"]


def test_after_a_change_come_only_the_messages_that_changed(admin_client: Client) -> None:
    first, second = write("first"), write("second")
    change = poll(admin_client)["change"]
    assert poll(admin_client, after=change)["messages"] == []
    with moving(message_id=first.id, status=Status.DELIVERED):
        pass
    answer = poll(admin_client, after=change)
    assert [(message["body"], message["status"]) for message in answer["messages"]] == [
        ("first", "delivered")
    ]
    mark_read_by_bot(sid=second.sid)
    answer = poll(admin_client, after=answer["change"])
    assert [(message["body"], message["status"]) for message in answer["messages"]] == [
        ("first", "read"),
        ("second", "read"),
    ]


def test_a_page_far_behind_starts_over_instead_of_catching_up(admin_client: Client) -> None:
    write()
    SimulatedPhone.objects.update(changes=MAX_CHANGES + 2)
    assert poll(admin_client, after=1)["reset"]
    assert not poll(admin_client, after=2)["reset"]


def test_a_page_of_another_database_starts_over(admin_client: Client) -> None:
    write()
    assert poll(admin_client, after=999)["reset"]


def test_a_poll_costs_the_same_however_long_the_chats_are(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    for number in range(60):
        write(str(number), replied_to_sid=answer_from_bot().sid)
    change = poll(admin_client)["change"]
    write("news")
    for query in ({}, {"after": change}):
        with django_assert_num_queries(4):  # session, user, phones, messages
            poll(admin_client, **query)


def test_unread_messages_are_counted_until_somebody_looks(admin_client: Client) -> None:
    write(), answer_from_bot(), answer_from_bot(phone="de"), answer_from_bot(phone="de")

    def unread() -> dict[str, int]:
        return {phone["key"]: phone["unread"] for phone in poll(admin_client)["phones"] if phone["unread"]}

    assert unread() == {"us": 1, "de": 2}
    assert admin_client.post("/simulator/seen", {"phone": "de"}).status_code == 200
    assert unread() == {"us": 1}


def test_the_list_of_phones_shows_last_messages_and_typing(admin_client: Client) -> None:
    message = write("My sister's birthday is on 14 March")
    phones = {phone["key"]: phone for phone in poll(admin_client)["phones"]}
    assert phones["us"]["last"]["text"] == "My sister's birthday is on 14 March"
    assert phones["us"]["last"]["mine"]
    assert phones["de"]["last"] is None
    assert not phones["us"]["typing"]
    mark_read_by_bot(sid=message.sid)
    assert {phone["key"]: phone["typing"] for phone in poll(admin_client)["phones"]}["us"]


def test_a_quoted_message_is_shown_although_it_is_not_on_the_page(admin_client: Client) -> None:
    answer = answer_from_bot(body="Saved as #1.")
    message = post_message(admin_client, replied_to=answer.sid).json()["message"]
    assert message["quote"] == {"sid": answer.sid, "mine": False, "text": "Saved as #1."}


def test_a_failed_message_says_why(admin_client: Client) -> None:
    message = write()
    with moving(message_id=message.id, status=Status.FAILED) as (failing, _):
        failing.webhook_status = 503
    [shown] = poll(admin_client)["messages"]
    assert (shown["status"], shown["error"]) == ("failed", "The webhook answered 503.")


def test_times_are_milliseconds_of_the_epoch(admin_client: Client) -> None:
    before = timezone.now().timestamp() * 1000
    write()
    assert before - 1 <= poll(admin_client)["messages"][0]["created"] <= timezone.now().timestamp() * 1000
