"""A program with a token, and people it asks about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import ApiToken, Scope, StaffUser, WhatsAppUser

NUMBER = "+12025550123"
Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def files_folder(settings: Any, tmp_path: Path) -> None:
    """Files of a test lie in a folder of its own."""
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def staff(db: None) -> StaffUser:
    """The login the tokens belong to."""
    return StaffUser.objects.create_superuser("operator", password="correct horse")


@pytest.fixture
def make_token(staff: StaffUser) -> Callable[..., str]:
    """Make a token with these scopes."""

    def make(*scopes: Scope, user: StaffUser | None = None, **fields: Any) -> str:
        _, token = ApiToken.objects.create(user=user or staff, name="test", scopes=[*scopes], **fields)
        return token

    return make


@pytest.fixture
def ask(client: Client, make_token: Callable[..., str]) -> Ask:
    """Send a request with a token for everything, or another; ``json`` is the body."""
    cache.clear()  # requests of other tests do not count
    everything = make_token(*Scope)

    def send(
        method: str,
        path: str,
        *,
        json: Any = None,
        query: dict[str, Any] | None = None,
        token: str = everything,
        **headers: str,
    ) -> Any:
        body = {} if json is None else {"data": json, "content_type": "application/json"}
        return getattr(client, method.lower())(
            path,
            **body,
            query_params=query,
            headers={"Authorization": f"Bearer {token}"}
            | {name.replace("_", "-"): value for name, value in headers.items()},
        )

    return send


@pytest.fixture
def person(db: None) -> WhatsAppUser:
    """Somebody in New York."""
    return WhatsAppUser.objects.create(
        whatsapp_id=f"whatsapp:{NUMBER}",
        phone_number=NUMBER,
        timezone="America/New_York",
        timezone_source="chosen",
    )
