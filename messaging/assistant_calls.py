"""A tool at work and what it comes to: what every tool of the language model is given and returns."""

from dataclasses import dataclass, field

from memories.dates import LocalDays
from messaging.answers import Turn
from whatsbot.integrations.gemini import Json

LONGEST = 500  # characters of a text as the model sees it


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool at work: for which turn, and the name under which what it does is stored once."""

    turn: Turn
    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """What the model reads, and what we know to be so."""

    response: Json
    outcome: Json = field(default_factory=dict)


def note_days(outcome: Json, days: LocalDays | None) -> Json:
    """An outcome with the days that were looked at."""
    if days is None:
        return outcome
    bounds = [bound.isoformat() if bound else None for bound in (days.start, days.end)]
    return outcome | {"days": bounds}
