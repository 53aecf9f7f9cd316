"""What a person can ask for by command. Only a message that is the command counts: ``/listen`` is not ``/list``."""

import re
from collections.abc import Callable
from functools import partial

from memories.changes import forget_memory
from memories.dates import format_day
from memories.search import get_memories
from messaging.answers import Turn, shorten

HELP = """I am your memory. Tell me things, and ask me later.

• "My sister's birthday is on 14 March"
• "When is my sister's birthday?"
• "What did I tell you last week?"

Commands:
/list – what I remember, newest first
/forget 7 – forget memory #7
/help – this"""
LISTED = 20

_COMMAND = re.compile(r"/(?P<name>[a-z]+)(?:\s+(?P<argument>\S.*))?", re.IGNORECASE | re.DOTALL)


def find_command(turn: Turn) -> Callable[[], str] | None:
    """The command a message is, ready to be carried out, or None. Carrying it out returns the text of the answer.

    Commands touch only our database, so that effect and answer can be committed together.
    """
    match = _COMMAND.fullmatch(turn.content.text)
    command = match and COMMANDS.get(match["name"].lower())
    if not match or not command:
        return None
    return partial(command, turn, (match["argument"] or "").strip())


def _help(turn: Turn, argument: str) -> str:
    return HELP


def _list(turn: Turn, argument: str) -> str:
    rows = get_memories(user_id=turn.user.id)
    shown = list(rows[:LISTED])
    if not shown:
        return "I remember nothing yet. Tell me something!"
    lines = [
        f"#{row.number} · {format_day(row.happened_at, zone=turn.zone, now=turn.now)}: {shorten(row.text)}"
        for row in shown
    ]
    older = rows.count() - len(shown)
    if older > 0:
        lines.append(f"… and {older} older. Ask me about them, for example: what did I tell you in May?")
    return "\n".join(lines)


def _forget(turn: Turn, argument: str) -> str:
    number = re.fullmatch(r"#?([0-9]{1,9})", argument)
    if number is None:
        return "Which one? Send /list to see the numbers, then for example /forget 7."
    memory = forget_memory(user_id=turn.user.id, number=int(number[1]))
    if memory is None:
        return f"I have no memory #{number[1]}. Send /list to see the numbers."
    return f"Forgotten: #{memory.number} “{shorten(memory.text)}”"


COMMANDS: dict[str, Callable[[Turn, str], str]] = {"help": _help, "list": _list, "forget": _forget}
