"""Files are kept once for each content, counted exactly, and gone with their last link."""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection, transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from media import storing
from media.models import MediaFile, MessageMedia
from media.storing import (
    Content,
    Forgotten,
    claim,
    get_incoming_directory,
    is_kept,
    remove_links,
    store_media_file,
)
from tests.media.objects import send_file
from whatsbot.exceptions import TransientProviderError

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_jobs_are_left() -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")


@pytest.fixture(params=["folder", "bucket"])
def any_storage(request: pytest.FixtureRequest) -> None:
    """Each test runs with both kinds of storage."""
    if request.param == "bucket":
        request.getfixturevalue("object_store")


def make_link() -> MessageMedia:
    """One attachment of a message of somebody new, still to be kept."""
    person = WhatsAppUser.objects.create(whatsapp_id=f"whatsapp:test-{secrets.token_hex(8)}", timezone="UTC")
    return send_file(person)


def make_content(text: bytes = b"a picture", *, thumbnail: bytes = b"") -> Content:
    path = get_incoming_directory() / secrets.token_hex(8)
    path.write_bytes(text)
    small = None
    if thumbnail:
        small = path.with_suffix(".small")
        small.write_bytes(thumbnail)
    return Content(
        path=path,
        sha256=hashlib.sha256(text).hexdigest(),
        size=len(text),
        content_type="image/jpeg",
        kind="picture",
        thumbnail=small,
    )


def store_in_time(link: MessageMedia) -> None:
    """Store as a job does: who finds somebody else storing comes back, and holds no connection meanwhile."""
    while True:
        try:
            store_media_file(link, make_content())
            return
        except TransientProviderError:
            connection.close()
            time.sleep(0.02)


def list_objects() -> list[str]:
    """The names of all objects of the storage."""
    try:
        folders, names = default_storage.listdir("")
    except FileNotFoundError:
        return []
    return [
        *names,
        *(f"{folder}/{name}" for folder in folders for name in default_storage.listdir(folder)[1]),
    ]


@pytest.mark.usefixtures("any_storage")
def test_a_file_is_kept_with_its_thumbnail_and_read_back() -> None:
    file = store_media_file(make_link(), make_content(b"whole", thumbnail=b"small"))
    assert file is not None
    assert file.stored_at is not None
    assert file.forwarded_count == 0
    with storing.open_locally(file) as path:
        assert path.read_bytes() == b"whole"
    assert default_storage.open(file.thumbnail_name).read() == b"small"
    assert sorted(list_objects()) == sorted([file.storage_name, file.thumbnail_name])


@pytest.mark.usefixtures("any_storage")
def test_the_same_content_is_one_row_and_one_object_with_many_links(run_jobs: Callable[[], int]) -> None:
    links = [make_link() for _ in range(5)]
    files = [store_media_file(link, make_content()) for link in links]
    assert len({file.id for file in files if file}) == 1
    file = MediaFile.objects.get()
    assert (file.forwarded_count, len(list_objects())) == (4, 1)
    for left, link in zip((3, 2, 1, 0), links, strict=False):
        with transaction.atomic():
            remove_links(MessageMedia.objects.filter(id=link.id))
        run_jobs()
        file.refresh_from_db()
        assert (file.forwarded_count, len(list_objects())) == (left, 1)
    with transaction.atomic():
        remove_links(MessageMedia.objects.all())
    assert not MediaFile.objects.exists()
    run_jobs()
    assert list_objects() == []


def test_an_upload_is_repeated_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = []
    save = default_storage.save
    monkeypatch.setattr(
        default_storage, "save", lambda name, content: saved.append(name) or save(name, content)
    )
    for _ in range(3):
        store_media_file(make_link(), make_content())
    assert len(saved) == 1


@pytest.mark.parametrize("count", [16])
def test_many_who_send_the_same_at_once_keep_it_once(count: int) -> None:
    links = [make_link() for _ in range(count)]
    together = threading.Barrier(count)

    def store(link: MessageMedia) -> None:
        together.wait()
        try:
            store_in_time(link)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(store, links))
    file = MediaFile.objects.get()
    assert file.forwarded_count == count - 1 == file.links.count() - 1
    assert list_objects() == [file.storage_name]


