"""Memories of files: what a picture shows or a document says is found like anything else that was told."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from media.models import MediaFile, MessageMedia
from media.storing import get_earlier_links
from memories.changes import rewrite_memory
from memories.models import Memory, MemoryHistory
from memories.store import Stored, store_memory
from messaging import deeds
from messaging.answers import Turn
from messaging.content import Content, read_content
from messaging.models import RawMessage

Kind = MediaFile.Kind
NOT_DESCRIBED = "(not described"
LONGEST_TEXT = 4000  # characters of a file's own words in its memory; the whole is with the file
PLACE_CALL = "place"
MAP = "https://www.google.com/maps/search/?api=1&query="  # opens the map of any phone
TYPES = {Kind.CONTACT: Memory.Type.PERSON}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of one attachment of a turn: its file and memory, and when the person had sent the same before.

    ``is_new``: the memory was not there before. ``memory`` is None for a sticker, and for a voice note whose words the
    assistant itself works with.
    """

    link: MessageMedia
    memory: Memory | None
    is_new: bool
    sent_before: tuple[datetime, ...]


def keep_memory(raw: RawMessage, link: MessageMedia, file: MediaFile) -> None:
    """Remember a file, or let its memory say more since it is described; safe to repeat. Raises ProviderError."""
    content = read_content(raw)
    if file.kind == Kind.STICKER or _is_heard(raw, content, file):
        return
    text = compose_text(
        file, caption=content.text, file_name=link.file_name, zone=ZoneInfo(raw.user.timezone)
    )
    stored = store_memory(
        raw_message_id=raw.id,
        user_id=raw.user_id,
        tool_call=name_call(link),
        text=text,
        type=TYPES.get(Kind(file.kind), Memory.Type.FILE),
        happened_at=raw.received_at,
        # Two pictures nobody could describe are not one because little is known of both.
        key=f"file:{file.file_hash}:{content.text}",
    )
    rewrite_memory(stored.memory.id, text=text)


def _is_heard(raw: RawMessage, content: Content, file: MediaFile) -> bool:
    """Whether the assistant works with the words of a voice note, as with typed ones: it decides what to keep.

    A turn that began before they were understood has not.
    """
    if file.kind != Kind.VOICE_NOTE or content.is_forwarded or not file.text or file.described_at is None:
        return False
    raw.refresh_from_db(fields=["turn"])
    return raw.turn is None or raw.turn.started_at >= file.described_at


def keep_place(turn: Turn, content: Content) -> Stored:
    """Remember a shared place: what it is called, where it is, and a link to a map; safe to repeat.

    Raises ProviderError.
    """
    place = content.place
    assert place is not None
    named = ", ".join(dict.fromkeys(part for part in (content.text, place.label, place.address) if part))
    position = f"{place.latitude}, {place.longitude}"
    return deeds.store_memory(
        turn=turn,
        raw_message_id=content.raw_message_id,
        tool_call=PLACE_CALL,
        text=f"{named or 'A place'} ({position}) {MAP}{position.replace(' ', '')}",
        type=Memory.Type.PLACE,
        happened_at=content.received_at,
    )


def name_call(link: MessageMedia) -> str:
    """What the memory of an attachment is stored under, within its message."""
    return f"media.{link.position}"


def compose_text(file: MediaFile, *, caption: str, file_name: str, zone: ZoneInfo) -> str:
    """What the memory of a file says: its kind, the caption, what it shows, its words, and its facts."""
    head = f"{file.kind[0].upper()}{file.kind[1:]}"
    named = [name for name in (caption, file_name) if name]
    lines = [f"{head}: {' – '.join(dict.fromkeys(named))}" if named else head]
    lines += [file.description] if file.description else []
    lines += [file.text[:LONGEST_TEXT]] if file.text else []
    if not file.description and not file.text:
        lines.append(f"{NOT_DESCRIBED}{''.join(f'; {fact}' for fact in _describe_facts(file))})")
    return "\n".join(lines)


def _describe_facts(file: MediaFile) -> Iterable[str]:
    facts = file.facts
    if facts.get("width"):
        yield f"{facts['width']} × {facts['height']} pixels"
    if facts.get("taken_at"):
        yield f"taken {facts['taken_at'][:10]}"
    if facts.get("duration_seconds"):
        minutes, seconds = divmod(round(facts["duration_seconds"]), 60)
        yield f"{minutes}:{seconds:02d} long"
    if facts.get("title"):
        yield str(facts["title"])
    if facts.get("pages"):
        yield f"{facts['pages']} pages"


def get_kept(turn: Turn) -> list[Kept]:
    """What became of the attachments of a turn, in order; of what is refused or not there yet, nothing."""
    ids = [content.raw_message_id for content in turn.contents if content.attachments]
    if not ids:
        return []
    links = MessageMedia.objects.filter(raw_message_id__in=ids, file__stored_at__isnull=False)
    return [_get_kept(link) for link in links.select_related("file").order_by("raw_message_id", "position")]


def _get_kept(link: MessageMedia) -> Kept:
    call = {"raw_message_id": link.raw_message_id, "tool_call": name_call(link)}
    memory = Memory.objects.filter(**call).first()
    repeated = None
    if memory is None:
        repeated = MemoryHistory.objects.filter(**call).select_related("memory").first()
    return Kept(
        link=link,
        memory=memory or (repeated.memory if repeated else None),
        is_new=memory is not None,
        sent_before=tuple(earlier.sent_at for earlier in get_earlier_links(link)),
    )


def get_days(moments: Iterable[datetime], *, zone: ZoneInfo) -> list[date]:
    """The days of instants on the clocks of a zone, each once, in order."""
    return list(dict.fromkeys(moment.astimezone(zone).date() for moment in moments))
