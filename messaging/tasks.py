"""Jobs: id in, one call. Names and arguments are stored in the queue, so they stay as they are."""

import logging
import threading
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.contrib.django import app
from procrastinate.jobs import Job

from messaging import attachments, deletion, delivery, erasure, forgetting, resending, takeover, turns
from messaging.inbound import (
    MEDIA_QUEUE,
    PROCESS_MESSAGE,
    TAKE_MEDIA,
    enqueue_media,
    enqueue_message,
    get_abandoned_media,
    get_abandoned_messages,
)

log = logging.getLogger(__name__)

# A worker that has not been heard of for this long is dead, and its jobs are taken over.
HEARTBEAT_SECONDS = 3
STALLED_AFTER_SECONDS = 12
MEDIA_SLOT_SECONDS = 0.5  # until a file that found too many others at work is looked at again


class TryAgain(Exception):
    """The job is to run again after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.1f} s")
        self.seconds = seconds


class AsAsked(BaseRetryStrategy):
    """Retry exactly when the job raised `TryAgain`. How often is the job's own affair: it counts in its row."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """When to run again, or None."""
        if isinstance(exception, TryAgain):
            return RetryDecision(retry_at=timezone.now() + timedelta(seconds=exception.seconds))
        return None


@contextmanager
def tried_again(context: JobContext, *, seconds: tuple[int, ...]) -> Iterator[None]:
    """Turn any failure into a `TryAgain`, logged without its text: messages of exceptions quote what people wrote."""
    try:
        yield
    except TryAgain:
        raise
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("job %s failed: %s\n%s", context.job.id, type(error).__qualname__, where)
        wait = seconds[min(context.job.attempts, len(seconds) - 1)]
        raise TryAgain(wait) from None


@app.task(name=PROCESS_MESSAGE, queue="messages", pass_context=True, retry=AsAsked())
def process_message(context: JobContext, raw_message_id: int) -> None:
    """Answer one message. Its lock, ``user:<id>``, keeps one person's messages in order."""
    with tried_again(context, seconds=turns.RETRY_SECONDS):
        wait = turns.process_message(raw_message_id)
        if wait is not None:
            raise TryAgain(wait)


