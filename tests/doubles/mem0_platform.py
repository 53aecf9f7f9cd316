"""A Mem0 platform of our own for tests: the requests of contracts/mem0.md C2 over loopback HTTP, with faults on demand.

It refuses what the platform refuses, keeps entries in memory, evaluates filters, and ranks by meaning with the local
embedder. What the contract leaves open (is metadata merged?) is a switch.
"""

import math
import secrets
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from tests.doubles.http_server import DoubleServer
from tests.doubles.mem0_filters import SCOPES, Refusal, compile_filters, names_a_scope
from tests.doubles.mem0_http import Handler
from whatsbot.integrations import embedder, mem0_client

Operation = Literal[
    "ping", "add", "event", "search", "list", "get", "update", "delete", "delete_all", "entities"
]
Kind = Literal[
    "error",  # nothing is done; the given HTTP status, JSON with ``text``, and Retry-After if given
    "html",  # nothing is done; the given HTTP status and a page of HTML
    "drop",  # nothing is done; the connection is reset
    "drop_after",  # done; the connection is reset
    "hang",  # done; then silence for the given seconds
    "junk",  # done; 200 and a page of HTML
    "empty",  # done; 204 without a body
    "other",  # done; 200 and ``payload`` in place of the answer
]
# Body fields the SDK's options know (mem0/client/types.py) and add's scopes.
ADD_FIELDS = {"messages", "metadata", "infer", "timestamp", "expiration_date", *SCOPES}
SEARCH_FIELDS = {"query", "filters", "top_k", "threshold", "rerank", "show_expired", "latest_only"}
UPDATE_FIELDS = {"text", "metadata", "timestamp", "expiration_date"}
EMBEDDED = 300  # characters: the platform is quick with long texts too
ZONE = timezone(timedelta(hours=-7))  # the platform shows its times in its own
Answer = tuple[int, Any]


@dataclass(frozen=True)
class Fault:
    """What the next request of an operation meets instead of its answer."""

    kind: Kind
    status: int = 500
    text: str = "Something went wrong."
    retry_after: str | None = None
    seconds: float = 5.0
    payload: Any = None


@dataclass(frozen=True)
class Request:
    """A request as it came. ``operation`` is None if the platform has no such route."""

    operation: str | None
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass
class Stored:
    """One memory on the platform."""

    text: str
    scope: dict[str, str]
    metadata: dict[str, Any]
    created_at: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    vector: list[float] | None = None  # of the text, once a search has needed it

    def show(self) -> dict[str, Any]:
        """As the platform answers it."""
        times = {
            name: getattr(self, name).astimezone(ZONE).isoformat() for name in ("created_at", "updated_at")
        }
        shown = {"id": self.id, "memory": self.text, **dict.fromkeys(SCOPES), **self.scope, **times}
        return shown | {"metadata": self.metadata or None, "categories": None, "expiration_date": None}


@dataclass
class Pending:
    """Something the platform has promised: to be done after some reads."""

    reads_left: int
    memories: list[Stored]


