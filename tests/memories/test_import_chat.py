"""`manage.py import_chat`: previews, asks, stores once with original times, and goes on where it was stopped."""

import io
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DataError, connection

from accounts.models import WhatsAppUser
from memories import chat_export_files
from memories.management.commands import import_chat
from memories.models import Memory
from memories.search import search_memories
from tests.doubles.mem0_platform import PlatformDouble, platform_in_use
from whatsbot.integrations import mem0

pytestmark = pytest.mark.django_db
NUMBER = "+12025550123"
CHAT = """\
31/12/2023, 23:57 - Messages and calls are end-to-end encrypted. No one outside of this chat can read them.
31/12/2023, 23:58 - Ana: The landlord wants 800 from March
31/12/2023, 23:58 - Bob: <Media omitted>
31/12/2023, 23:59 - Bob: That is
too much
31/12/2023, 23:59 - Ana: ok
31/12/2023, 23:59 - Ana: ok
"""
LATER = CHAT + "01/01/2024, 08:00 - Bob: The dentist is on Friday\n"
MIDNIGHT = datetime(2023, 12, 31, 23, tzinfo=UTC)  # in Berlin
MINUTE, MILLISECOND = timedelta(minutes=1), timedelta(milliseconds=1)


class Terminal(io.StringIO):
    """Somebody who answers, or watches."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def double(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlatformDouble]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with platform_in_use(settings) as running:
        yield running


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the command waited, without the waiting."""
    waited: list[float] = []
    monkeypatch.setattr(import_chat.time, "sleep", waited.append)
    return waited


@pytest.fixture
def ana(double: PlatformDouble) -> WhatsAppUser:
    return WhatsAppUser.objects.create(
        whatsapp_id=f"whatsapp:{NUMBER}",
        phone_number=NUMBER,
        timezone="Europe/Berlin",
        timezone_source="chosen",
    )


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., str]:
    """Write a chat to a file and return its path."""

    def write(text: str | bytes = CHAT, *, name: str = "WhatsApp Chat with Bob.txt") -> str:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


def run(file: str, *arguments: str, number: str = NUMBER) -> str:
    said = io.StringIO()
    call_command("import_chat", file, "--number", number, *arguments, stdout=said)
    return said.getvalue()


def stored() -> list[tuple[str, datetime]]:
    return list(Memory.objects.order_by("happened_at").values_list("text", "happened_at"))


ALL = [
    ("Ana: The landlord wants 800 from March", MIDNIGHT - 2 * MINUTE),
    ("Bob: That is\ntoo much", MIDNIGHT - MINUTE),
    ("Ana: ok", MIDNIGHT - MINUTE + MILLISECOND),
    ("Ana: ok", MIDNIGHT - MINUTE + 2 * MILLISECOND),
]


def test_a_chat_becomes_memories_with_their_original_times(
    ana: WhatsAppUser, double: PlatformDouble, export: Callable[..., str]
) -> None:
    said = run(export(), "--yes")
    assert stored() == ALL
    assert set(Memory.objects.values_list("source", "user_id")) == {("import", ana.id)}
    assert {each.text for each in double.memories.values()} == {text for text, _ in ALL}
    assert "Imported 4 messages." in said


def test_the_preview_says_what_would_be_imported_and_changes_nothing(
    ana: WhatsAppUser, double: PlatformDouble, export: Callable[..., str]
) -> None:
    said = run(export(CHAT.replace("too much", "too \x1b[31mmuch " + "really " * 40)), "--dry-run")
    for expected in (
        "times like 31/12/2023, 23:57",
        "Dates      day, month, year: in no other order",
        "Time zone  Europe/Berlin: the person's, chosen",
        "From       Sunday 31 December 2023, 23:58",
        "To         Sunday 31 December 2023, 23:59",
        "Senders    Ana 3, Bob 1",
        "Left out   notices of WhatsApp 1, media without a caption 1",
        "Messages   4: 4 new, 0 imported before",
        "2023-12-31 23:58  Ana: The landlord wants 800 from March",
        "really re…\n",
    ):
        assert expected in said
    assert "\x1b" not in said
    assert (stored(), double.memories) == ([], {})


