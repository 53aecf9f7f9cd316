"""Processes killed at each point between the calls: repeated or compared, both sides are equal, nothing is doubled."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from memories.changes import forget_memory, update_memory
from memories.models import Memory
from memories.reconciliation import reconcile_memories
from memories.store import Outcome
from tests.doomed import Call, Executioner, Point, running_executioner
from tests.memories.sides import (
    CODE,
    NOON,
    check_both_sides,
    get_entry_texts,
    get_history,
    get_texts,
    make_message,
    make_person,
    say,
)
from whatsbot.integrations import mem0

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("both_sides")]
SAVED, KNOWN = Outcome.SAVED, Outcome.KNOWN
NEW_CODE = "The gate code is 8362"
EVENT = {"event_start": str(NOON + timedelta(days=1)), "event_end": str(NOON + timedelta(days=2))}
RunJobs = Callable[[], int]

MEM0 = "whatsbot.integrations.mem0_local"
COMMIT = "django.db.backends.base.base:BaseDatabaseWrapper._commit"
WRITE = "django.db.models.query:QuerySet.update"


def around(*steps: str) -> list[Point]:
    return [Point(when=when, step=step) for step in steps for when in ("before", "after")]


LOOK_UP, FIND, ADD, UPDATE, DELETE, DELETE_ALL = (
    around(f"{MEM0}:{name}")
    for name in ("find_similar", "find_by_key", "add", "update", "delete", "delete_all")
)
OUR_COMMIT = around(COMMIT)
AT_THE_END = Point(when="after", step="memories.store:store_memory")


@pytest.fixture(scope="module")
def executioner(django_db_setup: None) -> Iterator[Executioner]:
    """One process that has imported everything, for all the tests here."""
    with running_executioner(connection.settings_dict["NAME"]) as running:
        yield running


@pytest.fixture
def ana(both_sides: None) -> WhatsAppUser:
    """Somebody without memories."""
    return make_person()


def recover(run_jobs: RunJobs) -> None:
    """Put the jobs of dead workers back, as the worker does, and do them."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'todo' WHERE status = 'doing'")
    run_jobs()


