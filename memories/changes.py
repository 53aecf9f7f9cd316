"""Correcting and forgetting memories. Our rows change at once; Mem0 follows by jobs of the same transaction.

The job that deletes an entry is enqueued by a trigger of the database (memories/migrations/0004), so that no way of
deleting goes without it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models.functions import Now
from django.dispatch import Signal
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from memories.models import Memory, MemoryHistory
from memories.store import check_text, get_zone, identify_content, index_words

SYNC_ENTRY = "memories.sync_entry"
CONTENT = ("text", "happened_at", "event_start", "event_end")

# Sent in the transaction of the change, before it, so that whoever keeps what was said can blank it:
#   memory            the memory that is about to be forgotten, or whose correction is about to be taken back
#   raw_message_ids   the messages that said what goes
#   is_whole          whether the memory itself goes
forgetting = Signal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What undoing came to: ``text`` is taken back, ``restored`` holds again, or None if the memory is forgotten."""

    number: int
    text: str
    restored: str | None


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
    is_known_by_its_words = _is_known_by_its_words(memory, zone=zone)
    source, call = memory.raw_message_id, memory.tool_call
    if _find_last_correction(memory) is not None:  # perhaps by no message
        source, call = memory.corrected_by_id, memory.correction_call
    MemoryHistory.objects.create(
        memory=memory,
        kind=MemoryHistory.Kind.CORRECTED,
        text=memory.text,
        raw_message_id=source,
        tool_call=call,
        said_at=memory.happened_at,
        event_start=memory.event_start,
        event_end=memory.event_end,
    )
    memory.text, memory.happened_at = check_text(text), said_at or timezone.now()
    memory.event_start, memory.event_end = event_start, event_end
    memory.corrected_by_id, memory.correction_call = raw_message_id, tool_call
    # Who says the old words again says something else than this memory.
    _save_content(memory, zone=zone, renew_identity=is_known_by_its_words)
    return memory


@transaction.atomic
def amend_memory(*, user_id: int, number: int, changes: Mapping[str, Any]) -> Memory | None:
    """Change some fields of one memory of this person: ``text``, times and event as a correction, type and metadata so.

    Returns the memory, or None if the person has no such memory.
    """
    memory = Memory.objects.select_for_update().filter(user_id=user_id, number=number).first()
    if memory is None:
        return None
    content = {name: changes.get(name, getattr(memory, name)) for name in CONTENT}
    if any(getattr(memory, name) != value for name, value in content.items()):
        content["said_at"] = content.pop("happened_at")
        update_memory(user_id=user_id, number=number, **content)
    others = {name: value for name, value in changes.items() if name not in CONTENT}
    if others:
        Memory.objects.filter(id=memory.id).update(**others, updated_at=Now())
    return memory


@transaction.atomic
def rewrite_memory(memory_id: int, *, text: str) -> None:
    """Let a memory say better what it is about (what a picture shows, say). Its history does not change.

    What the person has corrected since is left alone. Mem0 follows by a job that commits with the change.
    """
    memory = Memory.objects.select_for_update().filter(id=memory_id).first()
    if memory is None or memory.text == check_text(text) or _find_last_correction(memory) is not None:
        return
    zone = get_zone(memory.user_id, locked=True)
    is_known_by_its_words = _is_known_by_its_words(memory, zone=zone)
    memory.text = check_text(text)
    _save_content(memory, zone=zone, renew_identity=is_known_by_its_words)


def _is_known_by_its_words(memory: Memory, *, zone: ZoneInfo) -> bool:
    """Whether the identity comes from what the memory says, and not from a caller's key."""
    return memory.identity in (None, identify_content(memory, zone=zone))


def _find_last_correction(memory: Memory) -> MemoryHistory | None:
    """What the memory said before its present text, if that is a correction."""
    return memory.history.filter(kind=MemoryHistory.Kind.CORRECTED).order_by("-id").first()


def _save_content(memory: Memory, *, zone: ZoneInfo, renew_identity: bool) -> None:
    """Write a changed text and event; the words are indexed at once, Mem0 follows by a job."""
    if renew_identity:
        identity = identify_content(memory, zone=zone)
        others = Memory.objects.filter(user_id=memory.user_id, identity=identity).exclude(id=memory.id)
        memory.identity = None if others.exists() else identity
    memory.save()
    index_words(memory)
    jobs.configure_task(SYNC_ENTRY, queue="upkeep", lock=f"memory:{memory.id}").defer(memory_id=memory.id)


