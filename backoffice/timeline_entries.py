"""What belongs to the entries of a conversation: files, memories made and used, deliveries; loaded for a whole page."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Prefetch, Q

from accounts.models import WhatsAppUser
from backoffice import timeline_words
from backoffice.timeline_files import ShownFile, begin_text, get_links, show_file, show_files
from backoffice.timeline_places import Place
from memories.models import Citation, Memory, MemoryHistory
from messaging.answers import shorten
from messaging.content import Content, read_content, read_text
from messaging.forgetting import FORGOTTEN
from messaging.models import DeliveryEvent, Interaction, OutboundMessage, RawMessage

QUOTE_SHOWN = 200
Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A memory a message made or changed: the present text, and what the message did."""

    memory: Memory
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The message that another one replies to."""

    place: Place
    text: str
    is_ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message of the person, with all that came of it."""

    place: Place
    message: RawMessage
    content: Content
    files: Sequence[ShownFile]
    turn: Interaction | None
    kept: Sequence[Kept]
    quote: Quote | None

    @property
    def is_forgotten(self) -> bool:
        """Whether what it said was blanked."""
        return self.message.redacted_at is not None

    @property
    def tags(self) -> list[str]:
        """What is special about it."""
        return timeline_words.name_tags(self.content)

    @property
    def state(self) -> str:
        """What it waits for, if it has no answer."""
        return timeline_words.describe_state(self.message, self.turn)

    @property
    def map_link(self) -> str:
        """Where a map shows its place, if it has one."""
        return timeline_words.make_map_link(self.content.place) if self.content.place else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A part of an answer, or what staff wrote; the memories used stand at the first part."""

    place: Place
    message: OutboundMessage
    file: ShownFile | None
    turn: Interaction | None
    citations: Sequence[Citation]
    events: Sequence[DeliveryEvent]

    @property
    def is_forgotten(self) -> bool:
        """Whether what it said was blanked."""
        return self.message.body == FORGOTTEN

    @property
    def author(self) -> str:
        """Who of the staff wrote it; "" is the bot."""
        return self.message.written_by

    @property
    def kind(self) -> str:
        """Of which kind the answer is, said once."""
        return timeline_words.name_kind(self.turn) if self.turn and self.message.part == 1 else ""

    @property
    def tick(self) -> tuple[str, str]:
        """The sign of its delivery, and what that means."""
        return timeline_words.TICKS[OutboundMessage.Status(self.message.status)]

    @property
    def failure(self) -> str:
        """Why it did not arrive."""
        return timeline_words.describe_failure(self.message)


Entry = Received | Sent


def load_entries(user: WhatsAppUser, places: Sequence[Place]) -> list[Entry]:
    """The entries at these places of the person's conversation; what is gone meanwhile is left out."""
    entries: list[Entry] = []
    entries += _load_received(user, [place for place in places if not place.is_outbound])
    entries += _load_sent(user, [place for place in places if place.is_outbound])
    found = {entry.place: entry for entry in entries}
    return [found[place] for place in places if place in found]


def _load_received(user: WhatsAppUser, places: Sequence[Place]) -> list[Received]:
    ids = [place.id for place in places if isinstance(place.id, int)]
    rows = user.raw_messages.filter(id__in=ids).select_related("turn", "interaction")
    rows = rows.defer("turn__transcript", "interaction__transcript")  # long, and not shown here
    messages = {row.id: row for row in rows.prefetch_related(Prefetch("media", get_links()))}
    for row in messages.values():
        for link in row.media.all():
            begin_text(link)
    kept = _load_kept(messages)
    contents = {id: read_content(row) for id, row in messages.items()}
    quotes = _load_quotes(user, {each.replied_to_sid for each in contents.values()} - {""})
    return [
        Received(
            place=place,
            message=messages[place.id],
            content=contents[place.id],
            files=show_files(messages[place.id], contents[place.id]),
            turn=messages[place.id].turn or getattr(messages[place.id], "interaction", None),
            kept=kept.get(place.id, ()),
            quote=quotes.get(contents[place.id].replied_to_sid),
        )
        for place in places
        if isinstance(place.id, int) and place.id in messages
    ]


