"""Correcting and forgetting: at once in our rows, soon in Mem0, and in the right order."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from memories.changes import Undone, forget_memory, forgetting, undo_memory, update_memory
from memories.models import Memory, MemoryHistory
from memories.search import search_memories
from memories.store import Outcome, Stored
from tests.memories.sides import (
    CODE,
    NOON,
    check_both_sides,
    get_entry_texts,
    get_history,
    get_texts,
    make_message,
    make_person,
    note,
    say,
)
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import mem0

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("both_sides", "quick_embedder"),
]
SAVED, KNOWN = Outcome.SAVED, Outcome.KNOWN
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW_CODE = "The gate code is 8362"
RunJobs = Callable[[], int]


@pytest.fixture
def ana(both_sides: None) -> WhatsAppUser:
    """Somebody without memories."""
    return make_person()


def correct(person: WhatsAppUser, text: str = NEW_CODE, *, number: int = 1, **fields: Any) -> Memory | None:
    call: dict[str, Any] = {"said_at": NOON + HOUR} | fields
    return update_memory(user_id=person.id, number=number, text=text, **call)


# --- Corrections ---


def test_a_correction_takes_the_place_of_what_was_said(ana: WhatsAppUser, run_jobs: RunJobs) -> None:
    say(ana, "Dentist at noon", event_start=NOON + DAY, event_end=NOON + DAY + HOUR)
    message = make_message(ana)
    memory = correct(
        ana, "Dentist at two", event_start=NOON + 2 * DAY, raw_message_id=message.id, tool_call="correct"
    )
    assert memory == Memory.objects.get()
    memory.refresh_from_db()
    assert (memory.number, memory.text, memory.happened_at) == (1, "Dentist at two", NOON + HOUR)
    assert (memory.event_start, memory.event_end) == (NOON + 2 * DAY, None)
    before = MemoryHistory.objects.get()
    assert (before.event_start, before.event_end) == (NOON + DAY, NOON + DAY + HOUR)
    assert get_entry_texts(ana) == ["Dentist at noon"]
    run_jobs()
    check_both_sides(ana)


def test_what_was_said_before_stays_in_the_history_with_its_message(ana: WhatsAppUser) -> None:
    first, second, third = (make_message(ana) for _ in range(3))
    say(ana, message=first)
    correct(ana, NEW_CODE, raw_message_id=second.id, tool_call="correct")
    correct(ana, "The gate is open", raw_message_id=third.id, tool_call="correct", said_at=NOON + DAY)
    assert get_history(ana) == [("corrected", CODE, first.id), ("corrected", NEW_CODE, second.id)]
    assert list(MemoryHistory.objects.order_by("id").values_list("tool_call", "said_at")) == [
        ("recall", NOON),
        ("correct", NOON + HOUR),
    ]
    memory = Memory.objects.get()
    assert (memory.raw_message, memory.corrected_by, memory.text) == (first, third, "The gate is open")


def test_a_correction_by_no_message_keeps_the_history_too(ana: WhatsAppUser) -> None:
    message = make_message(ana)
    say(ana, message=message)
    for text in (NEW_CODE, "The gate is open"):
        correct(ana, text)
    assert get_history(ana) == [("corrected", CODE, message.id), ("corrected", NEW_CODE, None)]


def test_a_correction_wins_in_search_at_once_and_after_mem0_has_followed(
    ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    say(ana)
    say(ana, "Milk is on the list")
    correct(ana)
    for _ in range(2):
        best, *_ = search_memories(user_id=ana.id, query="gate code").hits
        assert best.memory.text == NEW_CODE
        assert "4711" not in search_memories(user_id=ana.id, query="4711").hits[0].shared_words
        assert search_memories(user_id=ana.id, query="8362").hits[0].shared_words == {"8362"}
        run_jobs()


def test_a_correction_repeated_by_its_message_changes_nothing(ana: WhatsAppUser, run_jobs: RunJobs) -> None:
    say(ana)
    calls: list[dict[str, Any]] = [
        {"raw_message_id": make_message(ana).id, "tool_call": "correct"} for _ in range(2)
    ]
    for text, call in [(NEW_CODE, calls[0]), (NEW_CODE, calls[0]), ("The gate is open", calls[1])]:
        correct(ana, text, **call)
    memory = correct(ana, NEW_CODE, **calls[0])
    assert memory is not None
    assert memory.text == "The gate is open"
    assert [text for _, text, _ in get_history(ana)] == [CODE, NEW_CODE]
    assert run_jobs() == 2
    check_both_sides(ana)


@pytest.mark.parametrize("text", ["", "\0"])
def test_a_correction_to_nothing_is_refused_and_changes_nothing(
    ana: WhatsAppUser, run_jobs: RunJobs, text: str
) -> None:
    say(ana)
    with pytest.raises(ValueError, match="needs a text"):
        correct(ana, text)
    assert run_jobs() == 0
    assert get_history(ana) == []
    check_both_sides(ana)


def test_a_correction_that_is_rolled_back_leaves_no_trace(ana: WhatsAppUser) -> None:
    say(ana)
    with transaction.atomic():
        correct(ana)
        transaction.set_rollback(True)
    assert ProcrastinateJob.objects.count() == 0
    assert get_history(ana) == []
    check_both_sides(ana)


@pytest.mark.parametrize("change", [lambda person: correct(person), lambda person: forget(person)])
def test_another_persons_number_is_no_number(
    ana: WhatsAppUser, change: Callable[[WhatsAppUser], Memory | None]
) -> None:
    bo = make_person()
    say(ana)
    assert change(bo) is None
    assert get_texts(ana) == [CODE]
    assert ProcrastinateJob.objects.count() == 0


class TestAfterACorrection:
    """What was said before and what is said now are told apart."""

    def test_the_old_words_are_a_new_memory(self, ana: WhatsAppUser, run_jobs: RunJobs) -> None:
        say(ana)
        correct(ana)
        assert say(ana).outcome is SAVED
        run_jobs()
        assert get_texts(ana) == [NEW_CODE, CODE]
        check_both_sides(ana)

    def test_the_new_words_are_known_before_mem0_has_followed(
        self, ana: WhatsAppUser, run_jobs: RunJobs
    ) -> None:
        say(ana)
        correct(ana)
        assert say(ana, NEW_CODE) == Stored(Memory.objects.get(), KNOWN)
        run_jobs()
        check_both_sides(ana)

    def test_two_memories_may_say_the_same(self, ana: WhatsAppUser, run_jobs: RunJobs) -> None:
        say(ana)
        say(ana, NEW_CODE)
        correct(ana, number=1)
        correct(ana, CODE, number=1, said_at=NOON + DAY)
        assert say(ana).memory.number == 1
        run_jobs()
        check_both_sides(ana)


def write_while_mem0_updates(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Any], *, after: bool) -> None:
    """Do something right before or after the next update of an entry."""
    update_entry = mem0.update_entry

    def update(**fields: Any) -> bool:
        monkeypatch.setattr(mem0, "update_entry", update_entry)
        if not after:
            do()
        updated = update_entry(**fields)
        if after:
            do()
        return updated

    monkeypatch.setattr(mem0, "update_entry", update)


class TestWhileMem0Follows:
    """The job has read the row, and the row changes."""

    @pytest.mark.parametrize("after", [False, True])
    def test_the_last_correction_is_written_last(
        self, ana: WhatsAppUser, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch, after: bool
    ) -> None:
        def correct_again() -> None:
            correct(ana, "The gate is open")
            run_jobs()

        say(ana)
        correct(ana)
        write_while_mem0_updates(monkeypatch, correct_again, after=after)
        run_jobs()
        assert get_entry_texts(ana) == ["The gate is open"]
        check_both_sides(ana)

    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("is_lost", [False, True])
    def test_it_may_be_forgotten_and_nothing_comes_back(
        self,
        ana: WhatsAppUser,
        run_jobs: RunJobs,
        monkeypatch: pytest.MonkeyPatch,
        after: bool,
        is_lost: bool,
    ) -> None:
        def forget_it() -> None:
            forget(ana)
            run_jobs()

        memory = say(ana).memory
        correct(ana)
        if is_lost:
            mem0.delete_entry(user_id=ana.id, mem0_id=str(memory.mem0_id))
        write_while_mem0_updates(monkeypatch, forget_it, after=after)
        run_jobs()
        assert get_entry_texts(ana) == []
        check_both_sides(ana)

    def test_an_entry_that_is_gone_is_made_again(self, ana: WhatsAppUser, run_jobs: RunJobs) -> None:
        memory = say(ana).memory
        mem0.delete_entry(user_id=ana.id, mem0_id=str(memory.mem0_id))
        correct(ana)
        run_jobs()
        assert get_entry_texts(ana) == [NEW_CODE]
        check_both_sides(ana)

    def test_mem0_may_be_away_for_a_while(
        self, ana: WhatsAppUser, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> None:
            raise TransientProviderError

        say(ana)
        correct(ana)
        write_while_mem0_updates(monkeypatch, fail, after=False)
        assert run_jobs() == 2
        check_both_sides(ana)


# --- Forgetting ---


def forget(person: WhatsAppUser, number: int = 1) -> Memory | None:
    return forget_memory(user_id=person.id, number=number)


def test_forgetting_removes_a_memory_from_both_sides_with_all_that_was_said_about_it(
    ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    say(ana)
    say(ana, "Milk is on the list")
    say(ana)
    correct(ana)
    forgotten = forget(ana)
    assert forgotten is not None
    assert (forgotten.number, forgotten.text) == (1, NEW_CODE)
    assert forget(ana) is None
    run_jobs()
    assert get_texts(ana) == get_entry_texts(ana) == ["Milk is on the list"]
    assert get_history(ana) == []
    check_both_sides(ana)
    assert say(ana).memory.number == 3, "a number is never used again"


def test_forgetting_that_is_rolled_back_forgets_nothing(ana: WhatsAppUser) -> None:
    say(ana)
    with transaction.atomic():
        forget(ana)
        transaction.set_rollback(True)
    assert ProcrastinateJob.objects.count() == 0
    check_both_sides(ana)


# --- Undoing ---


def undo(person: WhatsAppUser, number: int | None = None) -> Undone | None:
    return undo_memory(user_id=person.id, number=number)


def get_state(person: WhatsAppUser) -> list[dict[str, Any]]:
    """Everything about somebody's memories that a correction changes."""
    fields = ("number", "text", "happened_at", "event_start", "event_end", "identity", "word_count")
    source = ("raw_message", "tool_call", "corrected_by", "correction_call", "type")
    return list(Memory.objects.filter(user=person).order_by("number").values(*fields, *source))


