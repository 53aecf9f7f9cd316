"""Logins of each role."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.audit import open_person
from accounts.models import StaffUser, WhatsAppUser

REASON = "Asked what is kept"


class Staff(Client):
    """The browser of somebody who has signed in."""

    login_of: StaffUser

    def open(self, *people: WhatsAppUser) -> None:
        """Say why this login looks at these people."""
        for person in people:
            open_person(staff=self.login_of, person_id=person.id, reason=REASON)

    def read(self, path: str, data: dict[str, Any] | None = None) -> str:
        """A page, in one line."""
        response = self.get(path, data or {})
        assert response.status_code == 200, (response.status_code, response.headers.get("Location"))
        return " ".join(response.content.decode().split())


@pytest.fixture
def sign_in(db: None) -> Callable[..., Staff]:
    """Sign in with some roles; with none: as superuser."""

    def make(*roles: str) -> Staff:
        name = "-".join(roles).lower() or "root"
        login = StaffUser.objects.create(username=name, is_staff=True, is_superuser=not roles)
        login.groups.set(Group.objects.filter(name__in=roles))
        assert login.groups.count() == len(roles)
        client = Staff()
        client.force_login(login)
        client.login_of = login
        return client

    return make


@pytest.fixture
def support(sign_in: Callable[..., Staff]) -> Staff:
    """Somebody who sees one person at a time, for a reason."""
    return sign_in("Support")


@pytest.fixture
def privacy(sign_in: Callable[..., Staff]) -> Staff:
    """Somebody who erases and exports."""
    return sign_in("Privacy")


@pytest.fixture
def operator(sign_in: Callable[..., Staff]) -> Staff:
    """Somebody who keeps it running."""
    return sign_in("Operator")


@pytest.fixture
def root(sign_in: Callable[..., Staff]) -> Staff:
    """A superuser."""
    return sign_in()
