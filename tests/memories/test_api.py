"""`GET /memories`: a token opens it, a person's memories come newest first, bad questions get clear answers."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, StaffUser, WhatsAppUser
from memories.models import Memory

pytestmark = pytest.mark.django_db
NUMBER = "+12025550123"


@pytest.fixture
def api(client: Client) -> Any:
    """Ask with a fresh token."""
    staff = StaffUser.objects.create_user("operator", password="correct horse", is_staff=True)
    _, token = ApiToken.objects.create(user=staff, name="test")

    def get(**parameters: str) -> Any:
        return client.get("/memories", parameters, headers={"Authorization": f"Bearer {token}"})

    return get


@pytest.fixture
def person() -> WhatsAppUser:
    user = WhatsAppUser.objects.create(whatsapp_id=f"whatsapp:{NUMBER}", phone_number=NUMBER)
    for number in (1, 2, 3):
        Memory.objects.create(
            user=user,
            number=number,
            mem0_id=f"00000000-0000-4000-8000-00000000000{number}",
            text=f"Memory {number}",
            source=Memory.Source.API,
            happened_at=timezone.now() + timedelta(minutes=number),
        )
    return user


def test_a_persons_memories_come_newest_first(api: Any, person: WhatsAppUser) -> None:
    response = api(whatsapp_number=NUMBER)
    assert response.status_code == 200
    assert [row["text"] for row in response.json()] == ["Memory 3", "Memory 2", "Memory 1"]
    assert [row["number"] for row in api(whatsapp_number=NUMBER, limit="1").json()] == [3]


@pytest.mark.parametrize("spelling", ["+1 (202) 555-0123", "whatsapp:+12025550123", " +1-202-555-0123 "])
def test_a_number_may_be_spelled_as_people_do(api: Any, person: WhatsAppUser, spelling: str) -> None:
    assert len(api(whatsapp_number=spelling).json()) == 3


@pytest.mark.parametrize("number", ["", "12", "2025550123", "nobody", "+"])
def test_a_number_that_is_none_is_refused_with_the_field_named(api: Any, number: str) -> None:
    response = api(whatsapp_number=number)
    assert response.status_code == 400
    assert "whatsapp_number" in response.json()


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x", "1e3", "²", "9" * 30])
def test_a_limit_out_of_bounds_is_refused(api: Any, person: WhatsAppUser, limit: str) -> None:
    response = api(whatsapp_number=NUMBER, limit=limit)
    assert response.status_code == 400
    assert "limit" in response.json()


def test_somebody_never_seen_is_not_found(api: Any) -> None:
    assert api(whatsapp_number="+12025550199").status_code == 404


def test_without_a_valid_token_nothing_is_told(client: Client, person: WhatsAppUser) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Token x"}):
        assert client.get("/memories", {"whatsapp_number": NUMBER}, headers=headers).status_code == 401


def test_a_login_without_staff_rights_is_refused(client: Client, person: WhatsAppUser) -> None:
    client.force_login(StaffUser.objects.create_user("visitor", password="correct horse"))
    assert client.get("/memories", {"whatsapp_number": NUMBER}).status_code == 403


def test_a_token_is_stored_as_a_digest_and_dies_with_its_row(api: Any, person: WhatsAppUser) -> None:
    assert api(whatsapp_number=NUMBER).status_code == 200
    ApiToken.objects.all().delete()
    assert api(whatsapp_number=NUMBER).status_code == 401
