"""What Twilio does by itself: bring a phone's message to the webhook, and report what became of the bot's."""

import logging
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import connection, transaction
from procrastinate import JobContext, RetryStrategy
from procrastinate.contrib.django import app as jobs

from messaging.simulator.exchange import Direction, Status, moving, store_fetched
from messaging.simulator.fetching import NotFetched, fetching
from messaging.simulator.models import SimulatedMessage
from messaging.simulator.phones import PHONES_BY_ADDRESS
from messaging.simulator.posts import (
    MEDIA_NOT_FETCHED,
    NO_SUCH_PHONE,
    WEBHOOK_REFUSED,
    WEBHOOK_UNREACHABLE,
    NoAnswer,
    get_callback_fields,
    get_inbound_fields,
    post_signed,
)

log = logging.getLogger(__name__)

QUEUE = "simulator"
LAST_ATTEMPT = 2  # counted from 0
TRY_AGAIN = RetryStrategy(max_attempts=LAST_ATTEMPT, wait=1, linear_wait=1)
# How long each step of a message to a phone takes, in milliseconds: short, but long enough to watch.
PACE = {Status.SENT: 150, Status.DELIVERED: 350, Status.READ: 250, Status.FAILED: 150}


def defer_delivery(message: SimulatedMessage) -> None:
    """Enqueue the webhook for an inbound message; those of one phone go one after the other."""
    deliver.configure(lock=f"simulator:{PHONES_BY_ADDRESS[message.from_address].key}").defer(
        message_id=message.id
    )


def defer_sending(message: SimulatedMessage) -> None:
    """Enqueue what Twilio does first with a message to a phone."""
    if message.to_address not in PHONES_BY_ADDRESS:
        defer_report(message, status=Status.FAILED, error_code=NO_SUCH_PHONE)
    elif message.media_url:
        fetch.defer(message_id=message.id)
    else:
        defer_report(message, status=Status.SENT)


def defer_report(message: SimulatedMessage, *, status: Status, error_code: int | None = None) -> None:
    """Enqueue the next step of a message to a phone, a moment later."""
    report.configure(schedule_in={"milliseconds": PACE[status]}).defer(
        message_id=message.id, status=status.value, **({"error_code": error_code} if error_code else {})
    )


@jobs.task(name="simulator.deliver", queue=QUEUE, pass_context=True, retry=TRY_AGAIN)
def deliver(context: JobContext, *, message_id: int) -> None:
    """Bring an inbound message to the webhook, as a sender set up with ``#rc=2&rp=5xx,ct,rt`` (contracts §3).

    What the webhook refuses (4xx) is not tried again; a server error or silence is, twice.
    """
    message = SimulatedMessage.objects.select_related("replied_to", "media").get(id=message_id)
    answer = _post_to_webhook(message)
    if (answer is None or answer >= 500) and context.job.attempts < LAST_ATTEMPT:
        raise NoAnswer
    accepted = answer is not None and answer < 300
    with moving(message_id=message_id, status=Status.DELIVERED if accepted else Status.FAILED) as (
        message,
        moved,
    ):
        message.webhook_status = answer
        if moved and not accepted:
            message.error_code = WEBHOOK_UNREACHABLE if answer is None else WEBHOOK_REFUSED


def _post_to_webhook(message: SimulatedMessage) -> int | None:
    """Post a message, twice at once where asked for. Returns the best answer, or None if there was none."""
    fields = get_inbound_fields(message)
    connection.close()  # no connection is held while the webhook works

    def post() -> int | None:
        try:
            return post_signed(url=f"{settings.PUBLIC_BASE_URL}/webhook", fields=fields, token=message.sid)
        except NoAnswer:
            return None

    copies = 2 if message.deliver_twice else 1
    with ThreadPoolExecutor(copies) as pool:
        answers = [future.result() for future in [pool.submit(post) for _ in range(copies)]]
    return min((answer for answer in answers if answer is not None), default=None)


@jobs.task(name="simulator.fetch", queue=QUEUE, retry=TRY_AGAIN, pass_context=True)
def fetch(context: JobContext, *, message_id: int) -> None:
    """Fetch the media of a message of the bot's, then send it; without its media it fails (contracts §6, §8)."""
    message = SimulatedMessage.objects.select_related("media").get(id=message_id)
    if not message.is_fetching:
        return  # a worker that was killed has done it
    connection.close()  # no connection is held while the bot works
    try:
        with fetching(message.media_url) as attachment, transaction.atomic():
            defer_report(store_fetched(message_id=message_id, attachment=attachment), status=Status.SENT)
        return
    except NotFetched as error:
        code = error.code
    except NoAnswer:
        if context.job.attempts < LAST_ATTEMPT:
            raise
        code = MEDIA_NOT_FETCHED
    defer_report(message, status=Status.FAILED, error_code=code)


@jobs.task(name="simulator.report", queue=QUEUE, retry=TRY_AGAIN, pass_context=True)
def report(context: JobContext, *, message_id: int, status: str, error_code: int | None = None) -> None:
    """Move a message of the bot's one step on, plan the next step, and call the bot back.

    A callback nobody answers does not stop the message: it is repeated, and may then come after the next one.
    Twilio does not promise an order either (contracts §5).
    """
    reached = Status(status)
    with moving(message_id=message_id, status=reached) as (message, moved):
        if reached == Status.FAILED:
            message.error_code = error_code
        if moved and reached == Status.SENT:
            defer_report(message, status=Status.DELIVERED)
        if moved and reached == Status.DELIVERED and message.seen_at:
            defer_report(message, status=Status.READ)
    assert message.direction == Direction.OUTBOUND
    if not message.status_callback:
        return
    fields = get_callback_fields(message, status=status)
    connection.close()  # no connection is held while the webhook works
    try:
        answer = post_signed(url=message.status_callback, fields=fields, token=f"{message.sid}-{status}")
        if answer < 300:
            return
    except NoAnswer:
        answer = None
    if context.job.attempts < LAST_ATTEMPT:
        raise NoAnswer
    log.warning("status callback %s of %s given up: answer %s", status, message.sid, answer)
