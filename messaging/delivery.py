"""Answers going out: queued with the answer, sent once, and looked up before anything is ever sent again."""

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, PositiveIntegerField, Q, Value, When
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from accounts.models import WhatsAppUser
from media.models import MessageMedia
from media.serving import make_media_link
from messaging.answers import FileToSend
from messaging.forgetting import FORGOTTEN
from messaging.models import DeliveryEvent, Interaction, OutboundMessage, RawMessage
from messaging.parts import split_into_parts
from whatsbot import database
from whatsbot.exceptions import (
    MalformedWebhook,
    MisconfiguredProvider,
    PermanentProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from whatsbot.integrations import twilio
from whatsbot.integrations.twilio_errors import is_permanent_delivery_error

log = logging.getLogger(__name__)

SEND_MESSAGE = "messaging.send_message"
QUEUE = "outbox"
# WhatsApp takes free text only within this long of the person's last message (contracts/twilio-whatsapp.md §7).
FREE_TEXT_WINDOW = timedelta(hours=24)
# An unknown outcome is looked up each time; that many unknown ones in a row mean something is wrong with the message.
MAX_ATTEMPTS = 8

# Twilio's clock may be behind ours. Looking further back is harmless: SIDs that other rows have are left out.
CLOCK_SKEW = timedelta(minutes=2)

Status = OutboundMessage.Status
# Twilio's words (contracts §5) in ours. Ranks only ever rise; what is missing here changes nothing.
FROM_TWILIO = {
    "accepted": Status.SENT,
    "scheduled": Status.SENT,
    "queued": Status.SENT,
    "sending": Status.SENT,
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "undelivered": Status.FAILED,
    "failed": Status.FAILED,
    "canceled": Status.FAILED,
}
HAS_FAILED = tuple(word for word, status in FROM_TWILIO.items() if status == Status.FAILED)
# A status may replace these. A failure never overrules a proof of delivery, but such a proof overrules a failure.
REPLACES = {
    Status.SENT: (Status.PENDING, Status.SENDING),
    Status.DELIVERED: (Status.PENDING, Status.SENDING, Status.SENT, Status.FAILED),
    Status.READ: (Status.PENDING, Status.SENDING, Status.SENT, Status.FAILED, Status.DELIVERED),
    Status.FAILED: (Status.PENDING, Status.SENDING, Status.SENT),
}
TIMESTAMP = {Status.SENT: "sent_at", Status.DELIVERED: "delivered_at", Status.READ: "read_at"}


def queue_answer(
    *, raw_message: RawMessage, interaction: Interaction, media: Sequence[FileToSend] = ()
) -> None:
    """Write the parts of an answer and their send jobs. Call inside the transaction that commits the answer.

    ``media`` are sent behind the text, one part each. What is forgotten meanwhile is left out.
    """
    parts: list[tuple[str, int | None]] = [(body, None) for body in split_into_parts(interaction.answer)]
    there = MessageMedia.objects.filter(id__in=[file.media_id for file in media]).values_list("id", flat=True)
    parts += [(file.caption, file.media_id) for file in media if file.media_id in set(there)]
    for number, (body, media_id) in enumerate(parts, start=1):
        row = OutboundMessage.objects.create(
            interaction=interaction,
            user_id=raw_message.user_id,
            part=number,
            to_address=raw_message.from_address,
            from_address=raw_message.to_address,
            body=body,
            media_id=media_id,
            has_media=media_id is not None,
        )
        defer_send(row)


def get_lock(row: OutboundMessage) -> str:
    """The queue lock that keeps one person's answers in order."""
    return f"outbox:{row.user_id}"


def defer_send(row: OutboundMessage, *, after: timedelta = timedelta()) -> None:
    """Enqueue one send; sends of one person go out one after the other, in the order they were queued."""
    jobs.configure_task(
        SEND_MESSAGE,
        queue=QUEUE,
        lock=get_lock(row),
        schedule_at=timezone.now() + after if after else None,
    ).defer(outbound_id=str(row.id))


def send_message(outbound_id: uuid.UUID) -> float | None:
    """Send one part, or find out what became of an earlier try.

    Returns None when there is nothing more to do, else the seconds after which to call again. Twilio accepts no
    idempotency key, so the row is claimed (``sending``) and committed before the call; whatever happens in between
    is an unknown outcome, and those are resolved before another call is made.
    """
    row = OutboundMessage.objects.select_related("user", "media__file").filter(id=outbound_id).first()
    if row is None or row.status not in (Status.PENDING, Status.SENDING):
        return None
    if row.status == Status.SENDING:
        wait = _resolve_unknown(row)
        if wait is not None or row.status != Status.PENDING:
            return wait
    if not is_within_window(row.user):
        _fail(row, code=63016)  # what Twilio would say: outside the window only templates are taken
        return None
    if row.attempts >= MAX_ATTEMPTS or (row.has_media and row.media is None):  # forgotten since
        _fail(row, code=None)
        return None
    claimed = OutboundMessage.objects.filter(id=row.id, status=Status.PENDING).update(
        status=Status.SENDING, attempted_at=timezone.now(), attempts=F("attempts") + 1
    )
    if not claimed:
        return None  # another worker has it: it will finish, or its own job will be recovered
    database.release_connection()  # no connection is held while Twilio thinks
    try:
        sent = twilio.send_message(
            to=row.to_address,
            from_=row.from_address,
            body=row.body,
            status_callback=f"{settings.PUBLIC_BASE_URL}/webhook/status?o={row.id}",
            media_url=make_media_link(row.media, now=timezone.now()) if row.media else "",
        )
    except (TransientProviderError, MisconfiguredProvider) as error:
        # Certainly not created, and worth waiting for: Twilio is away, or an operator has to mend a setting. The
        # attempt does not count; only the window ends it.
        OutboundMessage.objects.filter(id=row.id, status=Status.SENDING).update(
            status=Status.PENDING, attempts=F("attempts") - 1, error_code=error.code
        )
        log.error("send of %s put off: %s", row.id, error)
        return getattr(error, "retry_after", None) or _back_off(row)
    except UnknownOutcome as error:
        log.warning("send of %s has an unknown outcome: %s", row.id, error)
        return settings.SEND_GRACE_SECONDS
    except PermanentProviderError as error:
        log.error("send of %s refused: %s", row.id, error)
        _fail(row, code=error.code)
        return None
    settle(row.id, sid=sent.sid, twilio_status=sent.status, error_code=sent.error_code)
    return None


def is_within_window(person: WhatsAppUser) -> bool:
    """Whether WhatsApp takes a free text for this person now."""
    return timezone.now() - person.last_inbound_at < FREE_TEXT_WINDOW


def _back_off(row: OutboundMessage) -> float:
    """Seconds until the next try: as long as the row has waited already, between 1 s and 5 minutes."""
    waited = (timezone.now() - row.created_at).total_seconds()
    return min(max(waited, 1.0), 300.0)


def _resolve_unknown(row: OutboundMessage) -> float | None:
    """Find out whether an earlier try reached Twilio (contracts §8).

    A status callback would have settled the row by itself. Returns the seconds still to wait for one, or None after
    the look-up, with ``row.status`` as it is then: ``pending`` if Twilio does not have the message.
    """
    assert row.attempted_at is not None  # outbound_sending_since
    waited = (timezone.now() - row.attempted_at).total_seconds()
    if waited < settings.SEND_GRACE_SECONDS:
        return settings.SEND_GRACE_SECONDS - waited
    try:
        found = find_at_twilio(row, since=row.attempted_at)
    except (TransientProviderError, PermanentProviderError) as error:
        log.warning("look-up of %s put off: %s", row.id, error)
        return _back_off(row)
    if found is not None:
        settle(row.id, sid=found.sid, twilio_status=found.status, error_code=found.error_code)
    else:
        OutboundMessage.objects.filter(id=row.id, status=Status.SENDING).update(status=Status.PENDING)
    row.refresh_from_db()
    return None


def find_at_twilio(row: OutboundMessage, *, since: datetime) -> twilio.SentMessage | None:
    """A message Twilio has taken since then that can only be this part: as it reads, and under a SID nobody has.

    One that has failed and was given up for a new one does not count. Raises TransientProviderError and
    PermanentProviderError.
    """
    database.release_connection()
    listed = twilio.list_sent_messages(to=row.to_address, from_=row.from_address, since=since - CLOCK_SKEW)
    sids = [message.sid for message in listed]
    given_up = DeliveryEvent.objects.filter(
        twilio_sid__in=sids, outbound_message=row, status__in=HAS_FAILED
    ).values_list("twilio_sid", flat=True)
    taken = OutboundMessage.objects.filter(twilio_sid__in=sids).values_list("twilio_sid", flat=True)
    known = {*given_up, *taken}
    for message in listed:
        if message.sid not in known and (message.body, message.num_media > 0) == (row.body, row.has_media):
            return message
    return None


def _fail(row: OutboundMessage, *, code: int | None) -> None:
    OutboundMessage.objects.filter(id=row.id, status__in=REPLACES[Status.FAILED]).update(
        status=Status.FAILED, error_code=code
    )


@transaction.atomic
def settle(outbound_id: uuid.UUID, *, sid: str, twilio_status: str, error_code: int | None = None) -> None:
    """The row is known to be Twilio's ``sid``: link them, then apply what callbacks said before we knew."""
    _apply_status(outbound_id, sid=sid, twilio_status=twilio_status, error_code=error_code)
    waiting = DeliveryEvent.objects.filter(twilio_sid=sid, outbound_message=None)
    if events := list(waiting.select_for_update()):
        for event in events:
            _apply_status(outbound_id, sid=sid, twilio_status=event.status, error_code=event.error_code)
        waiting.update(outbound_message_id=outbound_id)


def _apply_status(outbound_id: uuid.UUID, *, sid: str, twilio_status: str, error_code: int | None) -> None:
    """Give a row its SID and move it forward, never back: callbacks come in any order (contracts §5)."""
    status = FROM_TWILIO.get(twilio_status)
    changes: dict[str, Any] = {"twilio_sid": Coalesce(F("twilio_sid"), Value(sid))}
    if status is not None:
        moves = Q(status__in=REPLACES[status])
        now = timezone.now()
        changes["status"] = Case(When(moves, then=Value(status)), default=F("status"))
        code = Value(error_code, output_field=PositiveIntegerField())
        changes["error_code"] = Case(When(moves, then=code), default=F("error_code"))
        if status in TIMESTAMP:
            name = TIMESTAMP[status]
            changes[name] = Case(When(moves, then=Value(now)), default=F(name))
        if status != Status.FAILED:
            changes["sent_at"] = Coalesce(F("sent_at"), Value(now))
    OutboundMessage.objects.filter(id=outbound_id).update(**changes)


@transaction.atomic
def record_delivery_event(*, post: QueryDict, tag: str | None) -> None:
    """Take a status callback of Twilio's: repeated, out of order, or before our send call has returned.

    ``tag`` is the outbox id we put into the callback's URL; the signature covers it. Raises MalformedWebhook.
    """
    sid, word = post.get("MessageSid", ""), post.get("MessageStatus", "")
    if not 0 < len(sid) <= 64 or not 0 < len(word) <= 32 or "\0" in sid + word:
        raise MalformedWebhook("MessageSid or MessageStatus is missing or too long.")
    code = post.get("ErrorCode", "")
    error_code = int(code) if code.isascii() and code.isdigit() and len(code) < 9 else None
    row = _get_outbound(tag=tag, sid=sid)
    event, created = DeliveryEvent.objects.get_or_create(
        twilio_sid=sid, status=word, defaults={"error_code": error_code, "outbound_message": row}
    )
    if row is None or (not created and event.outbound_message_id is not None):
        return  # waits for its row, or has been applied
    settle(row.id, sid=sid, twilio_status=word, error_code=error_code)
    if row.status == Status.SENDING:
        _wake_waiting_send(row)
    if FROM_TWILIO.get(word) == Status.FAILED and not is_permanent_delivery_error(error_code):
        _send_again(row)


def _wake_waiting_send(row: OutboundMessage) -> None:
    """The callback has settled what a job of this row may be waiting to look up: let it run, and free the lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET scheduled_at = NULL"
            " WHERE status = 'todo' AND lock = %s AND args->>'outbound_id' = %s",
            [get_lock(row), str(row.id)],
        )


def _send_again(row: OutboundMessage) -> None:
    """Twilio took the message and then failed for a reason that passes: queue it once more, as a new message.

    But for what was forgotten meanwhile.
    """
    failed = OutboundMessage.objects.filter(id=row.id, status=Status.FAILED, attempts__lt=MAX_ATTEMPTS)
    again = failed.exclude(body=FORGOTTEN).update(status=Status.PENDING, twilio_sid=None, sent_at=None)
    if again:
        defer_send(row, after=timedelta(seconds=30 * max(row.attempts, 1)))


def _get_outbound(*, tag: str | None, sid: str) -> OutboundMessage | None:
    """The row Twilio speaks of: by SID, or by our tag while the row does not know its SID.

    A late word about a message that was given up and is being sent again is not about the new one.
    """
    row = OutboundMessage.objects.filter(twilio_sid=sid).first()
    if row is not None:
        return row
    try:
        row = OutboundMessage.objects.filter(id=uuid.UUID(tag or ""), twilio_sid=None).first()
    except ValueError:
        return None
    gone = DeliveryEvent.objects.filter(twilio_sid=sid, outbound_message=row, status__in=HAS_FAILED)
    return None if row is None or gone.exists() else row


def get_unfinished_outbound(*, older_than: timedelta) -> list[OutboundMessage]:
    """Parts that wait to be sent although no job of theirs is alive: what the sweep re-queues."""
    return list(
        OutboundMessage.objects.filter(
            status__in=(Status.PENDING, Status.SENDING), created_at__lt=timezone.now() - older_than
        ).extra(
            where=[
                "NOT EXISTS (SELECT 1 FROM procrastinate_jobs job WHERE job.status IN ('todo', 'doing')"
                " AND job.task_name = %s AND job.args->>'outbound_id' = messaging_outboundmessage.id::text)"
            ],
            params=[SEND_MESSAGE],
        )[:1000]
    )
