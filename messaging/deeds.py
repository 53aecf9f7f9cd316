"""What a turn does besides answering. A rehearsal does none of it and notes what would have been done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from accounts.models import WhatsAppUser
from memories import changes, store
from memories.models import Memory
from memories.store import Outcome, Stored, find_known_memory
from messaging.answers import Rehearsal, Turn
from messaging.confirmations import ask_to_confirm
from messaging.models import PendingConfirmation


def store_memory(*, turn: Turn, raw_message_id: int, tool_call: str, **said: Any) -> Stored:
    """`memories.store.store_memory` for the person of the turn."""
    if turn.rehearsal is not None:
        return _rehearse_storing(turn, turn.rehearsal, call=(raw_message_id, tool_call), **said)
    return store.store_memory(
        user_id=turn.user.id, raw_message_id=raw_message_id, tool_call=tool_call, **said
    )


def _rehearse_storing(
    turn: Turn, rehearsal: Rehearsal, *, call: tuple[int, str], text: str, happened_at: datetime, **said: Any
) -> Stored:
    """What storing would come to. What this very turn has saved when it was no rehearsal counts as saved now."""
    if call in rehearsal.stored:
        return rehearsal.stored[call]
    known = find_known_memory(user_id=turn.user.id, text=text, happened_at=happened_at, **said)
    new = [each.memory for each in rehearsal.stored.values() if each.memory.pk is None]
    known = known or next((memory for memory in new if memory.text == text), None)
    if known is None:
        number = turn.user.memories_numbered + len(new) + 1
        memory = Memory(user_id=turn.user.id, number=number, text=text, happened_at=happened_at)
        stored = Stored(memory, Outcome.SAVED)
        rehearsal.deeds.append(f"would save #{number}: {text}")
    elif known.raw_message_id in [content.raw_message_id for content in turn.contents]:
        stored = Stored(known, Outcome.SAVED)
        rehearsal.deeds.append(f"would save what it has saved as #{known.number}: {text}")
    else:
        stored = Stored(known, Outcome.KNOWN)
        rehearsal.deeds.append(f"would find that #{known.number} says so already: {text}")
    rehearsal.stored[call] = stored
    return stored


def update_memory(*, turn: Turn, number: int, text: str, **said: Any) -> Memory | None:
    """`memories.changes.update_memory` for the person of the turn."""
    if turn.rehearsal is None:
        return changes.update_memory(user_id=turn.user.id, number=number, text=text, **said)
    memory = Memory.objects.filter(user_id=turn.user.id, number=number).first()
    if memory is not None:
        turn.rehearsal.deeds.append(f"would correct #{number} to: {text}")
        memory.text = text
    return memory


def ask_to_forget(*, turn: Turn, numbers: Sequence[int]) -> None:
    """Note that the person is asked, below the answer, whether to forget these memories."""
    if turn.rehearsal is not None:
        named = ", ".join(f"#{number}" for number in numbers)
        turn.rehearsal.deeds.append(f"would ask whether to forget {named}")
        return
    ask_to_confirm(
        raw_message_id=turn.raw_message_id,
        user_id=turn.user.id,
        kind=PendingConfirmation.Kind.FORGET,
        numbers=numbers,
    )


def set_timezone(*, turn: Turn, zone: str) -> None:
    """Let the person live in ``zone``, an IANA name, because they said so. In a rehearsal, for as long as it lasts."""
    user = turn.user
    user.timezone, user.timezone_source = zone, WhatsAppUser.TimezoneSource.CHOSEN
    if turn.rehearsal is None:
        user.save(update_fields=["timezone", "timezone_source"])
    else:
        turn.rehearsal.deeds.append(f"would set the time zone to {zone}")
