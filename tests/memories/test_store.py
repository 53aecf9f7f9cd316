"""Putting memories in: once each, on both sides, whoever repeats what and whoever is quicker."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from memories import store
from memories.changes import forget_memory, update_memory
from memories.models import Memory, MemoryHistory
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

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("both_sides")]
SAVED, KNOWN = Outcome.SAVED, Outcome.KNOWN
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def ana(both_sides: None) -> WhatsAppUser:
    """Somebody without memories."""
    return make_person()


# --- One message, one tool call ---


def test_what_a_message_says_is_on_both_sides_with_its_times(ana: WhatsAppUser, quick_embedder: None) -> None:
    message = make_message(ana)
    event = {"event_start": NOON + DAY, "event_end": NOON + DAY + HOUR}
    stored = say(ana, "Dentist tomorrow at nine", message=message, **event)
    memory = Memory.objects.get()
    assert (stored.memory, stored.outcome) == (memory, SAVED)
    assert (memory.number, memory.raw_message, memory.source, memory.type) == (1, message, "chat", "note")
    (entry,) = mem0.list_entries(user_id=ana.id)
    assert entry.content == mem0.Content(text="Dentist tomorrow at nine", happened_at=NOON, **event)
    check_both_sides(ana)


@pytest.mark.usefixtures("quick_embedder")
class TestARepeatedCall:
    """A worker was killed after storing, or took over what another was doing."""

    def test_saves_nothing_new_and_comes_to_the_same(self, ana: WhatsAppUser) -> None:
        message = make_message(ana)
        first = say(ana, message=message)
        assert say(ana, message=message) == first
        assert say(ana, "What a model makes of it the second time", message=message) == first
        assert get_texts(ana) == [CODE]
        assert get_history(ana) == []
        check_both_sides(ana)

    def test_is_known_again_if_it_was_known(self, ana: WhatsAppUser) -> None:
        memory = say(ana).memory
        message = make_message(ana)
        for _ in range(3):
            assert say(ana, message=message, happened_at=NOON + HOUR) == Stored(memory, KNOWN)
        assert get_history(ana) == [("repeated", CODE, message.id)]
        assert MemoryHistory.objects.get().said_at == NOON + HOUR

    def test_asks_mem0_nothing(self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch) -> None:
        messages = [make_message(ana), make_message(ana)]
        stored = [say(ana, message=message) for message in messages]
        for name in ("find_similar_entries", "add_entry"):
            monkeypatch.delattr(mem0, name)
        assert [say(ana, "Other words", message=message) for message in messages] == stored

    def test_is_known_again_though_what_was_known_is_corrected(self, ana: WhatsAppUser) -> None:
        memory = say(ana).memory
        message = make_message(ana)
        assert say(ana, message=message) == Stored(memory, KNOWN)
        update_memory(user_id=ana.id, number=1, text="The gate code is 4712")
        assert say(ana, message=message) == Stored(memory, KNOWN)
        assert get_texts(ana) == ["The gate code is 4712"]

    def test_leaves_a_correction_alone(self, ana: WhatsAppUser) -> None:
        message = make_message(ana)
        say(ana, message=message)
        update_memory(user_id=ana.id, number=1, text="The gate code is 4712")
        repeated = say(ana, message=message)
        assert (repeated.memory.text, repeated.outcome) == ("The gate code is 4712", SAVED)
        assert get_texts(ana) == ["The gate code is 4712"]

    def test_is_saved_though_another_worker_was_quicker(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message = make_message(ana)
        find_known = store._find_known

        def find_late(memory: Memory, **fields: Any) -> Memory | None:
            monkeypatch.setattr(store, "_find_known", find_known)
            say(ana, message=message)
            return find_known(memory, **fields)

        monkeypatch.setattr(store, "_find_known", find_late)
        assert say(ana, message=message) == Stored(Memory.objects.get(), SAVED)
        assert get_history(ana) == []

    def test_and_another_call_of_the_same_message_are_two(self, ana: WhatsAppUser) -> None:
        message = make_message(ana)
        assert say(ana, message=message, tool_call="1").outcome is SAVED
        assert say(ana, "Milk is on the list", message=message, tool_call="2").outcome is SAVED
        assert get_texts(ana) == [CODE, "Milk is on the list"]
        check_both_sides(ana)


# --- Known, or not (the model itself judges what is near) ---


@pytest.mark.parametrize(
    ("text", "again"),
    [
        (CODE, CODE),
        (CODE, "the gate code is 4711!"),
        (CODE, "Gate code: 4711"),
        ("My sister's birthday is on 14 March", "My sister's birthday is March 14"),
        ("Dentist on 14 March 2026", "Dentist on March 14, 2026"),
    ],
)
def test_what_is_said_again_is_known_and_noted(ana: WhatsAppUser, text: str, again: str) -> None:
    memory = say(ana, text).memory
    message = make_message(ana)
    assert say(ana, again, message=message, happened_at=NOON + 3 * DAY) == Stored(memory, KNOWN)
    assert note(ana, again, happened_at=NOON + 4 * DAY) == Stored(memory, KNOWN)
    assert get_history(ana) == [("repeated", again, message.id)]
    assert get_texts(ana) == [text]
    check_both_sides(ana)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        (CODE, "The gate code is 4712"),
        ("My sister Ana likes tea", "My sister Eva likes tea"),
        ("Ana owes Bo 5 euros", "Bo owes Ana 5 euros"),
        ("I like fish", "I do not like fish"),
        ("I am a vegetarian", "I was a vegetarian"),
        ("Ana owes me $5", "Ana owes me €5"),
        ("It was 5 degrees", "It was -5 degrees"),
        ("Bo teaches C", "Bo teaches C#"),
        ("Una carta de Ana", "Una carta a Ana"),
        ("Dentist on 14 March 15:30", "Dentist on 15 March 14:30"),
    ],
)
def test_another_number_name_order_sign_or_negation_is_another_memory(
    ana: WhatsAppUser, text: str, other: str
) -> None:
    assert [say(ana, each).outcome for each in (text, other)] == [SAVED, SAVED]
    assert get_texts(ana) == [text, other]
    check_both_sides(ana)


@pytest.mark.usefixtures("quick_embedder")
class TestTheSameWords:
    """Not always the same thing."""

    def test_of_today_are_others_tomorrow(self, ana: WhatsAppUser) -> None:
        text = "I ran five kilometres today"
        assert say(ana, text).outcome is SAVED
        assert say(ana, text, happened_at=NOON + HOUR).outcome is KNOWN
        assert say(ana, text, happened_at=NOON + DAY).outcome is SAVED
        # 3:30 in UTC is still the third day in New York.
        assert say(ana, text, happened_at=datetime(2025, 6, 6, 3, 30, tzinfo=UTC)).outcome is SAVED
        assert say(ana, text, happened_at=datetime(2025, 6, 5, 12, tzinfo=UTC)).outcome is KNOWN
        check_both_sides(ana)

    def test_of_another_appointment_are_another_memory(self, ana: WhatsAppUser) -> None:
        for at in (NOON, NOON + 30 * DAY):
            event: dict[str, Any] = {"event_start": at, "event_end": at + HOUR}
            assert say(ana, "Dentist appointment", **event).outcome is SAVED
            assert say(ana, "A dentist appointment", **event).outcome is KNOWN
        assert say(ana, "The dentist appointment", event_start=NOON + 60 * DAY).outcome is SAVED
        check_both_sides(ana)

    def test_of_another_person_are_theirs(self, ana: WhatsAppUser) -> None:
        bo = make_person()
        assert [say(ana).outcome, say(bo).outcome] == [SAVED, SAVED]
        assert say(ana).memory.user == ana
        check_both_sides(ana, bo)

    def test_said_after_forgetting_are_new(self, ana: WhatsAppUser, run_jobs: Callable[[], int]) -> None:
        for number in (1, 2):
            assert say(ana).memory.number == number
            forget_memory(user_id=ana.id, number=number)
        run_jobs()
        assert get_entry_texts(ana) == []


# --- Without a message ---


@pytest.mark.usefixtures("quick_embedder")
class TestACallersKey:
    """The API's or an import's own name for a memory."""

    def test_makes_a_repeat_the_same_memory(self, ana: WhatsAppUser) -> None:
        first = note(ana, key="line 1")
        assert first.outcome is SAVED
        assert note(ana, key="line 1") == Stored(first.memory, KNOWN)
        assert note(ana, "Other words", key="line 1") == Stored(first.memory, KNOWN)
        assert get_texts(ana) == [CODE]
        check_both_sides(ana)

    def test_compares_nothing_by_content(self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(mem0, "find_similar_entries")
        assert [note(ana, key=key).outcome for key in ("line 1", "line 2")] == [SAVED, SAVED]
        check_both_sides(ana)

    def test_is_that_persons_alone(self, ana: WhatsAppUser) -> None:
        bo = make_person()
        assert [note(person, key="line 1").outcome for person in (ana, bo)] == [SAVED, SAVED]
        check_both_sides(ana, bo)

    def test_still_names_the_memory_after_a_correction(
        self, ana: WhatsAppUser, run_jobs: Callable[[], int]
    ) -> None:
        note(ana, key="line 1")
        update_memory(user_id=ana.id, number=1, text="The gate code is 4712")
        run_jobs()
        assert note(ana, key="line 1").memory.text == "The gate code is 4712"
        check_both_sides(ana)


def test_without_a_time_something_is_stored_as_of_now(ana: WhatsAppUser, quick_embedder: None) -> None:
    before = datetime.now(UTC)
    memory = store.store_memory_direct(user_id=ana.id, text=CODE, source=Memory.Source.ADMIN).memory
    assert before <= memory.happened_at <= datetime.now(UTC)
    assert memory.source == "admin"
    check_both_sides(ana)


@pytest.mark.parametrize("text", ["", " \n", "\0", "\0 \0"])
def test_no_text_is_refused(ana: WhatsAppUser, text: str) -> None:
    for store_it in (say, note):
        with pytest.raises(ValueError, match="needs a text"):
            store_it(ana, text)
    assert get_entry_texts(ana) == []


def test_a_text_is_stored_as_both_sides_take_it(ana: WhatsAppUser, quick_embedder: None) -> None:
    assert note(ana, "The gate\0code is \ud83d4711").memory.text == "The gate code is ?4711"
    check_both_sides(ana)


def test_without_mem0_nothing_is_stored(ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**fields: Any) -> Any:
        raise TransientProviderError

    message = make_message(ana)
    for name in ("add_entry", "find_similar_entries"):
        with monkeypatch.context() as patch:
            patch.setattr(mem0, name, fail)
            with pytest.raises(TransientProviderError):
                say(ana, message=message)
        assert Memory.objects.count() == 0
    assert say(ana, message=message).memory.number == 1
    check_both_sides(ana)


# --- At the same moment ---


def add_at_the_same_moment(monkeypatch: pytest.MonkeyPatch, *, own_keys: bool = False) -> None:
    """Let two additions to Mem0 begin together; with ``own_keys`` neither sees the other's, as on the platform."""
    barrier, add_entry = threading.Barrier(2, timeout=20), mem0.add_entry

    def add(*, key: str, **fields: Any) -> str:
        number = barrier.wait()
        added = add_entry(key=f"{key}:{number}" if own_keys else key, **fields)
        barrier.wait()
        return added

    monkeypatch.setattr(mem0, "add_entry", add)


