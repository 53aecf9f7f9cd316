"""A person takes over: staff pause the bot for somebody, write in its place, and hand back.

All of it happens under the lock of the person's row: who takes over, writes, hands back or, in the worker, holds a
message waits for the others, and a webhook of this person waits with them, for a moment. So each message is with the
bot or with staff, never with both and never with nobody. What the bot has begun to answer it finishes.

Commands and confirmations are the bot's, whoever has the conversation.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts.audit import Action, record
from accounts.models import StaffUser, WhatsAppUser
from messaging.answers import Turn
from messaging.commands import find_command
from messaging.confirmations import find_confirmed, lapse
from messaging.content import Content, read_content
from messaging.delivery import FREE_TEXT_WINDOW, defer_send, is_within_window
from messaging.inbound import enqueue_message
from messaging.models import OutboundMessage, RawMessage, Takeover
from messaging.parts import split_into_parts
from whatsbot.exceptions import KeyUsedBefore, NothingToSend, NotTakenOver, OptedOut, WindowClosed

Status = RawMessage.Status


def get_takeover(user_id: int) -> Takeover | None:
    """Who of staff has the conversation with this person, or None: the bot."""
    return Takeover.objects.filter(user_id=user_id).first()


def get_window(person: WhatsAppUser) -> datetime:
    """Until when WhatsApp takes a text for this person, which may be over; each message of theirs opens it anew."""
    return person.last_inbound_at + FREE_TEXT_WINDOW


@transaction.atomic
def take_over(*, staff: StaffUser, user_id: int) -> Takeover:
    """Pause the bot for this person, and let this login write instead; from another login, if it has taken over.

    What waits for the bot and has not been begun waits for staff. Safe to repeat. Raises WhatsAppUser.DoesNotExist.
    """
    person = _lock(user_id)
    before = get_takeover(user_id)
    if before is not None and before.staff_id == staff.pk:
        return before
    Takeover.objects.update_or_create(
        user=person,
        defaults={
            "staff_id": staff.pk,
            "staff_name": staff.get_username(),
            "since": Now(),
            "active_at": Now(),
        },
    )
    _hold_waiting(person)
    detail = {} if before is None else {"from_staff_id": before.staff_id}
    record(Action.TOOK_OVER, staff=staff, person_id=user_id, detail=detail)
    return Takeover.objects.get(user=person)


@transaction.atomic
def write(
    *, staff: StaffUser, user_id: int, text: str, key: uuid.UUID, seen_id: int | None = None
) -> list[OutboundMessage]:
    """Send a text to this person in the bot's place, in as many parts as it takes.

    ``key`` is made by the form: what is sent once is not sent again, however often it is submitted; the rows of the
    first time are returned. ``seen_id`` is the newest of the person's messages (RawMessage) the writer has seen: what
    came later is not answered by this. Without it all that waits is answered.

    Raises NothingToSend, KeyUsedBefore, NotTakenOver, OptedOut, WindowClosed, WhatsAppUser.DoesNotExist.
    """
    parts = split_into_parts(text)
    if not parts or "\0" in text:
        raise NothingToSend
    person = _lock(user_id)
    if OutboundMessage.objects.filter(id=key).exists():
        return _find_written(person, parts, key=key, staff_name=staff.get_username())
    takeover = Takeover.objects.filter(user=person, staff_id=staff.pk)
    if not takeover.update(active_at=Now()):
        raise NotTakenOver
    if person.opted_out_at is not None:
        raise OptedOut
    if not is_within_window(person):
        raise WindowClosed
    rows = _queue(person, parts, key=key, staff_name=staff.get_username())
    lapse(user_id=user_id, except_asked_in=None)  # a "yes" is for staff now, not for what the bot had asked
    answered = _mark_answered(person, seen_id=seen_id)
    detail = {"parts": len(rows), "answered": answered}
    record(Action.WROTE, staff=staff, person_id=user_id, subject=rows[0], detail=detail)
    return rows


@transaction.atomic
def hand_back(*, staff: StaffUser, user_id: int) -> int:
    """Let the bot answer this person again, beginning with what nobody has answered; returns how many messages.

    Any login may: the one that took over may be away. Safe to repeat. Raises WhatsAppUser.DoesNotExist.
    """
    person = _lock(user_id)
    if not Takeover.objects.filter(user=person).delete()[0]:
        return 0
    released = _release(person)
    record(Action.HANDED_BACK, staff=staff, person_id=user_id, detail={"messages": released})
    return released


def end_forgotten_takeovers() -> int:
    """Hand back what nobody has written in for `TAKEOVER_HOURS`; returns how many conversations.

    And what is held for nobody, should there ever be such a message.
    """
    patience = timedelta(hours=settings.TAKEOVER_HOURS)
    forgotten = Takeover.objects.filter(active_at__lt=Now() - patience)
    for_nobody = RawMessage.objects.filter(status=Status.HELD, user__takeover=None)
    people = {*forgotten.values_list("user_id", flat=True), *for_nobody.values_list("user_id", flat=True)}
    ended = 0
    for user_id in sorted(people):
        with transaction.atomic():
            person = WhatsAppUser.objects.select_for_update(no_key=True).filter(id=user_id).first()
            if person is None:  # erased meanwhile
                continue
            is_over = bool(forgotten.filter(user=person).delete()[0])  # the login may just have written
            if is_over or not Takeover.objects.filter(user=person).exists():
                released = _release(person)
            if is_over:
                detail = {"messages": released}
                record(Action.HANDED_BACK, staff=None, person_id=user_id, detail=detail)
                ended += 1
    return ended


def is_for_the_bot(turn: Turn) -> bool:
    """Whether it is a command or a confirmation, which the bot carries out even when it is silent otherwise."""
    return bool(find_command(turn) or find_confirmed(turn))


def needs_nobody(raw: RawMessage, content: Content) -> bool:
    """Whether nobody answers it: a reaction, an opt-out (Twilio itself answers those), a message of our own sender."""
    is_our_own = raw.from_address == settings.TWILIO_WHATSAPP_NUMBER
    return bool(content.opt_out) or content.is_reaction or is_our_own


def has_taken_over(raw: RawMessage) -> bool:
    """Whether a member of staff had the conversation when ``raw`` was read, with ``user__takeover``."""
    return hasattr(raw.user, "takeover")


@transaction.atomic
def hold(raw: RawMessage) -> bool:
    """Leave a message, and what waits behind it, to staff. False if the bot has the conversation again."""
    person = _lock(raw.user_id)
    if not Takeover.objects.filter(user=person).exists():
        return False
    _hold_waiting(person)
    return True


def _lock(user_id: int) -> WhatsAppUser:
    """The person's row, until the transaction ends; webhooks of theirs wait. Raises WhatsAppUser.DoesNotExist."""
    return WhatsAppUser.objects.select_for_update(no_key=True).get(id=user_id)


