"""Jobs of the back-office. Names and arguments are stored in the queue, so they stay as they are."""

import uuid

from django.core.management import call_command
from procrastinate import JobContext
from procrastinate.contrib.django import app

from backoffice import deletions, leftovers
from messaging.tasks import AsAsked, TryAgain, tried_again


@app.task(name=deletions.RUN, queue="upkeep", pass_context=True, retry=AsAsked())
def run_deletion(context: JobContext, deletion_id: str) -> None:
    """Delete what a login has chosen. Its lock, ``deletion:<id>``, keeps it with one worker."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        deletions.run_deletion(uuid.UUID(deletion_id))


@app.task(name=deletions.CONFIRM, queue="upkeep", pass_context=True, retry=AsAsked())
def confirm_deletion(context: JobContext, deletion_id: str) -> None:
    """Find out when nothing is left of what was deleted."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        wait = leftovers.confirm_deletion(uuid.UUID(deletion_id))
        if wait is not None:
            raise TryAgain(wait)


@app.periodic(cron="23 3 * * *")
@app.task(name="backoffice.clear_sessions", queue="upkeep", queueing_lock="clear_sessions")
def clear_sessions(timestamp: int) -> None:
    """Delete the sessions that are over, every night."""
    call_command("clearsessions")
