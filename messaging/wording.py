"""What our own code adds to an answer, in the person's language where we have it, else in English.

Only what really happened is said here; the language model has no part in it.
"""

import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import regex

from memories.dates import MONTHS, WEEKDAYS, LocalDays
from memories.search_terms import STOP_WORDS
from messaging.answers import shorten
from messaging.wording_texts import POLITE, TEXTS, YES

SCRIPTS = {"ru": "Cyrillic", "hi": "Devanagari", "he": "Hebrew", "ar": "Arabic"}
QUOTED = 80  # characters


def guess_language(text: str) -> str:
    """The language of a text, of those we have words in; "en" where that is not clear."""
    letters = len(regex.findall(r"\p{L}", text))
    for language, script in SCRIPTS.items():
        if 2 * len(regex.findall(rf"\p{{{script}}}", text)) > letters:
            return language
    words = [word.replace("’", "'").lower() for word in regex.findall(r"[\p{L}\p{M}'’]+", text)]
    counts = {name: sum(word in known for word in words) for name, known in _get_common_words().items()}
    best = max(counts, key=lambda name: (counts[name], name == "en"))
    return best if counts[best] > counts["en"] else "en"


@cache
def _get_common_words() -> dict[str, frozenset[str]]:
    return {
        language: frozenset(words.split())
        for language, words in STOP_WORDS.items()
        if language in TEXTS and language not in SCRIPTS
    }


def say_saved(*, numbers: Sequence[int], language: str) -> str:
    """Under which numbers something was saved."""
    return _say("saved", language, numbers=_join_numbers(numbers, language))


def say_known(*, pairs: Sequence[tuple[int, str]], language: str) -> str:
    """What was known already: numbers and texts."""
    return _say("known", language, memories=_quote(pairs))


def say_corrected(*, numbers: Sequence[int], language: str) -> str:
    """Which memories were corrected, and how that is taken back."""
    undo = ", ".join(f"/undo {number}" for number in numbers)
    return _say("corrected", language, numbers=_join_numbers(numbers, language), undo=undo)


def say_not_saved(*, texts: Sequence[str], language: str) -> str:
    """What could not be saved."""
    return _say("not_saved", language, texts=", ".join(f"“{shorten(text, limit=QUOTED)}”" for text in texts))


def ask_to_forget(*, pairs: Sequence[tuple[int, str]], language: str) -> str:
    """Whether these memories shall be forgotten, and what the answer has to be."""
    how = _say("forget_how", language)
    if len(pairs) == 1:
        return f"{_say('forget', language, memories=_quote(pairs))} {how}"
    numbers = _join_numbers([number for number, _ in pairs], language)
    lines = [f"• {_quote([pair])}" for pair in pairs]
    return "\n".join([_say("forget", language, memories=numbers), *lines, how])


def say_range(days: LocalDays, *, zone: ZoneInfo, today: date, language: str) -> str:
    """The days that were looked at and on whose clocks: "1–7 September, Kolkata time"."""
    described = _describe_days(days, today=today, language=language)
    return _say("time", language, days=described, city=_name_city(zone, language))


def ask_zone(*, zone: ZoneInfo, now: datetime, language: str) -> str:
    """Whether the time zone we guessed is right."""
    clock = f"{now.astimezone(zone):%H:%M}"
    return _say("ask_zone", language, city=_name_city(zone, language), clock=clock)


def say_zone(*, zone: ZoneInfo, now: datetime, language: str) -> str:
    """Which time zone the person's is from now on."""
    return _say("zone", language, city=_name_city(zone, language), clock=f"{now.astimezone(zone):%H:%M}")


def say_model_away(*, language: str) -> str:
    """That the language model had no part in the answer."""
    return _say("model_away", language)


def say_tokens_spent(*, language: str) -> str:
    """That the language model has cost its share."""
    return _say("tokens_spent", language)


def say_slow_down(*, language: str) -> str:
    """That the next messages will wait and be answered together."""
    return _say("slow_down", language)


def is_yes(text: str) -> bool:
    """Whether a message is nothing but a yes, in any of some twenty languages."""
    words = regex.findall(r"[\p{L}\p{M}']+|[👍✅✔👌💯🙏]", _fold(text).replace("\ufe0f", ""))
    rest = regex.sub(r"[\p{L}\p{M}'👍✅✔👌💯🙏\p{Emoji_Modifier}\ufe0f\s.!,;:¡。！،…-]", "", text)
    if rest or not 0 < len(words) <= 6:
        return False
    yes, polite = _get_yes()
    return words[0] in yes and all(word in yes or word in polite for word in words)


@cache
def _get_yes() -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(map(_fold, YES.split())), frozenset(map(_fold, POLITE.split()))


def _fold(text: str) -> str:
    """Lower case, and Latin letters without accents."""
    parts = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    return unicodedata.normalize("NFC", regex.sub(r"(?<=\p{Latin})\p{Mn}+", "", parts))


def _say(key: str, language: str, **fields: str) -> str:
    return TEXTS.get(language, TEXTS["en"])[key].format(**fields)


def _join_numbers(numbers: Sequence[int], language: str) -> str:
    *others, last = (f"#{number}" for number in numbers)
    return f"{', '.join(others)}{_say('and', language)}{last}" if others else last


def _quote(pairs: Sequence[tuple[int, str]]) -> str:
    return ", ".join(f"#{number} “{shorten(text, limit=QUOTED)}”" for number, text in pairs)


def _name_city(zone: ZoneInfo, language: str) -> str:
    """The city people name a zone by: Kolkata, Nueva York. Fixed offsets as UTC+5."""
    from babel.dates import get_timezone_location

    if zone.key.startswith("Etc/") or "/" not in zone.key:
        hours = regex.fullmatch(r"Etc/GMT([+-])(\d+)", zone.key)
        # IANA's signs are the wrong way round.
        return f"UTC{'-' if hours[1] == '+' else '+'}{hours[2]}" if hours else zone.key.removeprefix("Etc/")
    return str(get_timezone_location(zone, locale=language, return_city=True)).rpartition("/")[2]


def _describe_days(days: LocalDays, *, today: date, language: str) -> str:
    if days.start is None:
        assert days.end is not None
        return _say("before", language, day=_describe_day(days.end, today=today, language=language))
    if days.end is None:
        return _say("since", language, day=_describe_day(days.start, today=today, language=language))
    first, last = days.start, days.end - timedelta(days=1)
    if first == last:
        return _describe_day(first, today=today, language=language)
    in_this_year = first.year == last.year == today.year
    if language == "en":
        return _describe_in_english(first, last, with_year=not in_this_year)
    from babel.dates import format_interval

    return str(format_interval(first, last, "MMMMd" if in_this_year else "yMMMMd", locale=language))


def _describe_day(day: date, *, today: date, language: str) -> str:
    if language == "en":
        year = "" if day.year == today.year else f" {day.year}"
        return f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}{year}"
    from babel.dates import format_skeleton

    return str(format_skeleton("MMMMEEEEd" if day.year == today.year else "yMMMMEEEEd", day, locale=language))


def _describe_in_english(first: date, last: date, *, with_year: bool) -> str:
    end = f"{last.day} {MONTHS[last.month - 1]}{f' {last.year}' if with_year else ''}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{end}"
    return (
        f"{first.day} {MONTHS[first.month - 1]}{f' {first.year}' if first.year != last.year else ''} – {end}"
    )
