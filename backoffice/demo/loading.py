"""Getting a plan into the database: copying columns and people, and the pool with its vectors and words."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from psycopg import sql

from backoffice.demo.events import Shape
from backoffice.demo.files import SAMPLES
from backoffice.demo.people import LANGUAGES, make_person
from backoffice.demo.plan import Plan
from backoffice.demo.pool import Pool, identify
from backoffice.demo.texts import PLACES
from backoffice.demo.times import EPOCH, to_datetime
from media.storing import Content
from memories.sameness import identify_key
from memories.store import MOST
from memories.words import count_words
from messaging import wording
from messaging.wording_texts import TEXTS
from whatsbot.integrations import embedder

EMBEDDED = 32  # texts at a time, after which the progress bar moves
Progress = Callable[[range], Iterable[int]]
PERSON_COLUMNS = (
    *(
        "id",
        "whatsapp_id",
        "phone_number",
        "business_scoped_id",
        "profile_name",
        "name",
        "timezone",
        "timezone_source",
    ),
    *("memories_numbered", "timezone_asked_at", "opted_out_at", "last_inbound_at", "created_at"),
)
_NOON = datetime(2026, 6, 1, 12, 34)  # noqa: DTZ001  # a time on any clocks, looked for in what we say of a zone


def copy_columns(cursor: Any, table: str, columns: Mapping[str, np.ndarray]) -> None:
    """COPY arrays of numbers (and of 16 bytes, for a UUID) into a table: PostgreSQL's binary format, made by numpy."""
    count = len(next(iter(columns.values())))
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, column in columns.items():
        fields += [(f"size of {name}", ">i4"), (name, "V16" if column.dtype.kind == "V" else ">i8")]
    rows = np.zeros(count, dtype=fields)
    rows["fields"] = len(columns)
    for name, column in columns.items():
        rows[f"size of {name}"] = rows.dtype[name].itemsize
        rows[name] = column
    with cursor.copy(_copy_into(table, columns, " (FORMAT binary)")) as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        copy.write(rows.tobytes())
        copy.write(b"\xff\xff")


