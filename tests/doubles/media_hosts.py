"""Where Twilio's media lie: the file behind its address, and the content host that the address redirects to.

The content host stands on a port of its own and remembers every request that brought credentials: a client that sends
them there gives them away (contracts/twilio-whatsapp.md §6). Files can be broken in the ways hostile hosts break them.
"""

import gzip
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from tests.doubles.http_server import DoubleHandler, DoubleServer

Trouble = Literal[
    "",
    "drip",  # a byte now and then
    "slow_headers",  # a byte of a header now and then
    "endless",  # more bytes for ever, without a length
    "too_long",  # Content-Length is ten times what comes
    "too_short",  # Content-Length is a tenth of what comes
    "cut",  # the connection ends in the middle, without a length
    "reset",  # the connection is reset in the middle
    "compressed",  # gzip, whatever was asked for
    "gone",  # 403: the link has expired
]
PAUSE = 0.02  # seconds between drops


@dataclass
class HostedFile:
    """One file: what is in it, how its address answers, and how often it was asked for.

    ``not_found`` is how many requests of its address are answered with 404 first; ``location`` where it redirects to,
    if not to the content host; ``status`` what the address answers instead of a redirect.
    """

    content: bytes
    content_type: str
    file_name: str = ""
    not_found: int = 0
    redirect_status: int = 307
    location: str | None = None
    status: int | None = None
    trouble: Trouble = ""
    sid: str = field(default_factory=lambda: f"ME{secrets.token_hex(16)}")
    requests: int = 0  # of its address
    fetches: int = 0  # of the file itself
    is_deleted: bool = False


class ContentHandler(DoubleHandler):
    """One connection to the content host."""

    server: "DoubleServer[ContentHost]"

    def do_GET(self) -> None:
        """Serve the file, well or badly."""
        host = self.server.double
        if self.headers.get("Authorization"):
            host.credentials_seen.append(self.path)
        file = host.files.get(self.path.strip("/"))
        if file is None:
            return self.write(404, "text/plain", b"")
        file.fetches += 1
        if file.trouble == "gone":
            return self.write(403, "application/xml", b"<Error/>")
        headers = {}
        if file.file_name:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.file_name)}"
        if not file.trouble:
            return self.write(200, file.content_type, file.content, headers)
        self.close_connection = True
        self._serve_badly(file)

    def _serve_badly(self, file: HostedFile) -> None:
        if file.trouble == "slow_headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Filler: ")
            self._drip(b"x")
            return
        self.send_response(200)
        self.send_header("Content-Type", file.content_type)
        body = gzip.compress(file.content) if file.trouble == "compressed" else file.content
        if file.trouble == "compressed":
            self.send_header("Content-Encoding", "gzip")
        length = {"too_long": 10 * len(body), "too_short": max(len(body) // 10, 1), "reset": len(body)}
        if file.trouble in length:
            self.send_header("Content-Length", str(length[file.trouble]))
        self.send_header("Connection", "close")
        self.end_headers()
        if file.trouble == "drip":
            self._drip(body[:1])
        elif file.trouble == "endless":
            while not self.server.double.closing.is_set():
                self.wfile.write(body)
        elif file.trouble in ("cut", "reset"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if file.trouble == "reset":
                self.reset()
        else:
            self.wfile.write(body)

    def _drip(self, drop: bytes) -> None:
        while not self.server.double.closing.is_set():
            self.wfile.write(drop)
            self.wfile.flush()
            time.sleep(PAUSE)


class ContentHost:
    """The host behind the redirects."""

    def __init__(self) -> None:
        self.files: dict[str, HostedFile] = {}
        self.credentials_seen: list[str] = []
        self.closing = threading.Event()
        self._server = DoubleServer(self, ContentHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def authority(self) -> str:
        """``host:port``, for TWILIO_MEDIA_HOSTS."""
        return f"127.0.0.1:{self._server.server_port}"

    def get_url(self, file: HostedFile) -> str:
        """Where a file lies."""
        return f"http://{self.authority}/{file.sid}"

    def close(self) -> None:
        """Stop; AssertionError if anybody ever sent credentials."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=25)
        assert not self.credentials_seen, "credentials were sent to the content host"
