"""Erasing a person: everything at once, in one transaction, with a receipt that goes a day later."""

import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from accounts.models import WhatsAppUser
from accounts.people import infer_timezone
from media.models import MediaFile, MessageMedia
from media.storing import remove_links, using_storage
from memories.models import Citation, Memory, MemoryHistory, MemoryWord
from messaging.forgetting import LAST_OF_ALL, defer_media_deletion, strip_payload
from messaging.inbound import enqueue_message
from messaging.models import DeliveryEvent, ErasureReceipt, Interaction, OutboundMessage, RawMessage
from whatsbot import database
from whatsbot.integrations import mem0

FORGET_RECEIPT = "messaging.forget_receipt"
CONFIRM_ERASURE = "messaging.confirm_erasure"
LONGEST_PAUSE = 3600.0  # seconds
RECEIPT_KEPT = timedelta(
    hours=25
)  # WhatsApp takes an answer for 24 hours; until then it may have to be sent again
BATCH = 1000  # rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """How much there is of a person."""

    memories: int
    earlier_texts: int
    messages: int
    answers: int
    files: int

    def describe(self) -> str:
        """The counts, one per line."""
        named = (
            (self.memories, "memory", "memories"),
            (self.earlier_texts, "earlier text of a memory", "earlier texts of memories"),
            (self.messages, "message of yours", "messages of yours"),
            (self.answers, "answer of mine", "answers of mine"),
            (self.files, "file of yours", "files of yours"),
        )
        return "\n".join(f"• {count} {one if count == 1 else many}" for count, one, many in named)


def count_traces(*, user_id: int) -> Traces:
    """What is kept of this person; the turn that is running counts as a message."""
    return count_traces_of([user_id])


def count_traces_of(user_ids: Collection[int]) -> Traces:
    """What is kept of these people together."""
    answers = Interaction.objects.filter(raw_message__user_id__in=user_ids, answered_at__isnull=False)
    of_staff = OutboundMessage.objects.filter(user_id__in=user_ids, interaction=None, part=1)
    return Traces(
        memories=Memory.objects.filter(user_id__in=user_ids).count(),
        earlier_texts=MemoryHistory.objects.filter(memory__user_id__in=user_ids).count(),
        messages=RawMessage.objects.filter(user_id__in=user_ids).count(),
        answers=answers.count() + of_staff.count(),
        files=MessageMedia.objects.filter(user_id__in=user_ids, file__isnull=False).count(),
    )


@transaction.atomic
def erase_wholly(*, user_id: int, asked_by: str) -> ErasureReceipt:
    """Delete this person and all that is kept of them, on behalf of somebody else; nothing is answered in the chat.

    A job finds out when the copies outside the database are gone as well, and notes it on the receipt. Whoever writes
    again afterwards is new. Raises WhatsAppUser.DoesNotExist.
    """
    old = WhatsAppUser.objects.select_for_update().get(id=user_id)
    traces = count_traces(user_id=user_id)
    others = MessageMedia.objects.filter(file=OuterRef("pk")).exclude(user=old)
    alone = MediaFile.objects.filter(~Exists(others), links__user=old).distinct()
    names = [name for pair in alone.values_list("storage_name", "thumbnail_name") for name in pair if name]
    defer_media_deletion(RawMessage.objects.filter(user=old))
    _delete_all(old)
    receipt = ErasureReceipt.objects.create(
        user_id=user_id, asked_by=asked_by, erased=asdict(traces), objects_to_delete=names
    )
    jobs.configure_task(CONFIRM_ERASURE, queue="upkeep", priority=LAST_OF_ALL).defer(
        receipt_id=str(receipt.id)
    )
    receipt.refresh_from_db()
    return receipt


def confirm_erasure(receipt_id: uuid.UUID) -> float | None:
    """Note that nothing is left in Mem0 and the file store. Returns the seconds after which to look again, or None.

    Raises ProviderError.
    """
    receipt = ErasureReceipt.objects.filter(id=receipt_id, confirmed_at=None).first()
    if receipt is None:
        return None
    database.release_connection()
    with using_storage():
        left = [name for name in receipt.objects_to_delete if default_storage.exists(name)]
    if left or next(iter(mem0.list_entries(user_id=receipt.user_id)), None) is not None:
        waited = (timezone.now() - receipt.erased_at).total_seconds()
        return min(max(waited, 1.0), LONGEST_PAUSE)
    ErasureReceipt.objects.filter(id=receipt_id).update(confirmed_at=Now(), objects_to_delete=[])
    return None


