"""The page of a conversation: behind the gate, readable like the chat, and where staff write in the bot's place."""

import re
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.audit import open_person
from accounts.models import AuditEvent, StaffUser, WhatsAppUser
from media.models import MediaFile
from messaging.delivery import FREE_TEXT_WINDOW
from messaging.forgetting import redact
from messaging.models import OutboundMessage, RawMessage, Takeover
from messaging.takeover import take_over
from tests.backoffice.talks import make_everything
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON
from tests.messaging.made import MINUTE, answer, make_raw, remember

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> WhatsAppUser:
    return WhatsAppUser.objects.create(
        whatsapp_id="whatsapp:+12025550143",
        phone_number="+12025550143",
        profile_name="Ana",
        timezone="America/New_York",
    )


def make_staff(name: str = "eve", *, role: str = "Support") -> StaffUser:
    staff = StaffUser.objects.create_user(name, password="a password for tests", is_staff=True)
    staff.groups.add(Group.objects.get(name=role))
    return staff


@pytest.fixture
def eve(ana: WhatsAppUser) -> StaffUser:
    """Support, who has said why she looks."""
    staff = make_staff()
    open_person(staff=staff, person_id=ana.id, reason="she asked us to")
    return staff


@pytest.fixture
def browser(client: Client, eve: StaffUser) -> Client:
    client.force_login(eve)
    return client


def get_address(person: WhatsAppUser, way: str = "") -> str:
    return f"/admin/accounts/whatsappuser/{person.id}/conversation/{way}"


def read(response: Any) -> str:
    """A page's text in one line."""
    return " ".join(response.content.decode().split())


def test_nobody_reads_a_conversation_without_the_right_and_a_reason(
    client: Client, ana: WhatsAppUser
) -> None:
    make_raw(ana, "secret")
    assert client.get(get_address(ana)).status_code == 302  # to the login
    client.force_login(make_staff("oz", role="Operator"))
    assert client.get(get_address(ana)).status_code == 403
    client.force_login(make_staff("eve"))
    response = client.get(get_address(ana))
    assert response["Location"].startswith(f"/admin/reason/{ana.id}/")
    assert client.get(get_address(ana, "newest/")).status_code == 403
    assert client.get(f"/admin/accounts/whatsappuser/{ana.id + 1}/conversation/").status_code == 404


def test_a_conversation_reads_like_the_chat(browser: Client, ana: WhatsAppUser) -> None:
    raw = make_raw(ana, "The gate code is 4711", at=datetime.fromisoformat("2026-05-03T02:30:00+00:00"))
    memory = remember(ana, raw=raw)
    answer(ana, raw=raw, text="Noted <b>", kind="saved", used=[memory], status="read", at=raw.received_at)
    OutboundMessage.objects.update(created_at=raw.received_at)
    make_raw(ana, "And the address?", at=raw.received_at + timedelta(hours=3))
    response = browser.get(get_address(ana))
    page = read(response)
    assert "<title> Conversation with Ana" in page
    assert "Saturday, 2 May 2026" in page  # on her clocks
    assert "Sunday, 3 May 2026" in page
    assert 'title="2026-05-03 02:30:00 UTC">22:30</time>' in page
    assert page.index("The gate code") < page.index("Noted &lt;b&gt; (1)") < page.index("And the address?")
    assert f'href="/admin/messaging/rawmessage/{raw.id}/change/"' in page
    assert f'href="/admin/memories/memory/{memory.id}/change/">#1</a> saved:' in page
    assert "rank 1, score 1.000" in page
    assert '<span aria-hidden="true">✓✓</span> read' in page
    assert "waiting for an answer" in page
    assert "no-store" in response["Cache-Control"]
    assert AuditEvent.objects.count() == 1  # the reason


