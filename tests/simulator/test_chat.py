"""``manage.py chat``: alone, in front of a real bot, and with one that it starts itself."""

import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from messaging.simulator import terminal
from messaging.simulator.exchange import Status, store_outbound
from messaging.simulator.models import SimulatedMessage
from messaging.simulator.phones import PHONES
from messaging.simulator.tasks import defer_report
from messaging.simulator.terminal import ChatFailed, Handset
from tests.processes import ROOT, RunningServer, Stack, wait_for
from tests.settings import SENDER
from tests.simulator.conftest import Recorder

RunJobs = Callable[[], int]
US = PHONES["us"]
COMMAND = [sys.executable, "manage.py", "chat"]
# Make the terminal one that Ctrl-C works in, then become the command.
IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def say(body: str) -> SimulatedMessage:
    """The bot sends something to a phone."""
    url = "https://bot.example.com/webhook/status?o=0f2a"
    message = store_outbound(to=US.address, from_=SENDER, body=body, status_callback=url)
    defer_report(message, status=Status.SENT)
    return message


def chat(stack: Stack, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the command to its end, with ``typed`` in a pipe."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=stack.environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=90,
    )


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


# --- What is typed


def test_each_line_is_a_message_unless_it_ends_with_a_backslash() -> None:
    lines = ["one", "", "two \\", "  three", "   ", "four\\"]
    assert list(terminal.read_messages(lines)) == ["one", "two \n  three", "four"]


def test_the_phone_may_be_named_by_its_key_or_its_number() -> None:
    assert terminal.find_phone("gb") is terminal.find_phone("+447700900123") is PHONES["gb"]
    with pytest.raises(ChatFailed, match=r"no phone \+12025550100(.|\n)*us +\+1 202 555 0123"):
        terminal.find_phone("+12025550100")


def test_without_the_simulator_it_says_where_to_write(settings: Any) -> None:
    settings.SIMULATOR = False
    with pytest.raises(CommandError, match=r"WhatsApp itself, \+12025550199"):
        call_command("chat")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_timeout_is_a_number_of_seconds(seconds: str) -> None:
    with pytest.raises(CommandError, match="a number of seconds above 0"):
        call_command("chat", "--timeout", seconds)


# --- The phone in the hand


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("own_queue")
class TestHandset:
    def test_a_text_reaches_the_webhook_signed_like_any_other(self, bot: Recorder, run_jobs: RunJobs) -> None:
        Handset(US).send("The gate code\nis 4711")
        run_jobs()
        assert [each.path for each in bot.received] == ["/webhook"]
        assert bot.received[0].fields["Body"] == "The gate code\nis 4711"
        assert bot.received[0].fields["From"] == US.address
        assert "X-Twilio-Signature" in bot.received[0].headers

    @pytest.mark.parametrize("text", ["", "  \n ", "x" * 4097, "a\0b"])
    def test_what_no_phone_would_send_is_refused(self, text: str) -> None:
        with pytest.raises(ChatFailed):
            Handset(US).send(text)
        assert not SimulatedMessage.objects.exists()

    def test_what_comes_is_given_once_and_nothing_of_before(self, bot: Recorder, run_jobs: RunJobs) -> None:
        say("Before")
        handset = Handset(US)
        assert handset.take_news() == []
        say("Saved.")
        say("And more.")
        assert [each.body for each in handset.take_news()] == ["Saved.", "And more."]
        run_jobs()  # their statuses change
        assert handset.take_news() == []

    def test_the_bot_hears_that_its_message_was_read(self, bot: Recorder, run_jobs: RunJobs) -> None:
        handset = Handset(US)
        say("Saved.")
        run_jobs()
        assert bot.statuses == ["sent", "delivered"]
        handset.take_news()
        run_jobs()
        assert bot.statuses == ["sent", "delivered", "read"]

    def test_a_refused_message_ends_the_exchange_and_says_why(self, bot: Recorder, run_jobs: RunJobs) -> None:
        bot.answers = [403]
        handset = Handset(US)
        with ThreadPoolExecutor(1) as pool:
            replies = pool.submit(lambda: list(terminal.exchange(handset, "Hello", timeout=20)))
            wait_for(SimulatedMessage.objects.exists, seconds=10, what="the message")
            run_jobs()
            with pytest.raises(ChatFailed, match=r"Not delivered: 'Hello', .* webhook answered 403"):
                replies.result(timeout=10)

    def test_a_late_word_is_given_but_answers_nothing(self) -> None:
        handset = Handset(US)
        say("Late")
        replies = terminal.exchange(handset, "Hello", timeout=0.3)
        assert next(replies) == "Late"
        with pytest.raises(ChatFailed, match=r"^No reply within 0\.3 seconds\. .* does a worker run"):
            next(replies)

    def test_all_parts_of_a_reply_are_given_before_the_next_message_is_sent(self) -> None:
        handset = Handset(US)
        replies = terminal.exchange(handset, "Hello", timeout=30)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(next, replies)
            wait_for(SimulatedMessage.objects.exists, seconds=10, what="the message")
            say("One")
            assert first.result(timeout=10) == "One"
        say("Two")
        started = time.monotonic()
        assert list(replies) == ["Two"]
        assert time.monotonic() - started < 5  # and not until the timeout

    def test_a_reply_gives_the_terminal_no_orders(self, capsys: pytest.CaptureFixture[str]) -> None:
        handset = Handset(US)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(terminal.exchange_all, handset, ["Hello"], timeout=30)
            wait_for(SimulatedMessage.objects.exists, seconds=10, what="the message")
            say("\x1b]0;owned\x07Fam\tily \U0001f468\u200d\U0001f469\u200d\U0001f467\r\x9b2J\nend")
            done.result(timeout=10)
        assert (
            capsys.readouterr().out == "]0;ownedFam\tily \U0001f468\u200d\U0001f469\u200d\U0001f4672J\nend\n"
        )


