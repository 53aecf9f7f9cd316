"""``manage.py chat``: a phone of the simulator in the terminal, and a bot to answer it if none runs."""

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError

from accounts.phone_numbers import read_phone_number
from whatsbot import server
from whatsbot.supervisor import Program

LOG = "chat-server.log"
START_SECONDS = 180.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.2


class Command(BaseCommand):
    """Each message takes the way of WhatsApp's: signed webhook, queue, worker, outbox, Twilio's REST API."""

    help = "Chat with the bot in this terminal, as a phone of the simulator. Without --message, what is typed or piped."

    def add_arguments(self, parser: CommandParser) -> None:
        """What may be said on the command line."""
        parser.add_argument(
            "--as",
            dest="phone",
            default="us",
            metavar="PHONE",
            help="a phone of the simulator: its number, or a key like us, gb, hidden (default: us)",
        )
        parser.add_argument(
            "--message",
            action="append",
            default=[],
            metavar="TEXT",
            help="send this, print the reply and exit; may be given again for what to say next",
        )
        parser.add_argument(
            "--timeout",
            type=_read_seconds,
            default=60.0,
            help="seconds to wait for a reply to a message that is given or piped (default: 60)",
        )
        parser.add_argument(
            "--no-server", action="store_true", help="do not start a bot where none answers; say so and exit"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Have a bot, and chat with it. Raises CommandError, also when a given or piped message gets no reply."""
        if not settings.SIMULATOR:
            raise CommandError(
                "The simulator is off, so there is no phone here: write to the bot on WhatsApp itself,"
                f" {settings.TWILIO_WHATSAPP_NUMBER.removeprefix('whatsapp:')}."
                " (SIMULATOR=true, with no Twilio account set, turns it on.)"
            )
        # By name, like the simulator's URLs: it can be imported only where it is installed.
        terminal = import_module("messaging.simulator.terminal")
        name = _read_name(options["phone"])
        messages = [_repair(text) for text in options["message"]]
        try:
            terminal.find_phone(name)  # before a bot is started for it
            with self._having_bot(may_start=not options["no_server"]):
                terminal.converse(name=name, messages=messages, timeout=options["timeout"])
        except terminal.ChatFailed as error:
            raise CommandError(str(error)) from error
        except (OperationalError, InterfaceError) as error:
            raise CommandError("The database does not answer.") from error
        except KeyboardInterrupt:
            raise CommandError("Stopped.", returncode=130) from None

    @contextmanager
    def _having_bot(self, *, may_start: bool) -> Iterator[None]:
        """A bot answers within the block: the one that runs, else one of its own."""
        config = server.Config(
            data_dir=settings.DATA_DIR,
            host=settings.HOST,
            port=settings.PORT,
            public_base_url=settings.PUBLIC_BASE_URL,
            database_url="",  # the server reads its own
            simulator=settings.SIMULATOR,
        )
        if server.get_health(config) == 200:
            yield
            return
        if not may_start:
            raise CommandError(f"No bot answers at {config.local_url}: script/server starts one.")
        log = settings.DATA_DIR / LOG
        said = f"No bot answers at {config.local_url}: starting one for this chat (log: {log})"
        self.stderr.write(said, str)  # not in red: nothing is wrong
        if not (settings.DATA_DIR / "credentials.txt").exists():
            # Here, as the server would print the login it makes, and that into its log.
            call_command("prepare_server", stdout=StringIO())
        bot = _start_bot(log)
        try:
            _wait_until_live(bot, config=config, log=log)
            yield
        finally:
            _stop(bot)


def _start_bot(log: Path) -> Program:
    """What script/server ends in; it also ends when this process is killed."""
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    command = f"{shlex.quote(sys.executable)} -m whatsbot.server >{shlex.quote(str(log))} 2>&1"
    bot = Program("bot", command, settings.BASE_DIR, dict(os.environ), STOP_SECONDS)
    bot.start()
    return bot


def _wait_until_live(bot: Program, *, config: server.Config, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.get_health(config) != 200:
        end = bot.get_end()
        if end or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()
            raise CommandError(f"The bot does not start: {said[-1] if said else end or 'it is silent'}")
        time.sleep(POLL_SECONDS)


def _stop(bot: Program) -> None:
    assert bot.process
    bot.process.terminate()
    try:
        bot.process.wait(timeout=bot.stop_seconds)
    except subprocess.TimeoutExpired:
        bot.process.kill()  # what it started asks to end with it
        bot.process.wait()


def _read_name(text: str) -> str:
    """A number in any spelling as E.164; anything else may be a phone's key."""
    try:
        return read_phone_number(text)
    except ValueError:
        return text


def _read_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not (seconds > 0 and isfinite(seconds)):
        raise argparse.ArgumentTypeError("a number of seconds above 0")
    return seconds


def _repair(text: str) -> str:
    """Bytes of the command line that are no UTF-8 come as surrogates, which nothing can store."""
    return text.encode(errors="surrogateescape").decode(errors="replace")