def test_undoing_a_correction_brings_back_what_was_said_before(ana: WhatsAppUser, run_jobs: RunJobs) -> None:
    say(ana, "Dentist at noon", event_start=NOON + DAY, event_end=NOON + DAY + HOUR)
    states = [get_state(ana)]
    for number, text in enumerate(("Dentist at two", "Dentist at three")):
        correct(
            ana, text, raw_message_id=make_message(ana).id, tool_call="x", event_start=NOON + number * DAY
        )
        states.append(get_state(ana))
    run_jobs()
    for text, before in (("Dentist at three", "Dentist at two"), ("Dentist at two", "Dentist at noon")):
        assert states.pop() == get_state(ana)
        assert undo(ana, 1) == Undone(number=1, text=text, restored=before)
        assert get_entry_texts(ana) == [text], "Mem0 follows by a job"
        run_jobs()
        check_both_sides(ana)
    assert states == [get_state(ana)]
    assert get_history(ana) == []
    assert undo(ana, 1) == Undone(number=1, text="Dentist at noon", restored=None)
    run_jobs()
    assert get_entry_texts(ana) == []
    check_both_sides(ana)
    assert undo(ana, 1) is None


def test_a_correction_by_no_message_is_undone_too(ana: WhatsAppUser) -> None:
    say(ana, message=(message := make_message(ana)))
    correct(ana)
    correct(ana, "The gate is open")
    undo(ana, 1)
    undo(ana, 1)
    memory = Memory.objects.get()
    assert (memory.text, memory.raw_message, memory.corrected_by) == (CODE, message, None)


