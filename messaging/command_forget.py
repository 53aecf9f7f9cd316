"""``/forget`` and ``/undo``."""

import re

from memories.changes import undo_memory
from messaging.answers import Answer, Turn, shorten
from messaging.confirmations import ask_to_confirm
from messaging.erasure import count_traces
from messaging.forgetting import forget_and_tell, redact_answer_of
from messaging.models import Interaction, PendingConfirmation

EVERYTHING = "everything"
_NUMBER = r"#?([0-9]{1,9})"
_NUMBERS = re.compile(rf"{_NUMBER}(?:(?:\s*,\s*|\s+|\s*,?\s*and\s+){_NUMBER})*", re.IGNORECASE)


def forget(turn: Turn, argument: str) -> Answer:
    """``/forget 3, 5 8`` at once; ``/forget everything`` asks first."""
    if argument.lower() == EVERYTHING:
        return _answer(_ask_to_erase(turn))
    if not _NUMBERS.fullmatch(argument):
        return _answer(
            "Which one? Send /list to see the numbers, then for example /forget 7 or /forget 3 5 8."
        )
    return _answer(forget_and_tell(turn, _read_numbers(argument)))


def undo(turn: Turn, argument: str) -> Answer:
    """``/undo [N]``: the last thing done to a memory is taken back."""
    if argument and not re.fullmatch(_NUMBER, argument):
        return _answer(
            "Which one? Send /undo for the last thing I saved or corrected, or for example /undo 7."
        )
    number = _read_numbers(argument)[0] if argument else None
    undone = undo_memory(user_id=turn.user.id, number=number)
    if undone is None:
        return _answer(
            "There is nothing to undo."
            if number is None
            else f"I have no memory #{number}. Send /list to see the numbers."
        )
    redact_answer_of(turn)  # it quotes what is gone
    gone = f"“{shorten(undone.text)}”"
    if undone.restored is None:
        return _answer(f"Undone: #{undone.number} {gone} is forgotten.")
    return _answer(f"Undone: #{undone.number} says “{shorten(undone.restored)}” again, no longer {gone}.")


def _read_numbers(argument: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", argument)]


def _ask_to_erase(turn: Turn) -> str:
    ask_to_confirm(
        raw_message_id=turn.raw_message_id, user_id=turn.user.id, kind=PendingConfirmation.Kind.EVERYTHING
    )
    traces = count_traces(user_id=turn.user.id)
    return (
        f"This would erase everything I keep of you, for good:\n{traces.describe()}\n"
        "and your settings. Nothing is erased yet. If you are sure, answer yes with your next message, "
        "within 10 minutes."
    )


def _answer(text: str) -> Answer:
    return Answer(kind=Interaction.Kind.COMMAND, text=text)
