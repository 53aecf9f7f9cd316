"""A part of an answer that failed is sent once more, if it is certain that the person has not got it.

That it failed is known from Twilio's word of then, or from ours; so a job of its own asks Twilio now. Only what Twilio
has not, or says has failed, goes back to `messaging.delivery`, as a new message.
"""

import logging
import uuid
from datetime import timedelta

from django.db import transaction
from procrastinate.contrib.django import app as jobs

from messaging.delivery import (
    FROM_TWILIO,
    QUEUE,
    defer_send,
    find_at_twilio,
    get_lock,
    is_within_window,
    settle,
)
from messaging.forgetting import FORGOTTEN
from messaging.models import DeliveryEvent, OutboundMessage
from whatsbot import database
from whatsbot.exceptions import PermanentProviderError, TransientProviderError
from whatsbot.integrations import twilio

log = logging.getLogger(__name__)

SEND_AGAIN = "messaging.send_again"
PAUSE = timedelta(seconds=30)  # until Twilio is asked again, when it cannot be asked

Status = OutboundMessage.Status


def find_obstacle(row: OutboundMessage) -> str:
    """Why a failed part, given with its person, cannot be sent again whatever Twilio says; "" if it can."""
    if row.status != Status.FAILED:
        return "It has not failed."
    if row.body == FORGOTTEN:
        return "Its text is forgotten."
    if row.has_media and row.media_id is None:
        return "Its file is forgotten."
    if not is_within_window(row.user):
        return "The person last wrote more than 24 hours ago: WhatsApp takes no free text until they write again."
    return ""


def defer_send_again(row: OutboundMessage) -> None:
    """Enqueue it, in order with what else goes to the person."""
    jobs.configure_task(SEND_AGAIN, queue=QUEUE, lock=get_lock(row)).defer(outbound_id=str(row.id))


def send_again(outbound_id: uuid.UUID) -> float | None:
    """Queue a failed part once more, unless Twilio has it. Returns the seconds after which to call again, or None.

    What Twilio has after all is noted instead, and nothing is sent.
    """
    row = OutboundMessage.objects.select_related("user").filter(id=outbound_id).first()
    if row is None or find_obstacle(row):
        return None
    try:
        found = _ask_twilio(row)
    except TransientProviderError as error:
        log.warning("Twilio cannot be asked about %s: %s", row.id, error)
        return PAUSE.total_seconds()
    except PermanentProviderError as error:
        log.error(
            "part %s is not sent again, because Twilio does not say what became of it: %s", row.id, error
        )
        return None
    if found is not None and FROM_TWILIO.get(found.status) != Status.FAILED:
        _note(row, found)
    elif found is None and row.twilio_sid is not None:
        log.error("part %s is not sent again, because Twilio does not know it any more", row.id)
    else:
        _queue_again(row, failed=found)
    return None


def _ask_twilio(row: OutboundMessage) -> twilio.SentMessage | None:
    """The message of Twilio's that this part is, if there is one. Raises ProviderError."""
    if row.twilio_sid is None:
        return find_at_twilio(row, since=row.created_at) if row.attempted_at else None
    database.release_connection()  # no connection is held while Twilio thinks
    return twilio.fetch_sent_message(row.twilio_sid)


@transaction.atomic
def _queue_again(row: OutboundMessage, *, failed: twilio.SentMessage | None) -> None:
    again = OutboundMessage.objects.filter(id=row.id, status=Status.FAILED, twilio_sid=row.twilio_sid).update(
        status=Status.PENDING, twilio_sid=None, error_code=None, attempts=0, attempted_at=None, sent_at=None
    )
    if not again:
        return  # a callback has said meanwhile that it arrived
    if failed is not None:
        # A late callback about the old message is known by this to be none about the new one.
        DeliveryEvent.objects.update_or_create(
            twilio_sid=failed.sid,
            status=failed.status,
            defaults={"outbound_message": row, "error_code": failed.error_code},
        )
    defer_send(row)


@transaction.atomic
def _note(row: OutboundMessage, found: twilio.SentMessage) -> None:
    """Twilio has the message: the part is no failure of ours any more. What Twilio said later counts more."""
    if row.twilio_sid is None:
        OutboundMessage.objects.filter(id=row.id, status=Status.FAILED, twilio_sid=None).update(
            status=Status.SENDING
        )
    settle(row.id, sid=found.sid, twilio_status=found.status, error_code=found.error_code)
