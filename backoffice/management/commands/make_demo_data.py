"""``manage.py make_demo_data --messages 1000000``: fill a bot with made-up people, to look at and to measure."""

import argparse
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from backoffice.demo.data import MOST_TEXTS, Demo, NoDemoHere, check_place, preparing, settle, tidy_up, write
from backoffice.demo.loading import EMBEDDED
from media.storing import get_incoming_directory
from whatsbot.exceptions import ProviderError

FEWEST_TEXTS = 120


class Command(BaseCommand):
    """Nothing is sent and no job is queued; numbers are such as nobody can have."""

    help = "Fill the bot with made-up people, messages, memories and files. For a bot without real people."

    def add_arguments(self, parser: CommandParser) -> None:
        """What may be said on the command line."""
        number = _read_number
        parser.add_argument("--messages", type=number, default=2000, help="default: 2000")
        parser.add_argument("--people", type=number, help="default: a fifth of the messages")
        parser.add_argument(
            "--memories",
            type=number,
            help="default: as many as messages; fewer where people would repeat themselves",
        )
        parser.add_argument(
            "--texts", type=number, help="different texts of memories; each takes 15 ms to embed"
        )
        parser.add_argument(
            "--seed", type=number, default=1, help="the same seed makes the same rows (default: 1)"
        )
        parser.add_argument("--days", type=number, default=365, help="of conversations (default: 365)")
        parser.add_argument(
            "--until", type=_read_moment, help="their end, like 2026-06-30T12:00 in UTC (default: now)"
        )
        parser.add_argument("--add", action="store_true", help="even if there are people already")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it with progress bars. Raises CommandError."""
        try:
            check_place(may_add=options["add"])
        except NoDemoHere as error:
            raise CommandError(str(error)) from error
        messages = options["messages"]
        texts = options["texts"] or min(MOST_TEXTS, max(FEWEST_TEXTS, messages // 10))
        people = max(1, messages // 5) if options["people"] is None else options["people"]
        demo = Demo(
            messages=messages,
            people=people,
            memories=messages if options["memories"] is None else options["memories"],
            texts=texts,
            seed=options["seed"],
            days=options["days"],
            until=options["until"] or timezone.now(),
        )
        try:
            with tempfile.TemporaryDirectory(dir=get_incoming_directory()) as directory:
                self._make(demo, directory=Path(directory))
        except (ValueError, ProviderError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped before anything was written.", returncode=130) from None

    def _make(self, demo: Demo, *, directory: Path) -> None:
        embedding = partial(tqdm, unit="text", unit_scale=EMBEDDED, desc="embedding", disable=None)
        with preparing(demo, directory=directory, progress=embedding) as maker:
            try:  # bars on a terminal only
                with tqdm(total=demo.messages, unit="message", desc="writing", disable=None) as bar:
                    write(maker, advance=bar.update)
            except KeyboardInterrupt:
                settle(maker)
                raise CommandError(
                    f"Stopped. {_describe(maker.counts)} are there, whole, and stay; --add puts others beside them.",
                    returncode=130,
                ) from None
            self.stdout.write(f"{_describe(maker.counts)} are there. Tidying up …")
            try:
                tidy_up()
            except KeyboardInterrupt:
                raise CommandError("Stopped: autovacuum does the rest in time.", returncode=130) from None


def _describe(counts: dict[str, int]) -> str:
    return "{people:,} people, {message:,} messages and {memory:,} memories".format(**counts)


def _read_number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError("a number from 0")
    return number


def _read_moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a moment like 2026-06-30T12:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
