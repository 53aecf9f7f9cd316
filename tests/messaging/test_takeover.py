"""Staff answer in the bot's place: each message is answered once, by one of them, and nobody is forgotten."""

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent, StaffUser, WhatsAppUser
from messaging import takeover, turns
from messaging.answers import Answer, Turn
from messaging.conversation import get_contents
from messaging.erasure import erase_person, erase_wholly
from messaging.export import _get_outbound
from messaging.forgetting import FORGOTTEN, redact
from messaging.models import Interaction, OutboundMessage, PendingConfirmation, RawMessage, Takeover
from messaging.takeover import get_window, hand_back, take_over, write
from messaging.tasks import sweep
from tests.conftest import make_payload
from tests.doubles.twilio import TwilioDouble
from tests.messaging.made import command, make_raw, make_turn
from tests.rows import dump_database
from whatsbot.exceptions import (
    CannotWrite,
    KeyUsedBefore,
    NothingToSend,
    NotTakenOver,
    OptedOut,
    WindowClosed,
)

pytestmark = pytest.mark.django_db
ADDRESS = "whatsapp:+12025550123"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WORD = "zanzibar"


@pytest.fixture
def sam(db: None) -> StaffUser:
    """Who takes over."""
    return StaffUser.objects.create_user("sam", password="correct horse", is_staff=True)


@pytest.fixture
def kim(db: None) -> StaffUser:
    """Another login."""
    return StaffUser.objects.create_user("kim", password="correct horse", is_staff=True)


@pytest.fixture
def ana(db: None) -> WhatsAppUser:
    """Somebody who has just written."""
    person = WhatsAppUser.objects.create(
        whatsapp_id=ADDRESS, phone_number="+12025550123", timezone="UTC", timezone_source="chosen"
    )
    person.refresh_from_db()
    return person


