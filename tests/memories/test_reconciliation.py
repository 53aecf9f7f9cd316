"""What exists on one side only, or differs, is found and mended; what others do meanwhile is not undone."""

import time
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from procrastinate.contrib.django import app

from accounts.models import WhatsAppUser
from memories import reconciliation, store, tasks
from memories.changes import forget_memory, update_memory
from memories.models import Memory, MemoryWord
from memories.reconciliation import Report, reconcile_memories
from memories.store import get_content
from tests.doubles.mem0_platform import platform_in_use
from tests.memories.sides import (
    CODE,
    NOON,
    check_both_sides,
    get_entry_texts,
    get_texts,
    make_person,
    note,
    say,
)
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import mem0
from whatsbot.integrations.mem0 import Content

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("both_sides", "quick_embedder"),
]
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
NEW_CODE = "The gate code is 8362"
RunJobs = Callable[[], int]


@pytest.fixture
def ana(both_sides: None) -> WhatsAppUser:
    """Somebody with three memories, one of them with a time of its own."""
    person = make_person()
    say(person)
    say(person, "Milk is on the list", happened_at=NOON + SECOND / 3)
    note(person, "Dentist", event_start=NOON + DAY, event_end=NOON + DAY + SECOND / 3)
    return person


def find_differences(**options: Any) -> dict[str, int]:
    """What a comparison finds, but for what it always counts."""
    report = reconcile_memories(settle_seconds=0, **options)
    counts = {field.name: getattr(report, field.name) for field in fields(report)[2:]}
    assert sum(counts.values()) == report.differences
    return {name: count for name, count in counts.items() if count}


def lose_entry(person: WhatsAppUser) -> None:
    memory = Memory.objects.filter(user=person).latest("id")
    mem0.delete_entry(user_id=person.id, mem0_id=str(memory.mem0_id))


def change_entry(person: WhatsAppUser, **changes: Any) -> None:
    memory = Memory.objects.get(user=person, number=3)
    content = get_content(memory)
    times = {name: getattr(content, name) for name in ("text", "happened_at", "event_start", "event_end")}
    mem0.update_entry(user_id=person.id, mem0_id=str(memory.mem0_id), content=Content(**(times | changes)))


def add_orphan(person_id: int) -> None:
    mem0.add_entry(user_id=person_id, key="lost", content=Content(text="Lost", happened_at=NOON))


def lose_person() -> None:
    """Somebody whose deletion Mem0 never heard of."""
    add_orphan(2_000_000_000)
    mem0.add_entry(user_id=2_000_000_000, key="x", content=Content(text="x", happened_at=NOON))


def change_words(person: WhatsAppUser, **changes: Any) -> None:
    words = MemoryWord.objects.filter(memory__user=person, memory__number=1, word="4711")
    if changes:
        words.update(**changes)
    else:
        words.delete()


DAMAGES: dict[str, tuple[Callable[[WhatsAppUser], Any], str]] = {
    "an entry is gone": (lose_entry, "missing_entries"),
    "an entry says something else": (lambda ana: change_entry(ana, text="Doctor"), "stale_entries"),
    "said at another time": (lambda ana: change_entry(ana, happened_at=NOON + HOUR), "stale_entries"),
    "at another time": (lambda ana: change_entry(ana, event_start=NOON), "stale_entries"),
    "with another end": (lambda ana: change_entry(ana, event_end=NOON + 3 * DAY), "stale_entries"),
    "without an event": (lambda ana: change_entry(ana, event_start=None, event_end=None), "stale_entries"),
    "an entry without a memory": (lambda ana: add_orphan(ana.id), "orphaned_entries"),
    "somebody unknown": (lambda ana: lose_person(), "strangers"),
    "a word is not indexed": (change_words, "unindexed"),
    "another word is": (lambda ana: change_words(ana, word="4712"), "unindexed"),
    "more often": (lambda ana: change_words(ana, count=2), "unindexed"),
    "in a longer text": (lambda ana: change_words(ana, word_count=2), "unindexed"),
}


