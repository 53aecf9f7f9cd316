"""Messages coming in: from Twilio's form to one stored row with one job, however often it is delivered."""

import json
import random
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import psycopg
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from accounts.models import WhatsAppUser
from accounts.phone_numbers import E164
from accounts.timezones import infer_timezone_from_number
from messaging.models import RawMessage
from whatsbot.database import discard_broken_connections
from whatsbot.exceptions import DatabaseUnavailable, MalformedWebhook

PROCESS_MESSAGE = "messaging.process_message"
TAKE_MEDIA = "messaging.take_media"
QUEUE = "messages"
MEDIA_QUEUE = "media"
# Twilio waits 15 s for an answer (contracts/twilio-whatsapp.md §3); what is not stored by then gets a 503.
DATABASE_BUDGET_SECONDS = 10.0
# Twilio's limit is 4096 for WhatsApp; ten times that is not a message any more but must not be lost for being long.
MAX_FIELD_CHARACTERS = 65_536

# A lost database comes back; a unique violation means that a racing message of the same person has just linked their
# number and their business-scoped id, and the next look sees it.
RETRIED = (
    OperationalError,
    InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.UniqueViolation,
)

_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PHONE_ADDRESS = re.compile(f"whatsapp:({E164.pattern})")


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """One inbound WhatsApp message in our words. Nothing below this class reads Twilio's field names."""

    message_sid: str
    from_address: str
    to_address: str
    body: str
    profile_name: str
    business_scoped_id: str | None
    payload: dict[str, Any]

    @classmethod
    def from_post(cls, post: QueryDict) -> Self:
        """Read a verified webhook form (contracts/twilio-whatsapp.md §1).

        Unknown fields and message types are kept in ``payload``. Raises MalformedWebhook for what cannot be stored.
        """
        payload: dict[str, Any] = {}
        for name, values in post.lists():
            if "\0" in name or any("\0" in value for value in values):
                raise MalformedWebhook("A field contains a NUL character.")
            if any(len(value) > MAX_FIELD_CHARACTERS for value in values):
                raise MalformedWebhook("A field is too long.")
            payload[name] = values[0] if len(values) == 1 else values
        message_sid = post.get("MessageSid", "")
        if not _SID.fullmatch(message_sid):
            raise MalformedWebhook("MessageSid is missing or not a SID.")
        if post.get("AccountSid") != settings.TWILIO_ACCOUNT_SID:
            raise MalformedWebhook("AccountSid is not the account this bot serves.")
        from_address, to_address = post.get("From", ""), post.get("To", "")
        if not 0 < len(from_address) <= 160 or not 0 < len(to_address) <= 160:
            raise MalformedWebhook("From or To is missing or too long.")
        return cls(
            message_sid=message_sid,
            from_address=from_address,
            to_address=to_address,
            body=post.get("Body", ""),
            profile_name=post.get("ProfileName", ""),
            business_scoped_id=_business_scoped_id(from_address, post.get("ExternalUserId", "")),
            payload=payload,
        )

    @property
    def has_media(self) -> bool:
        """Whether files come with it."""
        return count_media(self.payload) > 0

    @property
    def phone_number(self) -> str | None:
        """The sender's number in E.164, or None for people who hide it (contracts §1.2)."""
        match = _PHONE_ADDRESS.fullmatch(self.from_address)
        return match[1] if match else None


def count_media(payload: dict[str, Any]) -> int:
    """How many files a payload says come with the message; 0 for anything odd (contracts §1)."""
    count = str(payload.get("NumMedia", "0"))
    return int(count) if count.isascii() and count.isdigit() and len(count) < 3 else 0


def _business_scoped_id(from_address: str, external_user_id: str) -> str | None:
    if 0 < len(external_user_id) <= 160:
        return external_user_id
    return None if _PHONE_ADDRESS.fullmatch(from_address) else from_address


# One statement is one round trip and one transaction: the person, the message, and, only if the message is new, its
# job, behind one that takes in its media, if it has any. It defers through procrastinate's own function, so a schema
# change there fails loudly in the tests. A message repeated at the same time waits on message_sid's unique index and
# then inserts nothing.
RECEIVE_SQL = """
WITH person AS (
    INSERT INTO accounts_whatsappuser
        (whatsapp_id, phone_number, business_scoped_id, profile_name, timezone, timezone_source)
    VALUES (%(whatsapp_id)s, %(phone_number)s, %(business_scoped_id)s, %(profile_name)s,
            %(timezone)s, %(timezone_source)s)
    ON CONFLICT (whatsapp_id) DO UPDATE SET
        profile_name = COALESCE(NULLIF(EXCLUDED.profile_name, ''), accounts_whatsappuser.profile_name),
        phone_number = COALESCE(accounts_whatsappuser.phone_number, EXCLUDED.phone_number),
        business_scoped_id = COALESCE(accounts_whatsappuser.business_scoped_id, EXCLUDED.business_scoped_id),
        last_inbound_at = now()
    RETURNING id
), message AS (
    INSERT INTO messaging_rawmessage (message_sid, user_id, from_address, to_address, body, payload, media_pending)
    SELECT %(message_sid)s, person.id, %(from_address)s, %(to_address)s, %(body)s, %(payload)s, %(has_media)s
    FROM person
    ON CONFLICT (message_sid) DO NOTHING
    RETURNING id, user_id
)
SELECT message.id, procrastinate_defer_jobs_v1(CASE WHEN %(has_media)s THEN ARRAY[ROW(
    %(media_queue)s, %(take_media)s, 0, NULL, NULL, jsonb_build_object('raw_message_id', message.id), NULL
)::procrastinate_job_to_defer_v1] ELSE '{}' END || ROW(
    %(queue)s, %(task)s, 0, 'user:' || message.user_id, NULL,
    jsonb_build_object('raw_message_id', message.id), statement_timestamp() + %(wait)s::float8 * interval '1 second'
)::procrastinate_job_to_defer_v1)
FROM message
"""


