"""Comparing the storage with our rows: what a crash or a restored backup has left on one side only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from media.models import MediaFile
from media.storing import delete_objects, get_incoming_directory, using_storage
from whatsbot import database

# Younger ones may belong to a job that is still at work.
SETTLED = timedelta(days=1)


@dataclass(slots=True)
class Report:
    """How many of each were found; objects and downloads are deleted unless it was a dry run."""

    objects: int = 0
    orphans: int = 0  # objects without a row
    missing: int = 0  # rows whose object is gone
    downloads: int = 0  # left in the folder where downloads wait

    @property
    def differences(self) -> int:
        """How many things were not as they should be."""
        return self.orphans + self.missing + self.downloads

    def __str__(self) -> str:
        return (
            f"{self.objects} objects, {self.orphans} without a row, {self.missing} files without their object, "
            f"{self.downloads} unfinished downloads"
        )


def reconcile_storage(*, dry_run: bool = False, settled: timedelta = SETTLED) -> Report:
    """Delete objects and downloads that nothing refers to, and count files whose object is gone.

    Raises TransientProviderError if the storage is away.
    """
    report = Report()
    database.release_connection()
    with using_storage():
        names = set(_walk(""))
    report.objects = len(names)
    rows = list(MediaFile.objects.values_list("storage_name", "thumbnail_name", "stored_at"))
    known = {name for stored, thumbnail, _ in rows for name in (stored, thumbnail)}
    report.missing = sum(stored not in names for stored, _, stored_at in rows if stored_at is not None)
    database.release_connection()
    earliest = timezone.now() - settled
    for name in sorted(names - known):
        with using_storage():
            is_young = default_storage.get_modified_time(name) > earliest
        if is_young or MediaFile.objects.filter(storage_name=name).exists():
            continue
        report.orphans += 1
        if not dry_run:
            delete_objects([name])
    for path in get_incoming_directory().iterdir():
        if path.is_file() and path.stat().st_mtime < earliest.timestamp():
            report.downloads += 1
            if not dry_run:
                path.unlink(missing_ok=True)
    return report


def _walk(folder: str) -> Iterator[str]:
    """The names of all objects; they lie in folders of two letters (media/storing.py)."""
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:  # nothing was ever stored
        return
    yield from (f"{folder}/{name}" if folder else name for name in names)
    for name in folders:
        yield from _walk(f"{folder}/{name}" if folder else name)
