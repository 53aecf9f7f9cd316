"""Files in, each content once: a row with its first link, then the object, whoever else sends the same at that moment.

The row comes first and the object has a name nobody had before, so that whatever is killed in between, there is no
object without a row and no late deletion hits another's object. `is_kept` sees an upload whose end nobody wrote down.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from media.detected import get_extension
from media.models import MediaFile, MessageMedia
from whatsbot import database
from whatsbot.exceptions import MediaRefused, TransientProviderError, WhatsbotError

# Whoever stores or describes a file has claimed it; after this time they are taken for dead.
CLAIM = timedelta(seconds=90)
BATCH = 1000  # rows
BUSY_SECONDS = 0.5  # until somebody else's claim is looked at again


class Forgotten(WhatsbotError):
    """The message a file belongs to is gone, and with it the wish to keep the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A downloaded file and what was read of it: SHA-256 in hex, bytes, type by content, facts and text."""

    path: Path
    sha256: str
    size: int
    content_type: str
    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    thumbnail: Path | None = None


def get_incoming_directory() -> Path:
    """Where downloads wait: on the file system of the objects, so that storing one is a rename."""
    directory = Path(settings.UPLOADS_DIR) / "incoming"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def store_media_file(link: MessageMedia, content: Content) -> MediaFile | None:
    """Keep the file of a link, once for each SHA-256; a repeat counts `MediaFile.forwarded_count` up. Safe to repeat.

    None if the same file stands in the same message already. The content's path may be gone afterwards. Raises
    TransientProviderError if somebody else is storing it just now or the storage is away, `Forgotten`, and
    MediaRefused if the attachment was deleted meanwhile.
    """
    file = _link_file(link, content)
    if file is not None and file.stored_at is None:
        _store_objects(file, content, claimant=link.id)
    return file


def is_kept(file: MediaFile, *, claimant: int) -> bool:
    """Whether a file's object is whole, also if whoever stored it was killed before writing that down.

    Raises TransientProviderError if another link's job is storing it just now.
    """
    if file.stored_at is not None:
        return True
    if not claim(file, claimant=claimant):
        raise TransientProviderError("Somebody else is storing this file.", retry_after=BUSY_SECONDS)
    if _find_whole(file):
        _note_stored(file)
        return True
    return False


def claim(file: MediaFile, *, claimant: int) -> bool:
    """Whether this link's job may store or describe the file now. PostgreSQL's clock: those of machines differ."""
    free = Q(claimed_by=None) | Q(claimed_by=claimant) | Q(claimed_at__lt=Now() - CLAIM)
    return bool(MediaFile.objects.filter(free, id=file.id).update(claimed_by=claimant, claimed_at=Now()))


def release(file: MediaFile, *, claimant: int) -> None:
    """Let others have a claimed file at once."""
    MediaFile.objects.filter(id=file.id, claimed_by=claimant).update(claimed_by=None, claimed_at=None)


def _link_file(link: MessageMedia, content: Content) -> MediaFile | None:
    """The row of this content, with the link to it, made if need be."""
    while True:
        try:
            with transaction.atomic():
                return _find_or_create(link, content)
        except IntegrityError:
            # The row went with its last link between our look and our commit; the message may have gone as well.
            now = MessageMedia.objects.filter(id=link.id).first()
            if now is None:
                raise Forgotten from None
            if now.refusal == MessageMedia.Refusal.DELETED:
                raise MediaRefused(now.refusal) from None


def _find_or_create(link: MessageMedia, content: Content) -> MediaFile | None:
    fresh = MediaFile(
        file_hash=content.sha256,
        size=content.size,
        content_type=content.content_type,
        kind=content.kind,
        storage_name=_make_name(content),
        facts=content.facts,
        text=content.text,
        claimed_by=link.id,
        claimed_at=Now(),
    )
    if content.thumbnail:
        fresh.thumbnail_name = f"{fresh.storage_name.rpartition('.')[0] or fresh.storage_name}.thumbnail.jpg"
    MediaFile.objects.bulk_create([fresh], ignore_conflicts=True)
    # Locked, so that it cannot go with its last link before ours is there.
    file = MediaFile.objects.select_for_update(no_key=True).filter(file_hash=content.sha256).first()
    if file is None:
        raise IntegrityError("gone since")
    others = MessageMedia.objects.filter(raw_message_id=link.raw_message_id, file=file).exclude(id=link.id)
    if others.exists():
        MessageMedia.objects.filter(id=link.id).update(refusal=MessageMedia.Refusal.REPEATED)
        return None
    wanted = MessageMedia.objects.filter(id=link.id).exclude(refusal=MessageMedia.Refusal.DELETED)
    if not wanted.update(file=file, refusal=""):
        raise IntegrityError("forgotten since")
    return file


def _make_name(content: Content) -> str:
    """A name that no object had before: a folder, the hash, a few random letters."""
    extension = get_extension(content.content_type)
    return f"{content.sha256[:2]}/{content.sha256}-{secrets.token_hex(4)}{extension}"


class _OnDisk(File):
    """A file that the local storage may move instead of copying it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.open("rb"), name=path.name)
        self._path = path

    def temporary_file_path(self) -> str:
        """Where it lies: Django's name for it."""
        return str(self._path)