def test_everything_a_message_may_have_is_shown(
    browser: Client, ana: WhatsAppUser, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    raw = make_raw(ana, "Our flat", NumMedia="4", Forwarded="true", MediaContentType3="image/heic")
    picture = make_file(b"1", thumbnail_name="thumbnail", description="A yellow door")
    voice = make_file(b"2", kind=MediaFile.Kind.VOICE_NOTE, content_type="audio/ogg", text="Call the plumber")
    lease = make_file(b"3", kind=MediaFile.Kind.PDF, content_type="application/pdf", text="The rent is 900")
    send_file(ana, picture, raw=raw)
    send_file(ana, voice, raw=raw, position=1)
    send_file(ana, lease, raw=raw, position=2, file_name="lease<1>.pdf")
    send_file(ana, raw=raw, position=3, refusal="too_big")
    make_raw(ana, "", at=NOON + MINUTE, Latitude="52.5", Longitude="13.4", Label="The office")
    make_raw(ana, "Yes", at=NOON + 2 * MINUTE, ButtonPayload="yes", OriginalRepliedMessageSid=raw.message_sid)
    make_raw(ana, "👍", at=NOON + 3 * MINUTE, MessageType="reaction")
    answer(ana, status="failed")
    OutboundMessage.objects.update(error_code=63016)
    page = read(browser.get(get_address(ana)))
    assert f'src="/media/files/{picture.id}/thumbnail" loading="lazy"' in page
    assert f'<audio controls preload="none" src="/media/files/{voice.id}" aria-label="Voice note">' in page
    shown = (
        "A yellow door",
        "Call the plumber",
        "The rent is 900",
        "lease&lt;1&gt;.pdf",
        "larger than 64 MB",
    )
    assert [text for text in shown if text not in page] == []
    link = 'href="https://www.openstreetmap.org/?mlat=52.5&amp;mlon=13.4" target="_blank" rel="noreferrer noopener"'
    assert link in page
    assert "The office" in page
    for tag in ("forwarded", "tapped a button", "reaction"):
        assert f'<span class="bo-tag">{tag}</span>' in page
    assert f'#in-{raw.id}">Before: <span dir="auto">Our flat' in page
    assert "Failed: 63016: The person last wrote more than 24 hours before" in page


def test_what_was_forgotten_says_so(browser: Client, ana: WhatsAppUser) -> None:
    raw = make_raw(ana, "secret")
    turn = answer(ana, raw=raw, text="secret")
    redact(raw_message_ids=[raw.id], interaction_ids=[turn.id])
    page = read(browser.get(get_address(ana)))
    assert page.count('<p class="bo-forgotten">forgotten</p>') == 2
    assert "secret" not in page


def test_pages_lead_to_each_other_and_strange_addresses_to_the_newest(
    browser: Client, ana: WhatsAppUser
) -> None:
    assert "Nothing was said yet" in read(browser.get(get_address(ana)))
    raws = [make_raw(ana, f"number {number}.", at=NOON + number * MINUTE) for number in range(60)]
    newest = read(browser.get(get_address(ana)))
    assert "number 59." in newest
    assert "number 9." not in newest
    assert 'rel="next"' not in newest
    before = re.search(r'rel="prev" href="(\?before=[^"]+)"', newest)
    assert before
    older = read(browser.get(get_address(ana) + before[1]))
    assert "number 9." in older
    assert "The conversation begins here" in older
    assert "bo-composer" not in older
    after = re.search(r'rel="next" href="(\?after=[^"]+)"', older)
    assert after
    assert "number 10." in read(browser.get(get_address(ana) + after[1]))
    strange = browser.get(get_address(ana), {"before": "x"})
    assert strange.status_code == 400
    assert "number 59." in read(strange)
    day = read(browser.get(get_address(ana), {"day": f"{NOON:%Y-%m-%d}"}))
    assert "number 0." in day
    assert "Nothing was said on that day or later" in read(
        browser.get(get_address(ana), {"day": "2999-01-01"})
    )
    for odd in ("x", "0001-01-01", "9999-12-31"):
        assert browser.get(get_address(ana), {"day": odd}).status_code in (200, 400)
    found = read(browser.get(get_address(ana), {"q": "BER 7."}))
    assert "num<mark>ber 7.</mark>" in found
    link = re.search(r'href="[^"]*(\?around=[^"#]+)#(in-\d+)"', found)
    assert link
    assert link[2] == f"in-{raws[7].id}"
    assert f'id="in-{raws[7].id}"' in read(browser.get(get_address(ana) + link[1]))
    assert "Nothing says “\\ &lt;”" in read(browser.get(get_address(ana), {"q": "\\ <"}))
    assert browser.get(get_address(ana), {"q": "a\0b", "before": "x"}).status_code == 400


def test_a_page_costs_the_same_however_much_is_on_it(browser: Client, ana: WhatsAppUser) -> None:
    counts = []
    for minutes in range(4):
        make_everything(ana, minutes=minutes)
        for way in ("", "newest/", "?q=4711"):
            with CaptureQueriesContext(connection) as statements:
                assert browser.get(get_address(ana, way)).status_code == 200
            counts.append((way, len(statements)))
    assert len(set(counts)) == 3, counts
    assert max(count for _, count in counts) < 25


def test_an_open_page_is_kept_up_to_date_without_a_trace(browser: Client, ana: WhatsAppUser) -> None:
    raw = make_raw(ana, "Are you there?")
    fragment = read(browser.get(get_address(ana, "newest/")))
    assert f'<li id="in-{raw.id}"' in fragment
    assert 'id="bo-composer"' in fragment
    assert "<html" not in fragment
    assert AuditEvent.objects.count() == 1


def test_staff_take_over_write_once_and_hand_back(browser: Client, ana: WhatsAppUser, eve: StaffUser) -> None:
    raw = make_raw(ana, "I want to speak to a person")
    page = read(browser.get(get_address(ana)))
    assert "The bot has the conversation" in page
    assert "The 24-hour window closes at" in page
    page = read(browser.post(get_address(ana, "take-over/"), follow=True))
    assert "You have the conversation" in page
    assert "waiting for staff to answer" in page
    key, seen = (re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in ("key", "seen"))  # type: ignore[index]
    assert seen == str(raw.id)
    form = {"key": key, "seen": seen, "text": "This is Eve.\r\nHow can I help?"}
    for _ in range(2):
        assert browser.post(get_address(ana, "write/"), form).status_code == 302
    sent = OutboundMessage.objects.get()
    assert (sent.body, sent.written_by) == ("This is Eve.\nHow can I help?", "eve")
    page = read(browser.get(get_address(ana)))
    assert "eve, in the bot's place" in page.replace("&#x27;", "'")
    assert "waiting to be sent" in page
    assert RawMessage.objects.get().status == "answered"
    other = browser.post(get_address(ana, "write/"), form | {"text": "Another text"})
    assert (other.status_code, "Another text</textarea>" in read(other)) == (409, True)
    page = read(browser.post(get_address(ana, "hand-back/"), follow=True))
    assert "The bot has the conversation" in page
    assert not Takeover.objects.exists()
    lost = browser.post(get_address(ana, "write/"), form | {"key": str(uuid.uuid4()), "text": "Too late"})
    assert (lost.status_code, "Too late</textarea>" in read(lost)) == (409, True)
    assert OutboundMessage.objects.count() == 1


def test_what_cannot_be_sent_stays_in_the_form(browser: Client, ana: WhatsAppUser, eve: StaffUser) -> None:
    take_over(staff=eve, user_id=ana.id)
    form = {"key": str(uuid.uuid4()), "seen": "", "text": " "}
    assert browser.post(get_address(ana, "write/"), form).status_code == 422
    assert browser.post(get_address(ana, "write/"), form | {"text": "x" * 6001}).status_code == 422
    assert browser.post(get_address(ana, "write/"), form | {"key": "x"}).status_code == 400
    WhatsAppUser.objects.update(last_inbound_at=timezone.now() - FREE_TEXT_WINDOW)
    refused = browser.post(get_address(ana, "write/"), form | {"text": "Hello again"})
    assert refused.status_code == 409
    page = read(refused)
    assert "Hello again</textarea>" in page
    assert "WhatsApp takes no text from us until this person writes again" in page
    assert re.search(r"<textarea[^>]* disabled>", page)
    WhatsAppUser.objects.update(opted_out_at=timezone.now())
    assert "has opted out and wants to hear nothing" in read(browser.get(get_address(ana)))
    assert not OutboundMessage.objects.exists()


def test_only_who_may_take_over_is_offered_it(client: Client, ana: WhatsAppUser) -> None:
    privacy = make_staff("pia", role="Privacy")
    open_person(staff=privacy, person_id=ana.id, reason="she asked us to")
    client.force_login(privacy)
    assert "Pause the bot" not in read(client.get(get_address(ana)))
    for way in ("take-over/", "write/", "hand-back/"):
        assert client.post(get_address(ana, way)).status_code == 403
        assert client.get(get_address(ana, way)).status_code == 405
    client.force_login(make_staff("eve"))
    response = client.post(get_address(ana, "take-over/"), follow=True)  # without a reason
    assert response.redirect_chain[-1][0].startswith("/admin/reason/")
    assert not Takeover.objects.exists()
