"""What the page is told of phones and messages."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from messaging.simulator.attachments import describe_media, drops_text, name_media
from messaging.simulator.exchange import Direction, Status, is_typing
from messaging.simulator.models import SimulatedMessage, SimulatedPhone
from messaging.simulator.phones import PHONES
from messaging.simulator.posts import FAULTS, WEBHOOK_UNREACHABLE

PREVIEW_LENGTH = 120


def describe_phones(known: dict[str, SimulatedPhone]) -> list[dict[str, Any]]:
    """The list of phones with what was said last; ``known`` are the rows there are, by address."""
    now = timezone.now()
    described = []
    for phone in PHONES.values():
        row = known.get(phone.address, SimulatedPhone(address=phone.address))
        last = row.last_message
        described.append(
            {
                "key": phone.key,
                "unread": row.unread,
                "typing": is_typing(row, now=now),
                "last": {**_preview(last), "status": last.status, "at": _as_milliseconds(last.created_at)}
                if last
                else None,
            }
        )
    return described


def describe(message: SimulatedMessage) -> dict[str, Any]:
    """One message; select its ``media`` and ``replied_to__media`` with it."""
    media = message.attachment
    return {
        "id": message.id,
        "sid": message.sid,
        "mine": message.direction == Direction.INBOUND,
        "body": message.body,
        "place": message.place,
        "media": describe_media(media) if media else None,
        "fetching": message.is_fetching,
        "drops_text": drops_text(message),
        "quote": {**_preview(message.replied_to), "sid": message.replied_to.sid}
        if message.replied_to
        else None,
        "status": message.status,
        "error": _explain_failure(message),
        "webhook_status": message.webhook_status,
        "deliver_twice": message.deliver_twice,
        "lose_reply": message.lose_reply,
        "created": _as_milliseconds(message.created_at),
        "sent": _as_milliseconds(message.sent_at),
        "delivered": _as_milliseconds(message.delivered_at),
        "read": _as_milliseconds(message.read_at),
    }


def _preview(message: SimulatedMessage) -> dict[str, Any]:
    text = message.body
    if message.place:
        text = message.place["label"] or "Place"
    elif message.attachment and (not text or drops_text(message)):
        text = name_media(message.attachment)
    elif message.media_url and not text:
        text = "File"
    return {"mine": message.direction == Direction.INBOUND, "text": text[:PREVIEW_LENGTH]}


def _explain_failure(message: SimulatedMessage) -> str:
    if message.status != Status.FAILED:
        return ""
    if message.direction == Direction.OUTBOUND:
        return FAULTS.get(message.error_code or 0, "")
    if message.error_code == WEBHOOK_UNREACHABLE:
        return "Nobody answered at the webhook."
    return f"The webhook answered {message.webhook_status}."


def _as_milliseconds(moment: datetime | None) -> int | None:
    return int(moment.timestamp() * 1000) if moment else None
