"""A program that takes webhooks: remembers what comes and answers as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.doubles.http_server import DoubleHandler, DoubleServer


@dataclass(frozen=True)
class Received:
    """One request; names of headers in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


class ReceiverHandler(DoubleHandler):
    """One connection."""

    server: "DoubleServer[WebhookReceiver]"

    def do_POST(self) -> None:
        """Remember it and answer."""
        receiver = self.server.double
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.received.append(Received(self.path, headers, self.read_body()))
        status = receiver.answers.pop(0) if receiver.answers else 204
        if status == receiver.HANGS:
            receiver.closing.wait(20)
            self.close_connection = True
        elif 300 <= status < 400:
            self.write(status, "text/plain", b"", {"Location": f"{receiver.base_url}/elsewhere"})
        else:
            self.write(status, "text/plain", b"" if status == 204 else b"a word " * 100_000)


class WebhookReceiver:
    """``answers`` are the statuses of the next requests; when there are none left, 204."""

    HANGS = 0

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[int] = []
        self.closing = threading.Event()
        self.server = DoubleServer(self, ReceiverHandler)
        self.authority = f"127.0.0.1:{self.server.server_port}"
        self.base_url = f"http://{self.authority}"


@contextmanager
def running_receiver() -> Iterator[WebhookReceiver]:
    """One that runs until the end of the block."""
    receiver = WebhookReceiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield receiver
    receiver.closing.set()
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join(timeout=25)