def _store_objects(file: MediaFile, content: Content, *, claimant: int) -> None:
    if is_kept(file, claimant=claimant):
        return
    database.release_connection()  # no connection is held while the storage takes it
    with using_storage():
        if file.thumbnail_name and content.thumbnail:
            _save(file.thumbnail_name, content.thumbnail)
        _save(file.storage_name, content.path)
    _note_stored(file)


def _save(name: str, path: Path) -> None:
    with _OnDisk(path) as opened:
        os.fsync(opened.fileno())  # the row will say that it is there, also after the power has failed
        default_storage.save(name, opened)


def _note_stored(file: MediaFile) -> None:
    """Write down that the object is whole. Raises `Forgotten`, with the object gone, if nobody wants it any more."""
    if not MediaFile.objects.filter(id=file.id).update(stored_at=Now(), claimed_by=None, claimed_at=None):
        # The job that deletes it may have run before it was there.
        delete_objects([file.storage_name, file.thumbnail_name])
        raise Forgotten
    file.refresh_from_db()


def _find_whole(file: MediaFile) -> bool:
    """Whether the storage has the object: it appears there only when it is whole, by a rename or at S3's word."""
    database.release_connection()
    with using_storage():
        return (
            default_storage.exists(file.storage_name) and default_storage.size(file.storage_name) == file.size
        )


def delete_objects(names: Collection[str]) -> None:
    """Delete objects; what is gone already counts as deleted. Raises TransientProviderError."""
    database.release_connection()
    with using_storage():
        for name in filter(None, names):
            default_storage.delete(name)


def remove_links(links: QuerySet[MessageMedia]) -> None:
    """Delete links (a queryset); files without any go with them, and their objects by a job.

    Inside a transaction. Files are locked in one order, so that two who forget the same files wait for each other.
    """
    ids = links.filter(file__isnull=False).values("file_id")
    list(MediaFile.objects.select_for_update().filter(id__in=ids).order_by("id").values_list("id"))
    while batch := list(links.order_by("id").values_list("id", flat=True)[:BATCH]):
        links.filter(id__in=batch).delete()


@transaction.atomic
def remove_file(link_id: int) -> None:
    """Take its file from a link, which stays and says so; the file goes with its last link. Safe to repeat."""
    MessageMedia.objects.filter(id=link_id).update(
        file=None, file_name="", refusal=MessageMedia.Refusal.DELETED
    )


@contextmanager
def using_storage() -> Iterator[None]:
    """Whatever the storage raises comes out as a TransientProviderError: nothing is wrong with the file."""
    try:
        yield
    except (WhatsbotError, FileNotFoundError):
        raise
    except Exception as error:
        # Without the original, whose text names buckets and paths.
        raise TransientProviderError(f"The storage failed: {type(error).__name__}.") from None


@contextmanager
def open_locally(file: MediaFile) -> Iterator[Path]:
    """The object as a file of this machine, for as long as the block lasts.

    Raises FileNotFoundError if the storage does not have it, TransientProviderError if the storage is away.
    """
    database.release_connection()
    path = _find_path(file.storage_name)
    if path is not None:
        if not path.exists():
            raise FileNotFoundError(path.name)
        yield path
        return
    with tempfile.NamedTemporaryFile(dir=get_incoming_directory()) as copy:
        with using_storage(), default_storage.open(file.storage_name) as stored:
            shutil.copyfileobj(stored, copy, 1 << 20)
        copy.flush()
        yield Path(copy.name)


def _find_path(name: str) -> Path | None:
    """Where an object lies on this machine, if the storage is a folder."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None


def get_earlier_links(link: MessageMedia) -> list[MessageMedia]:
    """When the same person sent the same file before, oldest first."""
    before = MessageMedia.objects.filter(user_id=link.user_id, file_id=link.file_id, id__lt=link.id)
    return list(before.filter(file__isnull=False).order_by("sent_at", "id"))
