"""Putting memories in and taking them out, once each, on both sides: our row is the record, Mem0 has the vector."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F
from procrastinate.contrib.django import app as jobs

from accounts.models import WhatsAppUser
from memories.models import Memory
from whatsbot import database
from whatsbot.integrations import mem0

DELETE_ENTRY = "memories.delete_entry"


def store_memory(
    *,
    raw_message_id: int,
    user_id: int,
    tool_call: str,
    text: str,
    happened_at: datetime,
    type: Memory.Type = Memory.Type.NOTE,
) -> tuple[Memory, bool]:
    """Remember one thing a message said; safe to repeat for the same message and tool call.

    Returns the row and whether this call created it. A worker killed between Mem0's insert and ours leaves an entry
    that the next attempt finds by its key. Raises ProviderError when Mem0 could not store it; then nothing is stored.
    """
    existing = Memory.objects.filter(raw_message_id=raw_message_id, tool_call=tool_call).first()
    if existing is not None:
        return existing, False
    database.release_connection()  # no connection is held while Mem0 embeds and stores
    mem0_id = mem0.add_entry(
        user_id=user_id, text=text, key=f"message:{raw_message_id}:{tool_call}", happened_at=happened_at
    )
    try:
        with transaction.atomic():
            memory = Memory.objects.create(
                user_id=user_id,
                number=_next_number(user_id),
                raw_message_id=raw_message_id,
                tool_call=tool_call,
                mem0_id=mem0_id,
                text=text,
                type=type,
                source=Memory.Source.CHAT,
                happened_at=happened_at,
            )
    except IntegrityError:
        # Another worker took this message over and was first. Anything else is an error.
        memory = Memory.objects.get(raw_message_id=raw_message_id, tool_call=tool_call)
        return memory, False
    return memory, True


def _next_number(user_id: int) -> int:
    """The person's next memory number. The update locks the person's row until the transaction ends."""
    WhatsAppUser.objects.filter(id=user_id).update(memories_numbered=F("memories_numbered") + 1)
    return WhatsAppUser.objects.values_list("memories_numbered", flat=True).get(id=user_id)


@transaction.atomic
def forget_memory(*, user_id: int, number: int) -> Memory | None:
    """Delete one memory of this person by its number, and its Mem0 entry by a job that commits with the deletion.

    Returns the deleted row, or None if the person has no such memory.
    """
    memory = Memory.objects.select_for_update().filter(user_id=user_id, number=number).first()
    if memory is None:
        return None
    jobs.configure_task(DELETE_ENTRY, queue="upkeep").defer(mem0_id=str(memory.mem0_id))
    Memory.objects.filter(id=memory.id).delete()
    return memory
