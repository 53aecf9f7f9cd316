"""Fill the database with made-up people as the product would have written them: ``manage.py make_demo_data``.

`demo_plan` decides who says what when; `demo_statements` and `demo_answers` write it, one stretch of time after the
other, each in one transaction. Texts come from a pool, so that each is embedded once (`demo_pool`); files are stored
once each, in the product's own way, and linked from then on.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import WhatsAppUser
from api.models import WebhookEndpoint
from backoffice.demo.answers import PARTS, TURNS
from backoffice.demo.files import SAMPLES, Sample, describe, take_in
from backoffice.demo.loading import Progress, copy_columns, copy_people, identify_memories, load_pool, reserve
from backoffice.demo.people import MOST_PEOPLE
from backoffice.demo.plan import SETTLED, Plan, Wish, make_plan
from backoffice.demo.pool import Pool, add_files, make_pool
from backoffice.demo.statements import (
    CITATIONS,
    CORRECTIONS,
    ENTRIES,
    EVENT_COLUMNS,
    FOUND,
    LINKS,
    MEMORIES,
    MESSAGES,
    REPEATS,
    SETTLE,
    TABLES,
    WORDS,
)
from backoffice.demo.times import to_microseconds
from media.models import MediaFile, MessageMedia
from media.storing import Content, store_media_file
from messaging.commands import HELP, KNOWN_BY, TZ_EXAMPLES
from messaging.recall import GREETING, NOTHING_SAVED, UNREADABLE
from messaging.turns import APOLOGY

BATCH = 50_000  # events in one transaction
MOST_TEXTS = 2600
TABLES_OF_IDS = {
    "person": "accounts_whatsappuser",
    "message": "messaging_rawmessage",
    "memory": "memories_memory",
    "turn": "messaging_interaction",
}
# What columns of events are ids of.
IDS = {kind: kind for kind in TABLES_OF_IDS} | {"target": "memory", "sends": "message"}
BIG_TABLES = (
    *TABLES_OF_IDS.values(),
    *(
        "messaging_outboundmessage",
        "messaging_deliveryevent",
        "memories_memoryword",
        "memories_memoryhistory",
    ),
    *("memories_citation", "media_messagemedia", "media_mediafile", "mem0_local"),
)
Advance = Callable[[int], object]


class NoDemoHere(Exception):
    """Made-up people cannot be written here; the message says why, for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """How much there shall be, up to when, and from how many texts; the same seed makes the same."""

    messages: int
    people: int
    memories: int
    texts: int
    seed: int
    days: int
    until: datetime


@dataclass(slots=True)
class Maker:
    """A demo that is being written. ``offsets`` are the ids in front of ours, ``written`` counts events.

    ``database`` is a connection of its own, because its temporary tables have to outlive Django's, which is given back
    while files are stored.
    """

    database: psycopg.Connection
    demo: Demo
    pool: Pool
    plan: Plan
    contents: list[Content]
    is_quiet: bool
    offsets: dict[str, int] = field(default_factory=dict)
    written: int = 0
    people: int = 0
    waiting: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))  # messages, by sample

    @property
    def counts(self) -> dict[str, int]:
        """How many messages, people and memories are there so far."""
        events = {name: self.plan.events[name][: self.written] for name in ("message", "memory")}
        return {"people": self.people} | {name: int((ids > 0).sum()) for name, ids in events.items()}


def check_place(*, may_add: bool) -> None:
    """Raise NoDemoHere where real people could come to harm, or where the vectors could not be ours."""
    if settings.MEM0_API_KEY:
        raise NoDemoHere(
            "MEM0_API_KEY is set: made-up memories would go to Mem0's platform, and be paid for."
        )
    if settings.MEMORY_EMBEDDER != "local":
        raise NoDemoHere("MEMORY_EMBEDDER is not local: every made-up text would be sent to a provider.")
    if not may_add and WhatsAppUser.objects.exists():
        raise NoDemoHere("There are people already. --add puts made-up ones beside them, for good.")
    if not _may_be_quiet() and WebhookEndpoint.objects.filter(is_enabled=True).exists():
        raise NoDemoHere(
            "Webhooks are enabled, and would be sent for everything made up. Disable them for this."
        )


