"""Whoever reads or changes somebody's data by the API is on record."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEvent, Scope, StaffUser, WhatsAppUser
from api import reading
from api.access import PERMISSIONS
from memories.models import Memory
from messaging.models import ErasureReceipt
from tests.api.conftest import NUMBER, Ask
from tests.api.test_access import DECISIONS, PEOPLE, READ
from tests.messaging.made import remember

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
# What shows nobody's data, or is on record as more than reading.
ELSEWHERE = {("PATCH", "users/<str:number>"), ("DELETE", "users/<str:number>")} | {
    ("GET", "users/<str:number>/export"),
    ("GET", "erasures/<uuid:receipt>"),
}
READINGS = [key for key, scope in DECISIONS.items() if scope in (READ, PEOPLE) and key not in ELSEWHERE]


@pytest.fixture(autouse=True)
def nothing_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has just begun."""
    monkeypatch.setattr(reading, "_noted", set())


@pytest.fixture
def memory(person: WhatsAppUser) -> Memory:
    """Something to read."""
    return remember(person)


def read(ask: Ask, memory: Memory, method: str, route: str, **options: Any) -> Any:
    path = route.replace("<int:memory_id>", str(memory.id)).replace("<str:number>", NUMBER)
    given = {"whatsapp_number": NUMBER} if "<" not in route else None
    about = {"json": given} if method == "POST" else {"query": given}
    response = ask(method, f"/{path}", **about, **options)
    assert response.status_code == 200, response.content
    return response


def get_deeds() -> list[tuple[Any, ...]]:
    fields = ("staff_name", "program", "action", "object_type", "detail")
    return list(AuditEvent.objects.order_by("id").values_list(*fields))


@pytest.mark.parametrize(("method", "route"), READINGS)
def test_reading_is_written_down_once_a_day_whatever_process_is_asked(
    ask: Ask, person: WhatsAppUser, memory: Memory, method: str, route: str
) -> None:
    read(ask, memory, method, route)
    with CaptureQueriesContext(connection) as statements:
        read(ask, memory, method, route)
    assert not [each for each in statements if "accounts_auditevent" in each["sql"]]
    reading._noted.clear()
    read(ask, memory, method, route)
    event = AuditEvent.objects.get()
    assert (event.action, event.staff_name, event.program) == ("read", "operator", "test")
    assert event.person_id == person.id


def test_every_program_person_and_day_is_written_down(
    ask: Ask,
    memory: Memory,
    make_token: Callable[..., str],
    client: Client,
    staff: StaffUser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    route = ("GET", "memories")
    read(ask, memory, *route)
    other = StaffUser.objects.create_superuser("other", password="correct horse")
    read(ask, memory, *route, token=make_token(READ, user=other))
    client.force_login(staff)
    assert client.get("/memories", {"whatsapp_number": NUMBER}).status_code == 200
    tomorrow = timezone.now() + DAY
    AuditEvent.objects.bulk_create(
        [AuditEvent(action="read", staff_id=staff.pk, staff_name="x", person_id=memory.user_id, at=tomorrow)]
    )
    assert sorted((name, program) for name, program, *_ in get_deeds()) == [
        *(("operator", ""), ("operator", "test"), ("other", "test"), ("x", "")),
    ]


def test_what_a_process_has_noted_does_not_grow_for_ever(
    ask: Ask, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_NOTED", 1)
    for number in ("+12025550124", "+12025550125"):
        WhatsAppUser.objects.create(whatsapp_id=f"whatsapp:{number}", phone_number=number)
        assert ask("GET", "/memories", query={"whatsapp_number": number}).status_code == 200
    assert len(reading._noted) == 1
    assert AuditEvent.objects.count() == 2


def test_changes_deletions_exports_and_erasures_are_written_down(
    ask: Ask, person: WhatsAppUser, memory: Memory
) -> None:
    assert ask("PATCH", f"/memories/{memory.id}", json={"memory_text": "A secret"}).status_code == 200
    assert ask("DELETE", f"/memories/{memory.id}").status_code == 204
    assert ask("DELETE", f"/memories/{memory.id}").status_code == 404
    assert ask("PATCH", f"/users/{NUMBER}", json={"timezone": "Europe/Berlin"}).status_code == 200
    b"".join(ask("GET", f"/users/{NUMBER}/export").streaming_content)
    assert ask("DELETE", f"/users/{NUMBER}").status_code == 200
    by = ("operator", "test")
    assert get_deeds() == [
        (*by, "changed", "memories.memory", {"fields": ["memory_text"]}),
        (*by, "deleted", "memories.memory", {}),
        (*by, "changed", "accounts.whatsappuser", {"fields": ["timezone"]}),
        (*by, "exported", "", {}),
        (*by, "erased", "messaging.erasurereceipt", {}),
    ]
    assert AuditEvent.objects.last().object_id == str(ErasureReceipt.objects.get().id)  # type: ignore[union-attr]
    assert set(AuditEvent.objects.values_list("person_id", flat=True)) == {person.id}


def test_what_fails_is_not_on_record_as_done(
    ask: Ask, memory: Memory, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    def fail(*args: Any, **fields: Any) -> None:
        raise RuntimeError

    client.raise_request_exception = False
    monkeypatch.setattr("api.memories.note_deed", fail)
    assert ask("DELETE", f"/memories/{memory.id}").status_code == 500
    assert Memory.objects.exists()


@pytest.mark.parametrize("scope", [READ, Scope.WRITE, PEOPLE])
def test_in_a_browser_personal_data_is_for_those_who_may_see_it_everywhere(
    client: Client, memory: Memory, scope: Scope
) -> None:
    login = StaffUser.objects.create_user("reader", password="correct horse", is_staff=True)
    needed = [name.partition(".")[2] for name in PERMISSIONS[scope]]
    login.user_permissions.set(Permission.objects.filter(codename__in=needed))
    client.force_login(login)
    ask = {
        READ: lambda: client.get(f"/memories/{memory.id}"),
        Scope.WRITE: lambda: client.patch(f"/memories/{memory.id}", "{}", content_type="application/json"),
        PEOPLE: lambda: client.get(f"/users/{NUMBER}"),
    }[scope]
    assert ask().status_code == 403
    assert not AuditEvent.objects.exists()
    login.user_permissions.add(Permission.objects.get(codename="see_personal_data"))
    assert ask().status_code == 200
    assert AuditEvent.objects.count() == 1
