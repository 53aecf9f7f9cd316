"""Files are found by what they show, by kind and by the days they were sent, and only one's own."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import WhatsAppUser
from media.models import MediaFile, MessageMedia
from memories.dates import UtcRange
from memories.models import Memory
from memories.store import store_memory
from messaging.media_search import find_media, get_media_of
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON, make_message, make_person

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)
Kind = MediaFile.Kind


@pytest.fixture(autouse=True)
def files_folder(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.MEDIA_ROOT = tmp_path
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def ana() -> WhatsAppUser:
    return make_person()


def send(
    person: WhatsAppUser,
    text: str,
    *,
    kind: Kind = Kind.PICTURE,
    days_ago: int = 0,
    file: MediaFile | None = None,
) -> MessageMedia:
    """A file that was sent and is remembered as this."""
    file = file or make_file(text.encode(), kind=kind)
    sent_at = NOON - days_ago * DAY
    link = send_file(person, file, raw=make_message(person, ""), at=sent_at)
    store_memory(
        raw_message_id=link.raw_message_id,
        user_id=person.id,
        tool_call="media.0",
        text=text,
        type=Memory.Type.FILE,
        happened_at=sent_at,
        key=f"file:{file.file_hash}",
    )
    return link


def test_what_fits_best_comes_first(ana: WhatsAppUser) -> None:
    beach = send(ana, "Picture\nA beach with palm trees and a red boat")
    receipt = send(ana, "Picture\nA receipt of a plumber for 120 euros")
    assert find_media(user_id=ana.id, query="plumber's bill")[0] == receipt
    assert find_media(user_id=ana.id, query="boat at the sea")[0] == beach


def test_without_words_the_newest_come_first(ana: WhatsAppUser) -> None:
    links = [send(ana, f"Picture\nNumber {number}", days_ago=number) for number in range(4)]
    assert find_media(user_id=ana.id, limit=3) == links[:3]


@pytest.mark.parametrize("query", ["", "receipt"])
def test_kind_and_days_narrow_it(ana: WhatsAppUser, query: str) -> None:
    old = send(ana, "Picture\nA receipt of last week", days_ago=7)
    pdf = send(ana, "PDF\nA receipt as a document", kind=Kind.PDF)
    new = send(ana, "Picture\nA receipt of today")
    today = UtcRange(start=NOON - DAY / 2, end=NOON + DAY / 2)
    assert set(find_media(user_id=ana.id, query=query, kind="PDF")) == {pdf}
    assert set(find_media(user_id=ana.id, query=query, within=today)) == {pdf, new}
    assert set(find_media(user_id=ana.id, query=query, kind="picture", within=today)) == {new}
    before = UtcRange(start=None, end=NOON - DAY)
    assert set(find_media(user_id=ana.id, query=query, within=before)) == {old}


def test_a_file_sent_again_is_found_on_both_days(ana: WhatsAppUser) -> None:
    first = send(ana, "Picture\nA receipt", days_ago=30)
    again = send(ana, "Picture\nA receipt", file=first.file)
    assert Memory.objects.count() == 1
    today = UtcRange(start=NOON - DAY / 2, end=NOON + DAY / 2)
    assert find_media(user_id=ana.id, query="receipt", within=today) == [again]
    assert set(find_media(user_id=ana.id, query="receipt")) == {first, again}


def test_nobody_finds_anothers_files(ana: WhatsAppUser) -> None:
    theirs = send(make_person(), "Picture\nA receipt")
    mine = send(ana, "Picture\nA receipt", file=theirs.file)
    assert find_media(user_id=ana.id, query="receipt") == [mine]
    assert find_media(user_id=ana.id) == [mine]


def test_files_that_are_not_there_are_not_found(ana: WhatsAppUser) -> None:
    send_file(ana, None, refusal="too_big")
    send_file(ana, make_file(b"half", stored=False))
    assert find_media(user_id=ana.id) == []


def test_a_memory_knows_its_files(ana: WhatsAppUser) -> None:
    link = send(ana, "Picture\nA receipt")
    memory = Memory.objects.get()
    assert get_media_of([memory]) == {memory.id: [link]}