@pytest.fixture(autouse=True)
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot that repeats what it is told."""

    def repeat(turn: Turn, interaction: Interaction) -> Answer:
        return Answer(kind=Interaction.Kind.SMALL_TALK, text=f"Bot: {turn.own_words}")

    monkeypatch.setattr(turns, "_ask_assistant", repeat)


@pytest.fixture
def say(
    ana: WhatsAppUser,
    deliver: Callable[..., Any],
    run_jobs: Callable[[], int],
    twilio_double: TwilioDouble,
) -> Callable[..., list[str]]:
    """Send messages, or none, and return what the person gets for it."""

    def say(*texts: str, **fields: str) -> list[str]:
        before = len(twilio_double.messages)
        for text in texts:
            assert deliver(make_payload(text, **fields)).status_code == 200
        run_jobs()
        return [message.body for message in twilio_double.messages[before:]]

    return say


def send(staff: StaffUser, person: WhatsAppUser, text: str = "Hello, Sam here", **fields: Any) -> Any:
    return write(staff=staff, user_id=person.id, text=text, **{"key": uuid.uuid4()} | fields)


def get_statuses() -> list[str]:
    return list(RawMessage.objects.order_by("id").values_list("status", flat=True))


def get_deeds() -> list[tuple[str, str, dict[str, Any]]]:
    return list(AuditEvent.objects.order_by("id").values_list("staff_name", "action", "detail"))


def test_staff_answer_and_the_bot_is_silent_until_it_has_the_conversation_again(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]]
) -> None:
    assert say("Good morning") == ["Bot: Good morning"]
    take_over(staff=sam, user_id=ana.id)
    assert say("I need help", "Is anybody there?") == []
    assert get_statuses() == ["answered", "held", "held"]
    rows = send(sam, ana)
    assert say() == ["Hello, Sam here"]
    assert get_statuses() == ["answered"] * 3
    row = OutboundMessage.objects.get(id=rows[0].id)
    assert (row.status, row.written_by, row.to_address) == ("sent", "sam", ADDRESS)
    assert "sam" in str(row)
    assert say("Thanks!") == []
    assert hand_back(staff=sam, user_id=ana.id) == 1
    assert hand_back(staff=sam, user_id=ana.id) == 0
    assert say() == ["Bot: Thanks!"]
    assert say("And you?") == ["Bot: And you?"]
    assert get_deeds() == [
        ("sam", "took over", {}),
        ("sam", "wrote", {"parts": 1, "answered": 2}),
        ("sam", "handed back", {"messages": 1}),
    ]
    assert set(AuditEvent.objects.values_list("person_id", flat=True)) == {ana.id}


def test_what_waits_when_staff_take_over_is_theirs(
    sam: StaffUser, ana: WhatsAppUser, deliver: Callable[..., Any], say: Callable[..., list[str]]
) -> None:
    deliver(make_payload("Hello?"))
    deliver(make_payload("/tz"))
    take_over(staff=sam, user_id=ana.id)
    assert get_statuses() == ["held", "received"]
    (reply,) = say()
    assert reply.startswith("Your time zone is UTC")
    assert get_statuses() == ["held", "answered"]


def test_commands_confirmations_and_opt_outs_still_work(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]], settings: Any
) -> None:
    settings.BURST_SECONDS = 30.0
    take_over(staff=sam, user_id=ana.id)
    (reply,) = say("hi", "/help", "hm")
    assert reply.startswith("I am your memory")
    assert get_statuses() == ["held", "answered", "held"]
    (question,) = say("/forget everything")
    assert "yes" in question.lower()
    receipt, reply = say("yes", "Who are you?")  # of one burst, but only one of them is for the bot
    assert receipt.startswith("Everything is erased")
    assert reply == "Bot: Who are you?"  # to somebody new
    fresh = WhatsAppUser.objects.get()
    take_over(staff=sam, user_id=fresh.id)
    assert say("STOP", OptOutType="STOP") == []
    assert RawMessage.objects.order_by("id").last().status == "ignored"  # type: ignore[union-attr]
    with pytest.raises(OptedOut):
        send(sam, fresh)


def test_a_yes_to_staff_confirms_nothing_the_bot_had_asked(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]]
) -> None:
    say("/forget everything")
    take_over(staff=sam, user_id=ana.id)
    assert PendingConfirmation.objects.exists()
    send(sam, ana, "May I call you?")
    assert say("yes") == ["May I call you?"]
    assert WhatsAppUser.objects.get() == ana
    assert get_statuses() == ["answered", "held"]


def test_a_form_sent_twice_sends_once_and_another_text_is_refused(
    sam: StaffUser, kim: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]]
) -> None:
    take_over(staff=sam, user_id=ana.id)
    long = "\n\n".join(f"{letter * 1400}." for letter in "abc")
    key = uuid.uuid4()
    rows = send(sam, ana, long, key=key)
    assert rows[0].id == key
    assert [row.id for row in send(sam, ana, long, key=key)] == [row.id for row in rows]
    assert [body[0] for body in say()] == ["a", "b", "c"]
    hand_back(staff=sam, user_id=ana.id)
    assert [row.id for row in send(sam, ana, long, key=key)] == [row.id for row in rows]
    for staff, text in ((sam, "something else"), (sam, long[:2500]), (kim, long)):
        with pytest.raises(KeyUsedBefore):
            send(staff, ana, text, key=key)
    assert say() == []
    assert AuditEvent.objects.filter(action="wrote").count() == 1


def test_only_who_has_the_conversation_writes_and_only_in_time(
    sam: StaffUser, kim: StaffUser, ana: WhatsAppUser
) -> None:
    with pytest.raises(NotTakenOver):
        send(sam, ana)
    take_over(staff=sam, user_id=ana.id)
    with pytest.raises(NotTakenOver):
        send(kim, ana)
    for text in ("", " \n", "a\0b"):
        with pytest.raises(NothingToSend):
            send(sam, ana, text)
    WhatsAppUser.objects.filter(id=ana.id).update(last_inbound_at=timezone.now() - DAY)
    ana.refresh_from_db()
    assert get_window(ana) <= timezone.now()
    with pytest.raises(WindowClosed) as refused:
        send(sam, ana)
    assert isinstance(refused.value, CannotWrite)
    assert not OutboundMessage.objects.exists()
    assert not ProcrastinateJob.objects.exists()


def test_another_login_may_take_it_over(sam: StaffUser, kim: StaffUser, ana: WhatsAppUser) -> None:
    first = take_over(staff=sam, user_id=ana.id)
    assert take_over(staff=sam, user_id=ana.id) == first
    assert take_over(staff=kim, user_id=ana.id).staff_name == "kim"
    with pytest.raises(NotTakenOver):
        send(sam, ana)
    assert send(kim, ana)
    assert get_deeds()[:2] == [("sam", "took over", {}), ("kim", "took over", {"from_staff_id": sam.pk})]
    hand_back(staff=sam, user_id=ana.id)
    assert get_deeds()[-1] == ("sam", "handed back", {"messages": 0})


def test_what_the_writer_has_not_seen_is_not_answered(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]]
) -> None:
    take_over(staff=sam, user_id=ana.id)
    say("What is your name?")
    seen = RawMessage.objects.get()
    say("And who is the boss?")
    send(sam, ana, "Sam", seen_id=seen.id)
    assert get_statuses() == ["answered", "held"]
    hand_back(staff=sam, user_id=ana.id)
    assert say() == ["Sam", "Bot: And who is the boss?"]


def test_what_the_bot_has_begun_it_finishes(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = turns._ask_assistant

    def take_over_meanwhile(turn: Turn, interaction: Interaction) -> Answer:
        take_over(staff=sam, user_id=ana.id)
        return ask(turn, interaction)

    monkeypatch.setattr(turns, "_ask_assistant", take_over_meanwhile)
    assert say("Hello") == ["Bot: Hello"]
    assert say("Still there?") == []


def test_what_it_was_about_to_begin_it_leaves(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    get_pace = turns.limits.get_pace

    def take_over_meanwhile(raw: RawMessage) -> Any:
        take_over(staff=sam, user_id=ana.id)
        return get_pace(raw)

    monkeypatch.setattr(turns.limits, "get_pace", take_over_meanwhile)
    assert say("Hello") == []
    assert get_statuses() == ["held"]


def test_what_it_was_about_to_hold_it_answers_when_the_conversation_comes_back(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = turns.hold

    def hand_back_meanwhile(raw: RawMessage) -> bool:
        hand_back(staff=sam, user_id=ana.id)
        return hold(raw)

    take_over(staff=sam, user_id=ana.id)
    monkeypatch.setattr(turns, "hold", hand_back_meanwhile)
    assert say("Hello") == ["Bot: Hello"]


@pytest.mark.parametrize("step", ["defer_send", "lapse", "record"])
def test_writing_that_is_killed_has_done_nothing(
    sam: StaffUser,
    ana: WhatsAppUser,
    say: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    take_over(staff=sam, user_id=ana.id)
    say("Hello")
    key = uuid.uuid4()
    with monkeypatch.context() as patch:
        patch.setattr(takeover, step, die)
        with pytest.raises(KeyboardInterrupt):
            send(sam, ana, key=key)
    assert (get_statuses(), say()) == (["held"], [])
    send(sam, ana, key=key)
    assert (get_statuses(), say()) == (["answered"], ["Hello, Sam here"])


def test_handing_back_that_is_killed_has_done_nothing(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    take_over(staff=sam, user_id=ana.id)
    say("Hello")
    with monkeypatch.context() as patch:
        patch.setattr(takeover, "record", die)
        with pytest.raises(KeyboardInterrupt):
            hand_back(staff=sam, user_id=ana.id)
    assert (get_statuses(), say()) == (["held"], [])
    hand_back(staff=sam, user_id=ana.id)
    assert say() == ["Bot: Hello"]


def die(*args: Any, **fields: Any) -> None:
    raise KeyboardInterrupt


def test_a_forgotten_conversation_goes_back_to_the_bot(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]]
) -> None:
    take_over(staff=sam, user_id=ana.id)
    Takeover.objects.update(since=F("since") - 13 * HOUR, active_at=F("active_at") - 13 * HOUR)
    send(sam, ana)
    say("Hello")
    sweep(0)
    assert say() == []  # sam has written since
    Takeover.objects.update(active_at=F("active_at") - 12 * HOUR)
    sweep(0)
    assert say() == ["Bot: Hello"]
    assert get_deeds()[-1] == ("whatsbot", "handed back", {"messages": 1})
    sweep(0)
    assert len(get_deeds()) == 3


def test_what_is_held_for_nobody_is_found(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]]
) -> None:
    take_over(staff=sam, user_id=ana.id)
    say("Hello")
    Takeover.objects.all().delete()
    sweep(0)
    assert say() == ["Bot: Hello"]


def test_what_was_forgotten_while_it_was_held_is_not_answered(
    sam: StaffUser, ana: WhatsAppUser, say: Callable[..., list[str]]
) -> None:
    take_over(staff=sam, user_id=ana.id)
    say("Hello")
    redact(raw_message_ids=[RawMessage.objects.get().id], interaction_ids=[])
    assert hand_back(staff=sam, user_id=ana.id) == 0
    assert (say(), get_statuses()) == ([], ["ignored"])


def test_forgetting_a_message_forgets_what_staff_answered(sam: StaffUser, ana: WhatsAppUser) -> None:
    now = timezone.now()
    take_over(staff=sam, user_id=ana.id)
    raw = make_raw(ana, WORD, at=now)
    (before,), (after,), (waiting,) = (send(sam, ana, WORD) for _ in range(3))
    for row, at in ((before, now - HOUR), (after, now + HOUR), (waiting, now)):
        OutboundMessage.objects.filter(id=row.id).update(
            created_at=at, status="pending" if row == waiting else "sent", twilio_sid=f"SM{row.id.hex}"
        )
    assert redact(raw_message_ids=[raw.id], interaction_ids=[]) is not None  # one is still to be sent
    assert get_bodies(before, after, waiting) == [WORD, FORGOTTEN, WORD]
    OutboundMessage.objects.filter(id=waiting.id).update(status="sent")
    assert redact(raw_message_ids=[raw.id], interaction_ids=[]) is None
    assert get_bodies(before, after, waiting) == [WORD, FORGOTTEN, FORGOTTEN]


def get_bodies(*rows: OutboundMessage) -> list[str]:
    return [OutboundMessage.objects.get(id=row.id).body for row in rows]


def test_nothing_of_it_is_left_when_the_person_is_erased(sam: StaffUser, ana: WhatsAppUser) -> None:
    take_over(staff=sam, user_id=ana.id)
    make_raw(ana, WORD, at=timezone.now())
    send(sam, ana, WORD)
    RawMessage.objects.update(status="held")
    receipt = erase_wholly(user_id=ana.id, asked_by="test")
    assert receipt.erased["answers"] == 1
    assert WORD not in dump_database()
    assert not Takeover.objects.exists()


def test_what_waits_for_staff_behind_an_erasure_is_for_the_bot_of_somebody_new(
    sam: StaffUser, ana: WhatsAppUser, run_jobs: Callable[[], int], say: Callable[..., list[str]]
) -> None:
    yes = make_turn(ana, "yes", at=timezone.now())
    make_raw(ana, "I am new", at=timezone.now())
    take_over(staff=sam, user_id=ana.id)
    assert get_statuses() == ["received", "held"]
    erase_person(user_id=ana.id, raw_message_id=yes.raw_message_id)
    assert say() == ["Bot: I am new"]


def test_the_model_is_told_what_staff_wrote_and_what_they_answered(sam: StaffUser, ana: WhatsAppUser) -> None:
    now = timezone.now()
    take_over(staff=sam, user_id=ana.id)
    make_raw(ana, "My invoice is wrong", at=now - 2 * HOUR)
    (row,) = send(sam, ana, "I have corrected it")
    OutboundMessage.objects.filter(id=row.id).update(created_at=now - HOUR, twilio_sid="SM1", status="sent")
    turn = make_turn(ana, "And now?", at=now, OriginalRepliedMessageSid="SM1")
    asked, told, newest = (content["parts"][0]["text"] for content in get_contents(turn))
    assert '"own_words": "My invoice is wrong"' in asked
    assert told.startswith('{"staff": {"sent"')
    assert "I have corrected it" in told
    assert '"from": "staff"' in newest
    assert command(ana, "/why", OriginalRepliedMessageSid="SM1").text.startswith("I can only explain my own")


def test_the_export_has_it(sam: StaffUser, ana: WhatsAppUser) -> None:
    take_over(staff=sam, user_id=ana.id)
    send(sam, ana, "Hello")
    ((_, _, shown),) = _get_outbound(ana, turns.Turn(user=ana, contents=()).zone)
    assert (shown["by"], shown["text"], shown["answers"], shown["used_memories"]) == (
        "staff",
        "Hello",
        None,
        [],
    )


@pytest.mark.django_db(transaction=True)
def test_forms_submitted_at_the_same_time_send_once(sam: StaffUser, ana: WhatsAppUser) -> None:
    take_over(staff=sam, user_id=ana.id)
    key = uuid.uuid4()
    found: list[uuid.UUID] = []

    def submit() -> None:
        try:
            found.extend(row.id for row in send(sam, ana, key=key))
        finally:
            connection.close()

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [key] * 4
    assert ProcrastinateJob.objects.filter(task_name="messaging.send_message").count() == 1
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")
