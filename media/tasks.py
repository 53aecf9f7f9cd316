"""Jobs of the file store. Names and arguments are stored in the queue, so they stay as they are."""

import logging

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from media import cleaning, storing

log = logging.getLogger(__name__)

# Tried for a day and a half, because forgetting must be complete; the nightly comparison mends the rest.
PERSISTENT = RetryStrategy(max_attempts=160, linear_wait=10)


@app.task(name="media.delete_objects", queue="upkeep", retry=PERSISTENT)
def delete_objects(names: list[str]) -> None:
    """Delete the objects of files that are gone; enqueued by a trigger of the database (media/migrations/0001)."""
    storing.delete_objects(names)


@app.periodic(cron="53 3 * * *")
@app.task(name="media.reconcile_storage", queue="upkeep", queueing_lock="reconcile_storage", retry=PERSISTENT)
def reconcile_storage(timestamp: int) -> None:
    """Compare the storage with our rows every night."""
    report = cleaning.reconcile_storage()
    log.log(logging.ERROR if report.missing else logging.INFO, "storage reconciled: %s", report)
