"""What Django logs of requests names nobody and quotes nothing."""

import logging
from typing import Any

import pytest
from django.test import Client

from api import people
from tests.api.conftest import NUMBER, Ask

pytestmark = pytest.mark.django_db


def read(caplog: pytest.LogCaptureFixture) -> str:
    """The log as it is printed."""
    formatter = logging.Formatter("%(name)s: %(message)s")
    return "\n".join(formatter.format(record) for record in caplog.records)


def test_a_number_in_an_address_is_not_logged(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    assert ask("GET", f"/users/{NUMBER}").status_code == 404
    assert "Not Found: /users/<str:number>" in read(caplog)
    assert "555" not in read(caplog)


@pytest.mark.parametrize(
    "path", [f"/people/{NUMBER}", f"/{NUMBER}", "/export/secret.token", "/12025550123/x"]
)
def test_nor_is_what_stands_in_an_address_nothing_answers(
    client: Client, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    assert client.get(path).status_code == 404
    assert "Not Found: /" in read(caplog)
    assert not any(word in read(caplog) for word in ("555", "secret"))


def test_a_failure_is_logged_with_its_place_and_without_its_text(
    ask: Ask, client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"Failing row contains ({NUMBER}, zanzibar)"

    def fail(*args: Any) -> Any:
        raise ValueError(text)

    monkeypatch.setattr(people, "read_person", fail)
    client.raise_request_exception = False
    assert ask("GET", f"/users/{NUMBER}").status_code == 500
    said = read(caplog)
    assert "Internal Server Error: /users/<str:number>" in said
    assert "builtins.ValueError" in said
    assert "in fail" in said
    assert not any(word in said for word in ("555", "zanzibar"))
