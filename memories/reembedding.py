"""Filling the table of one embedder from that of another, so that ``MEMORY_EMBEDDER`` can be changed.

Written by SQL, because Mem0 would give new ids and times: an entry keeps its id and payload and gets another vector, so
that `Memory.mem0_id` stays true whichever embedder is in use.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction

from whatsbot import database
from whatsbot.exceptions import MisconfiguredProvider, PermanentProviderError
from whatsbot.integrations.embedder import EMBEDDERS, Embedder, embed_passages, get_embedder

# Entries whose memory lives, beside what the target has of them.
_PAIRS = """
    FROM "{source}" AS source
    JOIN memories_memory AS memory ON memory.mem0_id = source.id
    LEFT JOIN "{target}" AS target ON target.id = source.id
"""
# What an entry is to hold: our row is the record of the text. Where Mem0 is up to date, this is its payload as it is.
_WANTED = "source.payload || jsonb_build_object('data', memory.text, 'hash', md5(memory.text))"
# When Mem0 made or last changed an entry. What is newer in the target was stored there, and stays.
_CHANGED = "coalesce(({row}.payload->>'updated_at')::timestamptz, '-infinity')"
_IS_BEHIND = f"{_CHANGED.format(row='target')} <= {_CHANGED.format(row='source')}"
_HAS_WORK = f"(target.id IS NULL OR (target.payload <> {_WANTED} AND {_IS_BEHIND}))"
_WRITE = f"""
    INSERT INTO "{{target}}" AS target (id, vector, payload)
    SELECT source.id, %s::vector, {_WANTED}
    FROM "{{source}}" AS source JOIN memories_memory AS memory ON memory.mem0_id = source.id
    WHERE source.id = %s AND memory.text = %s
    ON CONFLICT (id) DO UPDATE SET vector = excluded.vector, payload = excluded.payload
    WHERE {_CHANGED.format(row="target")} <= {_CHANGED.format(row="excluded")}
"""
# An entry is stored just before its row: only older ones have lost theirs.
_LEFTOVERS = """
    FROM "{table}" AS entry
    WHERE NOT EXISTS (SELECT FROM memories_memory AS memory WHERE memory.mem0_id = entry.id)
    AND coalesce((payload->>'created_at')::timestamptz, '-infinity') < now() - interval '1 minute'
"""


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do: entries to embed, their characters, and entries of memories that are gone."""

    entries: int
    characters: int
    leftovers: int


@dataclass(frozen=True, slots=True)
class Batch:
    """How many entries were dealt with, and the memories among them whose text the embedder refused."""

    entries: int
    refused: list[int]


def measure_work(target: Embedder) -> Work:
    """What `remove_leftovers` and `reembed` would do now."""
    entries = characters = 0
    with connection.cursor() as cursor:
        for source in _get_sources(target):
            names = {"source": source.collection, "target": target.collection}
            pairs = f"{_PAIRS.format(**names)} WHERE {_HAS_WORK}"
            cursor.execute(f"SELECT count(*), coalesce(sum(length(memory.text)), 0) {pairs}")
            row = cursor.fetchone()
            entries, characters = entries + row[0], characters + row[1]
    return Work(entries=entries, characters=characters, leftovers=count_leftovers())


def empty(target: Embedder) -> None:
    """Forget all vectors of an embedder that is not in use. Raises MisconfiguredProvider if it is."""
    if target == get_embedder():
        raise MisconfiguredProvider(f"{target.name} is in use: change to another embedder before.")
    with connection.cursor() as cursor:
        cursor.execute(f'TRUNCATE "{target.collection}"')


def count_leftovers() -> int:
    """How many entries `remove_leftovers` would delete now."""
    with connection.cursor() as cursor:
        counts = []
        for table in _get_idle_tables():
            cursor.execute(f"SELECT count(*) {_LEFTOVERS.format(table=table)}")
            counts.append(cursor.fetchone()[0])
    return sum(counts)


def remove_leftovers() -> int:
    """Delete what tables not in use hold of memories that are gone; in the one in use, `reconcile_memories` does.

    Returns how many entries that were.
    """
    with connection.cursor() as cursor:
        counts = []
        for table in _get_idle_tables():
            cursor.execute(f"DELETE {_LEFTOVERS.format(table=table)}")
            counts.append(cursor.rowcount)
    return sum(counts)


def reembed(*, target: Embedder, batch_size: int) -> Iterator[Batch]:
    """Embed what the target lacks or has in an older version, batch by batch; each is written whole, or not at all.

    Begun again after an interruption, it goes on where it was. Raises ProviderError.
    """
    for source in _get_sources(target):
        last = uuid.UUID(int=0)
        while rows := _read_batch(source=source, target=target, after=last, limit=batch_size):
            database.release_connection()  # no connection is held while a provider embeds
            vectors = _embed([text for _, text, _ in rows], target)
            _write_batch(
                [
                    (str(vector), mem0_id, text)
                    for vector, (mem0_id, text, _) in zip(vectors, rows, strict=True)
                    if vector is not None
                ],
                source=source,
                target=target,
            )
            refused = [row[2] for vector, row in zip(vectors, rows, strict=True) if vector is None]
            yield Batch(entries=len(rows), refused=refused)
            last = rows[-1][0]


def _get_sources(target: Embedder) -> list[Embedder]:
    return [each for each in EMBEDDERS.values() if each != target]


def _get_idle_tables() -> list[str]:
    """All but the one in use; on Mem0's platform none is."""
    in_use = None if settings.MEM0_API_KEY else get_embedder()
    return [each.collection for each in EMBEDDERS.values() if each != in_use]


def _read_batch(
    *, source: Embedder, target: Embedder, after: uuid.UUID, limit: int
) -> list[tuple[uuid.UUID, str, int]]:
    """The next entries with work, by id: Mem0's id, the text, and the memory's id."""
    pairs = _PAIRS.format(source=source.collection, target=target.collection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT source.id, memory.text, memory.id {pairs} WHERE source.id > %s AND {_HAS_WORK} "
            "ORDER BY source.id LIMIT %s",
            [after, limit],
        )
        return cursor.fetchall()


def _embed(texts: Sequence[str], target: Embedder) -> list[list[float] | None]:
    """A vector for each text, or None for one that is refused, which must not keep the others waiting for ever."""
    try:
        return [*embed_passages(texts, embedder=target)]
    except MisconfiguredProvider:
        raise
    except PermanentProviderError:
        if len(texts) == 1:
            return [None]
        vectors = [vector for text in texts for vector in _embed([text], target)]
        if not any(vectors):
            raise  # it is not the texts
        return vectors


def _write_batch(rows: Sequence[tuple[str, uuid.UUID, str]], *, source: Embedder, target: Embedder) -> None:
    """Write vectors beside payloads as they are now; what was corrected or forgotten meanwhile is left out."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(_WRITE.format(source=source.collection, target=target.collection), rows)
