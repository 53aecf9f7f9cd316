"""Texts to vectors: the door to the embedder in use, ``MEMORY_EMBEDDER``.

`local_embedder` needs no key and no network, `gemini_embedder` is Google's. Vectors of one say nothing to the other, so
each has a table of its own; ``manage.py reembed_memories`` fills one from the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Protocol, cast

from django.conf import settings

from whatsbot.exceptions import MisconfiguredProvider, PermanentProviderError


@dataclass(frozen=True, slots=True)
class Embedder:
    """An embedder: how long its vectors are, and the table (Mem0's collection) that holds them."""

    name: str
    dimensions: int
    collection: str


EMBEDDERS = {
    each.name: each for each in (Embedder("local", 384, "mem0_local"), Embedder("gemini", 768, "mem0_gemini"))
}


class _Engine(Protocol):
    """What ``<name>_embedder`` does; every text has been checked by the functions below."""

    def embed_one(self, text: str, *, is_query: bool) -> list[float]: ...
    def embed_passages(self, texts: Sequence[str]) -> list[list[float]]: ...


def get_embedder(name: str | None = None) -> Embedder:
    """The embedder of this name, or the one in use. Raises MisconfiguredProvider if there is none."""
    name = settings.MEMORY_EMBEDDER if name is None else name
    if name not in EMBEDDERS:
        raise MisconfiguredProvider(f"MEMORY_EMBEDDER is not one of: {', '.join(EMBEDDERS)}.")
    return EMBEDDERS[name]


def embed_query(text: str, *, embedder: Embedder | None = None) -> list[float]:
    """The vector of a question, of length 1. Raises ProviderError."""
    return _get_engine(embedder or get_embedder()).embed_one(_check(text), is_query=True)


def embed_passage(text: str, *, embedder: Embedder | None = None) -> list[float]:
    """The vector of a memory, of length 1. Raises ProviderError."""
    return list(_embed_passage(embedder or get_embedder(), _check(text)))


def embed_passages(texts: Sequence[str], *, embedder: Embedder | None = None) -> list[list[float]]:
    """The vectors of many memories, in their order; waits where a provider asks for it. Raises ProviderError."""
    return _get_engine(embedder or get_embedder()).embed_passages([_check(text) for text in texts])


@lru_cache(maxsize=64)  # storing a memory looks for its like first, with the vector that it will have itself
def _embed_passage(embedder: Embedder, text: str) -> tuple[float, ...]:
    return tuple(_get_engine(embedder).embed_one(text, is_query=False))


def _get_engine(embedder: Embedder) -> _Engine:
    return cast(_Engine, import_module(f"whatsbot.integrations.{embedder.name}_embedder"))


def _check(text: str) -> str:
    """The text as any engine takes it: no NUL, which ends a text in C, and no half of a character."""
    text = text.replace("\0", " ").encode(errors="replace").decode()
    if not text.strip():
        raise PermanentProviderError("There is no text to embed.")
    return text
