"""Deleting from lists and pages: what goes is said, who may not does not, and the receipt tells how far it is."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEvent, WhatsAppUser
from backoffice.models import Deletion
from media.models import MediaFile, MessageMedia
from memories.models import Memory
from messaging.models import ErasureReceipt, RawMessage
from tests.backoffice.conftest import Staff
from tests.media.objects import make_file, send_file
from tests.messaging.made import answer, make_raw, remember
from tests.rows import dump_database

pytestmark = pytest.mark.django_db
PEOPLE, MEMORIES = "/admin/accounts/whatsappuser/", "/admin/memories/memory/"
MESSAGES, FILES = "/admin/messaging/rawmessage/", "/admin/media/mediafile/"
SENDINGS = "/admin/media/messagemedia/"
DELETIONS = "/admin/backoffice/deletion/"
WORD = "zanzibar"


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.UPLOADS_DIR = tmp_path


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody with a past, all of which has the same word in it."""
    person = WhatsAppUser.objects.create(
        whatsapp_id="whatsapp:+12025550143", phone_number="+12025550143", profile_name="Zanzibar Ana"
    )
    raw = make_raw(person, WORD)
    answer(person, f"{WORD}?", WORD, used=[remember(person, WORD, raw=raw)])
    send_file(person, make_file(WORD.encode(), description=WORD), file_name=WORD)
    return person


@pytest.fixture
def bo() -> WhatsAppUser:
    """Somebody else, who has sent the same file."""
    person = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+4915228817386", phone_number="+4915228817386")
    remember(person, "theirs")
    return person


def select(staff: Staff, path: str, *rows: Any, **fields: str) -> Any:
    """Choose rows of a list to be deleted; the page that asks."""
    chosen = {"action": "delete_selected", "_selected_action": [str(row.pk) for row in rows]}
    return staff.post(path, chosen | fields, follow=True)


def test_erasing_somebody_says_what_goes_and_leaves_nothing_but_receipts(
    privacy: Staff, ana: WhatsAppUser, bo: WhatsAppUser, run_jobs: Callable[[], int]
) -> None:
    path = f"{PEOPLE}{ana.id}/delete/"
    assert "/admin/reason/" in privacy.get(path).url
    privacy.open(ana)
    page = privacy.read(path)
    for said in ("Zanzibar Ana (+12025550143)", "1 memory", "3 texts of messages", "1 entry in Mem0"):
        assert said in page
    done = privacy.post(path, {"post": "yes"}, follow=True).content.decode()
    receipt, deletion = ErasureReceipt.objects.get(), Deletion.objects.get()
    assert f"/admin/messaging/erasurereceipt/{receipt.id}/change/" in done
    assert (receipt.asked_by, receipt.erased["messages"]) == ("login privacy", 3)
    left = dump_database()
    assert "anzibar" not in left
    assert "2025550143" not in left
    assert "theirs" in left
    events = AuditEvent.objects.filter(person_id=ana.id)
    assert [(event.action, event.reason) for event in events.order_by("id")] == [
        ("opened", ""),
        ("erased", ""),
    ]
    run_jobs()
    assert "Nothing is left" in privacy.read(f"{DELETIONS}{deletion.id}/change/")


def test_a_selection_is_shown_confirmed_and_followed_to_its_receipt(
    privacy: Staff, ana: WhatsAppUser, bo: WhatsAppUser, run_jobs: Callable[[], int]
) -> None:
    rows = [ana, bo]
    asked = select(privacy, PEOPLE, *rows)
    page = asked.content.decode()
    assert "Delete 2 people?" in page
    assert "2 memories" in page
    deletion = Deletion.objects.get()
    assert (deletion.ids, deletion.requested_at) == ([ana.id, bo.id], None)
    assert privacy.get(f"{DELETIONS}{deletion.id}/change/").status_code == 302, "nobody has confirmed it"
    receipt = privacy.post(asked.redirect_chain[-1][0], follow=True)
    assert "Waiting for a worker" in receipt.content.decode()
    assert "0 of 2" in receipt.content.decode()
    progress = f"{DELETIONS}{deletion.id}/progress/"
    assert privacy.get(progress).json() == {"done": 0, "total": 2, "state": "Waiting for a worker"}
    run_jobs()
    assert privacy.get(progress).json() == {"done": 2, "total": 2, "state": "Nothing is left"}
    assert WhatsAppUser.objects.count() == 0
    page = privacy.read(f"{DELETIONS}{deletion.id}/change/")
    assert all(said in page for said in ("2 people", "2 memories", "Nothing is left"))
    assert f"{DELETIONS}{deletion.id}/change/" in privacy.read(DELETIONS)


