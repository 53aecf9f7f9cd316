"""A Gemini of our own for tests: answers, embeddings and files over loopback HTTP, with faults on demand.

It speaks the protocol of contracts/gemini.md §4, §6, §7 and §9 and refuses what Google would refuse, so that the real
SDK, also in other processes, cannot tell the difference. What the model says is scripted (gemini_model.py). Its vectors
mean something: texts that share words are near.

    python -m tests.doubles.gemini    plays Gemini, with a model of a few rules, until Ctrl-C
"""

import argparse
import hashlib
import math
import re
import threading
import traceback
import unicodedata
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from http.server import ThreadingHTTPServer
from itertools import count
from typing import Any, Literal

from tests.doubles.gemini_fields import Refusal
from tests.doubles.gemini_files import Files
from tests.doubles.gemini_http import Handler
from tests.doubles.gemini_model import Answer, Json, Model, ModelRequest, Reply
from tests.doubles.gemini_rules import describe_file, follow_rules
from tests.doubles.gemini_signatures import Ledger
from tests.doubles.http_server import DoubleServer

Operation = Literal[
    "batchEmbedContents",
    "generateContent",  # of a turn
    "describe",  # generateContent that describes a file
    "startUpload",
    "upload",  # of the bytes
    "getFile",
    "deleteFile",
    "listFiles",
]
Kind = Literal[
    "error",  # the given HTTP status and word, with RetryInfo or Retry-After if given
    "hang",  # silence for the given seconds, then the connection is closed
    "slow",  # the answer comes after the given seconds
    "reset",  # the connection is dropped
    "cut",  # the answer ends in the middle
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
    method: str = "POST"


class GeminiDouble:
    """The service, and what to do with the next requests. Any thread may call any method.

    ``calls`` are the valid generateContent requests in the order of their arrival, also those that then met a fault;
    ``answered`` are those whose answer was written to the end. Each takes ``model_seconds``. Requests that describe a
    file are not among them but in ``descriptions`` and ``described``; what was uploaded is in ``files``.
    """

    def __init__(self, *, api_key: str, port: int = 0) -> None:
        self.api_key = api_key
        self.requests: list[Request] = []
        self.embedded: list[EmbeddedText] = []
        self.calls: list[ModelRequest] = []
        self.answered: list[ModelRequest] = []
        self.descriptions: list[ModelRequest] = []
        self.described: list[ModelRequest] = []
        self.files = Files()
        self.script_errors: list[Exception] = []  # what a model of `play` or `describe_with` raised
        self.model_seconds = 0.0
        self.closing = threading.Event()
        self._model: Model | None = None
        self._describe: Model = describe_file
        self._replies: deque[Reply] = deque()
        self._ledger = Ledger()
        self._numbers = count(1)
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        """What to set GEMINI_BASE_URL to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    # What tests arrange

    def fail_next(self, operation: Operation, *, kind: Kind, times: int = 1, **details: Any) -> None:
        """Let the next ``times`` requests of one operation meet a fault; ``details`` are fields of Fault."""
        with self._lock:
            self._faults[operation].extend([Fault(kind, **details)] * times)

    def play(self, model: Model | None) -> None:
        """Let ``model`` answer every request for which no reply is queued. Any thread may call it."""
        with self._lock:
            self._model = model

    def describe_with(self, model: Model | None) -> None:
        """Let ``model`` answer requests for the description of a file; without it they get that of gemini_rules."""
        with self._lock:
            self._describe = model or describe_file

    def enqueue(self, *replies: Reply) -> None:
        """Queue replies for the next requests of turns, whatever they ask."""
        with self._lock:
            self._replies.extend(replies)

    @property
    def queued(self) -> int:
        """How many queued replies nobody has been given."""
        with self._lock:
            return len(self._replies)

    # What the HTTP side calls

    def note_request(self, path: str, server_timeout: str | None, method: str) -> None:
        """Record a request, whatever becomes of it."""
        with self._lock:
            self.requests.append(Request(path, server_timeout, method))

    def take_fault(self, operation: Operation) -> Fault | None:
        """The fault the next request of this operation meets, if any."""
        with self._lock:
            faults = self._faults[operation]
            return faults.popleft() if faults else None

    def embed(self, *, model: str, text: str, task: str | None, dimensions: int) -> list[float]:
        """The vector of a text that was asked for over HTTP."""
        with self._lock:
            self.embedded.append(EmbeddedText(model, text, task, dimensions))
        return make_vector(text, model=model, dimensions=dimensions)

    def receive(self, request: ModelRequest) -> None:
        """Check what the double alone can know, and record the request."""
        self._ledger.check(request.contents, model=request.model)
        with self._lock:
            (self.descriptions if request.is_description else self.calls).append(request)

    def ask_model(self, request: ModelRequest) -> tuple[Json, Callable[[], None]]:
        """The body of the answer, and what to call if it is not delivered. Raises Refusal without a script."""
        queued: Reply | None = None
        with self._lock:
            model: Model | None = self._describe if request.is_description else self._model
            if self._replies and not request.is_description:
                queued = self._replies.popleft()
        reply = queued or self._think(model, request)
        spoken = reply.without_calls() if request.mode == "NONE" else reply
        parts = self._ledger.issue(spoken, model=request.model)
        answer = Answer(
            reply=spoken, request=request, parts=parts, response_id=f"response_{next(self._numbers)}"
        )

        def give_back() -> None:
            if queued:
                with self._lock:
                    self._replies.appendleft(queued)

        return answer.to_json(), give_back

    def _think(self, model: Model | None, request: ModelRequest) -> Reply:
        if model is None:
            text = "The test has not said what the model answers: call play() or enqueue() of the double."
            raise Refusal(500, "INTERNAL", text)
        try:
            return model(request)
        except Exception as error:
            traceback.print_exception(error)
            with self._lock:
                self.script_errors.append(error)
            raise Refusal(500, "INTERNAL", f"The model of the test failed: {error}") from None

    @contextmanager
    def answering(self, request: ModelRequest) -> Iterator[None]:
        """Record a request as answered, before its reader can look; not if the writing fails."""
        answered = self.described if request.is_description else self.answered
        with self._lock:
            answered.append(request)
        try:
            yield
        except OSError:
            with self._lock:
                answered.remove(request)
            raise

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Let go of hanging requests and stop."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=25)


class _Server(DoubleServer[GeminiDouble]):
    def __init__(self, double: GeminiDouble, port: int) -> None:
        ThreadingHTTPServer.__init__(self, ("127.0.0.1", port), Handler)
        self.double = double


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
def running_gemini_double(*, api_key: str = "key-of-the-double", port: int = 0) -> Iterator[GeminiDouble]:
    """A double that answers on a loopback port, a free one if none is given, until the block ends.

    What a model of `play` or `describe_with` raised in a thread of the server is raised here at the end, so that no
    test overlooks it.
    """
    double = GeminiDouble(api_key=api_key, port=port)
    double.start()
    try:
        yield double
    finally:
        double.close()
    if double.script_errors:
        raise double.script_errors[0]


def main() -> None:
    """Play Gemini with a model of a few rules until Ctrl-C."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each answer of the model takes")
    parser.add_argument("--api-key", default="key-of-the-double")
    options = parser.parse_args()
    with (
        suppress(KeyboardInterrupt),
        running_gemini_double(api_key=options.api_key, port=options.port) as double,
    ):
        double.model_seconds = options.seconds
        double.play(follow_rules)
        print(f"GEMINI_BASE_URL={double.base_url}\nGEMINI_API_KEY={options.api_key}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
