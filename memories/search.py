"""Finding memories: by meaning through Mem0, by words and by time in PostgreSQL."""

import logging
import re
import unicodedata
from dataclasses import dataclass

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import QuerySet

from memories.dates import UtcRange
from memories.models import Memory
from whatsbot import database
from whatsbot.exceptions import ProviderError
from whatsbot.integrations import mem0

log = logging.getLogger(__name__)

CANDIDATES = 20
ALWAYS = UtcRange(start=None, end=None)


@dataclass(frozen=True, slots=True)
class Hit:
    """One found memory. ``score`` is between 0 and 1; ``shared_words`` says which words of the query it has."""

    memory: Memory
    score: float
    similarity: float | None
    shared_words: frozenset[str]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first. ``degraded``: Mem0 was away, so only words were looked at."""

    hits: list[Hit]
    degraded: bool


def search_memories(
    *, user_id: int, query: str, terms: str | None = None, within: UtcRange = ALWAYS, limit: int = 5
) -> SearchResult:
    """The memories of one person that fit ``query``, said within the half-open UTC range, best first.

    ``terms`` are the words that carry the question, where the caller knows them better than the whole of ``query``.
    """
    wanted = fold_words(query if terms is None else terms)
    database.release_connection()  # no connection is held while Mem0 embeds and searches
    try:
        found = mem0.search_entries(
            user_id=user_id, query=query, limit=CANDIDATES, start=within.start, end=within.end
        )
    except ProviderError as error:
        log.warning("search without Mem0: %s", error)
        return SearchResult(
            _search_words(user_id=user_id, wanted=wanted, within=within, limit=limit), degraded=True
        )
    similarity = {entry.mem0_id: entry.similarity for entry in found}
    rows = get_memories(user_id=user_id, within=within).filter(mem0_id__in=similarity)
    hits = [_score(row, wanted, similarity[str(row.mem0_id)]) for row in rows]
    return SearchResult(sorted(hits, key=lambda hit: -hit.score)[:limit], degraded=False)


def get_memories(*, user_id: int, within: UtcRange = ALWAYS) -> QuerySet[Memory]:
    """The memories of one person said within the half-open UTC range, newest first."""
    rows = Memory.objects.filter(user_id=user_id).order_by("-happened_at", "-id")
    if within.start is not None:
        rows = rows.filter(happened_at__gte=within.start)
    if within.end is not None:
        rows = rows.filter(happened_at__lt=within.end)
    return rows


def _search_words(*, user_id: int, wanted: frozenset[str], within: UtcRange, limit: int) -> list[Hit]:
    if not wanted:
        return []
    any_word = SearchQuery(
        " | ".join(f"'{word}'" for word in sorted(wanted)), search_type="raw", config="simple"
    )
    rows = (
        get_memories(user_id=user_id, within=within)
        .annotate(words=SearchVector("text", config="simple"))
        .filter(words=any_word)[: CANDIDATES * 5]
    )
    hits = [_score(row, wanted, None) for row in rows]
    return sorted(hits, key=lambda hit: -hit.score)[:limit]


def _score(memory: Memory, wanted: frozenset[str], similarity: float | None) -> Hit:
    """Meaning counts most; shared words lift what names the same thing above what only sounds alike."""
    words = fold_words(memory.text)
    shared = frozenset(word for word in wanted if any(_same(word, other) for other in words))
    overlap = len(shared) / len(wanted) if wanted else 0.0
    score = overlap if similarity is None else min(1.0, similarity * 0.85 + overlap * 0.15)
    return Hit(memory, score, similarity, shared)


def fold_words(text: str) -> frozenset[str]:
    """The words of a text without case, accents and a possessive ending."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", text.casefold())
        if not unicodedata.combining(character)
    )
    return frozenset(re.findall(r"\w+", re.sub(r"['’]s\b", "", plain)))


def _same(word: str, other: str) -> bool:
    """Equal, or one is the other with a short ending: park, parked; birthday, birthdays. Holds for many languages."""
    if word == other:
        return True
    short, long = sorted((word, other), key=len)
    return len(short) >= 4 and long.startswith(short) and len(long) - len(short) <= 3