def copy_rows(cursor: Any, table: str, columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """COPY rows into a table."""
    with cursor.copy(_copy_into(table, columns)) as copy:
        for row in rows:
            copy.write_row(row)


def _copy_into(table: str, columns: Iterable[str], options: str = "") -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN" + options).format(sql.Identifier(table), names)


def reserve(cursor: Any, table: str, count: int) -> int:
    """Take as many ids of a table; they begin behind the number that is returned.

    Not for a bot that is at work: whoever takes an id at this very moment takes one of these.
    """
    if not count:
        return 0
    cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
    (sequence,) = cursor.fetchone()
    cursor.execute(
        f"SELECT setval(%s, CASE WHEN is_called THEN last_value ELSE 0 END + %s) FROM {sequence}",
        [sequence, count],
    )
    (last,) = cursor.fetchone()
    return int(last) - count


def copy_people(cursor: Any, plan: Plan, *, first: int, people: range) -> None:
    """Write some of the people of a plan, whose ids begin behind ``first``."""
    columns = {name: plan.people[name][people.start : people.stop].tolist() for name in plan.people}

    def at(name: str, index: int) -> datetime | None:
        return to_datetime(columns[name][index]) if columns[name][index] else None

    def make(index: int) -> tuple[Any, ...]:
        drawn = {name: columns[name][index] for name in ("home", "hides", "chose", "language", "roll")}
        person = make_person(first + people.start + index + 1, **drawn)
        return (
            *(
                person.id,
                person.whatsapp_id,
                person.phone_number,
                person.business_scoped_id,
                person.profile_name,
            ),
            *(person.name, person.timezone, person.timezone_source, columns["memories"][index]),
            *(at(name, index) for name in ("asked_at", "stopped_at", "last_message", "created_at")),
        )

    copy_rows(cursor, "accounts_whatsappuser", PERSON_COLUMNS, map(make, range(len(people))))


def identify_memories(
    columns: Mapping[str, np.ndarray], *, pool: Pool, contents: list[Content], seed: int
) -> np.ndarray:
    """What makes each memory, and what each is corrected to, one (memories/sameness.py); nothing for other events."""
    names = ("shape", "text", "day", "is_daily", "starts_at", "ends_at", "memory", "file", "said")
    plain: dict[int, bytes] = {}
    identities = []
    for shape, text, day, is_daily, starts_at, ends_at, memory, file, said in zip(
        *(columns[name].tolist() for name in names), strict=True
    ):
        words = pool.phrases[text].text
        if not memory and shape != Shape.CORRECTED:
            identity = bytes(16)
        elif shape == Shape.DIRECT:
            identity = identify_key(f"demo:{seed}:{memory}").bytes
        elif shape == Shape.FILE:
            identity = identify_key(f"file:{contents[file - 1].sha256}:{pool.phrases[said].text}").bytes
        elif is_daily:
            identity = identify(words, EPOCH.date() + timedelta(days=day)).bytes
        elif starts_at:
            ends = to_datetime(ends_at) if ends_at else None
            identity = identify(words, event_start=to_datetime(starts_at), event_end=ends).bytes
        else:
            identity = plain[text] = plain.get(text) or identify(words).bytes
        identities.append(identity)
    return np.frombuffer(b"".join(identities), dtype="V16")


def load_pool(
    cursor: Any,
    pool: Pool,
    contents: list[Content],
    *,
    zones: Iterable[str],
    progress: Progress,
) -> None:
    """Put the pool into the temporary tables, with the vectors of what is remembered. Raises ProviderError.

    ``progress`` wraps the stretches of texts that are embedded, for a progress bar.
    """
    vectors: dict[int, str] = {}
    remembered = pool.remembered
    for start in progress(range(0, len(remembered), EMBEDDED)):
        some = remembered[start : start + EMBEDDED]
        embedded = embedder.embed_passages([pool.phrases[index].text for index in some])
        vectors |= {index: str(vector) for index, vector in zip(some, embedded, strict=True)}
    counts = {index: count_words(pool.phrases[index].text) for index in remembered}
    copy_rows(
        cursor,
        "demo_phrase",
        ("id", "text", "type", "vector", "word_count"),
        (
            (
                index,
                phrase.text,
                phrase.type,
                vectors.get(index),
                counts[index].total() if index in counts else 0,
            )
            for index, phrase in enumerate(pool.phrases)
        ),
    )
    copy_rows(
        cursor,
        "demo_word",
        ("phrase", "word", "count"),
        ((index, word, min(count, MOST)) for index in remembered for word, count in counts[index].items()),
    )
    copy_rows(
        cursor,
        "demo_place",
        ("phrase", "latitude", "longitude", "label", "address"),
        ((index, *place) for index, place in zip(pool.places.tolist(), PLACES, strict=True)),
    )
    copy_rows(
        cursor,
        "demo_file",
        ("sample", "file_name", "content_type", "message_type"),
        (
            (number, sample.file_name, content.content_type, _name_message(content))
            for number, (sample, content) in enumerate(zip(SAMPLES, contents, strict=True), 1)
        ),
    )
    copy_rows(
        cursor,
        "demo_saying",
        ("language", *_say("en")),
        ((n, *_say(each).values()) for n, each in enumerate(LANGUAGES)),
    )
    copy_rows(
        cursor,
        "demo_zone",
        ("zone", "language", "question"),
        ((zone, n, _ask_zone(zone, each)) for zone in sorted(set(zones)) for n, each in enumerate(LANGUAGES)),
    )
    for table in ("demo_phrase", "demo_word"):
        cursor.execute(f"ANALYZE {table}")


def _name_message(content: Content) -> str:
    """Twilio's type of a message with such a file."""
    beginning = content.content_type.partition("/")[0]
    return beginning if beginning in ("image", "audio") else "document"


def _say(language: str) -> dict[str, str]:
    """What our own code says, with 11111 and 22222 where numbers and texts go."""
    language = language if language in TEXTS else "en"
    return {
        "saved": wording.say_saved(numbers=[11111], language=language),
        "saved_two": wording.say_saved(numbers=[11111, 22222], language=language),
        "corrected": wording.say_corrected(numbers=[11111], language=language),
        "known": wording.say_known(pairs=[(11111, "22222")], language=language),
        "away": wording.say_model_away(language=language),
    }


def _ask_zone(zone: str, language: str) -> str:
    """The question about a guessed zone, asked at 12:34."""
    language = language if language in TEXTS else "en"
    return wording.ask_zone(zone=ZoneInfo(zone), now=_NOON.replace(tzinfo=ZoneInfo(zone)), language=language)
