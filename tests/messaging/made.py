"""People's messages, turns, memories and answers as they stand in the database, without webhook, worker and Mem0."""

import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from accounts.models import WhatsAppUser
from memories.models import Citation, Memory
from memories.store import index_words
from messaging.answers import Answer, Turn
from messaging.commands import find_command
from messaging.content import read_content
from messaging.models import Interaction, OutboundMessage, RawMessage
from tests.memories.sides import NOON
from tests.settings import SENDER

CODE = "The gate code is 4711"
MINUTE = timedelta(minutes=1)


def make_raw(person: WhatsAppUser, text: str = CODE, *, at: datetime = NOON, **fields: str) -> RawMessage:
    """A stored message with the payload Twilio posts."""
    sid = f"SM{secrets.token_hex(16)}"
    return RawMessage.objects.create(
        message_sid=sid,
        user=person,
        from_address=person.whatsapp_id,
        to_address=SENDER,
        body=text,
        payload={"MessageSid": sid, "From": person.whatsapp_id, "Body": text, "NumMedia": "0"} | fields,
        received_at=at,
    )


def make_turn(
    person: WhatsAppUser, *texts: str, at: datetime = NOON + timedelta(hours=1), **fields: str
) -> Turn:
    """A turn that has begun, of one message or several."""
    raws = [make_raw(person, text, at=at, **fields) for text in texts]
    turn = Interaction.objects.create(raw_message=raws[-1], started_at=at)
    for raw in raws:
        raw.turn = turn
        raw.save()
    person.refresh_from_db()
    return Turn(user=person, contents=tuple(read_content(raw) for raw in raws))


def command(person: WhatsAppUser, text: str, **fields: Any) -> Answer:
    """Carry out a command of a turn of its own."""
    found = find_command(make_turn(person, text, **fields))
    assert found is not None, f"{text} is no command"
    return found.run()


def remember(
    person: WhatsAppUser, text: str = CODE, *, raw: RawMessage | None = None, **fields: Any
) -> Memory:
    """A memory without an entry in Mem0."""
    WhatsAppUser.objects.filter(id=person.id).update(memories_numbered=F("memories_numbered") + 1)
    person.refresh_from_db()
    source: dict[str, Any] = {"source": Memory.Source.CHAT, "tool_call": "recall"}
    if "source" in fields:
        source = {}
    else:
        raw = raw or make_raw(person, text, at=fields.get("happened_at", NOON))
    memory = Memory.objects.create(
        **{
            "user": person,
            "number": person.memories_numbered,
            "mem0_id": uuid.uuid4(),
            "text": text,
            "raw_message": raw,
            "happened_at": NOON,
        }
        | source
        | fields
    )
    index_words(memory)
    return memory


def answer(
    person: WhatsAppUser,
    question: str = "What is the gate code?",
    text: str = "4711",
    *,
    raw: RawMessage | None = None,
    used: Sequence[Memory] = (),
    kind: str = "recalled",
    parts: int = 1,
    status: str = "delivered",
    at: datetime = NOON + 30 * MINUTE,
) -> Interaction:
    """An answer that was given, with its parts on their way and what it used."""
    raw = raw or make_raw(person, question, at=at)
    made = Interaction.objects.create(
        raw_message=raw, kind=kind, answer=text, answered_at=at, started_at=at, transcript=[{"tool": text}]
    )
    RawMessage.objects.filter(id=raw.id).update(turn=made, status="answered")
    for number in range(1, parts + 1):
        OutboundMessage.objects.create(
            interaction=made,
            user=person,
            part=number,
            to_address=person.whatsapp_id,
            from_address=SENDER,
            body=f"{text} ({number})",
            status=status,
            twilio_sid=None if status in ("pending", "sending") else f"SM{secrets.token_hex(16)}",
            attempted_at=at,
        )
    Citation.objects.bulk_create(
        Citation(interaction=made, memory=memory, rank=rank, score=1.0)
        for rank, memory in enumerate(used, start=1)
    )
    return made
