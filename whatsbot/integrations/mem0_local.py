"""Mem0 in process, on pgvector in our own database (contracts/mem0.md, part B). The door is `mem0`.

Its tables, one per embedder, are made by migrations of the `memories` app, with an index per person instead of HNSW,
which loses rows under a per-person filter (B3), and with a unique index on our key. The SDK is imported at the first
use: it costs a second and 80 MB, in the worker only.
"""

import math
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import DatabaseError, connection
from psycopg.conninfo import make_conninfo

from whatsbot.exceptions import PermanentProviderError, TransientProviderError, UnknownOutcome
from whatsbot.integrations import embedder
from whatsbot.integrations.mem0 import Content, Entry, Found, Within
from whatsbot.integrations.mem0_sdk import prepare_sdk

TIMEOUT_SECONDS = 10
_lock = threading.Lock()
_memory: Any = None


def add(*, user_id: int, key: str, content: Content) -> str:
    """Insert an entry; the unique index on person and key refuses a second one."""
    with _errors() as memory:
        try:
            added = memory.add(
                [{"role": "user", "content": _clean(content.text)}],
                user_id=str(user_id),
                metadata={"key": key} | _times(content),
                infer=False,
            )["results"]
        except psycopg.errors.UniqueViolation:  # another worker was first, since we looked
            return find_by_key(user_id=user_id, key=key)[0]
        if not added:
            raise UnknownOutcome("Mem0 returned no entry for an addition.")
        return str(added[0]["id"])


def find_by_key(*, user_id: int, key: str) -> list[str]:
    """At most one: the index on the key is unique."""
    with _errors() as memory:
        found = memory.get_all(filters={"user_id": str(user_id), "key": key}, top_k=1)["results"]
        return [str(item["id"]) for item in found]


def search(*, user_id: int, query: str, limit: int, within: Within) -> list[Found]:
    """An exact scan of this person's entries, by cosine."""
    with _errors():
        vector = embedder.embed_query(query)
    return _search(vector, limit=limit, filters={"user_id": str(user_id)} | _range(within))


def find_similar(*, user_id: int, text: str, limit: int) -> list[Found]:
    """By cosine of passages, so that the same text has 1."""
    with _errors():
        vector = embedder.embed_passage(_clean(text))
    return _search(vector, limit=limit, filters={"user_id": str(user_id)})


def _search(vector: list[float], *, limit: int, filters: dict[str, Any]) -> list[Found]:
    # Not `Memory.search`: that fetches four times as many rows, to score them by words of everybody (B1).
    with _errors() as memory:
        rows = memory.vector_store.search(query="", vectors=vector, top_k=limit, filters=filters)
    return [Found(str(row.id), float(row.score)) for row in rows]


def get(*, user_id: int, mem0_id: str) -> Entry | None:
    """Mem0's own call knows no person, so whose it is, is checked here (B1)."""
    if not _is_uuid(mem0_id):
        return None
    with _errors() as memory:
        row = memory.vector_store.get(vector_id=mem0_id)
    return _read(row) if row and row.payload.get("user_id") == str(user_id) else None


def update(*, user_id: int, mem0_id: str, content: Content) -> bool:
    """Embed the text anew and replace the times."""
    if get(user_id=user_id, mem0_id=mem0_id) is None:
        return False
    with _errors() as memory:
        try:
            memory.update(mem0_id, text=_clean(content.text), metadata=_times(content))
        except ValueError:  # Mem0's word for an unknown id: deleted in between
            return False
    return True


def delete(*, user_id: int, mem0_id: str) -> None:
    """From the table in use, and from those of other embedders."""
    if _is_uuid(mem0_id):
        _delete_rows("id = %s AND payload->>'user_id' = %s", mem0_id, str(user_id))


def delete_all(*, user_id: int) -> None:
    """From the table in use, and from those of other embedders."""
    _delete_rows("payload->>'user_id' = %s", str(user_id))


def _delete_rows(condition: str, *parameters: str) -> None:
    # Not `Memory.delete`: it knows one table and deletes row by row. What an earlier embedder stored must go as well.
    with _errors(), connection.cursor() as cursor:
        for each in embedder.EMBEDDERS.values():
            cursor.execute(f'DELETE FROM "{each.collection}" WHERE {condition}', parameters)


def list_entries(*, user_id: int) -> Iterator[Entry]:
    """All rows of this person at once: at most some ten thousand."""
    with _errors() as memory:
        rows = memory.vector_store.list(filters={"user_id": str(user_id)}, top_k=None)[0]
    yield from map(_read, rows)


def list_user_ids() -> Iterator[int]:
    """Of the table in use."""
    with _errors(), connection.cursor() as cursor:
        collection = embedder.get_embedder().collection
        cursor.execute(f"SELECT DISTINCT payload->>'user_id' FROM \"{collection}\"")
        rows = cursor.fetchall()
    yield from (int(user_id) for (user_id,) in rows)


def check() -> None:
    """The table in use and the operator searches are made with, without the SDK: web processes do without it."""
    collection = embedder.get_embedder().collection
    try:
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT vector <=> vector FROM "{collection}" LIMIT 1')
    except DatabaseError as error:
        raise TransientProviderError("The memory store's table does not answer.") from error


def warm_up() -> None:
    """Import the SDK, open its pool, load the model."""
    with _errors():
        embedder.embed_query("warm up")


def close() -> None:
    """Give Mem0's database connections back."""
    global _memory
    with _lock:
        if _memory is not None:
            _memory.vector_store.connection_pool.close()
            _memory = None


def _times(content: Content) -> dict[str, int | None]:
    """Times as numbers, because Mem0 compares ranges numerically only (B2)."""
    return dict(zip(("ts", "event_start", "event_end"), content.in_seconds(), strict=True))


