"""Finding files a person has sent: by what they show or say, by caption, kind and day."""

from collections.abc import Collection, Sequence

from django.db.models import QuerySet

from media.models import MediaFile, MessageMedia
from memories.dates import UtcRange
from memories.models import Memory, MemoryHistory
from memories.search import ALWAYS, search_memories

SHOWN_OF_FILE = ("file_hash", "size", "content_type", "kind", "description")  # in the order of the model
# Written out, because every list asks it, mostly for nothing: Django takes longer to put it together than it runs.
_LINKS = f"""
SELECT link.id, raw_message_id, file_id, file_name, sent_at, {", ".join(SHOWN_OF_FILE)}
FROM media_messagemedia AS link JOIN media_mediafile AS file ON file.id = file_id
WHERE raw_message_id = ANY(%s) AND stored_at IS NOT NULL ORDER BY position
"""
LOOKED_AT = 50  # memories that fit best, among which files are looked for


def find_media(
    *, user_id: int, query: str = "", kind: str = "", within: UtcRange = ALWAYS, limit: int = 10
) -> list[MessageMedia]:
    """The files of one person that fit, best first; without a query the newest first.

    ``within`` is when a file was sent, for the first time or again.
    """
    links = _get_links(user_id=user_id, kind=kind, within=within)
    if not query:
        return list(links.order_by("-sent_at", "-id")[:limit])
    messages = _rank_messages(user_id=user_id, query=query, within=within)
    found = sorted(
        links.filter(raw_message_id__in=messages), key=lambda link: (messages[link.raw_message_id], -link.id)
    )
    return found[:limit]


def _get_links(*, user_id: int, kind: str, within: UtcRange) -> QuerySet[MessageMedia]:
    links = MessageMedia.objects.filter(user_id=user_id, file__stored_at__isnull=False)
    if kind:
        links = links.filter(file__kind=kind)
    if within.start is not None:
        links = links.filter(sent_at__gte=within.start)
    if within.end is not None:
        links = links.filter(sent_at__lt=within.end)
    return links.select_related("file", "raw_message")


def _rank_messages(*, user_id: int, query: str, within: UtcRange) -> dict[int, int]:
    """By id: the messages that said what fits the query, with their rank.

    Memories of files come first; then any others, because what was spoken may be kept as an ordinary memory.
    """
    of_files = (Memory.Type.FILE, Memory.Type.PERSON)
    ranked: dict[int, int] = {}
    for types in (of_files, ()):
        hits = search_memories(user_id=user_id, query=query, within=within, types=types, limit=LOOKED_AT).hits
        memories = [hit.memory for hit in hits]
        again: dict[int, list[int]] = {}
        said_again = MemoryHistory.objects.filter(memory__in=memories, kind=MemoryHistory.Kind.REPEATED)
        for memory_id, raw_message_id in said_again.values_list("memory_id", "raw_message_id"):
            again.setdefault(memory_id, []).append(raw_message_id)
        for memory in memories:
            for raw_message_id in (memory.raw_message_id, *again.get(memory.id, ())):
                if raw_message_id is not None:
                    ranked.setdefault(raw_message_id, len(ranked))
    return ranked


def get_media_of(memories: Sequence[Memory]) -> dict[int, list[MessageMedia]]:
    """By id of the memory: the files of the message it is from."""
    by_message = get_media_by_message({memory.raw_message_id for memory in memories if memory.raw_message_id})
    return {memory.id: by_message.get(memory.raw_message_id or 0, []) for memory in memories}


def get_media_by_message(ids: Collection[int]) -> dict[int, list[MessageMedia]]:
    """By id of the message: its files that are stored, in order, with what is shown of them in lists."""
    by_message: dict[int, list[MessageMedia]] = {}
    for link in MessageMedia.objects.raw(_LINKS, [list(ids)]):
        values = [getattr(link, name) for name in SHOWN_OF_FILE]
        link.file = MediaFile.from_db(link._state.db, ("id", *SHOWN_OF_FILE), [link.file_id, *values])
        by_message.setdefault(link.raw_message_id, []).append(link)
    return by_message
