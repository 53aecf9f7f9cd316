"""Conversations with a bit of everything."""

from datetime import timedelta

from accounts.models import WhatsAppUser
from media.models import MediaFile
from memories.changes import update_memory
from messaging.models import DeliveryEvent, OutboundMessage
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON
from tests.messaging.made import MINUTE, answer, make_raw, remember


def make_everything(ana: WhatsAppUser, *, minutes: int) -> None:
    """A message of each kind of thing that belongs to one."""
    at = NOON + minutes * MINUTE
    file = make_file(
        f"{minutes}".encode(), stored=False, stored_at=NOON, kind=MediaFile.Kind.PDF, text="x" * 6000
    )
    raw = make_raw(ana, at=at, NumMedia="2", MediaContentType0="application/pdf", MediaContentType1="x/y")
    send_file(ana, file, raw=raw, at=at, file_name="flat.pdf")
    send_file(ana, raw=raw, at=at, position=1, refusal="type")
    memory = remember(ana, f"The code is {minutes}", raw=raw)
    correcting = make_raw(ana, "No, 4712", at=at + timedelta(seconds=1))
    update_memory(
        user_id=ana.id,
        number=memory.number,
        text=f"4712 {minutes}",
        raw_message_id=correcting.id,
        tool_call="1",
    )
    turn = answer(
        ana, raw=make_raw(ana, "And?", at=at + timedelta(seconds=2)), used=[memory], status="failed"
    )
    part = OutboundMessage.objects.get(interaction=turn)
    OutboundMessage.objects.filter(id=part.id).update(created_at=at + timedelta(seconds=3), error_code=63016)
    DeliveryEvent.objects.create(twilio_sid=part.twilio_sid, status="failed", outbound_message=part)
    make_raw(ana, "Thanks", at=at + timedelta(seconds=4), OriginalRepliedMessageSid=part.twilio_sid or "")
