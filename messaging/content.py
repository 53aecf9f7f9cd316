"""What a stored message says, in our words, whatever kind of message it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from messaging.models import RawMessage

# By the beginning of the media type; the last one takes the rest.
KINDS = (
    ("image/webp", "sticker"),
    ("image/", "picture"),
    ("audio/ogg", "voice note"),
    ("audio/", "audio"),
    ("video/", "video"),
    ("text/vcard", "contact card"),
    ("text/x-vcard", "contact card"),
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
    """A file of a message: its media type, and what is known of what it shows or says."""

    content_type: str
    description: str = ""

    @property
    def kind(self) -> str:
        """What people call it."""
        return next(kind for beginning, kind in KINDS if self.content_type.startswith(beginning))


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
        """What the person has typed or tapped themselves. A caption or a forwarded text may be anybody's."""
        return "" if self.is_forwarded or self.attachments or self.place else self.text


def read_content(raw: RawMessage) -> Content:
    """Read what a stored payload says. Decides by fields: ``MessageType`` is only a hint (contracts §1)."""
    payload: dict[str, Any] = raw.payload
    count = str(payload.get("NumMedia", "0"))
    media_count = int(count) if count.isascii() and count.isdigit() and len(count) < 3 else 0
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
        # A list that was tapped has its title in a field of its own, and perhaps nothing in the body.
        text=str(payload.get("Body") or payload.get("ListTitle") or payload.get("ButtonText") or "").strip(),
        place=place,
        attachments=tuple(
            Attachment(content_type=str(payload.get(f"MediaContentType{index}", "")).lower())
            for index in range(media_count)
        ),
        is_forwarded="true" in (payload.get("Forwarded"), payload.get("FrequentlyForwarded")),
        is_button=bool(payload.get("ButtonPayload") or payload.get("ListId")),
        replied_to_sid=str(payload.get("OriginalRepliedMessageSid", "")),
        is_reaction=payload.get("MessageType") == "reaction",
        opt_out=payload.get("OptOutType"),
    )
