"""A picture whose worker is killed right before or after any step of taking it in, and of answering it.

Whatever was done before the kill is not done again: what was stored is not stored a second time, what was described is
not described a second time, but for the one call that was in flight; there is one memory and one reply.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from media.models import MediaFile, MessageMedia
from memories.models import Memory
from messaging.models import OutboundMessage, RawMessage
from tests.conftest import make_payload
from tests.doomed import Call, Executioner, Point, running_executioner
from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_model import describe_as, say
from tests.doubles.twilio import TwilioDouble
from tests.media.files import picture

pytestmark = pytest.mark.django_db(transaction=True)

FETCHING = [
    Point(when=when, step=step)
    for step in (
        "messaging.attachments:download_media",
        "messaging.attachments:read_file",
        "media.storing:_link_file",
        "media.storing:_note_stored",
        "media.describing:describe",
        "media.describing:_save_description",
        "messaging.attachment_memories:store_memory",
        "messaging.attachments:_let_answer_go_on",
    )
    for when in ("before", "after")
]
SAVING = [
    Point(when=when, step="media.storing:_save", nth=nth) for nth in (1, 2) for when in ("before", "after")
]
ANSWERING = [
    Point(when="after", step="messaging.turns:begin_turn"),
    Point(when="after", step="messaging.journal:Journal._add"),
    Point(when="before", step="messaging.turns:commit_answer"),
    Point(when="after", step="messaging.turns:commit_answer"),
]
IN_FLIGHT = ("after describe", "before _save_description")  # answered, and nobody had written it down


@pytest.fixture(scope="module")
def executioner(django_db_setup: None) -> Iterator[Executioner]:
    """One process that has imported everything, for all the tests here."""
    with running_executioner(connection.settings_dict["NAME"]) as running:
        yield running


@pytest.fixture
def gemini(settings: Any, transactional_db: None) -> Iterator[GeminiDouble]:
    """A model that sees a menu in every picture."""
    with running_gemini_double() as double:
        double.describe_with(lambda request: describe_as(description="A menu with soup", language="en"))
        double.play(lambda request: say("Soup, thank you."))
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = double.api_key, double.base_url
        yield double
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT, settings.UPLOADS_DIR = tmp_path / "files", tmp_path
    return tmp_path


@pytest.mark.parametrize("point", [*FETCHING, *SAVING, *ANSWERING], ids=str)
def test_a_picture_whose_worker_is_killed_is_kept_described_and_answered_once(
    executioner: Executioner,
    gemini: GeminiDouble,
    twilio_double: TwilioDouble,
    deliver: Callable[..., Any],
    run_jobs: Callable[[], int],
    folder: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    point: Point,
) -> None:
    deliver(make_payload("Lunch", **twilio_double.make_media_payload(picture(), "image/jpeg")))
    raw = RawMessage.objects.get()
    changed = {name: getattr(settings, name) for name in ("GEMINI_API_KEY", "GEMINI_BASE_URL")}
    changed |= {name: getattr(settings, name) for name in ("TWILIO_API_BASE_URL", "TWILIO_MEDIA_HOSTS")}
    steps = ["messaging.attachments:take_media", "messaging.turns:process_message"]
    is_answering = point in ANSWERING
    if is_answering:
        run_job(run_jobs, "messaging.take_media")
    executioner.kill(
        Call(function=steps[is_answering], arguments={"raw_message_id": raw.id}),
        point,
        **changed,
        MEDIA_ROOT=str(folder / "files"),
        UPLOADS_DIR=str(folder),
    )
    kept = {path for path in (folder / "files").rglob("*") if path.is_file()}
    saved: list[str] = []
    save = default_storage.save

    def count(name: str, content: Any) -> str:
        saved.append(name)
        return str(save(name, content))

    monkeypatch.setattr(default_storage, "save", count)
    run_jobs()
    file = MediaFile.objects.get()
    was_stored = Path(default_storage.path(file.storage_name)) in kept
    assert (file.storage_name in saved) == (not was_stored)
    assert file.stored_at is not None
    assert file.forwarded_count == 0
    assert MessageMedia.objects.get().attempts <= 1
    assert len(gemini.descriptions) == 1 + (str(point) in IN_FLIGHT)
    assert twilio_double.media[0].fetches <= 2
    assert Memory.objects.get().text == "Picture: Lunch\nA menu with soup"
    assert [message.body for message in twilio_double.messages] == ["Soup, thank you.\n\nSaved as #1."]
    assert OutboundMessage.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mem0_local")
        assert cursor.fetchone() == (1,)


def run_job(run_jobs: Callable[[], int], task: str) -> None:
    """Do the jobs of one task, and none of the others."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE task_name <> %s", [task])
    run_jobs()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'todo' WHERE status = 'doing'")