# Files come slowly where a host is slow; half of the threads is always left to those who only write.
_media_slots = threading.BoundedSemaphore(max(settings.WORKER_CONCURRENCY // 2, 1))


@app.task(name=TAKE_MEDIA, queue=MEDIA_QUEUE, pass_context=True, retry=AsAsked())
def take_media(context: JobContext, raw_message_id: int) -> None:
    """Fetch, keep, describe and remember the files of one message."""
    if not _media_slots.acquire(blocking=False):
        raise TryAgain(MEDIA_SLOT_SECONDS)
    try:
        with tried_again(context, seconds=(1, 3, 10, 60, 300)):
            wait = attachments.take_media(raw_message_id)
            if wait is not None:
                raise TryAgain(wait)
    finally:
        _media_slots.release()


@app.task(name=forgetting.DELETE_MEDIA, queue="upkeep", pass_context=True, retry=AsAsked())
def delete_media(context: JobContext, sources: list[list[str]]) -> None:
    """Delete Twilio's copies of forgotten files."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        forgetting.delete_media(sources)


@app.task(name=delivery.SEND_MESSAGE, queue="outbox", pass_context=True, retry=AsAsked())
def send_message(context: JobContext, outbound_id: str) -> None:
    """Send one part of an answer, or find out what became of an earlier try."""
    with tried_again(context, seconds=(1, 2, 5, 10, 30, 60)):
        wait = delivery.send_message(uuid.UUID(outbound_id))
        if wait is not None:
            raise TryAgain(wait)


@app.task(name=resending.SEND_AGAIN, queue="outbox", pass_context=True, retry=AsAsked())
def send_again(context: JobContext, outbound_id: str) -> None:
    """Send a failed part once more, if Twilio says that the person has not got it."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        wait = resending.send_again(uuid.UUID(outbound_id))
        if wait is not None:
            raise TryAgain(wait)


@app.task(name=forgetting.REDACT, queue="upkeep", pass_context=True, retry=AsAsked())
def redact(context: JobContext, raw_message_ids: list[int], interaction_ids: list[int]) -> None:
    """Blank what was forgotten while it was still being answered or sent."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        wait = forgetting.redact(raw_message_ids=raw_message_ids, interaction_ids=interaction_ids)
        if wait is not None:
            raise TryAgain(wait)


@app.task(name=deletion.FINISH_MESSAGE, queue="upkeep", pass_context=True, retry=AsAsked())
def finish_message_deletion(context: JobContext, raw_message_id: int) -> None:
    """Delete what a message said that was still being answered or fetched when staff deleted it."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        wait = deletion.finish_message_deletion(raw_message_id)
        if wait is not None:
            raise TryAgain(wait)


@app.task(name=deletion.FINISH_ATTACHMENT, queue="upkeep", pass_context=True, retry=AsAsked())
def finish_attachment_deletion(context: JobContext, message_media_id: int) -> None:
    """Delete what became of an attachment that was still being fetched or answered when staff deleted it."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        wait = deletion.finish_attachment_deletion(message_media_id)
        if wait is not None:
            raise TryAgain(wait)


@app.task(name=erasure.FORGET_RECEIPT, queue="upkeep", pass_context=True, retry=AsAsked())
def forget_receipt(context: JobContext, raw_message_id: int) -> None:
    """Delete the receipt of an erasure a day later, and what is left of the person."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        erasure.forget_receipt(raw_message_id)


@app.task(name=erasure.CONFIRM_ERASURE, queue="upkeep", pass_context=True, retry=AsAsked())
def confirm_erasure(context: JobContext, receipt_id: str) -> None:
    """Find out when nothing is left of somebody who was erased."""
    with tried_again(context, seconds=(1, 10, 60, 300)):
        wait = erasure.confirm_erasure(uuid.UUID(receipt_id))
        if wait is not None:
            raise TryAgain(wait)


# No lock on the recovery task: one left behind by a dead worker would keep it from ever running. Seconds stand last.
@app.periodic(cron="* * * * * */5")
@app.task(
    name="messaging.recover_stalled_jobs",
    queue="upkeep",
    queueing_lock="recover_stalled_jobs",
    pass_context=True,
)
async def recover_stalled_jobs(context: JobContext, timestamp: int) -> None:
    """Put the jobs of dead workers back. A job that kills its workers ends by counting in its own row."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS):
        log.warning("job %s was left by a dead worker and starts again", job.id)
        await manager.retry_job(job)


@app.periodic(cron="* * * * *")
@app.task(name="messaging.sweep", queue="upkeep", queueing_lock="sweep")
def sweep(timestamp: int) -> None:
    """Give a job to everything that is unfinished and has none: nothing waits for ever, for staff neither."""
    if ended := takeover.end_forgotten_takeovers():
        log.warning("%s conversations were handed back to the bot, because nobody wrote in them", ended)
    for raw in get_abandoned_media(older_than=timedelta(minutes=1)):
        log.warning("media of message %s had no job and get one", raw.id)
        enqueue_media(raw)
    for raw in get_abandoned_messages(older_than=timedelta(minutes=1)):
        log.warning("message %s had no job and gets one", raw.id)
        enqueue_message(raw)
    for row in delivery.get_unfinished_outbound(older_than=timedelta(minutes=1)):
        log.warning("outbound message %s had no job and gets one", row.id)
        delivery.defer_send(row)


@app.periodic(cron="17 3 * * *")
@app.task(
    name="messaging.delete_old_jobs", queue="upkeep", queueing_lock="delete_old_jobs", pass_context=True
)
async def delete_old_jobs(context: JobContext, timestamp: int) -> None:
    """Forget finished jobs after a week."""
    await context.app.job_manager.delete_old_jobs(
        nb_hours=7 * 24, include_failed=True, include_cancelled=True, include_aborted=True
    )