def receive_message(message: InboundMessage) -> bool:
    """Store the message and enqueue its answer, once; return whether it was new.

    The statement is safe to repeat, so a database that is away is simply tried again until the budget of
    `DATABASE_BUDGET_SECONDS` is used up. Raises DatabaseUnavailable then.
    """
    zone = infer_timezone_from_number(message.from_address)
    parameters = {
        "whatsapp_id": message.from_address,
        "phone_number": message.phone_number,
        "business_scoped_id": message.business_scoped_id,
        "profile_name": message.profile_name,
        "timezone": zone.zone,
        "timezone_source": (
            WhatsAppUser.TimezoneSource.INFERRED if zone.certain else WhatsAppUser.TimezoneSource.GUESSED
        ).value,
        "message_sid": message.message_sid,
        "from_address": message.from_address,
        "to_address": message.to_address,
        "body": message.body,
        "payload": json.dumps(message.payload),
        "has_media": message.has_media,
        "media_queue": MEDIA_QUEUE,
        "take_media": TAKE_MEDIA,
        "queue": QUEUE,
        "task": PROCESS_MESSAGE,
        # Others of the same burst may follow (messaging/bursts.py); NULL: at once.
        "wait": None if is_alone(message.body) or settings.BURST_SECONDS <= 0 else settings.BURST_SECONDS,
    }
    deadline = time.monotonic() + DATABASE_BUDGET_SECONDS
    while True:
        try:
            return _store_and_enqueue(parameters, message)
        except RETRIED as error:
            discard_broken_connections()
            pause = random.uniform(0.05, 0.25)
            if time.monotonic() + pause > deadline:
                raise DatabaseUnavailable from error
            time.sleep(pause)


def _store_and_enqueue(parameters: dict[str, Any], message: InboundMessage) -> bool:
    if message.business_scoped_id:
        parameters = parameters | _linked_identity(message)
    connection.ensure_connection()
    # psycopg's own cursor: Django's binds on the client, so that PostgreSQL would plan the statement each time.
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(RECEIVE_SQL, parameters)
        return cursor.fetchone() is not None


def _linked_identity(message: InboundMessage) -> dict[str, str | None]:
    """Find the person a business-scoped id belongs to, so that hiding or showing one's number keeps the memories.

    Only messages that carry such an id pay for this look-up. The id is left out where another row holds it already.
    """
    known = list(
        WhatsAppUser.objects.filter(business_scoped_id=message.business_scoped_id).values_list(
            "whatsapp_id", flat=True
        )
    )
    if not known:
        return {}
    if WhatsAppUser.objects.filter(whatsapp_id=message.from_address).exists():
        return {"business_scoped_id": None}
    return {"whatsapp_id": known[0]}


def is_alone(body: str) -> bool:
    """Whether a message with this text is answered at once and by itself, as commands are."""
    return body.lstrip().startswith("/")


def enqueue_message(raw: RawMessage) -> None:
    """Give a stored message a job, as `receive_message` does for a new one."""
    jobs.configure_task(PROCESS_MESSAGE, queue=QUEUE, lock=f"user:{raw.user_id}").defer(raw_message_id=raw.id)


def get_abandoned_messages(*, older_than: timedelta) -> list[RawMessage]:
    """Messages of the last day that wait for an answer although no job of theirs is alive: what the sweep re-queues."""
    waiting = RawMessage.objects.filter(status=RawMessage.Status.RECEIVED)
    return _get_without_job(waiting, task=PROCESS_MESSAGE, older_than=older_than)


def get_abandoned_media(*, older_than: timedelta) -> list[RawMessage]:
    """Messages of the last day whose files nobody is fetching although they should be."""
    return _get_without_job(
        RawMessage.objects.filter(media_pending=True), task=TAKE_MEDIA, older_than=older_than
    )


def get_unfetched_messages() -> QuerySet[RawMessage]:
    """Messages with files that nobody has ever begun to fetch: from before files were kept."""
    with_files = RawMessage.objects.filter(payload__has_key="MediaUrl0").exclude(payload__NumMedia="0")
    return with_files.filter(media=None, redacted_at=None, media_pending=False, user__opted_out_at=None)


def _get_without_job(rows: QuerySet[RawMessage], *, task: str, older_than: timedelta) -> list[RawMessage]:
    now = timezone.now()
    recent = rows.filter(received_at__lt=now - older_than, received_at__gt=now - timedelta(days=1))
    return list(
        recent.extra(
            where=[
                "NOT EXISTS (SELECT 1 FROM procrastinate_jobs job WHERE job.status IN ('todo', 'doing')"
                " AND job.task_name = %s AND job.args->>'raw_message_id' = messaging_rawmessage.id::text)"
            ],
            params=[task],
        )[:1000]
    )


def enqueue_media(raw: RawMessage) -> None:
    """Have the media of a stored message taken in, as `receive_message` does for a new one."""
    jobs.configure_task(TAKE_MEDIA, queue=MEDIA_QUEUE).defer(raw_message_id=raw.id)


def get_raw_message_by_sid(message_sid: str) -> RawMessage | None:
    """Return the stored inbound message with this SID, or None."""
    return RawMessage.objects.filter(message_sid=message_sid).first()


def store_raw_message(message: InboundMessage) -> tuple[RawMessage, bool]:
    """Store a message and enqueue its answer; safe to repeat. Returns the row and whether this call created it."""
    created = receive_message(message)
    return RawMessage.objects.get(message_sid=message.message_sid), created
