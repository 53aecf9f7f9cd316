"""What the API shows of the turns of a conversation."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q

from api.representations import Json, show_message, show_time
from memories.models import Citation, Memory
from messaging.content import read_text
from messaging.media_search import get_media_by_message
from messaging.models import Interaction, OutboundMessage, RawMessage


def show_turns(turns: Sequence[Interaction]) -> list[Json]:
    """Turns with their messages, and the memories they made and used, in a fixed number of statements.

    Each has its ``raw_message`` with the person at hand.
    """
    messages = _get_messages(turns)
    ids = [message.id for each in messages.values() for message in each]
    media = get_media_by_message(ids)
    made = _collect(
        Memory.objects.filter(raw_message__in=ids)
        .order_by("id")
        .values_list("raw_message_id", "id", "number", "text", "type")
    )
    used = _collect(
        Citation.objects.filter(interaction__in=turns)
        .order_by("rank")
        .values_list("interaction_id", "memory_id", "memory__number", "memory__text", "rank", "score")
    )
    parts = _collect(
        OutboundMessage.objects.filter(interaction__in=turns)
        .order_by("part")
        .values_list("interaction_id", "status")
    )
    return [
        {
            "id": turn.id,
            "whatsapp_number": turn.raw_message.user.phone_number,
            "kind": turn.kind,
            "question": "\n".join(filter(None, map(read_text, messages[turn.id]))),
            "answer": turn.answer,
            "model": turn.model,
            "received_at": show_time(turn.raw_message.received_at),
            "answered_at": show_time(turn.answered_at),
            "messages": [show_message(message, media) for message in messages[turn.id]],
            "memories_made": [
                {"id": id, "number": number, "memory_text": text, "memory_type": type}
                for id, number, text, type in sorted(
                    memory for message in messages[turn.id] for memory in made[message.id]
                )
            ],
            "memories_used": [
                {"id": id, "number": number, "memory_text": text, "rank": rank, "score": score}
                for id, number, text, rank, score in used[turn.id]
            ],
            "delivery": [status for (status,) in parts[turn.id]],
        }
        for turn in turns
    ]


def _get_messages(turns: Sequence[Interaction]) -> dict[int, list[RawMessage]]:
    """By turn: its messages, oldest first; the one that names it, if none says that it belongs to it."""
    named = {turn.raw_message_id: turn.id for turn in turns}
    rows = RawMessage.objects.filter(Q(turn__in=turns) | Q(id__in=named))
    by_turn: dict[int, list[RawMessage]] = defaultdict(list)
    naming: dict[int, list[RawMessage]] = defaultdict(list)
    for message in rows.only("message_sid", "received_at", "body", "payload", "turn").order_by("id"):
        if message.turn_id is not None:
            by_turn[message.turn_id].append(message)
        if message.id in named:
            naming[named[message.id]].append(message)
    return {turn.id: by_turn[turn.id] or naming[turn.id] for turn in turns}  # neither: forgotten meanwhile


def _collect(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    """Rows without their first value, by it."""
    collected: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for key, *row in rows:
        collected[key].append(tuple(row))
    return collected
