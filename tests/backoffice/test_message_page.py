"""The page that explains one message: read for a reason, retried by operators, replayed by support."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent, WhatsAppUser
from backoffice.explaining import say_duration
from messaging.forgetting import redact_messages
from messaging.models import DeliveryEvent, OutboundMessage, RawMessage
from tests.backoffice.conftest import REASON, Staff
from tests.media.objects import make_file
from tests.messaging.made import answer, make_turn, remember

pytestmark = pytest.mark.django_db
NUMBER = "+12025550143"


@pytest.fixture
def ana() -> WhatsAppUser:
    return WhatsAppUser.objects.create(
        whatsapp_id=f"whatsapp:{NUMBER}", phone_number=NUMBER, profile_name="Ana", timezone_source="chosen"
    )


@pytest.fixture
def raw(ana: WhatsAppUser) -> RawMessage:
    """A question about zanzibar whose answer could not be delivered."""
    memory = remember(ana, "zanzibar is the <b>code</b>")
    made = answer(ana, "the zanzibar code?", "It is zanzibar", used=[memory])
    made.transcript = [
        {"model": {"ending": "WHOLE", "reason": "STOP", "tokens": [812, 23]}},
        {"tool": {"name": "search_memories", "args": {"query": "zanzibar code"}, "outcome": {"found": []}}},
    ]
    made.model, made.input_tokens, made.output_tokens = "a-model", 812, 23
    made.save()
    part = OutboundMessage.objects.get()
    OutboundMessage.objects.update(status="failed", error_code=63024)
    DeliveryEvent.objects.create(
        twilio_sid=part.twilio_sid, status="undelivered", error_code=63024, outbound_message=part
    )
    return made.raw_message


def page_of(raw: RawMessage) -> str:
    return f"/admin/messaging/rawmessage/{raw.id}/change/"


def post(staff: Staff, raw: RawMessage, what: str, **data: str) -> Any:
    return staff.post(f"/admin/messaging/rawmessage/{raw.id}/{what}/", data, follow=True)


def test_support_reads_for_a_reason_what_became_of_a_message_and_why(
    support: Staff, ana: WhatsAppUser, raw: RawMessage
) -> None:
    assert f"/admin/reason/{ana.id}/" in support.get(page_of(raw)).url
    support.open(ana)
    page = support.read(page_of(raw))
    for text in (
        "<title> Message of Ana, ",
        "the zanzibar code?",
        "It is zanzibar",
        "zanzibar is the &lt;b&gt;code&lt;/b&gt;",
        "score 1.00",
        "a-model",
        "812 in, 23 out",
        "search_memories",
        "&quot;query&quot;: &quot;zanzibar code&quot;",
        "63024: WhatsApp does not know the recipient.",
        "undelivered",
        "Your role may not retry.",
        "&quot;MessageSid&quot;",
    ):
        assert text in page, text
    assert "<b>code" not in page
    assert support.post(f"/admin/messaging/rawmessage/{raw.id}/retry/").status_code == 403
    assert AuditEvent.objects.exclude(action="opened").count() == 0
    assert "It would be answered" in post(support, raw, "replay").content.decode()


def test_operators_see_the_stages_and_no_texts_and_retry(operator: Staff, raw: RawMessage) -> None:
    page = operator.read(page_of(raw))
    assert "zanzibar" not in page.lower()
    assert NUMBER not in page
    assert NUMBER[2:] not in page
    for text in ("63024: WhatsApp does not know", "search_memories", "Texts are hidden", "Send again"):
        assert text in page, text
    done = post(operator, raw, "retry", stage="delivered")
    assert done.redirect_chain == [(page_of(raw), 302)]
    assert "A worker does it now" in done.content.decode()
    again = post(operator, raw, "retry", stage="delivered")
    assert "Nothing was retried. It is being worked on already." in again.content.decode()
    assert ProcrastinateJob.objects.get().task_name == "messaging.send_again"
    event = AuditEvent.objects.get()
    assert (event.action, event.staff_name, event.detail["stage"]) == ("retried", "operator", "delivered")
    assert post(operator, raw, "replay").status_code == 403


def test_a_replay_shows_the_difference_and_is_written_down(
    root: Staff, ana: WhatsAppUser, raw: RawMessage
) -> None:
    assert f"/admin/reason/{ana.id}/" in post(root, raw, "replay").redirect_chain[0][0]
    assert not AuditEvent.objects.exists()
    root.open(ana)
    replayed = post(root, raw, "replay")
    page = " ".join(replayed.content.decode().split())
    assert replayed.status_code == 200
    assert "It would be answered otherwise" in page
    assert '<del><span class="bo-unseen">removed: </span>It ' in page
    assert '<ins><span class="bo-unseen">added: </span>' in page
    event = AuditEvent.objects.get(action="replayed")
    assert (event.staff_name, event.person_id, event.object_id) == ("root", ana.id, str(raw.id))
    command = answer(ana, "/stop", "x", kind="command").raw_message
    assert "It cannot be replayed. A command that changes something" in (
        post(root, command, "replay").content.decode()
    )
    assert root.get(f"/admin/messaging/rawmessage/{raw.id}/replay/").url == page_of(raw)
    assert root.get(f"/admin/messaging/rawmessage/{raw.id}/retry/").url == page_of(raw)


def test_a_reason_that_has_run_out_leads_back_to_the_message(
    root: Staff, ana: WhatsAppUser, raw: RawMessage
) -> None:
    gate = root.post(f"/admin/messaging/rawmessage/{raw.id}/replay/")
    back = root.post(
        gate.url.split("?")[0], {"reason": REASON, "next": gate.url.split("next=")[1].replace("%2F", "/")}
    )
    assert root.get(back.url).url == page_of(raw)


def test_what_is_forgotten_is_said_to_be_and_cannot_be_replayed(
    root: Staff, ana: WhatsAppUser, raw: RawMessage
) -> None:
    root.open(ana)
    redact_messages([raw.id])
    page = root.read(page_of(raw))
    assert "What this message said is forgotten" in page
    assert "the zanzibar code?" not in page
    assert 'aria-describedby="why-replay" disabled' in page


def test_what_opens_a_download_is_not_shown(root: Staff, ana: WhatsAppUser) -> None:
    root.open(ana)
    made = answer(ana, "/export", "https://bot.example.com/export/a-secret-key.zip", kind="command")
    page = root.read(page_of(made.raw_message))
    assert "a-secret-key" not in page
    assert "/export/•••.zip" in page


@pytest.mark.parametrize("number", ["0", "x", "9" * 30, "1/../2"])
def test_a_message_that_is_not_there_is_not_found(root: Staff, number: str) -> None:
    for what in ("change", "retry", "replay"):
        assert root.get(f"/admin/messaging/rawmessage/{number}/{what}/").status_code == 404


def test_a_long_way_costs_no_more_statements_than_a_short_one(root: Staff, ana: WhatsAppUser) -> None:
    root.open(ana)

    def count(raw: RawMessage) -> int:
        root.read(page_of(raw))  # what is looked up once and kept
        with CaptureQueriesContext(connection) as queries:
            root.read(page_of(raw))
        return len(queries)

    short = answer(ana, used=[remember(ana)]).raw_message
    used = [remember(ana, f"thing {number}") for number in range(5)]
    make_turn(ana, *("one of many" for _ in range(5)))
    long = RawMessage.objects.latest("id")
    RawMessage.objects.filter(id=long.id).update(turn=None)
    long.interaction.delete()
    made = answer(ana, raw=long, used=used, parts=5)
    RawMessage.objects.filter(user=ana, body="one of many").update(turn=made)
    for position in range(3):
        long.media.create(
            user=ana, position=position, file=make_file(b"%d" % position), sent_at=timezone.now()
        )
    assert count(long) == count(short)


def test_durations_are_short_to_read() -> None:
    said = [say_duration(timedelta(seconds=seconds)) for seconds in (0.04, 3.21, 125, 3780)]
    assert said == ["0.04 s", "3.2 s", "2 min 5 s", "1 h 3 min"]
