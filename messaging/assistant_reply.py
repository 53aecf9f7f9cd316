"""From what the model said and what its tools came to, to the answer that is sent.

What was saved, found and understood is told by us, from what really happened, never by the model.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import regex
from django.conf import settings

from memories.dates import LocalDays
from memories.models import Memory
from memories.search import Hit
from memories.words import count_words
from messaging import wording
from messaging.answers import Answer, Turn, shorten
from messaging.attachment_replies import caption_files, report_attachments
from messaging.conversation import INSTRUCTIONS, get_contents
from messaging.formatting import to_whatsapp
from messaging.journal import Journal
from messaging.leaks import WITHHELD, withhold_leaks
from messaging.models import Interaction
from messaging.recall import answer_from_memories
from whatsbot.integrations.gemini import Ending

Is = Interaction.Kind
_VISIBLE = regex.compile(r"[^\p{C}\p{Z}]")
_MARK = re.compile(r"(?:(?<![ \t])[ \t]++)?\[\s*#?(\d{1,9}(?:\s*[,;]\s*#?\d{1,9})*)\s*\]")
# Characters of the model's own words above a question of ours: a phone hides the end of a long message.
LONGEST_BEFORE_QUESTION = 300
# A memory that the model used without its number: so many of its words stand in the answer.
MOST_MEDIA = 5  # files sent back with one answer
SHARED_WORDS = 3
SHARED_SHARE = 0.5


def compose_answer(turn: Turn, journal: Journal, *, said: str, language: str) -> Answer:
    """The model's text, made safe and readable, with its sources and our receipts."""
    found = _get_found(journal)
    text, numbers = _check_marks(said, set(found))
    text = to_whatsapp(text)
    if journal.responses[-1]["ending"] == Ending.CUT_OFF.name:
        text += " …"
    # Last: what the steps before take out may have stood within a link or a secret.
    text = withhold_leaks(text, instructions=INSTRUCTIONS, data=_get_data(turn, journal))
    if not _VISIBLE.search(text):
        text = ""
    numbers = numbers or _guess_used(turn, found, text)
    lines = list(_get_receipts(turn, journal, language=language))
    files, names = caption_files(turn, _get_wanted(journal), language=language)
    if any("asked" in outcome for outcome in journal.outcomes):
        text = shorten(text, limit=LONGEST_BEFORE_QUESTION)
    return Answer(
        kind=_get_kind(turn, journal, numbers),
        text=_join(text, [*names, *lines]) or WITHHELD,
        used=_load_hits(turn, found, [*numbers, *_get_quoted(journal)]),
        model=settings.GEMINI_MODEL,
        transcript=journal.settle(),
        media=files,
    )


def compose_without_model(turn: Turn, journal: Journal, *, note: str, language: str) -> Answer:
    """What the model's tools have done before it fell silent, or else what the plain search finds, with an honest note.

    Raises ProviderError.
    """
    lines = list(_get_receipts(turn, journal, language=language))
    told = ("saved", "corrected", "asked")
    if any(word in outcome for outcome in journal.outcomes for word in told):
        kind = _get_kind(turn, journal, [])
        used = _load_hits(turn, {}, _get_quoted(journal))
        return Answer(kind=kind, text=_join("", [*lines, note]), used=used, transcript=journal.settle())
    answer = answer_from_memories(turn)
    return replace(answer, text=_join(answer.text, [note]), transcript=journal.settle())


def _join(text: str, lines: list[str]) -> str:
    return "\n\n".join(part for part in (text.strip(), "\n".join(line for line in lines if line)) if part)


def _get_data(turn: Turn, journal: Journal) -> Iterator[str]:
    """All that the model has read besides the instructions, but for what it has said itself in this turn.

    An error may quote what it has asked for.
    """
    results = (content for content in journal.get_contents() if content["role"] == "user")
    for content in (*get_contents(turn), *results):
        for part in content["parts"]:
            yield part.get("text") or ""
            if "function_response" in part:
                response = part["function_response"]["response"]
                yield from _get_texts({name: response[name] for name in response if name != "error"})


def _get_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _get_texts(each)


def _get_found(journal: Journal) -> dict[int, tuple[int, float]]:
    """By number: the memories that were shown to the model, with id and best score."""
    found: dict[int, tuple[int, float]] = {}
    for outcome in journal.outcomes:
        for memory_id, number, score in outcome.get("found", ()):
            found[number] = (memory_id, max(score, found.get(number, (0, 0.0))[1]))
    return found


