"""Fixtures of tests that look at both sides of the memory store, our rows and Mem0's entries."""

import functools
import hashlib
import math
import random
from collections.abc import Iterator

import pytest
from django.db import connection

from memories.words import split_words
from whatsbot.integrations import embedder, local_embedder


@pytest.fixture
def both_sides(transactional_db: None) -> Iterator[None]:
    """Transactions that commit, and no jobs and entries left behind."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local, mem0_gemini CASCADE")


@pytest.fixture
def quick_embedder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In place of the model, the sum of a random vector for each long word: texts that share words are near."""

    def embed(text: str, *, is_query: bool) -> list[float]:
        words = split_words(text)
        long = [word for word in words if len(word) > 3] or words or [text]
        vector = [sum(values) for values in zip(*map(_make_vector, long), strict=True)]
        length = math.hypot(*vector)
        return [value / length for value in vector]

    monkeypatch.setattr(local_embedder, "embed_one", embed)
    embedder._embed_passage.cache_clear()
    yield
    embedder._embed_passage.cache_clear()


@functools.cache
def _make_vector(word: str) -> list[float]:
    chance = random.Random(hashlib.sha256(word.encode()).digest())
    return [chance.gauss() for _ in range(384)]
