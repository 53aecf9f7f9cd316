"""What a message would be answered now, without any effect: nothing is written, sent or kept.

The same assistant works on the same messages with what is known now, in a `Rehearsal` (messaging/deeds.py), and
PostgreSQL itself refuses to write meanwhile.
"""

import difflib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from memories.search import Hit
from messaging.answers import Answer, Rehearsal, Turn
from messaging.commands import find_command
from messaging.confirmations import find_confirmed
from messaging.content import read_content
from messaging.forgetting import FORGOTTEN
from messaging.journal import AWAY, RehearsedJournal
from messaging.models import Interaction, RawMessage
from messaging.recall import answer_from_memories
from whatsbot import database
from whatsbot.exceptions import ProviderError, WhatsbotError

MOST_SECONDS = 45.0  # of the language model, in all


class CannotReplay(WhatsbotError):
    """The message cannot be replayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool the model asked for: with which arguments, and what the model read as its result."""

    name: str
    arguments: dict[str, Any]
    result: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a message would be answered now, and how.

    ``deeds`` are what would have been done besides answering, in words. ``media_ids`` name the `MessageMedia` that
    would be sent along. ``degraded``: the language model, or the search by meaning, was away.
    """

    kind: str
    answer: str
    used: tuple[Hit, ...]
    deeds: tuple[str, ...]
    media_ids: tuple[int, ...]
    tools: tuple[ToolUse, ...]
    model: str
    input_tokens: int
    output_tokens: int
    seconds: float
    degraded: bool


def replay(raw_message_id: int) -> Replayed:
    """Answer the turn of a stored message once more, for looking at only. Takes up to `MOST_SECONDS` and a little.

    Sentences that are put below an answer now and then (about a guessed time zone, about the pace) are left out.
    Raises CannotReplay, which says why.
    """
    begun = time.monotonic()
    with database.only_reading():
        turn, interaction = _load_turn(raw_message_id, ends_at=begun + MOST_SECONDS)
        journal = RehearsedJournal()
        try:
            answer = _answer(turn, interaction, journal)
        except ProviderError:
            raise CannotReplay("The memory store cannot be asked just now.") from None
    assert turn.rehearsal is not None
    return Replayed(
        kind=answer.kind,
        answer=answer.text,
        used=tuple(answer.used),
        deeds=tuple(turn.rehearsal.deeds),
        media_ids=tuple(file.media_id for file in answer.media),
        tools=tuple(_get_tools(journal)),
        model=answer.model,
        input_tokens=journal.input_tokens,
        output_tokens=journal.output_tokens,
        seconds=time.monotonic() - begun,
        degraded=_is_degraded(journal),
    )


def _load_turn(raw_message_id: int, *, ends_at: float) -> tuple[Turn, Interaction | None]:
    raw = RawMessage.objects.select_related("user", "turn").filter(id=raw_message_id).first()
    if raw is None:
        raise CannotReplay("The message is gone.")
    messages = list(raw.turn.messages.order_by("id")) if raw.turn else [raw]
    if any(each.redacted_at for each in messages):
        raise CannotReplay("What it said is forgotten.")
    turn = Turn(
        user=raw.user,
        contents=tuple(read_content(each) for each in messages),
        rehearsal=Rehearsal(ends_at=ends_at),
    )
    if any(content.is_reaction or content.opt_out for content in turn.contents):
        raise CannotReplay("A message of this kind is never answered.")
    if raw.from_address == settings.TWILIO_WHATSAPP_NUMBER:
        raise CannotReplay("It came from our own number, and is never answered.")
    return turn, raw.turn


def _answer(turn: Turn, interaction: Interaction | None, journal: RehearsedJournal) -> Answer:
    command = find_command(turn)
    if command is not None and not command.only_reads:
        raise CannotReplay("A command that changes something is not replayed.")
    if command is not None:
        return command.run()
    was_command = interaction is not None and interaction.kind == Interaction.Kind.COMMAND
    if was_command or find_confirmed(turn):
        raise CannotReplay("It confirmed that something be deleted. That is not replayed.")
    if turn.user.opted_out_at:
        raise CannotReplay("The person has paused the bot with /stop: it would not be answered now.")
    if not settings.GEMINI_API_KEY:
        return answer_from_memories(turn)
    from messaging.assistant import answer_with_model  # as in messaging/turns.py

    return answer_with_model(turn, journal, is_last_attempt=True)


def _get_tools(journal: RehearsedJournal) -> Iterator[ToolUse]:
    for step in journal.steps:
        if "tool" in step:
            tool = step["tool"]
            yield ToolUse(name=tool["name"], arguments=tool["args"], result=tool["response"])


def _is_degraded(journal: RehearsedJournal) -> bool:
    from messaging.assistant_tools import WORDS_ONLY

    is_model_away = any(response["ending"] == AWAY for response in journal.responses)
    return is_model_away or any(tool.result.get("note") == WORDS_ONLY for tool in _get_tools(journal))


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of two texts laid beside each other: in both (``same``), or in one only (``removed``, ``added``)."""

    kind: str
    text: str


def compare(before: str, after: str) -> list[Piece]:
    """How one text became another, word by word."""
    old, new = _split(before), _split(after)
    pieces: list[Piece] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(old[i1:i2])))
            continue
        sides = (("removed", old[i1:i2]), ("added", new[j1:j2]))
        pieces += [Piece(kind, "".join(words)) for kind, words in sides if words]
    return pieces


def _split(text: str) -> Sequence[str]:
    """Words, each with the space behind it."""
    return re.findall(r"\s+|\S+\s*", text)


def can_be_compared(interaction: Interaction | None) -> bool:
    """Whether there is an answer to lay the replayed one beside."""
    return interaction is not None and interaction.answer not in ("", FORGOTTEN)
