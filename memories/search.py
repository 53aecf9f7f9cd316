"""Finding memories: by meaning through Mem0, by words, and by time (docs/memory.md explains the ranking).

One search costs one embedding, one Mem0 query and one SQL statement of ours. Without Mem0 the statement alone answers,
from words.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from memories.dates import UtcRange
from memories.models import Memory, MemoryHistory
from memories.ranking import rank_memories
from memories.search_terms import search_terms
from memories.words import count_words, split_words
from whatsbot import database
from whatsbot.exceptions import ProviderError
from whatsbot.integrations import mem0

log = logging.getLogger(__name__)

ALWAYS = UtcRange(start=None, end=None)
CANDIDATES = 100  # the nearest by meaning, and as many by words
MOMENT = timedelta(seconds=1)  # how long an event without an end lasts


@dataclass(frozen=True, slots=True)
class Hit:
    """One found memory, and why: its cosine with the query, the words they share, what its neighbours in time add.

    ``score`` ranks the hits of one search: 1 is the best of them, however good that is. ``similarity`` is None where
    Mem0 did not name the memory.
    """

    memory: Memory
    score: float
    similarity: float | None
    shared_words: frozenset[str]
    from_neighbours: float = 0.0


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first. ``degraded``: Mem0 was away, so only words were looked at."""

    hits: list[Hit]
    degraded: bool


def get_memories(
    *,
    user_id: int,
    within: UtcRange = ALWAYS,
    types: Collection[str] = (),
    sources: Collection[str] = (),
) -> QuerySet[Memory]:
    """The memories of one person, newest first.

    ``within`` keeps what was said in the half-open UTC range, for the first time or again, or takes place in it.
    """
    rows = Memory.objects.filter(user_id=user_id).order_by("-happened_at", "-id")
    if types:
        rows = rows.filter(type__in=types)
    if sources:
        rows = rows.filter(source__in=sources)
    if within == ALWAYS:
        return rows
    said_again = MemoryHistory.objects.filter(
        _is_within(within, "said_at"), memory=OuterRef("pk"), kind=MemoryHistory.Kind.REPEATED
    )
    takes_place = Q(event_start__isnull=False)
    if within.start is not None:
        takes_place &= Q(event_ends__gt=within.start)
    if within.end is not None:
        takes_place &= Q(event_start__lt=within.end)
    return rows.alias(event_ends=Coalesce("event_end", F("event_start") + MOMENT)).filter(
        _is_within(within, "happened_at") | takes_place | Exists(said_again)
    )


def _is_within(within: UtcRange, field: str) -> Q:
    bounds = {f"{field}__gte": within.start, f"{field}__lt": within.end}
    return Q(**{name: value for name, value in bounds.items() if value is not None})


def search_memories(
    *,
    user_id: int,
    query: str,
    terms: str | None = None,
    within: UtcRange = ALWAYS,
    types: Collection[str] = (),
    sources: Collection[str] = (),
    limit: int = 10,
) -> SearchResult:
    """The memories of one person that fit ``query``, best first; ``within``, ``types`` and ``sources`` narrow them.

    ``terms`` are the words that carry the question, where the caller knows them better than `search_terms` does.
    """
    if terms is None:
        terms = search_terms(query) or query
    database.release_connection()  # no connection is held while Mem0 embeds and searches
    degraded, found = False, list[mem0.Found]()
    try:
        found = mem0.search_entries(
            user_id=user_id, query=query, limit=CANDIDATES, within=(within.start, within.end)
        )
    except ProviderError as error:
        log.warning("search without Mem0: %s", error)
        degraded = True
    narrowed = get_memories(user_id=user_id, within=within, types=types, sources=sources)
    is_narrowed = bool(within != ALWAYS or types or sources)
    rows = rank_memories(
        user_id=user_id,
        mem0_ids=[entry.mem0_id for entry in found],
        similarities=[entry.similarity for entry in found],
        words=count_words(terms),
        narrowed=narrowed if is_narrowed else None,
        candidates=CANDIDATES,
        limit=limit,
    )
    words = frozenset(split_words(terms))
    return SearchResult([_explain(row, words) for row in rows], degraded=degraded)


def _explain(row: Any, words: frozenset[str]) -> Hit:
    said = frozenset(split_words(row.text))
    return Hit(
        memory=row,
        score=row.score,
        similarity=row.similarity,
        shared_words=frozenset(word for word in words if any(_same(word, other) for other in said)),
        from_neighbours=row.from_neighbours,
    )


def _same(word: str, other: str) -> bool:
    """Equal, or one is the other with a short ending: park, parked; birthday, birthdays. Holds for many languages."""
    if word == other:
        return True
    short, long = sorted((word, other), key=len)
    return len(short) >= 4 and long.startswith(short) and len(long) - len(short) <= 3