# --- In front of a bot that runs


def test_given_messages_are_answered_one_after_the_other(running_server: RunningServer) -> None:
    stack = running_server.stack
    number = "+61 491-570-156"
    fact, question = "The red suitcase is at Oma's", "Where is the red suitcase?"
    done = chat(stack, "--as", number, "--message", fact, "--message", question)
    assert done.returncode == 0, done.stderr
    saved, recalled = done.stdout.split("\n", 1)
    assert "Saved as #" in saved
    assert fact in recalled
    assert "starting one" not in done.stderr
    # It took the whole way: signed webhook, turn, outbox, REST API, status callbacks.
    query = "SELECT body, payload->>'AccountSid' FROM messaging_rawmessage WHERE body IN (%s, %s) ORDER BY id"
    assert [row[0] for row in stack.sql(query, fact, question)] == [fact, question]
    query = (
        "SELECT count(*) FROM messaging_outboundmessage o JOIN simulator_simulatedmessage s ON s.sid = o.twilio_sid"
        " WHERE o.body LIKE %s AND o.status = 'read'"
    )
    wait_for(lambda: stack.sql(query, f"%{fact}%") == [(1,)], seconds=10, what="the read receipt")


def test_piped_lines_are_messages_each_answered_before_the_next(running_server: RunningServer) -> None:
    typed = "/forget 999\n\n/list zebra\\\ncrossing\n/forget 998"
    done = chat(running_server.stack, "--as", "au", typed=typed)
    assert done.returncode == 0, done.stderr
    assert re.search(r"999(.|\n)*zebra(.|\n)*998", done.stdout), done.stdout
    query = "SELECT count(*) FROM messaging_rawmessage WHERE body = %s"
    assert running_server.stack.sql(query, "/list zebra\ncrossing") == [(1,)]


def test_a_message_without_a_reply_in_time_ends_it_with_status_1(running_server: RunningServer) -> None:
    # Within BURST_SECONDS nothing is answered.
    arguments = ("--as", "de", "--timeout", "0.1", "--message", "The ladder is in the shed")
    done = chat(running_server.stack, *arguments, "--message", "This is not sent")
    assert done.returncode == 1
    assert "No reply within 0.1 seconds" in done.stderr
    assert done.stdout == ""
    query = "SELECT count(*) FROM simulator_simulatedmessage WHERE body = 'This is not sent'"
    assert running_server.stack.sql(query) == [(0,)]


