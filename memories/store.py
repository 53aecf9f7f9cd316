"""Putting memories in, once each and on both sides: our row is the record, Mem0 has the vector.

Mem0 is asked first, under a key that lets an entry be found again whose row was never written. What is known already is
not stored again.
"""

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from accounts.models import WhatsAppUser
from memories.models import Memory, MemoryHistory, MemoryWord
from memories.sameness import NEAR, identify_key, identify_words, say_the_same
from memories.words import count_words
from whatsbot import database
from whatsbot.integrations import mem0

DELETE_ENTRIES = "memories.delete_entries"
COMPARED = 5  # the nearest entries a new text is compared with
MOST = 32767  # of one word in one text: the column is a small integer


class Outcome(Enum):
    """What storing came to."""

    SAVED = "saved"
    KNOWN = "known"  # said before; nothing new was made


@dataclass(frozen=True, slots=True)
class Stored:
    """The memory that now holds what was said, and whether it is new."""

    memory: Memory
    outcome: Outcome


def store_memory(
    *,
    raw_message_id: int,
    user_id: int,
    tool_call: str,
    text: str,
    happened_at: datetime,
    type: Memory.Type = Memory.Type.NOTE,
    event_start: datetime | None = None,
    event_end: datetime | None = None,
    key: str | None = None,
) -> Stored:
    """Remember one thing a message said; safe to repeat for the same message and tool call, with the same outcome.

    What is known already is noted in that memory's history and stored no second time; with a ``key``, the caller's own
    name for it within the person, nothing else is known already. A worker killed between Mem0's insert and ours leaves
    an entry that the next attempt finds by its key. Raises ProviderError when Mem0 could not store it; then nothing is
    stored.
    """
    call: dict[str, Any] = {"raw_message_id": raw_message_id, "tool_call": tool_call}
    earlier = _find_earlier_call(**call)
    if earlier is not None:
        return earlier
    memory = Memory(
        user_id=user_id,
        text=check_text(text),
        type=type,
        source=Memory.Source.CHAT,
        happened_at=happened_at,
        event_start=event_start,
        event_end=event_end,
        **call,
    )
    known = _identify(memory, key=key) or _add(memory, key=f"message:{raw_message_id}:{tool_call}")
    if _are_of_one_call(known, memory):  # also if another worker, who took this message over, was first
        return Stored(known, Outcome.SAVED)
    MemoryHistory.objects.get_or_create(
        **call,
        defaults={
            "memory": known,
            "kind": MemoryHistory.Kind.REPEATED,
            "text": memory.text,
            "said_at": happened_at,
        },
    )
    return Stored(known, Outcome.KNOWN)


