"""Operators see how the bot is set, and no secret."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from backoffice import settings_page
from backoffice.settings_page import SECRET, hide_credentials, read_listed, write_value
from tests.backoffice.conftest import Staff

pytestmark = pytest.mark.django_db
PAGE = "/admin/settings/"


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that were made; their own tests make them."""
    checks = {"database": {"ok": True, "ms": 1.2}, "worker": {"ok": False, "ms": 3.0}}
    monkeypatch.setattr(settings_page, "run_checks", lambda: checks)


@pytest.mark.usefixtures("healthy")
def test_no_secret_stands_on_the_page_not_even_a_part(operator: Staff, settings: Any) -> None:
    secrets = {
        **{"MEM0_API_KEY": "m0-qmemkeyq", "GEMINI_API_KEY": "AIzaqgemq"},
        **{"AWS_ACCESS_KEY_ID": "AKIAqawsq", "AWS_SECRET_ACCESS_KEY": "qawssecretq"},
    }
    for name, value in secrets.items():
        setattr(settings, name, value)
    settings.TWILIO_AUTH_TOKENS = ["qtokenone", "qtokentwo"]
    settings.AWS_S3_ENDPOINT_URL = "https://quser:qpass@store.example.com/path?token=qquery"
    page = operator.read(PAGE)
    password = django_settings.DATABASES["default"].get("PASSWORD") or "no password"
    for secret in (
        settings.SECRET_KEY,
        *secrets.values(),
        *settings.TWILIO_AUTH_TOKENS,
        "quser",
        "qpass",
        "qquery",
        password,
    ):
        assert secret not in page
    assert not any(part in page for part in ("qsec", "m0-q", "AIza", "AKIA", "qaws", "qtok", "only</"))
    for name, value in settings.GENERATED.items():
        assert name.endswith("ACCOUNT_SID") or value not in page, name
    assert "https://store.example.com/path" in page
    assert page.count("> set <") + page.count(">set <") == len(SECRET)


@pytest.mark.usefixtures("healthy")
def test_every_setting_is_there_with_its_value_and_where_it_is_from(
    operator: Staff, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "settings.env"
    file.write_text("BURST_SECONDS=4.5\nGEMINI_API_KEY='qkeyq'\n")
    for name, value in {"ENV_FILE": str(file), "BURST_SECONDS": "4.5", "WORKER_CONCURRENCY": "7"}.items():
        monkeypatch.setenv(name, value)
    settings.BURST_SECONDS, settings.WORKER_CONCURRENCY = 4.5, 7
    page = operator.read(PAGE)
    assert "<title> Settings | Whatsbot</title>" in page or "<title>Settings | Whatsbot</title>" in page
    listed = [setting.name for setting in read_listed(settings.BASE_DIR / ".env.example")]
    read_by_us = re.findall(
        r'env\.\w+\(\s*"([A-Z0-9_]+)"', (settings.BASE_DIR / "whatsbot/settings.py").read_text()
    )
    assert {*listed} == {*read_by_us} - {"ENV_FILE"}
    for name in listed:
        assert f"<dt>{name}</dt>" in page
        assert write_value(name)

    def find(name: str) -> str:
        return re.sub(r"\s*<[^>]+>\s*", " ", page.partition(f"<dt>{name}</dt>")[2][:200])

    assert find("BURST_SECONDS").startswith(" 4.5 file ")
    assert find("WORKER_CONCURRENCY").startswith(" 7 environment ")
    assert find("MEMORY_EMBEDDER").startswith(" local default ")
    assert find("DATABASE_URL").startswith(" a PostgreSQL of its own")
    assert "Messages of one person that come within" in page
    assert "qkeyq" not in page
    assert "PostgreSQL answers" in page


@pytest.mark.usefixtures("healthy")
def test_only_operators_see_it(support: Staff, privacy: Staff, root: Staff, client: Any) -> None:
    assert [staff.get(PAGE).status_code for staff in (support, privacy, root)] == [403, 403, 200]
    assert client.get(PAGE).status_code == 302
    assert root.post(PAGE).status_code == 405


def test_addresses_lose_what_lets_one_in() -> None:
    assert hide_credentials("https://a:b@host:8/p?q=1#f") == "https://host:8/p"
    assert hide_credentials("whatsapp:+12025550199") == "whatsapp:+12025550199"


def test_a_database_of_somebody_elses_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = {"NAME": "bot", "HOST": "db.example.com", "PORT": "", "USER": "quser", "PASSWORD": "qpass"}
    monkeypatch.setitem(django_settings.DATABASES, "default", elsewhere)
    assert write_value("DATABASE_URL") == "bot at db.example.com:5432"
