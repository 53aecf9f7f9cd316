"""What staff delete is gone wherever it was said, and nothing else is."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from media.models import MediaFile, MessageMedia
from media.storing import Content, store_media_file
from memories.changes import update_memory
from memories.models import Memory, MemoryHistory
from messaging.deletion import (
    FINISH_MESSAGE,
    delete_attachment,
    delete_file,
    delete_memory,
    delete_message,
    finish_message_deletion,
)
from messaging.extent import Extent, preview_attachments, preview_files, preview_memories, preview_messages
from messaging.forgetting import DELETE_MEDIA, FORGOTTEN
from messaging.inbound import get_unfetched_messages, receive_message
from messaging.models import Interaction, OutboundMessage, RawMessage
from messaging.turns import process_message
from tests.conftest import make_payload
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON, make_person
from tests.messaging.made import MINUTE, answer, make_raw, make_turn, remember
from tests.messaging.test_erasure import parse
from tests.rows import dump_database
from whatsbot.exceptions import MediaRefused

pytestmark = pytest.mark.django_db
WORD = "zanzibar"
PICTURE = {"NumMedia": "1", "MediaUrl0": "https://api.twilio.com/zanzibar", "MediaContentType0": "image/jpeg"}


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.UPLOADS_DIR = tmp_path


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody without memories."""
    return make_person()


def find(word: str = WORD) -> list[str]:
    """Where a word stands in the database, but for jobs that delete it elsewhere."""
    rows = dump_database(leave_out=("procrastinate_", "mem0_")).splitlines()
    return [row for row in rows if word in row]


def send_picture(
    person: WhatsAppUser, data: bytes = b"a picture", *, file: MediaFile | None = None, caption: str = "Beach"
) -> tuple[MessageMedia, Memory | None]:
    """A message with a picture, as the media's job leaves it: the first sending is remembered, others repeat it."""
    raw = make_raw(person, caption, **PICTURE)
    known = Memory.objects.filter(user=person, type="file").first() if file else None
    file = file or make_file(data, description=f"A beach of {WORD}", thumbnail_name=f"{data.hex()}.jpg")
    link = send_file(person, file, raw=raw, at=raw.received_at, file_name=f"{WORD}.jpg")
    text = f"Picture: {caption}\nA beach of {WORD}"
    if known is None:
        return link, remember(person, text, raw=raw, type="file", tool_call="media.0")
    MemoryHistory.objects.create(
        memory=known,
        kind="repeated",
        text=text,
        raw_message=raw,
        tool_call="media.0",
        said_at=raw.received_at,
    )
    return link, None