@transaction.atomic
def erase_person(*, user_id: int, raw_message_id: int) -> Traces:
    """Delete this person and all that is kept of them, but for the message that asked for it; return the counts.

    The same address gets a fresh row, which the message (without its text) and its turn move to, so that it can be
    answered and a repeated delivery of it is known. Messages that came after it and wait for an answer move too; those
    that waited for staff wait for the bot, since whoever had the conversation has it no longer.
    Triggers of the database have Mem0's copies deleted. A webhook of this person waits until it is done.
    """
    old = WhatsAppUser.objects.select_for_update().get(id=user_id)
    traces = count_traces(user_id=user_id)
    fresh = _replace_row(old)
    confirming = RawMessage.objects.get(id=raw_message_id)
    waiting = (RawMessage.Status.RECEIVED, RawMessage.Status.HELD)
    later = Q(id__gt=raw_message_id, status__in=waiting)
    RawMessage.objects.filter(Q(id=raw_message_id) | later, user=old).update(user=fresh)
    for held in RawMessage.objects.filter(user=fresh, status=RawMessage.Status.HELD).order_by("id"):
        RawMessage.objects.filter(id=held.id).update(status=RawMessage.Status.RECEIVED)
        enqueue_message(held)
    MessageMedia.objects.filter(raw_message__user=fresh).update(user=fresh)
    RawMessage.objects.filter(id=raw_message_id).update(
        body="", payload=strip_payload(confirming.payload), redacted_at=timezone.now()
    )
    Interaction.objects.filter(raw_message_id=raw_message_id).update(transcript=[])
    defer_media_deletion(RawMessage.objects.filter(user=old))
    _delete_all(old)
    jobs.configure_task(
        FORGET_RECEIPT,
        queue="upkeep",
        priority=LAST_OF_ALL,
        schedule_at=timezone.now() + RECEIPT_KEPT,
    ).defer(raw_message_id=raw_message_id)
    return traces


def _replace_row(old: WhatsAppUser) -> WhatsAppUser:
    """A row as for somebody new at the same address. Only that they want to hear nothing is kept."""
    unique = {name: getattr(old, name) for name in ("whatsapp_id", "phone_number", "business_scoped_id")}
    WhatsAppUser.objects.filter(id=old.id).update(
        whatsapp_id=f"erased:{old.id}", phone_number=None, business_scoped_id=None
    )
    return WhatsAppUser.objects.create(
        **unique,
        **infer_timezone(old.whatsapp_id),
        opted_out_at=old.opted_out_at,
        last_inbound_at=old.last_inbound_at,
    )


def _delete_all(person: WhatsAppUser) -> None:
    """Delete a person with all that refers to them, without ever holding it all.

    Rows that nothing refers to go in one statement per table; the rest in batches, because Django reads what it
    cascades from.
    """
    remove_links(MessageMedia.objects.filter(user=person))
    MemoryWord.objects.filter(user=person).delete()
    MemoryHistory.objects.filter(memory__user=person).delete()
    Citation.objects.filter(memory__user=person).delete()
    DeliveryEvent.objects.filter(outbound_message__user=person).delete()
    for model in (Memory, OutboundMessage, RawMessage):
        _delete_in_batches(model._default_manager.filter(user=person))
    person.delete()


def _delete_in_batches(rows: "models.QuerySet[Any]") -> None:
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        rows.filter(pk__in=ids).delete()


@transaction.atomic
def forget_receipt(raw_message_id: int) -> None:
    """Delete the receipt of an erasure, and the person's fresh row if nothing has come since.

    Somebody who opted out stays known as that, and as nothing else.
    """
    receipt = RawMessage.objects.filter(id=raw_message_id).first()
    if receipt is None:  # erased once more meanwhile
        return
    person = WhatsAppUser.objects.select_for_update().get(id=receipt.user_id)  # a webhook waits
    receipt.delete()
    is_known = (
        person.opted_out_at is not None
        or RawMessage.objects.filter(user=person).exists()
        or Memory.objects.filter(user=person).exists()
    )
    if not is_known:
        person.delete()
