"""People, messages and memories for tests, and what must be true of both sides of the memory store."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from accounts.models import WhatsAppUser
from memories.models import Memory, MemoryHistory, MemoryWord
from memories.store import Stored, get_content, store_memory, store_memory_direct
from memories.words import count_words
from messaging.models import RawMessage
from whatsbot.integrations import mem0

NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)
CODE = "The gate code is 4711"


def make_person() -> WhatsAppUser:
    """Somebody new, in New York."""
    return WhatsAppUser.objects.create(
        whatsapp_id=f"whatsapp:test-{secrets.token_hex(8)}", timezone="America/New_York"
    )


def make_message(person: WhatsAppUser, text: str = CODE) -> RawMessage:
    """A message of theirs, as the webhook stores it."""
    return RawMessage.objects.create(
        message_sid=f"SM{secrets.token_hex(16)}",
        user=person,
        from_address=person.whatsapp_id,
        to_address="whatsapp:+12025550199",
        body=text,
        payload={"Body": text},
    )


def say(
    person: WhatsAppUser, text: str = CODE, *, message: RawMessage | None = None, **fields: Any
) -> Stored:
    """Store what a message says; a new message unless one is given."""
    message = message or make_message(person)
    call: dict[str, Any] = {"tool_call": "recall", "happened_at": NOON} | fields
    return store_memory(raw_message_id=message.id, user_id=person.id, text=text, **call)


def note(person: WhatsAppUser, text: str = CODE, **fields: Any) -> Stored:
    """Store a text that no message said."""
    call: dict[str, Any] = {"source": Memory.Source.API, "happened_at": NOON} | fields
    return store_memory_direct(user_id=person.id, text=text, **call)


def get_texts(person: WhatsAppUser) -> list[str]:
    """What is remembered of somebody, by number."""
    return list(Memory.objects.filter(user=person).order_by("number").values_list("text", flat=True))


def get_entry_texts(person: WhatsAppUser) -> list[str]:
    """What Mem0 has of somebody."""
    return sorted(entry.content.text for entry in mem0.list_entries(user_id=person.id))


def get_history(person: WhatsAppUser) -> list[tuple[str, str, int | None]]:
    """What was said besides, in order: kind, text and message."""
    rows = MemoryHistory.objects.filter(memory__user=person).order_by("id")
    return list(rows.values_list("kind", "text", "raw_message_id"))


def check_both_sides(*people: WhatsAppUser) -> None:
    """Assert that Mem0 has one entry for each memory, which says the same, and that words and numbers are right."""
    for person in people:
        rows = list(Memory.objects.filter(user_id=person.id))
        entries = list(mem0.list_entries(user_id=person.id))
        assert sorted((entry.mem0_id, _describe(entry.content)) for entry in entries) == sorted(
            (str(row.mem0_id), _describe(get_content(row))) for row in rows
        )
        assert len({entry.key for entry in entries}) == len(entries)
        _check_words(person, rows)
        counted = WhatsAppUser.objects.values_list("memories_numbered", flat=True).get(id=person.id)
        assert all(1 <= row.number <= counted for row in rows)


def _check_words(person: WhatsAppUser, rows: Sequence[Memory]) -> None:
    indexed = MemoryWord.objects.filter(user_id=person.id).values_list(
        "memory_id", "word", "count", "word_count"
    )
    assert sorted(indexed) == sorted(
        (row.id, word, count, row.word_count) for row in rows for word, count in count_words(row.text).items()
    )
    assert all(row.word_count == count_words(row.text).total() for row in rows)


def _describe(content: mem0.Content) -> tuple[str, list[int]]:
    return content.text, [seconds or 0 for seconds in content.in_seconds()]
