"""Whatever deletes people, messages or memories also deletes what Mem0 has, and leaves nothing of the text."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.audit import open_person
from accounts.models import StaffUser, WhatsAppUser
from memories.changes import forget_memory, update_memory
from memories.models import Citation, Memory
from memories.store import Outcome
from messaging.models import Interaction, RawMessage
from tests.doubles.mem0_platform import platform_in_use
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
HOUR = timedelta(hours=1)
RunJobs = Callable[[], int]


@pytest.fixture
def ana(both_sides: None) -> WhatsAppUser:
    """Somebody without memories."""
    return make_person()


def execute(*statements: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def find_everywhere(word: str) -> list[str]:
    """The tables that have a word in any column of any row, whatever its case."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(
                f'SELECT EXISTS (SELECT FROM "{table}" AS r WHERE r::text ILIKE %s)', [f"%{word}%"]
            )
            found += [table] if cursor.fetchone() == (True,) else []
    return found


# --- From wherever ---


def delete_in_the_back_office(memory: Memory) -> None:
    """As a member of staff does."""
    staff, login = Client(), StaffUser.objects.create_superuser("admin", password="correct horse")
    staff.force_login(login)
    open_person(staff=login, person_id=memory.user_id, reason="Asked to delete something")
    response = staff.post(f"/admin/memories/memory/{memory.id}/delete/", {"post": "yes"})
    assert response.status_code == 302


@pytest.mark.parametrize(
    "delete",
    [
        pytest.param(lambda memory: memory.delete(), id="the memory"),
        pytest.param(lambda memory: Memory.objects.filter(id=memory.id).delete(), id="a queryset"),
        pytest.param(lambda memory: memory.raw_message.delete(), id="its message"),
        pytest.param(lambda memory: memory.user.delete(), id="its person"),
        pytest.param(lambda memory: WhatsAppUser.objects.all().delete(), id="everybody"),
        pytest.param(lambda memory: forget_memory(user_id=memory.user_id, number=1), id="forgetting"),
        pytest.param(delete_in_the_back_office, id="the back-office"),
        pytest.param(
            lambda memory: execute("DELETE FROM memories_memoryword", "DELETE FROM memories_memory"), id="SQL"
        ),
    ],
)
def test_from_wherever_a_memory_is_deleted_its_entry_goes_too(
    ana: WhatsAppUser, run_jobs: RunJobs, delete: Callable[[Memory], Any]
) -> None:
    memory = say(ana).memory
    assert get_entry_texts(ana) == [CODE]
    delete(memory)
    assert get_texts(ana) == []
    run_jobs()
    assert get_entry_texts(ana) == []


def test_others_keep_theirs(ana: WhatsAppUser, run_jobs: RunJobs) -> None:
    bo = make_person()
    for person in (ana, bo):
        say(person)
        say(person, "Milk is on the list")
    message = RawMessage.objects.filter(user=bo).earliest("id")
    ana_id, ana_entries = ana.id, [str(memory.mem0_id) for memory in ana.memories.all()]
    message.delete()
    ana.delete()
    run_jobs()
    assert get_entry_texts(bo) == ["Milk is on the list"]
    check_both_sides(bo)
    assert [mem0.get_entry(user_id=ana_id, mem0_id=each) for each in ana_entries] == [None, None]


def test_a_deletion_that_is_rolled_back_leaves_no_job(ana: WhatsAppUser) -> None:
    say(ana)
    for delete in (Memory.objects.all().delete, ana.delete):
        with transaction.atomic():
            delete()
            transaction.set_rollback(True)
    assert ProcrastinateJob.objects.count() == 0
    check_both_sides(WhatsAppUser.objects.get())


def test_many_deletions_are_few_jobs(ana: WhatsAppUser) -> None:
    bo = make_person()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO memories_memory (user_id, number, mem0_id, text, tool_call, type, source, happened_at, "
            "updated_at) SELECT who, number, gen_random_uuid(), 'x', '', 'note', 'api', now(), now() "
            "FROM unnest(%s) AS who, generate_series(1, 250) AS number",
            [[ana.id, bo.id]],
        )
    for delete in (
        lambda: Memory.objects.filter(user=ana).delete(),
        lambda: execute("DELETE FROM memories_memory"),
    ):
        doomed = {str(memory.mem0_id): memory.user_id for memory in Memory.objects.all()}
        delete()
        gone = doomed.keys() - {str(memory.mem0_id) for memory in Memory.objects.all()}
        jobs = list(ProcrastinateJob.objects.values_list("args", flat=True))
        assert sorted(len(args["mem0_ids"]) for args in jobs) == [50, 100, 100]
        named = [mem0_id for args in jobs for mem0_id in args["mem0_ids"]]
        assert sorted(named) == sorted(gone)
        assert all(doomed[mem0_id] == args["user_id"] for args in jobs for mem0_id in args["mem0_ids"])
        execute("TRUNCATE procrastinate_jobs CASCADE")
    assert Memory.objects.count() == 0


