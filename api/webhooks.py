"""Events going out to other programs: rendered, signed, sent, and tried again for a day.

Triggers of the database (api/migrations/0002) queue a delivery and its job with the change it tells of. At least once,
in no certain order: a worker that is killed after the receiver has answered sends again, with the same ``webhook-id``.
"""

import base64
import hashlib
import hmac
import json
import logging
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from procrastinate.contrib.django import app as jobs
from rest_framework.utils.encoders import JSONEncoder

from api import representations, turns
from api.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from memories.models import Memory
from messaging.models import Interaction
from whatsbot import database
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations.guarded_http import AddressRefused, Deadline, is_public, requesting, split_url

log = logging.getLogger(__name__)

DELIVER_WEBHOOK = "api.deliver_webhook"
QUEUE = "webhooks"
PRIORITY = -10  # answers to people come first; the triggers say the same
DEADLINE_SECONDS = 15.0  # of one attempt
# Seconds to wait after each failed attempt, about a day in all; each is shortened or lengthened by up to a fifth, so
# that what failed together does not come back together.
WAITS = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800)
JITTER = 0.2
KEPT = timedelta(days=30)  # the log of deliveries

# An endpoint that hangs holds a thread of the worker for as long as an attempt may take: answers and other endpoints
# shall not wait for it.
SLOTS = max(settings.WORKER_CONCURRENCY // 4, 1)
SLOTS_OF_ENDPOINT = max(SLOTS // 2, 1)
MOST_SLOT_SECONDS = 300.0  # until a delivery that found none is looked at again; the older it is, the longer
_taken: Counter[int] = Counter()  # by endpoint
_slots_lock = threading.Lock()

Status, Error = WebhookDelivery.Status, WebhookDelivery.Error
ANSWERED_410 = "The endpoint answered with 410 (Gone): it wants no more."


def check_url(url: str) -> None:
    """Raise AddressRefused unless webhooks may go to this URL; where its name leads is looked at when they are sent."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise AddressRefused
    parts, authority = split_url(url)
    if authority in get_local_hosts():
        return
    if parts.scheme != "https":
        raise AddressRefused
    with suppress(ValueError):  # a name
        if not is_public(parts.hostname or ""):
            raise AddressRefused


def get_local_hosts() -> set[str]:
    """The hosts of ``WEBHOOK_LOCAL_HOSTS``, as ``host:port``; one without a port may be asked on both usual ones."""
    hosts = settings.WEBHOOK_LOCAL_HOSTS
    return {split_url(f"{scheme}://{each}")[1] for scheme in ("https", "http") for each in hosts}


def sign(body: bytes, *, delivery_id: str, timestamp: int, secret: str) -> str:
    """The header ``webhook-signature`` of the Standard Webhooks specification; ``timestamp`` in Unix seconds."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def render(event: str, object_id: int) -> dict[str, Any] | None:
    """What a webhook says of a memory or an answer, as it is now; None if it is not there any more."""
    if event == WebhookEvent.MEMORY_DELETED:
        return {"id": object_id}
    if event == WebhookEvent.MESSAGE_ANSWERED:
        answers = Interaction.objects.select_related("raw_message__user")
        answer = answers.filter(id=object_id, answered_at__isnull=False).first()
        return turns.show_turns([answer])[0] if answer else None
    memory = Memory.objects.select_related("user").filter(id=object_id).first()
    return representations.show_memory(memory) if memory else None


def defer_delivery(row: WebhookDelivery) -> None:
    """Enqueue the job of a delivery."""
    jobs.configure_task(DELIVER_WEBHOOK, queue=QUEUE, priority=PRIORITY).defer(delivery_id=str(row.id))


def deliver(delivery_id: uuid.UUID) -> float | None:
    """Make one attempt to deliver an event.

    Returns None when there is nothing more to do, else the seconds after which to call again. The attempt is counted
    and committed before anything is sent, so a killed worker costs an attempt, and perhaps sends twice.
    """
    row = WebhookDelivery.objects.select_related("endpoint").filter(id=delivery_id).first()
    if row is None or row.status != Status.PENDING:
        return None
    if not row.endpoint.is_enabled:
        _finish(row, status=Status.DROPPED, error=Error.DISABLED)
        return None
    with _taking_slot(row.endpoint_id) as is_free:
        if not is_free:
            waited = (timezone.now() - row.created_at).total_seconds()
            return min(max(waited, 0.5), MOST_SLOT_SECONDS) * _pick_jitter()
        return _attempt(row)


def _attempt(row: WebhookDelivery) -> float | None:
    if row.attempts > len(WAITS):  # the last attempt did not come to its end
        _finish(row, status=Status.FAILED, error=row.error or Error.LOST)
        return None
    pending = WebhookDelivery.objects.filter(id=row.id, status=Status.PENDING, attempts=row.attempts)
    if not pending.update(attempts=F("attempts") + 1, attempted_at=timezone.now()):
        return None  # another worker has it
    data = render(row.event, row.object_id)
    if data is None:
        _finish(row, status=Status.DROPPED, error=Error.FORGOTTEN)
        return None
    when = row.created_at.isoformat().replace("+00:00", "Z")
    event = {"type": row.event, "timestamp": when, "data": data}
    body = json.dumps(event, ensure_ascii=False, cls=JSONEncoder).encode()
    database.release_connection()  # no connection is held while the receiver thinks
    try:
        answered = _post(row, body)
    except AddressRefused:
        log.error("webhook %s refused: its address is not one we send to", row.id)
        _finish(row, status=Status.FAILED, error=Error.ADDRESS)
        return None
    except TransientProviderError as error:
        log.warning("webhook %s did not arrive: %s", row.id, error)
        return _put_off(row, error=Error.UNREACHABLE, answered=None)
    if 200 <= answered < 300:
        _finish(row, status=Status.DELIVERED, answered=answered)
        return None
    log.warning("webhook %s was answered with %s", row.id, answered)
    if answered == 410:
        _disable(row)
        return None
    return _put_off(row, error=Error.REDIRECT if 300 <= answered < 400 else Error.STATUS, answered=answered)


def _post(row: WebhookDelivery, body: bytes) -> int:
    """Send it; returns the status of the answer, whose body nobody reads.

    Raises AddressRefused and TransientProviderError.
    """
    delivery_id, now = str(row.id), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(body, delivery_id=delivery_id, timestamp=now, secret=row.endpoint.secret),
    }
    with requesting(
        row.endpoint.url,
        deadline=Deadline(DEADLINE_SECONDS),
        method="POST",
        headers=headers,
        body=body,
        may_be_local=get_local_hosts(),
    ) as response:
        return response.status


def _put_off(row: WebhookDelivery, *, error: str, answered: int | None) -> float | None:
    """Write the failure down; returns the seconds until the next attempt, or None after the last."""
    if row.attempts >= len(WAITS):
        _finish(row, status=Status.FAILED, error=error, answered=answered)
        return None
    pending = WebhookDelivery.objects.filter(id=row.id, status=Status.PENDING)
    still = pending.update(error=error, response_status=answered)
    return WAITS[row.attempts] * _pick_jitter() if still else None


def _pick_jitter() -> float:
    return random.uniform(1 - JITTER, 1 + JITTER)


def _finish(row: WebhookDelivery, *, status: str, error: str = "", answered: int | None = None) -> None:
    WebhookDelivery.objects.filter(id=row.id, status=Status.PENDING).update(
        status=status,
        error=error,
        response_status=answered,
        delivered_at=timezone.now() if status == Status.DELIVERED else None,
    )


@transaction.atomic
def _disable(row: WebhookDelivery) -> None:
    """The endpoint wants no more. One that staff have pointed elsewhere meanwhile stays."""
    WebhookEndpoint.objects.filter(id=row.endpoint_id, url=row.endpoint.url).update(
        is_enabled=False, disabled_reason=ANSWERED_410
    )
    _finish(row, status=Status.FAILED, error=Error.GONE, answered=410)


@contextmanager
def _taking_slot(endpoint_id: int) -> Iterator[bool]:
    """Whether there is room for one more attempt in this process, and for one more at this endpoint."""
    with _slots_lock:
        is_free = _taken.total() < SLOTS and _taken[endpoint_id] < SLOTS_OF_ENDPOINT
        if is_free:
            _taken[endpoint_id] += 1
    try:
        yield is_free
    finally:
        if is_free:
            with _slots_lock:
                _taken[endpoint_id] -= 1


@transaction.atomic
def deliver_again(rows: "QuerySet[WebhookDelivery]") -> int:
    """Try what has failed or was dropped for another day; returns how many these are."""
    again = list(rows.filter(status__in=(Status.FAILED, Status.DROPPED)).select_for_update(of=("self",)))
    for row in again:
        WebhookDelivery.objects.filter(id=row.id).update(
            status=Status.PENDING, attempts=0, attempted_at=None, response_status=None, error=""
        )
        defer_delivery(row)
    return len(again)


def get_unfinished_deliveries(*, older_than: timedelta) -> list[WebhookDelivery]:
    """Deliveries that are pending although no job of theirs is alive: what the sweep re-queues."""
    return list(
        WebhookDelivery.objects.filter(
            status=Status.PENDING, created_at__lt=timezone.now() - older_than
        ).extra(
            where=[
                "NOT EXISTS (SELECT 1 FROM procrastinate_jobs job WHERE job.status IN ('todo', 'doing')"
                " AND job.task_name = %s AND job.args->>'delivery_id' = api_webhookdelivery.id::text)"
            ],
            params=[DELIVER_WEBHOOK],
        )[:1000]
    )


def delete_old_deliveries() -> int:
    """Forget the deliveries of more than `KEPT` ago; returns how many these were."""
    return WebhookDelivery.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
