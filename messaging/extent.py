"""How far a deletion reaches: what goes with messages, memories, attachments and files, counted before it is done.

The services that delete (messaging/deletion.py) ask the same questions, so that what is announced is what happens.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from media.models import MediaFile, MessageMedia
from memories.models import Citation, Memory, MemoryHistory
from messaging.attachment_memories import name_call
from messaging.content import FIRST_MEDIA, get_media_sources
from messaging.forgetting import FORGOTTEN, find_answers, find_what_said
from messaging.models import Interaction, RawMessage

Kind = MemoryHistory.Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a deletion does away with; what is blanked or gone already is left out.

    ``memories`` are forgotten; of ``restored`` ones a correction is taken back. ``objects`` are the names of stored
    objects that nobody else has sent, ``files`` the contents they belong to. Of ``messages`` and ``answers`` the texts
    are blanked (ids); ``attachments`` are sendings of files.
    """

    memories: tuple[Memory, ...] = ()
    restored: tuple[Memory, ...] = ()
    earlier_texts: int = 0
    messages: tuple[int, ...] = ()
    answers: tuple[int, ...] = ()
    attachments: int = 0
    files: int = 0
    objects: tuple[str, ...] = ()
    twilio_copies: int = 0

    def count(self) -> dict[str, int]:
        """How many of each; each memory has one entry in Mem0."""
        return {
            "memories": len(self.memories),
            "restored": len(self.restored),
            "earlier_texts": self.earlier_texts,
            "messages": len(self.messages),
            "answers": len(self.answers),
            "attachments": self.attachments,
            "files": self.files,
            "mem0_entries": len(self.memories),
            "objects": len(self.objects),
            "twilio_copies": self.twilio_copies,
        }


def preview_memories(memory_ids: Collection[int]) -> Extent:
    """What goes when these memories are forgotten."""
    memories = _get_memories(Q(id__in=memory_ids))
    messages, answers = _find_what_said(memories)
    return _measure(
        memories=memories, messages=messages, answers=answers, links=Q(raw_message_id__in=messages)
    )


def preview_messages(raw_message_ids: Collection[int]) -> Extent:
    """What goes when these messages are deleted: also what others say of the memories they made."""
    ids = set(raw_message_ids)
    memories = _get_memories(Q(raw_message_id__in=ids))
    messages, answers = _find_what_said(memories)
    restored = [memory for memory in _get_memories(Q(corrected_by_id__in=ids)) if memory not in memories]
    if restored:
        with_corrections, their_answers = find_what_said(
            [memory.corrected_by_id for memory in restored if memory.corrected_by_id is not None]
        )
        messages |= with_corrections
        answers |= their_answers
    messages |= ids
    answers |= find_answers(ids) | find_answers_from(ids)
    removed = MemoryHistory.objects.filter(raw_message_id__in=ids).exclude(memory__in=memories)
    return _measure(
        memories=memories,
        restored=restored,
        earlier_texts=removed.count(),
        messages=messages,
        answers=answers,
        links=Q(raw_message_id__in=messages),
    )


def preview_attachments(message_media_ids: Collection[int]) -> Extent:
    """What goes when these attachments are deleted: their files, what describes these, and the answers about them."""
    links = list(MessageMedia.objects.filter(id__in=message_media_ids).select_related("raw_message"))
    calls = {(link.raw_message_id, name_call(link)) for link in links}
    own = {link.raw_message_id for link in links}
    candidates = [
        memory
        for memory in _get_memories(Q(raw_message_id__in=own, tool_call__startswith="media."))
        if (memory.raw_message_id, memory.tool_call) in calls
    ]
    stay = _find_said_elsewhere(candidates, calls=calls)
    memories = [memory for memory in candidates if memory.id not in stay]
    messages, answers = _find_what_said(memories, spared=own)
    at_twilio = sum(
        any(source.position == link.position for source in get_media_sources(link.raw_message))
        for link in links
    )
    return _measure(
        memories=memories,
        messages=messages,
        answers=answers | find_answers(own),
        links=Q(id__in=[link.id for link in links]) | Q(raw_message_id__in=messages),
        twilio_copies=at_twilio,
    )