def test_importing_again_stores_nothing_and_a_later_export_only_what_is_new(
    ana: WhatsAppUser, double: PlatformDouble, export: Callable[..., str]
) -> None:
    run(export(), "--yes")
    assert "There is nothing new to import." in run(export(), "--yes")
    assert "Messages   5: 1 new, 4 imported before" in run(export(LATER), "--yes")
    assert stored() == [*ALL, ("Bob: The dentist is on Friday", datetime(2024, 1, 1, 7, tzinfo=UTC))]
    assert len(double.memories) == 5


def test_a_long_chat_is_looked_at_in_parts(
    ana: WhatsAppUser, export: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_chat, "BATCH", 2)
    run(export(), "--yes")
    assert stored() == ALL
    said = run(export(LATER), "--yes")
    assert "Messages   5: 1 new, 4 imported before" in said
    assert "From       Sunday 31 December 2023, 23:58\n  To         Monday 1 January 2024, 08:00" in said
    assert said.index("wants 800") < said.index("too much")
    assert len(stored()) == 5


def test_another_persons_import_is_their_own(ana: WhatsAppUser, export: Callable[..., str]) -> None:
    run(export(), "--yes")
    assert "4 new, 0 imported before" in run(export(), "--yes", "--create", number="+12025550124")
    assert (
        sorted(Memory.objects.values_list("user__phone_number", flat=True))
        == [NUMBER] * 4 + ["+12025550124"] * 4
    )


def test_only_some_senders_in_an_order_that_the_others_fit_into_later(
    ana: WhatsAppUser, export: Callable[..., str]
) -> None:
    assert "other senders 3" in run(export(), "--yes", "--only", "bob")
    assert stored() == ALL[1:2]
    run(export(), "--yes", "--only", "Ana", "--only", "Bob")
    assert stored() == ALL
    with pytest.raises(CommandError, match="Nobody in this chat is called eva"):
        run(export(), "--yes", "--only", "Eva")


def test_the_phone_may_have_been_in_another_zone(ana: WhatsAppUser, export: Callable[..., str]) -> None:
    said = run(export(), "--yes", "--timezone", "Asia/Kathmandu")
    assert "Time zone  Asia/Kathmandu: as you say" in said
    assert stored()[0][1] == datetime(2023, 12, 31, 18, 13, tzinfo=UTC)
    assert "nothing new" in run(export(), "--yes")
    with pytest.raises(CommandError, match="no time zone 'Berlin'"):
        run(export(), "--timezone", "Berlin")


def test_times_that_the_clocks_skipped_make_the_zone_doubtful(
    ana: WhatsAppUser, export: Callable[..., str]
) -> None:
    text = "26/03/2023, 02:30 - Ana: hi\n"
    assert "1 message at times that its clocks skip" in run(export(text), "--dry-run")
    assert "skip" not in run(export(text), "--dry-run", "--timezone", "Asia/Kathmandu")


def test_an_ambiguous_date_order_is_refused_until_it_is_given(
    ana: WhatsAppUser, export: Callable[..., str]
) -> None:
    file = export("1/4/24, 10:00 - Ana: hi\n")
    with pytest.raises(CommandError, match=r"1 April 2024 \(--date-order dmy\) or 4 January 2024"):
        run(file, "--yes")
    run(file, "--yes", "--date-order", "mdy")
    assert stored() == [("Ana: hi", datetime(2024, 1, 4, 9, tzinfo=UTC))]


