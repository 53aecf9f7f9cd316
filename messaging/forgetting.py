"""Forgetting for good: messages and answers that say what a person wanted forgotten are blanked.

What a turn that is still running said, and parts of answers that are not sent yet, are blanked by a job when they are
done with.
"""

import logging
import re
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.dispatch import receiver
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from media.models import MessageMedia
from media.storing import remove_links
from memories.changes import forget_memory, forgetting
from memories.models import Citation, Memory
from messaging.answers import Turn, shorten
from messaging.content import FIRST_MEDIA, get_media_sources
from messaging.models import Interaction, OutboundMessage, RawMessage
from whatsbot import database
from whatsbot.exceptions import MediaRefused, MisconfiguredProvider, PermanentProviderError
from whatsbot.integrations import twilio_media

log = logging.getLogger(__name__)

REDACT = "messaging.redact"
DELETE_MEDIA = "messaging.delete_media"
MOST_SOURCES = 100  # files deleted by one job
FORGOTTEN = "[forgotten]"
STAFF_ANSWERS_WITHIN = timedelta(days=1)  # WhatsApp takes no later answer
# No part of an answer is sent later than this after the message (delivery.FREE_TEXT_WINDOW): nothing waits longer.
LONGEST_WAIT = timedelta(hours=25)
AT_LEAST, AT_MOST = 2.0, 300.0  # seconds until looking again
LAST_OF_ALL = -100  # the priority of the job: what it waits for comes first

# What identifies a message, answers it, and says of what kind it was. Everything else a webhook brings may be words.
_KEPT = re.compile(
    r"AccountSid|ApiVersion|From|To|WaId|ExternalUserId|(?:Sms|SmsMessage|Message|MessagingService)Sid|SmsStatus"
    r"|MessageType|NumMedia|MediaContentType\d+|NumSegments|(?:Frequently)?Forwarded|OptOutType"
    r"|OriginalRepliedMessage(?:Sid|Sender)"
)
_UNSENT = (OutboundMessage.Status.PENDING, OutboundMessage.Status.SENDING)


@receiver(forgetting, dispatch_uid="messaging.forgetting")
def _blank_what_said_it(memory: Memory, raw_message_ids: list[int], is_whole: bool, **kwargs: Any) -> None:
    messages, answers = find_what_said(raw_message_ids, cited_memory_ids=[memory.id] if is_whole else [])
    redact_in_time(raw_message_ids=messages, interaction_ids=answers)


def find_what_said(
    raw_message_ids: Collection[int], *, cited_memory_ids: Collection[int] = ()
) -> tuple[set[int], set[int]]:
    """The messages and answers that say what these messages said or what these memories say: ids of both."""
    # One question per index: together they would be one that reads everybody's messages.
    of_bursts = RawMessage.objects.filter(turn__raw_message_id__in=raw_message_ids)  # which name their newest
    messages = {*raw_message_ids, *of_bursts.values_list("id", flat=True)}
    citing = Citation.objects.filter(memory_id__in=cited_memory_ids)
    return messages, find_answers(messages) | {*citing.values_list("interaction_id", flat=True)}


def find_answers(raw_message_ids: Collection[int]) -> set[int]:
    """The ids of the answers to these messages, also where one of a burst is meant."""
    turns = RawMessage.objects.filter(id__in=raw_message_ids, turn__isnull=False)
    return {
        *Interaction.objects.filter(raw_message_id__in=raw_message_ids).values_list("id", flat=True),
        *turns.values_list("turn_id", flat=True),
    }


@transaction.atomic
def redact_in_time(*, raw_message_ids: Collection[int] = (), interaction_ids: Collection[int] = ()) -> None:
    """Blank messages and answers: at once what is done with, the rest by a job as soon as it is."""
    if redact(raw_message_ids=raw_message_ids, interaction_ids=interaction_ids) is not None:
        jobs.configure_task(REDACT, queue="upkeep", priority=LAST_OF_ALL).defer(
            raw_message_ids=[*raw_message_ids], interaction_ids=[*interaction_ids]
        )


@transaction.atomic
def redact(*, raw_message_ids: Collection[int], interaction_ids: Collection[int]) -> float | None:
    """Blank those of the messages and answers that are done with; safe to repeat.

    A running turn may have to be resumed from its messages, and an unsent part is sent and looked up by its text.
    Returns the seconds after which to call again for those, or None if nothing is left.
    """
    earliest = timezone.now() - LONGEST_WAIT
    answers = Interaction.objects.filter(id__in=interaction_ids)
    running = answers.filter(answered_at=None, started_at__gt=earliest)
    messages = RawMessage.objects.filter(id__in=raw_message_ids)
    parts = OutboundMessage.objects.filter(
        Q(interaction__in=answers) | Q(id__in=_get_answers_of_staff(messages))
    )
    unsent = parts.filter(status__in=_UNSENT, created_at__gt=earliest)
    waiting_since = [
        *running.values_list("started_at", flat=True),
        *unsent.values_list("created_at", flat=True),
    ]
    of_running = Q(turn__in=running) | Q(interaction__in=running)
    redact_messages(
        messages.exclude(id__in=messages.filter(of_running).values("id")).values_list("id", flat=True)
    )
    answers.exclude(id__in=running.values("id")).update(answer=FORGOTTEN, transcript=[])
    parts.exclude(id__in=unsent.values("id")).update(body=FORGOTTEN)
    if not waiting_since:
        return None
    waited = (timezone.now() - min(waiting_since)).total_seconds()
    return min(max(waited, AT_LEAST), AT_MOST)


