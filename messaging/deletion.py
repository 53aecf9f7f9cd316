"""Deleting what staff choose, for good: one memory, one message, one attachment, one file, with all that said it.

Whatever the person's own "forget" does is done here by the same functions (memories/changes.py, forgetting.py). What is
still being answered, sent or fetched is deleted by a job as soon as that is over, because the work would bring it back.
"""

from typing import Any

from django.db import connection, transaction
from procrastinate.contrib.django import app as jobs

from media.models import MessageMedia
from media.storing import remove_file
from memories.changes import forget_memory, hand_on_memory, undo_memory
from memories.models import Memory, MemoryHistory
from messaging import extent
from messaging.attachment_memories import name_call
from messaging.content import get_media_sources, without_source
from messaging.extent import Extent
from messaging.forgetting import (
    AT_LEAST,
    LAST_OF_ALL,
    defer_source_deletion,
    find_answers,
    redact,
    redact_in_time,
)
from messaging.inbound import TAKE_MEDIA
from messaging.models import OutboundMessage, RawMessage

FINISH_MESSAGE = "messaging.finish_message_deletion"
FINISH_ATTACHMENT = "messaging.finish_attachment_deletion"


@transaction.atomic
def delete_memory(memory_id: int) -> Extent:
    """Forget one memory, as the chat and the API do; returns what goes with it. Safe to repeat."""
    reach = extent.preview_memories([memory_id])
    for memory in reach.memories:
        forget_memory(user_id=memory.user_id, number=memory.number)
    return reach


@transaction.atomic
def delete_message(raw_message_id: int) -> Extent:
    """Do away with all that one message said; returns what goes. Safe to repeat.

    The memories it made are forgotten, with all that others said of them. Its corrections are taken back, or, where the
    memory was corrected since, leave its history; so does what it only said again. Its text, its files and the answers
    that it got or that its corrections led to are blanked. Of a burst, the other messages stay.

    The row stays, with SID, addresses and times: Twilio repeats deliveries, and the SID alone tells that a message was
    answered (contracts/twilio-whatsapp.md §1). Without it, what was just deleted would come in as new, be remembered
    and be answered once more.

    A message that nobody has begun to answer is not answered any more. A turn that is running goes on, because its
    answer may be on its way; then a job deletes the rest, and what the turn has kept meanwhile.
    """
    reach = extent.preview_messages([raw_message_id])
    wait = finish_message_deletion(raw_message_id)
    if wait is not None:
        _defer(FINISH_MESSAGE, raw_message_id=raw_message_id)
    return reach


@transaction.atomic
def finish_message_deletion(raw_message_id: int) -> float | None:
    """Delete what one message said as far as it can be now. Returns the seconds after which to call again, or None."""
    # Whoever wants to begin a turn with it waits, and then finds it ignored; memories may refer to it meanwhile.
    raw = RawMessage.objects.select_for_update(no_key=True).filter(id=raw_message_id).first()
    if raw is None:
        return None
    if raw.turn_id is None and raw.status == RawMessage.Status.RECEIVED:
        RawMessage.objects.filter(id=raw.id).update(status=RawMessage.Status.IGNORED)
    answers = extent.find_answers_from([raw.id])
    for memory in Memory.objects.filter(raw_message=raw).order_by("number"):
        forget_memory(user_id=memory.user_id, number=memory.number)
    for memory in Memory.objects.filter(corrected_by=raw).order_by("number"):
        _take_back(memory, raw)
    MemoryHistory.objects.filter(raw_message=raw).delete()
    redact_in_time(interaction_ids=answers)
    wait = redact(raw_message_ids=[raw.id], interaction_ids=find_answers([raw.id]))
    return AT_LEAST if wait is None and _is_being_fetched(raw.id) else wait


def _take_back(memory: Memory, raw: RawMessage) -> None:
    """Take back each correction of the memory's present text that this message made."""
    while memory.corrected_by_id == raw.id:
        undo_memory(user_id=memory.user_id, number=memory.number)
        memory.refresh_from_db()


@transaction.atomic
def delete_attachment(message_media_id: int) -> Extent:
    """Do away with one attachment; returns what goes. The message otherwise stays. Safe to repeat.

    The file goes, if nobody else has sent it, and so do Twilio's copy of it, the memory that describes it, unless it
    was sent again, and the answers to its message. The link stays and says that it was deleted, so that it is not
    fetched again. What the person said in a voice note is in memories like anything typed: these go with the message.
    """
    reach = extent.preview_attachments([message_media_id])
    wait = finish_attachment_deletion(message_media_id)
    if wait is not None:
        _defer(FINISH_ATTACHMENT, message_media_id=message_media_id)
    return reach


@transaction.atomic
def finish_attachment_deletion(message_media_id: int) -> float | None:
    """Delete one attachment as far as it can be now. Returns the seconds after which to call again, or None."""
    link = MessageMedia.objects.filter(id=message_media_id).first()
    if link is None:
        return None
    # First the message, as for a deletion of it; payload and links change together.
    raw = RawMessage.objects.select_for_update(no_key=True).get(id=link.raw_message_id)
    call: dict[str, Any] = {"raw_message": raw, "tool_call": name_call(link)}
    MemoryHistory.objects.filter(**call, kind=MemoryHistory.Kind.REPEATED).delete()
    memory = Memory.objects.filter(**call).first()
    if memory is not None and not hand_on_memory(memory.id):
        forget_memory(user_id=memory.user_id, number=memory.number, spared=[raw.id])
    OutboundMessage.objects.filter(media=link).update(media=None)
    remove_file(link.id)
    sources = [source for source in get_media_sources(raw) if source.position == link.position]
    defer_source_deletion([[raw.message_sid, source.url] for source in sources])
    RawMessage.objects.filter(id=raw.id).update(payload=without_source(raw.payload, position=link.position))
    wait = redact(raw_message_ids=[], interaction_ids=find_answers([raw.id]))
    return AT_LEAST if wait is None and _is_being_fetched(raw.id) else wait


def delete_file(media_file_id: int) -> list[Extent]:
    """Do away with one stored content, whoever has sent it; returns what went, for each sending. Safe to repeat.

    Each sending is deleted by itself: there may be very many. The content goes with its last one. Who sends it again
    afterwards has it kept again.
    """
    links = MessageMedia.objects.filter(file_id=media_file_id).order_by("id")
    return [delete_attachment(link_id) for link_id in links.values_list("id", flat=True)]


def _is_being_fetched(raw_message_id: int) -> bool:
    """Whether a worker has the files of this message in hand: it may keep and remember one it had begun with."""
    with connection.cursor() as cursor:
        cursor.execute(
            # Live jobs are found by the index of locks; these have none (messaging/migrations/0002).
            "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'doing' AND lock IS NULL"
            " AND task_name = %s AND args->>'raw_message_id' = %s)",
            [TAKE_MEDIA, str(raw_message_id)],
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def _defer(task: str, **arguments: int) -> None:
    jobs.configure_task(task, queue="upkeep", priority=LAST_OF_ALL).defer(**arguments)
