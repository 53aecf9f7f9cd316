"""Jobs of the memory store."""

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from memories.store import DELETE_ENTRY
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import mem0


@app.task(
    name=DELETE_ENTRY,
    queue="upkeep",
    retry=RetryStrategy(max_attempts=200, linear_wait=10, retry_exceptions=(TransientProviderError,)),
)
def delete_entry(mem0_id: str) -> None:
    """Delete a Mem0 entry whose memory is gone; tried for more than a day, because forgetting must be complete."""
    mem0.delete_entry(mem0_id=mem0_id)
