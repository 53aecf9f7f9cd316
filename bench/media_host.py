"""Twilio's media and the host behind it, in a process of their own: files of any size out of one buffer.

``python bench/media_host.py MEGABYTES`` prints its two addresses and serves until its input ends. The first answers
``/2010-04-01/…/Media/ME<32 hex>`` with a redirect, to who has credentials; the second serves the file, a WAV whose
samples begin with the number in its name, so that every file has a hash of its own. Whoever sends credentials to the
second is refused: then nothing is measured.
"""

import base64
import random
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

ACCOUNT, TOKEN = "AC0123456789abcdef0123456789abcdef", "12345"
CREDENTIALS = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
HEADER = 44


def make_header(size: int) -> bytes:
    """The head of a WAV file of ``size`` bytes: 16 bits, stereo, 48 kHz (RIFF)."""
    rate = 48_000
    form = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 2, rate, rate * 4, 4, 16
    )
    return form + struct.pack("<4sI", b"data", size - HEADER)


class Handler(BaseHTTPRequestHandler):
    """Either of the two hosts."""

    protocol_version = "HTTP/1.1"
    body: ClassVar[memoryview]
    other: ClassVar[str] = ""
    size: ClassVar[int]

    def do_GET(self) -> None:
        """Redirect or serve."""
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/2010-04-01/"):
            if self.headers.get("Authorization") != CREDENTIALS:
                self._answer(401)
            else:
                self._answer(307, Location=f"{self.other}/{name}")
        elif self.headers.get("Authorization"):
            self._answer(403)
        else:
            self._answer(200, length=self.size, **{"Content-Type": "audio/wav"})
            self.wfile.write(make_header(self.size) + name.encode().ljust(64))
            self.connection.sendall(self.body)

    def _answer(self, status: int, *, length: int = 0, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what is measured should not wait for a terminal."""


def main() -> None:
    """Serve until the input ends."""
    size = round(float(sys.argv[1]) * 1024 * 1024)
    Handler.size = size
    Handler.body = memoryview(random.Random(1).randbytes(size - HEADER - 64))
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    first, second = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    Handler.other = second
    print(first, second, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