def _check_marks(text: str, shown: set[int]) -> tuple[str, list[int]]:
    """The text with only those marks of sources that were shown to the model, and their numbers in order."""
    numbers: list[int] = []

    def check(match: re.Match[str]) -> str:
        known = [number for each in re.findall(r"\d+", match[1]) if (number := int(each)) in shown]
        numbers.extend(known)
        return f" [{', '.join(f'#{number}' for number in known)}]" if known else ""

    return _MARK.sub(check, text), list(dict.fromkeys(numbers))


def _guess_used(turn: Turn, found: dict[int, tuple[int, float]], text: str) -> list[int]:
    """Which memories an answer without marks was made from: those most of whose words stand in it."""
    if not found:
        return []
    said = set(count_words(text))
    texts = Memory.objects.filter(user_id=turn.user.id, number__in=found).values_list("number", "text")
    shares: dict[int, float] = {}
    for number, memory in texts:
        words = set(count_words(memory))
        shared = len(words & said)
        if words and (shared >= SHARED_WORDS or shared / len(words) >= SHARED_SHARE):
            shares[number] = shared / len(words)
    return sorted(shares, key=lambda number: -shares[number])


def _load_hits(turn: Turn, found: dict[int, tuple[int, float]], numbers: list[int]) -> list[Hit]:
    if not numbers:
        return []
    rows = {row.number: row for row in Memory.objects.filter(user_id=turn.user.id, number__in=numbers)}
    return [
        Hit(
            memory=rows[number],
            score=found.get(number, (0, 1.0))[1],
            similarity=None,
            shared_words=frozenset(),
        )
        for number in dict.fromkeys(numbers)
        if number in rows
    ]


def _get_quoted(journal: Journal) -> list[int]:
    """Memories that our receipts quote: forgetting one has to find the answers that say it."""
    quoted = [outcome["known"][0] for outcome in journal.outcomes if "known" in outcome]
    return [*quoted, *(number for outcome in journal.outcomes for number in outcome.get("asked", ()))]


def _get_wanted(journal: Journal) -> list[int]:
    """The files to send back."""
    wanted = [media_id for outcome in journal.outcomes for media_id in outcome.get("send", ())]
    return list(dict.fromkeys(wanted))[:MOST_MEDIA]


def _get_kind(turn: Turn, journal: Journal, used: list[int]) -> Interaction.Kind:
    outcomes = list(journal.outcomes)
    keeps_files = any(each.media_id for content in turn.contents for each in content.attachments)
    if keeps_files or any(content.place for content in turn.contents):
        return Is.SAVED
    if any(word in outcome for outcome in outcomes for word in ("saved", "corrected", "known")):
        return Is.SAVED
    if used:
        return Is.RECALLED
    return Is.MISSED if any("found" in outcome for outcome in outcomes) else Is.SMALL_TALK


def _get_receipts(turn: Turn, journal: Journal, *, language: str) -> Iterator[str]:
    """What really happened, a line each: the days that were looked at, what was kept, and what is asked."""
    outcomes = list(journal.outcomes)

    def collect(word: str) -> list[Any]:
        return [outcome[word] for outcome in outcomes if word in outcome]

    today = turn.now.astimezone(turn.zone).date()
    for start, end in dict.fromkeys(tuple(days) for days in collect("days")):
        days = LocalDays(
            start=date.fromisoformat(start) if start else None, end=date.fromisoformat(end) if end else None
        )
        yield wording.say_range(days, zone=turn.zone, today=today, language=language)
    if collect("zone"):
        yield wording.say_zone(zone=turn.zone, now=turn.now, language=language)
    files = report_attachments(turn, language=language)
    if saved := list(dict.fromkeys([*files.saved, *collect("saved")])):
        yield wording.say_saved(numbers=saved, language=language)
    if corrected := list(dict.fromkeys(collect("corrected"))):
        yield wording.say_corrected(numbers=corrected, language=language)
    told = files.known | dict(collect("known"))
    if known := {number: text for number, text in told.items() if number not in saved}:
        yield wording.say_known(pairs=list(known.items()), language=language)
    yield from files.lines
    if failed := collect("failed"):
        data = list(_get_data(turn, journal))
        texts = [withhold_leaks(text, instructions=INSTRUCTIONS, data=data) for text in failed]
        yield wording.say_not_saved(texts=texts, language=language)
    if asked := sorted({number for numbers in collect("asked") for number in numbers}):
        rows = Memory.objects.filter(user_id=turn.user.id, number__in=asked).order_by("number")
        pairs = [(row.number, row.text) for row in rows]
        yield wording.ask_to_forget(pairs=pairs, language=language)