def compare() -> None:
    """What the comparison of every night does, without the jobs that are left."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")
    reconcile_memories(settle_seconds=0)


# --- Storing ---


def make_call(kind: str, person: WhatsAppUser) -> Call:
    text = {"user_id": person.id, "text": CODE, "happened_at": str(NOON)}
    if kind == "message":
        message = {"raw_message_id": make_message(person).id, "tool_call": "recall"}
        return Call(function="memories.store:store_memory", arguments=text | message | EVENT)
    key = {"key": "line 1"} if kind == "keyed note" else {}
    return Call(function="memories.store:store_memory_direct", arguments=text | {"source": "api"} | key)


STORING = [
    pytest.param(kind, point, id=f"{kind}, {point}")
    for kind, points in {
        "message": LOOK_UP + FIND + ADD + OUR_COMMIT,
        "note": LOOK_UP + FIND + ADD + OUR_COMMIT,
        "keyed note": FIND + ADD + OUR_COMMIT,
    }.items()
    for point in points
]


@pytest.mark.parametrize(("kind", "point"), STORING)
def test_storing_that_was_killed_and_is_repeated_stores_once(
    ana: WhatsAppUser, executioner: Executioner, run_jobs: RunJobs, kind: str, point: Point
) -> None:
    call = make_call(kind, ana)
    executioner.kill(call, point)
    is_stored = point == OUR_COMMIT[1]
    assert get_texts(ana) == [CODE] * is_stored
    assert call.do().outcome is (KNOWN if is_stored and kind != "message" else SAVED)
    assert call.do().memory == Memory.objects.get()
    assert get_texts(ana) == get_entry_texts(ana) == [CODE]
    assert Memory.objects.get().number == 1
    assert run_jobs() == 0
    check_both_sides(ana)


@pytest.mark.parametrize(("kind", "point"), STORING)
def test_storing_that_was_killed_and_never_repeated_leaves_both_sides_equal(
    ana: WhatsAppUser, executioner: Executioner, kind: str, point: Point
) -> None:
    executioner.kill(make_call(kind, ana), point)
    compare()
    assert get_texts(ana) == get_entry_texts(ana) == [CODE] * (point == OUR_COMMIT[1])
    check_both_sides(ana)


@pytest.mark.parametrize("point", [*LOOK_UP, AT_THE_END], ids=str)
def test_what_was_known_is_known_and_noted_once(
    ana: WhatsAppUser, executioner: Executioner, point: Point
) -> None:
    memory = say(ana, "Gate code: 4711").memory
    arguments = make_call("message", ana).arguments
    call = Call(
        function="memories.store:store_memory",
        arguments={name: value for name, value in arguments.items() if name not in EVENT},
    )
    executioner.kill(call, point)
    for _ in range(2):
        stored = call.do()
        assert (stored.memory, stored.outcome) == (memory, KNOWN)
    assert get_history(ana) == [("repeated", CODE, call.arguments["raw_message_id"])]
    check_both_sides(ana)


# --- Changing ---


def make_change(kind: str, person: WhatsAppUser) -> Call:
    which = {"user_id": person.id, "number": 1}
    if kind == "forget":
        return Call(function="memories.changes:forget_memory", arguments=which)
    message = {"raw_message_id": make_message(person).id, "tool_call": "correct"}
    said = {"text": NEW_CODE, "said_at": str(NOON)}
    return Call(function="memories.changes:update_memory", arguments=which | said | message)


@pytest.mark.parametrize("point", OUR_COMMIT, ids=str)
@pytest.mark.parametrize(("kind", "texts"), [("update", [NEW_CODE]), ("forget", [])])
class TestAChange:
    """Killed right before or right after it was committed."""

    def test_that_is_repeated_is_made_once(
        self,
        ana: WhatsAppUser,
        executioner: Executioner,
        run_jobs: RunJobs,
        kind: str,
        texts: list[str],
        point: Point,
    ) -> None:
        say(ana)
        call = make_change(kind, ana)
        executioner.kill(call, point)
        for _ in range(2):
            call.do()
        assert len(get_history(ana)) == len(texts)
        assert ProcrastinateJob.objects.count() == 1
        run_jobs()
        assert get_texts(ana) == get_entry_texts(ana) == texts
        check_both_sides(ana)

    def test_that_is_not_repeated_is_made_whole_or_not_at_all(
        self,
        ana: WhatsAppUser,
        executioner: Executioner,
        kind: str,
        texts: list[str],
        point: Point,
    ) -> None:
        say(ana)
        executioner.kill(make_change(kind, ana), point)
        compare()
        assert get_texts(ana) == get_entry_texts(ana) == (texts if point == OUR_COMMIT[1] else [CODE])
        check_both_sides(ana)


# --- Jobs, and the comparison itself ---


def correct(person: WhatsAppUser) -> None:
    say(person)
    update_memory(user_id=person.id, number=1, text=NEW_CODE, said_at=NOON)


def correct_and_lose(person: WhatsAppUser) -> None:
    correct(person)
    mem0.delete_entry(user_id=person.id, mem0_id=str(Memory.objects.get().mem0_id))


def forget(person: WhatsAppUser) -> None:
    say(person)
    forget_memory(user_id=person.id, number=1)


def leave(person: WhatsAppUser) -> None:
    say(person)
    person.delete()
    with connection.cursor() as cursor:  # the memory's own job would do as well
        cursor.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'memories.delete_entries'")


JOBS = [
    pytest.param(prepare, point, texts, id=f"{prepare.__name__}, {point}")
    for prepare, points, texts in (
        (correct, UPDATE, [NEW_CODE]),
        (correct_and_lose, DELETE + FIND + ADD + around(WRITE), [NEW_CODE]),
        (forget, DELETE, []),
        (leave, DELETE_ALL, []),
    )
    for point in points
]
JOB = Call(function="tests.doomed:do_next_job", arguments={})
COMPARISON = Call(function="memories.reconciliation:reconcile_memories", arguments={"settle_seconds": 0})


def check(person_id: int, texts: list[str]) -> None:
    assert [entry.content.text for entry in mem0.list_entries(user_id=person_id)] == texts
    assert list(Memory.objects.values_list("text", flat=True)) == texts
    check_both_sides(*WhatsAppUser.objects.all())


@pytest.mark.parametrize(("prepare", "point", "texts"), JOBS)
class TestAJob:
    """Killed before or after a call to Mem0, or before or after what it writes of it."""

    def test_that_is_taken_over_is_done_as_if_once(
        self,
        ana: WhatsAppUser,
        executioner: Executioner,
        run_jobs: RunJobs,
        prepare: Callable[[WhatsAppUser], Any],
        point: Point,
        texts: list[str],
    ) -> None:
        person_id = ana.id
        prepare(ana)
        executioner.kill(JOB, point)
        recover(run_jobs)
        check(person_id, texts)

    def test_that_is_lost_is_made_good_by_the_comparison(
        self,
        ana: WhatsAppUser,
        executioner: Executioner,
        prepare: Callable[[WhatsAppUser], Any],
        point: Point,
        texts: list[str],
    ) -> None:
        person_id = ana.id
        prepare(ana)
        executioner.kill(JOB, point)
        compare()
        check(person_id, texts)

    def test_is_done_by_the_comparison_which_may_be_killed_as_well(
        self,
        ana: WhatsAppUser,
        executioner: Executioner,
        prepare: Callable[[WhatsAppUser], Any],
        point: Point,
        texts: list[str],
    ) -> None:
        person_id = ana.id
        prepare(ana)
        executioner.kill(COMPARISON, point)
        compare()
        check(person_id, texts)