def _may_be_quiet() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")
        (may,) = cursor.fetchone() or (False,)
    return bool(may)


@contextmanager
def preparing(demo: Demo, *, directory: Path, progress: Progress) -> Iterator[Maker]:
    """Make the plan and the pool, and embed it; nothing is written yet. The maker is of use within the block.

    ``directory`` holds the files until they are stored; ``progress`` wraps the stretches of texts that are embedded.
    Raises ValueError for what cannot be, and ProviderError.
    """
    contents = [take_in(sample, directory=directory) for sample in SAMPLES]
    pool = make_pool(np.random.default_rng([demo.seed, 0]), texts=demo.texts)
    add_files(pool, [describe(*each) for each in zip(SAMPLES, contents, strict=True)], SAMPLES)
    end = to_microseconds(demo.until)
    begin = to_microseconds(demo.until - timedelta(days=demo.days))
    sizes = {"messages": demo.messages, "people": demo.people, "memories": demo.memories}
    plan = make_plan(Wish(**sizes, seed=demo.seed, begin=begin, end=end), pool)
    is_quiet = _may_be_quiet()
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as database:
        with database.cursor() as cursor:
            cursor.execute(TABLES)
            load_pool(cursor, pool, contents, zones=plan.zones, progress=progress)
        yield Maker(database, demo, pool, plan, contents, is_quiet=is_quiet)


def write(maker: Maker, *, advance: Advance) -> None:
    """Write all that is planned, in batches; ``advance`` hears of messages. Raises ValueError for too many people.

    Interrupted it leaves whole batches; call `settle` then.
    """
    with maker.database.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM accounts_whatsappuser")
        (highest,) = cursor.fetchone() or (0,)
        if highest + maker.demo.people >= MOST_PEOPLE:
            raise ValueError(f"There are numbers for {MOST_PEOPLE:,} made-up people only.")
        for kind, count in maker.plan.counts.items():
            maker.offsets[kind] = reserve(cursor, TABLES_OF_IDS[kind], count)
    batches = list(maker.plan.cut(size=BATCH))
    with ThreadPoolExecutor(1) as executor:  # the next batch is got ready while PostgreSQL is at work
        ready = executor.submit(_get_columns, maker, batches[0])
        for events, following in zip_longest(batches, batches[1:]):
            columns = ready.result()
            if following:
                ready = executor.submit(_get_columns, maker, following)
            with maker.database.transaction(), maker.database.cursor() as cursor:
                waiting = _write_batch(cursor, maker, events, columns, advance=advance)
            maker.written, maker.people = events.stop, _count_people(maker, events)
            for sample, message in waiting:
                maker.waiting[sample].append(message)
            store_files(maker)


def _count_people(maker: Maker, events: slice) -> int:
    return int(maker.plan.events["person"][: events.stop].max(initial=0))


