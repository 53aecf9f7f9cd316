"""Correcting and forgetting memories. Our rows change at once; Mem0 follows by jobs of the same transaction.

The job that deletes an entry is enqueued by a trigger of the database (memories/migrations/0004), so that no way of
deleting goes without it.
"""

from datetime import datetime

from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from memories.models import Memory, MemoryHistory
from memories.store import check_text, get_zone, identify_content, index_words

SYNC_ENTRY = "memories.sync_entry"


@transaction.atomic
def update_memory(
    *,
    user_id: int,
    number: int,
    text: str,
    said_at: datetime | None = None,
    event_start: datetime | None = None,
    event_end: datetime | None = None,
    raw_message_id: int | None = None,
    tool_call: str = "",
) -> Memory | None:
    """Correct one memory of this person: ``text`` and event take the place of what it said, which its history keeps.

    Safe to repeat for the same message and tool call. Mem0 follows by a job that commits with the change. Returns the
    memory, or None if the person has no such memory.
    """
    memory = Memory.objects.select_for_update().filter(user_id=user_id, number=number).first()
    if memory is None or _has_corrected(memory, raw_message_id=raw_message_id, tool_call=tool_call):
        return memory
    zone = get_zone(user_id, locked=True)  # nothing else is stored meanwhile, so that the identity stays free
    is_known_by_its_words = memory.identity in (None, identify_content(memory, zone=zone))
    source, call = memory.raw_message_id, memory.tool_call
    if memory.history.filter(kind=MemoryHistory.Kind.CORRECTED).exists():  # perhaps by no message
        source, call = memory.corrected_by_id, memory.correction_call
    MemoryHistory.objects.create(
        memory=memory,
        kind=MemoryHistory.Kind.CORRECTED,
        text=memory.text,
        raw_message_id=source,
        tool_call=call,
        said_at=memory.happened_at,
    )
    memory.text, memory.happened_at = check_text(text), said_at or timezone.now()
    memory.event_start, memory.event_end = event_start, event_end
    if is_known_by_its_words:  # who says the old words again says something else than this memory
        identity = identify_content(memory, zone=zone)
        others = Memory.objects.filter(user_id=user_id, identity=identity).exclude(id=memory.id)
        memory.identity = None if others.exists() else identity
    memory.corrected_by_id, memory.correction_call = raw_message_id, tool_call
    memory.save()
    index_words(memory)
    jobs.configure_task(SYNC_ENTRY, queue="upkeep", lock=f"memory:{memory.id}").defer(memory_id=memory.id)
    return memory


def _has_corrected(memory: Memory, *, raw_message_id: int | None, tool_call: str) -> bool:
    if raw_message_id is None:
        return False
    if (memory.corrected_by_id, memory.correction_call) == (raw_message_id, tool_call):
        return True
    return memory.history.filter(raw_message_id=raw_message_id, tool_call=tool_call).exists()


@transaction.atomic
def forget_memory(*, user_id: int, number: int) -> Memory | None:
    """Delete one memory of this person by its number. Returns the deleted row, or None if there is no such memory."""
    memory = Memory.objects.select_for_update().filter(user_id=user_id, number=number).first()
    if memory is not None:
        Memory.objects.filter(id=memory.id).delete()
    return memory
