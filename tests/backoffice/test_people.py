"""People in the back-office: found by badly written numbers, named by staff, exported."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEvent, WhatsAppUser
from tests.backoffice.conftest import Staff
from tests.media.objects import make_file, send_file
from tests.messaging.made import answer, make_raw, remember

pytestmark = pytest.mark.django_db
PEOPLE = "/admin/accounts/whatsappuser/"


@pytest.fixture
def ana(settings: Any, tmp_path: Path) -> WhatsAppUser:
    """Somebody with a past, all of which has the same word in it."""
    settings.MEDIA_ROOT = tmp_path
    person = WhatsAppUser.objects.create(
        whatsapp_id="whatsapp:+12025550143", phone_number="+12025550143", profile_name="Zanzibar Ana"
    )
    raw = make_raw(person, "zanzibar")
    answer(person, "zanzibar?", "zanzibar", used=[remember(person, "zanzibar", raw=raw)])
    send_file(person, make_file(b"zanzibar"))
    return person


@pytest.fixture
def bo() -> WhatsAppUser:
    """Somebody else."""
    person = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+4915228817386", phone_number="+4915228817386")
    remember(person, "theirs")
    return person


@pytest.mark.parametrize(
    "written",
    [
        *("+1 (202) 555-0143", "whatsapp:+12025550143", "+1.202.555.0143", "(202) 555 0143", "0202 555-0143"),
        *("555 01 43", "zanzibar", "Ana"),
    ],
)
def test_a_person_is_found_however_the_number_is_written(
    admin_client: Client, ana: WhatsAppUser, bo: WhatsAppUser, written: str
) -> None:
    page = admin_client.get(PEOPLE, {"q": written}).content.decode()
    assert f"{PEOPLE}{ana.id}/change/" in page
    assert f"{PEOPLE}{bo.id}/change/" not in page


def test_staff_set_name_and_time_zone_of_somebody(support: Staff, ana: WhatsAppUser) -> None:
    support.open(ana)
    page = f"{PEOPLE}{ana.id}/change/"
    wrong = support.post(page, {"name": "Ana", "timezone": "Moon/Base"})
    assert "No IANA time zone" in wrong.content.decode()
    support.post(page, {"name": "Ana Q.", "timezone": "Asia/Calcutta", "phone_number": "+12025550199"})
    ana.refresh_from_db()
    assert (ana.name, ana.timezone, ana.timezone_source) == ("Ana Q.", "Asia/Kolkata", "staff")
    assert ana.phone_number == "+12025550143"
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.person_id, event.detail) == (
        "changed",
        ana.id,
        {"fields": ["name", "timezone"]},
    )


def test_an_export_is_for_who_may_for_a_reason_and_written_down(
    support: Staff, privacy: Staff, ana: WhatsAppUser
) -> None:
    path = f"/admin/export/{ana.id}/"
    support.open(ana)
    assert support.post(path).status_code == 403
    assert "/admin/reason/" in privacy.post(path).url
    privacy.open(ana)
    assert privacy.get(path).status_code == 405
    assert path in privacy.read(f"{PEOPLE}{ana.id}/change/")
    with zipfile.ZipFile(io.BytesIO(b"".join(privacy.post(path).streaming_content))) as archive:  # type: ignore[attr-defined]
        assert "zanzibar" in archive.read("memories.json").decode()
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.staff_name, event.person_id) == ("exported", "privacy", ana.id)