def _load_sent(user: WhatsAppUser, places: Sequence[Place]) -> list[Sent]:
    ids = [place.id for place in places if isinstance(place.id, uuid.UUID)]
    rows = user.outbound_messages.filter(id__in=ids).select_related("interaction")
    rows = rows.defer("interaction__transcript")
    messages = {row.id: row for row in rows}
    files = {link.id: link for link in get_links().filter(sent_back__in=ids)}
    answers = [row.interaction_id for row in messages.values() if row.part == 1 and row.interaction_id]
    citations = _group(
        Citation.objects.filter(interaction__in=answers).select_related("memory").order_by("rank"),
        by=lambda citation: citation.interaction_id,
    )
    events = _group(
        DeliveryEvent.objects.filter(outbound_message__in=ids).order_by("received_at", "id"),
        by=lambda event: event.outbound_message_id,
    )
    return [
        Sent(
            place=place,
            message=message,
            file=show_file(files[message.media_id]) if message.media_id in files else None,
            turn=message.interaction,
            citations=citations.get(message.interaction_id or 0, ()) if message.part == 1 else (),
            events=events.get(message.id, ()),
        )
        for place in places
        if isinstance(place.id, uuid.UUID) and (message := messages.get(place.id))
    ]


def _load_kept(ids: Collection[int]) -> dict[int, list[Kept]]:
    """By message: the memories it made, corrected or repeated."""
    kept: dict[int, list[Kept]] = defaultdict(list)
    memories = Memory.objects.filter(Q(raw_message__in=ids) | Q(corrected_by__in=ids)).order_by("number")
    for memory in memories.only("number", "text", "type", "raw_message", "corrected_by"):
        if memory.raw_message_id in ids:
            how = "saved" if memory.corrected_by_id is None else "saved, corrected since"
            kept[memory.raw_message_id or 0].append(Kept(memory=memory, how=how))
        if memory.corrected_by_id in ids:
            kept[memory.corrected_by_id or 0].append(Kept(memory=memory, how="corrected"))
    for said in MemoryHistory.objects.filter(raw_message__in=ids).select_related("memory").order_by("id"):
        if said.kind == MemoryHistory.Kind.REPEATED:
            kept[said.raw_message_id or 0].append(Kept(memory=said.memory, how="said again"))
        elif (
            said.raw_message_id != said.memory.raw_message_id
        ):  # else it made the memory, which is there already
            kept[said.raw_message_id or 0].append(Kept(memory=said.memory, how="corrected, and again since"))
    return kept


def _load_quotes(user: WhatsAppUser, sids: Collection[str]) -> dict[str, Quote]:
    """By SID: messages of this conversation, whoever wrote them."""
    quotes: dict[str, Quote] = {}
    sids = [*sids, ""]  # asked for also where nothing is quoted, so that every page takes as many statements
    for raw in user.raw_messages.filter(message_sid__in=sids):
        text = (
            "forgotten"
            if raw.redacted_at
            else shorten(read_text(raw), limit=QUOTE_SHOWN) or "a message without text"
        )
        place = Place.of_inbound(raw.received_at, raw.id)
        quotes[raw.message_sid] = Quote(place=place, text=text, is_ours=False)
    for row in user.outbound_messages.filter(twilio_sid__in=sids):
        place = Place(row.created_at, True, row.part, row.id)
        text = shorten(row.body, limit=QUOTE_SHOWN) or "a file"
        quotes[row.twilio_sid or ""] = Quote(place=place, text=text, is_ours=True)
    return quotes


def _group(rows: Iterable[Row], *, by: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    grouped: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[by(row)].append(row)
    return grouped
