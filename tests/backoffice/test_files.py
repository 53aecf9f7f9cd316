"""Files in the back-office: seen by those who may, changed by nobody."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import StaffUser
from media.models import MediaFile
from tests.backoffice.conftest import Staff
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON, make_person

pytestmark = pytest.mark.django_db
FILES, SENDINGS = "/admin/media/mediafile/", "/admin/media/messagemedia/"


def test_the_list_says_of_each_file_what_it_is(privacy: Staff) -> None:
    ana = make_person()
    picture = make_file(bytes(3000), thumbnail_name="small.jpg")
    for _ in range(3):
        send_file(ana, picture)
    note = make_file(b"note", content_type="audio/ogg", kind="voice note", description_error="Overloaded")
    described = make_file(b"text", kind="text file", described_by="a model", described_at=NOON)
    for file in (note, described):
        send_file(ana, file)
    page = privacy.read(FILES)
    assert re.findall(r'<img src="(/media/[^"]+)"', page) == [f"/media/files/{picture.id}/thumbnail"]
    for text in (
        "2.9 KB",
        "picture " + picture.file_hash[:12],
        "No: Overloaded",
        "No: not yet",
        "a model",
    ):
        assert text in page
    assert re.search(r'class="field-links[^>]*>\s*3\s*<', page)


def test_files_are_found_by_kind_description_and_the_beginning_of_the_hash(privacy: Staff) -> None:
    ana = make_person()
    picture = make_file(b"a")
    note = make_file(b"b", kind="voice note", described_by="a model", described_at=NOON)
    for file in (picture, note):
        send_file(ana, file)
    for asked, found in (
        ("", {picture, note}),
        ("?kind__exact=picture", {picture}),
        ("?described_at__isempty=1", {picture}),
        ("?described_at__isempty=0", {note}),
        (f"?q={note.file_hash[:10]}", {note}),
        (f"?q={note.file_hash[:10].upper()}", {note}),
        (f"?q={note.file_hash[1:11]}", set()),
    ):
        page = privacy.read(FILES + asked)
        assert {file for file in (picture, note) if f"{FILES}{file.id}/change/" in page} == found, asked


def test_a_file_can_be_opened_from_its_page(privacy: Staff) -> None:
    file = make_file(b"a", facts={"pages": 3}, text="<script>alert(1)</script>")
    ana = make_person()
    send_file(ana, file)
    privacy.open(ana)
    page = privacy.read(f"{FILES}{file.id}/change/")
    assert f'<a href="/media/files/{file.id}">' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    unfinished = make_file(b"b", stored=False, thumbnail_name="small.jpg")
    assert f"/media/files/{unfinished.id}" not in privacy.read(f"{FILES}{unfinished.id}/change/")


def test_sendings_say_who_when_what_and_why_not(privacy: Staff) -> None:
    ana = make_person()
    kept = send_file(ana, make_file(kind="voice note"), file_name="<b>Rent</b>.ogg")
    refused = send_file(ana, refusal="too_big")
    page = privacy.read(SENDINGS)
    assert "&lt;b&gt;Rent&lt;/b&gt;.ogg" in page
    assert "voice note" in page
    assert "Too Big" in page
    assert f"{ana}" in page
    privacy.open(ana)
    for media in (kept, refused):
        privacy.read(f"{SENDINGS}{media.id}/change/")
    assert {"?refusal__exact=too_big", "?file__kind__exact=audio"} <= set(re.findall(r'"(\?[^"]+)"', page))
    only = privacy.read(f"{SENDINGS}?refusal__exact=too_big")
    assert f"{SENDINGS}{refused.id}/change/" in only
    assert f"{SENDINGS}{kept.id}/change/" not in only


@pytest.mark.parametrize("path", [FILES, SENDINGS])
def test_nobody_adds_or_changes_here(root: Staff, path: str) -> None:
    ana = make_person()
    media = send_file(ana, make_file())
    root.open(ana)
    number = media.file_id if path == FILES else media.id
    assert root.get(f"{path}add/").status_code == 403
    assert root.post(f"{path}{number}/change/", {"kind": "audio"}).status_code == 403
    assert MediaFile.objects.get().kind == "picture"


@pytest.mark.parametrize("path", [FILES, SENDINGS])
def test_staff_without_the_permission_see_nothing(client: Client, path: str) -> None:
    client.force_login(StaffUser.objects.create(username="does not", is_staff=True))
    assert client.get(path).status_code == 403


@pytest.mark.parametrize("path", [FILES, SENDINGS])
def test_more_rows_cost_no_more_queries(privacy: Staff, path: str) -> None:
    def add(numbers: range) -> None:
        for number in numbers:
            file = make_file(b"%d" % number, thumbnail_name=f"{number}.jpg")
            send_file(make_person(), file, at=NOON + timedelta(days=number))

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            privacy.read(path)
        return len(queries)

    add(range(2))
    before = count()
    add(range(2, 12))
    assert count() == before
