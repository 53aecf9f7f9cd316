"""The one SQL statement that scores memories by words, joins Mem0's findings, and looks at neighbours in time.

    own       = 0.4 meaning + 0.6 words, each between 0 and 1 among the candidates of this search
    meaning   = the cosine, from the last of the candidates (0) to the best (1)
    words     = BM25 beside the best; a word counts with the square of its idf, so that the "did" and "when" of a
                question in any language weigh little without a list of them
    score     = own + 0.4 own of each direct neighbour in time + 0.2 own of the next but one, as a share of the best

BM25: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), with document frequencies and lengths of
this person's memories alone. In a conversation the answer often stands beside the words of the question; messages
further apart than `NEIGHBOUR_MINUTES` are no neighbours.
"""

from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet

from memories.models import Memory

K1, B = 1.2, 0.5  # how soon a repeated word stops counting; how much long texts are marked down
MEANING, WORDS = 0.4, 0.6
DIRECT, NEXT_BUT_ONE = 0.4, 0.2
NEIGHBOUR_MINUTES = 30

# Neighbours are looked up one by one through the index memory_by_time; a person's whole history is never sorted.
_STATEMENT = f"""
WITH {{narrowed}} size AS (
    SELECT count(*)::float8 AS memories, greatest(avg(word_count), 1)::float8 AS mean
    FROM memories_memory WHERE user_id = %(user_id)s
),
posting AS (
    SELECT memory_id, count, word_count, count(*) OVER (PARTITION BY word) AS holders
    FROM memories_memoryword WHERE user_id = %(user_id)s AND word = ANY(%(words)s)
),
worded AS (
    SELECT memory_id AS id, sum(
        power(ln(1 + (memories - holders + 0.5::float8) / (holders + 0.5::float8)), 2)
        * count * ({K1} + 1) / (count + {K1}::float8 * (1 - {B} + {B} * word_count / mean))
    ) AS bm25
    FROM posting, size {{where_words}} GROUP BY memory_id ORDER BY bm25 DESC, memory_id DESC LIMIT %(candidates)s
),
near AS (
    SELECT memory.id, found.similarity
    FROM unnest(%(mem0_ids)s::uuid[], %(similarities)s::float8[]) AS found(mem0_id, similarity)
    JOIN memories_memory AS memory USING (mem0_id)
    WHERE memory.user_id = %(user_id)s {{and_near}}
),
best AS (
    SELECT
        (SELECT max(bm25) FROM worded) AS bm25,
        (SELECT min(similarity) FROM near) AS worst_similarity,
        (SELECT max(similarity) FROM near) AS similarity
),
own AS (
    SELECT
        id, near.similarity,
        coalesce({MEANING}::float8 * CASE
            WHEN best.similarity = worst_similarity THEN 1
            ELSE (near.similarity - worst_similarity) / (best.similarity - worst_similarity)
        END, 0) + coalesce({WORDS}::float8 * worded.bm25 / best.bm25, 0) AS score
    FROM near FULL JOIN worded USING (id), best
),
part AS (
    SELECT id, similarity, score, 0::float8 AS from_neighbours FROM own
    UNION ALL
    SELECT neighbour.id, NULL, 0, own.score * CASE step WHEN 1 THEN {DIRECT}::float8 ELSE {NEXT_BUT_ONE} END
    FROM own JOIN memories_memory AS memory USING (id) CROSS JOIN LATERAL (
        (
            SELECT id, row_number() OVER (ORDER BY happened_at DESC, id DESC) AS step FROM memories_memory
            WHERE user_id = %(user_id)s AND (happened_at, id) < (memory.happened_at, memory.id)
                AND happened_at >= memory.happened_at - interval '{NEIGHBOUR_MINUTES} minutes'
            ORDER BY happened_at DESC, id DESC LIMIT 2
        ) UNION ALL (
            SELECT id, row_number() OVER (ORDER BY happened_at, id) AS step FROM memories_memory
            WHERE user_id = %(user_id)s AND (happened_at, id) > (memory.happened_at, memory.id)
                AND happened_at <= memory.happened_at + interval '{NEIGHBOUR_MINUTES} minutes'
            ORDER BY happened_at, id LIMIT 2
        )
    ) AS neighbour
    {{where_neighbour}}
)
SELECT
    memory.*, total.similarity, total.score / max(total.score) OVER () AS score,
    total.from_neighbours / max(total.score) OVER () AS from_neighbours
FROM (
    SELECT
        id, max(similarity) AS similarity, sum(score + from_neighbours) AS score,
        sum(from_neighbours) AS from_neighbours
    FROM part GROUP BY id ORDER BY sum(score + from_neighbours) DESC, id DESC LIMIT %(limit)s
) AS total JOIN memories_memory AS memory USING (id)
ORDER BY score DESC, memory.id DESC
"""


def rank_memories(
    *,
    user_id: int,
    mem0_ids: Collection[str],
    similarities: Collection[float],
    words: Collection[str],
    narrowed: QuerySet[Memory] | None,
    candidates: int,
    limit: int,
) -> list[Any]:
    """The best memories of one person, best first, with ``score``, ``similarity`` and ``from_neighbours``.

    ``mem0_ids`` with their ``similarities`` are what Mem0 found; ``words`` are as `count_words` makes them; only
    memories in ``narrowed`` are returned, if it is given.
    """
    parameters: dict[str, Any] = {
        "user_id": user_id,
        "mem0_ids": list(mem0_ids),
        "similarities": list(similarities),
        "words": list(words),
        "candidates": candidates,
        "limit": limit,
    }
    if narrowed is None:
        statement = _STATEMENT.format(narrowed="", where_words="", and_near="", where_neighbour="")
    else:
        query, values = narrowed.order_by().values("id").query.sql_with_params()
        named = {f"narrow_{number}": value for number, value in enumerate(values)}
        parameters |= named
        statement = _STATEMENT.format(
            narrowed=f"narrowed AS MATERIALIZED ({query % tuple(f'%({name})s' for name in named)}),",
            where_words=f"WHERE {_is_narrowed('memory_id')}",
            and_near=f"AND {_is_narrowed('memory.id')}",
            where_neighbour=f"WHERE {_is_narrowed('neighbour.id')}",
        )
    return list(Memory.objects.raw(statement, parameters))


def _is_narrowed(memory_id: str) -> str:
    # IS TRUE keeps PostgreSQL from joining: it would go through the list for each memory where it expects a short one,
    # as it does as long as there are no statistics, and take minutes. This way the list is always hashed.
    return f"({memory_id} IN (SELECT id FROM narrowed)) IS TRUE"