@pytest.mark.parametrize(("answer", "imported"), [("y\n", 4), ("YES\n", 4), ("n\n", 0), ("\n", 0), ("", 0)])
def test_on_a_terminal_it_asks(
    ana: WhatsAppUser,
    export: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    imported: int,
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    said = run(export())
    assert f"Import 4 messages for {NUMBER}? [y/N] " in capsys.readouterr().out
    assert len(stored()) == imported
    assert ("Nothing was imported." in said) == (imported == 0)


def test_where_nobody_can_be_asked_it_stops_after_the_preview(
    ana: WhatsAppUser, export: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(CommandError, match="--yes"):
        run(export())
    assert stored() == []


def test_the_bar_is_for_terminals(
    ana: WhatsAppUser, export: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen, file = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    run(export(), "--yes")
    monkeypatch.setattr(sys, "stderr", screen)
    run(export(LATER), "--yes")
    assert file.getvalue() == ""
    assert "1/1" in screen.getvalue()


@pytest.mark.parametrize("spelling", ["+1 (202) 555-0123", f"whatsapp:{NUMBER}"])
def test_the_number_may_be_spelled_as_people_do(
    ana: WhatsAppUser, export: Callable[..., str], spelling: str
) -> None:
    run(export(), "--yes", number=spelling)
    assert len(stored()) == 4


def test_somebody_unknown_is_made_only_if_asked_for_and_only_by_an_import(
    double: PlatformDouble, export: Callable[..., str]
) -> None:
    with pytest.raises(CommandError, match=f"never heard from {NUMBER.replace('+', '.')}.*--create"):
        run(export(), "--yes")
    run(export(), "--create", "--dry-run")
    assert not WhatsAppUser.objects.exists()
    run(export(), "--create", "--yes")
    person = WhatsAppUser.objects.get()
    assert (person.whatsapp_id, person.phone_number) == (f"whatsapp:{NUMBER}", NUMBER)
    assert (person.timezone, person.timezone_source) == ("America/New_York", "inferred")
    assert person.last_inbound_at.year == 1970
    assert stored()[0][1] == datetime(2024, 1, 1, 4, 58, tzinfo=UTC)


@pytest.mark.parametrize("number", ["12", "nobody"])
def test_what_is_no_number_is_refused(
    double: PlatformDouble, export: Callable[..., str], number: str
) -> None:
    with pytest.raises(CommandError, match="Give a number with its country"):
        run(export(), number=number)


def test_a_provider_that_stumbles_is_waited_for(
    ana: WhatsAppUser, double: PlatformDouble, export: Callable[..., str], pauses: list[float]
) -> None:
    double.fail_next("add", kind="error", status=429, retry_after="7")
    double.fail_next("add", kind="drop_after")  # done, but nobody knows
    run(export(), "--yes")
    assert stored() == ALL
    assert len(double.memories) == 4
    assert pauses == [7.0, 2.0]


def test_a_provider_that_is_gone_stops_the_import_and_the_next_one_goes_on_from_there(
    ana: WhatsAppUser,
    double: PlatformDouble,
    export: Callable[..., str],
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, calls = import_chat.store_memory_direct, []

    def fail_after_two(**memory: Any) -> Any:
        calls.append(memory)
        if len(calls) == 3:
            double.fail_next("add", kind="error", status=503, times=import_chat.ATTEMPTS)
        return store(**memory)

    monkeypatch.setattr(import_chat, "store_memory_direct", fail_after_two)
    with pytest.raises(CommandError, match=r"2 of 4 messages imported\. The same command goes on") as stopped:
        run(export(), "--yes")
    assert stopped.value.returncode == 1
    assert "landlord" not in str(stopped.value)
    assert len(pauses) == import_chat.ATTEMPTS - 1
    assert len(stored()) == 2
    assert "2 new, 2 imported before" in run(export(), "--yes")
    assert stored() == ALL
    assert len(double.memories) == 4


def test_a_database_that_refuses_stops_the_import_without_a_word_of_the_message(
    ana: WhatsAppUser, export: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**memory: Any) -> None:
        raise DataError(f"Failing row contains ({memory['text']})")

    monkeypatch.setattr(import_chat, "store_memory_direct", refuse)
    with pytest.raises(CommandError, match="Stopped by DataError: 0 of 4") as stopped:
        run(export(), "--yes")
    assert "landlord" not in str(stopped.value)


def test_ctrl_c_stops_with_the_same_words(
    ana: WhatsAppUser, export: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(**memory: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_chat, "store_memory_direct", interrupt)
    with pytest.raises(CommandError, match="0 of 4 messages imported") as stopped:
        run(export(), "--yes")
    assert stopped.value.returncode == 130


def make_zip(path: Path, members: dict[str, str | bytes], **options: Any) -> str:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)


NOTES = "01/01/2020, 10:00 - Eva: somebody else's"


@pytest.mark.parametrize(
    "members",
    [
        {"_chat.txt": CHAT},
        {"00000001-notes.txt": NOTES, "_chat.txt": CHAT, "00000002-PHOTO.jpg": b"\xff\xd8"},
        {"notes.txt": NOTES, "WhatsApp Chat with Bob.txt": CHAT},
        {"__MACOSX/._Chat de WhatsApp con Bob.txt": b"\0\5", "Bob/Chat de WhatsApp con Bob.txt": CHAT},
        {"IMG-20231231-WA0001.jpg": b"\xff\xd8", "renamed.TXT": CHAT},
    ],
)
def test_of_a_zip_only_the_chat_is_read(ana: WhatsAppUser, tmp_path: Path, members: dict[str, Any]) -> None:
    run(make_zip(tmp_path / "export.zip", members, compression=zipfile.ZIP_DEFLATED), "--yes")
    assert stored() == ALL


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_ends_of_lines_make_no_difference(
    ana: WhatsAppUser, export: Callable[..., str], encoding: str, end: str
) -> None:
    run(export(CHAT.replace("\n", end).encode(encoding)), "--yes")
    assert stored() == ALL


def test_a_text_in_utf_16_may_begin_with_an_invisible_mark(
    ana: WhatsAppUser, export: Callable[..., str]
) -> None:
    text = "\u200e[31/12/2023, 23:58:00] Ana: The landlord wants 800 from March\n"
    run(export(text.encode("utf-16")), "--yes")
    assert stored() == ALL[:1]


def encrypt(archive: str) -> None:
    """Set the flag that says so, in both of the places."""
    content = bytearray(Path(archive).read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flags] |= 1
    Path(archive).write_bytes(content)


def test_files_that_are_no_export_store_nothing(
    ana: WhatsAppUser, export: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_export_files, "LARGEST_TEXT", 10_000)
    encrypted = make_zip(tmp_path / "encrypted.zip", {"_chat.txt": CHAT})
    encrypt(encrypted)
    cut = export(
        Path(make_zip(tmp_path / "whole.zip", {"_chat.txt": CHAT * 9})).read_bytes()[:-90], name="cut.zip"
    )
    bomb = make_zip(tmp_path / "bomb.zip", {"_chat.txt": "0" * 10_001}, compression=zipfile.ZIP_DEFLATED)
    names = (f"{number}.txt" for number in count())
    for content, message in (
        ("", "No line begins"),
        ("Dear diary\n" * 50, "No line begins"),
        (os.urandom(500).replace(b"PK", b""), "no text in UTF-8"),
        (CHAT.encode() + b"\xff", "no text in UTF-8"),
        ("x" * 10_001, "10,001 bytes"),
        (b"PK\3\4 and nothing more", "cannot be read"),
    ):
        with pytest.raises(CommandError, match=message):
            run(export(content, name=next(names)), "--yes")
    for file, message in (
        (str(tmp_path / "nowhere.txt"), "nowhere.txt: It cannot be read: .*No such file"),
        (str(tmp_path), "cannot be read"),
        (bomb, "bomb.zip: Its text has 10,001 bytes"),
        (cut, "cannot be read"),
        (encrypted, "encrypted"),
        (make_zip(tmp_path / "bz2.zip", {"_chat.txt": CHAT}, compression=zipfile.ZIP_BZIP2), "packed as"),
        (make_zip(tmp_path / "photos.zip", {"a.jpg": b"\xff\xd8"}), "No text is in it"),
        (make_zip(tmp_path / "two.zip", {"a.txt": CHAT, "b.txt": CHAT}), "2 texts in it"),
    ):
        with pytest.raises(CommandError, match=message):
            run(file, "--yes")
    assert stored() == []


def test_an_archive_that_lies_about_its_size_gives_no_more_than_it_says(
    ana: WhatsAppUser, tmp_path: Path
) -> None:
    path = make_zip(tmp_path / "liar.zip", {"_chat.txt": CHAT * 200}, compression=zipfile.ZIP_DEFLATED)
    content = bytearray(Path(path).read_bytes())
    size = len((CHAT * 200).encode()).to_bytes(4, "little")
    while size in content:
        content[content.index(size) : content.index(size) + 4] = (500).to_bytes(4, "little")
    Path(path).write_bytes(content)
    with pytest.raises(CommandError, match="cannot be read"):
        run(path, "--yes")
    assert stored() == []


@pytest.mark.django_db(transaction=True)
def test_what_was_imported_is_found_by_who_said_it_and_by_what(export: Callable[..., str]) -> None:
    run(export(LATER), "--yes", "--create")
    person = WhatsAppUser.objects.get()
    try:
        hits = search_memories(user_id=person.id, query="what did Bob say about the dentist").hits
        assert hits[0].memory.text == "Bob: The dentist is on Friday"
        assert hits[0].memory.happened_at == datetime(2024, 1, 1, 13, tzinfo=UTC)
        assert {entry.user_id for entry in mem0.list_entries(user_id=person.id)} == {person.id}
        assert len(list(mem0.list_entries(user_id=person.id))) == 5
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")
