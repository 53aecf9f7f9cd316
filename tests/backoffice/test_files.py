"""Files in the back-office: seen by those who may, changed by nobody."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import StaffUser
from media.models import MediaFile
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON, make_person

pytestmark = pytest.mark.django_db
FILES, SENDINGS = "/admin/media/mediafile/", "/admin/media/messagemedia/"


@pytest.fixture
def staff(client: Client) -> Client:
    """The browser of somebody who may see files and sendings."""
    person = StaffUser.objects.create(username="sees", is_staff=True)
    person.user_permissions.set(
        Permission.objects.filter(codename__in=["view_mediafile", "view_messagemedia"])
    )
    client.force_login(person)
    return client


def get_page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_the_list_says_of_each_file_what_it_is(staff: Client) -> None:
    ana = make_person()
    picture = make_file(bytes(3000), thumbnail_name="small.jpg")
    for _ in range(3):
        send_file(ana, picture)
    note = make_file(b"note", content_type="audio/ogg", kind="voice note", description_error="Overloaded")
    described = make_file(b"text", kind="text file", described_by="a model", described_at=NOON)
    for file in (note, described):
        send_file(ana, file)
    page = get_page(staff, FILES)
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


def test_files_are_found_by_kind_description_and_the_beginning_of_the_hash(staff: Client) -> None:
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
        page = get_page(staff, FILES + asked)
        assert {file for file in (picture, note) if f"{FILES}{file.id}/change/" in page} == found, asked


def test_a_file_can_be_opened_from_its_page(staff: Client) -> None:
    file = make_file(b"a", facts={"pages": 3}, text="<script>alert(1)</script>")
    send_file(make_person(), file)
    page = get_page(staff, f"{FILES}{file.id}/change/")
    assert f'<a href="/media/files/{file.id}">' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    unfinished = make_file(b"b", stored=False, thumbnail_name="small.jpg")
    assert f"/media/files/{unfinished.id}" not in get_page(staff, f"{FILES}{unfinished.id}/change/")


def test_sendings_say_who_when_what_and_why_not(staff: Client) -> None:
    ana = make_person()
    kept = send_file(ana, make_file(kind="voice note"), file_name="<b>Rent</b>.ogg")
    refused = send_file(ana, refusal="too_big")
    page = get_page(staff, SENDINGS)
    assert "&lt;b&gt;Rent&lt;/b&gt;.ogg" in page
    assert "voice note" in page
    assert "Too Big" in page
    assert ana.whatsapp_id in page
    for media in (kept, refused):
        get_page(staff, f"{SENDINGS}{media.id}/change/")
    assert {"?refusal__exact=too_big", "?file__kind__exact=audio"} <= set(re.findall(r'"(\?[^"]+)"', page))
    only = get_page(staff, f"{SENDINGS}?refusal__exact=too_big")
    assert f"{SENDINGS}{refused.id}/change/" in only
    assert f"{SENDINGS}{kept.id}/change/" not in only


@pytest.mark.parametrize("path", [FILES, SENDINGS])
def test_nobody_adds_changes_or_deletes_here(admin_client: Client, path: str) -> None:
    media = send_file(make_person(), make_file())
    number = media.file_id if path == FILES else media.id
    assert admin_client.get(f"{path}add/").status_code == 403
    assert admin_client.get(f"{path}{number}/delete/").status_code == 403
    assert admin_client.post(f"{path}{number}/change/", {"kind": "audio"}).status_code == 403
    admin_client.post(path, {"action": "delete_selected", "_selected_action": [number], "post": "yes"})
    assert MediaFile.objects.get().kind == "picture"


@pytest.mark.parametrize("path", [FILES, SENDINGS])
def test_staff_without_the_permission_see_nothing(client: Client, path: str) -> None:
    client.force_login(StaffUser.objects.create(username="does not", is_staff=True))
    assert client.get(path).status_code == 403


@pytest.mark.parametrize("path", [FILES, SENDINGS])
def test_more_rows_cost_no_more_queries(staff: Client, path: str) -> None:
    def add(numbers: range) -> None:
        for number in numbers:
            file = make_file(b"%d" % number, thumbnail_name=f"{number}.jpg")
            send_file(make_person(), file, at=NOON + timedelta(days=number))

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            get_page(staff, path)
        return len(queries)

    add(range(2))
    before = count()
    add(range(2, 12))
    assert count() == before