def _has_corrected(memory: Memory, *, raw_message_id: int | None, tool_call: str) -> bool:
    if raw_message_id is None:
        return False
    if (memory.corrected_by_id, memory.correction_call) == (raw_message_id, tool_call):
        return True
    return memory.history.filter(raw_message_id=raw_message_id, tool_call=tool_call).exists()


@transaction.atomic
def undo_memory(*, user_id: int, number: int | None = None) -> Undone | None:
    """Take back the last thing done to one memory of this person: its correction, or else the memory itself.

    Without a number: the memory that was saved or corrected last. Returns None if there is none. What was said again
    after a correction goes with it, since it said what is taken back.
    """
    if number is None:
        number = _find_last_changed(user_id)
    if number is None:
        return None
    memory = Memory.objects.select_for_update().filter(user_id=user_id, number=number).first()
    if memory is None:
        return None
    before = _find_last_correction(memory)
    undone = Undone(number=memory.number, text=memory.text, restored=before.text if before else None)
    if before is None:
        forget_memory(user_id=user_id, number=memory.number)
    else:
        _take_back(memory, before=before)
    return undone


def _find_last_changed(user_id: int) -> int | None:
    """The number of the memory that was saved or corrected last."""
    saved = Memory.objects.filter(user_id=user_id).order_by("-number").first()
    corrected = (
        MemoryHistory.objects.filter(memory__user_id=user_id, kind=MemoryHistory.Kind.CORRECTED)
        .select_related("memory")
        .order_by("-created_at", "-id")
        .first()
    )
    if corrected and saved and corrected.created_at > saved.created_at:
        return corrected.memory.number
    return saved.number if saved else None


def _take_back(memory: Memory, *, before: MemoryHistory) -> None:
    zone = get_zone(memory.user_id, locked=True)  # as for a correction
    is_known_by_its_words = _is_known_by_its_words(memory, zone=zone)
    said_it = {memory.corrected_by_id}
    memory.history.filter(id__gte=before.id).delete()
    said_the_rest = {memory.raw_message_id, *memory.history.values_list("raw_message_id", flat=True)}
    forgetting.send(Memory, memory=memory, raw_message_ids=_known(said_it - said_the_rest), is_whole=False)
    memory.text, memory.happened_at = before.text, before.said_at
    memory.event_start, memory.event_end = before.event_start, before.event_end
    memory.corrected_by_id, memory.correction_call = None, ""
    if _find_last_correction(memory) is not None:  # what holds again is a correction too
        memory.corrected_by_id, memory.correction_call = before.raw_message_id, before.tool_call
    _save_content(memory, zone=zone, renew_identity=is_known_by_its_words)


@transaction.atomic
def hand_on_memory(memory_id: int) -> bool:
    """Let a memory be from the message that said it again, in its words, instead of from its first.

    False if nobody has said it again, or it was corrected since and is not what was said again.
    """
    memory = Memory.objects.select_for_update().get(id=memory_id)
    again = memory.history.filter(kind=MemoryHistory.Kind.REPEATED).order_by("id").first()
    if again is None or _find_last_correction(memory) is not None:
        return False
    zone = get_zone(memory.user_id, locked=True)
    is_known_by_its_words = _is_known_by_its_words(memory, zone=zone)
    memory.raw_message_id, memory.tool_call = again.raw_message_id, again.tool_call
    memory.text, memory.happened_at = again.text, again.said_at
    again.delete()
    _save_content(memory, zone=zone, renew_identity=is_known_by_its_words)
    return True


@transaction.atomic
def forget_memory(*, user_id: int, number: int, spared: Collection[int] = ()) -> Memory | None:
    """Delete one memory of this person by its number. Returns the deleted row, or None if there is no such memory.

    Sends `forgetting` first. ``spared`` are messages (ids) that are not to be blanked, although they said it.
    """
    memory = Memory.objects.select_for_update().filter(user_id=user_id, number=number).first()
    if memory is not None:
        said_it = {
            memory.raw_message_id,
            memory.corrected_by_id,
            *memory.history.values_list("raw_message_id", flat=True),
        }
        forgetting.send(Memory, memory=memory, raw_message_ids=_known(said_it - {*spared}), is_whole=True)
        Memory.objects.filter(id=memory.id).delete()
    return memory


def _known(ids: set[int | None]) -> list[int]:
    return sorted(each for each in ids if each is not None)
