"""A page of 200 rows takes as many statements as a page of one."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from accounts.models import ApiToken, WhatsAppUser
from memories.models import Memory, MemoryHistory
from tests.api.conftest import NUMBER, Ask
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON
from tests.messaging.made import answer, make_raw, remember
from whatsbot.integrations import mem0

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
MANY = 200
Read = Callable[[], Any]


@pytest.fixture(autouse=True)
def files_folder(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def ask_again(ask: Ask, person: WhatsAppUser) -> Ask:
    """Asks with one token, whose last use is noted already: the first request of a minute writes that."""
    ask("GET", "/memories", query={"whatsapp_number": NUMBER})
    assert ApiToken.objects.filter(last_used_at__isnull=False).exists()
    return ask


def add_turns(person: WhatsAppUser, first: int, last: int) -> None:
    """Messages with a memory, a file, an answer and what it used; other messages, with files, correct the memories."""
    for number in range(first, last):
        at = NOON + number * MINUTE
        raw = make_raw(person, f"The gate has the code {number}", at=at)
        send_file(person, make_file(f"{number}".encode()), raw=raw)
        memory = remember(person, f"The gate has the code {number}", raw=raw, happened_at=at)
        answer(person, raw=raw, used=[memory], parts=2, at=at + timedelta(seconds=2))
        correction = make_raw(person, f"No, it is {number} now", at=at + timedelta(seconds=5))
        send_file(person, make_file(f"{number} again".encode()), raw=correction)
        Memory.objects.filter(id=memory.id).update(corrected_by=correction, correction_call="1")


def add_history(memory: Memory, first: int, last: int) -> None:
    """Corrections, each by a message of its own."""
    for number in range(first, last):
        raw = make_raw(memory.user, f"Correction {number}", at=NOON + number * MINUTE)
        MemoryHistory.objects.create(
            memory=memory,
            kind=MemoryHistory.Kind.CORRECTED,
            text=f"Text {number}",
            raw_message=raw,
            tool_call=f"1.{number}",
            said_at=NOON,
        )


def count(read: Read, *, rows: int) -> list[str]:
    """The statements that reading takes, which gives so many rows; also those that go past Django."""
    said: list[str] = []
    execute = psycopg.Cursor.execute

    def note(cursor: Any, statement: Any, *args: Any, **options: Any) -> Any:
        said.append(str(statement))
        return execute(cursor, statement, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", note)
        response = read()
    assert response.status_code == 200, response.content
    assert len(response.json()["results"]) == rows
    assert any("memories_memory" in statement for statement in said)
    return said


def assert_same_number(read: Read, grow: Callable[[int, int], None]) -> None:
    """Reading 200 rows takes as many statements as reading one."""
    grow(0, 1)
    few = count(read, rows=1)
    grow(1, MANY)
    many = count(read, rows=MANY)
    assert len(few) == len(many), "\n".join(many)


def test_the_list_of_memories_takes_as_many_statements_for_200_as_for_one(
    ask_again: Ask, person: WhatsAppUser
) -> None:
    assert_same_number(
        lambda: ask_again("GET", "/memories", query={"whatsapp_number": NUMBER, "limit": MANY}),
        lambda first, last: add_turns(person, first, last),
    )


def test_a_search_takes_as_many_statements_for_200_as_for_one(
    ask_again: Ask, person: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(**given: Any) -> list[mem0.Found]:
        ids = Memory.objects.values_list("mem0_id", flat=True)  # one statement, whatever it finds
        return [mem0.Found(mem0_id=str(id), similarity=0.9) for id in ids]

    monkeypatch.setattr(mem0, "search_entries", search)
    query = {"whatsapp_number": NUMBER, "query": "the code of the gate", "limit": MANY}
    assert_same_number(
        lambda: ask_again("GET", "/memories", query=query),
        lambda first, last: add_turns(person, first, last),
    )


def test_the_list_by_message_takes_as_many_statements_for_200_as_for_one(
    ask_again: Ask, person: WhatsAppUser
) -> None:
    assert_same_number(
        lambda: ask_again("POST", "/memories/list", json={"whatsapp_number": NUMBER, "limit": MANY}),
        lambda first, last: add_turns(person, first, last),
    )


def test_a_history_takes_as_many_statements_for_200_as_for_one(ask_again: Ask, person: WhatsAppUser) -> None:
    memory = remember(person)
    assert_same_number(
        lambda: ask_again("GET", f"/memories/{memory.id}/history", query={"limit": MANY}),
        lambda first, last: add_history(memory, first, last),
    )


def test_the_conversation_takes_as_many_statements_for_200_as_for_one(
    ask_again: Ask, person: WhatsAppUser
) -> None:
    assert_same_number(
        lambda: ask_again("GET", "/interactions/recent", query={"whatsapp_number": NUMBER, "limit": MANY}),
        lambda first, last: add_turns(person, first, last),
    )


def test_lists_do_not_read_what_they_do_not_show(ask_again: Ask, person: WhatsAppUser) -> None:
    add_turns(person, 0, 1)
    of_messages, of_turns = '"payload"', ('"transcript"', '"facts"')
    lists: tuple[tuple[Read, tuple[str, ...]], ...] = (
        (lambda: ask_again("GET", "/memories", query={"whatsapp_number": NUMBER}), (of_messages, *of_turns)),
        (
            lambda: ask_again("POST", "/memories/list", json={"whatsapp_number": NUMBER}),
            (of_messages, *of_turns),
        ),
        (lambda: ask_again("GET", "/interactions/recent", query={"whatsapp_number": NUMBER}), of_turns),
    )
    for read, hidden in lists:
        for statement in count(read, rows=1):
            assert not [name for name in hidden if name in statement], statement
