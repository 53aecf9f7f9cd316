"""``manage.py reconcile_memories``: what it says, and to whom it keeps."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import WhatsAppUser
from tests.memories.sides import CODE, NOON, check_both_sides, get_entry_texts, make_person, say
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import mem0
from whatsbot.integrations.mem0 import Content

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("both_sides", "quick_embedder"),
]


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("reconcile_memories", "--settle=0", *arguments, stdout=said)
    return said.getvalue()


@pytest.fixture
def people(both_sides: None) -> list[WhatsAppUser]:
    """Two people with one memory each that Mem0 has lost; of the first it has another that is no memory."""
    found = [make_person(), make_person()]
    for person, number in zip(found, ("+12025550123", "+12025550124"), strict=True):
        memory = say(person).memory
        mem0.delete_entry(user_id=person.id, mem0_id=str(memory.mem0_id))
        WhatsAppUser.objects.filter(id=person.id).update(phone_number=number)
    mem0.add_entry(user_id=found[0].id, key="lost", content=Content(text="Lost", happened_at=NOON))
    return found


FOUND = (
    "2 people, 2 memories, 2 missing entries, 0 stale entries, 1 orphaned entries, 0 strangers, 0 leftovers, "
    "0 unindexed\n"
)


def test_it_repairs_and_reports(people: list[WhatsAppUser]) -> None:
    assert run() == FOUND
    check_both_sides(*people)
    assert run() == FOUND.replace("2 missing", "0 missing").replace("1 orphaned", "0 orphaned")


def test_a_dry_run_reports_the_same_and_changes_nothing(people: list[WhatsAppUser]) -> None:
    for _ in range(2):
        assert run("--dry-run") == f"{FOUND}Nothing was changed. Without --dry-run this is repaired.\n"
    assert [get_entry_texts(person) for person in people] == [["Lost"], []]
    run()
    assert "Nothing" not in run("--dry-run")


@pytest.mark.parametrize("number", ["+12025550124", "+1 (202) 555-0124"])
def test_one_persons_number_is_enough(people: list[WhatsAppUser], number: str) -> None:
    assert run("--number", number).startswith("1 people, 1 memories, 1 missing entries")
    assert [get_entry_texts(person) for person in people] == [["Lost"], [CODE]]


@pytest.mark.parametrize(("number", "why"), [("+12025550188", "never heard"), ("nobody", "with its country")])
def test_an_unknown_number_is_refused(people: list[WhatsAppUser], number: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run("--number", number)


def test_mem0_away_is_said_and_not_raised(
    people: list[WhatsAppUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**fields: Any) -> Any:
        raise TransientProviderError("The memory store is not reachable.")

    monkeypatch.setattr(mem0, "list_entries", fail)
    with pytest.raises(
        CommandError, match=r"not reachable\. What was repaired until then stays so; run this again"
    ):
        run()
