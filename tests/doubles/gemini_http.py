"""The HTTP side of the Gemini double: routes, the key, refusals and broken answers."""

import json
import re
from typing import TYPE_CHECKING, Any

from tests.doubles.http_server import DoubleHandler, DoubleServer

if TYPE_CHECKING:
    from tests.doubles.gemini import Fault, GeminiDouble

Answer = tuple[int, dict[str, Any]]
OPERATIONS = {"batchEmbedContents": "_embed"}
# Bytes of a text that count as more than the model's limit of tokens.
EMBEDDING_MODELS = {"gemini-embedding-001": 6144, "gemini-embedding-2": 24_576}
TASKS = {
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
}


class Refusal(Exception):
    """A request Google would answer with an error."""

    def __init__(self, status: int, word: str, text: str, *, reason: str | None = None) -> None:
        super().__init__(text)
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
        self.answer = describe_error(status, word, text, details)


class Handler(DoubleHandler):
    """One connection."""

    server: "DoubleServer[GeminiDouble]"

    def do_POST(self) -> None:
        from tests.doubles.gemini import Request

        body = self.read_body()
        self.server.double.requests.append(Request(self.path, self.headers.get("X-Server-Timeout")))
        try:
            operation, model = self._route()
            self._check_key()
            fault = self.server.double.take_fault(operation)
            if fault and fault.kind in ("error", "hang", "reset", "junk", "empty"):
                return self._fail(fault)
            status, payload = getattr(self, OPERATIONS[operation])(model, read_json(body))
        except Refusal as refusal:
            return self.write_json(*refusal.answer)
        if fault and fault.kind == "wrong_count":
            payload["embeddings"].pop()
        elif fault and fault.kind == "no_direction":
            first = payload["embeddings"][0]
            first["values"] = [0.0] * len(first["values"])
        self.write_json(status, payload)

    def _route(self) -> tuple[str, str]:
        match = re.fullmatch(r"/(v1|v1beta)/models/([\w.-]+):(\w+)", self.path)
        if not match or match[3] not in OPERATIONS:
            raise Refusal(404, "NOT_FOUND", "Requested entity was not found.")
        return match[3], match[2]

    def _check_key(self) -> None:
        key = self.headers.get("x-goog-api-key")
        if not key:
            raise Refusal(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
        if key != self.server.double.api_key:
            text = "API key not valid. Please pass a valid API key."
            raise Refusal(400, "INVALID_ARGUMENT", text, reason="API_KEY_INVALID")

    # Operations

    def _embed(self, model: str, body: dict[str, Any]) -> Answer:
        if model not in EMBEDDING_MODELS:
            raise Refusal(
                404, "NOT_FOUND", f"models/{model} is not found, or not supported for embedContent."
            )
        requests = take(body, "requests", list)
        refuse_rest(body)
        if not 1 <= len(requests) <= 100:
            raise Refusal(400, "INVALID_ARGUMENT", "at most 100 requests can be in one batch")
        wanted = [read_embed_request(model, request) for request in requests]
        return 200, {
            "embeddings": [{"values": self.server.double.embed(model=model, **each)} for each in wanted]
        }

    # Answers, good and bad

    def _fail(self, fault: "Fault") -> None:
        if fault.kind == "error":
            details = []
            if fault.retry_delay:
                kind = "type.googleapis.com/google.rpc.RetryInfo"
                details.append({"@type": kind, "retryDelay": fault.retry_delay})
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            self.write_json(
                *describe_error(fault.status, fault.word, "As the test wished.", details), headers
            )
        elif fault.kind == "junk":
            self.write(200, "text/html", b"<html><body><h1>Sign in to the network</h1></body></html>")
        elif fault.kind == "empty":
            self.write_json(200, {})
        elif fault.kind == "hang":
            self.close_connection = True
            self.server.double.closing.wait(fault.seconds)
        else:
            self.reset()


def describe_error(status: int, word: str, text: str, details: list[dict[str, Any]]) -> Answer:
    """An error as Google words it."""
    error: dict[str, Any] = {"code": status, "message": text, "status": word}
    return status, {"error": error | ({"details": details} if details else {})}


def read_json(body: bytes) -> dict[str, Any]:
    """The body as an object."""
    try:
        read = json.loads(body)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise Refusal(400, "INVALID_ARGUMENT", "Invalid JSON payload received.")
    return read


def take(body: dict[str, Any], name: str, kind: type, default: Any = ...) -> Any:
    """Take a field out of an object, in either spelling (``taskType``, ``task_type``)."""
    snake = re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)
    value = body.pop(name, body.pop(snake, default))
    if value is default and default is not ...:
        return default
    if not isinstance(value, kind):
        raise Refusal(400, "INVALID_ARGUMENT", f"Invalid value at '{name}'.")
    return value


def refuse_rest(body: dict[str, Any]) -> None:
    """Refuse an object in which fields are left that nobody took."""
    if body:
        raise Refusal(
            400, "INVALID_ARGUMENT", f"Invalid JSON payload received. Unknown name {sorted(body)[0]!r}."
        )


def read_embed_request(model: str, request: Any) -> dict[str, Any]:
    """One of the requests of a batch: its text, its task and the dimensions it wants."""
    if not isinstance(request, dict):
        raise Refusal(400, "INVALID_ARGUMENT", "Invalid value at 'requests'.")
    if take(request, "model", str) != f"models/{model}":
        raise Refusal(400, "INVALID_ARGUMENT", "The model of each request must be that of the batch.")
    content = take(request, "content", dict)
    parts = take(content, "parts", list)
    take(content, "role", str, None)
    refuse_rest(content)
    text = "\n".join(take(part, "text", str) for part in parts if isinstance(part, dict))
    task = take(request, "taskType", str, None)
    dimensions = take(request, "outputDimensionality", int, 3072)
    refuse_rest(request)
    if not text.strip():
        raise Refusal(400, "INVALID_ARGUMENT", "content is empty")
    if len(text.encode()) > EMBEDDING_MODELS[model]:
        raise Refusal(400, "INVALID_ARGUMENT", "The text is longer than the model takes.")
    # Google ignores a task a model does not read; here it would hide that the text lacks its own.
    if task is not None and (task not in TASKS or model != "gemini-embedding-001"):
        raise Refusal(400, "INVALID_ARGUMENT", "Invalid value at 'task_type'.")
    if not 128 <= dimensions <= 3072:
        raise Refusal(400, "INVALID_ARGUMENT", "Invalid value at 'output_dimensionality'.")
    return {"text": text, "task": task, "dimensions": dimensions}
