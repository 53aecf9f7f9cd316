"""Texts to vectors by Gemini (contracts/gemini.md §6). The door is `embedder`.

``gemini-embedding-001`` is told in a field what a text is, later models in front of the text. The vectors of one model
say nothing to another: after a change of ``GEMINI_EMBEDDING_MODEL`` everything has to be embedded anew.
"""

import math
import random
import time
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings

from whatsbot.exceptions import PermanentProviderError, TransientProviderError
from whatsbot.integrations.embedder import EMBEDDERS
from whatsbot.integrations.gemini_sdk import calling_gemini

DIMENSIONS = EMBEDDERS["gemini"].dimensions
MOST_TEXTS = 100  # in one request; more are refused
MOST_BYTES = 6000  # of a text, in UTF-8: in most scripts about 2048 tokens, the limit of gemini-embedding-001


class Patience(NamedTuple):
    """How long a call may take: seconds for each attempt, how many, and the longest pause between two."""

    timeout: float
    attempts: int
    longest_pause: float


SOMEBODY_WAITS = Patience(timeout=10, attempts=2, longest_pause=1)
NOBODY_WAITS = Patience(timeout=30, attempts=6, longest_pause=70)  # quotas are counted by the minute
FIRST_PAUSE = 0.5


def embed_one(text: str, *, is_query: bool) -> list[float]:
    """One text, tried once more if that can be done at once."""
    return _keep_trying([text], is_query=is_query, patience=SOMEBODY_WAITS)[0]


def embed_passages(texts: Sequence[str]) -> list[list[float]]:
    """Many texts, `MOST_TEXTS` in a request; pauses as long as Gemini asks for."""
    vectors: list[list[float]] = []
    for start in range(0, len(texts), MOST_TEXTS):
        some = texts[start : start + MOST_TEXTS]
        vectors += _keep_trying(some, is_query=False, patience=NOBODY_WAITS)
    return vectors


def _keep_trying(texts: Sequence[str], *, is_query: bool, patience: Patience) -> list[list[float]]:
    attempt = 0
    while True:
        try:
            return _embed(texts, is_query=is_query, timeout=patience.timeout)
        except TransientProviderError as error:
            pause = FIRST_PAUSE * 2**attempt * random.uniform(0.75, 1.25)
            if error.retry_after is not None:
                pause = error.retry_after
            attempt += 1
            if attempt == patience.attempts or pause > patience.longest_pause:
                raise
        time.sleep(pause)


def _embed(texts: Sequence[str], *, is_query: bool, timeout: float) -> list[list[float]]:
    model = settings.GEMINI_EMBEDDING_MODEL
    told_by_field = model.endswith("embedding-001")
    task = "RETRIEVAL_QUERY" if is_query else "RETRIEVAL_DOCUMENT"
    lead_in = "task: search result | query: " if is_query else "title: none | text: "
    with calling_gemini() as client:
        from google.genai import types

        answer = client.models.embed_content(
            model=model,
            # A content for each text: of a plain list of texts, later models make one vector (python-genai #2523).
            contents=[
                types.Content(
                    role="user", parts=[types.Part(text=_cut(text if told_by_field else lead_in + text))]
                )
                for text in texts
            ],
            config=types.EmbedContentConfig(
                task_type=task if told_by_field else None,
                output_dimensionality=DIMENSIONS,
                http_options=types.HttpOptions(timeout=round(timeout * 1000)),
            ),
        )
    vectors = [each.values or [] for each in answer.embeddings or []]
    if not vectors:
        raise TransientProviderError("Gemini's answer has no vectors.")
    if len(vectors) != len(texts) or any(len(vector) != DIMENSIONS for vector in vectors):
        raise PermanentProviderError(
            f"Gemini's answer is not {len(texts)} vectors of {DIMENSIONS}; GEMINI_EMBEDDING_MODEL may not suit."
        )
    return [_normalize(vector) for vector in vectors]


def _cut(text: str) -> str:
    return text.encode()[:MOST_BYTES].decode(errors="ignore")


def _normalize(vector: list[float]) -> list[float]:
    """To length 1: gemini-embedding-001's are only when they have all of its 3072 dimensions."""
    length = math.hypot(*vector)
    if not 0 < length < math.inf:
        raise TransientProviderError("Gemini's answer has a vector without a direction.")
    return [value / length for value in vector]
