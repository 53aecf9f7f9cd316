"""Errors have one shape, a status that means what it says, and no text of an exception."""

import json
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from accounts.models import WhatsAppUser
from api import analytics, memories
from tests.api.conftest import NUMBER, Ask

pytestmark = pytest.mark.django_db
BODY = {"whatsapp_number": NUMBER, "memory_text": "The gate code is 4711"}


def check(response: Any, status: int) -> dict[str, Any]:
    """That a response is a problem."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"]
    assert set(problem) <= {"type", "title", "status", "detail", "errors"}
    return dict(problem)


def post(ask: Ask, client: Client, body: bytes | str, content_type: str = "application/json") -> Any:
    token = ask("GET", "/health/ready").wsgi_request.headers["Authorization"]
    return client.post("/memories", body, content_type=content_type, headers={"Authorization": token})


@pytest.mark.parametrize(
    "body",
    ["", "{", "nonsense", b"\xff\xfe", "[" * 100_000, "NaN", '{"memory_text": Infinity}', "1" * 5000],
    ids=lambda body: repr(body[:10]),
)
def test_what_is_no_json_is_malformed(ask: Ask, client: Client, body: Any) -> None:
    problem = check(post(ask, client, body), 422 if body == "" else 400)
    assert "Expecting" not in json.dumps(problem)


def test_a_body_too_large_is_refused_before_it_is_read(ask: Ask, client: Client, settings: Any) -> None:
    check(post(ask, client, "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)), 413)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"]
)
def test_only_json_is_read(ask: Ask, client: Client, content_type: str) -> None:
    check(post(ask, client, json.dumps(BODY), content_type), 415)


def test_a_method_that_is_not_there_says_which_are(ask: Ask) -> None:
    response = ask("PUT", "/memories", json=BODY)
    check(response, 405)
    assert response.headers["Allow"] == "GET, POST, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/memory", "/memories/x", "/memories/1/x", "/users", "/memories/"])
def test_an_address_nothing_answers_is_a_problem_for_a_program_and_a_page_for_a_browser(
    ask: Ask, client: Client, path: str
) -> None:
    check(ask("GET", path), 404)
    assert client.get(path, headers={"Accept": "text/html"}).headers["Content-Type"].startswith("text/html")


def test_whoever_accepts_nothing_we_have_gets_json(ask: Ask, person: WhatsAppUser) -> None:
    check(ask("GET", "/memories", Accept="image/png"), 400)
    response = ask("GET", "/memories", query={"whatsapp_number": NUMBER}, Accept="image/png")
    assert response.headers["Content-Type"] == "application/json"


def test_an_error_nobody_expected_tells_nothing(
    ask: Ask, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**kwargs: Any) -> Any:
        raise KeyError("a secret")

    monkeypatch.setattr(analytics, "summarize", fail)
    client.raise_request_exception = False
    problem = check(ask("GET", "/analytics/summary"), 500)
    assert problem["detail"] == "Something went wrong here."


def test_a_database_that_is_away_is_said_so(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly: secret")

    monkeypatch.setattr(memories, "find_person", fail)
    monkeypatch.setattr("api.errors.discard_broken_connections", lambda: None)
    response = ask("GET", "/memories", query={"whatsapp_number": NUMBER})
    problem = check(response, 503)
    assert "secret" not in json.dumps(problem)
    assert int(response.headers["Retry-After"]) > 0


def test_every_wrong_field_is_named_at_once(ask: Ask) -> None:
    response = ask("POST", "/memories", json={"memory_text": "", "memory_type": "dream", "limit": 3})
    assert [*check(response, 422)["errors"]] == ["limit"]
    response = ask("POST", "/memories", json={"memory_text": "", "memory_type": "dream"})
    assert sorted(check(response, 422)["errors"]) == ["memory_text", "memory_type", "whatsapp_number"]


def test_answers_are_kept_by_nobody_in_between(ask: Ask) -> None:
    assert ask("GET", "/analytics/summary").headers["Cache-Control"] == "private, no-store"
