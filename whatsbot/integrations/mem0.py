"""The semantic store: one Mem0 entry per memory, in our own database or on Mem0's platform (contracts/mem0.md).

Mem0 never decides anything here (``infer=False``): it embeds, stores and finds. Two backends do the same behind these
functions: `mem0_platform` when ``MEM0_API_KEY`` is set, else `mem0_local`. Every call is about one person, whose id is
checked here, so that nothing without a scope can leave the process. All raise `ProviderError` and nothing else.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Protocol, cast

from django.conf import settings

from whatsbot.exceptions import PermanentProviderError

MOST_FOUND = 1000  # the platform's limit for one search (contract C3)


@dataclass(frozen=True, slots=True)
class Found:
    """An entry near a query: its id and its similarity, about between 0 and 1."""

    mem0_id: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What an entry says: a text, when it was said, and when it takes place, if it does (half-open, UTC)."""

    text: str
    happened_at: datetime
    event_start: datetime | None = None
    event_end: datetime | None = None

    def in_seconds(self) -> tuple[int, int | None, int | None]:
        """Its times as both backends keep them: whole seconds, events rounded outwards, one without end lasts one."""
        said = math.floor(self.happened_at.timestamp())
        if self.event_start is None:
            return said, None, None
        start = math.floor(self.event_start.timestamp())
        return said, start, math.ceil(self.event_end.timestamp()) if self.event_end else start + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What Mem0 holds of one memory. ``key`` is ours: an entry whose id was never learnt is found again by it."""

    mem0_id: str
    user_id: int
    key: str
    content: Content


Within = tuple[datetime | None, datetime | None]  # half-open, UTC; None leaves that side open
ALWAYS: Within = (None, None)


class Backend(Protocol):
    """What both backends can do; every argument has been checked by the functions below."""

    def add(self, *, user_id: int, key: str, content: Content) -> str: ...
    def find_by_key(self, *, user_id: int, key: str) -> list[str]: ...
    def search(self, *, user_id: int, query: str, limit: int, within: Within) -> list[Found]: ...
    def find_similar(self, *, user_id: int, text: str, limit: int) -> list[Found]: ...
    def get(self, *, user_id: int, mem0_id: str) -> Entry | None: ...
    def update(self, *, user_id: int, mem0_id: str, content: Content) -> bool: ...
    def delete(self, *, user_id: int, mem0_id: str) -> None: ...
    def delete_all(self, *, user_id: int) -> None: ...
    def list_entries(self, *, user_id: int) -> Iterator[Entry]: ...
    def list_user_ids(self) -> Iterator[int]: ...
    def check(self) -> None: ...
    def warm_up(self) -> None: ...
    def close(self) -> None: ...


def add_entry(*, user_id: int, key: str, content: Content) -> str:
    """Store one text and return its Mem0 id; safe to repeat for the same ``key``.

    The key is written into the entry, so that an entry whose id was never learnt (a worker killed in between) is found
    again instead of being stored twice. Two calls with one key at the same moment are the caller's to prevent.
    """
    found = _backend().find_by_key(user_id=_scope(user_id), key=key)
    return found[0] if found else _backend().add(user_id=user_id, key=key, content=content)


def search_entries(*, user_id: int, query: str, limit: int, within: Within = ALWAYS) -> list[Found]:
    """The entries of one person nearest to a question, best first.

    ``within`` keeps what was said or takes place in that range; the platform may return more, so filter again.
    """
    query = _clean(query)
    if not query:
        return []
    limit = min(limit, MOST_FOUND)
    return _backend().search(user_id=_scope(user_id), query=query, limit=limit, within=within)


def find_similar_entries(*, user_id: int, text: str, limit: int) -> list[Found]:
    """The entries of one person that say nearly what ``text`` says, best first."""
    text = _clean(text)
    if not text:
        return []
    return _backend().find_similar(user_id=_scope(user_id), text=text, limit=min(limit, MOST_FOUND))


def get_entry(*, user_id: int, mem0_id: str) -> Entry | None:
    """One entry, or None if this person has no such entry."""
    return _backend().get(user_id=_scope(user_id), mem0_id=mem0_id)


def update_entry(*, user_id: int, mem0_id: str, content: Content) -> bool:
    """Let an entry say something else. Returns False if this person has no such entry."""
    return _backend().update(user_id=_scope(user_id), mem0_id=mem0_id, content=content)


def delete_entry(*, user_id: int, mem0_id: str) -> None:
    """Delete one entry of this person; one that is gone already is fine."""
    _backend().delete(user_id=_scope(user_id), mem0_id=mem0_id)


def delete_entries_of_user(*, user_id: int) -> None:
    """Delete all entries of one person, and return when they are gone."""
    _backend().delete_all(user_id=_scope(user_id))


def list_entries(*, user_id: int) -> Iterator[Entry]:
    """All entries of one person, in no order."""
    return _backend().list_entries(user_id=_scope(user_id))


def list_user_ids() -> Iterator[int]:
    """Everybody Mem0 has entries of, whether we know them or not."""
    return _backend().list_user_ids()


def check() -> None:
    """Ask the store something small; returns if it answers as it should."""
    _backend().check()


def warm_up() -> None:
    """Load the SDK and the embedder's model now (a second), so that the first message need not wait for them."""
    _backend().warm_up()


def close() -> None:
    """Give connections back; the next call makes new ones."""
    _backend().close()


def _backend() -> Backend:
    # Imported by name, because both backends import this module for its types.
    name = "mem0_platform" if settings.MEM0_API_KEY else "mem0_local"
    return cast(Backend, import_module(f"whatsbot.integrations.{name}"))


def _clean(text: str) -> str:
    """What to look for, without the NUL characters no store takes."""
    return text.replace("\0", " ").strip()


def _scope(user_id: int) -> int:
    """The id of a person as it came, or an error: ``"*"`` and None would mean everybody (contract B1, C2)."""
    if type(user_id) is not int or user_id < 1:
        raise PermanentProviderError("A call to the memory store is not about one person.")
    return user_id
