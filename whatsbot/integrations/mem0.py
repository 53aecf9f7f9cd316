"""The semantic store: Mem0 on pgvector in our own database, one entry per memory (contracts/mem0.md).

Mem0 never decides anything here (``infer=False``): it embeds, stores and finds. Its table is made by a migration of
the `memories` app, with an index per person instead of HNSW, which loses rows under a per-person filter (B3), and
with a unique index on our key. The SDK is imported at the first use: it costs a second and 80 MB, in the worker only.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo

from whatsbot.exceptions import PermanentProviderError, TransientProviderError, UnknownOutcome
from whatsbot.integrations import embedder

COLLECTION = "mem0_local"  # one collection per embedder; the table of memories/migrations/0002
TIMEOUT_SECONDS = 10
_lock = threading.Lock()
_memory: Any = None


@dataclass(frozen=True, slots=True)
class Found:
    """An entry near a query: its id and the cosine similarity, between 0 and 1."""

    mem0_id: str
    similarity: float


def add_entry(*, user_id: int, text: str, key: str, happened_at: datetime) -> str:
    """Store one text and return its Mem0 id; safe to repeat for the same ``key``.

    The key is written into the entry, so that an entry whose id was never learnt (a worker killed in between) is found
    again instead of being stored twice. Raises ProviderError.
    """
    with _errors():
        memory = _get_memory()
        found = memory.get_all(filters={"user_id": str(user_id), "key": key}, top_k=1)["results"]
        if found:
            return str(found[0]["id"])
        added = memory.add(
            [{"role": "user", "content": text}],
            user_id=str(user_id),
            # A number, because Mem0 compares ranges numerically only (contracts/mem0.md B2).
            metadata={"key": key, "ts": int(happened_at.timestamp())},
            infer=False,
        )["results"]
        if not added:
            raise UnknownOutcome("Mem0 returned no entry for an addition.")
        return str(added[0]["id"])


def search_entries(
    *, user_id: int, query: str, limit: int, start: datetime | None = None, end: datetime | None = None
) -> list[Found]:
    """The entries of one person nearest in meaning, best first, said within half-open UTC [start, end).

    Raises ProviderError.
    """
    filters: dict[str, Any] = {"user_id": str(user_id)}
    bounds = {"gte": start and int(start.timestamp()), "lt": end and int(end.timestamp())}
    if any(bounds.values()):
        filters["ts"] = {operator: value for operator, value in bounds.items() if value is not None}
    with _errors():
        results = _get_memory().search(query, filters=filters, top_k=limit, threshold=0.0, explain=True)[
            "results"
        ]
    return [Found(str(item["id"]), float(item["score_details"]["semantic_score"])) for item in results]


def delete_entry(*, mem0_id: str) -> None:
    """Delete one entry; one that is gone already is fine. Raises ProviderError."""
    with _errors():
        try:
            _get_memory().delete(mem0_id)
        except ValueError:  # Mem0's word for an unknown id
            return


def warm_up() -> None:
    """Load the SDK and the embedder's model now (a second), so that the first message need not wait for them."""
    embedder.embed_query("warm up")
    with _errors():
        _get_memory()


def close() -> None:
    """Give Mem0's database connections back; the next call makes new ones."""
    global _memory
    with _lock:
        if _memory is not None:
            _memory.vector_store.connection_pool.close()
            _memory = None


def _get_memory() -> Any:
    """One `mem0.Memory` per process, made after any fork: psycopg's pool threads do not survive one (B3)."""
    global _memory
    with _lock:
        if _memory is None:
            _memory = _build_memory()
    return _memory


def _build_memory() -> Any:
    # Both are read once, at import: no telemetry, no notices, nothing in the home directory.
    os.environ["MEM0_TELEMETRY"] = "False"
    os.environ["MEM0_DIR"] = str(settings.DATA_DIR / "mem0")
    from mem0 import Memory
    from mem0.utils.factory import EmbedderFactory, LlmFactory

    logging.getLogger("urllib3").setLevel(logging.NOTSET)  # mem0 silences it for the whole process
    EmbedderFactory.provider_to_class["huggingface"] = f"{__name__}.LocalEmbedder"
    LlmFactory.register_provider("none", f"{__name__}.NoLanguageModel")
    memory = Memory.from_config(
        {
            "vector_store": {
                "provider": "pgvector",
                "config": {
                    "collection_name": COLLECTION,
                    "embedding_model_dims": embedder.DIMENSIONS,
                    "hnsw": False,
                    "connection_string": _conninfo(),
                    "maxconn": 5,
                },
            },
            "embedder": {"provider": "huggingface", "config": {"embedding_dims": embedder.DIMENSIONS}},
            "llm": {"provider": "none"},
            "history_db_path": ":memory:",
        }
    )
    memory.db = NoHistory()  # its SQLite history would keep deleted texts (B5)
    memory.vector_store.connection_pool.timeout = TIMEOUT_SECONDS  # 30 s by default
    memory.vector_store.connection_pool.reconnect_timeout = 2
    # Its word search scans everybody's words and only nudges the score (B1); words are our own part.
    memory.vector_store.keyword_search = lambda *args, **kwargs: None
    return memory


def _conninfo() -> str:
    parameters = connection.get_connection_params()
    wanted = ("dbname", "host", "port", "user", "password", "sslmode", "sslrootcert", "connect_timeout")
    return make_conninfo(
        **{name: parameters[name] for name in wanted if name in parameters},
        options=f"-c statement_timeout={TIMEOUT_SECONDS * 1000}",
        application_name="whatsbot-mem0",
    )


@contextmanager
def _errors() -> Iterator[None]:
    """Raise what Mem0 and its database raise as our errors."""
    try:
        yield
    except (psycopg.DataError, psycopg.ProgrammingError) as error:
        raise PermanentProviderError("The memory store refused the entry.") from error
    except psycopg.Error as error:
        if _memory is not None:
            _memory.vector_store.connection_pool.check()  # after an outage each of its connections is broken
        raise TransientProviderError("The memory store is not reachable.") from error
    except Exception as error:
        # mem0.exceptions cannot be named before the SDK is imported; ours pass through unchanged.
        if type(error).__module__ != "mem0.exceptions":
            raise
        raise TransientProviderError("The memory store could not do it.") from error


class LocalEmbedder:
    """Mem0's embedder interface (contracts/mem0.md B8) on `whatsbot.integrations.embedder`."""

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