def _get_answers_of_staff(messages: QuerySet[RawMessage]) -> set[uuid.UUID]:
    """What staff wrote in the day after messages that no turn of the bot's answered: it may quote them."""
    written: set[uuid.UUID] = set()
    for user_id, at in messages.filter(turn=None).values_list("user_id", "received_at"):
        by_staff = OutboundMessage.objects.filter(user_id=user_id, interaction=None)
        answers = by_staff.filter(created_at__gte=at, created_at__lt=at + STAFF_ANSWERS_WITHIN)
        written.update(answers.values_list("id", flat=True))
    return written


@transaction.atomic
def redact_messages(raw_message_ids: Iterable[int]) -> None:
    """Blank what these messages say, at once, with their files; what kind of messages they were stays."""
    raw_message_ids = list(raw_message_ids)
    defer_media_deletion(RawMessage.objects.filter(id__in=raw_message_ids))
    remove_links(MessageMedia.objects.filter(raw_message_id__in=raw_message_ids))
    for raw in RawMessage.objects.filter(id__in=raw_message_ids, redacted_at=None):
        RawMessage.objects.filter(id=raw.id).update(
            body="", payload=strip_payload(raw.payload), redacted_at=timezone.now(), media_pending=False
        )


def defer_media_deletion(messages: QuerySet[RawMessage]) -> None:
    """Have Twilio's copies of the files of these messages deleted; it keeps them until then (contracts §6)."""
    with_files = messages.filter(payload__has_key=FIRST_MEDIA).order_by("id")
    sources: list[list[str]] = []  # pairs
    for raw in with_files.iterator(chunk_size=MOST_SOURCES):
        sources += [[raw.message_sid, source.url] for source in get_media_sources(raw)]
    defer_source_deletion(sources)


def defer_source_deletion(sources: Sequence[list[str]]) -> None:
    """Have files deleted at Twilio's, given as SID of the message and address."""
    for start in range(0, len(sources), MOST_SOURCES):
        batch = sources[start : start + MOST_SOURCES]
        jobs.configure_task(DELETE_MEDIA, queue="upkeep", priority=LAST_OF_ALL).defer(
            sources=[[*pair] for pair in batch]
        )


def delete_media(sources: Iterable[Sequence[str]]) -> None:
    """Delete files at Twilio's, given as SID of the message and address; those that are gone count as deleted.

    Raises ProviderError when Twilio cannot be asked. What it refuses for good is left to Twilio's own deletion.
    """
    database.release_connection()  # no connection is held while Twilio thinks
    for message_sid, url in sources:
        try:
            twilio_media.delete_media(url, message_sid=message_sid)
        except (MediaRefused, PermanentProviderError) as error:
            if isinstance(error, MisconfiguredProvider):
                raise
            log.warning("a file of message %s stays at Twilio: %s", message_sid, error)


def strip_payload(payload: dict[str, Any]) -> dict[str, Any]:
    """A webhook's fields without anything anybody has written, placed or attached."""
    return {name: value for name, value in payload.items() if _KEPT.fullmatch(name)}


@transaction.atomic
def forget_and_tell(turn: Turn, numbers: Iterable[int]) -> str:
    """Forget these memories of the person, and say what was forgotten and what was not there.

    The answer being made quotes them: it is blanked too, once it is sent.
    """
    lines, missing = [], []
    for number in dict.fromkeys(numbers):
        memory = forget_memory(user_id=turn.user.id, number=number)
        if memory is None:
            missing.append(f"#{number}")
        else:
            lines.append(f"Forgotten: #{memory.number} “{shorten(memory.text)}”")
    if lines:
        redact_answer_of(turn)
    if missing:
        lines.append(f"I have no memory {', '.join(missing)}. Send /list to see the numbers.")
    return "\n".join(lines)


def redact_answer_of(turn: Turn) -> None:
    """Blank the answer that is being made for this turn, as soon as it is sent."""
    running = Interaction.objects.filter(raw_message_id=turn.raw_message_id)
    redact_in_time(interaction_ids=list(running.values_list("id", flat=True)))