def set_jobs(status: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = %s", [status])


class TestMessages:
    """One message."""

    def test_nothing_it_said_is_left_and_the_rest_is_untouched(self, ana: WhatsAppUser) -> None:
        said = make_raw(ana, f"The key is under the {WORD}", **PICTURE)
        key = remember(ana, said.body, raw=said)
        answer(ana, raw=said, text=f"Saved: {WORD}", kind="saved")
        told = answer(ana, "Where is the key?", f"Under the {WORD}", used=[key])
        send_file(ana, make_file(b"only here", description=WORD), raw=said)
        kept = remember(ana, "Milk")
        others = answer(ana, "What to buy?", "Milk", used=[kept])
        before = dump_database(leave_out=("procrastinate_",))
        announced = preview_messages([said.id])
        assert dump_database(leave_out=("procrastinate_",)) == before
        assert delete_message(said.id) == announced
        assert announced.count() == {
            **dict.fromkeys(("memories", "messages", "attachments", "files", "mem0_entries"), 1),
            **{"restored": 0, "earlier_texts": 0, "answers": 2, "objects": 1, "twilio_copies": 1},
        }
        assert find() == []
        assert [*Memory.objects.all()] == [kept]
        assert [job.args["sources"] for job in ProcrastinateJob.objects.filter(task_name=DELETE_MEDIA)] == [
            [[said.message_sid, PICTURE["MediaUrl0"]]]
        ]
        for row in (others, told.raw_message, kept.raw_message):
            changed = type(row).objects.get(pk=row.pk)
            assert getattr(changed, "answer", getattr(changed, "body", "")) not in ("", FORGOTTEN)
        said.refresh_from_db()
        assert (said.redacted_at is not None, said.status) == (True, "answered")
        assert delete_message(said.id) == Extent(), "a second time there is nothing left"

    def test_a_repeated_delivery_of_it_is_not_answered_anew(self, ana: WhatsAppUser) -> None:
        payload = make_payload(WORD, From=ana.whatsapp_id)
        assert receive_message(parse(payload))
        raw = RawMessage.objects.get(message_sid=payload["MessageSid"])
        delete_message(raw.id)
        assert not receive_message(parse(payload))
        assert find() == []

    def test_one_nobody_has_begun_to_answer_is_not_answered(self, ana: WhatsAppUser) -> None:
        raw = make_raw(ana, WORD, at=timezone.now())
        delete_message(raw.id)
        assert process_message(raw.id) is None
        raw.refresh_from_db()
        assert (raw.status, raw.turn) == ("ignored", None)
        assert Interaction.objects.count() == 0

    def test_one_that_is_being_answered_goes_with_all_the_turn_has_kept_since(
        self, ana: WhatsAppUser
    ) -> None:
        turn = make_turn(ana, WORD, at=timezone.now())
        raw = RawMessage.objects.get(id=turn.raw_message_id)
        delete_message(raw.id)
        job = ProcrastinateJob.objects.get(task_name=FINISH_MESSAGE)
        assert job.priority < 0
        remember(ana, WORD, raw=raw, tool_call="1.1")
        assert finish_message_deletion(**job.args) is not None
        Interaction.objects.filter(raw_message=raw).update(
            answer=WORD, kind="saved", answered_at=timezone.now(), transcript=[WORD]
        )
        RawMessage.objects.update(status="answered")
        assert finish_message_deletion(**job.args) is None
        assert find() == []

    def test_one_whose_files_are_being_fetched_is_looked_at_again(self, ana: WhatsAppUser) -> None:
        payload = make_payload("", From=ana.whatsapp_id, **PICTURE)
        receive_message(parse(payload))
        raw = RawMessage.objects.get(message_sid=payload["MessageSid"])
        set_jobs("doing")
        assert finish_message_deletion(raw.id) is not None
        send_file(ana, make_file(b"late", description=WORD), raw=raw)
        remember(ana, WORD, raw=raw, tool_call="media.0")
        set_jobs("succeeded")
        assert finish_message_deletion(raw.id) is None
        assert find() == []

    def test_its_corrections_are_taken_back_with_the_answers_they_led_to(self, ana: WhatsAppUser) -> None:
        key = remember(ana, "The key is under the mat", happened_at=NOON)
        before = answer(ana, "Where?", "Under the mat", used=[key], at=NOON + MINUTE)
        corrected = make_raw(ana, f"No, the {WORD}", at=NOON + 10 * MINUTE)
        for call in ("1.1", "1.2"):
            update_memory(
                user_id=ana.id,
                number=1,
                text=f"Under the {WORD} {call}",
                raw_message_id=corrected.id,
                tool_call=call,
            )
        answer(ana, "Where?", f"Under the {WORD}", used=[key], at=NOON + 20 * MINUTE)
        announced = preview_messages([corrected.id])
        assert [memory.number for memory in announced.restored] == [1]
        assert delete_message(corrected.id) == announced
        key.refresh_from_db()
        assert (key.text, key.corrected_by, key.history.count()) == ("The key is under the mat", None, 0)
        assert find() == []
        before.refresh_from_db()
        assert before.answer == "Under the mat"

    def test_what_was_corrected_again_or_said_again_leaves_only_the_history(self, ana: WhatsAppUser) -> None:
        key = remember(ana, "Under the mat", happened_at=NOON)
        one, two = (make_raw(ana, text, at=NOON + MINUTE) for text in (f"No, the {WORD}", "No, the pot"))
        MemoryHistory.objects.create(
            memory=key, kind="repeated", text=WORD, raw_message=one, tool_call="1", said_at=NOON
        )
        for raw in (one, two):
            update_memory(user_id=ana.id, number=1, text=raw.body, raw_message_id=raw.id, tool_call="2")
        answer(ana, "Where?", f"Under the {WORD}", used=[key], at=NOON + 2 * MINUTE)
        late = answer(ana, "Where?", "Under the pot", used=[key], at=timezone.now() + MINUTE)
        assert delete_message(one.id).count()["earlier_texts"] == 2
        assert find() == []
        key.refresh_from_db()
        assert (key.text, [row.text for row in key.history.all()]) == ("No, the pot", ["Under the mat"])
        late.refresh_from_db()
        assert late.answer == "Under the pot"

    def test_of_a_burst_the_others_stay(self, ana: WhatsAppUser) -> None:
        turn = make_turn(ana, WORD, "and milk")
        Interaction.objects.update(answer=WORD, kind="saved", answered_at=turn.now)
        delete_message(turn.contents[0].raw_message_id)
        assert find() == []
        assert RawMessage.objects.get(id=turn.raw_message_id).body == "and milk"


class TestAttachments:
    """One sending of a file."""

    def test_the_file_and_its_memory_go_and_the_message_stays(self, ana: WhatsAppUser) -> None:
        link, memory = send_picture(ana)
        raw = link.raw_message
        answer(ana, raw=raw, text=f"I see a {WORD}", kind="saved")
        name = MediaFile.objects.get().storage_name
        announced = preview_attachments([link.id])
        assert delete_attachment(link.id) == announced
        assert announced.memories == (memory,)
        counts = announced.count()
        assert [counts[name] for name in ("attachments", "answers", "messages", "twilio_copies")] == [
            1,
            1,
            0,
            1,
        ]
        assert announced.objects == (name, f"{b'a picture'.hex()}.jpg")
        assert find() == []
        raw.refresh_from_db()
        assert (raw.body, raw.redacted_at) == ("Beach", None)
        link.refresh_from_db()
        assert (link.file, link.refusal, link.file_name) == (None, "deleted", "")
        assert ProcrastinateJob.objects.get(task_name=DELETE_MEDIA).args["sources"][0][0] == raw.message_sid
        assert not get_unfetched_messages().exists()
        assert delete_attachment(link.id) == Extent()

    def test_what_somebody_else_has_sent_stays_theirs(self, ana: WhatsAppUser) -> None:
        mine, _ = send_picture(ana)
        bo = make_person()
        theirs, memory = send_picture(bo, file=MediaFile.objects.get())
        assert memory is not None
        assert delete_attachment(mine.id).objects == ()
        theirs.refresh_from_db()
        file = theirs.file
        assert file is not None
        assert (file.forwarded_count, default_storage.exists(file.storage_name)) == (0, True)
        assert [*Memory.objects.all()] == [memory]

    def test_what_the_person_has_sent_again_is_remembered_as_that(self, ana: WhatsAppUser) -> None:
        first, memory = send_picture(ana)
        assert memory is not None
        again, _ = send_picture(ana, file=first.file)
        announced = preview_attachments([first.id])
        assert delete_attachment(first.id) == announced
        assert (announced.memories, announced.files) == ((), 0)
        memory.refresh_from_db()
        assert (memory.raw_message, memory.history.count()) == (again.raw_message, 0)
        assert delete_attachment(again.id).memories == (memory,)
        assert find() == []

    def test_a_file_that_is_being_fetched_meanwhile_is_not_kept(
        self, ana: WhatsAppUser, tmp_path: Path
    ) -> None:
        link = send_file(ana, None, raw=make_raw(ana, "", **PICTURE))
        delete_attachment(link.id)
        path = tmp_path / "fetched"
        path.write_bytes(b"late")
        content = Content(path=path, sha256="0" * 64, size=4, content_type="image/jpeg", kind="picture")
        with pytest.raises(MediaRefused):
            store_media_file(link, content)
        assert MediaFile.objects.count() == 0

    def test_it_is_not_sent_back_any_more(self, ana: WhatsAppUser) -> None:
        link, _ = send_picture(ana)
        told = answer(ana, "Show me", status="pending")
        OutboundMessage.objects.filter(interaction=told).update(media=link, has_media=True)
        delete_attachment(link.id)
        assert OutboundMessage.objects.get().media is None


def test_a_file_goes_from_everybody(ana: WhatsAppUser) -> None:
    send_picture(ana)
    file = MediaFile.objects.get()
    send_picture(ana, file=file)
    send_picture(make_person(), file=file)
    announced = preview_files([file.id]).count()
    assert (announced["memories"], announced["attachments"], announced["files"]) == (2, 3, 1)
    went = delete_file(file.id)
    for name in ("memories", "attachments", "files", "objects"):
        assert sum(each.count()[name] for each in went) == announced[name]
    assert find() == []
    assert RawMessage.objects.filter(body="Beach").count() == 3


def test_a_memory_goes_with_what_said_it(ana: WhatsAppUser) -> None:
    said = make_raw(ana, WORD)
    memory = remember(ana, WORD, raw=said)
    answer(ana, raw=said, text=WORD)
    announced = preview_memories([memory.id])
    assert delete_memory(memory.id) == announced
    assert announced.memories == (memory,)
    assert (len(announced.messages), len(announced.answers)) == (1, 1)
    assert find() == []
    assert delete_memory(memory.id) == Extent()
