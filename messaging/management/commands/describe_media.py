"""``manage.py describe_media``: have files described that came while no language model could be asked."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from media.describing import can_be_described, describe_file
from media.models import MediaFile
from messaging.attachments import get_undescribed, remember_again
from messaging.inbound import enqueue_media, get_unfetched_messages
from whatsbot.exceptions import TransientProviderError

ATTEMPTS = 3
PAUSE = 5.0  # seconds, before a file is tried again; Google's own wish counts more


class Command(BaseCommand):
    """Run it after setting GEMINI_API_KEY, or after a time in which Gemini was away."""

    help = (
        "Describe stored files that are not described yet, let their memories say so, and fetch the files of messages "
        "that came before files were kept. Safe to interrupt and to repeat: it goes on where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What may be said on the command line."""
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--limit", type=int, default=None, help="stop after so many files")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it with a progress bar; raises CommandError when something is left to do."""
        unfetched = list(get_unfetched_messages())
        if options["dry_run"]:
            count = get_undescribed().count()
            self.stdout.write(f"{count} files to describe, {len(unfetched)} messages to fetch files of.")
            return
        for raw in unfetched:
            enqueue_media(raw)
        if unfetched:
            self.stdout.write(f"The worker fetches the files of {len(unfetched)} messages.")
        if not settings.GEMINI_API_KEY:
            raise CommandError("GEMINI_API_KEY is not set, so nobody can describe the files.")
        remember_again()
        try:
            done, left = self._describe_all(limit=options["limit"])
        except TransientProviderError as error:
            raise CommandError(f"{error} What is done stays done; run this again to go on.") from error
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped. What is done stays done; run this again to go on.", returncode=130
            ) from None
        self.stdout.write(f"{done} files described, {left} that no model can describe.")

    def _describe_all(self, *, limit: int | None) -> tuple[int, int]:
        """How many are described now, and how many are not. Raises TransientProviderError."""
        done = left = 0
        files = get_undescribed()
        total = min(files.count(), limit) if limit else files.count()
        # A bar on a terminal only.
        with tqdm(total=total, unit="file", disable=None) as bar:
            for file_id in files.values_list("id", flat=True)[:total]:
                file = MediaFile.objects.filter(id=file_id).first()
                if file is not None and can_be_described(file) and self._describe(file):
                    done += 1
                    remember_again(file)
                else:
                    left += 1
                bar.update()
        return done, left

    def _describe(self, file: MediaFile) -> bool:
        link = file.links.order_by("id").first()
        if link is None:
            return False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return describe_file(file, claimant=link.id)
            except TransientProviderError as error:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(min(error.retry_after or PAUSE, 60.0))
        raise AssertionError("unreachable")
