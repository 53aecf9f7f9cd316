"""The files of a conversation's entries: kept, refused, or still being fetched."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models.functions import Left, Length

from media.models import MediaFile, MessageMedia
from messaging.content import Attachment, Content
from messaging.models import RawMessage
from messaging.wording_media import say_refused

TEXT_SHOWN = 5000  # characters of what a file says; the rest is on the file's own page
MEGABYTE = 1024 * 1024
AUDIBLE = (MediaFile.Kind.VOICE_NOTE, MediaFile.Kind.AUDIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """A file of an entry; without ``file_id`` it is refused, with a sentence why, or still being fetched."""

    kind: str
    name: str = ""
    file_id: int | None = None
    has_thumbnail: bool = False
    description: str = ""
    text: str = ""
    is_cut: bool = False
    not_described: str = ""
    refusal: str = ""

    @property
    def player(self) -> str:
        """The element of a page that plays it, if any."""
        return "audio" if self.kind in AUDIBLE else "video" if self.kind == MediaFile.Kind.VIDEO else ""


def get_links() -> Any:
    """Files with the beginning of what they say: a document may say 100,000 characters."""
    return (
        MessageMedia.objects.select_related("file")
        .defer("file__text", "file__facts")
        .annotate(beginning=Left("file__text", TEXT_SHOWN), length=Length("file__text"))
        .order_by("position")
    )


def begin_text(link: Any) -> None:
    """Take the beginning for the text, so that nobody asks for the rest file by file."""
    if link.file is not None:
        link.file.text = link.beginning


def show_files(message: RawMessage, content: Content) -> list[ShownFile]:
    """In the order of the message; of a forgotten one nothing."""
    if message.redacted_at is not None:
        return []
    links = {link.position: link for link in message.media.all()}
    return [
        show_file(links[position]) if each.media_id else _show_missing(each)
        for position, each in enumerate(content.attachments)
    ]


def _show_missing(attachment: Attachment) -> ShownFile:
    refusal = ""
    if attachment.refusal == MessageMedia.Refusal.REPEATED:
        refusal = "The same file stands in this message already."
    elif attachment.refusal:
        refusal = say_refused(
            kind=attachment.kind,
            reason=attachment.refusal,
            language="en",
            max_megabytes=settings.MEDIA_MAX_BYTES // MEGABYTE,
        )
    return ShownFile(kind=attachment.kind, refusal=refusal)


def show_file(link: Any) -> ShownFile:
    """``link`` is one of `get_links`."""
    file = link.file
    if file is None or file.stored_at is None:
        return ShownFile(kind=file.kind if file else "file", name=link.file_name)
    return ShownFile(
        kind=file.kind,
        name=link.file_name,
        file_id=file.id,
        has_thumbnail=bool(file.thumbnail_name),
        description=file.description,
        text=link.beginning,
        is_cut=link.length > TEXT_SHOWN,
        not_described="" if file.described_at else file.description_error,
    )
