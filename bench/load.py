"""Requests over connections that stay open, from one thread and raw sockets: the client shall cost little."""

import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from harness import get_percentile

END_OF_HEAD = b"\r\n\r\n"


def make_request(
    method: str, path: str, *, host: str, token: str = "", cookies: str = "", body: bytes = b""
) -> bytes:
    """A request ready for the wire: of a program with a token, or of a browser with cookies."""
    accepted = "text/html" if cookies else "application/json"
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Accept: {accepted}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if cookies:
        lines.append(f"Cookie: {cookies}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + END_OF_HEAD + body


def send_all(*, port: int, requests: Sequence[bytes], clients: int) -> dict[str, float]:
    """Send every request, ``clients`` at a time. Returns requests per second, latencies in ms, bytes of an answer.

    Raises AssertionError for an answer that is not 200.
    """
    selector = selectors.DefaultSelector()
    queue = deque(requests)
    sent_at: dict[socket.socket, float] = {}
    received: dict[socket.socket, bytearray] = {}
    latencies: list[float] = []
    size = 0

    def send(client: socket.socket) -> None:
        received[client] = bytearray()
        request = queue.popleft()
        sent_at[client] = time.perf_counter()
        client.sendall(request)

    for _ in range(min(clients, len(requests))):
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ)
    started = time.perf_counter()
    for key in list(selector.get_map().values()):
        send(key.fileobj)  # type: ignore[arg-type]
    while sent_at:
        for key, _ in selector.select():
            ready: Any = key.fileobj
            part = ready.recv(262144)
            assert part, "the server has hung up"
            received[ready] += part
            if not _is_whole(received[ready]):
                continue
            latencies.append(time.perf_counter() - sent_at.pop(ready))
            size += len(received[ready])
            if queue:
                send(ready)
            else:
                selector.unregister(ready)
                ready.close()
    took = time.perf_counter() - started
    return {
        "per_second": len(latencies) / took,
        "p50_ms": get_percentile(latencies, 0.5) * 1000,
        "p95_ms": get_percentile(latencies, 0.95) * 1000,
        "p99_ms": get_percentile(latencies, 0.99) * 1000,
        "kilobytes": size / len(latencies) / 1024,
    }


def _is_whole(answer: bytearray) -> bool:
    """Whether head and body are there; an answer of ours has a length."""
    end = answer.find(END_OF_HEAD)
    if end < 0:
        return False
    assert answer.startswith(b"HTTP/1.1 200"), bytes(answer[:400])
    head = bytes(answer[:end]).lower()
    at = head.index(b"content-length:") + len(b"content-length:")
    return len(answer) >= end + len(END_OF_HEAD) + int(head[at:].split(b"\r\n", 1)[0])
