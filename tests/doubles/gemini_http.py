"""The HTTP side of the Gemini double: routes, the key, files, and answers good and broken."""

import json
import re
import select
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

from tests.doubles.gemini_fields import (
    Refusal,
    describe_error,
    read_json,
    refuse,
    refuse_rest,
    take,
)
from tests.doubles.gemini_requests import read_request, resolve_model
from tests.doubles.http_server import DoubleHandler, DoubleServer

if TYPE_CHECKING:
    from tests.doubles.gemini import Fault, GeminiDouble

OPERATIONS = {"batchEmbedContents": "_embed", "generateContent": "_generate"}
MOST_BYTES = 20 * 1024 * 1024  # of a request; Google's own limit was this until 2026 and is more now (§5)
INSTEAD_OF_AN_ANSWER = ("error", "hang", "reset", "junk", "empty")
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


class Handler(DoubleHandler):
    """One connection."""

    server: "DoubleServer[GeminiDouble]"

    def do_POST(self) -> None:
        self._note()
        url = urlsplit(self.path)
        if re.fullmatch(r"/upload/(v1|v1beta)/files", url.path):
            if ticket := parse_qs(url.query).get("upload_id"):
                return self._receive_chunk(ticket[0])
            return self._begin_upload(url.path.split("/")[2], self.read_body())
        body = self.read_body()
        try:
            version, model, operation = self._route()
            self._check_key()
            getattr(self, OPERATIONS[operation])(model, body, version)
        except Refusal as refusal:
            self.write_json(*refusal.answer)

    def do_GET(self) -> None:
        self._answer_about_files("getFile", self.server.double.files.poll)

    def do_DELETE(self) -> None:
        self._answer_about_files("deleteFile", self.server.double.files.delete)

    def _note(self) -> None:
        timeout = self.headers.get("X-Server-Timeout")
        self.server.double.note_request(self.path, timeout, self.command)

    def _route(self) -> tuple[str, str, str]:
        match = re.fullmatch(r"/(v1|v1beta)/models/([\w.-]+):(\w+)", self.path)
        if not match or match[3] not in OPERATIONS:
            raise Refusal(404, "NOT_FOUND", "Requested entity was not found.")
        return match[1], match[2], match[3]

    def _check_key(self) -> None:
        key = self.headers.get("x-goog-api-key")
        if not key:
            raise Refusal(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
        if key != self.server.double.api_key:
            text = "API key not valid. Please pass a valid API key."
            raise Refusal(400, "INVALID_ARGUMENT", text, reason="API_KEY_INVALID")

    # Operations

    def _embed(self, model: str, body: bytes, version: str) -> None:
        double = self.server.double
        fault = double.take_fault("batchEmbedContents")
        if fault and fault.kind in INSTEAD_OF_AN_ANSWER:
            return self._fail(fault)
        if model not in EMBEDDING_MODELS:
            raise Refusal(
                404, "NOT_FOUND", f"models/{model} is not found, or not supported for embedContent."
            )
        batch = read_json(body)
        requests = take(batch, "requests", list)
        refuse_rest(batch)
        if not 1 <= len(requests) <= 100:
            raise refuse("at most 100 requests can be in one batch")
        wanted = [read_embed_request(model, request) for request in requests]
        vectors = [double.embed(model=model, **each) for each in wanted]
        if fault and fault.kind == "wrong_count":
            vectors.pop()
        elif fault and fault.kind == "no_direction":
            vectors[0] = [0.0] * len(vectors[0])
        self._linger(fault)
        self._answer({"embeddings": [{"values": vector} for vector in vectors]}, fault)

    def _generate(self, model: str, body: bytes, version: str) -> None:
        """A valid request is recorded; then comes its fault, if any; the model is asked last.

        A queued reply that does not reach its reader is the next one's.
        """
        double, began = self.server.double, time.monotonic()
        resolved = resolve_model(model, version=version)
        if len(body) > MOST_BYTES:
            raise refuse(f"Request payload size exceeds the limit: {MOST_BYTES} bytes.")
        request = read_request(resolved, read_json(body), server_timeout=self.headers.get("X-Server-Timeout"))
        request = replace(request, media=double.files.read_media(request.contents))
        double.receive(request)
        fault = double.take_fault("describe" if request.is_description else "generateContent")
        if fault and fault.kind in INSTEAD_OF_AN_ANSWER:
            return self._fail(fault)
        answer, give_back = double.ask_model(request)
        double.closing.wait(max(0.0, began + double.model_seconds - time.monotonic()))
        self._linger(fault)
        if fault and fault.kind == "cut":
            give_back()
            return self._answer(answer, fault)
        if self._is_alone():
            give_back()
            self.close_connection = True
            return None
        with double.answering(request):
            self._answer(answer, fault)
            self.wfile.flush()

    # Files

    def _begin_upload(self, version: str, body: bytes) -> None:
        double = self.server.double
        try:
            self._check_key()
            fault = double.take_fault("startUpload")
            if fault and fault.kind in INSTEAD_OF_AN_ANSWER:
                return self._fail(fault)
            url = double.files.begin(body, self.headers, version=version, base_url=double.base_url)
        except Refusal as refusal:
            return self.write_json(*refusal.answer)
        self._linger(fault)
        self._answer({}, fault, {"X-Goog-Upload-URL": url, "X-Goog-Upload-Status": "active"})

    def _receive_chunk(self, ticket: str) -> None:
        """Some bytes of a file, never all of them in memory. An error is final, too: the SDK repeats what is not."""
        double, left = self.server.double, int(self.headers.get("Content-Length", 0))
        status = {"X-Goog-Upload-Status": "final"}
        fault = double.take_fault("upload")
        if fault and fault.kind in INSTEAD_OF_AN_ANSWER:
            self.read_body()
            return self._fail(fault, status)
        try:
            file, is_last = double.files.find_upload(ticket, self.headers)
        except Refusal as refusal:
            self.read_body()
            return self.write_json(*refusal.answer, status)
        while left and (piece := self.rfile.read(min(left, 1 << 16))):
            left -= len(piece)
            file.add(piece)
        self._linger(fault)
        if not is_last:
            return self.write(200, "text/plain", b"", {"X-Goog-Upload-Status": "active"})
        double.files.finish(file)
        self._answer({"file": file.to_json()}, fault, status)

    def _answer_about_files(
        self, operation: 'Literal["getFile", "deleteFile"]', act: Callable[[str], Any]
    ) -> None:
        self._note()
        match = re.fullmatch(r"/(?:v1|v1beta)/files(?:/([\w-]+))?", urlsplit(self.path).path)
        is_list = match is not None and match[1] is None and self.command == "GET"
        try:
            if match is None or (match[1] is None and not is_list):
                raise Refusal(404, "NOT_FOUND", "Requested entity was not found.")
            self._check_key()
            fault = self.server.double.take_fault("listFiles" if is_list else operation)
            if fault and fault.kind in INSTEAD_OF_AN_ANSWER:
                return self._fail(fault)
            files = self.server.double.files
            answer = (
                {"files": [file.to_json() for file in files.kept]} if is_list else act(f"files/{match[1]}")
            )
        except Refusal as refusal:
            return self.write_json(*refusal.answer)
        self._linger(fault)
        self._answer(answer or {}, fault)

    # Answers, good and bad

    def _answer(
        self, payload: dict[str, Any], fault: "Fault | None", more: dict[str, str] | None = None
    ) -> None:
        """Answer; only by half if the test wished so."""
        if fault and fault.kind == "cut":
            body = json.dumps(payload).encode()
            self.close_connection = True
            half, headers = body[: len(body) // 2], {"Content-Length": str(len(body))} | (more or {})
            return self.write(200, "application/json", half, headers)
        self.write_json(200, payload, more)

    def _linger(self, fault: "Fault | None") -> None:
        if fault and fault.kind == "slow":
            self.server.double.closing.wait(fault.seconds)

    def _fail(self, fault: "Fault", more: dict[str, str] | None = None) -> None:
        if fault.kind == "error":
            details = []
            if fault.retry_delay:
                kind = "type.googleapis.com/google.rpc.RetryInfo"
                details.append({"@type": kind, "retryDelay": fault.retry_delay})
            headers = (more or {}) | ({"Retry-After": fault.retry_after} if fault.retry_after else {})
            self.write_json(
                *describe_error(fault.status, fault.word, "As the test wished.", details), headers
            )
        elif fault.kind == "junk":
            self.write(200, "text/html", b"<html><body><h1>Sign in to the network</h1></body></html>", more)
        elif fault.kind == "empty":
            self.write_json(200, {}, more)
        elif fault.kind == "hang":
            self.close_connection = True
            self.server.double.closing.wait(fault.seconds)
        else:
            self.reset()

    def _is_alone(self) -> bool:
        """Whether the client has gone meanwhile: was killed, or has lost its patience."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        try:
            return bool(poll.poll(0)) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except ConnectionError:
            return True


def read_embed_request(model: str, request: Any) -> dict[str, Any]:
    """One of the requests of a batch: its text, its task and the dimensions it wants."""
    if not isinstance(request, dict):
        raise refuse("Invalid value at 'requests'.")
    if take(request, "model", str) != f"models/{model}":
        raise refuse("The model of each request must be that of the batch.")
    content = take(request, "content", dict)
    parts = take(content, "parts", list)
    take(content, "role", str, None)
    refuse_rest(content)
    text = "\n".join(take(part, "text", str) for part in parts if isinstance(part, dict))
    task = take(request, "taskType", str, None)
    dimensions = take(request, "outputDimensionality", int, 3072)
    refuse_rest(request)
    if not text.strip():
        raise refuse("content is empty")
    if len(text.encode()) > EMBEDDING_MODELS[model]:
        raise refuse("The text is longer than the model takes.")
    # Google ignores a task a model does not read; here it would hide that the text lacks its own.
    if task is not None and (task not in TASKS or model != "gemini-embedding-001"):
        raise refuse("Invalid value at 'task_type'.")
    if not 128 <= dimensions <= 3072:
        raise refuse("Invalid value at 'output_dimensionality'.")
    return {"text": text, "task": task, "dimensions": dimensions}
