"""`/users`: looked at, changed, exported and erased by programs."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import default_storage

from accounts.models import WhatsAppUser
from media.models import MediaFile
from messaging.models import ErasureReceipt
from tests.api.conftest import NUMBER, Ask
from tests.media.objects import make_file, send_file
from tests.messaging.made import answer, make_raw, remember
from tests.rows import dump_database
from whatsbot.integrations import mem0

pytestmark = pytest.mark.django_db
PATH = f"/users/{NUMBER}"


class TestLooking:
    def test_a_person_is_shown_with_what_is_kept_of_them(self, ask: Ask, person: WhatsAppUser) -> None:
        answer(person, used=[remember(person)])
        shown = ask("GET", PATH).json()
        assert (shown["whatsapp_number"], shown["timezone"]) == (NUMBER, "America/New_York")
        assert shown["kept"] == {
            **{"memories": 1, "earlier_texts": 0, "messages": 2, "answers": 1, "files": 0},
        }

    @pytest.mark.parametrize(
        "spelling",
        ["%2B1 (202) 555-0123", "whatsapp:+12025550123", " 12025550123", "(202) 555-0123?country=US"],
    )
    def test_the_number_may_be_spelled_as_people_do(
        self, ask: Ask, person: WhatsAppUser, spelling: str
    ) -> None:
        assert ask("GET", f"/users/{spelling}").json()["whatsapp_number"] == NUMBER

    def test_a_number_that_is_none_is_refused_and_a_stranger_not_found(self, ask: Ask) -> None:
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/export")):
            body = {"json": {}} if method == "PATCH" else {}
            assert ask(method, f"/users/nobody{path}", **body).status_code == 400
            assert ask(method, f"/users/+12025550199{path}", **body).status_code == 404


class TestChanging:
    def test_a_given_name_goes_before_their_own_and_stays(
        self, ask: Ask, person: WhatsAppUser, deliver: Callable[..., Any]
    ) -> None:
        assert (
            ask("PATCH", PATH, json={"name": "Ana from the office"}).json()["name"] == "Ana from the office"
        )
        person.refresh_from_db()
        person.profile_name = "ana*"
        person.save()
        assert str(person) == "Ana from the office"
        assert ask("PATCH", PATH, json={"name": ""}).json()["name"] == ""

    def test_a_time_zone_is_set_by_staff_from_then_on(self, ask: Ask, person: WhatsAppUser) -> None:
        changed = ask("PATCH", PATH, json={"timezone": "asia/calcutta"}).json()
        assert (changed["timezone"], changed["timezone_source"]) == ("Asia/Kolkata", "staff")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("timezone", "Mars/Base"),
            ("timezone", "EST5EDT"),
            ("timezone", "../etc/passwd"),
            ("timezone", ""),
            ("timezone", 3),
            ("name", "x" * 201),
            ("name", "a\0b"),
            ("name", None),
            ("phone_number", "+12025550199"),
        ],
    )
    def test_what_cannot_be_is_refused(self, ask: Ask, person: WhatsAppUser, field: str, value: Any) -> None:
        response = ask("PATCH", PATH, json={field: value})
        assert response.status_code == 422
        assert [*response.json()["errors"]] == [field]


class TestExporting:
    def test_it_is_a_zip_with_everything(self, ask: Ask, person: WhatsAppUser) -> None:
        remember(person, "The gate code is 4711", source="api", metadata={"from": "crm"})
        send_file(person, make_file(b"a picture"))
        response = ask("GET", f"{PATH}/export", Accept="application/zip")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/zip"
        assert "attachment" in response.headers["Content-Disposition"]
        with zipfile.ZipFile(io.BytesIO(b"".join(response))) as archive:
            (memory,) = json.loads(archive.read("memories.json"))
            assert (memory["text"], memory["metadata"]) == ("The gate code is 4711", {"from": "crm"})
            assert any(name.startswith("media/") for name in archive.namelist())


class TestErasing:
    def test_nothing_of_them_is_left_and_the_receipt_says_how_much_there_was(
        self, ask: Ask, person: WhatsAppUser
    ) -> None:
        raw = make_raw(person, "zanzibar")
        memory = remember(person, "zanzibar", raw=raw)
        answer(person, "zanzibar?", "zanzibar", used=[memory])
        stranger = WhatsAppUser.objects.create(
            whatsapp_id="whatsapp:+12025550100", phone_number="+12025550100"
        )
        remember(stranger, "theirs")
        response = ask("DELETE", PATH)
        assert response.status_code == 200, response.content
        receipt = response.json()
        assert receipt["erased"] == {
            **{"memories": 1, "earlier_texts": 0, "messages": 2, "answers": 1, "files": 0}
        }
        left = dump_database()
        assert "zanzibar" not in left
        assert NUMBER not in left
        assert "theirs" in left
        assert ask("GET", PATH).status_code == 404
        assert ask("DELETE", PATH).status_code == 404

    def test_a_receipt_says_who_asked_and_not_for_whom(self, ask: Ask, person: WhatsAppUser) -> None:
        ask("DELETE", PATH)
        row = ErasureReceipt.objects.get()
        assert row.asked_by == "token test of operator"
        assert NUMBER not in str(vars(row))

    def test_a_message_of_theirs_that_waits_for_an_answer_goes_too(
        self,
        ask: Ask,
        person: WhatsAppUser,
        deliver: Callable[..., Any],
        run_jobs: Callable[[], int],
    ) -> None:
        make_raw(person, "still waiting")
        ask("DELETE", PATH)
        run_jobs()
        assert "still waiting" not in dump_database()

    def test_an_unknown_receipt_is_not_found(self, ask: Ask) -> None:
        assert ask("GET", f"/erasures/{uuid.uuid4()}").status_code == 404
        assert ask("GET", "/erasures/1").status_code == 404


@pytest.mark.django_db(transaction=True)
class TestConfirming:
    """The receipt is confirmed when Mem0 and the file store have nothing any more."""

    def test_it_is_confirmed_once_both_are_empty(
        self, ask: Ask, person: WhatsAppUser, run_jobs: Callable[[], int]
    ) -> None:
        ask("POST", "/memories", json={"whatsapp_number": NUMBER, "memory_text": "The gate code is 4711"})
        alone, shared = make_file(b"only mine"), make_file(b"also theirs")
        send_file(person, alone)
        send_file(person, shared)
        stranger = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550100")
        send_file(stranger, shared)
        receipt = ask("DELETE", PATH).json()
        url = f"/erasures/{receipt['receipt']}"
        assert receipt["confirmed_at"] is None
        assert ErasureReceipt.objects.get().objects_to_delete == [alone.storage_name]
        run_jobs()
        assert ask("GET", url).json()["confirmed_at"] >= receipt["erased_at"]
        assert ErasureReceipt.objects.get().objects_to_delete == []
        assert [*mem0.list_entries(user_id=person.id)] == []
        assert not default_storage.exists(alone.storage_name)
        assert default_storage.exists(shared.storage_name)
        assert MediaFile.objects.get().id == shared.id

    def test_while_something_is_left_it_is_not(
        self, ask: Ask, person: WhatsAppUser, run_jobs: Callable[[], int]
    ) -> None:
        from messaging.erasure import confirm_erasure

        send_file(person, make_file(b"mine"))
        ask("DELETE", PATH)
        row = ErasureReceipt.objects.get()
        wait = confirm_erasure(row.id)
        assert wait is not None
        assert 1 <= wait <= 3600
        assert ErasureReceipt.objects.get().confirmed_at is None
        run_jobs()
        assert confirm_erasure(row.id) is None
        assert ErasureReceipt.objects.get().confirmed_at is not None