class Typist:
    """The command in a terminal of its own."""

    def __init__(self, stack: Stack, *arguments: str) -> None:
        self.keyboard, screen = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL, *COMMAND, *arguments],
            cwd=ROOT,
            env=stack.environment | {"TERM": "xterm"},
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
        )
        os.close(screen)
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    def wait_for(self, pattern: str) -> None:
        """Wait until something that matches has been shown, and forget all up to it."""
        deadline = time.monotonic() + 30
        while not (found := re.search(pattern, self.screen)):
            assert time.monotonic() < deadline, self.screen
            if select.select([self.keyboard], [], [], 0.1)[0]:
                self.screen += os.read(self.keyboard, 10_000).decode()
        self.screen = self.screen[found.end() :]


@pytest.fixture
def sit_down(running_server: RunningServer) -> Iterator[Callable[..., Typist]]:
    """Start the command in a terminal; none outlives the test."""
    typists: list[Typist] = []

    def start(*arguments: str) -> Typist:
        typists.append(Typist(running_server.stack, *arguments))
        typists[-1].wait_for(r"You are .*\r\n> ")
        return typists[-1]

    yield start
    for typist in typists:
        typist.process.kill()
        typist.process.wait()
        os.close(typist.keyboard)


def test_replies_are_shown_above_what_is_being_typed(sit_down: Callable[..., Typist]) -> None:
    person = sit_down("--as", "au")
    person.type("The blue key opens\\\r")
    person.wait_for(r"\r\n\. ")
    person.type("the boathouse\r")
    person.wait_for(r"\r\n> ")
    person.type("/list boat")
    person.wait_for(r"/list boat")
    person.wait_for(r"\r\x1b\[J  Saved as #\d+.*(\r\n  .*)*\r\n> /list boat$")
    person.type("house\r")  # what was begun goes on
    person.wait_for(r"\r\x1b\[J  (.|\n)*The blue key opens the boathouse(.|\n)*> $")
    person.type("\x04")
    assert person.process.wait(timeout=30) == 0


def test_ctrl_c_ends_it_cleanly(sit_down: Callable[..., Typist]) -> None:
    person = sit_down("--as", "au")
    person.type("half a mess")
    person.wait_for("mess")
    person.type("\x03")
    assert person.process.wait(timeout=30) == 0
    person.wait_for(r"\r\n")
    assert "Traceback" not in person.screen


# --- With no bot that runs


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A database that nobody serves, and that nobody can sign in to yet."""
    environment = {"SIMULATOR": "true", "BURST_SECONDS": "0"}
    stack = Stack(data_dir=tmp_path_factory.mktemp("idle"), environment=environment)
    stack.prepare()
    for table in ("accounts_apitoken", "accounts_staffuser"):
        stack.sql(f"DELETE FROM {table} RETURNING 1")
    (stack.data_dir / "credentials.txt").unlink()
    try:
        yield stack
    finally:
        stack.stop()


def test_no_server_means_that_none_is_started(idle: Stack) -> None:
    done = chat(idle, "--no-server", "--message", "Hello")
    assert done.returncode == 1
    assert f"No bot answers at {idle.base_url}: script/server starts one." in done.stderr
    assert not (idle.data_dir / "chat-server.log").exists()


def test_a_bot_is_started_for_the_chat_and_stopped_after_it(idle: Stack) -> None:
    done = chat(idle, "--message", "/help")
    assert done.returncode == 0, done.stderr
    assert "/forget" in done.stdout
    assert "starting one for this chat" in done.stderr
    assert (idle.data_dir / "server.pid").read_text() == ""  # it has ended, and not only been told to
    assert not listens(idle.port)
    log = idle.data_dir / "chat-server.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    said = log.read_text()
    assert "worker stopped" in said
    password = idle.credentials["Password"]  # made at this start
    assert password not in said + done.stdout + done.stderr


def test_a_bot_that_can_not_start_says_why(idle: Stack) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", idle.port))
        other.listen()
        done = chat(idle, "--message", "Hello")
    assert done.returncode == 1
    assert f"The bot does not start: Port {idle.port} is in use" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_chat_that_is_killed_leaves_no_bot_behind(idle: Stack) -> None:
    killed = subprocess.Popen(
        COMMAND, cwd=ROOT, env=idle.environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: listens(idle.port), seconds=30, what="the bot")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    claim = idle.data_dir / "server.pid"
    wait_for(lambda: claim.read_text() == "", seconds=30, what="the end of the bot")
    assert not listens(idle.port)
