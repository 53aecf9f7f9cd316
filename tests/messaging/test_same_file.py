"""One file sent by many at once, and forgotten by one after the other, in a folder and in an S3-compatible store."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import WhatsAppUser
from media.models import MediaFile, MessageMedia
from memories.models import Memory
from messaging.attachments import take_media
from messaging.models import RawMessage
from tests.conftest import make_payload
from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_model import describe_as, say
from tests.doubles.twilio import TwilioDouble
from tests.media.files import picture
from tests.media.objects import ObjectStore, make_object_store, read_settings, running_object_server

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = [f"+120255501{number:02d}" for number in range(10)]
TIMES = 5


@pytest.fixture(scope="module")
def object_server() -> Iterator[str]:
    with running_object_server() as endpoint_url:
        yield endpoint_url


@pytest.fixture(params=["folder", "bucket"])
def list_objects(
    request: pytest.FixtureRequest, settings: Any, tmp_path: Path
) -> Iterator[Callable[[], list[str]]]:
    """What the storage holds, looked at without our code; thumbnails are left out."""
    settings.MEDIA_ROOT, settings.UPLOADS_DIR = tmp_path / "files", tmp_path
    store: ObjectStore | None = None
    if request.param == "bucket":
        store = make_object_store(request.getfixturevalue("object_server"))
        made = read_settings(**store.environment)
        settings.STORAGES = settings.STORAGES | {"default": made["STORAGES"]["default"]}

    def look() -> list[str]:
        found = store.list_names() if store else [path.name for path in (tmp_path / "files").rglob("*.*")]
        return [name for name in found if "thumbnail" not in name]

    yield look
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def gemini(settings: Any) -> Iterator[GeminiDouble]:
    with running_gemini_double() as double:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = double.api_key, double.base_url
        double.describe_with(lambda request: describe_as(description="A menu with soup", language="en"))
        double.play(lambda request: say("Soup."))
        yield double


def test_a_file_sent_fifty_times_at_once_is_one_and_goes_with_the_last_who_sent_it(
    deliver: Callable[..., Any],
    run_jobs: Callable[[], int],
    twilio_double: TwilioDouble,
    gemini: GeminiDouble,
    list_objects: Callable[[], list[str]],
) -> None:
    for _ in range(TIMES):
        for person in PEOPLE:
            media = twilio_double.make_media_payload(picture(), "image/jpeg")
            deliver(make_payload("", **media, From=f"whatsapp:{person}", WaId=person[1:]))
    ids = list(RawMessage.objects.values_list("id", flat=True))
    assert len(ids) == TIMES * len(PEOPLE)
    together = threading.Barrier(16)
    first = set(ids[:16])

    def take(raw_message_id: int) -> None:
        """As the worker does it: again, as long as it is not done."""
        if raw_message_id in first:
            together.wait()
        try:
            while (wait := take_media(raw_message_id)) is not None:
                connection.close()
                time.sleep(min(wait, 0.05))
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(take, ids))
    file = MediaFile.objects.get()
    assert file.forwarded_count == 49
    assert MessageMedia.objects.filter(file=file).count() == 50
    assert list_objects() == [file.storage_name] or list_objects() == [Path(file.storage_name).name]
    assert len(gemini.descriptions) == 1
    assert Memory.objects.count() == len(PEOPLE)  # each knows it already when it comes again
    run_jobs()
    assert len(twilio_double.messages) == 50

    for number, person in enumerate(PEOPLE, start=1):
        address = {"From": f"whatsapp:{person}", "WaId": person[1:]}
        deliver(make_payload("/forget everything", **address))
        run_jobs()
        deliver(make_payload("yes", **address))
        run_jobs()
        assert twilio_double.messages[-1].body.startswith("Everything is erased:")
        assert MediaFile.objects.exists() == (number < len(PEOPLE))
        assert len(list_objects()) == (number < len(PEOPLE))
    assert not MessageMedia.objects.exists()
    assert not Memory.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mem0_local")
        assert cursor.fetchone() == (0,)
    assert WhatsAppUser.objects.count() == len(PEOPLE)  # their receipts, for a day
