"""Files go out by signed links and to staff who may see them, and nothing that goes out is run."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core import signing
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.audit import open_person
from accounts.models import StaffUser, WhatsAppUser
from media import serving
from media.models import MediaFile, MessageMedia
from media.serving import get_file_name, make_media_link
from tests.media.objects import make_file, send_bytes, send_file
from tests.memories.sides import make_person
from whatsbot import database

pytestmark = pytest.mark.django_db
DATA = bytes(range(256)) * 4
HOUR = timedelta(hours=1)
SAFE = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody in New York."""
    return make_person()


def get_path(media: MessageMedia, **options: Any) -> str:
    link = make_media_link(media, now=timezone.now(), **options)
    assert link.startswith("https://bot.example.com/media/")
    return link.removeprefix("https://bot.example.com")


def read(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


class TestLinks:
    """What anybody gets who has the link, and nobody else."""

    def test_twilio_gets_the_file_as_it_is(self, ana: WhatsAppUser, client: Client) -> None:
        media = send_bytes(ana, DATA, content_type="audio/ogg", kind=MediaFile.Kind.VOICE_NOTE)
        response = client.get(get_path(media))
        assert response.status_code == 200
        assert read(response) == DATA
        assert response["Content-Type"] == "audio/ogg"
        assert response["Content-Length"] == str(len(DATA))
        assert response["Content-Disposition"] == 'inline; filename="voice-note.ogg"'
        assert response["Accept-Ranges"] == "bytes"
        assert {name: response[name] for name in SAFE} == SAFE
        assert not response.cookies
        assert "Vary" not in response

    def test_twilio_may_ask_with_head_first(self, ana: WhatsAppUser, client: Client) -> None:
        path = get_path(send_bytes(ana, DATA))
        got, asked = client.get(path), client.head(path, headers={"Range": "bytes=0-1"})
        assert (asked.status_code, asked.content) == (200, b"")
        assert dict(asked.items()) == dict(got.items())
        assert read(got) == DATA

    def test_other_methods_are_refused(self, ana: WhatsAppUser, client: Client) -> None:
        path = get_path(send_bytes(ana))
        assert [client.generic(method, path).status_code for method in ("POST", "PUT", "DELETE")] == [405] * 3

    def test_it_works_for_a_day(self, ana: WhatsAppUser, client: Client) -> None:
        made = timezone.now()
        path = get_path(send_bytes(ana))
        with time_machine.travel(made + 23 * HOUR):
            assert client.get(path).status_code == 200
        with time_machine.travel(made + 25 * HOUR):
            gone = client.get(path)
        assert gone.status_code == 410
        assert {name: gone[name] for name in SAFE} == SAFE

    def test_it_may_be_shorter(self, ana: WhatsAppUser, client: Client) -> None:
        path = get_path(send_bytes(ana), valid=timedelta(minutes=5))
        with time_machine.travel(timezone.now() + timedelta(minutes=6)):
            assert client.get(path).status_code == 410

    def test_any_changed_character_makes_it_invalid(self, ana: WhatsAppUser, client: Client) -> None:
        path = get_path(send_bytes(ana, file_name="Rent 2025.jpg"))
        assert client.get(path).status_code == 200
        for at in range(len("/media/"), len(path)):
            for other in {"A", "1", path[at].swapcase()} - {path[at]}:
                changed = path[:at] + other + path[at + 1 :]
                response = client.get(changed)
                assert response.status_code == 404, changed
        assert {name: response[name] for name in SAFE} == SAFE

    @pytest.mark.parametrize(
        "token", ["x", "1.2.3", "1.2.3:x", "%00", "..%2f..", "a:b:c", "٣", "files", "a" * 5000]
    )
    def test_what_is_no_token_is_not_found(self, ana: WhatsAppUser, client: Client, token: str) -> None:
        assert client.get(f"/media/{token}/picture.jpg").status_code == 404

    def test_the_same_claim_signed_for_something_else_is_none(
        self, ana: WhatsAppUser, client: Client
    ) -> None:
        token, name = get_path(send_bytes(ana)).removeprefix("/media/").split("/")
        claim = serving._signer.unsign(token)
        for salt, status in (("media.serving", 200), ("messaging.export", 404)):
            assert client.get(f"/media/{signing.Signer(salt=salt).sign(claim)}/{name}").status_code == status

    def test_it_dies_with_the_sending_and_others_live_on(self, ana: WhatsAppUser, client: Client) -> None:
        media = send_bytes(ana)
        other = send_file(make_person(), media.file)
        mine, theirs = get_path(media), get_path(other)
        assert mine != theirs
        ana.delete()
        assert client.get(mine).status_code == 404
        assert client.get(theirs).status_code == 200
        other.delete()
        assert client.get(theirs).status_code == 404

    def test_it_never_opens_another_file_that_has_got_its_number(
        self, ana: WhatsAppUser, client: Client
    ) -> None:
        media = send_bytes(ana, b"one")
        path, number = get_path(media), media.id
        media.delete()
        send_file(ana, make_file(b"two"), id=number)
        assert client.get(path).status_code == 404

    def test_nothing_is_served_before_it_is_whole(self, ana: WhatsAppUser, client: Client) -> None:
        path = get_path(send_bytes(ana, DATA))
        MediaFile.objects.update(stored_at=None)
        assert client.get(path).status_code == 404

    def test_an_attachment_without_a_file_has_no_link(self, ana: WhatsAppUser) -> None:
        with pytest.raises(ValueError, match="no file"):
            make_media_link(send_file(ana, refusal="too_big"), now=timezone.now())

    def test_a_lost_object_is_not_found_and_logged_by_its_hash(
        self, ana: WhatsAppUser, client: Client, files_folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        media = send_bytes(ana, file_name="secret plans.jpg")
        assert media.file is not None
        (files_folder / media.file.storage_name).unlink()
        path = get_path(media)
        for method in ("GET", "HEAD"):
            assert client.generic(method, path).status_code == 404
        lines = [record.getMessage() for record in caplog.records if record.name == "media.serving"]
        assert lines == [f"The stored object of {media.file.file_hash} is missing"] * 2

    def test_no_connection_is_held_while_the_storage_reads(
        self, ana: WhatsAppUser, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        release, opened = database.release_connection, serving.StoredObject

        class Watched(opened):  # type: ignore[valid-type, misc]
            def __init__(self, name: str) -> None:
                steps.append("open")
                super().__init__(name)

            def close(self) -> None:
                steps.append("close")
                super().close()

        monkeypatch.setattr(serving, "StoredObject", Watched)
        monkeypatch.setattr(database, "release_connection", lambda: (release(), steps.append("release")))
        response = client.get(get_path(send_bytes(ana, DATA)))
        with connection.execute_wrapper(lambda *_: pytest.fail("asked the database while streaming")):
            assert read(response) == DATA
        assert steps == ["release", "open", "close"]

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_the_object_is_closed_even_if_nobody_reads_it(
        self, ana: WhatsAppUser, client: Client, monkeypatch: pytest.MonkeyPatch, method: str
    ) -> None:
        opened: list[Any] = []
        select = serving.default_storage.open
        monkeypatch.setattr(
            serving.default_storage._wrapped, "open", lambda *a: opened.append(select(*a)) or opened[-1]
        )
        client.generic(method, get_path(send_bytes(ana, DATA))).close()
        assert [file.closed for file in opened] == [True]


class TestNames:
    """What a file is called, whatever its sender called it."""

    @pytest.mark.parametrize(
        ("sent_as", "name"),
        [
            ("", "pdf.pdf"),
            ("Rent.pdf", "Rent.pdf"),
            ("Rent 3.2025", "Rent 3.2025.pdf"),
            ("Miete März.PDF", "Miete März.pdf"),
            ("किराया.pdf", "किराया.pdf"),
            ("invoice.pdf.exe", "invoice.pdf"),
            ("page.html", "page.pdf"),
            ("../../etc/passwd", "_.._etc_passwd.pdf"),
            ("..\\..\\boot.ini", "_.._boot.pdf"),
            ("...", "pdf.pdf"),
            (".pdf", "pdf.pdf"),
            ("a\r\nSet-Cookie: x=1", "aSet-Cookie_ x=1.pdf"),
            ('a"; filename="b.exe', "a_; filename=_b.pdf"),
            ("harmless\u202efdp.exe", "harmlessfdp.pdf"),
            ("\x00nul\ufeff.pdf", "nul.pdf"),
            ("a" + "ä" * 249, "a" + "ä" * 59 + ".pdf"),
            ("😀" * 60 + ".pdf", "😀" * 30 + ".pdf"),
        ],
    )
    def test_names_are_made_harmless(
        self, ana: WhatsAppUser, client: Client, sent_as: str, name: str
    ) -> None:
        file = make_file(content_type="application/pdf", kind=MediaFile.Kind.PDF)
        assert get_file_name(file, sent_as=sent_as) == name
        if "\x00" in sent_as:  # PostgreSQL has no such text
            return
        path = get_path(send_file(ana, file, file_name=sent_as))
        assert re.fullmatch(r"/media/[0-9a-f.]+:[\w-]+/[\w.%~-]+", path, re.ASCII)
        assert unquote(path.rpartition("/")[2]) == name
        response = client.get(path)
        assert response.status_code == 200
        assert response["Content-Disposition"].startswith("attachment; filename")
        assert len(response["Content-Disposition"].splitlines()) == 1

    def test_a_foreign_name_is_written_as_rfc_6266_asks(self, ana: WhatsAppUser, client: Client) -> None:
        media = send_bytes(ana, file_name="Müller.jpg")
        wanted = "inline; filename*=utf-8''M%C3%BCller.jpg"
        assert client.get(get_path(media))["Content-Disposition"] == wanted


class TestTypes:
    """Only what cannot run is shown by the browser."""

    @pytest.mark.parametrize(
        ("content_type", "served", "door", "extension"),
        [
            ("image/jpeg", "image/jpeg", "inline", ".jpg"),
            ("image/png", "image/png", "inline", ".png"),
            ("image/webp", "image/webp", "inline", ".webp"),
            ("image/gif", "image/gif", "inline", ".gif"),
            ("audio/ogg", "audio/ogg", "inline", ".ogg"),
            ("video/mp4", "video/mp4", "inline", ".mp4"),
            ("image/tiff", "image/tiff", "attachment", ".tiff"),
            ("application/pdf", "application/pdf", "attachment", ".pdf"),
            ("text/plain", "text/plain", "attachment", ".txt"),
            ("text/vcard", "text/vcard", "attachment", ".vcf"),
            ("text/html", "application/octet-stream", "attachment", ".bin"),
            ("image/svg+xml", "application/octet-stream", "attachment", ".bin"),
            ("application/xhtml+xml", "application/octet-stream", "attachment", ".bin"),
            ("audio/x\r\nSet-Cookie: a=b", "application/octet-stream", "attachment", ".bin"),
            ("image/jpeg; charset=utf-7", "application/octet-stream", "attachment", ".bin"),
        ],
    )
    def test_type_and_disposition(
        self,
        ana: WhatsAppUser,
        client: Client,
        content_type: str,
        served: str,
        door: str,
        extension: str,
    ) -> None:
        media = send_bytes(ana, b"<script>alert(1)</script>", content_type=content_type, file_name="x.html")
        response = client.get(get_path(media))
        assert response["Content-Type"] == served
        assert response["Content-Disposition"] == f'{door}; filename="x{extension}"'
        assert {name: response[name] for name in SAFE} == SAFE


class TestRanges:
    """Players ask for pieces (RFC 9110 §14)."""

    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=0-1023", 0, 1023),
            ("bytes=100-199", 100, 199),
            ("bytes=1000-", 1000, 1023),
            ("bytes=1000-999999999999999999", 1000, 1023),
            ("bytes=-1", 1023, 1023),
            ("bytes=-100", 924, 1023),
            ("bytes=-5000", 0, 1023),
            ("Bytes= 5-6 ", 5, 6),
        ],
    )
    def test_a_range_is_answered_with_just_that(
        self, ana: WhatsAppUser, client: Client, asked: str, first: int, last: int
    ) -> None:
        response = client.get(get_path(send_bytes(ana, DATA)), headers={"Range": asked})
        assert response.status_code == 206
        assert response["Content-Range"] == f"bytes {first}-{last}/1024"
        assert response["Content-Length"] == str(last - first + 1)
        assert read(response) == DATA[first : last + 1]
        assert {name: response[name] for name in SAFE} == SAFE

    @pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=1024-2000", "bytes=-0"])
    def test_what_the_file_does_not_have_is_416(self, ana: WhatsAppUser, client: Client, asked: str) -> None:
        response = client.get(get_path(send_bytes(ana, DATA)), headers={"Range": asked})
        assert (response.status_code, response["Content-Range"], read(response)) == (
            416,
            "bytes */1024",
            b"",
        )
        assert response["Content-Length"] == "0"

    @pytest.mark.parametrize(
        "headers",
        [
            {"Range": asked}
            for asked in (
                *("bytes=5-4", "bytes=-", "bytes=a-b", "bytes=1", "bytes", "lines=0-1", "", "bytes=0-1,4-5"),
                *("bytes=0x1-2", "bytes=+1-2", "bytes=٣-٤", "bytes=--1", f"bytes={'9' * 5000}-"),
            )
        ]
        + [{"Range": "bytes=0-1", "If-Range": '"abc"'}],
    )
    def test_anything_else_gets_the_whole_file(
        self, ana: WhatsAppUser, client: Client, headers: dict[str, str]
    ) -> None:
        response = client.get(get_path(send_bytes(ana, DATA)), headers=headers)
        assert response.status_code == 200
        assert "Content-Range" not in response
        assert read(response) == DATA

    def test_a_large_file_comes_in_chunks(self, ana: WhatsAppUser, client: Client) -> None:
        data = DATA * 1000
        response = client.get(get_path(send_bytes(ana, data)), headers={"Range": "bytes=1-"})
        chunks = list(response.streaming_content)  # type: ignore[attr-defined]
        assert max(map(len, chunks)) <= serving.CHUNK
        assert b"".join(chunks) == data[1:]


def make_staff(name: str, *, is_staff: bool = True, is_active: bool = True, may: bool = True) -> StaffUser:
    person = StaffUser.objects.create(username=name, is_staff=is_staff, is_active=is_active)
    if may:
        person.user_permissions.add(
            Permission.objects.get(codename="view_mediafile", content_type__app_label="media")
        )
    return person


class TestStaffDoors:
    """The admin's pictures: for those who may see files."""

    @pytest.fixture(params=["", "/thumbnail"])
    def path(self, request: pytest.FixtureRequest, ana: WhatsAppUser) -> str:
        thumbnail = make_file(b"small")
        file = make_file(DATA, content_type="image/png", thumbnail_name=thumbnail.storage_name)
        thumbnail.delete()
        send_file(ana, file, file_name="ana's own name.png")
        return f"/media/files/{file.id}{request.param}"

    def test_staff_with_permission_and_reason_see_it(
        self, path: str, client: Client, ana: WhatsAppUser
    ) -> None:
        login = make_staff("sees")
        client.force_login(login)
        assert client.get(path).status_code == 403
        open_person(staff=login, person_id=ana.id, reason="Asked for the picture")
        response = client.get(path)
        is_small = path.endswith("thumbnail")
        assert (response.status_code, read(response)) == (200, b"small" if is_small else DATA)
        assert response["Content-Type"] == ("image/jpeg" if is_small else "image/png")
        name = "thumbnail.jpg" if is_small else "picture.png"
        assert response["Content-Disposition"] == f'inline; filename="{name}"'
        assert {name: response[name] for name in SAFE} == SAFE
        assert client.head(path).status_code == 200
        assert client.get(path, headers={"Range": "bytes=0-0"}).status_code == 206
        assert client.post(path).status_code == 405

    def test_small_pictures_stand_in_the_lists_of_those_who_read_lists(
        self, path: str, client: Client
    ) -> None:
        login = make_staff("lists")
        login.user_permissions.add(Permission.objects.get(codename="see_personal_data"))
        client.force_login(login)
        assert client.get(path).status_code == (200 if path.endswith("thumbnail") else 403)

    def test_staff_without_it_are_refused(self, path: str, client: Client) -> None:
        client.force_login(make_staff("does not", may=False))
        assert client.get(path).status_code == 403

    @pytest.mark.parametrize("login", [None, {"is_staff": False}, {"is_active": False}])
    def test_others_are_sent_to_the_login(
        self, path: str, client: Client, login: dict[str, bool] | None
    ) -> None:
        if login is not None:
            client.force_login(make_staff("nobody", **login))
        response = client.get(path)
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/?next=")

    def test_what_is_not_there_is_not_found(self, client: Client) -> None:
        client.force_login(make_staff("sees"))
        without = make_file()
        unfinished = make_file(b"other", stored=False)
        for path in (
            *(f"{without.id}/thumbnail", f"{unfinished.id}", f"{unfinished.id}/thumbnail"),
            *(f"{without.id + 1000}", "9" * 40, "-1", "x"),
        ):
            assert client.get(f"/media/files/{path}").status_code == 404, path
