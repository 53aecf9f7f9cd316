"""What our own code says about the files and places of a turn: saved, sent before, not kept; and files going back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from media.models import MediaFile, MessageMedia
from memories.store import Outcome
from messaging import wording_media
from messaging.answers import FileToSend, Turn
from messaging.attachment_memories import Kept, get_days, get_kept, keep_place
from messaging.content import Attachment

Refusal = MessageMedia.Refusal
MEGABYTE = 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Report:
    """Numbers of the memories that are new, numbers and texts of those that were known, and sentences about the rest.

    ``is_kept``: something of what was sent is kept now.
    """

    saved: list[int] = field(default_factory=list)
    known: dict[int, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    is_kept: bool = False


def keep_places(turn: Turn) -> None:
    """Remember the places of a turn; safe to repeat. Raises ProviderError."""
    for content in turn.contents:
        if content.place is not None:
            keep_place(turn, content)


def report_attachments(turn: Turn, *, language: str) -> Report:
    """What became of the files and places of a turn. Places have to be kept already. Raises ProviderError."""
    report = Report()
    for content in turn.contents:
        if content.place is not None:
            stored = keep_place(turn, content)
            report.is_kept = True
            if stored.outcome is Outcome.SAVED:
                report.saved.append(stored.memory.number)
            else:
                report.known[stored.memory.number] = stored.memory.text
    kept = {each.link.id: each for each in get_kept(turn)}
    for content in turn.contents:
        for attachment in content.attachments:
            if attachment.media_id in kept:
                report.is_kept = True
                _report_kept(report, kept[attachment.media_id], turn, language=language)
            else:
                report.lines += _say_not_kept(attachment, language=language)
    report.lines = list(dict.fromkeys(report.lines))
    return report


def _report_kept(report: Report, kept: Kept, turn: Turn, *, language: str) -> None:
    file = kept.link.file
    assert file is not None  # kept
    number = kept.memory.number if kept.memory else None
    if kept.memory is not None and kept.is_new:
        report.saved.append(kept.memory.number)
    is_sticker = file.kind == MediaFile.Kind.STICKER  # nobody counts those
    if kept.sent_before and not is_sticker:
        days = get_days(kept.sent_before, zone=turn.zone)
        today = turn.now.astimezone(turn.zone).date()
        line = wording_media.say_sent_before(days=days, today=today, language=language)
        report.lines.append(line if kept.is_new or number is None else f"{line} [#{number}]")
    elif kept.memory is not None and not kept.is_new:
        report.known[kept.memory.number] = kept.memory.text
    if not (file.description or file.text or is_sticker):
        report.lines.append(wording_media.say_not_described(kind=file.kind, language=language))


def _say_not_kept(attachment: Attachment, *, language: str) -> Iterator[str]:
    if not attachment.refusal:
        yield wording_media.say_media_late(kind=attachment.kind, language=language)
    elif attachment.refusal not in (Refusal.REPEATED, Refusal.DELETED):
        yield wording_media.say_refused(
            kind=attachment.kind,
            reason=attachment.refusal,
            language=language,
            max_megabytes=settings.MEDIA_MAX_BYTES // MEGABYTE,
        )


def caption_files(
    turn: Turn, media_ids: Sequence[int], *, language: str
) -> tuple[list[FileToSend], list[str]]:
    """Files to send back, each with when it was sent; for those that take no caption, that is a line for the text.

    Files of others, and those that are gone, are left out.
    """
    mine = MessageMedia.objects.filter(user_id=turn.user.id, file__stored_at__isnull=False)
    links = {link.id: link for link in mine.filter(id__in=media_ids).select_related("file")}
    files, lines = [], []
    for link in (links[each] for each in dict.fromkeys(media_ids) if each in links):
        assert link.file is not None  # filtered
        caption = wording_media.caption_media(
            kind=link.file.kind,
            sent_on=link.sent_at.astimezone(turn.zone),
            today=turn.now.astimezone(turn.zone).date(),
            language=language,
            name=link.file_name,
        )
        takes_caption = link.file.kind in (MediaFile.Kind.PICTURE, MediaFile.Kind.VIDEO)
        files.append(FileToSend(media_id=link.id, caption=caption if takes_caption else ""))
        lines += [] if takes_caption else [f"• {caption}"]
    return files, lines
