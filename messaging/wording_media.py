"""What our own code says about files: what was kept, what could not be, what was sent before, what is sent back."""

from collections.abc import Sequence
from datetime import date, datetime

from memories.dates import MONTHS, WEEKDAYS
from messaging.wording_media_texts import KIND_NAMES, KINDS, MEDIA_TEXTS

NAMED_DAYS = 3
# Reasons of `MessageMedia.Refusal` that need no sentence of their own.
_SAME_AS = {
    "mixed": "unsafe",
    "broken": "unsafe",
    "bomb": "unsafe",
    "deadly": "unsafe",
    "unreachable": "gone",
}
_NOT_TOLD = ("repeated", "deleted")


def name_kind(kind: str, *, language: str) -> str:
    """What a kind of file is called, standing alone: "Voice note"."""
    return KIND_NAMES.get(language, KIND_NAMES["en"])[KINDS.index(kind)]


def say_refused(*, kind: str, reason: str, language: str, max_megabytes: int) -> str:
    """Why a file is not kept, and what can be done; "" where there is nothing to say."""
    if reason in _NOT_TOLD:
        return ""
    return _say(_SAME_AS.get(reason, reason), language, kind=kind, megabytes=str(max_megabytes))


def say_media_late(*, kind: str, language: str) -> str:
    """That a file is not there yet."""
    return _say("late", language, kind=kind)


def say_not_described(*, kind: str, language: str) -> str:
    """That a file is kept, and that nobody could look into it."""
    return _say("not_described", language, kind=kind)


def say_sent_before(*, days: Sequence[date], today: date, language: str) -> str:
    """On which of the person's own days the same file came before; the last ones, if there are many."""
    named = [_name_day(day, today=today, language=language) for day in days[-NAMED_DAYS:]]
    text = _join(named, language=language)
    if others := len(days) - len(named):
        text = _say("others", language, days=", ".join(named), count=str(others))
    return _say("sent_before", language, days=text)


def caption_media(*, kind: str, sent_on: datetime, today: date, language: str, name: str = "") -> str:
    """The text under a file that is sent back; ``sent_on`` is on the person's clocks."""
    day = _name_day(sent_on.date(), today=today, language=language, with_weekday=True)
    caption = _say("caption", language, kind=kind, moment=f"{day}, {sent_on:%H:%M}")
    return f"{caption} ({name})" if name else caption


def _say(key: str, language: str, *, kind: str = "", **fields: str) -> str:
    text = MEDIA_TEXTS.get(language, MEDIA_TEXTS["en"])[key]
    return text.format(kind=name_kind(kind, language=language) if kind else "", **fields)


def _name_day(day: date, *, today: date, language: str, with_weekday: bool = False) -> str:
    """A day with the year where it is another: "3 May", "Tuesday, 3 May 2025"."""
    in_this_year = day.year == today.year
    if language == "en":
        weekday = f"{WEEKDAYS[day.weekday()]}, " if with_weekday else ""
        return f"{weekday}{day.day} {MONTHS[day.month - 1]}{'' if in_this_year else f' {day.year}'}"
    from babel.dates import format_skeleton

    skeleton = f"{'' if in_this_year else 'y'}MMMM{'EEEE' if with_weekday else ''}d"
    return str(format_skeleton(skeleton, day, locale=language))


def _join(names: Sequence[str], *, language: str) -> str:
    from babel.lists import format_list

    return str(format_list(list(names), locale="en_GB" if language == "en" else language))
