"""Memories by the message they are from, and the turns of a conversation."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import WhatsAppUser
from memories.changes import update_memory
from messaging.forgetting import redact_messages
from tests.api.conftest import NUMBER, Ask
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON
from tests.messaging.made import answer, make_raw, remember

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def list_all(ask: Ask, **fields: Any) -> Any:
    return ask("POST", "/memories/list", json={"whatsapp_number": NUMBER} | fields)


def tell(person: WhatsAppUser, *texts: str, minutes: int) -> None:
    """A message that made these memories."""
    at = NOON + minutes * MINUTE
    raw = make_raw(person, "; ".join(texts), at=at)
    for number, text in enumerate(texts):
        remember(person, text, raw=raw, happened_at=at, tool_call=f"1.{number}")


def groups(response: Any) -> list[list[str]]:
    assert response.status_code == 200, response.content
    return [[memory["memory_text"] for memory in group["memories"]] for group in response.json()["results"]]


class TestList:
    def test_memories_of_one_message_stand_together_newest_first(
        self, ask: Ask, person: WhatsAppUser
    ) -> None:
        tell(person, "one", "two", minutes=0)
        remember(person, "from a program", source="api", happened_at=NOON + MINUTE)
        remember(person, "from another", source="api", happened_at=NOON + MINUTE)
        tell(person, "three", minutes=2)
        response = list_all(ask)
        assert groups(response) == [["three"], ["from another"], ["from a program"], ["two", "one"]]
        messages = [group["message"] for group in response.json()["results"]]
        assert [message and message["text"] for message in messages] == ["three", None, None, "one; two"]
        assert response.json()["next_cursor"] is None

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
    def test_pages_have_everything_once_and_no_message_is_divided(
        self, ask: Ask, person: WhatsAppUser, limit: int
    ) -> None:
        for number in range(5):
            tell(person, *(f"{number}.{part}" for part in range(number % 3 + 1)), minutes=number)
        seen, cursor = [], None
        while True:
            page = list_all(ask, limit=limit, **({"cursor": cursor} if cursor else {}))
            seen += groups(page)
            cursor = page.json()["next_cursor"]
            if cursor is None:
                break
        flat = [text for group in seen for text in group]
        assert flat == ["4.1", "4.0", "3.0", "2.2", "2.1", "2.0", "1.1", "1.0", "0.0"]
        if limit >= 3:
            assert len(seen) == 5

    def test_a_corrected_memory_stands_with_the_message_that_corrected_it(
        self, ask: Ask, person: WhatsAppUser
    ) -> None:
        tell(person, "old", "kept", minutes=0)
        tell(person, "other", minutes=5)
        correction = make_raw(person, "it is new", at=NOON + 10 * MINUTE)
        update_memory(
            user_id=person.id,
            number=1,
            text="new",
            said_at=correction.received_at,
            raw_message_id=correction.id,
            tool_call="1.1",
        )
        response = list_all(ask)
        assert groups(response) == [["new"], ["other"], ["kept"]]
        assert response.json()["results"][0]["message"]["message_sid"] == correction.message_sid

    def test_a_message_comes_with_its_files_under_links_that_open_them(
        self, ask: Ask, person: WhatsAppUser, client: Client
    ) -> None:
        raw = make_raw(person, "look", at=NOON)
        remember(person, "a picture of a gate", raw=raw, happened_at=NOON, type="file")
        send_file(person, make_file(b"a picture"), raw=raw)
        (media,) = list_all(ask).json()["results"][0]["message"]["media"]
        assert media["kind"] == "picture"
        assert media["size"] == 9
        opened = client.get(media["url"].removeprefix("https://bot.example.com"))
        assert b"".join(opened) == b"a picture"
        assert media["url_expires_at"] > timezone.now().isoformat()

    def test_a_stranger_a_strange_field_and_a_strange_cursor_are_told_apart(
        self, ask: Ask, person: WhatsAppUser
    ) -> None:
        assert list_all(ask, whatsapp_number="+12025550199").status_code == 404
        for fields in ({"cursor": "x"}, {"limit": 0}, {"limit": "5"}, {"page": 2}, {"whatsapp_number": "x"}):
            response = list_all(ask, **fields)
            assert response.status_code == 422
            assert [*response.json()["errors"]] == [*fields]


class TestInteractions:
    def get(self, ask: Ask, **query: Any) -> Any:
        response = ask("GET", "/interactions/recent", query={"whatsapp_number": NUMBER} | query)
        assert response.status_code == 200, response.content
        return response.json()

    def test_questions_and_answers_come_newest_first_with_what_they_used_and_made(
        self, ask: Ask, person: WhatsAppUser
    ) -> None:
        raw = make_raw(person, "The gate code is 4711")
        made = remember(person, "The gate code is 4711", raw=raw)
        answer(person, text="Saved as #1.", raw=raw, kind="saved")
        answer(person, "What is the gate code?", "4711", used=[made], parts=2)
        asked, said = self.get(ask)["results"]
        assert (asked["question"], asked["answer"]) == ("What is the gate code?", "4711")
        assert [used["number"] for used in asked["memories_used"]] == [1]
        assert asked["delivery"] == ["delivered", "delivered"]
        assert [each["id"] for each in said["memories_made"]] == [made.id]
        assert said["kind"] == "saved"
        assert asked["whatsapp_number"] == NUMBER

    def test_an_open_turn_and_another_persons_are_not_shown(self, ask: Ask, person: WhatsAppUser) -> None:
        from messaging.models import Interaction

        Interaction.objects.create(raw_message=make_raw(person))
        stranger = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550100")
        answer(stranger)
        assert self.get(ask) == {"results": [], "next_cursor": None}

    def test_what_is_forgotten_is_not_told(self, ask: Ask, person: WhatsAppUser) -> None:
        raw = make_raw(person, "zanzibar")
        answer(person, raw=raw, text="saved")
        redact_messages([raw.id])
        (turn,) = self.get(ask)["results"]
        assert turn["question"] == ""
        assert turn["messages"][0]["text"] == ""

    def test_pages_follow_each_other(self, ask: Ask, person: WhatsAppUser) -> None:
        for number in range(5):
            answer(person, text=f"answer {number}", at=NOON + number // 2 * MINUTE)
        seen, cursor = [], None
        while True:
            page = self.get(ask, limit=2, **({"cursor": cursor} if cursor else {}))
            seen += [turn["answer"] for turn in page["results"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == [f"answer {number}" for number in (4, 3, 2, 1, 0)]