def do_together(*calls: Callable[[], Stored]) -> list[Stored]:
    def call_and_let_go(call: Callable[[], Stored]) -> Stored:
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call_and_let_go, calls))


@pytest.mark.usefixtures("quick_embedder")
class TestAtTheSameMoment:
    """Nobody sees the other's row when beginning."""

    @pytest.mark.parametrize("own_keys", [False, True])
    def test_two_workers_on_one_message_save_one_memory(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch, run_jobs: Callable[[], int], own_keys: bool
    ) -> None:
        message = make_message(ana)
        add_at_the_same_moment(monkeypatch, own_keys=own_keys)
        one, two = do_together(*[lambda: say(ana, message=message)] * 2)
        assert one == two == Stored(Memory.objects.get(), SAVED)
        assert get_history(ana) == []
        assert run_jobs() == own_keys
        check_both_sides(ana)

    def test_the_same_words_from_two_sides_are_one_memory(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch, run_jobs: Callable[[], int]
    ) -> None:
        message = make_message(ana)
        add_at_the_same_moment(monkeypatch)
        said, noted = do_together(lambda: say(ana, message=message), lambda: note(ana))
        assert {said.outcome, noted.outcome} == {SAVED, KNOWN}
        assert said.memory == noted.memory == Memory.objects.get()
        assert len(get_history(ana)) == (said.outcome is KNOWN)
        run_jobs()
        check_both_sides(ana)

    def test_one_key_is_one_memory(self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch) -> None:
        add_at_the_same_moment(monkeypatch)
        one, two = do_together(*[lambda: note(ana, key="line 1")] * 2)
        assert {one.outcome, two.outcome} == {SAVED, KNOWN}
        assert one.memory == two.memory
        check_both_sides(ana)

    def test_different_words_get_different_numbers(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_at_the_same_moment(monkeypatch)
        stored = do_together(lambda: note(ana, "Milk"), lambda: note(ana, "Bread"))
        assert {each.memory.number for each in stored} == {1, 2}
        check_both_sides(ana)


# --- What happens while Mem0 stores ---


def after_adding(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Any]) -> None:
    """Do something right after the next addition to Mem0."""
    add_entry = mem0.add_entry

    def add(**fields: Any) -> str:
        monkeypatch.setattr(mem0, "add_entry", add_entry)
        added = add_entry(**fields)
        do()
        return added

    monkeypatch.setattr(mem0, "add_entry", add)


