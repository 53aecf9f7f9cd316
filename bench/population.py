"""Made-up people with made-up memories, put into the database as the product would have put them there.

Nothing is realistic but what a search's cost depends on: how many memories a person has, that the memories of all
people lie between each other on disk, in order of time; that words are as frequent as Zipf says, the most frequent
being those a question is stripped of; that vectors lie together by topic, as those of the local embedder do; and that
people write in runs of messages minutes apart.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any

import numpy as np
from harness import say
from psycopg import sql

DIMENSIONS = 384
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
SECONDS = 2 * 365 * 86400
TOPICS, TOPICS_OF_ONE = 2000, 50
MESSAGES_OF_RUN, PAUSE_SECONDS = 8, 90  # on average
WORDS = 30_000
CHUNK = 10_000
WITH_EVENT, PLACES = 0.03, 0.05  # shares

TABLES = ("accounts_whatsappuser", "memories_memory", "memories_memoryword", "mem0_local")
MEMORY_COLUMNS = (
    *("id", "user_id", "number", "identity", "tool_call", "mem0_id", "text", "word_count", "type", "source"),
    *("happened_at", "event_start", "event_end", "updated_at"),
)
MEMORY_TYPES = (
    *("int8", "int8", "int4", "uuid", "varchar", "uuid", "text", "int4", "varchar", "varchar"),
    *("timestamptz", "timestamptz", "timestamptz", "timestamptz"),
)


@dataclass(frozen=True, slots=True)
class Content:
    """What one memory says. Times are in seconds since the epoch, -1 for none; the vector has length 1."""

    id: int
    mem0_id: uuid.UUID
    text: str
    vector: np.ndarray
    is_place: bool
    happened_at: int
    event_start: int
    event_end: int


@dataclass(slots=True)
class Population:
    """Who has how many memories, and when each was said; what they say is made in the order of time, and not kept.

    Person n has the id n + 1, memory n the id n + 1; ``kept`` has the contents of the people in ``measured``.
    """

    seed: int
    sizes: np.ndarray
    measured: dict[int, list[int]]  # ids of people, by how many memories they have
    owner: np.ndarray
    happened_at: np.ndarray
    run: np.ndarray
    topic: np.ndarray
    kept: dict[int, list[Content]] = field(default_factory=dict)


def make_population(*, memories: int, users: int, seed: int, sizes: tuple[int, ...]) -> Population:
    """Five people of each of ``sizes``, fewer where they would have half of all, and the others with what is left."""
    rng = np.random.default_rng(seed)
    measured: dict[int, list[int]] = {}
    fixed: list[int] = []
    for size in sizes:
        if people := min(5, memories // (5 * size // 2)):
            measured[size] = list(range(len(fixed) + 1, len(fixed) + people + 1))
            fixed += [size] * people
    left, others = memories - sum(fixed), users - len(fixed)
    shares = rng.lognormal(0, 1, others)
    rest = np.maximum(1, np.floor(shares / shares.sum() * left)).astype(int)
    rest[: left - rest.sum()] += 1
    people = np.concatenate([fixed, rest]).astype(int)
    owner = np.repeat(np.arange(1, users + 1), people)
    count = len(owner)
    begins_run = rng.random(count) < 1 / MESSAGES_OF_RUN
    begins_run[np.concatenate([[0], people.cumsum()[:-1]])] = True
    run = begins_run.cumsum() - 1
    since = np.where(begins_run, 0, rng.exponential(PAUSE_SECONDS, count).astype(int) + 3).cumsum()
    begins = rng.integers(0, SECONDS, run[-1] + 1)
    happened_at = int(FIRST.timestamp()) + begins[run] + since - since[begins_run][run]
    topic_of_run = rng.integers(0, TOPICS_OF_ONE, run[-1] + 1)
    topic = (owner * 131 + topic_of_run[run]) % TOPICS
    order = happened_at.argsort(kind="stable")
    return Population(seed, people, measured, *(values[order] for values in (owner, happened_at, run, topic)))


def make_vocabulary(rng: np.random.Generator) -> list[str]:
    """Words, the most frequent first: those a question is stripped of, then made-up ones of two to four syllables."""
    from memories.search_terms import STOP_WORDS

    syllables = [first + second for first in "bcdfghjklmnprstvwz" for second in "aeiou"]
    words = dict.fromkeys(word for word in STOP_WORDS["en"].split() if word.isalpha())
    while len(words) < WORDS:
        words["".join(rng.choice(syllables, rng.integers(2, 5)))] = None
    return list(words)


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class Maker:
    """Makes texts and vectors; what it made says nothing about what it makes next."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 1])
        self.vocabulary = make_vocabulary(self.rng)
        frequencies = 1 / (np.arange(len(self.vocabulary)) + 2.7)
        self.frequencies = frequencies.cumsum() / frequencies.sum()
        self.common, self.topics, self.runs = (
            normalize(self.rng.standard_normal((rows, DIMENSIONS), dtype=np.float32))
            for rows in (1, TOPICS, 4096)
        )

    def make_texts(self, count: int) -> list[str]:
        """Texts of 8 to 25 words."""
        lengths = self.rng.integers(8, 26, count)
        drawn = self.frequencies.searchsorted(self.rng.random(lengths.sum()))
        words = [self.vocabulary[number] for number in drawn]
        ends = lengths.cumsum()
        return [" ".join(words[end - length : end]) for end, length in zip(ends, lengths, strict=True)]

    def make_vectors(self, *, topic: np.ndarray, run: np.ndarray) -> np.ndarray:
        """Vectors whose cosine is about 0.66 in general, 0.9 within a topic and a little more within a run."""
        noise = normalize(self.rng.standard_normal((len(topic), DIMENSIONS), dtype=np.float32))
        runs = normalize(self.runs[run * 31 % 4096] + self.runs[run * 17 % 4093])
        return normalize(self.common + 0.6 * self.topics[topic] + 0.3 * runs + 0.3 * noise).astype(np.float32)

    def make_queries(self, vectors: np.ndarray) -> np.ndarray:
        """A vector near each of these."""
        noise = normalize(self.rng.standard_normal(vectors.shape, dtype=np.float32))
        return normalize(vectors + 0.3 * noise).astype(np.float32)


