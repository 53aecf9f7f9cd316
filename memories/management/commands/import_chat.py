"""``manage.py import_chat FILE --number +…``: a WhatsApp chat export becomes memories with their original times."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils import timezone
from tqdm import tqdm

from accounts.models import WhatsAppUser
from accounts.people import get_person, make_person
from accounts.phone_numbers import read_phone_number
from memories.chat_export_files import read_lines
from memories.chat_export_layout import ORDERS, Layout, UnreadableExport, infer_layout
from memories.chat_exports import Entry, LeftOut, place_in_time, read_export
from memories.models import Memory
from memories.sameness import identify_key
from memories.store import store_memory_direct
from whatsbot import database
from whatsbot.exceptions import ProviderError, TransientProviderError, UnknownOutcome
from whatsbot.integrations import mem0

BATCH = 500  # messages looked up in one statement
MOST_SENDERS = 10_000  # a group has at most 1,024 members at a time
NAMED_SENDERS = 15
SAMPLES = 3
SHORT_LINE = 100
ATTEMPTS = 5
LONGEST_PAUSE_SECONDS = 60.0
# Storing is safe to repeat with the same key, so an unknown outcome may be tried again as well.
RETRIED = (TransientProviderError, UnknownOutcome, OperationalError, InterfaceError)

Placed = tuple[Entry, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chat:
    """An export, how to read it, and whose messages of it are wanted (everybody's, if nobody is named)."""

    path: Path
    layout: Layout
    zone: ZoneInfo
    only: frozenset[str]

    def read_entries(self) -> Iterator[Placed]:
        """From the file's beginning, each time. Raises UnreadableExport."""
        return place_in_time(read_export(read_lines(self.path), layout=self.layout), self.zone)

    def wants(self, entry: Entry) -> bool:
        return entry.left_out is None and (not self.only or entry.sender.casefold() in self.only)


@dataclass(slots=True)
class _Preview:
    """What an import would do."""

    wanted: int = 0
    known: int = 0
    first: datetime | None = None
    last: datetime | None = None
    at_skipped_times: int = 0
    senders: Counter[str] = field(default_factory=Counter)
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    samples: list[Placed] = field(default_factory=list)


class Command(BaseCommand):
    """Shows what it would do, then asks. Safe to repeat, also with a later export of the same chat."""

    help = (
        "Import a WhatsApp chat export (.txt or .zip) as memories of one person, with their original times."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What may be said on the command line."""
        parser.add_argument("file", type=Path, help="what WhatsApp's “Export chat” made")
        parser.add_argument("--number", required=True, help="whose memories they become, like +12025550123")
        parser.add_argument(
            "--create", action="store_true", help="make the person if the bot does not know them"
        )
        parser.add_argument(
            "--only", action="append", default=[], metavar="NAME", help="this sender's messages alone"
        )
        parser.add_argument(
            "--timezone", help="where the phone was, like Europe/Berlin (default: the person's zone)"
        )
        parser.add_argument("--date-order", choices=sorted(ORDERS), help="of day, month and year in the file")
        parser.add_argument("--dry-run", action="store_true", help="show what would be imported, and stop")
        parser.add_argument("--yes", action="store_true", help="import without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        """Preview, ask, store."""
        person = _get_person(options["number"], create=options["create"])
        chat, preview = self._look_at(person, options)
        new = preview.wanted - preview.known
        if options["dry_run"] or not new:
            self.stdout.write("Nothing was imported." if new else "There is nothing new to import.")
            return
        if not options["yes"] and not _agree(
            f"Import {_count(new, 'message')} for {person.phone_number}? [y/N] "
        ):
            self.stdout.write("Nothing was imported.")
            return
        if person.pk is None:
            person.save()
        _store_all(chat, person.id, new=new)
        self.stdout.write(self.style.SUCCESS(f"Imported {_count(new, 'message')}."))

    def _look_at(self, person: WhatsAppUser, options: dict[str, Any]) -> tuple[_Chat, _Preview]:
        path: Path = options["file"]
        zone_name = options["timezone"] or person.timezone
        if zone_name not in available_timezones():
            raise CommandError(f"There is no time zone {zone_name!r}. They are named like Europe/Berlin.")
        tomorrow = timezone.now().date() + timedelta(days=1)  # where it is later than here
        try:
            layout = infer_layout(read_lines(path), until=tomorrow, order=options["date_order"])
            chat = _Chat(
                path=path,
                layout=layout,
                zone=ZoneInfo(zone_name),
                only=frozenset(" ".join(name.split()).casefold() for name in options["only"]),
            )
            preview = _preview(chat, user_id=person.pk)
        except UnreadableExport as error:
            raise CommandError(f"{path.name}: {error}") from error
        own = (
            "as you say"
            if options["timezone"]
            else f"the person's, {person.timezone_source}; --timezone says otherwise"
        )
        for line in _describe(chat, preview, whose_zone=own):
            self.stdout.write(line)
        if strangers := chat.only - {name.casefold() for name in preview.senders}:
            raise CommandError(f"Nobody in this chat is called {', '.join(sorted(strangers))}.")
        return chat, preview


def _get_person(number: str, *, create: bool) -> WhatsAppUser:
    """The person with this number; with ``create`` a new one, not saved yet, if there is none."""
    try:
        phone_number = read_phone_number(number)
    except ValueError as error:
        raise CommandError(str(error)) from error
    person = get_person(phone_number)
    if person is not None:
        return person
    if not create:
        raise CommandError(f"The bot has never heard from {phone_number}. --create makes this person.")
    return make_person(phone_number)


def _preview(chat: _Chat, *, user_id: int | None) -> _Preview:
    preview = _Preview()

    def count(entries: Iterator[Placed]) -> Iterator[Placed]:
        for entry, instant in entries:
            if entry.left_out is not None:
                preview.left_out[entry.left_out] += 1
                continue
            preview.senders[entry.sender] += 1
            if len(preview.senders) > MOST_SENDERS:
                raise UnreadableExport(
                    f"It has more than {MOST_SENDERS:,} senders: this is no chat of WhatsApp."
                )
            if chat.wants(entry):
                yield entry, instant

    for batch, known in _read_batches(count(chat.read_entries()), user_id=user_id):
        preview.samples = preview.samples or batch[:SAMPLES]
        preview.wanted += len(batch)
        preview.known += len(known)
        times = [instant for _, instant in batch]
        preview.first = min([*times, *([preview.first] if preview.first else [])])
        preview.last = max([*times, *([preview.last] if preview.last else [])])
        preview.at_skipped_times += sum(
            instant.astimezone(chat.zone).hour != entry.said_at.hour for entry, instant in batch
        )
    return preview


def _read_batches(
    entries: Iterator[Placed], *, user_id: int | None
) -> Iterator[tuple[list[Placed], set[str]]]:
    """Entries, some at a time, with the keys of those that were imported before."""
    while batch := list(islice(entries, BATCH)):
        keys = {identify_key(entry.key): entry.key for entry, _ in batch}
        rows = Memory.objects.filter(user_id=user_id, identity__in=keys).values_list("identity", flat=True)
        yield batch, {keys[identity] for identity in rows if identity}


def _describe(chat: _Chat, preview: _Preview, *, whose_zone: str) -> Iterator[str]:
    layout = chat.layout
    yield f"{chat.path.name}, for times like {layout.example}"
    yield f"  Dates      {', '.join(ORDERS[layout.order])}: {layout.reason}"
    yield f"  Time zone  {chat.zone.key}: {whose_zone}"
    if preview.at_skipped_times:
        number = _count(preview.at_skipped_times, "message")
        yield f"             {number} at times that its clocks skip: is it the right one?"
    if preview.first and preview.last:
        first, last = (each.astimezone(chat.zone) for each in (preview.first, preview.last))
        yield f"  From       {first:%A %-d %B %Y, %H:%M}"
        yield f"  To         {last:%A %-d %B %Y, %H:%M}"
    names = [f"{_shorten(name)} {count:,}" for name, count in preview.senders.most_common(NAMED_SENDERS)]
    others = len(preview.senders) - len(names)
    yield f"  Senders    {', '.join(names) or 'none'}{f' and {others:,} others' if others else ''}"
    left_out = [f"{why.value} {count:,}" for why, count in preview.left_out.most_common()]
    if unwanted := preview.senders.total() - preview.wanted:
        left_out.append(f"other senders {unwanted:,}")
    yield f"  Left out   {', '.join(left_out) or 'nothing'}"
    yield f"  Messages   {preview.wanted:,}: {preview.wanted - preview.known:,} new, {preview.known:,} imported before"
    for entry, instant in preview.samples:
        yield f"    {instant.astimezone(chat.zone):%Y-%m-%d %H:%M}  {_shorten(f'{entry.sender}: {entry.text}')}"


def _shorten(text: str) -> str:
    """One short line that cannot give orders to the terminal."""
    line = "".join(each if each.isprintable() else " " for each in " ".join(text.split()))
    return line if len(line) <= SHORT_LINE else f"{line[: SHORT_LINE - 1]}…"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _agree(question: str) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("Nothing was imported, as nobody can be asked here. --yes imports without asking.")
    try:
        return input(question).strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        return False


def _store_all(chat: _Chat, user_id: int, *, new: int) -> None:
    """Store what is new. Raises CommandError, with what was done until then, when it cannot go on."""
    stored = 0
    with tqdm(total=new, unit="message", disable=None) as bar:  # only on a terminal
        try:
            mem0.warm_up()
            wanted = (placed for placed in chat.read_entries() if chat.wants(placed[0]))
            for batch, known in _read_batches(wanted, user_id=user_id):
                for entry, instant in batch:
                    if entry.key not in known:
                        _store(entry, instant, user_id=user_id)
                        stored += 1
                        bar.update()
        except (ProviderError, DatabaseError, InterfaceError, UnreadableExport, KeyboardInterrupt) as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            # The database's own words may quote a message.
            why = str(error) if isinstance(error, ProviderError | UnreadableExport) else type(error).__name__
            raise CommandError(
                f"Stopped by {why.rstrip('.')}: {stored:,} of {_count(new, 'message')} imported."
                " The same command goes on from there.",
                returncode=130 if interrupted else 1,
            ) from error


def _store(entry: Entry, instant: datetime, *, user_id: int) -> None:
    for attempt in range(ATTEMPTS):
        try:
            store_memory_direct(
                user_id=user_id,
                text=f"{entry.sender}: {entry.text}",
                source=Memory.Source.IMPORT,
                happened_at=instant,
                key=entry.key,
            )
            return
        except RETRIED as error:
            if attempt == ATTEMPTS - 1:
                raise
            if isinstance(error, OperationalError | InterfaceError):
                database.discard_broken_connections()
            asked_for = getattr(error, "retry_after", None)
            time.sleep(min(asked_for or 2.0**attempt, LONGEST_PAUSE_SECONDS))