@pytest.mark.usefixtures("quick_embedder")
class TestWhileMem0Stores:
    """The row that was to be written cannot be any more."""

    def test_the_person_may_go_and_nothing_stays(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch, run_jobs: Callable[[], int]
    ) -> None:
        def go() -> None:
            WhatsAppUser.objects.get(id=ana.id).delete()
            run_jobs()

        after_adding(monkeypatch, go)
        with pytest.raises(WhatsAppUser.DoesNotExist):
            note(ana)
        run_jobs()
        assert get_entry_texts(ana) == []

    def test_the_message_may_go_and_nothing_stays(
        self, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch, run_jobs: Callable[[], int]
    ) -> None:
        message = make_message(ana)
        after_adding(monkeypatch, lambda: message.__class__.objects.get(id=message.id).delete())
        with pytest.raises(IntegrityError):
            say(ana, message=message)
        run_jobs()
        assert get_entry_texts(ana) == []
        assert Memory.objects.count() == 0
        assert say(ana).memory.number == 1

    @pytest.mark.parametrize("refused", [{"event_start": NOON, "event_end": NOON}, {"tool_call": "x" * 101}])
    def test_what_postgresql_refuses_does_not_stay_in_mem0(
        self, ana: WhatsAppUser, run_jobs: Callable[[], int], refused: dict[str, Any]
    ) -> None:
        with pytest.raises((IntegrityError, DataError)):
            say(ana, **refused)
        run_jobs()
        assert get_entry_texts(ana) == []