class PlatformDouble:
    """One project. Any thread may call any method."""

    def __init__(self, *, path_prefix: str = "") -> None:
        self.api_key = f"m0-{secrets.token_hex(8)}"
        self.path_prefix = path_prefix
        self.requests: list[Request] = []
        self.memories: dict[str, Stored] = {}
        self.pending_reads: int | None = (
            None  # event reads until an addition is done; None: it is done at once
        )
        self.event_outcome: Literal["SUCCEEDED", "FAILED", "LOST"] = (
            "SUCCEEDED"  # LOST: SUCCEEDED, but it is not there
        )
        self.deletion_reads = 1  # list reads until a deletion of everything is done
        self.merges_metadata = True
        self.entities_page_size: int | None = None  # None: a bare list
        self.closing = threading.Event()
        self._additions: dict[str, Pending] = {}
        self._deletions: list[Pending] = []
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.RLock()
        self._server = DoubleServer(self, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        """What to set MEM0_HOST to."""
        return f"http://127.0.0.1:{self._server.server_port}{self.path_prefix}"

    def fail_next(self, operation: Operation, *, kind: Kind, times: int = 1, **details: Any) -> None:
        """Let the next ``times`` requests of one operation meet a fault; ``details`` are fields of Fault."""
        with self._lock:
            self._faults[operation].extend([Fault(kind, **details)] * times)

    def get_requests(self, *operations: Operation) -> list[Request]:
        """What came, of these operations only, if any are named."""
        with self._lock:
            return [each for each in self.requests if not operations or each.operation in operations]

    def add_memory(self, text: str, *, metadata: dict[str, Any] | None = None, **scope: str) -> Stored:
        """Put a memory there without the API: somebody else's, say."""
        memory = Stored(text, scope, metadata or {}, datetime.now(UTC))
        with self._lock:
            self.memories[memory.id] = memory
        return memory

    # What the HTTP side calls

    def record(self, *fields: Any) -> Request:
        """Keep a request, whatever is answered."""
        request = Request(*fields)
        with self._lock:
            self.requests.append(request)
        return request

    def take_fault(self, operation: str) -> Fault | None:
        """The fault the next request of this operation meets, if any."""
        with self._lock:
            faults = self._faults[operation]
            return faults.popleft() if faults else None

    def answer(self, request: Request, names: dict[str, str]) -> Answer:
        """Do what is asked for. Raises Refusal."""
        with self._lock:
            return getattr(self, f"_{request.operation}")(request, **names)

    def _ping(self, request: Request) -> Answer:
        return 200, {"status": "ok", "org_id": "org-1", "project_id": "proj-1", "user_email": None}

    def _add(self, request: Request) -> Answer:
        body = check_fields(request.body, ADD_FIELDS)
        scope = {name: body[name] for name in SCOPES if name in body}
        if not scope or not all(is_filled(value) and value != "*" for value in scope.values()):
            raise Refusal(400, "At least one of user_id, agent_id, app_id or run_id is required.")
        messages = body.get("messages")
        if not isinstance(messages, list) or not all(is_filled(each.get("content")) for each in messages):
            raise Refusal(400, "messages must be a list with contents.")
        created_at = (
            datetime.fromtimestamp(body["timestamp"], UTC) if "timestamp" in body else datetime.now(UTC)
        )
        made = [
            Stored(each["content"], scope, dict(body.get("metadata", {})), created_at) for each in messages
        ]
        if self.pending_reads is not None or body.get("infer", True):
            event_id = str(uuid.uuid4())
            self._additions[event_id] = Pending(self.pending_reads or 0, made)
            return 200, {"message": "Queued", "event_id": event_id, "status": "PENDING"}
        self.memories |= {each.id: each for each in made}
        results = [{"id": each.id, "data": {"memory": each.text}, "event": "ADD"} for each in made]
        return 200, {"message": "Added", "status": "SUCCEEDED", "results": results}

    def _event(self, request: Request, id: str) -> Answer:
        if id not in self._additions:
            raise Refusal(404, "Event not found!")
        event, status = self._additions[id], "PENDING"
        if event.reads_left <= 0:
            status = "FAILED" if self.event_outcome == "FAILED" else "SUCCEEDED"
            if self.event_outcome == "SUCCEEDED":
                self.memories |= {each.id: each for each in event.memories}
        event.reads_left -= 1
        return 200, {"id": id, "event_type": "ADD", "status": status, "results": [], "error": None}

    def _search(self, request: Request) -> Answer:
        body = check_fields(request.body, SEARCH_FIELDS)
        query, top_k = body.get("query"), body.get("top_k", 10)
        if not is_filled(query) or type(top_k) is not int or not 1 <= top_k <= 1000:
            raise Refusal(400, "query must not be empty, top_k between 1 and 1000.")
        found = self._filter(body.get("filters"), searching=True)
        wanted = embedder.embed_query(query[:EMBEDDED])
        for memory in found:
            memory.vector = memory.vector or embedder.embed_passage(memory.text[:EMBEDDED])
        scores = {memory.id: math.fsum(map(lambda a, b: a * b, wanted, memory.vector)) for memory in found}
        ranked = sorted(found, key=lambda memory: scores[memory.id], reverse=True)
        near = [each for each in ranked if scores[each.id] >= body.get("threshold", 0.1)][:top_k]
        return 200, {"results": [memory.show() | {"score": scores[memory.id]} for memory in near]}

    def _list(self, request: Request) -> Answer:
        for deletion in self._deletions:
            if deletion.reads_left <= 0:
                self._forget(deletion.memories)
            deletion.reads_left -= 1
        found = self._filter(check_fields(request.body, {"filters"}).get("filters"), searching=False)[::-1]
        page, size = int(request.query.get("page", 1)), int(request.query.get("page_size", 100))
        if page < 1 or not 1 <= size <= 100:
            raise Refusal(400, "page or page_size is not valid.")
        results = [memory.show() for memory in found[(page - 1) * size : page * size]]
        more = page * size < len(found)
        following = f"{self.base_url}/v3/memories/?page={page + 1}&page_size={size}" if more else None
        return 200, {"count": len(found), "next": following, "previous": None, "results": results}

    def _filter(self, filters: Any, *, searching: bool) -> list[Stored]:
        matches = compile_filters(filters, searching=searching)
        if not names_a_scope(filters):
            raise Refusal(400, "filters must contain at least one of user_id, agent_id, app_id, run_id.")
        return [memory for memory in self.memories.values() if matches(memory.show())]

    def _get(self, request: Request, id: str) -> Answer:
        return 200, self._find(id).show()

    def _update(self, request: Request, id: str) -> Answer:
        body, memory = check_fields(request.body, UPDATE_FIELDS), self._find(id)
        if not body or ("text" in body and not is_filled(body["text"])):
            raise Refusal(400, "Nothing to update.")
        memory.text, memory.vector = body.get("text", memory.text), None
        kept = memory.metadata if self.merges_metadata or "metadata" not in body else {}
        memory.metadata, memory.updated_at = kept | body.get("metadata", {}), datetime.now(UTC)
        if "timestamp" in body:
            memory.created_at = datetime.fromtimestamp(body["timestamp"], UTC)
        return 200, {"id": memory.id, "text": memory.text, "user_id": memory.scope.get("user_id")}

    def _delete(self, request: Request, id: str) -> Answer:
        self._forget([self._find(id)])
        return 200, {"message": "Memory deleted successfully!"}

    def _delete_all(self, request: Request) -> Answer:
        scope = {name: value for name, value in request.query.items() if name in SCOPES}
        if not scope or scope != request.query or not all(is_filled(value) for value in scope.values()):
            raise Refusal(400, "At least one filter is required.")
        if "*" in scope.values():  # the platform would do it; nobody here may ask for it
            raise Refusal(400, "This would delete the memories of everybody.")
        doomed = [each for each in self.memories.values() if scope.items() <= each.scope.items()]
        self._deletions.append(Pending(self.deletion_reads, doomed))
        if not self.deletion_reads:
            self._forget(doomed)
        return 200, {"message": "Delete in progress. Check the event.", "event_id": str(uuid.uuid4())}

    def _entities(self, request: Request) -> Answer:
        found = sorted({pair for memory in self.memories.values() for pair in memory.scope.items()})
        shown = [
            {"id": f"e-{name}-{value}", "name": value, "type": name.removesuffix("_id"), "total_memories": 1}
            for name, value in found
        ]
        if self.entities_page_size is None:
            return 200, shown
        page, size = int(request.query.get("page", 1)), self.entities_page_size
        following = f"{self.base_url}/v1/entities/?page={page + 1}" if page * size < len(shown) else None
        results = shown[(page - 1) * size : page * size]
        return 200, {"count": len(shown), "next": following, "previous": None, "results": results}

    def _find(self, id: str) -> Stored:
        if id not in self.memories:
            raise Refusal(404, "Memory not found!")
        return self.memories[id]

    def _forget(self, memories: list[Stored]) -> None:
        for memory in memories:
            self.memories.pop(memory.id, None)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Let go of hanging requests and stop."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=25)


def is_filled(value: Any) -> bool:
    """Whether it is a text with something in it that PostgreSQL takes."""
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def check_fields(body: Any, known: set[str]) -> dict[str, Any]:
    """The body, if it is an object of known fields. Raises Refusal."""
    if not isinstance(body, dict) or body.keys() - known:
        raise Refusal(
            400, f"Unknown fields: {sorted(body.keys() - known) if isinstance(body, dict) else 'all'}"
        )
    return body


@contextmanager
def running_platform_double(*, path_prefix: str = "") -> Iterator[PlatformDouble]:
    """A double that answers on a free loopback port until the block ends."""
    double = PlatformDouble(path_prefix=path_prefix)
    double.start()
    try:
        yield double
    finally:
        double.close()


@contextmanager
def platform_in_use(settings: Any, *, path_prefix: str = "") -> Iterator[PlatformDouble]:
    """A double that Whatsbot keeps its memories on until the block ends. ``settings`` is pytest-django's fixture."""
    with running_platform_double(path_prefix=path_prefix) as double:
        settings.MEM0_API_KEY, settings.MEM0_HOST = double.api_key, double.base_url
        try:
            yield double
        finally:
            mem0_client.close_client()
