"""``manage.py reembed_memories --to gemini``: fill an embedder's table before MEMORY_EMBEDDER is changed to it."""

import argparse
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from memories.reembedding import empty, measure_work, reembed, remove_leftovers
from whatsbot.exceptions import ProviderError
from whatsbot.integrations.embedder import EMBEDDERS, Embedder, get_embedder

NAMED = 20  # memories that are named when their texts were refused


class Command(BaseCommand):
    """Run it, change the setting, restart, and run it again for what was stored in between."""

    help = "Embed all memories with another embedder. Safe to interrupt and to repeat: it goes on where it stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """What may be said on the command line."""
        parser.add_argument("--to", required=True, choices=list(EMBEDDERS), help="the embedder to fill")
        parser.add_argument(
            "--batch", type=_read_batch_size, default=50, help="texts in a request, 1 to 100 (default: 50)"
        )
        either = parser.add_mutually_exclusive_group()
        either.add_argument("--dry-run", action="store_true", help="only say what would be done")
        either.add_argument(
            "--afresh",
            action="store_true",
            help="empty the table first, after a change of the embedder's model",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it with a progress bar; raises CommandError when something is left to do."""
        if settings.MEM0_API_KEY:
            raise CommandError(
                "MEM0_API_KEY is set: Mem0's platform embeds by itself, so there is nothing to do."
            )
        target = get_embedder(options["to"])
        if options["dry_run"]:
            return self._report(target)
        try:
            if options["afresh"]:
                empty(target)
            remove_leftovers()
            refused = self._reembed(target, batch_size=options["batch"])
        except ProviderError as error:
            raise CommandError(f"{error} What is done stays done; run this again to go on.") from error
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped. What is done stays done; run this again to go on.", returncode=130
            ) from None
        if refused:
            raise CommandError(
                f"{target.name} refused the texts of {len(refused)} memories, which are found by their words only: "
                + ", ".join(map(str, refused[:NAMED]))
                + ("…" if len(refused) > NAMED else "")
            )
        if target != get_embedder():
            self.stdout.write(
                f"Now set MEMORY_EMBEDDER={target.name}, restart, and run this once more for what was stored meanwhile."
            )

    def _report(self, target: Embedder) -> None:
        work = measure_work(target)
        self.stdout.write(
            f"{work.entries} memories to embed, {work.characters} characters; "
            f"{work.leftovers} entries of forgotten memories to remove. Nothing was changed."
        )

    def _reembed(self, target: Embedder, *, batch_size: int) -> list[int]:
        """Returns the ids of memories whose texts were refused."""
        done, refused = 0, list[int]()
        # A bar on a terminal only.
        with tqdm(total=measure_work(target).entries, unit="memory", disable=None) as bar:
            for batch in reembed(target=target, batch_size=batch_size):
                done += batch.entries - len(batch.refused)
                refused += batch.refused
                bar.update(batch.entries)
        self.stdout.write(f"{done} memories embedded with {target.name}.")
        return refused


def _read_batch_size(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError("a number from 1 to 100")
    return number