def _hold_waiting(person: WhatsAppUser) -> None:
    """Hold what the bot would think about and has not begun. A worker that is about to begin waits, and finds none."""
    waiting = (
        RawMessage.objects.select_for_update()
        .filter(user=person, status=Status.RECEIVED, turn=None)
        .order_by("id")
    )
    held = [raw.id for raw in waiting if _is_for_staff(raw, person)]
    RawMessage.objects.filter(id__in=held).update(status=Status.HELD)


def _is_for_staff(raw: RawMessage, person: WhatsAppUser) -> bool:
    content = read_content(raw)
    if person.opted_out_at is not None or needs_nobody(raw, content):
        return False
    return not is_for_the_bot(Turn(user=person, contents=(content,)))


def _mark_answered(person: WhatsAppUser, *, seen_id: int | None) -> int:
    """What is held and was seen is answered."""
    _hold_waiting(person)
    held = RawMessage.objects.filter(user=person, status=Status.HELD)
    if seen_id is not None:
        held = held.filter(id__lte=seen_id)
    return held.update(status=Status.ANSWERED)


def _release(person: WhatsAppUser) -> int:
    """Give what is held back to the bot, but for what was forgotten meanwhile."""
    mine = RawMessage.objects.filter(user=person, status=Status.HELD)
    mine.filter(redacted_at__isnull=False).update(status=Status.IGNORED)
    held = list(mine.order_by("id"))
    RawMessage.objects.filter(id__in=[raw.id for raw in held]).update(status=Status.RECEIVED)
    for raw in held:
        enqueue_message(raw)
    return len(held)


def _queue(
    person: WhatsAppUser, parts: list[str], *, key: uuid.UUID, staff_name: str
) -> list[OutboundMessage]:
    """Write the parts and their send jobs, to the address the person wrote from last."""
    last = RawMessage.objects.filter(user=person).order_by("-received_at", "-id").first()
    rows = []
    for number, (id, body) in enumerate(zip(_get_ids(key, parts), parts, strict=True), start=1):
        row = OutboundMessage.objects.create(
            id=id,
            user=person,
            written_by=staff_name,
            part=number,
            to_address=last.from_address if last else person.whatsapp_id,
            from_address=last.to_address if last else settings.TWILIO_WHATSAPP_NUMBER,
            body=body,
        )
        defer_send(row)
        rows.append(row)
    return rows


def _find_written(
    person: WhatsAppUser, parts: list[str], *, key: uuid.UUID, staff_name: str
) -> list[OutboundMessage]:
    """The rows of an earlier time. Raises KeyUsedBefore if that was another text."""
    rows = list(
        OutboundMessage.objects.filter(id__in=_get_ids(key, parts), user=person, written_by=staff_name)
    )
    rows.sort(key=lambda row: row.part)
    if [row.body for row in rows] != parts:
        raise KeyUsedBefore
    return rows


def _get_ids(key: uuid.UUID, parts: list[str]) -> list[uuid.UUID]:
    """The ids of the parts: the key, and others made from it."""
    return [key, *(uuid.uuid5(key, str(number)) for number in range(2, len(parts) + 1))]
