"""The export: a link for an hour, to everything of one person and nothing of anybody else."""

import hashlib
import io
import json
import random
import tracemalloc
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from media.models import MediaFile
from media.serving import StoredObject
from memories.changes import update_memory
from messaging import export
from messaging.commands import find_command
from messaging.export import make_export_link, write_export
from messaging.forgetting import REDACT, redact_messages
from messaging.models import Interaction, OutboundMessage, RawMessage
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON, make_person
from tests.messaging.made import CODE, MINUTE, answer, make_raw, make_turn, remember
from whatsbot import database

pytestmark = pytest.mark.django_db
SAFE = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
HOUR = timedelta(hours=1)
Json = dict[str, Any]


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody in New York."""
    return make_person()


def get_path(person: WhatsAppUser, *, age: timedelta = timedelta()) -> str:
    link = make_export_link(user=person, now=timezone.now() - age)
    assert link.startswith("https://bot.example.com/export/")
    return link.removeprefix("https://bot.example.com")


def download(client: Client, person: WhatsAppUser) -> dict[str, Any]:
    """The parsed JSON, and everything else as bytes."""
    response = client.get(get_path(person))
    assert response.status_code == 200
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:  # type: ignore[attr-defined]
        assert archive.testzip() is None
        assert len(set(archive.namelist())) == len(archive.namelist())
        files = {name: archive.read(name) for name in archive.namelist()}
    readme = files.pop("README.txt").decode()
    assert len(readme.splitlines()) == 3
    assert person.timezone in readme
    return {name: json.loads(data) if name.endswith(".json") else data for name, data in files.items()}


def test_export_answers_with_a_link_that_works(ana: WhatsAppUser, client: Client) -> None:
    turn = make_turn(ana, "/export", at=timezone.now())
    found = find_command(turn)
    assert found is not None
    (link,) = (line for line in found.run().text.splitlines() if line.startswith("https://"))
    response = client.get(link.removeprefix("https://bot.example.com"))
    assert response.status_code == 200
    assert response["Content-Type"] == "application/zip"
    today = timezone.now().astimezone(ZoneInfo("America/New_York"))
    assert response["Content-Disposition"] == f'attachment; filename="whatsbot-{today:%Y-%m-%d}.zip"'
    assert {name: response[name] for name in SAFE} == SAFE
    blanks = ProcrastinateJob.objects.get(task_name=REDACT).args["interaction_ids"]
    assert blanks == [Interaction.objects.get(raw_message_id=turn.raw_message_id).id], "the link is not kept"


def test_everything_of_the_person_is_in_it_and_nothing_of_anybody_else(client: Client) -> None:
    people = {word: make_person() for word in ("zanzibar", "quagga")}
    for word, person in people.items():
        person.profile_name = word
        person.save()
        memory = remember(person, f"{word} memory")
        update_memory(user_id=person.id, number=1, text=f"{word} corrected")
        answer(person, f"{word} question", f"{word} answer", used=[memory])
    for word, person in people.items():
        exported = json.dumps(download(client, person))
        assert exported.count(word) == 6
        assert not [other for other in people if other != word and other in exported]


def test_the_profile(ana: WhatsAppUser, client: Client) -> None:
    profile = download(client, ana)["profile.json"]
    assert (profile["whatsapp_id"], profile["timezone"]) == (ana.whatsapp_id, "America/New_York")
    assert profile["known_since_utc"] == ana.created_at.isoformat()
    assert profile["opted_out_at_utc"] is None


def test_memories_come_with_their_history_in_both_times(ana: WhatsAppUser, client: Client) -> None:
    memory = remember(ana, type="event", event_start=NOON, event_end=NOON + MINUTE)
    correction = make_raw(ana, "8362")
    update_memory(
        user_id=ana.id,
        number=1,
        text="8362",
        said_at=NOON + MINUTE,
        raw_message_id=correction.id,
        tool_call="x",
    )
    remember(ana, "Milk", source="api")
    first, second = download(client, ana)["memories.json"]
    assert (first["number"], first["text"], first["type"], first["source"]) == (1, "8362", "event", "chat")
    assert (first["said_at_utc"], first["said_at_local"]) == (
        "2025-06-03T12:01:00+00:00",
        "2025-06-03T08:01:00-04:00",
    )
    assert first["event_start_utc"] is None
    assert memory.raw_message is not None
    assert (first["message"], first["corrected_by"]) == (
        memory.raw_message.message_sid,
        correction.message_sid,
    )
    (before,) = first["history"]
    assert (before["kind"], before["text"], before["message"]) == ("corrected", CODE, first["message"])
    assert before["said_at_local"] == before["event_start_local"] == "2025-06-03T08:00:00-04:00"
    assert (second["number"], second["source"], second["message"], second["history"]) == (2, "api", None, [])


def test_messages_come_both_ways_in_order_with_what_answers_used(ana: WhatsAppUser, client: Client) -> None:
    gate, milk = remember(ana), remember(ana, "Milk", happened_at=NOON + MINUTE)
    asked = answer(ana, used=[milk, gate], parts=2, at=NOON + 2 * MINUTE)
    OutboundMessage.objects.update(created_at=NOON + 3 * MINUTE)
    place = {"Latitude": "51.5", "Longitude": "-0.1", "Label": "Café"}
    make_raw(ana, "", at=NOON + 4 * MINUTE, NumMedia="1", MediaContentType0="audio/ogg", **place)
    forgotten = make_raw(ana, "Secret", at=NOON + 5 * MINUTE)
    redact_messages([forgotten.id])
    messages: list[Json] = download(client, ana)["messages.json"]
    assert [message["text"] for message in messages] == [
        *(CODE, "Milk", "What is the gate code?", "4711 (1)", "4711 (2)", "", ""),
    ]
    assert [message["direction"] for message in messages] == ["in", "in", "in", "out", "out", "in", "in"]
    part, voice = messages[3], messages[5]
    assert (part["answers"], part["used_memories"], part["status"]) == (
        asked.raw_message.message_sid,
        [1, 2],
        "delivered",
    )
    assert (voice["kinds"], voice["place"]["label"], voice["at_local"]) == (
        ["place", "voice note"],
        "Café",
        "2025-06-03T08:04:00-04:00",
    )
    assert [message.get("forgotten") for message in messages] == [
        False,
        False,
        False,
        None,
        None,
        False,
        True,
    ]


def test_somebody_with_nothing_gets_empty_lists(ana: WhatsAppUser, client: Client) -> None:
    exported = download(client, ana)
    assert exported.pop("profile.json")["whatsapp_id"] == ana.whatsapp_id
    assert exported == {"memories.json": [], "messages.json": [], "media.json": []}


def test_a_long_history_is_read_in_chunks(ana: WhatsAppUser) -> None:
    def count_queries() -> int:
        with CaptureQueriesContext(connection) as queries:
            write_export(ana).close()
        return len(queries)

    RawMessage.objects.bulk_create(
        RawMessage(message_sid=f"SM{number}", user=ana, payload={"Body": "x"}) for number in range(1200)
    )
    memory = remember(ana)

    def add(count: int) -> None:
        for number in range(count):
            at = NOON + number * MINUTE
            answer(ana, used=[memory], at=at)
            raw = make_raw(ana, "", at=at, NumMedia="1", MediaContentType0="image/jpeg")
            send_file(ana, raw=raw, at=at, refusal="gone")

    add(5)
    before = count_queries()
    add(20)
    assert count_queries() == before


class TestFiles:
    """The files a person has sent, each once, with every sending."""

    @pytest.fixture(autouse=True)
    def files_folder(self, settings: Any, tmp_path: Path) -> Path:
        settings.MEDIA_ROOT = tmp_path
        return tmp_path

    def test_each_file_is_there_once_and_each_sending_is_told(
        self, ana: WhatsAppUser, client: Client
    ) -> None:
        picture = make_file(
            b"\xff\xd8picture",
            description="A red house",
            facts={"width": 10},
            described_by="a model",
            described_at=NOON,
            language="en",
        )
        text = make_file(b"words " * 99, content_type="text/plain", kind="text file", text="words")
        raw = make_raw(ana, "", at=NOON + 2 * MINUTE)
        send_file(ana, picture, raw=raw, position=1, at=raw.received_at)
        send_file(ana, text, raw=raw, position=0, at=raw.received_at, file_name="Häuser.txt")
        first = send_file(ana, picture, at=NOON - 10 * HOUR, file_name="../../house.html")
        exported = download(client, ana)
        assert {name: data for name, data in exported.items() if not name.endswith(".json")} == {
            "media/2025-06-02-1.jpg": b"\xff\xd8picture",
            "media/2025-06-03-2.txt": b"words " * 99,
        }
        sent: list[Json] = exported["media.json"]
        assert [each["file"] for each in sent] == [
            "media/2025-06-02-1.jpg",
            "media/2025-06-03-2.txt",
            "media/2025-06-02-1.jpg",
        ]
        assert sent[0] == {
            "message": first.raw_message.message_sid,
            "position": 0,
            "sent_at_utc": "2025-06-03T02:00:00+00:00",
            "sent_at_local": "2025-06-02T22:00:00-04:00",
            "file": "media/2025-06-02-1.jpg",
            "file_name": "../../house.html",
            "refused": None,
            "kind": "picture",
            "content_type": "image/jpeg",
            "size": 9,
            "description": "A red house",
            "text": "",
            "language": "en",
            "facts": {"width": 10},
        }
        assert [(each["message"], each["position"], each["file_name"]) for each in sent[1:]] == [
            (raw.message_sid, 0, "Häuser.txt"),
            (raw.message_sid, 1, ""),
        ]

    def test_what_was_refused_or_is_still_coming_has_no_file(self, ana: WhatsAppUser, client: Client) -> None:
        send_file(ana, refusal="too_big")
        send_file(ana, make_file(b"coming", stored=False))
        send_file(ana)
        exported = download(client, ana)
        assert not [name for name in exported if name.startswith("media/")]
        told = [(each["file"], each["refused"], each["kind"]) for each in exported["media.json"]]
        assert told == [(None, "too_big", None), (None, None, "picture"), (None, None, None)]

    def test_files_of_others_stay_out(self, ana: WhatsAppUser, client: Client) -> None:
        both = make_file(b"of both")
        for person in (ana, other := make_person()):
            send_file(person, both, file_name=f"of {person.id}")
        send_file(other, make_file(b"of the other"))
        exported = download(client, ana)
        assert [data for name, data in exported.items() if name.startswith("media/")] == [b"of both"]
        assert [each["file_name"] for each in exported["media.json"]] == [f"of {ana.id}"]

    def test_a_lost_object_is_told(self, ana: WhatsAppUser, client: Client, files_folder: Path) -> None:
        for number in range(3):
            send_file(ana, make_file(b"%d" % number), at=NOON + number * MINUTE)
        file = MediaFile.objects.get(size=1, file_hash=hashlib.sha256(b"1").hexdigest())
        (files_folder / file.storage_name).unlink()
        exported = download(client, ana)
        assert exported["media/2025-06-03-1.jpg"] == b"0"
        assert exported["media/2025-06-03-3.jpg"] == b"2"
        assert "media/2025-06-03-2.jpg" not in exported
        assert exported["missing.txt"].decode().splitlines()[1:] == ["media/2025-06-03-2.jpg"]

    def test_the_database_is_done_with_before_a_file_is_read(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        send_file(ana, make_file())
        steps: list[str] = []
        release = database.release_connection
        monkeypatch.setattr(database, "release_connection", lambda: (release(), steps.append("release")))

        class Watched(StoredObject):
            def __init__(self, name: str) -> None:
                assert steps == ["release"]
                steps.append("open")
                super().__init__(name)

            def close(self) -> None:
                steps.append("close")
                super().close()

        monkeypatch.setattr(export, "StoredObject", Watched)

        def refuse(execute: Any, *arguments: Any) -> Any:
            assert steps == []
            return execute(*arguments)

        with connection.execute_wrapper(refuse):
            write_export(ana).close()
        assert steps == ["release", "open", "close"]

    def test_large_files_are_copied_in_pieces_and_not_compressed_again(self, ana: WhatsAppUser) -> None:
        data = bytes(8 * 1024 * 1024)
        send_file(ana, make_file(data))
        send_file(ana, make_file(data + b"text", content_type="text/plain", kind="text file"))
        del data
        tracemalloc.start()
        with write_export(ana) as file:
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            sizes = [info.compress_size for info in zipfile.ZipFile(file).infolist()[-2:]]
        assert most < 2 * 1024 * 1024
        assert sizes[0] == 8 * 1024 * 1024
        assert sizes[1] < 100_000


class TestLinks:
    """Only a link we have made, for somebody who is still there, within the hour."""

    def test_it_works_for_an_hour(self, ana: WhatsAppUser, client: Client) -> None:
        assert client.get(get_path(ana, age=timedelta(minutes=59))).status_code == 200
        gone = client.get(get_path(ana, age=timedelta(minutes=61)))
        assert gone.status_code == 410
        assert b"/export" in gone.content
        assert {name: gone[name] for name in SAFE} == SAFE

    def test_any_change_makes_it_invalid(self, ana: WhatsAppUser, client: Client) -> None:
        seed = random.randrange(2**32)
        chance = random.Random(seed)
        path = get_path(ana)
        first, last = len("/export/"), len(path) - len(".zip")
        # The last letter of the signature holds two bits that mean nothing.
        for _ in range(50):
            at = chance.randrange(first, last - 1)
            changed = path[:at] + ("A" if path[at] != "A" else "B") + path[at + 1 :]
            response = client.get(changed)
            assert response.status_code == 404, f"seed {seed}: {changed}"
            assert {name: response[name] for name in SAFE} == SAFE

    @pytest.mark.parametrize("token", ["x", "a:b", "%00", "..%2f..", "\u0660", "a" * 5000])
    def test_what_is_no_token_is_not_found(self, ana: WhatsAppUser, client: Client, token: str) -> None:
        assert client.get(f"/export/{token}.zip").status_code == 404

    def test_the_same_claim_signed_for_something_else_is_none(
        self, ana: WhatsAppUser, client: Client
    ) -> None:
        token = get_path(ana).removeprefix("/export/").removesuffix(".zip")
        claim = export._signer.unsign_object(token)
        for salt, status in (("messaging.export", 200), ("something else", 404)):
            signed = signing.Signer(salt=salt).sign_object(claim)
            assert client.get(f"/export/{signed}.zip").status_code == status

    def test_it_ends_with_the_person(self, ana: WhatsAppUser, client: Client) -> None:
        path = get_path(ana)
        WhatsAppUser.objects.filter(id=ana.id).update(created_at=timezone.now() + MINUTE)
        assert client.get(path).status_code == 404
        ana.delete()
        assert client.get(path).status_code == 404

    def test_it_can_only_be_read(self, ana: WhatsAppUser, client: Client) -> None:
        path = get_path(ana)
        assert [client.generic(method, path).status_code for method in ("POST", "PUT", "DELETE")] == [405] * 3
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert {name: head[name] for name in SAFE} == SAFE

    def test_two_links_differ(self, ana: WhatsAppUser) -> None:
        assert get_path(ana) != get_path(make_person())
