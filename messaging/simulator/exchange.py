"""Every change to a phone and its messages: one lock per phone, one number per change."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from messaging.simulator.attachments import Attachment, store_media
from messaging.simulator.models import SimulatedMessage, SimulatedPhone

Direction = SimulatedMessage.Direction
Status = SimulatedMessage.Status

TYPING_LASTS = timedelta(seconds=25)  # contracts/twilio-whatsapp.md §7
# A status may replace these; anything else came late or twice.
REPLACES = {
    Status.SENT: {Status.QUEUED},
    Status.DELIVERED: {Status.QUEUED, Status.SENT, Status.FAILED},
    Status.READ: {Status.QUEUED, Status.SENT, Status.FAILED, Status.DELIVERED},
    Status.FAILED: {Status.QUEUED, Status.SENT},
}
MOVES = ("status", "change", "error_code", "webhook_status", "sent_at", "delivered_at", "read_at")
TIMESTAMP = {Status.SENT: "sent_at", Status.DELIVERED: "delivered_at", Status.READ: "read_at"}


@contextmanager
def changing(address: str) -> Iterator[SimulatedPhone]:
    """Lock a phone, made at its first use, for a transaction; what the block changed on it is saved."""
    with transaction.atomic():
        SimulatedPhone.objects.bulk_create([SimulatedPhone(address=address)], ignore_conflicts=True)
        phone = SimulatedPhone.objects.select_for_update().get(address=address)
        yield phone
        phone.save()


def _count_change(phone: SimulatedPhone) -> int:
    phone.changes += 1
    return phone.changes


def store_inbound(
    *,
    address: str,
    sid: str,
    body: str,
    place: dict[str, Any] | None,
    replied_to_sid: str,
    deliver_twice: bool,
    lose_reply: bool,
    attachment: Attachment | None = None,
) -> tuple[SimulatedMessage, bool]:
    """Store what a phone sent; safe to repeat. Returns the message and whether it is to be delivered now.

    That is so when it is new, or when an earlier delivery failed and the person tries again.
    """
    with changing(address) as phone:
        message = SimulatedMessage.objects.filter(sid=sid).first()
        if message is not None:
            if message.phone_id != address or message.status != Status.FAILED:
                return message, False
            message.status, message.error_code, message.webhook_status = Status.SENT, None, None
            message.change = _count_change(phone)
            message.save(update_fields=["status", "error_code", "webhook_status", "change"])
            return message, True
        now = timezone.now()
        message = SimulatedMessage.objects.create(
            sid=sid,
            phone=phone,
            change=_count_change(phone),
            direction=Direction.INBOUND,
            from_address=address,
            to_address=settings.TWILIO_WHATSAPP_NUMBER,
            body=body,
            place=place,
            replied_to=SimulatedMessage.objects.filter(phone=phone, sid=replied_to_sid).first(),
            status=Status.SENT,
            deliver_twice=deliver_twice,
            lose_reply=lose_reply,
            created_at=now,
            sent_at=now,
        )
        if attachment is not None:
            store_media(message=message, attachment=attachment)
        phone.last_message = message
        phone.replies_to_lose += lose_reply
        return message, True


def store_outbound(
    *, to: str, from_: str, body: str, status_callback: str, media_url: str = ""
) -> SimulatedMessage:
    """Store what the bot sends to a phone. ``lose_reply`` on the result: the answer is to be lost."""
    with changing(to) as phone:
        message = SimulatedMessage.objects.create(
            sid=f"{'MM' if media_url else 'SM'}{uuid4().hex}",
            phone=phone,
            change=_count_change(phone),
            direction=Direction.OUTBOUND,
            from_address=from_,
            to_address=to,
            body=body,
            status=Status.QUEUED,
            status_callback=status_callback,
            media_url=media_url,
            lose_reply=phone.replies_to_lose > 0,
            created_at=timezone.now(),
        )
        phone.last_message = message
        phone.replies_to_lose -= message.lose_reply
        phone.unread += 1
        phone.typing_until = None
        return message


def store_fetched(*, message_id: int, attachment: Attachment) -> SimulatedMessage:
    """Store what Twilio fetched for a message of the bot's; safe to repeat."""
    address = SimulatedMessage.objects.values_list("phone", flat=True).get(id=message_id)
    with changing(address) as phone:
        message = SimulatedMessage.objects.select_related("media").get(id=message_id)
        if message.attachment is None:
            store_media(message=message, attachment=attachment)
            message.change = _count_change(phone)
            message.save(update_fields=["change"])
        return message


@contextmanager
def moving(*, message_id: int, status: SimulatedMessage.Status) -> Iterator[tuple[SimulatedMessage, bool]]:
    """Move a message to ``status`` unless it is further along; gives the message and whether it moved.

    What the block sets on the message is saved with it, and jobs it defers commit with it.
    """
    address = SimulatedMessage.objects.values_list("phone", flat=True).get(id=message_id)
    with changing(address) as phone:
        message = SimulatedMessage.objects.get(id=message_id)
        moved = message.status in REPLACES[status]
        message.change = _count_change(phone)
        if moved:
            message.status = status
            if status in TIMESTAMP:
                setattr(message, TIMESTAMP[status], timezone.now())
        yield message, moved
        message.save(update_fields=MOVES)


def mark_read_by_bot(*, sid: str) -> bool:
    """The typing indicator for an inbound message: all up to it is read, and dots show until the reply.

    Returns False when there is no such message.
    """
    address = (
        SimulatedMessage.objects.filter(sid=sid, direction=Direction.INBOUND).values_list("phone").first()
    )
    if address is None:
        return False
    with changing(address[0]) as phone:
        last = SimulatedMessage.objects.get(sid=sid)
        now = timezone.now()
        unread = SimulatedMessage.objects.filter(
            phone=phone, direction=Direction.INBOUND, read_at=None, id__lte=last.id
        )
        for message in unread.order_by("id"):
            message.status, message.read_at, message.change = Status.READ, now, _count_change(phone)
            message.save(update_fields=["status", "read_at", "change"])
        phone.typing_until = now + TYPING_LASTS
    return True


@contextmanager
def looking_at(address: str) -> Iterator[list[SimulatedMessage]]:
    """Somebody looks at a chat. Gives the messages that were delivered unseen and can now be reported read.

    Those still on their way are marked too, and reported read once they are delivered.
    """
    with changing(address) as phone:
        unseen = SimulatedMessage.objects.filter(phone=phone, direction=Direction.OUTBOUND, seen_at=None)
        delivered = list(unseen.filter(status=Status.DELIVERED).order_by("id"))
        unseen.update(seen_at=timezone.now())
        phone.unread = 0
        yield delivered


def is_typing(phone: SimulatedPhone, *, now: datetime) -> bool:
    """Whether the bot's typing dots show on a phone."""
    return phone.typing_until is not None and phone.typing_until > now
