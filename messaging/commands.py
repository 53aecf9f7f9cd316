"""What a person can ask for by command. Only a message that is the command counts: ``/listen`` is not ``/list``.

A command is answered in English, whatever the person speaks: its name is English too.
"""

import re
from collections.abc import Callable
from functools import partial

from django.utils import timezone

from accounts.models import WhatsAppUser
from messaging.answers import Answer, Turn
from messaging.command_forget import forget, undo
from messaging.command_memories import list_memories, name_zone, search
from messaging.command_types import Command
from messaging.command_who import who
from messaging.command_why import why
from messaging.export import make_export_link
from messaging.forgetting import redact_answer_of
from messaging.models import Interaction

HELP = """I am your memory. Tell me things, and ask me later.

• "My sister's birthday is on 14 March"
• "When is my sister's birthday?"
• "What did I tell you last week?"

Commands:
/list – what I remember, newest first
/list May – said or taking place then
/list landlord – with these words
/search words – what fits best
/why – what my last answer was made from
/undo – take back what I saved last
/undo 7 – take back the last change of #7
/forget 7 – forget memory #7
/forget everything – erase all I know
/tz Madrid – your time zone
/export – download all I keep of you
/who – who has looked at it
/stop, /start – pause me, wake me
/help – this"""
STOPPED = (
    "I have stopped: from now on I remember nothing and answer nothing, until you send /start. "
    "What I know already stays; commands such as /list and /forget still work."
)
STARTED = "I am listening again. Tell me things, and ask me later."
KNOWN_BY = {
    WhatsAppUser.TimezoneSource.INFERRED: "Your number tells me.",
    WhatsAppUser.TimezoneSource.GUESSED: "That is my guess from your number.",
    WhatsAppUser.TimezoneSource.CHOSEN: "You have told me so.",
    WhatsAppUser.TimezoneSource.STAFF: "It was set for you by the staff.",
}
TZ_EXAMPLES = "for example /tz Madrid, /tz New York or /tz +5:30."

_COMMAND = re.compile(r"/(?P<name>[a-z]+)(?:\s+(?P<argument>\S.*))?", re.IGNORECASE | re.DOTALL)


def find_command(turn: Turn) -> Command | None:
    """The command a message is, ready to be carried out, or None.

    Only one message alone that the person has typed themselves: nothing forwarded, no caption.
    """
    if len(turn.contents) != 1 or turn.contents[0].is_reaction:
        return None
    match = _COMMAND.fullmatch(turn.own_words)
    name = match["name"].lower() if match else ""
    if not match or name not in COMMANDS:
        return None
    argument = (match["argument"] or "").strip()
    return Command(
        run=partial(COMMANDS[name], turn, argument),
        is_lookup=name in LOOKUPS,
        only_reads=name in ONLY_READ or (name == "tz" and not argument),
    )


def _help(turn: Turn, argument: str) -> Answer:
    return _answer(HELP)


def _tz(turn: Turn, argument: str) -> Answer:
    from accounts.places import (
        describe_clock,
        find_timezone,
    )  # brings tables of places that few messages need

    user = turn.user
    if argument:
        zone = find_timezone(argument, near=user.timezone, now=turn.now)
        if zone is None:
            return _answer(
                f"I don't know where that is, and have changed nothing. Name a large city or the offset, {TZ_EXAMPLES}"
            )
        user.timezone, user.timezone_source = zone, WhatsAppUser.TimezoneSource.CHOSEN
        user.save(update_fields=["timezone", "timezone_source"])
    name, clock = name_zone(user.timezone), describe_clock(user.timezone, now=turn.now)
    if argument:
        return _answer(f"Your time zone is {name} now. It is {clock} there.")
    known_by = KNOWN_BY[WhatsAppUser.TimezoneSource(user.timezone_source)]
    return _answer(
        f"Your time zone is {name}: it is {clock} there. {known_by} To change it, send {TZ_EXAMPLES}"
    )


def _export(turn: Turn, argument: str) -> Answer:
    link = make_export_link(user=turn.user, now=timezone.now())
    redact_answer_of(turn)  # the link is a key: nobody reads it here, or in what the language model is told
    return _answer(
        f"Everything I keep of you, as a file to download:\n{link}\n"
        "The link works for one hour. Whoever has it can read everything, so don't pass it on."
    )


def _stop(turn: Turn, argument: str) -> Answer:
    WhatsAppUser.objects.filter(id=turn.user.id, opted_out_at=None).update(opted_out_at=timezone.now())
    return _answer(STOPPED)


def _start(turn: Turn, argument: str) -> Answer:
    WhatsAppUser.objects.filter(id=turn.user.id).update(opted_out_at=None)
    return _answer(STARTED)


def _answer(text: str) -> Answer:
    return Answer(kind=Interaction.Kind.COMMAND, text=text)


COMMANDS: dict[str, Callable[[Turn, str], Answer]] = {
    "help": _help,
    "list": list_memories,
    "search": search,
    "why": why,
    "who": who,
    "undo": undo,
    "forget": forget,
    "tz": _tz,
    "export": _export,
    "stop": _stop,
    "start": _start,
}
LOOKUPS = frozenset({"search"})
ONLY_READ = frozenset({"help", "list", "search", "who", "why"})
