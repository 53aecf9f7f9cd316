"""What a stored message says, in our words, whatever kind of message it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from media.models import MediaFile
from messaging.inbound import count_media
from messaging.models import RawMessage

FIRST_MEDIA = "MediaUrl0"  # the field every payload with files has
# Fields besides the body that have words: of a button or list that was tapped, and of a place.
WORDED = ("ListTitle", "ButtonText", "Label", "Address")
# By the beginning of the media type; the last one takes the rest.
KINDS = (
    ("image/webp", "sticker"),
    ("image/", "picture"),
    ("audio/ogg", "voice note"),
    ("audio/", "audio"),
    ("video/", "video"),
    ("text/vcard", "contact card"),
    ("text/x-vcard", "contact card"),
    ("text/", "text file"),
    ("application/pdf", "PDF"),
    ("", "document"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A shared location (contracts/twilio-whatsapp.md §1): degrees as text, as they came, and what the map calls it."""

    latitude: str
    longitude: str
    label: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file of a message: its media type, what it shows (``description``) and says word for word (``text``).

    ``media_id`` names its `MessageMedia`, if it is kept; ``refusal`` says why it will not be. With neither it is still
    being fetched.
    """

    content_type: str
    description: str = ""
    text: str = ""
    kind_of_file: str = ""
    media_id: int | None = None
    refusal: str = ""

    @property
    def kind(self) -> str:
        """What people call it: by content where we have it, else as it was announced."""
        return self.kind_of_file or name_kind(self.content_type)


def name_kind(content_type: str) -> str:
    """What people call a file of this media type."""
    return next(kind for beginning, kind in KINDS if content_type.startswith(beginning))


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSource:
    """Where the provider keeps a file of a message, and which type it announces."""

    position: int
    url: str
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one stored message says.

    ``replied_to_sid`` is the SID of the message it quotes, ours or the person's own. ``opt_out`` is Twilio's word for a
    message that its own opt-out has answered.
    """

    raw_message_id: int
    received_at: datetime
    text: str = ""
    place: Place | None = None
    attachments: tuple[Attachment, ...] = ()
    is_forwarded: bool = False
    is_button: bool = False
    replied_to_sid: str = ""
    is_reaction: bool = False
    opt_out: str | None = None

    @property
    def own_words(self) -> str:
        """What the person has typed, tapped or spoken themselves."""
        return self.typed_words or self.spoken_words

    @property
    def typed_words(self) -> str:
        """What the person has typed or tapped themselves. A caption or a forwarded text may be anybody's."""
        return "" if self.is_forwarded or self.attachments or self.place else self.text

    @property
    def spoken_words(self) -> str:
        """What the person has said in voice notes, as it was understood; in a forwarded one somebody else speaks."""
        notes = () if self.is_forwarded else self.attachments
        return "\n".join(each.text for each in notes if each.kind == MediaFile.Kind.VOICE_NOTE and each.text)


def read_content(raw: RawMessage) -> Content:
    """Read what a stored payload says. Decides by fields: ``MessageType`` is only a hint (contracts §1)."""
    payload: dict[str, Any] = raw.payload
    latitude, longitude = payload.get("Latitude"), payload.get("Longitude")
    place = None
    if latitude and longitude:
        place = Place(
            latitude=str(latitude),
            longitude=str(longitude),
            label=str(payload.get("Label", "")),
            address=str(payload.get("Address", "")),
        )
    return Content(
        raw_message_id=raw.id,
        received_at=raw.received_at,
        text=read_text(raw),
        place=place,
        attachments=tuple(_read_attachments(raw)) if count_media(payload) else (),
        is_forwarded="true" in (payload.get("Forwarded"), payload.get("FrequentlyForwarded")),
        is_button=bool(payload.get("ButtonPayload") or payload.get("ListId")),
        replied_to_sid=str(payload.get("OriginalRepliedMessageSid", "")),
        is_reaction=payload.get("MessageType") == "reaction",
        opt_out=payload.get("OptOutType"),
    )


def read_text(raw: RawMessage) -> str:
    """What was typed or tapped."""
    payload: dict[str, Any] = raw.payload
    # A list that was tapped has its title in a field of its own, and perhaps nothing in the body.
    return str(payload.get("Body") or payload.get("ListTitle") or payload.get("ButtonText") or "").strip()


def get_media_sources(raw: RawMessage) -> list[MediaSource]:
    """The files of a message, as the webhook named them; none once the message is forgotten."""
    payload: dict[str, Any] = raw.payload
    return [
        MediaSource(
            position=position,
            url=str(payload[f"MediaUrl{position}"]),
            content_type=_get_announced_type(payload, position),
        )
        for position in range(count_media(payload))
        if payload.get(f"MediaUrl{position}")
    ]


def without_source(payload: dict[str, Any], *, position: int) -> dict[str, Any]:
    """A webhook's fields without the way to one of its files; the field stays, because others are found by it."""
    name = f"MediaUrl{position}"
    return payload | {name: ""} if name in payload else payload


def _get_announced_type(payload: dict[str, Any], position: int) -> str:
    return str(payload.get(f"MediaContentType{position}", "")).lower()


def _read_attachments(raw: RawMessage) -> Iterator[Attachment]:
    links = {link.position: link for link in raw.media.all()}
    for position in range(count_media(raw.payload)):
        announced = _get_announced_type(raw.payload, position)
        link = links.get(position)
        file = link.file if link else None
        if link is None or file is None or file.stored_at is None:
            yield Attachment(content_type=announced, refusal=link.refusal if link else "")
        else:
            yield Attachment(
                content_type=file.content_type,
                kind_of_file=file.kind,
                description=file.description,
                text=file.text,
                media_id=link.id,
            )
