"""The HTTP side of the double of Mem0's platform: routes, authentication and broken answers."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from tests.doubles.http_server import DoubleHandler, DoubleServer
from tests.doubles.mem0_filters import Refusal

if TYPE_CHECKING:
    from tests.doubles.mem0_platform import Fault, PlatformDouble

ENTRY = r"/v1/memories/(?P<id>[^/]*)/"
ROUTES: tuple[tuple[str, str, str], ...] = (
    ("GET", r"/v1/ping/", "ping"),
    ("POST", r"/v3/memories/add/", "add"),
    ("GET", r"/v1/event/(?P<id>[^/]+)/", "event"),
    ("POST", r"/v3/memories/search/", "search"),
    ("POST", r"/v3/memories/", "list"),
    ("DELETE", r"/v1/memories/", "delete_all"),
    ("GET", ENTRY, "get"),
    ("PUT", ENTRY, "update"),
    ("DELETE", ENTRY, "delete"),
    ("GET", r"/v1/entities/", "entities"),
)
BEFORE = ("error", "html", "drop")
HTML = b"<html><body><h1>Bad Gateway</h1></body></html>"


class Handler(DoubleHandler):
    """One connection."""

    server: "DoubleServer[PlatformDouble]"

    def _handle(self) -> None:
        double, url = self.server.double, urlsplit(self.path)
        raw = self.read_body()
        operation, names = self._route(url.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        body = json.loads(raw) if raw else None
        request = double.record(operation, self.command, url.path, query, body, dict(self.headers))
        fault = double.take_fault(operation) if operation else None
        if fault and fault.kind in BEFORE:
            return self._fail(fault)
        try:
            if self.headers.get("Authorization") != f"Token {double.api_key}":
                raise Refusal(401, "Invalid API key")
            if operation is None:
                raise Refusal(404, "Not found.")
            answer = double.answer(request, names)
        except Refusal as refusal:
            name = "error" if refusal.status == 404 else "detail"
            answer = refusal.status, {name: refusal.text}
        self._fail(fault) if fault else self.write_json(*answer)

    do_GET = do_POST = do_PUT = do_DELETE = _handle

    def _route(self, path: str) -> tuple[str | None, dict[str, str]]:
        prefix = re.escape(self.server.double.path_prefix)
        for method, pattern, operation in ROUTES:
            if method == self.command and (match := re.fullmatch(prefix + pattern, path)):
                return operation, match.groupdict()
        return None, {}

    def _fail(self, fault: "Fault") -> None:
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        answers: dict[str, Callable[[], None]] = {
            "error": lambda: self.write_json(fault.status, {"detail": fault.text}, headers),
            "html": lambda: self.write(fault.status, "text/html", HTML, headers),
            "junk": lambda: self.write(200, "text/html", HTML),
            "empty": lambda: self.write(204, "application/json", b""),
            "other": lambda: self.write_json(200, fault.payload),
            "hang": lambda: self._wait(fault.seconds),
        }
        answers.get(fault.kind, self.reset)()

    def _wait(self, seconds: float) -> None:
        self.close_connection = True
        self.server.double.closing.wait(seconds)