def test_all_that_match_are_chosen_as_they_were_when_it_was_asked(privacy: Staff, ana: WhatsAppUser) -> None:
    for number in range(60):
        remember(ana, f"note {number}", source="api")
    asked = select(privacy, MEMORIES, ana.memories.earliest("id"), select_across="1")
    assert "Delete 61 memories?" in asked.content.decode()
    assert "and 41 more" in asked.content.decode()
    later = remember(ana, "said since", source="api")
    privacy.post(asked.redirect_chain[-1][0])
    deletion = Deletion.objects.get()
    assert deletion.total == 61
    assert later.id not in deletion.ids


@pytest.mark.parametrize("path", [MEMORIES, MESSAGES, SENDINGS, FILES])
def test_one_thing_goes_from_its_page_with_a_reason(support: Staff, ana: WhatsAppUser, path: str) -> None:
    row: Any = {
        MEMORIES: Memory.objects.get,
        MESSAGES: lambda: RawMessage.objects.get(memories__isnull=False),
        SENDINGS: MessageMedia.objects.get,
        FILES: MediaFile.objects.get,
    }[path]()
    address = f"{path}{row.pk}/delete/"
    assert "/admin/reason/" in support.post(address, {"post": "yes"}).url
    support.open(ana)
    assert "delete/" in support.read(f"{path}{row.pk}/change/")
    page = support.read(address)
    assert (WORD in page) == (path != FILES)
    assert "Nothing more" not in page
    done = support.post(address, {"post": "yes"}, follow=True)
    deletion = Deletion.objects.get()
    assert done.redirect_chain[-1][0] == f"{DELETIONS}{deletion.id}/change/"
    assert (deletion.done, deletion.asked_by) == (1, "support")
    assert AuditEvent.objects.filter(action="deleted", person_id=ana.id).count() == 1
    if path in (MEMORIES, MESSAGES):
        assert not Memory.objects.exists()
    else:
        assert not MediaFile.objects.exists()


def test_what_somebody_else_has_sent_too_is_not_announced_and_stays(
    support: Staff, ana: WhatsAppUser, bo: WhatsAppUser, run_jobs: Callable[[], int]
) -> None:
    link = MessageMedia.objects.get()
    theirs = send_file(bo, link.file)
    support.open(ana)
    assert "object in the file store" not in support.read(f"{SENDINGS}{link.id}/delete/")
    support.post(f"{SENDINGS}{link.id}/delete/", {"post": "yes"})
    run_jobs()
    theirs.refresh_from_db()
    assert theirs.file is not None
    assert default_storage.exists(theirs.file.storage_name)
    assert Deletion.objects.get().confirmed_at is not None


def test_who_may_not_deletes_nothing_and_sees_no_receipt(
    support: Staff, operator: Staff, privacy: Staff, ana: WhatsAppUser
) -> None:
    memory = Memory.objects.get()
    support.open(ana)
    assert "delete_selected" not in support.read(MEMORIES)
    assert support.post(f"{PEOPLE}{ana.id}/delete/", {"post": "yes"}).status_code == 403
    assert operator.post(f"{MESSAGES}{memory.raw_message_id}/delete/", {"post": "yes"}).status_code == 403
    for staff in (support, operator):
        select(staff, MESSAGES, *RawMessage.objects.all())
    assert not Deletion.objects.exists()
    asked = select(privacy, MEMORIES, memory)
    confirm, deletion = asked.redirect_chain[-1][0], Deletion.objects.get()
    assert support.post(confirm).status_code == 404, "somebody else's"
    privacy.post(confirm)
    for path in (f"{DELETIONS}{deletion.id}/change/", f"{DELETIONS}{deletion.id}/progress/"):
        assert (support.get(path).status_code, privacy.get(path).status_code) == (403, 200)
    assert support.get(DELETIONS).status_code == 403
    assert privacy.get(f"{DELETIONS}nothing/change/").status_code == 404
    privacy.login_of.groups.clear()
    privacy.login_of.user_permissions.clear()
    assert privacy.get(confirm).status_code == 403


def test_the_question_asks_the_database_as_often_however_much_is_chosen(
    privacy: Staff, ana: WhatsAppUser
) -> None:
    counts = []
    for number in (2, 40):
        for each in range(number):
            remember(ana, f"note {number} {each}")
        asked = select(privacy, MESSAGES, *RawMessage.objects.order_by("-id")[:number])
        with CaptureQueriesContext(connection) as queries:
            page = privacy.read(asked.redirect_chain[-1][0])
        counts.append(len(queries))
        assert len(re.findall("<li>[^<]*Zanzibar Ana", page)) == min(number, 20)
    assert counts[0] == counts[1]
