"""The HTTP server every double stands on: free loopback port, a thread per connection, answers good and broken."""

import json
import socket
import ssl
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, TypeVar

Double = TypeVar("Double")


class DoubleServer(ThreadingHTTPServer, Generic[Double]):
    """Serves ``double`` through a handler class."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, double: Double, handler: type["DoubleHandler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.double = double

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed or gave up is what some tests are about; anything else is printed."""
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class DoubleHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, *args: Any) -> None:
        """Requests are recorded, not printed."""

    def read_body(self) -> bytes:
        """The whole body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def write_json(self, status: int, payload: Any, headers: dict[str, str] | None = None) -> None:
        """Answer with JSON."""
        self.write(status, "application/json", json.dumps(payload, ensure_ascii=False).encode(), headers)

    def write(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Answer; ``headers`` win over the usual ones."""
        self.send_response(status)
        usual = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in (usual | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        """Drop the connection with an RST, as a machine does that is switched off."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        raise ConnectionAbortedError  # nothing below may touch the connection any more
