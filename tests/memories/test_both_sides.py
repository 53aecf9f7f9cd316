"""Whatever is stored, repeated, corrected, forgotten and killed in whatever order, both sides come out equal.

Hypothesis makes the stories; they are the same in every run (``derandomize``), and it prints the shortest that fails.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from memories.changes import forget_memory, update_memory
from memories.models import Memory
from memories.reconciliation import Report, reconcile_memories
from memories.search import search_memories
from memories.store import Outcome, Stored
from messaging.models import RawMessage
from tests.memories.sides import NOON, check_both_sides, make_message, make_person, note, say
from whatsbot.integrations import mem0, mem0_local

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("both_sides", "quick_embedder"),
    pytest.mark.timeout(300),
]
EXAMPLES = int(os.environ.get("BOTH_SIDES_EXAMPLES", "150"))  # 500 and more by hand
LATER: dict[str, Any] = {"event_start": NOON + timedelta(days=1)}
# The first three say the same; the others are near to one another, and something else.
SAYINGS: list[tuple[str, dict[str, Any]]] = [
    ("The gate code is 4711", {}),
    ("the GATE code is 4711!", {}),
    ("Gate code: 4711", {}),
    ("The gate code is not 4711", {}),
    ("The gate code is 4712", {}),
    ("Ana owes Bo 5 euros", {}),
    ("Bo owes Ana 5 euros", {}),
    ("Dentist appointment", {}),
    ("Dentist appointment", LATER),
]


class Killed(BaseException):
    """What no code of ours catches, like SIGKILL."""


class Fuse:
    """Kills at the given number of steps from now: right before or after a call of Mem0, or a commit of ours."""

    def __init__(self) -> None:
        self.steps_left: int | None = None

    def burn(self) -> None:
        """One step; the last one kills."""
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                self.steps_left = None
                raise Killed

    def wrap(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A function with a step before and a step after it."""

        @functools.wraps(step)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.burn()
            result = step(*args, **kwargs)
            self.burn()
            return result

        return call

    def wrap_commit(self, commit: Callable[[BaseDatabaseWrapper], None]) -> Callable[..., None]:
        """The same for a commit: who is killed before it has changed nothing."""

        def call(wrapper: BaseDatabaseWrapper) -> None:
            try:
                self.burn()
            except Killed:
                wrapper.connection.rollback()
                raise
            commit(wrapper)
            self.burn()

        return call


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch) -> Fuse:
    """Burns at each call of the backend and each commit."""
    made = Fuse()
    for name in ("add", "find_by_key", "find_similar", "get", "update", "delete", "list_entries"):
        monkeypatch.setattr(mem0_local, name, made.wrap(getattr(mem0_local, name)))
    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", made.wrap_commit(BaseDatabaseWrapper._commit))
    return made


@dataclass(frozen=True)
class Call:
    """One call of `store_memory`, or of `store_memory_direct` if there is no message."""

    person: int
    saying: int
    message: RawMessage | None
    key: str | None
    fields: dict[str, Any]


Rows = dict[int, tuple[str, Any]]  # text and identity by number


