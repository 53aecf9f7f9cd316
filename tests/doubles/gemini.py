"""A Gemini of our own for tests: embeddings over loopback HTTP, with faults on demand.

It speaks the protocol of contracts/gemini.md §6, §7 and §9 and refuses what Google would refuse, so that the real SDK,
also in other processes, cannot tell the difference. Its vectors mean something: texts that share words are near.
"""

import hashlib
import math
import re
import threading
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from tests.doubles.gemini_http import Handler
from tests.doubles.http_server import DoubleServer

Operation = Literal["batchEmbedContents"]
Kind = Literal[
    "error",  # the given HTTP status and word, with RetryInfo or Retry-After if given
    "hang",  # silence for the given seconds
    "reset",  # the connection is dropped
    "junk",  # 200 and a page of HTML
    "empty",  # 200 and an empty JSON object
    "wrong_count",  # one vector too few
    "no_direction",  # the first vector is all zeros
]


@dataclass(frozen=True)
class Fault:
    """What the next request of a kind meets instead of an answer."""

    kind: Kind
    status: int = 500
    word: str = "INTERNAL"
    retry_delay: str | None = None  # of RetryInfo, like "34s"
    retry_after: str | None = None  # the header
    seconds: float = 5.0


@dataclass(frozen=True)
class EmbeddedText:
    """A text that was embedded: as it came, and what it was said to be."""

    model: str
    text: str
    task: str | None  # the field taskType, which only gemini-embedding-001 reads
    dimensions: int


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    path: str
    server_timeout: str | None  # the header the SDK makes of the timeout, in seconds


class GeminiDouble:
    """The service, and what to do with the next requests. Any thread may call any method."""

    def __init__(self, *, api_key: str) -> None:
        self.api_key = api_key
        self.requests: list[Request] = []
        self.embedded: list[EmbeddedText] = []
        self.closing = threading.Event()
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._server = DoubleServer(self, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        """What to set GEMINI_BASE_URL to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def fail_next(self, operation: Operation, *, kind: Kind, times: int = 1, **details: Any) -> None:
        """Let the next ``times`` requests of one operation meet a fault; ``details`` are fields of Fault."""
        with self._lock:
            self._faults[operation].extend([Fault(kind, **details)] * times)

    # What the HTTP side calls

    def take_fault(self, operation: str) -> Fault | None:
        """The fault the next request of this operation meets, if any."""
        with self._lock:
            faults = self._faults[operation]
            return faults.popleft() if faults else None

    def embed(self, *, model: str, text: str, task: str | None, dimensions: int) -> list[float]:
        """The vector of a text that was asked for over HTTP."""
        with self._lock:
            self.embedded.append(EmbeddedText(model, text, task, dimensions))
        return make_vector(text, model=model, dimensions=dimensions)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Let go of hanging requests and stop."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=25)


def make_vector(text: str, *, model: str, dimensions: int) -> list[float]:
    """A vector of the words of a text, the same every time; what is said before the text of its task does not count.

    Like Google's: gemini-embedding-001 gives less than its full 3072 dimensions un-normalised.
    """
    text = re.sub(r"^(task: [^|]* \| query: |title: [^|]* \| text: )", "", text)
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()) or [text]
    vector = [0.0] * dimensions
    for word in words:
        for place, sign in _spread(f"{model}/{word}", dimensions):
            vector[place] += sign
    length = math.hypot(*vector) or 1.0
    scale = 0.7 if model == "gemini-embedding-001" and dimensions < 3072 else 1.0
    return [scale * value / length for value in vector]


@lru_cache(maxsize=4096)
def _spread(feature: str, dimensions: int) -> tuple[tuple[int, float], ...]:
    """Where in a vector a word has its share, and with which sign."""
    digest = hashlib.sha256(feature.encode()).digest()
    pairs = (int.from_bytes(digest[start : start + 4]) for start in range(0, 32, 4))
    return tuple((number // 2 % dimensions, 1.0 if number % 2 else -1.0) for number in pairs)


@contextmanager
def running_gemini_double(*, api_key: str = "key-of-the-double") -> Iterator[GeminiDouble]:
    """A double that answers on a free loopback port until the block ends."""
    double = GeminiDouble(api_key=api_key)
    double.start()
    try:
        yield double
    finally:
        double.close()