def load(population: Population, maker: Maker) -> None:
    """Empty the tables and fill them, in the order of time, in one transaction; then tidy up as autovacuum would.

    Indexes and foreign keys are made when the rows are there. Raises if the foreign keys do not hold.
    """
    from django.db import connection, transaction

    with connection.cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '1GB'")
        with transaction.atomic():
            cursor.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
            with without_indexes(cursor):
                load_people(cursor, population)
                load_memories(cursor, population, maker)
            for table in ("accounts_whatsappuser", "memories_memory"):
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
                )
        started = time.perf_counter()
        cursor.execute("VACUUM (ANALYZE)")
        say(f"vacuumed in {time.perf_counter() - started:.0f} s")
        cursor.execute("RESET maintenance_work_mem")


@contextlib.contextmanager
def without_indexes(cursor: Any) -> Iterator[None]:
    """Drop constraints and indexes of the big tables within the block, and make them again, as they were, after it."""
    big = "'memories_memory'::regclass, 'memories_memoryword'::regclass, 'mem0_local'::regclass"
    cursor.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        f"WHERE (conrelid IN ({big}) OR confrelid IN ({big})) AND contype IN ('p', 'u', 'f') "
        "ORDER BY array_position('{f,u,p}'::\"char\"[], contype)"
    )
    constraints = cursor.fetchall()
    for table, name, _ in constraints:
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    cursor.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
        f"WHERE indrelid IN ({big})"
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    started = time.perf_counter()
    for table, name, definition in reversed(constraints):
        cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    for _, definition in indexes:
        cursor.execute(definition)
    say(f"indexed in {time.perf_counter() - started:.0f} s")


def load_people(cursor: Any, population: Population) -> None:
    """One row each."""
    columns = ("id", "whatsapp_id", "profile_name", "timezone", "memories_numbered")
    with copy(cursor, "accounts_whatsappuser", columns) as people:
        people.set_types(["int8", "varchar", "text", "varchar", "int4"])
        for user_id, size in enumerate(population.sizes, 1):
            people.write_row((user_id, f"bench:{user_id}", "", "UTC", int(size)))