@pytest.mark.parametrize(("damage", "kind"), DAMAGES.values(), ids=DAMAGES)
def test_each_difference_is_found_reported_and_mended(
    ana: WhatsAppUser, damage: Callable[[WhatsAppUser], Any], kind: str
) -> None:
    texts = get_texts(ana)
    damage(ana)
    for _ in range(2):
        assert find_differences(dry_run=True) == {kind: 1}
    assert find_differences() == {kind: 1}
    assert find_differences() == {}
    assert get_texts(ana) == texts
    assert list(mem0.list_user_ids()) == [ana.id]
    check_both_sides(ana)


def test_where_nothing_differs_nothing_is_written(ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("add_entry", "update_entry", "delete_entry", "delete_entries_of_user"):
        monkeypatch.delattr(mem0, name)
    monkeypatch.delattr(time, "sleep")
    assert reconcile_memories() == Report(people=1, memories=3)


def test_only_the_people_asked_for_are_looked_at(ana: WhatsAppUser) -> None:
    bo = make_person()
    for person in (ana, bo):
        add_orphan_of(person)
    lose_person()
    report = reconcile_memories(user_ids=[bo.id], settle_seconds=0)
    assert report == Report(people=1, orphaned_entries=1)
    assert "Lost" in get_entry_texts(ana)
    assert get_entry_texts(bo) == []


def add_orphan_of(person: WhatsAppUser) -> None:
    content = Content(text="Lost", happened_at=NOON)
    mem0.add_entry(user_id=person.id, key=f"lost {person.id}", content=content)


def test_an_entry_of_an_embedder_no_longer_in_use_goes_when_it_is_replaced(ana: WhatsAppUser) -> None:
    with connection.cursor() as cursor:  # as if MEMORY_EMBEDDER had been changed
        cursor.execute(
            "INSERT INTO mem0_gemini SELECT id, array_fill(1, ARRAY[768])::vector, payload FROM mem0_local"
        )
        cursor.execute("TRUNCATE mem0_local")
    assert find_differences() == {"missing_entries": 3}
    check_both_sides(ana)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mem0_gemini")
        assert cursor.fetchone() == (0,)


def test_what_was_mended_before_mem0_went_away_stays_so(
    ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bo = make_person()
    say(bo)
    for person in (ana, bo):
        lose_entry(person)
    list_entries = mem0.list_entries

    def fail_at_bo(*, user_id: int) -> Any:
        if user_id == bo.id:
            raise TransientProviderError
        return list_entries(user_id=user_id)

    monkeypatch.setattr(mem0, "list_entries", fail_at_bo)
    with pytest.raises(TransientProviderError):
        find_differences()
    monkeypatch.undo()
    check_both_sides(ana)
    assert find_differences() == {"missing_entries": 1}
    check_both_sides(ana, bo)


# --- Others are at work meanwhile ---


def do_first(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, do: Callable[[], Any]) -> None:
    """Do something before the next call of a function."""
    function = getattr(module, name)

    def call(*args: Any, **fields: Any) -> Any:
        monkeypatch.setattr(module, name, function)
        do()
        return function(*args, **fields)

    monkeypatch.setattr(module, name, call)


def do_after_listing(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Any]) -> None:
    """Do something when Mem0 has listed its entries and our rows have not been read."""
    list_entries = mem0.list_entries

    def list_then_do(*, user_id: int) -> Any:
        monkeypatch.setattr(mem0, "list_entries", list_entries)
        entries = list(list_entries(user_id=user_id))
        do()
        return entries

    monkeypatch.setattr(mem0, "list_entries", list_then_do)


class TestMeanwhile:
    """The comparison takes a while."""

    def test_a_memory_is_stored_after_mem0_was_listed(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        do_after_listing(monkeypatch, lambda: say(ana, "Bread"))
        assert find_differences() == {}
        check_both_sides(ana)

    def test_an_entry_gets_its_row_a_little_later(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pauses = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            note(ana, "Bread", key="line 1")  # finds the entry by its key

        def die(user_id: int) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(store, "_next_number", die)
            with pytest.raises(KeyboardInterrupt):
                note(ana, "Bread", key="line 1")
        monkeypatch.setattr(time, "sleep", pause)
        report = reconcile_memories()
        assert pauses == [reconciliation.SETTLE_SECONDS]
        assert report.differences == 0
        assert "Bread" in get_texts(ana)
        check_both_sides(ana)

    def test_an_entry_is_taken_over_while_it_is_deleted(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        note(ana, "Bread", key="line 1")
        Memory.objects.filter(text="Bread").delete()
        do_first(monkeypatch, mem0, "delete_entry", lambda: note(ana, "Bread", key="line 1"))
        assert find_differences() == {"orphaned_entries": 1}
        assert "Bread" in get_texts(ana)
        check_both_sides(ana)

    def test_somebody_unknown_turns_up(self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch) -> None:
        newcomers: list[WhatsAppUser] = []

        def turn_up() -> None:
            newcomers.append(make_person())
            say(newcomers[0])

        do_first(monkeypatch, mem0, "list_user_ids", turn_up)
        assert find_differences() == {}
        check_both_sides(ana, *newcomers)

    @pytest.mark.parametrize("name", ["update_entry", "add_entry"])
    def test_a_memory_that_is_mended_is_forgotten(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch, run_jobs: RunJobs, name: str
    ) -> None:
        lose_entry(ana)
        do_first(monkeypatch, mem0, name, lambda: forget_memory(user_id=ana.id, number=3))
        find_differences()
        run_jobs()
        assert get_texts(ana) == [CODE, "Milk is on the list"]
        check_both_sides(ana)

    @pytest.mark.parametrize("name", ["update_entry", "add_entry"])
    def test_a_memory_that_is_mended_is_corrected(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch, run_jobs: RunJobs, name: str
    ) -> None:
        def correct() -> None:
            update_memory(user_id=ana.id, number=3, text=NEW_CODE)
            run_jobs()

        lose_entry(ana)
        do_first(monkeypatch, mem0, name, correct)
        find_differences()
        assert NEW_CODE in get_entry_texts(ana)
        check_both_sides(ana)

    @pytest.mark.parametrize("change", [update_memory, forget_memory])
    def test_a_memory_that_is_indexed_again_changes(
        self,
        ana: WhatsAppUser,
        monkeypatch: pytest.MonkeyPatch,
        run_jobs: RunJobs,
        change: Callable[..., Any],
    ) -> None:
        change_words(ana)
        fields = {"text": NEW_CODE} if change is update_memory else {}
        do_first(
            monkeypatch, reconciliation, "_index_again", lambda: change(user_id=ana.id, number=1, **fields)
        )
        assert find_differences() == {"unindexed": 1}
        run_jobs()
        check_both_sides(ana)

    def test_nobody_holds_a_connection_while_entries_settle(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = []
        add_orphan(ana.id)
        monkeypatch.setattr(time, "sleep", lambda seconds: held.append(connection.connection))
        find_differences()
        assert held == [None]


def test_memories_move_to_mem0s_platform_and_leave_nothing_behind(ana: WhatsAppUser, settings: Any) -> None:
    with connection.cursor() as cursor:  # as if they had been stored longer ago than a row may take
        cursor.execute(
            'UPDATE mem0_local SET payload = payload || \'{"created_at": "2025-01-01T00:00:00Z"}\''
        )
    with platform_in_use(settings):
        assert find_differences(dry_run=True) == {"missing_entries": 3}
        # What lies in our own tables has no memory once that has an entry elsewhere.
        assert find_differences() == {"missing_entries": 3, "leftovers": 3}
        check_both_sides(ana)
        assert find_differences() == {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mem0_local")
        assert cursor.fetchone() == (0,)


def test_the_comparison_runs_every_night(
    ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nightly = [each for each in app.periodic_registry.periodic_tasks.values() if each.task is tasks.reconcile]
    assert [each.cron for each in nightly] == ["41 3 * * *"]
    lose_entry(ana)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with caplog.at_level("INFO", logger="memories.tasks"):
        tasks.reconcile.func(0)
    check_both_sides(ana)
    assert "1 missing entries" in caplog.text
    assert "4711" not in caplog.text


def test_a_report_names_every_count() -> None:
    report = Report(people=2, memories=7, missing_entries=1, unindexed=3)
    assert str(report) == (
        "2 people, 7 memories, 1 missing entries, 0 stale entries, 0 orphaned entries, 0 strangers, 0 leftovers, "
        "3 unindexed"
    )
    assert report.differences == 4
