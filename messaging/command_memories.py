"""``/list`` and ``/search``."""

from collections.abc import Sequence

from django.db.models import Count, QuerySet

from memories.dates import LocalDays, format_day, format_range
from memories.models import Memory, MemoryWord
from memories.search import Hit, get_memories, search_memories
from memories.search_terms import search_terms
from memories.time_phrases import find_time_phrase
from memories.words import count_words
from messaging.answers import Answer, Turn, shorten
from messaging.models import Interaction

LISTED = 20
FOUND = 10
# Reading phrases of time in something far longer would take seconds.
LONGEST_WITH_DAYS = 400
NOTHING_SAVED = "I remember nothing yet. Tell me something!"


def list_memories(turn: Turn, argument: str) -> Answer:
    """``/list [words|dates]``: the newest memories, those of certain days, or those that have all the words."""
    days, words = _read_argument(turn, argument)
    rows = get_memories(user_id=turn.user.id, within=days.to_utc(turn.zone)) if days else None
    if rows is None:
        rows = get_memories(user_id=turn.user.id)
    if words:
        rows = _having_words(rows, words, user_id=turn.user.id)
    shown = list(rows[:LISTED])
    if not shown:
        return _answer(_explain_nothing(turn, days=days, words=words))
    lines = [describe_memory(turn, row) for row in shown]
    if days or words:
        lines.insert(0, f"{_name_selection(turn, days=days, words=words)}:")
    older = rows.count() - len(shown)
    if older > 0:
        hint = "" if days or words else " Ask me about them, or send for example /list May or /list landlord."
        lines.append(f"… and {older} older.{hint}")
    return _answer("\n".join(lines), [as_hit(row) for row in shown])


def search(turn: Turn, argument: str) -> Answer:
    """``/search words``: what fits best, by meaning and by words."""
    if not argument:
        return _answer("What shall I search for? For example: /search landlord")
    result = search_memories(user_id=turn.user.id, query=argument, limit=FOUND)
    note = "Only words could be compared just now, not meaning." if result.degraded else ""
    if result.hits:
        lines = [describe_memory(turn, hit.memory) for hit in result.hits]
    elif Memory.objects.filter(user_id=turn.user.id).exists():
        lines = ["I found nothing about that in what you told me."]
    else:
        lines = [NOTHING_SAVED]
    return _answer("\n".join(filter(None, (*lines, note))), result.hits)


def describe_memory(turn: Turn, memory: Memory) -> str:
    """One line of a list: number, when it was said, what it says, when it takes place."""
    said = format_day(memory.happened_at, zone=turn.zone, now=turn.now)
    line = f"#{memory.number} · {said}: {shorten(memory.text)}"
    if memory.event_start is None:
        return line
    takes_place = format_day(memory.event_start, zone=turn.zone, now=turn.now)
    return f"{line} (takes place {takes_place[0].lower()}{takes_place[1:]})"


def as_hit(memory: Memory) -> Hit:
    """A memory an answer quotes without having searched for it."""
    return Hit(memory=memory, score=1.0, similarity=None, shared_words=frozenset())


def _answer(text: str, used: Sequence[Hit] = ()) -> Answer:
    return Answer(kind=Interaction.Kind.COMMAND, text=text, used=used)


def _read_argument(turn: Turn, argument: str) -> tuple[LocalDays | None, str]:
    """The days an argument speaks of, and its words besides."""
    if len(argument) <= LONGEST_WITH_DAYS:
        today = turn.now.astimezone(turn.zone).date()
        # A bare month or year is one here, though in a sentence it may be a name or a number.
        alone = find_time_phrase(f"in {argument}", today=today)
        if alone and not alone.rest:
            return alone.days, ""
        phrase = find_time_phrase(argument, today=today)
        if phrase:
            return phrase.days, search_terms(phrase.rest)
    return None, search_terms(argument) or argument


def _having_words(rows: QuerySet[Memory], words: str, *, user_id: int) -> QuerySet[Memory]:
    """Those that have all of these words, as search counts them."""
    stems = set(count_words(words))
    having = (
        MemoryWord.objects.filter(user_id=user_id, word__in=stems)
        .values("memory_id")
        .annotate(found=Count("*"))
        .filter(found=len(stems))
        .values("memory_id")
    )
    return rows.filter(id__in=having) if stems else rows.none()


def _name_selection(turn: Turn, *, days: LocalDays | None, words: str) -> str:
    parts = [f"With “{shorten(words)}”"] if words else []
    if days:
        parts.append(f"{'said' if words else 'Said'} or taking place {_name_days(turn, days)}")
    return ", ".join(parts)


def _explain_nothing(turn: Turn, *, days: LocalDays | None, words: str) -> str:
    if not Memory.objects.filter(user_id=turn.user.id).exists():
        return NOTHING_SAVED
    named = f" with “{shorten(words)}”" if words else ""
    when = f" said or taking place {_name_days(turn, days)}" if days else ""
    hint = "" if days else " To look by meaning, send /search and the words."
    return f"I have nothing{named}{when}.{hint}"


def _name_days(turn: Turn, days: LocalDays) -> str:
    today = turn.now.astimezone(turn.zone).date()
    return f"{format_range(days, today=today)} (in your time zone, {name_zone(turn.zone.key)})"


def name_zone(zone: str) -> str:
    """What people call a zone: New York; UTC+5 for a fixed offset, whose sign IANA writes the other way round."""
    if zone.startswith(("Etc/GMT+", "Etc/GMT-")):
        return f"UTC{'-' if '+' in zone else '+'}{zone[8:]}"
    return zone.rpartition("/")[2].replace("_", " ")
