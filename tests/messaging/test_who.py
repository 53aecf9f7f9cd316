"""``/who``: every access that is on record, in the person's own words and zone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts.audit import Action
from accounts.models import AuditEvent, StaffUser, WhatsAppUser
from messaging.command_who import ANSWERING, NOBODY
from messaging.erasure import erase_person
from messaging.models import Takeover
from tests.memories.sides import NOON, make_person
from tests.messaging.made import command, make_turn

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody in New York, where it is 9:00 on Tuesday 3 June 2025."""
    return make_person()


@pytest.fixture
def sam(db: None) -> StaffUser:
    """Somebody of staff."""
    return StaffUser.objects.create_user("sam.surname", password="correct horse", is_staff=True)


def note(
    person: WhatsAppUser, action: str, staff: StaffUser | None = None, at: datetime = NOON, **fields: Any
) -> None:
    AuditEvent.objects.create(
        action=action,
        person_id=person.id,
        at=at,
        staff_id=staff.pk if staff else None,
        staff_name=staff.username if staff else "whatsbot",
        **fields,
    )


def ask(person: WhatsAppUser) -> list[str]:
    return command(person, "/who").text.splitlines()


def test_nobody_is_said_to_be_nobody(ana: WhatsAppUser, sam: StaffUser) -> None:
    note(make_person(), Action.OPENED, sam, reason="somebody else")
    assert ask(ana) == [NOBODY]


def test_accesses_are_told_newest_first_without_names_of_staff(ana: WhatsAppUser, sam: StaffUser) -> None:
    note(ana, Action.OPENED, sam, NOON - 20 * DAY, reason="You asked about your invoice")
    note(ana, Action.DELETED, sam, NOON - DAY, object_type="memories.memory")
    note(ana, Action.READ, sam, NOON - 8 * HOUR - HOUR, program="CRM")  # 23:00 the day before in New York
    note(ana, Action.TOOK_OVER, sam)
    note(ana, Action.HANDED_BACK, None, NOON + HOUR / 2)
    assert ask(ana) == [
        "• Today, 08:30: I took this conversation back, as nobody of our staff wrote any more",
        "• Today, 08:00: a member of our staff took this conversation over from me",
        "• Yesterday, 23:00: the program “CRM” read what I keep of you",
        "• Yesterday, 08:00: a member of our staff deleted a memory of yours",
        "• On Wednesday 14 May, 08:00: a member of our staff looked at what I keep of you"
        " (“You asked about your invoice”)",
    ]


@pytest.mark.parametrize("action", sorted({*Action} - {Action.LOCKED_OUT}))
def test_every_kind_of_access_has_words(ana: WhatsAppUser, sam: StaffUser, action: str) -> None:
    note(ana, action, sam, object_type="media.messagemedia")
    (line,) = ask(ana)
    assert line.startswith("• Today, 08:00: a member of our staff ")
    assert "something" not in line
    assert "{" not in line
    assert "surname" not in line


def test_what_is_done_again_in_a_day_is_one_line_and_the_oldest_are_counted(
    ana: WhatsAppUser, sam: StaffUser
) -> None:
    for day in range(25):
        for minute in range(3):
            at = NOON - day * DAY - timedelta(minutes=minute)
            note(ana, Action.OPENED, sam, at, reason="A call")
    lines = ask(ana)
    assert len(lines) == 21
    assert lines[0] == (
        "• Today, 08:00: a member of our staff looked at what I keep of you (“A call”), 3 times that day"
    )
    assert lines[-1] == "… and 15 more before."


def test_who_has_the_conversation_now_is_said(ana: WhatsAppUser, sam: StaffUser) -> None:
    Takeover.objects.create(user=ana, staff_id=sam.pk, staff_name="sam.surname")
    assert ask(ana) == [ANSWERING]


def test_who_was_erased_is_somebody_new(ana: WhatsAppUser, sam: StaffUser) -> None:
    note(ana, Action.OPENED, sam, reason="A secret")
    erase_person(user_id=ana.id, raw_message_id=make_turn(ana, "yes").raw_message_id)
    assert ask(WhatsAppUser.objects.get()) == [NOBODY]
    assert list(AuditEvent.objects.values_list("reason", flat=True)) == [""]
