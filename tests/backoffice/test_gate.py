"""Nobody looks at a person without a reason, and everybody's reason is written down."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from accounts.audit import open_person
from accounts.models import AuditEvent, StaffUser, WhatsAppUser
from messaging.erasure import erase_wholly
from tests.backoffice.conftest import REASON, Staff
from tests.media.objects import make_file, send_file
from tests.messaging.made import answer, make_raw, remember

pytestmark = pytest.mark.django_db
NUMBER = "+12025550143"


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody with something of everything."""
    person = WhatsAppUser.objects.create(
        whatsapp_id=f"whatsapp:{NUMBER}", phone_number=NUMBER, profile_name="Ana"
    )
    raw = make_raw(person, "the zanzibar code")
    memory = remember(person, "zanzibar is the code", raw=raw)
    answer(person, "the code?", "It is zanzibar", used=[memory])
    send_file(person, make_file(b"zanzibar"), file_name="zanzibar.pdf")
    return person


def list_pages(person: WhatsAppUser) -> dict[str, str]:
    """The lists, with the page of one row of each."""
    raw, memory = person.raw_messages.earliest("id"), person.memories.get()
    outbound, media = person.outbound_messages.first(), person.media.get()
    assert outbound is not None
    pages = {
        "accounts/whatsappuser": person.pk,
        "messaging/rawmessage": raw.pk,
        "messaging/interaction": outbound.interaction_id,
        "messaging/outboundmessage": outbound.pk,
        "memories/memory": memory.pk,
        "media/messagemedia": media.pk,
        "media/mediafile": media.file_id,
    }
    return {f"/admin/{path}/": f"/admin/{path}/{pk}/change/" for path, pk in pages.items()}


@pytest.mark.parametrize("role", ["support", "root"])
def test_a_page_asks_why_and_opens_for_the_reason(
    role: str, ana: WhatsAppUser, request: pytest.FixtureRequest
) -> None:
    staff: Staff = request.getfixturevalue(role)
    for page in list_pages(ana).values():
        gate = staff.get(page)
        assert (gate.status_code, gate.url.split("?")[0]) == (302, f"/admin/reason/{ana.id}/"), page
        asked = staff.get(gate.url)
        assert "zanzibar" not in asked.content.decode()
    refused = staff.post(gate.url, {"reason": " ", "next": page})
    assert (refused.status_code, AuditEvent.objects.count()) == (422, 0)
    opened = staff.post(gate.url, {"reason": REASON, "next": page})
    assert (opened.status_code, opened.url) == (302, page)
    for page in list_pages(ana).values():
        assert staff.get(page).status_code == 200, page
    event = AuditEvent.objects.get()
    assert (event.action, event.staff_name, event.person_id, event.reason) == ("opened", role, ana.id, REASON)


def test_no_other_spelling_of_an_address_leads_past_the_gate(root: Staff, ana: WhatsAppUser) -> None:
    for page in list_pages(ana).values():
        *_, key, _, _ = page.split("/")
        # Django's admin reads _2B as + and _3A as : (django.contrib.admin.utils.unquote), and +5 is 5.
        spelled = f"_2B{key}" if key.isdigit() else f"urn_3Auuid_3A{key}"
        for way in ("change", "history", "delete"):
            answer = root.get(page.replace(f"/{key}/change/", f"/{spelled}/{way}/"))
            assert "zanzibar" not in answer.content.decode().lower(), (page, way)
            assert answer.status_code in (302, 403, 404), (page, way)


def test_support_sees_numbers_and_texts_in_lists_only_of_those_it_opened(
    support: Staff, ana: WhatsAppUser
) -> None:
    for path in list_pages(ana):
        page = support.read(path)
        assert NUMBER not in page, path
        assert "zanzibar" not in page, path
    assert "+1•••43" in support.read("/admin/accounts/whatsappuser/")
    support.open(ana)
    assert NUMBER in support.read("/admin/accounts/whatsappuser/")
    assert "zanzibar" in support.read("/admin/memories/memory/")


def test_privacy_sees_lists_as_they_are(privacy: Staff, ana: WhatsAppUser) -> None:
    assert NUMBER in privacy.read("/admin/accounts/whatsappuser/")
    assert "the zanzibar code" in privacy.read("/admin/messaging/rawmessage/")


def test_only_who_may_read_everybody_searches_everybodys_words(
    support: Staff, privacy: Staff, ana: WhatsAppUser
) -> None:
    path = "/admin/memories/memory/"
    found = f"{path}{ana.memories.get().pk}/change/"
    assert found in privacy.read(path, {"q": "zanzi"})
    assert found not in support.read(path, {"q": "zanzi"})
    assert found in support.read(path, {"q": "202 555 0143"})


def test_an_operator_sees_what_is_stuck_and_never_what_people_said(
    operator: Staff, ana: WhatsAppUser
) -> None:
    pages = list_pages(ana)
    for path in (
        "/admin/messaging/interaction/",
        "/admin/messaging/outboundmessage/",
        "/admin/messaging/rawmessage/",
    ):
        page = operator.read(path)
        assert "zanzibar" not in page
        assert NUMBER not in page
    for path in ("/admin/memories/memory/", "/admin/media/mediafile/", "/admin/accounts/whatsappuser/"):
        assert operator.get(path).status_code == 403
        assert operator.get(pages[path]).status_code == 403
    assert operator.get(pages["/admin/messaging/outboundmessage/"]).status_code == 403
    assert operator.get(f"/admin/reason/{ana.id}/").status_code == 403


def test_a_reason_lasts_its_time_and_one_login(
    support: Staff, sign_in: Callable[..., Staff], ana: WhatsAppUser, settings: object
) -> None:
    page = f"/admin/accounts/whatsappuser/{ana.id}/change/"
    support.open(ana)
    assert support.get(page).status_code == 200
    assert sign_in("Support", "Operator").get(page).status_code == 302
    settings.REASON_MINUTES = 0  # type: ignore[attr-defined]
    assert support.get(page).status_code == 302


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "\\\\evil.example"]
)
def test_the_gate_leads_nowhere_else(support: Staff, ana: WhatsAppUser, back: str) -> None:
    gone = support.post(f"/admin/reason/{ana.id}/", {"reason": REASON, "next": back})
    assert gone.url == f"/admin/accounts/whatsappuser/{ana.id}/change/"


def test_the_gate_is_for_staff(client: Client, ana: WhatsAppUser) -> None:
    assert "/admin/login/" in client.get(f"/admin/reason/{ana.id}/").url
    client.force_login(StaffUser.objects.create(username="new", is_staff=True))
    assert client.get(f"/admin/reason/{ana.id}/").status_code == 403


def test_what_was_written_down_stays(support: Staff, ana: WhatsAppUser) -> None:
    event = open_person(staff=support.login_of, person_id=ana.id, reason="Ana asked why")
    rows = AuditEvent.objects.filter(id=event.id)
    for change in (
        lambda: rows.update(staff_name="somebody else"),
        lambda: rows.update(reason=""),
        rows.delete,
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    support.login_of.delete()
    erase_wholly(user_id=ana.id, asked_by="a test")
    left = rows.get()
    assert (left.staff_name, left.person_id, left.reason) == ("support", ana.id, "")  # which may speak of her
    with connection.cursor() as cursor, pytest.raises(DatabaseError, match="append-only"):
        cursor.execute("UPDATE accounts_auditevent SET action = 'erased'")
