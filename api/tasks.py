"""Jobs of the API. Names and arguments are stored in the queue, so they stay as they are."""

import logging
import uuid
from datetime import timedelta

from procrastinate import JobContext
from procrastinate.contrib.django import app

from api import idempotency, webhooks
from messaging.tasks import AsAsked, TryAgain, tried_again

log = logging.getLogger(__name__)


@app.task(name=webhooks.DELIVER_WEBHOOK, queue=webhooks.QUEUE, pass_context=True, retry=AsAsked())
def deliver_webhook(context: JobContext, delivery_id: str) -> None:
    """Tell one endpoint of one event; enqueued by triggers of the database (api/migrations/0002)."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        wait = webhooks.deliver(uuid.UUID(delivery_id))
        if wait is not None:
            raise TryAgain(wait)


@app.periodic(cron="* * * * *")
@app.task(name="api.sweep_webhooks", queue="upkeep", queueing_lock="sweep_webhooks")
def sweep_webhooks(timestamp: int) -> None:
    """Give a job to every delivery that is pending and has none: nothing waits for ever."""
    for row in webhooks.get_unfinished_deliveries(older_than=timedelta(minutes=3)):
        log.warning("webhook %s had no job and gets one", row.id)
        webhooks.defer_delivery(row)


@app.periodic(cron="29 3 * * *")
@app.task(name="api.delete_old_deliveries", queue="upkeep", queueing_lock="delete_old_deliveries")
def delete_old_deliveries(timestamp: int) -> None:
    """Shorten the log of webhooks every night."""
    log.info("%s old webhook deliveries deleted", webhooks.delete_old_deliveries())


@app.periodic(cron="31 3 * * *")
@app.task(name="api.forget_old_requests", queue="upkeep", queueing_lock="forget_old_requests")
def forget_old_requests(timestamp: int) -> None:
    """Forget the keys of requests that nobody repeats any more."""
    log.info("%s old requests forgotten", idempotency.forget_old())