def load_memories(cursor: Any, population: Population, maker: Maker) -> None:
    """Memories, their words and Mem0's entries, `CHUNK` at a time."""
    from memories.words import count_words

    started = time.perf_counter()
    measured = {user_id for ids in population.measured.values() for user_id in ids}
    population.kept = {user_id: [] for user_id in measured}
    numbers = np.zeros(len(population.sizes) + 1, dtype=int)
    total = len(population.owner)
    for first in range(0, total, CHUNK):
        chunk = slice(first, min(first + CHUNK, total))
        owners, contents = population.owner[chunk].tolist(), make_contents(population, maker, chunk)
        words = [count_words(content.text) for content in contents]
        with copy(cursor, "memories_memory", MEMORY_COLUMNS) as rows:
            rows.set_types(MEMORY_TYPES)
            for user_id, content, counts in zip(owners, contents, words, strict=True):
                numbers[user_id] += 1
                rows.write_row(make_row(content, user_id, int(numbers[user_id]), counts.total()))
        with copy(
            cursor, "memories_memoryword", ("user_id", "word", "memory_id", "count", "word_count")
        ) as rows:
            rows.set_types(["int8", "varchar", "int8", "int2", "int4"])
            for user_id, content, counts in zip(owners, contents, words, strict=True):
                word_count = counts.total()
                for word, count in counts.items():
                    rows.write_row((user_id, word, content.id, count, word_count))
        with copy(cursor, "mem0_local", ("id", "vector", "payload")) as rows:
            for user_id, content in zip(owners, contents, strict=True):
                payload = json.dumps(make_payload(content, user_id)).encode()
                rows.write_row((content.mem0_id, write_vector(content.vector), b"\1" + payload))
        for user_id, content in zip(owners, contents, strict=True):
            if user_id in measured:
                population.kept[user_id].append(content)
        if first // CHUNK % 10 == 9 or chunk.stop == total:
            say(f"loaded {chunk.stop:,} memories, {time.perf_counter() - started:.0f} s")


def make_contents(population: Population, maker: Maker, chunk: slice) -> list[Content]:
    """What the memories of this part of the population say."""
    rng, count = maker.rng, chunk.stop - chunk.start
    vectors = maker.make_vectors(topic=population.topic[chunk], run=population.run[chunk])
    happened_at = population.happened_at[chunk]
    has_event, is_place = rng.random(count) < WITH_EVENT, rng.random(count) < PLACES
    start = np.where(has_event, happened_at + rng.integers(-30, 60, count) * 86400, -1)
    end = np.where(has_event & (rng.random(count) < 0.5), start + 7200, -1)
    ids = rng.bytes(16 * count)
    columns = (vectors, is_place.tolist(), happened_at.tolist(), start.tolist(), end.tolist())
    return [
        Content(chunk.start + at + 1, uuid.UUID(bytes=ids[16 * at : 16 * at + 16], version=4), text, *values)
        for at, (text, *values) in enumerate(zip(maker.make_texts(count), *columns, strict=True))
    ]


def make_row(content: Content, user_id: int, number: int, word_count: int) -> tuple[Any, ...]:
    """The row of `memories.models.Memory`, in the order of `MEMORY_COLUMNS`."""
    happened_at = to_datetime(content.happened_at)
    return (
        *(content.id, user_id, number, content.mem0_id, "", content.mem0_id, content.text, word_count),
        *("place" if content.is_place else "note", "import", happened_at),
        *(to_datetime(content.event_start), to_datetime(content.event_end), happened_at),
    )


def make_payload(content: Content, user_id: int) -> dict[str, Any]:
    """What Mem0 writes beside the vector, with our metadata (whatsbot/integrations/mem0_local.py)."""
    created_at = datetime.now(UTC).isoformat()
    end = content.event_end if content.event_end >= 0 or content.event_start < 0 else content.event_start + 1
    return {
        "key": f"direct:{user_id}:{content.mem0_id}",
        "ts": content.happened_at,
        "event_start": None if content.event_start < 0 else content.event_start,
        "event_end": None if end < 0 else end,
        "user_id": str(user_id),
        "role": "user",
        "data": content.text,
        "hash": md5(content.text.encode()).hexdigest(),
        "created_at": created_at,
        "updated_at": created_at,
        "text_lemmatized": content.text,
    }


def to_datetime(seconds: int | None) -> datetime | None:
    """None for -1 and for None."""
    return None if seconds is None or seconds < 0 else FIRST + timedelta(seconds=seconds - FIRST.timestamp())


def write_vector(vector: np.ndarray) -> bytes:
    """As pgvector sends and takes it in binary: its length, nothing, its numbers."""
    return len(vector).to_bytes(2) + bytes(2) + vector.astype(">f4").tobytes()


@contextlib.contextmanager
def copy(cursor: Any, table: str, columns: tuple[str, ...]) -> Iterator[Any]:
    """A COPY of psycopg, in binary."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cursor.copy(statement) as rows:
        yield rows
