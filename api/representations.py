"""Memories and answers as programs see them: plain values, times in UTC."""

from datetime import UTC, datetime
from typing import Any

from memories.models import Memory
from messaging.models import Interaction


def show_memory(memory: Memory) -> dict[str, Any]:
    """One memory."""
    return {
        "id": memory.id,
        "number": memory.number,
        "whatsapp_number": memory.user.phone_number,
        "memory_text": memory.text,
        "memory_type": memory.type,
        "source": memory.source,
        "metadata": memory.metadata,
        "happened_at": _show_time(memory.happened_at),
        "event_start": _show_time(memory.event_start),
        "event_end": _show_time(memory.event_end),
        "created_at": _show_time(memory.created_at),
        "updated_at": _show_time(memory.updated_at),
    }


def show_interaction(interaction: Interaction) -> dict[str, Any]:
    """One answer, with the message it answers."""
    message = interaction.raw_message
    return {
        "id": interaction.id,
        "whatsapp_number": message.user.phone_number,
        "kind": interaction.kind,
        "question": message.body,
        "answer": interaction.answer,
        "received_at": _show_time(message.received_at),
        "answered_at": _show_time(interaction.answered_at),
    }


def _show_time(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z") if time else None
