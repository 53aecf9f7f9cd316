"""A phone in a terminal: what is typed goes the way of the page's messages, and what comes to it is printed."""

import io
import mimetypes
import re
import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from textwrap import indent
from uuid import uuid4

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import InterfaceError, OperationalError, connection, transaction
from django.template.defaultfilters import filesizeformat
from django.utils.datastructures import MultiValueDict

from messaging.simulator.attachments import drops_text, infer_message_type, name_media
from messaging.simulator.exchange import Direction, Status, changing, looking_at, store_inbound
from messaging.simulator.interrupts import hearing_interrupts
from messaging.simulator.models import SimulatedMessage
from messaging.simulator.phones import PHONES, PHONES_BY_ADDRESS, Phone
from messaging.simulator.tasks import defer_delivery, defer_report
from messaging.simulator.views import SendForm
from whatsbot.exceptions import WhatsbotError

POLL_SECONDS = 0.2
# The parts of a long reply come within a fraction of this; only then is the next message sent.
QUIET_SECONDS = 1.0
PROMPT, CONTINUED = "> ", ". "
# /attach FILE, or /attach "A FILE WITH SPACES", and perhaps a caption after it.
ATTACH = re.compile(
    r"""/attach\s+(?:"([^"\n]+)"|'([^'\n]+)'|((?!["'])(?:\\.|[^\s\\])+))(?:\s+(.*))?""", re.DOTALL
)


class ChatFailed(WhatsbotError):
    """A message was not taken, not delivered or not answered; the text is for whoever sits at the terminal."""


def converse(*, name: str, messages: Iterable[str], timeout: float) -> None:
    """Chat as a phone: send ``messages`` and wait ``timeout`` seconds for each reply; without any, what is typed.

    ``name`` is the key of a phone or its number as E.164. Raises ChatFailed.
    """
    handset = Handset(find_phone(name))
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if messages:
        exchange_all(handset, messages, timeout=timeout)
    elif sys.stdin.isatty() and sys.stdout.isatty():
        talk(handset)
    else:
        exchange_all(handset, read_messages(line.rstrip("\r\n") for line in sys.stdin), timeout=timeout)


def find_phone(name: str) -> Phone:
    """The phone with this key or number. Raises ChatFailed."""
    phone = PHONES.get(name) or PHONES_BY_ADDRESS.get(f"whatsapp:{name}")
    if phone is None:
        phones = "\n".join(f"  {each.key:<7} {each.number or each.name}" for each in PHONES.values())
        raise ChatFailed(f"The simulator has no phone {name}. It has these:\n{phones}")
    return phone


def read_messages(lines: Iterable[str]) -> Iterator[str]:
    r"""Each line is a message; one that ends with ``\`` is continued by the next. Blank ones are left out."""
    begun: list[str] = []
    for line in lines:
        begun.append(line.removesuffix("\\"))
        if line.endswith("\\"):
            continue
        if text := "\n".join(begun).strip():
            yield text
        begun = []
    if text := "\n".join(begun).strip():
        yield text


