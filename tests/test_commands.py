"""Commands of operators, health, and what a system check says of settings that contradict each other."""

import json
import stat
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import ApiToken, StaffUser
from whatsbot.checks import check_conversation, check_embedder, check_twilio
from whatsbot.secrets import load_or_create_secrets

pytestmark = pytest.mark.django_db


def test_the_first_start_makes_one_login_and_one_token_and_later_ones_make_none(
    settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR, settings.STATIC_ROOT = tmp_path, tmp_path / "static"
    said = StringIO()
    call_command("prepare_server", stdout=said)
    credentials = tmp_path / "credentials.txt"
    first = credentials.read_text()
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    password = first.splitlines()[1].split()[-1]
    token = first.splitlines()[2].split()[-1]
    assert Client().post("/admin/login/", {"username": "admin", "password": password}).status_code == 302
    assert password not in said.getvalue()
    assert token not in said.getvalue()
    call_command("prepare_server", stdout=StringIO())
    assert credentials.read_text() == first
    assert (StaffUser.objects.count(), ApiToken.objects.count()) == (1, 1)
    assert token not in json.dumps(list(ApiToken.objects.values()), default=str)
    headers = {"Authorization": f"Bearer {token}"}
    assert Client().get("/memories?whatsapp_number=%2B12025550123", headers=headers).status_code == 404


def test_a_new_token_is_printed_alone_and_opens_the_api() -> None:
    StaffUser.objects.create_superuser("admin", password="correct horse")
    said = StringIO()
    call_command("create_api_token", "importer", stdout=said)
    headers = {"Authorization": f"Bearer {said.getvalue().strip()}"}
    assert Client().get("/health/ready", headers=headers).status_code in (200, 503)
    assert ApiToken.objects.get().name == "importer"


def test_a_token_may_do_what_its_scopes_say_and_as_long_as_was_said() -> None:
    StaffUser.objects.create_superuser("admin", password="correct horse")
    call_command("create_api_token", "reader", stdout=StringIO())
    call_command("create_api_token", "both", "--scopes", "people, analytics", "--days=2", stdout=StringIO())
    reader, both = ApiToken.objects.order_by("created")
    assert (reader.scopes, reader.expiry) == (["memories:read"], None)
    assert both.scopes == ["people", "analytics"]
    assert timedelta() <= timedelta(days=2) - (both.expiry - both.created) < timedelta(seconds=5)


@pytest.mark.parametrize("options", [["--scopes", "everything"], ["--days", "0"], ["--days", "9999999"]])
def test_a_token_that_cannot_be_is_refused(options: list[str]) -> None:
    StaffUser.objects.create_superuser("admin", password="correct horse")
    with pytest.raises(CommandError, match=r"there are these scopes: memories:read|a number from 1"):
        call_command("create_api_token", "importer", *options)
    assert not ApiToken.objects.exists()


def test_a_token_for_nobody_is_refused() -> None:
    with pytest.raises(CommandError, match="no active staff login"):
        call_command("create_api_token", "importer")


@pytest.mark.parametrize("path", ["accounts/whatsappuser", "accounts/staffuser", "accounts/apitoken"])
def test_back_office_lists_open_for_staff(admin_client: Client, path: str) -> None:
    response = admin_client.get(f"/admin/{path}/")
    assert response.status_code == 200
    assert "unsafe-inline" not in response["Content-Security-Policy"].split("script-src")[1].split(";")[0]


@pytest.mark.parametrize(
    "path", ["messaging/rawmessage", "messaging/interaction", "messaging/outboundmessage", "memories/memory"]
)
def test_back_office_lists_of_messages_and_memories_open(admin_client: Client, path: str) -> None:
    assert admin_client.get(f"/admin/{path}/").status_code == 200
    assert admin_client.get(f"/admin/{path}/add/").status_code == 403


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    first = load_or_create_secrets(tmp_path / "new")
    assert load_or_create_secrets(tmp_path / "new") == first
    assert stat.S_IMODE((tmp_path / "new" / "secrets.json").stat().st_mode) == 0o600
    assert load_or_create_secrets(tmp_path / "other") != first
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secrets.json"]


def said_by_check(settings: Any, **values: Any) -> set[str]:
    for name, value in values.items():
        setattr(settings, name, value)
    return {str(message.id) for message in check_twilio()}


def test_the_simulator_is_refused_beside_real_credentials(settings: Any) -> None:
    assert said_by_check(settings, SIMULATOR=True) == {"whatsbot.E001"}
    generated = settings.GENERATED["SIMULATOR_ACCOUNT_SID"]
    assert said_by_check(settings, SIMULATOR=True, TWILIO_ACCOUNT_SID=generated) == set()


def test_real_twilio_needs_all_of_its_settings(settings: Any) -> None:
    settings.TWILIO_API_BASE_URL = ""
    assert said_by_check(settings, SIMULATOR=False) == set()
    assert said_by_check(settings, TWILIO_WHATSAPP_NUMBER="+12025550199") == {"whatsbot.E003"}
    assert said_by_check(settings, TWILIO_WHATSAPP_NUMBER="", TWILIO_AUTH_TOKENS=[]) == {"whatsbot.E002"}
    assert "whatsbot.W004" in said_by_check(settings, PUBLIC_BASE_URL="http://bot.example.com")


def test_an_embedder_needs_a_name_and_gemini_a_key(settings: Any) -> None:
    assert check_embedder() == []
    settings.MEMORY_EMBEDDER = "gemini"
    [error] = check_embedder()
    assert (error.id, "GEMINI_API_KEY" in error.msg) == ("whatsbot.E005", True)
    settings.GEMINI_API_KEY = "a key"
    assert check_embedder() == []
    settings.GEMINI_API_KEY, settings.MEM0_API_KEY = "", "m0-key"  # the platform embeds by itself
    assert check_embedder() == []
    settings.MEMORY_EMBEDDER = "word2vec"
    [error] = check_embedder()
    assert (error.id, "local, gemini" in error.msg) == ("whatsbot.E005", True)


def test_a_model_needs_a_name_and_a_burst_an_end(settings: Any) -> None:
    assert check_conversation() == []
    settings.GEMINI_API_KEY, settings.GEMINI_MODEL = "a key", ""
    assert [error.id for error in check_conversation()] == ["whatsbot.E006"]
    settings.GEMINI_MODEL, settings.BURST_SECONDS = "gemini-3.8-flash", -1
    assert [error.id for error in check_conversation()] == ["whatsbot.E007"]
    settings.BURST_SECONDS = 300
    assert [error.id for error in check_conversation()] == ["whatsbot.E007"]
    settings.BURST_SECONDS = 0
    assert check_conversation() == []
