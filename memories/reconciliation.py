"""Comparing our rows with Mem0's entries, and mending what exists on one side only. Our rows are the record."""

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields

from django.db import transaction

from accounts.models import WhatsAppUser
from memories.models import Memory, MemoryWord
from memories.reembedding import count_leftovers, remove_leftovers
from memories.store import MOST, get_content, index_words
from memories.words import count_words
from whatsbot import database
from whatsbot.integrations import mem0

# An entry is stored just before its row: one without a row is looked at again after this time, before it is deleted.
SETTLE_SECONDS = 20


@dataclass(slots=True)
class Report:
    """How many of each were found, and mended unless it was a dry run."""

    people: int = 0
    memories: int = 0
    missing_entries: int = 0  # of memories Mem0 does not have
    stale_entries: int = 0  # that say something else than their memory
    orphaned_entries: int = 0  # without a memory
    strangers: int = 0  # people we do not know, or no longer
    leftovers: int = 0  # in the tables of embedders not in use, of memories that are gone
    unindexed: int = 0  # memories whose words are not those of their text

    @property
    def differences(self) -> int:
        """How many things were not as they should be."""
        return sum(getattr(self, field.name) for field in fields(self)[2:])

    def __str__(self) -> str:
        return ", ".join(
            f"{getattr(self, field.name)} {field.name.replace('_', ' ')}" for field in fields(self)
        )


def reconcile_memories(
    *,
    user_ids: Iterable[int] | None = None,
    dry_run: bool = False,
    settle_seconds: float = SETTLE_SECONDS,
    progress: Callable[[list[int]], Iterable[int]] = list,
) -> Report:
    """Make both sides equal, for some people or everybody. Raises ProviderError; what was mended until then stays so.

    ``progress`` wraps the list of people, for a progress bar.
    """
    report = Report()
    orphans: dict[int, list[str]] = {}
    known = set(WhatsAppUser.objects.values_list("id", flat=True))
    compares_everybody = user_ids is None
    if user_ids is None:
        database.release_connection()
        strangers = set(mem0.list_user_ids()) - known
        user_ids = known
    else:
        user_ids = set(user_ids)
        strangers = user_ids - known
    for user_id in progress(sorted(user_ids & known)):
        if without_memory := _reconcile_person(user_id, report=report, dry_run=dry_run):
            orphans[user_id] = without_memory
    if orphans or strangers:
        database.release_connection()
        time.sleep(0 if dry_run else settle_seconds)
    for user_id in sorted(strangers - set(WhatsAppUser.objects.values_list("id", flat=True))):
        database.release_connection()
        if next(iter(mem0.list_entries(user_id=user_id)), None) is None:
            continue
        report.strangers += 1
        if not dry_run:
            mem0.delete_entries_of_user(user_id=user_id)
    for user_id, mem0_ids in orphans.items():
        report.orphaned_entries += len(set(mem0_ids) - _get_held(mem0_ids))
        if not dry_run:
            delete_entries(user_id=user_id, mem0_ids=mem0_ids)
    if compares_everybody:
        report.leftovers = count_leftovers() if dry_run else remove_leftovers()
    return report


def _reconcile_person(user_id: int, *, report: Report, dry_run: bool) -> list[str]:
    """Mend one person's memories; returns the entries that no memory holds."""
    database.release_connection()  # no connection is held while Mem0 lists
    entries = {entry.mem0_id: entry for entry in mem0.list_entries(user_id=user_id)}
    report.people += 1
    # Rows after entries: a memory stored in between has a row whose entry was not listed, and is asked for by its id.
    memories = list(Memory.objects.filter(user_id=user_id))
    words = _get_indexed_words(user_id=user_id)
    for memory in memories:
        report.memories += 1
        entry = entries.pop(str(memory.mem0_id), None)
        if entry is None:
            database.release_connection()
            entry = mem0.get_entry(user_id=user_id, mem0_id=str(memory.mem0_id))
        if entry is None:
            report.missing_entries += 1
            if not dry_run:
                update_entry(memory)
        elif _differ(entry.content, get_content(memory)):
            report.stale_entries += 1
            if not dry_run:
                update_entry(memory)
        if words[memory.id] != _get_words(memory):
            report.unindexed += 1
            if not dry_run:
                _index_again(memory.id)
    return list(entries)


def _get_indexed_words(*, user_id: int) -> defaultdict[int, dict[str, tuple[int, int]]]:
    """What search by words has of each memory: how often it has a word, and how many words it has."""
    words = defaultdict[int, dict[str, tuple[int, int]]](dict)
    rows = MemoryWord.objects.filter(user_id=user_id)
    for memory_id, word, count, total in rows.values_list("memory_id", "word", "count", "word_count"):
        words[memory_id][word] = (count, total)
    return words


def _get_words(memory: Memory) -> dict[str, tuple[int, int]]:
    counts = count_words(memory.text)
    return {word: (min(count, MOST), counts.total()) for word, count in counts.items()}


@transaction.atomic
def _index_again(memory_id: int) -> None:
    memory = Memory.objects.select_for_update().filter(id=memory_id).first()
    if memory is not None:
        index_words(memory)


def delete_entries(*, user_id: int, mem0_ids: Collection[str]) -> None:
    """Delete those entries of a person that no memory holds. Raises ProviderError.

    The same words, said again, may have found an entry by its key and taken it over, before or while it was deleted:
    it is then made to say what that memory says.
    """
    held = _get_held(mem0_ids)
    database.release_connection()
    for mem0_id in mem0_ids:
        if mem0_id not in held:
            mem0.delete_entry(user_id=user_id, mem0_id=mem0_id)
    for memory in Memory.objects.filter(mem0_id__in=mem0_ids):
        update_entry(memory)


def _get_held(mem0_ids: Collection[str]) -> set[str]:
    held = Memory.objects.filter(mem0_id__in=mem0_ids).values_list("mem0_id", flat=True)
    return {str(mem0_id) for mem0_id in held}


def update_entry(memory: Memory) -> None:
    """Let Mem0 say what this memory says, in a new entry if the old one is gone. Raises ProviderError.

    What was written is compared with the row afterwards, so that of several who write at the same time the last one
    writes what the row says.
    """
    while True:
        database.release_connection()
        content = get_content(memory)
        if not mem0.update_entry(user_id=memory.user_id, mem0_id=str(memory.mem0_id), content=content):
            memory.mem0_id = _restore_entry(memory)
        row = Memory.objects.filter(id=memory.id).first()
        if row is None or (row.mem0_id, get_content(row)) == (memory.mem0_id, content):
            return
        memory = row


def _restore_entry(memory: Memory) -> uuid.UUID:
    """Give a memory an entry again, unless it is forgotten meanwhile. Returns the new entry's id."""
    # Gone from where the backend looks; the table of an embedder that is not in use may still have it.
    mem0.delete_entry(user_id=memory.user_id, mem0_id=str(memory.mem0_id))
    database.release_connection()
    mem0_id = mem0.add_entry(user_id=memory.user_id, key=f"memory:{memory.id}", content=get_content(memory))
    if not Memory.objects.filter(id=memory.id).update(mem0_id=uuid.UUID(mem0_id)):
        database.release_connection()
        mem0.delete_entry(user_id=memory.user_id, mem0_id=mem0_id)
    return uuid.UUID(mem0_id)


def _differ(one: mem0.Content, other: mem0.Content) -> bool:
    """Whether two contents differ by more than Mem0 can hold."""
    return (one.text, one.in_seconds()) != (other.text, other.in_seconds())