@dataclass
class World:
    """Three people, what was asked for, and what must be true after each step of the story."""

    fuse: Fuse
    people: list[WhatsAppUser] = field(default_factory=lambda: [make_person() for _ in range(3)])
    calls: list[Call] = field(default_factory=list)
    saved: dict[int, int] = field(default_factory=dict)  # calls by their place → numbers
    highest: list[int] = field(default_factory=lambda: [0, 0, 0])
    was_comparison_killed: bool = False
    minutes: Iterator[int] = field(default_factory=count)

    def read(self) -> list[Rows]:
        """Our rows, by person."""
        rows: list[Rows] = [{} for _ in self.people]
        places = {person.id: place for place, person in enumerate(self.people)}
        memories = Memory.objects.filter(user__in=places)
        for user_id, number, text, identity in memories.values_list("user_id", "number", "text", "identity"):
            rows[places[user_id]][number] = (text, identity)
        return rows

    @contextmanager
    def maybe_killed(self, steps: int | None) -> Iterator[list[bool]]:
        """Do something that is killed after so many steps, if it takes as many. Gives a list that says if it was."""
        was_killed: list[bool] = []
        self.fuse.steps_left = steps
        try:
            yield was_killed
        except Killed:
            was_killed.append(True)
            event(f"killed: {sys._getframe(2).f_code.co_name}")
        finally:
            self.fuse.steps_left = None

    def store(self, person: int, saying: int, way: str, steps: int | None) -> None:
        """Say something new, or note it, with a key or without."""
        message = make_message(self.people[person]) if way == "say" else None
        fields = {"happened_at": NOON + timedelta(minutes=next(self.minutes))} | SAYINGS[saying][1]
        key = f"line {saying}" if way == "note with a key" else None
        self.calls.append(Call(person=person, saying=saying, message=message, key=key, fields=fields))
        self._call(len(self.calls) - 1, steps)

    def repeat(self, which: int, steps: int | None) -> None:
        """Do an earlier call again."""
        if self.calls:
            self._call(which % len(self.calls), steps)

    def _call(self, place: int, steps: int | None) -> None:
        call = self.calls[place]
        if call.message and not RawMessage.objects.filter(id=call.message.id).exists():
            return
        before = self.read()
        stored: Stored | None = None
        text, person = SAYINGS[call.saying][0], self.people[call.person]
        with self.maybe_killed(steps):
            if call.message:
                stored = say(person, text, message=call.message, **call.fields)
            else:
                stored = note(person, text, key=call.key, **call.fields)
        after = self.read()
        new = after[call.person].keys() - before[call.person].keys()
        self._check_new(call, before=before, after=after, new=new)
        if stored is None:
            return
        number = stored.memory.number
        assert number in after[call.person]
        if stored.outcome is Outcome.KNOWN:
            assert new == set()
        else:
            assert new == {number} or self.saved.get(place, number) == number in before[call.person]
            self.saved[place] = number

    def _check_new(self, call: Call, *, before: list[Rows], after: list[Rows], new: set[int]) -> None:
        """At most one memory is new, as it was said, with a number of its own; and it was not known."""
        assert len(new) <= 1
        for number in new:
            text, identity = after[call.person].pop(number)
            assert text == SAYINGS[call.saying][0]
            assert identity not in {known for _, known in before[call.person].values()}
            assert number > self.highest[call.person]
            self.highest[call.person] = number
        assert after == before
        if new:
            after[call.person][next(iter(new))] = (text, identity)

    def correct(self, person: int, which: int, saying: int, steps: int | None) -> None:
        """Correct one of the memories there are."""
        before = self.read()
        if not before[person]:
            return
        number = sorted(before[person])[which % len(before[person])]
        text, fields = SAYINGS[saying]
        message = make_message(self.people[person])
        with self.maybe_killed(steps) as was_killed:
            update_memory(
                user_id=self.people[person].id,
                number=number,
                text=text,
                said_at=NOON + timedelta(minutes=next(self.minutes)),
                raw_message_id=message.id,
                tool_call="correct",
                **fields,
            )
        after = self.read()
        texts = [{each: row[0] for each, row in rows.items()} for rows in before]
        if not (was_killed and after == before):
            texts[person][number] = text
        assert [{each: row[0] for each, row in rows.items()} for rows in after] == texts

    def forget(self, person: int, which: int, steps: int | None) -> None:
        """Forget one of the memories there are."""
        before = self.read()
        if not before[person]:
            return
        number = sorted(before[person])[which % len(before[person])]
        with self.maybe_killed(steps) as was_killed:
            forget_memory(user_id=self.people[person].id, number=number)
        after = self.read()
        if not (was_killed and after == before):
            del before[person][number]
        assert after == before

    def delete_message(self, which: int) -> None:
        """Delete one of the messages there are, and so what is from it."""
        messages = RawMessage.objects.filter(user__in=self.people).order_by("id")
        if not messages:
            return
        message = messages[which % len(messages)]
        said_or_corrected = {*message.memories.all(), *message.corrected_memories.all()}
        doomed = {(memory.user_id, memory.number) for memory in said_or_corrected}
        before = self.read()
        message.delete()
        for person, rows in zip(self.people, before, strict=True):
            for number in [number for number in rows if (person.id, number) in doomed]:
                del rows[number]
        assert self.read() == before

    def work(self, jobs: int, steps: int | None) -> None:
        """Let a worker do so many jobs, or be killed; what it had begun is put back."""
        before = self.read()
        with self.maybe_killed(steps):
            for _ in range(jobs):
                if not _do_next_job():
                    break
        assert self.read() == before

    def compare(self, steps: int | None) -> Report:
        """Reconcile both sides."""
        before, report = self.read(), Report()
        with self.maybe_killed(steps) as was_killed:
            report = reconcile_memories(user_ids=[person.id for person in self.people], settle_seconds=0)
        self.was_comparison_killed |= bool(was_killed)
        assert self.read() == before
        return report

    def check_that_nobody_finds_anothers(self) -> None:
        """Neither in Mem0 nor in our search, which find all that somebody has, so few memories they are."""
        text = SAYINGS[0][0]
        for person, rows in zip(self.people, self.read(), strict=True):
            own = {entry.mem0_id for entry in mem0.list_entries(user_id=person.id)}
            found = mem0.search_entries(user_id=person.id, query=text, limit=50)
            found += mem0.find_similar_entries(user_id=person.id, text=text, limit=50)
            assert {each.mem0_id for each in found} == own
            hits = search_memories(user_id=person.id, query=text, limit=50).hits
            assert {(hit.memory.user_id, hit.memory.number) for hit in hits} == {
                (person.id, number) for number in rows
            }

    def finish(self) -> None:
        """Do what is left to do; then both sides are equal."""
        self.work(1000, None)
        self.check_that_nobody_finds_anothers()
        report = self.compare(None)
        event(f"differences left by kills: {report.differences > 0}")
        if not self.was_comparison_killed:  # a job or a repeat makes good whatever else was killed
            assert (report.missing_entries, report.unindexed) == (0, 0)
        check_both_sides(*self.people)
        assert not _do_next_job()


