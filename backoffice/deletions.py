"""Deleting what a login has chosen: at once where it is little, else by a job, item by item, with a receipt.

Every item goes through the services of messaging/deletion.py and messaging/erasure.py, in a transaction of its own in
which it is also counted and written down: a worker that is killed leaves nothing half done, and another one goes on.
"""

import logging
import traceback
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, models, transaction
from django.db.models import F
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from accounts.audit import Action, record
from accounts.models import StaffUser, WhatsAppUser
from backoffice.leftovers import leave
from backoffice.models import Deletion
from media.models import MediaFile, MessageMedia
from memories.models import Memory
from messaging import extent
from messaging.deletion import delete_attachment, delete_memory, delete_message
from messaging.erasure import count_traces, count_traces_of, erase_wholly
from messaging.extent import Extent
from messaging.forgetting import LAST_OF_ALL
from messaging.models import RawMessage

log = logging.getLogger(__name__)

Kind = Deletion.Kind
RUN = "backoffice.run_deletion"
CONFIRM = "backoffice.confirm_deletion"
MOST_CHOSEN = 100_000
MOST_ROWS_AT_ONCE = 100  # messages and memories of a person who is erased within the request
MOST_SENDINGS_AT_ONCE = 10  # of a file
NEVER_ANSWERED_AFTER = timedelta(days=1)  # questions are dropped then, with what was chosen


@dataclass(frozen=True, slots=True)
class _Gone:
    """What became of one item: how many of each went, and whether there is more of it."""

    counts: Mapping[str, int]
    has_more: bool = False


NOTHING = _Gone({})


def prepare_deletion(*, kind: Deletion.Kind, ids: Sequence[int], staff: Any) -> Deletion:
    """Note what a login may want deleted, to be shown and asked about. Raises ValueError for none or too many."""
    if not 0 < len(ids) <= MOST_CHOSEN:
        raise ValueError(f"Choose at least one and at most {MOST_CHOSEN:,}.")
    Deletion.objects.filter(requested_at=None, prepared_at__lt=timezone.now() - NEVER_ANSWERED_AFTER).delete()
    return Deletion.objects.create(
        kind=kind, ids=[*ids], total=len(ids), asked_by=staff.get_username(), asked_by_id=staff.pk
    )


def request_deletion(*, kind: Deletion.Kind, ids: Sequence[int], staff: Any) -> Deletion:
    """Delete these rows on behalf of a login. Raises ValueError for none or too many."""
    return start_deletion(prepare_deletion(kind=kind, ids=ids, staff=staff).id)


@transaction.atomic
def start_deletion(deletion_id: uuid.UUID) -> Deletion:
    """The login has confirmed: one small thing goes at once, everything else by a job. Safe to repeat."""
    deletion = Deletion.objects.select_for_update().get(id=deletion_id)
    if deletion.requested_at is None:
        Deletion.objects.filter(id=deletion_id).update(requested_at=Now())
        if _is_small(deletion):
            run_deletion(deletion_id)
        else:
            jobs.configure_task(
                RUN, queue="upkeep", priority=LAST_OF_ALL, lock=f"deletion:{deletion_id}"
            ).defer(deletion_id=str(deletion_id))
    deletion.refresh_from_db()
    return deletion


def _is_small(deletion: Deletion) -> bool:
    """Whether a request can do it. Erasing 20,000 messages and memories takes some 5 s, 100 some 0.2 s."""
    if deletion.total > 1:
        return False
    (only,) = deletion.ids
    if deletion.kind == Kind.PEOPLE:
        traces = count_traces(user_id=only)
        return traces.memories + traces.messages <= MOST_ROWS_AT_ONCE
    if deletion.kind == Kind.FILES:
        return MessageMedia.objects.filter(file_id=only).count() <= MOST_SENDINGS_AT_ONCE
    return True


def run_deletion(deletion_id: uuid.UUID) -> None:
    """Work through what is left of a deletion that was requested. Raises what the database raises when it is away."""
    while _delete_next(deletion_id):
        pass


@transaction.atomic
def _delete_next(deletion_id: uuid.UUID) -> bool:
    """Delete the next item and count it, or finish. Returns whether to go on."""
    # Another worker that believes it its own waits here; the selection stays in the database, it may be long.
    unfinished = Deletion.objects.filter(id=deletion_id, requested_at__isnull=False, finished_at=None)
    deletion = (
        unfinished.select_for_update()
        .defer("ids")
        .annotate(next_id=RawSQL("(ids ->> done)::bigint", ()))
        .first()
    )
    if deletion is None:
        return False
    if deletion.next_id is None:
        _finish(deletion)
        return False
    changes: dict[str, Any] = {"started_at": deletion.started_at or Now()}
    try:
        with transaction.atomic():
            gone = _delete_item(deletion, deletion.next_id)
    except (OperationalError, InterfaceError):  # the database is away or two waited for each other: once more
        raise
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("an item of deletion %s stays: %s\n%s", deletion_id, type(error).__qualname__, where)
        gone = NOTHING
        changes |= {"error": type(error).__name__, "failed": [*deletion.failed, deletion.next_id]}
    changes["gone"] = add_counts([deletion.gone, gone.counts])
    if not gone.has_more:
        changes["done"] = F("done") + 1
    Deletion.objects.filter(id=deletion_id).update(**changes)
    return True