def test_links_that_come_and_go_at_once_leave_the_count_right(run_jobs: Callable[[], int]) -> None:
    """Whoever adds the next link while the last one goes gets a row and an object of its own."""
    rounds, people = 12, 4
    links = [[make_link() for _ in range(rounds)] for _ in range(people)]

    def come_and_go(mine: list[MessageMedia]) -> None:
        try:
            for link in mine:
                store_in_time(link)
                with transaction.atomic():
                    remove_links(MessageMedia.objects.filter(id=link.id))
        finally:
            connection.close()

    with ThreadPoolExecutor(people) as pool:
        list(pool.map(come_and_go, links))
    assert not MediaFile.objects.exists()
    run_jobs()
    assert list_objects() == []


def test_counts_hold_for_bulk_changes_and_sql_by_hand() -> None:
    links = [make_link() for _ in range(4)]
    for link in links:
        store_media_file(link, make_content())
    other = store_media_file(make_link(), make_content(b"another"))
    MessageMedia.objects.filter(id=links[0].id).update(file=other)
    counts = dict(MediaFile.objects.values_list("id", "forwarded_count"))
    assert sorted(counts.values()) == [1, 2]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM media_messagemedia WHERE id = %s", [links[1].id])
    links[2].raw_message.delete()
    links[3].refresh_from_db()
    assert links[3].file is not None
    assert links[3].file.forwarded_count == 0


def test_the_same_file_twice_in_one_message_is_one_link() -> None:
    first = make_link()
    second = MessageMedia.objects.create(
        raw_message_id=first.raw_message_id, user_id=first.user_id, position=1, sent_at=first.sent_at
    )
    file = store_media_file(first, make_content())
    assert store_media_file(second, make_content()) is None
    second.refresh_from_db()
    assert (second.file, second.refusal) == (None, "repeated")
    assert file is not None
    file.refresh_from_db()
    assert file.forwarded_count == 0


def test_a_message_that_is_forgotten_meanwhile_leaves_nothing(run_jobs: Callable[[], int]) -> None:
    link = make_link()
    MessageMedia.objects.all().delete()
    with pytest.raises(Forgotten):
        store_media_file(link, make_content())
    assert not MediaFile.objects.exists()
    assert list_objects() == []


def test_a_message_that_is_forgotten_during_the_upload_leaves_no_object(
    run_jobs: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = default_storage.save

    def save_late(name: str, content: Any) -> str:
        with transaction.atomic():
            remove_links(MessageMedia.objects.all())
        run_jobs()  # the job that deletes the object comes before it is there
        return str(save(name, content))

    monkeypatch.setattr(default_storage, "save", save_late)
    with pytest.raises(Forgotten):
        store_media_file(make_link(), make_content())
    assert list_objects() == []


def test_whoever_finds_a_file_being_stored_waits_and_takes_over_from_the_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str, content: Any) -> str:
        raise OSError("the disk is full")

    first, second = make_link(), make_link()
    with monkeypatch.context() as broken:
        broken.setattr(default_storage, "save", fail)
        with pytest.raises(TransientProviderError, match="OSError"):
            store_media_file(first, make_content())
    with pytest.raises(TransientProviderError) as waiting:
        store_media_file(second, make_content())
    assert waiting.value.retry_after == storing.BUSY_SECONDS
    file = MediaFile.objects.get()
    assert not claim(file, claimant=second.id)
    assert claim(file, claimant=first.id)
    monkeypatch.setattr(storing, "CLAIM", storing.timedelta())
    assert store_media_file(second, make_content()) == file
    assert is_kept(MediaFile.objects.get(), claimant=second.id)


@pytest.mark.usefixtures("any_storage")
def test_an_upload_whose_end_was_never_written_down_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    link = make_link()
    with monkeypatch.context() as killed:
        killed.setattr(storing, "_note_stored", lambda file: None)
        file = store_media_file(link, make_content())
    assert file is not None
    assert file.stored_at is None
    assert is_kept(file, claimant=link.id)
    assert MediaFile.objects.get().stored_at is not None


def test_the_job_that_deletes_is_written_with_the_deletion() -> None:
    file = store_media_file(make_link(), make_content(thumbnail=b"small"))
    assert file is not None
    with transaction.atomic():
        remove_links(MessageMedia.objects.all())
        transaction.set_rollback(True)
    assert not ProcrastinateJob.objects.filter(task_name="media.delete_objects").exists()
    with transaction.atomic():
        remove_links(MessageMedia.objects.all())
    job = ProcrastinateJob.objects.get(task_name="media.delete_objects")
    assert job.args == {"names": [file.storage_name, file.thumbnail_name]}


def test_objects_on_disk_are_the_owners_alone(tmp_path: Path) -> None:
    file = store_media_file(make_link(), make_content())
    assert file is not None
    path = Path(default_storage.path(file.storage_name))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