@pytest.mark.parametrize("failure", [TransientProviderError(), OperationalError("gone"), ValueError("odd")])
@pytest.mark.parametrize("name", ["delete_entry", "delete_entries_of_user"])
def test_a_deletion_is_tried_until_it_is_done(
    ana: WhatsAppUser,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    name: str,
) -> None:
    failures, delete = [failure] * 5, getattr(mem0, name)

    def fail_at_first(**fields: Any) -> None:
        if failures:
            raise failures.pop()
        delete(**fields)

    say(ana)
    monkeypatch.setattr(mem0, name, fail_at_first)
    user_id = ana.id
    ana.delete()
    run_jobs()
    assert list(mem0.list_entries(user_id=user_id)) == []
    assert set(ProcrastinateJob.objects.values_list("status", flat=True)) == {"succeeded"}


# --- Nothing of the text ---

SECRET = "The password of the safe is Quetzal"


def test_forgetting_leaves_nothing_not_even_in_the_conversation(ana: WhatsAppUser, run_jobs: RunJobs) -> None:
    message = make_message(ana, SECRET)
    say(ana, SECRET, message=message)
    say(ana, SECRET)
    update_memory(user_id=ana.id, number=1, text="The password of the safe is Quetzal2", said_at=NOON)
    run_jobs()
    assert {"mem0_local", "memories_memory", "memories_memoryhistory", "memories_memoryword"} <= set(
        find_everywhere("quet")
    )
    assert "messaging_rawmessage" in find_everywhere("quet")
    forget_memory(user_id=ana.id, number=1)
    run_jobs()
    assert find_everywhere("quet") == []


class TestADeletedMessage:
    """Everything that is from it goes with it."""

    def test_takes_its_memory_along_however_it_was_repeated_or_corrected(
        self, ana: WhatsAppUser, run_jobs: RunJobs
    ) -> None:
        message = make_message(ana, SECRET)
        memory = say(ana, SECRET, message=message).memory
        say(ana, SECRET)
        update_memory(user_id=ana.id, number=1, text="The password of the safe is not Quetzal")
        interaction = Interaction.objects.create(raw_message=make_message(ana))
        Citation.objects.create(interaction=interaction, memory=memory, rank=1, score=1)
        run_jobs()
        message.delete()
        run_jobs()
        assert find_everywhere("quet") == []
        check_both_sides(ana)

    def test_takes_what_it_repeated_out_of_the_history(self, ana: WhatsAppUser, run_jobs: RunJobs) -> None:
        say(ana)
        message = make_message(ana)
        say(ana, message=message)
        assert len(get_history(ana)) == 1
        message.delete()
        assert run_jobs() == 0
        assert get_history(ana) == []
        assert get_texts(ana) == [CODE]
        check_both_sides(ana)

    def test_takes_what_it_corrected_along(self, ana: WhatsAppUser, run_jobs: RunJobs) -> None:
        say(ana)
        message = make_message(ana, SECRET)
        update_memory(user_id=ana.id, number=1, text=SECRET, raw_message_id=message.id, tool_call="correct")
        message.delete()
        run_jobs()
        assert find_everywhere("quet") == []
        check_both_sides(ana)

    def test_takes_a_former_correction_out_of_the_history(self, ana: WhatsAppUser, run_jobs: RunJobs) -> None:
        say(ana)
        message = make_message(ana, SECRET)
        update_memory(user_id=ana.id, number=1, text=SECRET, raw_message_id=message.id, tool_call="correct")
        update_memory(user_id=ana.id, number=1, text="The safe is open")
        run_jobs()
        message.delete()
        run_jobs()
        assert find_everywhere("quet") == []
        assert get_texts(ana) == ["The safe is open"]
        check_both_sides(ana)


def test_a_deleted_person_leaves_nothing(ana: WhatsAppUser, run_jobs: RunJobs) -> None:
    for text in (SECRET, "Milk is on the list", SECRET):
        say(ana, text, message=make_message(ana, text))
    note(ana, "A quetzal is a bird", key="quetzal")
    update_memory(user_id=ana.id, number=1, text="The password is Quetzal2")
    address = ana.whatsapp_id
    ana.delete()
    run_jobs()
    assert find_everywhere("quet") == []
    assert find_everywhere(address) == []
    assert find_everywhere("milk") == []


# --- The whole story, on either backend ---


@pytest.fixture(params=["local", "platform"])
def _either_backend(
    request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    if request.param == "local":
        yield
        return
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with platform_in_use(settings):
        yield


@pytest.mark.usefixtures("_either_backend")
def test_a_life_of_memories_on_either_backend(run_jobs: RunJobs) -> None:
    ana, bo = make_person(), make_person()
    for person in (ana, bo):
        say(person)
    message = make_message(ana)
    for _ in range(2):
        dentist = say(ana, "Dentist appointment", message=message, event_start=NOON + HOUR)
        assert dentist.outcome is Outcome.SAVED
    assert say(ana, "the gate code is 4711!").outcome is Outcome.KNOWN
    update_memory(user_id=ana.id, number=1, text="The gate code is 8362", said_at=NOON + HOUR)
    run_jobs()
    check_both_sides(ana, bo)
    forget_memory(user_id=ana.id, number=2)
    assert say(ana).outcome is Outcome.SAVED
    run_jobs()
    assert get_texts(ana) == sorted([CODE, "The gate code is 8362"], reverse=True)
    check_both_sides(ana, bo)
    ana_id = ana.id
    ana.delete()
    run_jobs()
    assert list(mem0.list_entries(user_id=ana_id)) == []
    assert list(mem0.list_user_ids()) == [bo.id]
    check_both_sides(bo)
