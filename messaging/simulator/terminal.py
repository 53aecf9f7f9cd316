"""A phone in a terminal: what is typed goes the way of the page's messages, and what comes to it is printed."""

import io
import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from textwrap import indent
from uuid import uuid4

from django.db import InterfaceError, OperationalError, connection, transaction

from messaging.simulator.exchange import Direction, Status, changing, looking_at, store_inbound
from messaging.simulator.models import SimulatedMessage
from messaging.simulator.phones import PHONES, PHONES_BY_ADDRESS, Phone
from messaging.simulator.tasks import defer_delivery, defer_report
from messaging.simulator.views import SendForm
from whatsbot.exceptions import WhatsbotError

POLL_SECONDS = 0.2
# The parts of a long reply come within a fraction of this; only then is the next message sent.
QUIET_SECONDS = 1.0
PROMPT, CONTINUED = "> ", ". "


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

    def send(self, text: str) -> SimulatedMessage:
        """Store a text and enqueue its webhook, as the page does. Raises ChatFailed for what no phone would send."""
        form = SendForm({"phone": self.phone.key, "sid": f"SM{uuid4().hex}", "body": text})
        if not form.is_valid():
            raise ChatFailed(" ".join(str(fault) for faults in form.errors.values() for fault in faults))
        with closing(connection), transaction.atomic():
            message, _ = store_inbound(
                address=self.phone.address,
                sid=form.cleaned_data["sid"],
                body=form.cleaned_data["body"],
                place=None,
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
        for message in changed.order_by("id"):
            self._change = max(self._change, message.change)
            if message.direction == Direction.INBOUND:
                if message.status == Status.FAILED:
                    news.append(message)
            elif message.id > self._last_id:  # else it is its status that has changed
                self._last_id = message.id
                news.append(message)
        if any(message.direction == Direction.OUTBOUND for message in news):
            with looking_at(self.phone.address) as delivered:
                for message in delivered:
                    defer_report(message, status=Status.READ)
        return news


def exchange_all(handset: Handset, messages: Iterable[str], *, timeout: float) -> None:
    """Send each message when the one before it is answered, and print the replies. Raises ChatFailed."""
    for text in messages:
        for reply in exchange(handset, text, timeout=timeout):
            print(_without_controls(reply), flush=True)


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
            yield message.body
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
    print(f"You are {phone.number or phone.name}. Ctrl-D ends; a line that ends with \\ is continued.")
    screen = Screen()
    over = threading.Event()

    def listen() -> None:
        while not over.wait(POLL_SECONDS):
            for message in handset.take_news():
                if message.direction == Direction.INBOUND:
                    screen.show(_describe_failure(message))
                else:
                    screen.show(indent(_without_controls(message.body), "  "))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
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
    return f"Not delivered: {_without_controls(message.body)!r}, as the bot's webhook {why}."


def _without_controls(text: str) -> str:
    """Text that gives the terminal no orders."""
    return "".join(each for each in text if each in "\n\t" or unicodedata.category(each) != "Cc")
