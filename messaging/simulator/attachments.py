"""Files on their way between phones and Twilio: what they are called, what kind they are, where their bytes go."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.core.files.base import File
from django.core.files.images import get_image_dimensions

from messaging.simulator.models import SimulatedMedia, SimulatedMessage

CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")
UNKNOWN = "application/octet-stream"
# How browsers call what WhatsApp calls otherwise (contracts/twilio-whatsapp.md §1.1, twilio-payloads.json 3 and 13).
WHATSAPP_CALLS_IT = {
    "application/ogg": "audio/ogg",
    "audio/opus": "audio/ogg",
    "audio/mp3": "audio/mpeg",
    "audio/x-m4a": "audio/mp4",
    "text/x-vcard": "text/vcard",
    "text/directory": "text/vcard",
}
STICKER, CONTACT, DRAWING = "image/webp", "text/vcard", "image/svg+xml"
# What a page may show in place. Anything else it offers to download; SVG and HTML could run scripts.
PICTURES = {"image/jpeg", "image/png", "image/webp", "image/gif"}
CAPTIONED = {"image", "video"}  # what the bot sends with a text that WhatsApp shows (contracts §6)


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file that somebody sends; ``content_type`` is what the sender says."""

    file: "File[bytes]"
    content_type: str
    file_name: str


def clean_content_type(claimed: str | None) -> str:
    """A content type as WhatsApp would claim it, without parameters."""
    bare = (claimed or "").split(";")[0].strip().lower()
    bare = WHATSAPP_CALLS_IT.get(bare, bare)
    return bare if CONTENT_TYPE.fullmatch(bare) and len(bare) <= 100 else UNKNOWN


def infer_message_type(content_type: str) -> str:
    """Twilio's ``MessageType`` of a message with such a file."""
    if content_type == STICKER:
        return "sticker"
    if content_type == CONTACT:
        return "contacts"
    family = content_type.split("/")[0]
    return family if family in ("image", "audio", "video") and content_type != DRAWING else "document"


def can_show_in_place(content_type: str) -> bool:
    """Whether a page may show such a file, instead of offering it to download."""
    return content_type in PICTURES or content_type.startswith(("audio/", "video/"))


def store_media(*, message: SimulatedMessage, attachment: Attachment) -> SimulatedMedia:
    """Keep a message's file: bytes on disk, row in the caller's transaction. Leaves no bytes when that fails."""
    sid = f"ME{uuid4().hex}"
    width, height = _measure(attachment)
    attachment.file.seek(0)
    media = SimulatedMedia(
        message=message,
        sid=sid,
        content_type=attachment.content_type,
        file_name=attachment.file_name,
        size=attachment.file.size,
        width=width,
        height=height,
    )
    media.file.save(sid, attachment.file, save=False)
    try:
        media.save()
    except BaseException:
        media.file.delete(save=False)
        raise
    return media


def _measure(attachment: Attachment) -> tuple[int | None, int | None]:
    """Width and height of a picture, read from its first bytes."""
    if attachment.content_type not in PICTURES:
        return None, None
    try:
        return get_image_dimensions(attachment.file)
    except Exception:  # made to break those who read it: a phone sends that too
        return None, None


def drops_text(message: SimulatedMessage) -> bool:
    """Whether WhatsApp shows only the file of a message of the bot's, and not the text sent with it."""
    media = message.attachment
    is_ours = message.direction == SimulatedMessage.Direction.OUTBOUND
    return bool(
        is_ours and message.body and media and infer_message_type(media.content_type) not in CAPTIONED
    )


def describe_media(media: SimulatedMedia) -> dict[str, Any]:
    """What the page shows of a file."""
    kind = infer_message_type(media.content_type)
    return {
        "sid": media.sid,
        "type": media.content_type,
        "kind": kind if can_show_in_place(media.content_type) or kind == "contacts" else "document",
        "name": media.file_name,
        "size": media.size,
        "width": media.width,
        "height": media.height,
    }


def name_media(media: SimulatedMedia) -> str:
    """A few words for a file, where there is no room to show it."""
    names = {"image": "Photo", "sticker": "Sticker", "video": "Video", "contacts": "Contact"}
    kind = infer_message_type(media.content_type)
    if kind == "audio":
        return "Audio" if media.file_name else "Voice message"
    return names.get(kind) or media.file_name or "Document"
