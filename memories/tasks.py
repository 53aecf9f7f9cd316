"""Jobs of the memory store. Names and arguments are stored in the queue, so they stay as they are."""

import logging

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from memories import reconciliation
from memories.changes import SYNC_ENTRY
from memories.models import Memory
from memories.store import DELETE_ENTRIES
from whatsbot.integrations import mem0

log = logging.getLogger(__name__)

# Tried for a day and a half, whatever failed, because forgetting must be complete; the nightly comparison mends the
# rest.
PERSISTENT = RetryStrategy(max_attempts=160, linear_wait=10)


@app.task(name=DELETE_ENTRIES, queue="upkeep", retry=PERSISTENT)
def delete_entries(user_id: int, mem0_ids: list[str]) -> None:
    """Delete Mem0 entries whose memories are gone; enqueued by a trigger of the database (memories/migrations/0004)."""
    reconciliation.delete_entries(user_id=user_id, mem0_ids=mem0_ids)


@app.task(name="memories.delete_entries_of_user", queue="upkeep", retry=PERSISTENT)
def delete_entries_of_user(user_id: int) -> None:
    """Delete all that Mem0 has of somebody who is gone; enqueued by a trigger of the database."""
    mem0.delete_entries_of_user(user_id=user_id)


@app.task(name=SYNC_ENTRY, queue="upkeep", retry=PERSISTENT)
def sync_entry(memory_id: int) -> None:
    """Let Mem0 say what a corrected memory says. Its lock, ``memory:<id>``, keeps the last correction last."""
    memory = Memory.objects.filter(id=memory_id).first()
    if memory is not None:
        reconciliation.update_entry(memory)


@app.periodic(cron="41 3 * * *")
@app.task(name="memories.reconcile", queue="upkeep", queueing_lock="reconcile_memories", retry=PERSISTENT)
def reconcile(timestamp: int) -> None:
    """Compare both sides every night and mend what differs."""
    report = reconciliation.reconcile_memories()
    log.info("memories reconciled: %s", report)