def _range(within: Within) -> dict[str, Any]:
    """Said within the range, or taking place in it. Whole seconds, rounded outwards."""
    start, end = within
    first, last = start and math.floor(start.timestamp()), end and math.ceil(end.timestamp())
    said = {name: value for name, value in (("gte", first), ("lt", last)) if value is not None}
    if not said:
        return {}
    takes_place: dict[str, Any] = {}
    if last is not None:
        takes_place["event_start"] = {"lt": last}
    if first is not None:
        takes_place["event_end"] = {"gt": first}
    return {"$or": [{"ts": said}, takes_place]}  # as Mem0 hands "OR" to its store


def _read(row: Any) -> Entry:
    payload = row.payload
    return Entry(
        mem0_id=str(row.id),
        user_id=int(payload["user_id"]),
        key=payload.get("key", ""),
        content=Content(
            text=payload.get("data", ""),
            happened_at=datetime.fromtimestamp(payload["ts"], UTC),
            event_start=_read_time(payload.get("event_start")),
            event_end=_read_time(payload.get("event_end")),
        ),
    )


def _read_time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _clean(text: str) -> str:
    return text.replace("\0", " ")  # PostgreSQL's jsonb refuses it (B3)


def _is_uuid(mem0_id: str) -> bool:
    try:
        uuid.UUID(mem0_id)
    except ValueError:
        return False
    return True


@contextmanager
def _errors() -> Iterator[Any]:
    """Give the process's `mem0.Memory`, and raise what it and its database raise as our errors."""
    try:
        yield _get_memory()
    except (psycopg.DataError, psycopg.ProgrammingError, psycopg.IntegrityError) as error:
        raise PermanentProviderError("The memory store refused the entry.") from error
    except psycopg.Error as error:
        if _memory is not None:
            _memory.vector_store.connection_pool.check()  # after an outage each of its connections is broken
        raise TransientProviderError("The memory store is not reachable.") from error
    except DatabaseError as error:  # through Django's connection
        raise TransientProviderError("The memory store is not reachable.") from error
    except Exception as error:
        # mem0.exceptions cannot be named before the SDK is imported; ours pass through unchanged.
        if type(error).__module__ != "mem0.exceptions":
            raise
        raise TransientProviderError("The memory store could not do it.") from error


def _get_memory() -> Any:
    """One `mem0.Memory` per process, made after any fork: psycopg's pool threads do not survive one (B3)."""
    global _memory
    with _lock:
        if _memory is None:
            _memory = _build_memory()
    return _memory


def _build_memory() -> Any:
    prepare_sdk()
    from mem0 import Memory
    from mem0.utils.factory import EmbedderFactory, LlmFactory

    in_use = embedder.get_embedder()
    EmbedderFactory.provider_to_class["huggingface"] = f"{__name__}.OurEmbedder"
    LlmFactory.register_provider("none", f"{__name__}.NoLanguageModel")
    memory = Memory.from_config(
        {
            "vector_store": {
                "provider": "pgvector",
                "config": {
                    "collection_name": in_use.collection,
                    "embedding_model_dims": in_use.dimensions,
                    "hnsw": False,
                    "connection_string": _conninfo(),
                    "maxconn": 5,
                },
            },
            "embedder": {"provider": "huggingface", "config": {"embedding_dims": in_use.dimensions}},
            "llm": {"provider": "none"},
            "history_db_path": ":memory:",
        }
    )
    memory.db = (
        NoHistory()
    )  # its SQLite history would keep deleted texts (B5); ours is `memories.MemoryHistory`
    memory.vector_store.connection_pool.timeout = TIMEOUT_SECONDS  # 30 s by default
    memory.vector_store.connection_pool.reconnect_timeout = 2
    return memory


def _conninfo() -> str:
    parameters = connection.get_connection_params()
    wanted = ("dbname", "host", "port", "user", "password", "sslmode", "sslrootcert", "connect_timeout")
    return make_conninfo(
        **{name: parameters[name] for name in wanted if name in parameters},
        options=f"-c statement_timeout={TIMEOUT_SECONDS * 1000}",
        application_name="whatsbot-mem0",
    )


class OurEmbedder:
    """Mem0's embedder interface (B8) on `whatsbot.integrations.embedder`."""

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def embed(self, text: str, memory_action: str | None = "add") -> list[float]:
        """Embed as a question when Mem0 searches, as a passage when it stores."""
        return embedder.embed_query(text) if memory_action == "search" else embedder.embed_passage(text)


class NoLanguageModel:
    """Mem0 insists on a language model; with ``infer=False`` it has none to ask."""

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def generate_response(self, *args: Any, **kwargs: Any) -> str:
        """Refuse: a call here would mean that Mem0 decides what a fact is."""
        raise PermanentProviderError("Mem0 asked for a language model.")


class NoHistory:
    """Takes the place of Mem0's SQLite history: keeps nothing, knows nothing."""

    def add_history(self, *args: Any, **kwargs: Any) -> None:
        """Forget the edit."""

    def batch_add_history(self, *args: Any, **kwargs: Any) -> None:
        """Forget the edits."""

    def save_messages(self, *args: Any, **kwargs: Any) -> None:
        """Forget the messages."""

    def get_history(self, *args: Any, **kwargs: Any) -> list[Any]:
        """No edit was kept."""
        return []

    def get_last_messages(self, *args: Any, **kwargs: Any) -> list[Any]:
        """No message was kept."""
        return []

    def reset(self) -> None:
        """Nothing to reset."""

    def close(self) -> None:
        """Nothing to close."""
