"""`/health/ready`: each part is really asked, and told apart."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client

from tests.api.conftest import Ask
from whatsbot import health

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker() -> Any:
    """One that was heard of just now."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        yield
        cursor.execute("DELETE FROM procrastinate_workers")


def test_all_parts_are_asked_and_timed(ask: Ask, worker: None) -> None:
    response = ask("GET", "/health/ready")
    assert response.status_code == 200, response.json()
    checks = response.json()
    assert [*checks] == ["database", "worker", "storage", "mem0"]
    assert all(check["ok"] is True and check["ms"] > 0 for check in checks.values())


def test_nothing_is_left_in_the_store(ask: Ask, worker: None, tmp_path: Path) -> None:
    ask("GET", "/health/ready")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_without_a_worker_it_is_not_ready(ask: Ask) -> None:
    response = ask("GET", "/health/ready")
    assert response.status_code == 503
    assert [name for name, check in response.json().items() if not check["ok"]] == ["worker"]


def test_a_store_that_keeps_nothing_is_not_ready(ask: Ask, worker: None, settings: Any) -> None:
    settings.MEDIA_ROOT = "/proc/nowhere"
    default_storage.__dict__.pop("base_location", None)
    response = ask("GET", "/health/ready")
    assert [name for name, check in response.json().items() if not check["ok"]] == ["storage"]


def test_a_memory_store_without_its_table_is_not_ready(ask: Ask, worker: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE mem0_local RENAME TO mem0_away")
        try:
            response = ask("GET", "/health/ready")
        finally:
            cursor.execute("ALTER TABLE mem0_away RENAME TO mem0_local")
    assert response.status_code == 503
    assert [name for name, check in response.json().items() if not check["ok"]] == ["mem0"]


def test_a_part_that_never_answers_is_not_waited_for(
    ask: Ask, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang() -> bool:
        time.sleep(3)
        return True

    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setitem(health.CHECKS, "mem0", hang)
    started = time.monotonic()
    response = ask("GET", "/health/ready")
    assert time.monotonic() - started < 2
    assert response.status_code == 503
    assert response.json()["mem0"] == {"ok": False, "ms": 500.0}
    assert response.json()["database"]["ok"] is True


def test_it_is_for_those_with_a_key_and_live_is_for_everybody(
    client: Client, make_token: Callable[..., str], ask: Ask
) -> None:
    assert client.get("/health/ready").status_code == 401
    assert ask("GET", "/health/ready", token=make_token()).status_code in (200, 503)
    assert client.get("/health/live").content == b"ok"