def _finish(deletion: Deletion) -> None:
    Deletion.objects.filter(id=deletion.id).update(ids=deletion.failed, finished_at=Now())
    jobs.configure_task(CONFIRM, queue="upkeep", priority=LAST_OF_ALL).defer(deletion_id=str(deletion.id))


def _delete_item(deletion: Deletion, item_id: int) -> _Gone:
    if deletion.kind == Kind.PEOPLE:
        return _erase(deletion, item_id)
    if deletion.kind == Kind.FILES:
        return _delete_one_sending(deletion, item_id)
    model, delete = _SERVICES[Kind(deletion.kind)]
    row = model.objects.filter(pk=item_id).first()
    if row is None:  # gone meanwhile
        return NOTHING
    return _Gone(_write_down(deletion, delete(item_id), subject=row, person_id=row.user_id))


_SERVICES: Mapping[Deletion.Kind, tuple[Any, Callable[[int], Extent]]] = {
    Kind.MEMORIES: (Memory, delete_memory),
    Kind.MESSAGES: (RawMessage, delete_message),
    Kind.ATTACHMENTS: (MessageMedia, delete_attachment),
}


def _delete_one_sending(deletion: Deletion, file_id: int) -> _Gone:
    """A content may have been sent very often: each sending is a step of its own, as in messaging.deletion."""
    link = MessageMedia.objects.filter(file_id=file_id).select_related("file").order_by("id").first()
    if link is None:
        return NOTHING
    reach = delete_attachment(link.id)
    return _Gone(
        _write_down(deletion, reach, subject=link.file, person_id=link.user_id),
        has_more=MessageMedia.objects.filter(file_id=file_id).exists(),
    )


def _write_down(
    deletion: Deletion, reach: Extent, *, subject: models.Model | None, person_id: int
) -> dict[str, int]:
    leave(deletion, reach)
    counts = {name: count for name, count in reach.count().items() if count}
    _record(Action.DELETED, deletion, subject=subject, person_id=person_id, counts=counts)
    return counts


def _erase(deletion: Deletion, user_id: int) -> _Gone:
    person = WhatsAppUser.objects.filter(id=user_id).first()
    if person is None:
        return NOTHING
    sendings = MessageMedia.objects.filter(user=person).count()
    receipt = erase_wholly(user_id=user_id, asked_by=f"login {deletion.asked_by}")
    deletion.receipts.add(receipt)
    counts = {
        **{name: receipt.erased[name] for name in ("memories", "earlier_texts", "messages", "answers")},
        "people": 1,
        "attachments": receipt.erased["files"],
        "mem0_entries": receipt.erased["memories"],
        "objects": len(receipt.objects_to_delete),
        "twilio_copies": sendings,
    }
    counts = {name: count for name, count in counts.items() if count}
    _record(Action.ERASED, deletion, subject=receipt, person_id=user_id, counts=counts)
    return _Gone(counts)


def _record(
    action: Action,
    deletion: Deletion,
    *,
    subject: models.Model | None,
    person_id: int,
    counts: Mapping[str, int],
) -> None:
    login = StaffUser(pk=deletion.asked_by_id, username=deletion.asked_by)  # who may be gone
    record(action, staff=login, person_id=person_id, subject=subject, detail=dict(counts))


@dataclass(frozen=True, slots=True)
class Preview:
    """How many of each would go, by names as in `Deletion.gone`, and the numbers of the memories, if of one person."""

    counts: Mapping[str, int]
    numbers: Sequence[int] = ()


def preview(kind: Deletion.Kind, ids: Collection[int]) -> Preview:
    """What goes with these rows. Some statements, however many rows."""
    if kind == Kind.PEOPLE:
        return Preview(_preview_people(ids))
    ask = {
        Kind.MEMORIES: extent.preview_memories,
        Kind.MESSAGES: extent.preview_messages,
        Kind.ATTACHMENTS: extent.preview_attachments,
        Kind.FILES: extent.preview_files,
    }
    reach = ask[kind](ids)
    of_one = len({memory.user_id for memory in reach.memories}) == 1
    return Preview(
        {name: count for name, count in reach.count().items() if count},
        [memory.number for memory in reach.memories] if of_one else (),
    )


def _preview_people(ids: Collection[int]) -> dict[str, int]:
    sent = MessageMedia.objects.filter(user_id__in=ids)
    others = MessageMedia.objects.filter(file=models.OuterRef("pk")).exclude(user_id__in=ids)
    alone = MediaFile.objects.filter(~models.Exists(others), id__in=sent.values("file_id"))
    traces = count_traces_of(ids)
    counts = {
        "people": len(ids),
        "memories": traces.memories,
        "earlier_texts": traces.earlier_texts,
        "messages": traces.messages,
        "answers": traces.answers,
        "attachments": traces.files,
        "mem0_entries": traces.memories,
        "objects": alone.count() + alone.exclude(thumbnail_name="").count(),
        "twilio_copies": sent.count(),
    }
    return {name: count for name, count in counts.items() if count}


def add_counts(counts: Collection[Mapping[str, int]]) -> dict[str, int]:
    """The sum of counts, by name."""
    names = dict.fromkeys(name for each in counts for name in each)
    return {name: sum(each.get(name, 0) for each in counts) for name in names}
