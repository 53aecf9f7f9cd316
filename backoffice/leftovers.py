"""Finding out when nothing is left of what was deleted: in texts still on their way, in Mem0, in the file store."""

import uuid
from collections import defaultdict
from collections.abc import Collection

from django.core.files.storage import default_storage
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from backoffice.models import Deletion, Leftover
from media.models import MediaFile
from media.storing import using_storage
from memories.models import Memory
from messaging.extent import Extent
from messaging.forgetting import FORGOTTEN
from messaging.models import Interaction, OutboundMessage, RawMessage
from whatsbot import database
from whatsbot.integrations import mem0

Place = Leftover.Place
LONGEST_PAUSE = 3600.0  # seconds
ASKED_ONE_BY_ONE = 20  # entries of one person; where there are more, all of theirs are listed


def leave(deletion: Deletion, reach: Extent) -> None:
    """Note what is to go after an item was deleted. Call in the transaction that deletes it."""
    memories = (*reach.memories, *reach.restored)
    rows: list[tuple[Leftover.Place, object, int | None]] = [
        *((Place.MESSAGE, key, None) for key in _find_said(reach.messages)),
        *((Place.ANSWER, key, None) for key in _find_told(reach.answers)),
        *((Place.MEM0, memory.mem0_id, memory.user_id) for memory in memories),
        *((Place.STORE, name, None) for name in reach.objects),
    ]
    Leftover.objects.bulk_create(
        Leftover(deletion=deletion, place=place, name=str(name), user_id=user_id)
        for place, name, user_id in rows
    )


def confirm_deletion(deletion_id: uuid.UUID) -> float | None:
    """Note that nothing is left anywhere. Returns the seconds after which to look again, or None.

    What was found gone is not asked for again. Raises ProviderError.
    """
    deletion = Deletion.objects.filter(id=deletion_id, finished_at__isnull=False, confirmed_at=None).first()
    if deletion is None or deletion.finished_at is None:
        return None
    texts = deletion.leftovers.filter(place__in=(Place.MESSAGE, Place.ANSWER))
    _drop_texts(texts)
    if not texts.exists():  # until then files of theirs are kept
        _drop_entries(deletion.leftovers.filter(place=Place.MEM0))
        _drop_objects(deletion.leftovers.filter(place=Place.STORE))
    if deletion.leftovers.exists() or deletion.receipts.filter(confirmed_at=None).exists():
        waited = (timezone.now() - deletion.finished_at).total_seconds()
        return min(max(waited, 1.0), LONGEST_PAUSE)
    Deletion.objects.filter(id=deletion_id).update(confirmed_at=Now())
    return None


def _drop_texts(texts: "QuerySet[Leftover]") -> None:
    """Of messages and answers, those that are blank by now, or gone."""
    for place, find in ((Place.MESSAGE, _find_said), (Place.ANSWER, _find_told)):
        rows = texts.filter(place=place)
        names = rows.values_list("name", flat=True)
        left = find([int(name) for name in names])
        rows.exclude(name__in=[str(key) for key in left]).delete()


def _find_said(raw_message_ids: Collection[int]) -> list[int]:
    """Messages that still say something."""
    said = RawMessage.objects.filter(id__in=raw_message_ids, redacted_at=None)
    return list(said.values_list("id", flat=True))


def _find_told(interaction_ids: Collection[int]) -> list[int]:
    """Answers that still say something, or have parts that do."""
    parts = OutboundMessage.objects.filter(interaction=OuterRef("pk")).exclude(body=FORGOTTEN)
    told = Interaction.objects.filter(~Q(answer=FORGOTTEN) | Exists(parts), id__in=interaction_ids)
    return list(told.values_list("id", flat=True))


def _drop_entries(entries: "QuerySet[Leftover]") -> None:
    """Of entries, those that Mem0 does not have any more, or that say what a memory says that is kept."""
    by_person = defaultdict[int, set[str]](set)
    for user_id, mem0_id in entries.values_list("user_id", "name"):
        assert user_id is not None  # by constraint
        by_person[user_id].add(mem0_id)
    for user_id, mem0_ids in by_person.items():
        database.release_connection()  # no connection is held while Mem0 answers
        found = _get_entry_texts(mem0_ids, user_id=user_id)
        kept = Memory.objects.filter(mem0_id__in=found).values_list("mem0_id", "text")
        texts = {str(mem0_id): text for mem0_id, text in kept}
        left = {mem0_id for mem0_id, text in found.items() if texts.get(mem0_id) != text}
        entries.filter(user_id=user_id, name__in=mem0_ids - left).delete()


def _get_entry_texts(mem0_ids: Collection[str], *, user_id: int) -> dict[str, str]:
    """What these entries say, of those that are there."""
    if len(mem0_ids) > ASKED_ONE_BY_ONE:
        entries = [each for each in mem0.list_entries(user_id=user_id) if each.mem0_id in mem0_ids]
    else:
        found = [mem0.get_entry(user_id=user_id, mem0_id=each) for each in mem0_ids]
        entries = [each for each in found if each is not None]
    return {entry.mem0_id: entry.content.text for entry in entries}


def _drop_objects(objects: "QuerySet[Leftover]") -> None:
    """Of objects, those that the store does not have any more; one may have been sent by somebody else since."""
    names = set(objects.values_list("name", flat=True))
    held = MediaFile.objects.filter(Q(storage_name__in=names) | Q(thumbnail_name__in=names))
    kept = {name for pair in held.values_list("storage_name", "thumbnail_name") for name in pair}
    database.release_connection()  # no connection is held while the store answers
    with using_storage():
        left = {name for name in names - kept if default_storage.exists(name)}
    objects.filter(name__in=names - left).delete()