class Handset:
    """A phone in the hand: sends, and gives what has happened on it since it was picked up, each thing once."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        with closing(connection), changing(phone.address) as row:
            self._change = row.changes
            self._last_id = row.last_message_id or 0
        self._awaited: set[int] = set()  # messages whose file Twilio is still fetching

    def send(self, text: str) -> SimulatedMessage:
        """Store a text, or the file that ``/attach`` names, and enqueue its webhook, as the page does.

        Raises ChatFailed for what no phone would send.
        """
        with ExitStack() as stack:
            file = None
            if text.split(maxsplit=1)[:1] == ["/attach"]:
                path, text = read_attachment(text)
                file = stack.enter_context(open_attachment(path))
            return self._send(text, file=file)

    def _send(self, text: str, *, file: UploadedFile | None) -> SimulatedMessage:
        data = {"phone": self.phone.key, "sid": f"{'MM' if file else 'SM'}{uuid4().hex}", "body": text}
        form = SendForm(data, MultiValueDict({"file": [file]} if file else {}))
        if not form.is_valid():
            raise ChatFailed(" ".join(str(fault) for faults in form.errors.values() for fault in faults))
        with closing(connection), transaction.atomic():
            message, _ = store_inbound(
                address=self.phone.address,
                sid=form.cleaned_data["sid"],
                body=form.cleaned_data["body"],
                place=None,
                attachment=form.cleaned_data.get("attachment"),
                replied_to_sid="",
                deliver_twice=False,
                lose_reply=False,
            )
            defer_delivery(message)
        return message

    def take_news(self) -> list[SimulatedMessage]:
        """The bot's new messages, which it then hears to be read, and ours that could not be delivered.

        While PostgreSQL is away there is nothing new.
        """
        try:
            with closing(connection):
                return self._take_news()
        except (OperationalError, InterfaceError):
            return []

    def _take_news(self) -> list[SimulatedMessage]:
        news = []
        changed = SimulatedMessage.objects.filter(phone=self.phone.address, change__gt=self._change)
        changed = changed.select_related("media")
        for message in changed.order_by("id"):
            self._change = max(self._change, message.change)
            if message.direction == Direction.INBOUND:
                if message.status == Status.FAILED:
                    news.append(message)
            elif message.id > self._last_id or message.id in self._awaited:  # else its status has changed
                self._last_id = max(self._last_id, message.id)
                if message.is_fetching:
                    self._awaited.add(message.id)
                else:
                    self._awaited.discard(message.id)
                    news.append(message)
        if any(message.direction == Direction.OUTBOUND for message in news):
            with looking_at(self.phone.address) as delivered:
                for message in delivered:
                    defer_report(message, status=Status.READ)
        return news


def read_attachment(text: str) -> tuple[Path, str]:
    """The path and the caption of ``/attach PATH [CAPTION]``. Raises ChatFailed."""
    asked = ATTACH.fullmatch(text.strip())
    if asked is None:
        raise ChatFailed("/attach FILE [CAPTION] sends a file; a name with spaces stands in quotes.")
    double, single, bare, caption = asked.groups()
    name = double or single or re.sub(r"\\(.)", r"\1", bare)
    return Path(name).expanduser(), caption or ""


def open_attachment(path: Path) -> UploadedFile:
    """A file as a browser would upload it. Raises ChatFailed."""
    try:
        if not path.is_file():
            raise ChatFailed(f"There is no file {_without_controls(str(path))}.")
        content_type = mimetypes.guess_type(path.name, strict=False)[0]
        return UploadedFile(path.open("rb"), path.name, content_type, path.stat().st_size)
    except OSError as error:
        raise ChatFailed(f"The file cannot be read: {error.strerror}.") from None


def describe_message(message: SimulatedMessage) -> str:
    """What a message says, with a line for its file."""
    lines = [message.body] if message.body and not drops_text(message) else []
    if media := message.attachment:
        size = f"{media.width} × {media.height}, " if media.width else ""
        kind = infer_message_type(media.content_type)
        kind = {"image": "picture", "contacts": "contact"}.get(kind, kind)
        name = f" {media.file_name}" if media.file_name else ""
        url = f"{settings.PUBLIC_BASE_URL}/simulator/media/{media.sid}"
        lines.append(f"[{kind}{name}, {size}{filesizeformat(media.size)}: {url}]")
    elif message.media_url:
        lines.append("[a file that Twilio could not fetch]")
    return _without_controls("\n".join(lines))


def exchange_all(handset: Handset, messages: Iterable[str], *, timeout: float) -> None:
    """Send each message when the one before it is answered, and print the replies. Raises ChatFailed."""
    for text in messages:
        for reply in exchange(handset, text, timeout=timeout):
            print(reply, flush=True)


def exchange(handset: Handset, text: str, *, timeout: float) -> Iterator[str]:
    """Send a message and give the replies to it. Raises ChatFailed when there is none within ``timeout`` seconds."""
    sent = handset.send(text)
    until = time.monotonic() + timeout
    is_answered = False
    while time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        for message in handset.take_news():
            if message.direction == Direction.INBOUND:
                raise ChatFailed(_describe_failure(message))
            yield describe_message(message)
            if message.id > sent.id:  # else it is a late word of before
                is_answered, until = True, time.monotonic() + QUIET_SECONDS
    if not is_answered:
        with closing(connection):
            sent.refresh_from_db()
        undelivered = " It was not even delivered: does a worker run on this bot's database?"
        raise ChatFailed(
            f"No reply within {timeout:g} seconds.{undelivered if sent.status == Status.SENT else ''}"
        )


def talk(handset: Handset) -> None:
    """Send what is typed and print what comes, whenever it comes, until Ctrl-D or Ctrl-C."""
    phone = handset.phone
    print(
        f"You are {phone.number or phone.name}. Ctrl-D ends; \\ at the end continues a line; /attach FILE sends one."
    )
    screen = Screen()
    over = threading.Event()

    def listen() -> None:
        while not over.wait(POLL_SECONDS):
            for message in handset.take_news():
                if message.direction == Direction.INBOUND:
                    screen.show(_describe_failure(message))
                else:
                    screen.show(indent(describe_message(message), "  "))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    with hearing_interrupts(over):
        try:
            for text in read_messages(screen.read_lines()):
                try:
                    handset.send(text)
                except ChatFailed as error:
                    screen.show(str(error))
                except (OperationalError, InterfaceError):
                    screen.show("Not sent: the database does not answer.")
        except KeyboardInterrupt:
            print()
        finally:
            over.set()
            listener.join()


class Screen:
    """A terminal on which one thread types while another prints."""

    def __init__(self) -> None:
        import readline  # changes how input() works from then on

        self._get_typed: Callable[[], str] = readline.get_line_buffer
        self._prompt: str | None = None
        self._lock = threading.Lock()

    def read_lines(self) -> Iterator[str]:
        """What is typed, until Ctrl-D."""
        prompt = PROMPT
        while True:
            self._prompt = prompt
            try:
                line = input(prompt)
            except EOFError:
                print()
                return
            finally:
                self._prompt = None
            yield line
            prompt = CONTINUED if line.endswith("\\") else PROMPT

    def show(self, text: str) -> None:
        """Print above the line that is being typed. The cursor is then at its end."""
        with self._lock:
            begun = None if self._prompt is None else self._prompt + self._get_typed()
            clear = ""
            if begun is not None:
                rows = len(begun) // shutil.get_terminal_size().columns
                clear = "\r" + (f"\x1b[{rows}A" if rows else "") + "\x1b[J"
            sys.stdout.write(f"{clear}{text}\n{begun or ''}")
            sys.stdout.flush()


def _describe_failure(message: SimulatedMessage) -> str:
    why = "did not answer" if message.webhook_status is None else f"answered {message.webhook_status}"
    what = _without_controls(message.body) or (name_media(media) if (media := message.attachment) else "")
    return f"Not delivered: {what!r}, as the bot's webhook {why}."


def _without_controls(text: str) -> str:
    """Text that gives the terminal no orders."""
    return "".join(each for each in text if each in "\n\t" or unicodedata.category(each) != "Cc")