def store_memory_direct(
    *,
    user_id: int,
    text: str,
    source: Memory.Source,
    happened_at: datetime | None = None,
    type: Memory.Type = Memory.Type.NOTE,
    event_start: datetime | None = None,
    event_end: datetime | None = None,
    key: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Stored:
    """Remember something that no message said: from the API, the back-office or an import.

    ``key`` is the caller's own name for it within the person: a repeat returns the first memory, and nothing is
    compared by content. Without a key, what is known already is not stored again. ``metadata`` is the caller's own.
    Raises ProviderError when Mem0 could not store it; then nothing is stored.
    """
    memory = Memory(
        user_id=user_id,
        text=check_text(text),
        type=type,
        source=source,
        happened_at=happened_at or timezone.now(),
        event_start=event_start,
        event_end=event_end,
        metadata=metadata or {},
    )
    known = _identify(memory, key=key)
    stored = known or _add(memory, key=f"direct:{user_id}:{memory.identity}")
    return Stored(stored, Outcome.SAVED if stored is memory else Outcome.KNOWN)


def find_known_memory(
    *,
    user_id: int,
    text: str,
    happened_at: datetime,
    type: Memory.Type = Memory.Type.NOTE,
    event_start: datetime | None = None,
    event_end: datetime | None = None,
) -> Memory | None:
    """The memory that storing this would find known already; None if it would make a new one. Changes nothing.

    Raises ProviderError, and ValueError for a text that is none.
    """
    memory = Memory(
        user_id=user_id,
        text=check_text(text),
        type=type,
        happened_at=happened_at,
        event_start=event_start,
        event_end=event_end,
    )
    return _identify(memory, key=None)


def check_text(text: str) -> str:
    """The text as PostgreSQL takes it: no NUL, no half of a character. Raises ValueError if there is none."""
    text = text.replace("\0", " ").encode(errors="replace").decode()
    if not text.strip():
        raise ValueError("A memory needs a text.")
    return text


def _find_earlier_call(*, raw_message_id: int, tool_call: str) -> Stored | None:
    """What an earlier attempt of the same tool call came to."""
    saved = Memory.objects.filter(raw_message_id=raw_message_id, tool_call=tool_call).first()
    if saved is not None:
        return Stored(saved, Outcome.SAVED)
    repeated = (
        MemoryHistory.objects.filter(
            raw_message_id=raw_message_id, tool_call=tool_call, kind=MemoryHistory.Kind.REPEATED
        )
        .select_related("memory")
        .first()
    )
    return Stored(repeated.memory, Outcome.KNOWN) if repeated else None


def get_zone(user_id: int, *, locked: bool = False) -> ZoneInfo:
    """The person's time zone; ``locked``, nobody else numbers a memory of theirs until the transaction ends."""
    people = WhatsAppUser.objects.select_for_update(no_key=True) if locked else WhatsAppUser.objects
    return ZoneInfo(people.values_list("timezone", flat=True).get(id=user_id))


def get_day(when: datetime, zone: ZoneInfo) -> date:
    """The day of an instant on the clocks of a zone."""
    return when.astimezone(zone).date()


def identify_content(memory: Memory, *, zone: ZoneInfo) -> uuid.UUID:
    """The identity of what a memory says."""
    return identify_words(
        memory.text,
        said_on=get_day(memory.happened_at, zone),
        event_start=memory.event_start,
        event_end=memory.event_end,
    )


def _identify(memory: Memory, *, key: str | None) -> Memory | None:
    """Give a new memory its identity; return the one that is known by it already, or says the same.

    Raises ProviderError.
    """
    if key is not None:
        memory.identity = identify_key(key)
        return _find_by_identity(memory)
    zone = get_zone(memory.user_id)
    memory.identity = identify_content(memory, zone=zone)
    return _find_known(memory, zone=zone)


def _are_of_one_call(one: Memory, other: Memory) -> bool:
    return (one.raw_message_id, one.tool_call) == (other.raw_message_id, other.tool_call)


def _find_by_identity(memory: Memory) -> Memory | None:
    return Memory.objects.filter(user_id=memory.user_id, identity=memory.identity).first()


def _find_known(memory: Memory, *, zone: ZoneInfo) -> Memory | None:
    """A memory that says the same: in the same words, or in nearly the same. Raises ProviderError."""
    same_words = _find_by_identity(memory)
    if same_words is not None:
        return same_words
    database.release_connection()  # no connection is held while Mem0 embeds and searches
    near = mem0.find_similar_entries(user_id=memory.user_id, text=memory.text, limit=COMPARED)
    ids = [found.mem0_id for found in near if found.similarity >= NEAR]
    alike = {name: getattr(memory, name) for name in ("user_id", "type", "event_start", "event_end")}
    rows = Memory.objects.filter(**alike, mem0_id__in=ids) if ids else ()
    return next(
        (
            row
            for row in sorted(rows, key=lambda row: ids.index(str(row.mem0_id)))
            if say_the_same(
                memory.text,
                said_on=get_day(memory.happened_at, zone),
                other=row.text,
                other_said_on=get_day(row.happened_at, zone),
            )
        ),
        None,
    )


def _add(memory: Memory, *, key: str) -> Memory:
    """Put the entry into Mem0, then the row beside it; the key finds an entry whose row was never written.

    Returns the memory, or the one that was stored in its place while we asked Mem0.
    """
    database.release_connection()  # no connection is held while Mem0 embeds and stores
    memory.mem0_id = uuid.UUID(mem0.add_entry(user_id=memory.user_id, key=key, content=get_content(memory)))
    counts = count_words(memory.text)
    memory.word_count = counts.total()
    try:
        with transaction.atomic():
            memory.number = _next_number(memory.user_id)
            memory.save(force_insert=True)
            _write_words(memory, counts)
    except (IntegrityError, DataError, WhatsAppUser.DoesNotExist):
        return _yield(memory, key=key)
    return memory


def _yield(memory: Memory, *, key: str) -> Memory:
    """What stands in the way of a new row, or the error being handled; no entry is left without a row.

    Another worker took the message over, or the same was said at the same moment, and was first. Or the person or the
    message is gone: then nothing of the text may stay.
    """
    same_call = Q(raw_message_id=memory.raw_message_id, tool_call=memory.tool_call, raw_message__isnull=False)
    same_words = Q(user_id=memory.user_id, identity=memory.identity)
    first = Memory.objects.filter(same_call | same_words).first()
    holder = Memory.objects.filter(mem0_id=memory.mem0_id).first()
    if first is None and holder is not None:
        # The key is that of the first words of a memory that was corrected since, and keeps its entry.
        return _add(memory, key=f"{key}:{holder.id}")
    if holder is None:
        defer_deletion(user_id=memory.user_id, mem0_ids=[str(memory.mem0_id)])
    if first is None:
        raise
    return first


def _next_number(user_id: int) -> int:
    """The person's next memory number. The update locks the person's row until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_whatsappuser SET memories_numbered = memories_numbered + 1 WHERE id = %s "
            "RETURNING memories_numbered",
            [user_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise WhatsAppUser.DoesNotExist
    return int(row[0])


def get_content(memory: Memory) -> mem0.Content:
    """What Mem0 is to hold of a memory."""
    return mem0.Content(
        text=memory.text,
        happened_at=memory.happened_at,
        event_start=memory.event_start,
        event_end=memory.event_end,
    )


def index_words(memory: Memory) -> None:
    """Write the words search finds a memory by, in place of those it had. Call it inside a transaction."""
    counts = count_words(memory.text)
    memory.word_count = counts.total()
    Memory.objects.filter(id=memory.id).update(word_count=memory.word_count)
    MemoryWord.objects.filter(memory_id=memory.id).delete()
    _write_words(memory, counts)


def _write_words(memory: Memory, counts: Counter[str]) -> None:
    MemoryWord.objects.bulk_create(
        MemoryWord(
            user_id=memory.user_id,
            word=word,
            memory_id=memory.id,
            count=min(count, MOST),
            word_count=memory.word_count,
        )
        for word, count in counts.items()
    )


def defer_deletion(*, user_id: int, mem0_ids: list[str]) -> None:
    """Have entries deleted from Mem0 that no memory holds."""
    jobs.configure_task(DELETE_ENTRIES, queue="upkeep").defer(user_id=user_id, mem0_ids=[*mem0_ids])