def _do_next_job() -> bool:
    """Do the next job, like a worker: one that dies leaves it for another."""
    job = ProcrastinateJob.objects.order_by("id").first()
    if job is None:
        return False
    app.tasks[job.task_name].func(**job.args)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs WHERE id = %s", [job.id])
    return True


PERSON, SAYING, WHICH = st.sampled_from([0, 0, 0, 1, 2]), st.integers(0, len(SAYINGS) - 1), st.integers(0, 5)
STEPS = st.none() | st.integers(0, 13)  # half of all are killed, if they take so many steps
COMMIT = st.none() | st.integers(0, 1)
WAY = st.sampled_from(["say", "note", "note with a key"])
STEP = st.one_of(
    st.tuples(st.just("store"), PERSON, SAYING, WAY, STEPS),
    st.tuples(st.just("store"), PERSON, SAYING, WAY, STEPS),
    st.tuples(st.just("store"), PERSON, SAYING, WAY, STEPS),
    st.tuples(st.just("repeat"), WHICH, STEPS),
    st.tuples(st.just("correct"), PERSON, WHICH, SAYING, COMMIT),
    st.tuples(st.just("forget"), PERSON, WHICH, COMMIT),
    st.tuples(st.just("delete_message"), WHICH),
    st.tuples(st.just("work"), st.integers(1, 3), st.none() | st.integers(0, 5)),
    st.tuples(st.just("compare"), STEPS),
)


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=st.lists(STEP, min_size=4, max_size=14))
def test_whatever_happens_both_sides_come_out_equal(fuse: Fuse, story: list[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")  # of a story that failed
    world = World(fuse)
    for name, *arguments in story:
        getattr(world, name)(*arguments)
    world.finish()
