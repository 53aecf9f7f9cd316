"""A bot's end of the line that writes down what it is sent, and the phones' side."""

import io
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from PIL import Image

from messaging.simulator.attachments import Attachment
from messaging.simulator.exchange import store_inbound
from messaging.simulator.models import SimulatedMessage
from messaging.simulator.phones import PHONES


@dataclass(frozen=True)
class Received:
    """One request to the bot's webhook."""

    path: str
    headers: dict[str, str]
    fields: dict[str, str]


@dataclass
class Recorder:
    """The bot as Twilio sees it: gives ``answers`` in turn, then 200, each after ``pause`` seconds."""

    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    pause: float = 0.0
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: Received) -> int:
        """Write a request down and choose the answer to it."""
        with self.lock:
            self.received.append(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            answer = self.answers.pop(0) if self.answers else 200
        time.sleep(self.pause)
        with self.lock:
            self.at_once -= 1
        return answer

    @property
    def statuses(self) -> list[str]:
        """The statuses called back, in the order they came."""
        return [request.fields["MessageStatus"] for request in self.received]


@contextmanager
def listening(recorder: Recorder) -> Iterator[int]:
    """The recorder on a free loopback port, which is given."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fields = dict(parse_qsl(body, keep_blank_values=True, strict_parsing=True))
            answer = recorder.take(Received(self.path, dict(self.headers), fields))
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def bot(settings: Any) -> Iterator[Recorder]:
    """What listens where the web process would."""
    recorder = Recorder()
    with listening(recorder) as port:
        settings.HOST, settings.PORT = "127.0.0.1", port
        yield recorder


@pytest.fixture
def own_queue(transactional_db: None) -> Iterator[None]:
    """An empty job queue. Django's flush leaves it alone, as its tables are not Django's to manage."""
    empty_queue()
    yield
    empty_queue()


def empty_queue() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")


def make_sid(prefix: str = "SM") -> str:
    """A SID as the page makes it; MM for a message with a file."""
    return f"{prefix}{secrets.token_hex(16)}"


def make_picture(width: int = 12, height: int = 8, *, kind: str = "PNG") -> bytes:
    """A picture of these many pixels."""
    kept = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(kept, kind)
    return kept.getvalue()


def attach(
    content: bytes, *, content_type: str, name: str = "", body: str = "", **more: Any
) -> SimulatedMessage:
    """Store a message of a phone's with a file, without delivering it."""
    attachment = Attachment(file=ContentFile(content), content_type=content_type, file_name=name)
    return write(body, sid=make_sid("MM"), attachment=attachment, **more)


def write(body: str = "Hello", *, phone: str = "us", sid: str | None = None, **more: Any) -> SimulatedMessage:
    """Store a message of a phone's, without delivering it."""
    fields = {"place": None, "replied_to_sid": "", "deliver_twice": False, "lose_reply": False} | more
    message, _ = store_inbound(address=PHONES[phone].address, sid=sid or make_sid(), body=body, **fields)
    return message