def test_after_undoing_what_is_known_is_what_holds(ana: WhatsAppUser, run_jobs: RunJobs) -> None:
    say(ana)
    correct(ana)
    undo(ana, 1)
    assert say(ana).outcome is KNOWN
    run_jobs()
    assert say(ana, NEW_CODE).outcome is SAVED
    check_both_sides(ana)


def test_undoing_to_what_another_memory_says_by_now_leaves_both(ana: WhatsAppUser, run_jobs: RunJobs) -> None:
    say(ana)
    correct(ana)
    assert say(ana).memory.number == 2
    assert undo(ana, 1) == Undone(number=1, text=NEW_CODE, restored=CODE)
    run_jobs()
    assert get_texts(ana) == [CODE, CODE]
    check_both_sides(ana)


def test_a_callers_key_stays_the_identity_through_correcting_and_undoing(ana: WhatsAppUser) -> None:
    identity = note(ana, key="k1").memory.identity
    correct(ana)
    undo(ana, 1)
    assert Memory.objects.get().identity == identity
    assert note(ana, key="k1").outcome is KNOWN


def test_what_was_said_again_goes_only_with_the_correction_it_repeated(ana: WhatsAppUser) -> None:
    first, second = make_message(ana), make_message(ana)
    say(ana)
    say(ana, message=first)
    correct(ana)
    say(ana, NEW_CODE, message=second)
    undo(ana, 1)
    assert get_history(ana) == [("repeated", CODE, first.id)]