def preview_files(media_file_ids: Collection[int]) -> Extent:
    """What goes when these contents are deleted, whoever has sent them."""
    links = MessageMedia.objects.filter(file_id__in=media_file_ids)
    return preview_attachments(set(links.values_list("id", flat=True)))


def find_answers_from(raw_message_ids: Collection[int]) -> set[int]:
    """The answers that used a memory while it said what these messages had corrected it to."""
    citing = Citation.objects.filter(
        memory__corrected_by_id__in=raw_message_ids,
        interaction__answered_at__gte=F("memory__corrected_by__received_at"),
    )
    until_corrected_again = MemoryHistory.objects.filter(
        kind=Kind.CORRECTED,
        raw_message_id__in=raw_message_ids,
        memory__citations__interaction__answered_at__gte=F("raw_message__received_at"),
        memory__citations__interaction__started_at__lte=F("created_at"),
    )
    return {
        *citing.values_list("interaction_id", flat=True),
        *until_corrected_again.values_list("memory__citations__interaction_id", flat=True),
    }


def _get_memories(which: Q) -> list[Memory]:
    shown = ("user_id", "number", "mem0_id", "raw_message_id", "tool_call", "corrected_by_id")
    return list(Memory.objects.filter(which).order_by("user_id", "number").only(*shown))


def _find_what_said(
    memories: Collection[Memory], *, spared: Collection[int] = ()
) -> tuple[set[int], set[int]]:
    """The messages and answers that forgetting these memories blanks (memories.changes.forget_memory)."""
    if not memories:
        return set(), set()
    earlier = MemoryHistory.objects.filter(memory__in=memories, raw_message__isnull=False)
    said_it = {
        *(memory.raw_message_id for memory in memories),
        *(memory.corrected_by_id for memory in memories),
        *earlier.values_list("raw_message_id", flat=True),
    }
    return find_what_said(
        {each for each in said_it if each is not None} - {*spared},
        cited_memory_ids=[memory.id for memory in memories],
    )


def _find_said_elsewhere(memories: Collection[Memory], *, calls: Collection[tuple[int, str]]) -> set[int]:
    """Of memories of attachments, those that others sent again, which stay as that (hand_on_memory)."""
    history = MemoryHistory.objects.filter(memory__in=memories)
    rows = list(history.values_list("memory_id", "kind", "raw_message_id", "tool_call"))
    corrected = {memory_id for memory_id, kind, _, _ in rows if kind == Kind.CORRECTED}
    again = {
        memory_id for memory_id, kind, *call in rows if kind == Kind.REPEATED and tuple(call) not in calls
    }
    return again - corrected


def _measure(
    *,
    memories: Collection[Memory],
    messages: Collection[int],
    answers: Collection[int],
    links: Q,
    restored: Collection[Memory] = (),
    earlier_texts: int = 0,
    twilio_copies: int = 0,
) -> Extent:
    said = RawMessage.objects.filter(id__in=messages, redacted_at=None)
    told = Interaction.objects.filter(id__in=answers).exclude(answer=FORGOTTEN)
    sent = MessageMedia.objects.filter(links, file__isnull=False)
    alone = _find_alone(sent)
    return Extent(
        memories=tuple(memories),
        restored=tuple(restored),
        earlier_texts=earlier_texts + MemoryHistory.objects.filter(memory__in=memories).count(),
        messages=tuple(said.order_by("id").values_list("id", flat=True)),
        answers=tuple(told.order_by("id").values_list("id", flat=True)),
        attachments=sent.count(),
        files=len(alone),
        objects=tuple(name for pair in alone for name in pair if name),
        twilio_copies=twilio_copies + _count_sources(said),
    )


def _find_alone(links: QuerySet[MessageMedia]) -> list[tuple[str, str]]:
    """Object and thumbnail of the files that these links alone lead to."""
    others = MessageMedia.objects.filter(file=OuterRef("pk")).exclude(id__in=links.values("id"))
    alone = MediaFile.objects.filter(~Exists(others), id__in=links.values("file_id"))
    return list(alone.order_by("id").values_list("storage_name", "thumbnail_name"))


def _count_sources(messages: QuerySet[RawMessage]) -> int:
    """How many files of these messages Twilio may still keep."""
    with_files = messages.filter(payload__has_key=FIRST_MEDIA).only("payload")
    return sum(len(get_media_sources(raw)) for raw in with_files.iterator(chunk_size=100))
