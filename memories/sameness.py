"""Whether something said is known already. Pure.

The same words are the same thing, unless they speak of days ("today", "on Tuesday") and those are other days, or take
place at another time. Other words are the same thing only if little but articles and the order of a date differs:
embeddings alone cannot tell, as "14 March" and "15 March", or "Ana owes Bo" and "Bo owes Ana", are nearer to each other
than honest paraphrases are.
"""

import uuid
from collections.abc import Sequence
from datetime import date, datetime

import regex

from memories import time_words
from memories.dates import LocalDays
from memories.time_phrases import find_time_phrase
from memories.words import fold

# Cosine of two passages below which nothing is compared; honest repeats of short facts lie above 0.94.
NEAR = 0.93
_LONGEST_WITH_DAYS = 4096  # characters; phrases of time in more than that are not looked for
_IDENTITY = uuid.UUID("5e5c5d36-4b0f-5a35-9d2e-0a4f6f0f3c1d")  # a namespace of our own (RFC 9562 §5.5)

# Words, and the symbols that say something: $5 is not €5, -5° not 5°, C# not C. Punctuation and emoji say little.
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]+|[\p{Sc}\p{Sm}#%°]|(?<![\p{L}\p{N}])-(?=\p{N})")
# Folded words a repeat may have or lack. No negation, no past, no preposition that turns a meaning round (with both "a"
# and "de" ignored, a letter to Ana would be one from Ana), no "or", nobody's name.
_IGNORED = frozenset(
    word
    for words in (
        "a an the is are am be it s m re that of on at =",
        "el la los las es esta estan os as sao um uma",
        "le les un une est sont der das ein eine ist sind",
        "il lo gli uno una sono het een zijn",
    )
    for word in words.split()
)

_MONTHS = frozenset(word for words in time_words.MONTHS for word in words.split("|"))


def identify_words(
    text: str, *, said_on: date, event_start: datetime | None = None, event_end: datetime | None = None
) -> uuid.UUID:
    """The identity of a statement: the same for the same words in the same order about the same days and event."""
    event = [each and each.timestamp() for each in (event_start, event_end)]
    days = _get_days(text, said_on=said_on)
    return uuid.uuid5(_IDENTITY, f"words:{' '.join(_WORD.findall(fold(text)))}:{days}:{event}")


def identify_key(key: str) -> uuid.UUID:
    """The identity of what a caller names with a key of its own."""
    return uuid.uuid5(_IDENTITY, f"key:{key}")


def say_the_same(text: str, *, said_on: date, other: str, other_said_on: date) -> bool:
    """Whether two statements that are near in meaning say the same about the same thing.

    A date may be written in another order ("14 March", "March 14"); everything else keeps its place.
    """
    one, two = (
        [word for word in _WORD.findall(fold(each)) if word not in _IGNORED] for each in (text, other)
    )
    return (
        bool(one)
        and _put_days_first(one) == _put_days_first(two)
        and _get_days(text, said_on=said_on) == _get_days(other, said_on=other_said_on)
    )


def _put_days_first(words: Sequence[str]) -> list[str]:
    """The words with a number that follows a month before it, unless one stands there already: 14 March 2025."""
    result = list(words)
    for at in range(len(words) - 1):
        has_day = at > 0 and result[at - 1][0].isdecimal()
        if result[at] in _MONTHS and result[at + 1][0].isdecimal() and not has_day:
            result[at : at + 2] = reversed(result[at : at + 2])
    return result


def _get_days(text: str, *, said_on: date) -> LocalDays | None:
    """The days a text speaks of in words that mean others on another day; a date means the same on all of them."""
    phrase = find_time_phrase(text, today=said_on) if len(text) <= _LONGEST_WITH_DAYS else None
    return phrase.days if phrase and _MONTHS.isdisjoint(_WORD.findall(fold(phrase.text))) else None