def _write_batch(
    cursor: Any, maker: Maker, events: slice, columns: dict[str, np.ndarray], *, advance: Advance
) -> list[tuple[int, int]]:
    """One stretch of time. The cursor is in a transaction. Returns samples that are not stored yet, with messages."""
    cursor.execute("SET LOCAL synchronous_commit = off; SET LOCAL work_mem = '64MB'")
    if maker.is_quiet:
        # No webhook, and no look-up for each of millions of keys: the plan keeps them (tests/backoffice).
        cursor.execute("SET LOCAL session_replication_role = replica")
    known = maker.people
    copy_people(
        cursor, maker.plan, first=maker.offsets["person"], people=range(known, _count_people(maker, events))
    )
    copy_columns(cursor, "demo_event", columns)
    cursor.execute("ANALYZE demo_event")
    values = _get_values(maker) | {f"first_{name}": _get_first(columns[name]) for name in ("memory", "turn")}
    steps = (MESSAGES, MEMORIES, WORDS, ENTRIES, CORRECTIONS, REPEATS, FOUND, TURNS, CITATIONS, LINKS, PARTS)
    messages = int((maker.plan.events["message"][events] > 0).sum())
    for number, statement in enumerate(steps):
        if statement is LINKS:
            # Its trigger counts the links of each file.
            cursor.execute("SET LOCAL session_replication_role = origin" if maker.is_quiet else "SELECT 1")
        cursor.execute(statement, values)
        if statement is LINKS and maker.is_quiet:
            cursor.execute("SET LOCAL session_replication_role = replica")
        advance(messages * (number + 1) // len(steps) - messages * number // len(steps))
    cursor.execute(
        "SELECT file, message FROM demo_event JOIN demo_file ON sample = file WHERE file_id IS NULL ORDER BY 2"
    )
    return list(cursor.fetchall())


def _get_first(ids: np.ndarray) -> int:
    """The lowest id; ids are never lower than those of the batch before."""
    return int(ids[ids > 0].min(initial=2**62))


def _get_values(maker: Maker) -> dict[str, Any]:
    return {
        "seed": str(maker.demo.seed),
        "sender": settings.TWILIO_WHATSAPP_NUMBER or "whatsapp:+12025550199",
        "account": settings.TWILIO_ACCOUNT_SID,
        "model": settings.GEMINI_MODEL,
        "end": maker.demo.until,
        "help": HELP,
        "known_by": json.dumps({source.value: text for source, text in KNOWN_BY.items()}),
        "zone_examples": f" To change it, send {TZ_EXAMPLES}",
        "apology": APOLOGY,
        "greeting": GREETING,
        "nothing_saved": NOTHING_SAVED,
        "unreadable": UNREADABLE,
    }


def _get_columns(maker: Maker, events: slice) -> dict[str, np.ndarray]:
    """The events of a batch as ``demo_event`` has them, with the ids they get here."""
    columns = {name: column[events] for name, column in maker.plan.events.items()}
    last_message = maker.plan.people["last_message"][columns["person"] - 1]
    old = to_microseconds(maker.demo.until) - SETTLED
    columns["may_hang"] = (columns["at"] == last_message) & (last_message < old)
    columns["identity"] = identify_memories(
        columns, pool=maker.pool, contents=maker.contents, seed=maker.demo.seed
    )
    for name, kind in IDS.items():
        ids = columns[name].astype(np.int64)
        columns[name] = np.where(ids > 0, ids + maker.offsets[kind], 0)
    return {name: columns[name] for name in EVENT_COLUMNS}


def store_files(maker: Maker) -> None:
    """Store the files that messages have brought for the first time, and link them to those. Safe to repeat."""
    for number, messages in list(maker.waiting.items()):
        link = MessageMedia.objects.get(raw_message_id=messages[0], position=0)
        started = timezone.now()
        file = link.file or store_media_file(link, maker.contents[number - 1])
        assert file is not None  # None is for a message that has the same file twice
        if file.created_at >= started:
            _date_file(file, link, SAMPLES[number - 1])
        with maker.database.cursor() as cursor:
            MessageMedia.objects.filter(raw_message_id__in=messages, position=0, file=None).update(file=file)
            cursor.execute("UPDATE demo_file SET file_id = %s WHERE sample = %s", [file.id, number])
        del maker.waiting[number]


def _date_file(file: MediaFile, link: MessageMedia, sample: Sample) -> None:
    """Let a new file have come with its first message, and say what a language model has said of it."""
    described_at = link.sent_at + timedelta(seconds=7) if sample.description else None
    MediaFile.objects.filter(id=file.id).update(
        created_at=link.sent_at + timedelta(seconds=1),
        stored_at=link.sent_at + timedelta(seconds=2),
        described_at=described_at,
        described_by=settings.GEMINI_MODEL if described_at else "",
        description=sample.description,
        language=sample.language,
        text=file.text or sample.text,
    )
    MessageMedia.objects.filter(id=link.id).update(tokens=1200 if described_at else 0)


def settle(maker: Maker) -> None:
    """After an interruption: bring what is written to an end, so that it is as if nothing more had been planned."""
    store_files(maker)
    first = maker.offsets.get("person", 0)
    if not maker.written:
        return
    with connection.cursor() as cursor:
        cursor.execute(SETTLE, {"first": first + 1, "last": first + maker.people})


def tidy_up() -> None:
    """Do now what autovacuum would do in time: lists count by statistics, and searches read indexes alone."""
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM (ANALYZE) {', '.join(BIG_TABLES)}")
