"""Finding the words that say when, such as "last week" or "since 3 June", in a question about what was said.

What is found narrows a search, so precision beats recall: a phrase that may mean something else ("may I
see", "march on", "one second") is left alone. A search that is not narrowed still finds; one narrowed
wrongly does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import regex

from memories import time_words as words
from memories.dates import LocalDays
from memories.day_spans import DAY, Span
from memories.time_spans import Question, compile_words, find_spans, match_span, read_question


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePhrase:
    """A phrase of time: the days it means, its own words, and the text without them.

    ``looks_back``: the days say when something was told. Otherwise the question is about what is to come
    ("What do I have on Friday?"): the days say when it takes place, and it may have been told long before.
    """

    days: LocalDays
    text: str
    rest: str
    looks_back: bool


_Found = tuple[int, int, LocalDays]


def find_time_phrase(text: str, *, today: date) -> TimePhrase | None:
    """The phrase of time in a question asked on ``today``, or None.

    A day or month that comes again and again ("on Monday", "in May") is the latest that has begun; in a
    question about the present or the future ("What do I have on Monday?") the next. "On Monday" asked on a
    Monday is not today. Weeks begin on Monday; "two weeks ago" is that whole week. "Until" includes the day
    it names.
    """
    question = read_question(text, today=today)
    found = [*_find_connected(question), *_find_standing(question)]
    if not found:
        return None
    # The one that begins first, and of several there the longest.
    start, end, days = min(found, key=lambda item: (item[0], -item[1]))
    return TimePhrase(
        days=days,
        text=question.text[start:end],
        rest=_join(question.text[:start], question.text[end:]),
        looks_back=_looks_back(days, question, phrase=question.folded[start:end]),
    )


def _join(before: str, after: str) -> str:
    joined = " ".join(f"{before} {after}".split())
    return regex.sub(r"\s+([?.!,;:])", r"\1", joined).lstrip(",;: ")


def _looks_back(days: LocalDays, question: Question, *, phrase: str) -> bool:
    if days.end is not None and days.end <= question.today:
        return True
    if days.start is not None and days.start > question.today:
        return False
    return not question.is_to_come or phrase.startswith(("from ", "since "))


# --- "last week", "3 June" ---

_PREPOSITIONS = ("from", "of", "for", "during", "over", "in", "on", "at", "back")
_LEADING = regex.compile(rf"(?<!\p{{L}})(?:{'|'.join(_PREPOSITIONS)})\s+$")
_TOPIC = regex.compile(r"(?<!\p{L})(?:about|for|regarding)\s+$")
_DEADLINE = regex.compile(r"(?<!\p{L})by\s+$")
_POSSESSIVE = regex.compile(r"['’]s(?!\p{L})")


def _find_standing(question: Question) -> Iterator[_Found]:
    for start, end, span in find_spans(question):
        before = question.folded[:start]
        if _DEADLINE.search(before):
            continue
        if possessive := _POSSESSIVE.match(question.folded, end):
            # "What did I say about yesterday's meeting?" may have been said today.
            if _TOPIC.search(before):
                continue
            end = possessive.end()
        has_own = question.folded[start:end].startswith(_PREPOSITIONS)
        if not has_own and (leading := _LEADING.search(before)):
            start = leading.start()
        yield start, end, LocalDays(start=span.start, end=span.end)


# --- "since Monday", "between 3 May and 7 June" ---

_SINCE, _FROM = compile_words(words.SINCE), compile_words(words.FROM)
_BEFORE, _AFTER, _UNTIL = (compile_words(each) for each in (words.BEFORE, words.AFTER, words.UNTIL))
_WEEK_OF = compile_words(words.WEEK_OF)
_ONWARDS = regex.compile(r"\s+(?:on(?=\s*[?.!,]|\s*$)|onwards?|en adelante|em diante)(?!\p{L})")
_PAIRS = [(compile_words(first), compile_words(second)) for first, second in (*words.BETWEEN, *words.FROM_TO)]


def _find_connected(question: Question) -> Iterator[_Found]:
    # What is asked for "since Monday" or "from Monday" is past, whatever the verb.
    looking_back = replace(question, is_past=True, is_to_come=False)
    for first, second in _PAIRS:
        yield from _find_pairs(first, second, question)
    for start, end, span in _find_after(_SINCE, looking_back):
        yield start, end, LocalDays(start=span.start, end=None)
    for start, end, span in _find_after(_FROM, looking_back):
        onwards = _ONWARDS.match(question.folded, end)
        yield (
            start,
            onwards.end() if onwards else end,
            LocalDays(start=span.start, end=None if onwards else span.end),
        )
    for start, end, span in _find_after(_BEFORE, question):
        yield start, end, LocalDays(start=None, end=span.start)
    for start, end, span in _find_after(_UNTIL, question):
        yield start, end, LocalDays(start=None, end=span.end)
    for start, end, span in _find_after(_AFTER, question):
        yield start, end, LocalDays(start=span.end, end=None)
    for start, end, span in _find_after(_WEEK_OF, question):
        monday = span.start - span.start.weekday() * DAY
        yield start, end, LocalDays(start=monday, end=monday + 7 * DAY)


def _find_after(connector: "regex.Pattern[str]", question: Question) -> Iterator[tuple[int, int, Span]]:
    for match in connector.finditer(question.folded):
        if found := match_span(question, at=match.end()):
            end, span = found
            yield match.start(), end, span


def _find_pairs(
    first: "regex.Pattern[str]", second: "regex.Pattern[str]", question: Question
) -> Iterator[_Found]:
    for start, middle, one in _find_after(first, question):
        between = regex.compile(rf"\s+(?:{second.pattern})").match(question.folded, middle)
        if between and (found := match_span(question, at=between.end())):
            end, other = found
            if (begin := _move_before(one, other)) < (other.end or date.max):
                yield start, end, LocalDays(start=begin, end=other.end)


def _move_before(one: Span, other: Span) -> date:
    """Where a span that comes again begins, taken in its last turn before the other."""
    if one.every == "week":
        return other.start - (other.start - one.start).days % 7 * DAY
    if one.every == "year" and (one.start.month, one.start.day) != (2, 29):
        begin = one.start.replace(year=other.start.year)
        return begin if begin <= other.start else begin.replace(year=begin.year - 1)
    return one.start
