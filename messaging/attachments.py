"""Files of messages: fetched, kept once, described, remembered, by a job of their own beside the one that answers.

The answer waits for that job a while (`PATIENCE`) and then goes on without, saying so; the job goes on trying for a
day. Every step is written down, so that a job that is killed fetches, stores and describes nothing a second time.
"""

import logging
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from media.describing import describe_file
from media.detection import detect_type
from media.models import MediaFile, MessageMedia
from media.reading import read_file
from media.storing import Content, Forgotten, get_incoming_directory, is_kept, store_media_file
from messaging.attachment_memories import keep_memory
from messaging.content import MediaSource, get_media_sources
from messaging.inbound import PROCESS_MESSAGE
from messaging.limits import has_spent_tokens
from messaging.models import RawMessage
from whatsbot import database
from whatsbot.exceptions import MediaRefused, ProviderError, TransientProviderError
from whatsbot.integrations.twilio_media import Download, download_media

log = logging.getLogger(__name__)

Refusal = MessageMedia.Refusal
PATIENCE = timedelta(seconds=25)  # of failures, after which the answer goes on without
GIVE_UP = timedelta(days=1)
LATELY = timedelta(days=7)
MAX_ATTEMPTS = 4  # that nobody has ended: each has killed its worker
LONGEST_PAUSE = 300.0  # seconds


def take_media(raw_message_id: int) -> float | None:
    """Take in the files of one stored message; safe to repeat.

    Returns None when there is nothing more to do, else the seconds after which to call again.
    """
    raw = RawMessage.objects.select_related("user").filter(id=raw_message_id).first()
    if raw is None or raw.redacted_at or raw.user.opted_out_at:
        RawMessage.objects.filter(id=raw_message_id).update(media_pending=False)
        return None
    failures: list[ProviderError] = []
    for source in get_media_sources(raw):
        try:
            _take(raw, source)
        except Forgotten:
            return None
        except ProviderError as error:
            log.warning("file %s of message %s: %s", source.position, raw.id, error)
            failures.append(error)
    waited = timezone.now() - raw.received_at
    if not failures or waited > PATIENCE:
        _let_answer_go_on(raw)
    if not failures:
        return None
    if waited > GIVE_UP:
        log.error("files of message %s were given up after a day", raw.id)
        MessageMedia.objects.filter(raw_message=raw, file=None, refusal="").update(
            refusal=Refusal.UNREACHABLE
        )
        return None
    return min(_get_pause(error, waited=waited) for error in failures)


def _get_pause(error: ProviderError, *, waited: timedelta) -> float:
    """As the provider wishes, else as long as has been waited already."""
    wish = error.retry_after if isinstance(error, TransientProviderError) else None
    pause = wish if wish is not None else max(waited.total_seconds(), 1.0)
    return min(pause, LONGEST_PAUSE)


@transaction.atomic
def _let_answer_go_on(raw: RawMessage) -> None:
    """The turn need not wait any longer; a job of it that does is called now instead of later."""
    if not RawMessage.objects.filter(id=raw.id, media_pending=True).update(media_pending=False):
        return
    with connection.cursor() as cursor:
        # Not one that has never run: it waits for the end of a burst.
        cursor.execute(
            "UPDATE procrastinate_jobs SET scheduled_at = NULL"
            " WHERE status = 'todo' AND attempts > 0 AND lock = %s AND task_name = %s",
            [f"user:{raw.user_id}", PROCESS_MESSAGE],
        )


def _take(raw: RawMessage, source: MediaSource) -> None:
    """One file: fetch, keep, describe, remember. Raises ProviderError, and `Forgotten`."""
    link, _ = MessageMedia.objects.get_or_create(
        raw_message=raw,
        position=source.position,
        defaults={"user_id": raw.user_id, "sent_at": raw.received_at},
    )
    if link.refusal:
        return
    if link.attempts >= MAX_ATTEMPTS:
        _refuse(link, Refusal.DEADLY)
        return
    MessageMedia.objects.filter(id=link.id).update(attempts=F("attempts") + 1)
    try:
        file = _keep(link, source, message_sid=raw.message_sid)
        if file is not None:
            _describe_and_remember(raw, link, file)
    except MediaRefused as refused:
        _refuse(link, refused.reason)
    finally:
        MessageMedia.objects.filter(id=link.id).update(attempts=F("attempts") - 1)


def _refuse(link: MessageMedia, reason: str) -> None:
    log.warning("file %s of message %s is refused: %s", link.position, link.raw_message_id, reason)
    MessageMedia.objects.filter(id=link.id, file=None).update(refusal=reason)


def _keep(link: MessageMedia, source: MediaSource, *, message_sid: str) -> MediaFile | None:
    """The stored file of a link; what an earlier attempt has stored is not fetched again."""
    if link.file is not None and is_kept(link.file, claimant=link.id):
        return link.file
    directory = get_incoming_directory()
    database.release_connection()  # no connection is held while the provider sends
    download = download_media(source.url, message_sid=message_sid, directory=directory)
    thumbnail = directory / f"{secrets.token_hex(16)}.jpg"
    try:
        content = _read(download, source, thumbnail=thumbnail)
        if download.file_name:
            link.file_name = download.file_name
            link.save(update_fields=["file_name"])
        return store_media_file(link, content)
    finally:
        download.path.unlink(missing_ok=True)
        thumbnail.unlink(missing_ok=True)


def _read(download: Download, source: MediaSource, *, thumbnail: Path) -> Content:
    """What is in the file; of a content that is kept already it was read before."""
    known = MediaFile.objects.filter(file_hash=download.sha256, stored_at__isnull=False).first()
    database.release_connection()  # reading may take seconds
    whole: dict[str, Any] = {"path": download.path, "sha256": download.sha256, "size": download.size}
    if known is not None:
        return Content(**whole, content_type=known.content_type, kind=known.kind)
    detected = detect_type(download.path, claimed=source.content_type)
    reading = read_file(download.path, detected=detected, thumbnail=thumbnail)
    return Content(
        **whole,
        content_type=detected.content_type,
        kind=detected.kind,
        facts=reading.facts,
        text=reading.text,
        thumbnail=thumbnail if thumbnail.exists() else None,
    )


def _describe_and_remember(raw: RawMessage, link: MessageMedia, file: MediaFile) -> None:
    """A file that cannot be described now is remembered as it is, and better as soon as it can."""
    try:
        if not has_spent_tokens(raw.user_id):
            describe_file(file, claimant=link.id)
    except TransientProviderError:
        keep_memory(raw, link, file)
        raise
    keep_memory(raw, link, file)


def get_undescribed() -> QuerySet[MediaFile]:
    """Stored files without a description, in the order of their ids."""
    return MediaFile.objects.filter(described_at=None, stored_at__isnull=False).order_by("id")


def remember_again(file: MediaFile | None = None) -> None:
    """Let the memories of a file say what is known of it now; without one, of all that were described lately.

    A run that was killed between describing and remembering leaves memories behind. Raises ProviderError.
    """
    links = MessageMedia.objects.filter(file__described_at__isnull=False, raw_message__redacted_at=None)
    if file is not None:
        links = links.filter(file=file)
    else:
        links = links.filter(file__described_at__gt=timezone.now() - LATELY)
    for link in links.select_related("file", "raw_message__user").order_by("id").iterator(chunk_size=100):
        assert link.file is not None  # described
        keep_memory(link.raw_message, link, link.file)