def test_without_a_number_the_last_change_is_undone(ana: WhatsAppUser) -> None:
    assert undo(ana) is None
    say(ana)
    say(ana, "Milk is on the list")
    say(make_person(), "Somebody else's")
    correct(ana)
    assert undo(ana) == Undone(number=1, text=NEW_CODE, restored=CODE)
    assert undo(ana) == Undone(number=2, text="Milk is on the list", restored=None)
    assert undo(ana) == Undone(number=1, text=CODE, restored=None)
    assert undo(ana) is None


def test_another_persons_memory_is_not_undone(ana: WhatsAppUser) -> None:
    say(ana)
    assert undo(make_person(), 1) is None
    assert get_texts(ana) == [CODE]


def test_whoever_keeps_what_was_said_hears_of_it_before_it_goes(ana: WhatsAppUser) -> None:
    heard: list[tuple[list[int], bool, str]] = []

    def hear(memory: Memory, raw_message_ids: list[int], is_whole: bool, **kwargs: Any) -> None:
        heard.append((raw_message_ids, is_whole, Memory.objects.get(id=memory.id).text))

    first, second, third = (make_message(ana) for _ in range(3))
    say(ana, message=first)
    say(ana, message=second)
    correct(ana, raw_message_id=third.id, tool_call="x")
    forgetting.connect(hear)
    try:
        undo(ana, 1)
        correct(ana, raw_message_id=third.id, tool_call="x")
        forget(ana)
        forget(ana)
    finally:
        forgetting.disconnect(hear)
    assert heard == [([third.id], False, NEW_CODE), ([first.id, second.id, third.id], True, NEW_CODE)]
