"""``manage.py reconcile_memories``: compare our rows with Mem0's entries and mend what differs."""

from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import WhatsAppUser
from accounts.phone_numbers import read_phone_number
from memories.reconciliation import SETTLE_SECONDS, reconcile_memories
from whatsbot.exceptions import ProviderError


class Command(BaseCommand):
    """The same comparison runs every night by itself."""

    help = "Find memories and Mem0 entries that exist on one side only, or differ, and repair them."

    def add_arguments(self, parser: CommandParser) -> None:
        """What may be said on the command line."""
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--number", help="one person's number, like +12025550123; default: everybody")
        parser.add_argument(
            "--settle",
            type=float,
            default=SETTLE_SECONDS,
            help="seconds after which an entry without a memory is looked at again before it is deleted",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare, repair, report."""
        try:
            report = reconcile_memories(
                user_ids=_get_user_ids(options["number"]),
                dry_run=options["dry_run"],
                settle_seconds=options["settle"],
                progress=_show_progress,
            )
        except ProviderError as error:
            raise CommandError(f"{error} What was repaired until then stays so; run this again.") from error
        self.stdout.write(str(report))
        if options["dry_run"] and report.differences:
            self.stdout.write("Nothing was changed. Without --dry-run this is repaired.")


def _get_user_ids(number: str | None) -> list[int] | None:
    if number is None:
        return None
    try:
        phone_number = read_phone_number(number)
    except ValueError as error:
        raise CommandError(str(error)) from error
    user_id = WhatsAppUser.objects.filter(phone_number=phone_number).values_list("id", flat=True).first()
    if user_id is None:
        raise CommandError("The bot has never heard from this number.")
    return [user_id]


def _show_progress(people: list[int]) -> Iterable[int]:
    return tqdm(people, unit="person", disable=None)  # only on a terminal