# --- Entries found again by their key ---


@pytest.mark.usefixtures("quick_embedder")
class TestAnEntryThatIsTakenOver:
    """The words of a forgotten memory are said again before its entry is deleted."""

    def test_outlives_the_job_that_was_to_delete_it_and_says_the_new(
        self, ana: WhatsAppUser, run_jobs: Callable[[], int]
    ) -> None:
        note(ana)
        forget_memory(user_id=ana.id, number=1)
        assert note(ana, happened_at=NOON + HOUR) == Stored(Memory.objects.get(), SAVED)
        run_jobs()
        assert get_texts(ana) == [CODE]
        check_both_sides(ana)

    def test_is_made_again_if_it_was_deleted_just_then(
        self, ana: WhatsAppUser, run_jobs: Callable[[], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        note(ana)
        forget_memory(user_id=ana.id, number=1)
        delete_entry = mem0.delete_entry

        def delete_late(**fields: Any) -> None:
            monkeypatch.setattr(mem0, "delete_entry", delete_entry)
            note(ana)
            delete_entry(**fields)

        monkeypatch.setattr(mem0, "delete_entry", delete_late)
        run_jobs()
        assert get_texts(ana) == [CODE]
        check_both_sides(ana)


def test_the_old_words_of_a_corrected_note_are_another_memory_with_an_entry_of_its_own(
    ana: WhatsAppUser, quick_embedder: None, run_jobs: Callable[[], int]
) -> None:
    texts = ["The gate code is 4712", "The gate code is 4713", CODE]
    for number, text in enumerate(texts, start=1):
        assert note(ana).outcome is SAVED
        assert note(ana).outcome is KNOWN
        if text != CODE:
            update_memory(user_id=ana.id, number=number, text=text)
    run_jobs()
    assert get_texts(ana) == texts
    check_both_sides(ana)


def test_a_job_says_whose_entries_go_and_nothing_of_what_they_said(
    ana: WhatsAppUser, quick_embedder: None
) -> None:
    memory = note(ana).memory
    forget_memory(user_id=ana.id, number=1)
    job = ProcrastinateJob.objects.get()
    assert job.args == {"user_id": ana.id, "mem0_ids": [str(memory.mem0_id)]}
