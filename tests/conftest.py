"""Fixtures for every test, and the guard that keeps tests on this machine."""

import ipaddress
import json
import secrets
import signal
import socket
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management.commands import flush
from django.db import connection
from django.db.models import Q
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from tests.doubles.twilio import TwilioDouble, running_twilio_double
from tests.processes import RunningServer, running_stack
from tests.settings import ACCOUNT_SID, AUTH_TOKEN, SENDER
from whatsbot import database
from whatsbot.integrations import mem0, twilio

PAYLOADS: list[dict[str, str]] = json.loads(
    (Path(__file__).parent / "data" / "twilio-payloads.json").read_text()
)


def pytest_configure() -> None:
    """Workers of pytest-xdist ignore SIGINT, and what they start would too: tests of Ctrl-C would wait in vain."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# Files that take longest, first: whoever gets one last would leave the other worker waiting.
SLOW = (
    *(
        "test_benchmarks.py",
        "test_chat.py",
        "test_database_restart.py",
        "test_killed_worker.py",
        "test_fuzz.py",
    ),
    *("test_both_sides.py", "test_same_file.py", "test_backoffice.py", "test_simulator.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of `SLOW`."""
    items.sort(key=lambda item: SLOW.index(item.path.name) if item.path.name in SLOW else len(SLOW))


class StrangeAddress(BaseException):
    """A test reached for an address outside this machine. Not an Exception, so that no code under test swallows it."""


def _is_loopback(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    if address[0] == "localhost":
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail any test that connects to, or looks up, another machine."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, address: Any) -> Any:
            if not _is_loopback(address):
                raise StrangeAddress(f"connection to {address!r}")
            return original(self, address)

        return call

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None and not _is_loopback((host if isinstance(host, str) else host.decode(), 0)):
            raise StrangeAddress(f"look-up of {host!r}")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded(connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture(scope="session", autouse=True)
def _mem0_lets_go_of_the_database(django_db_setup: None) -> Iterator[None]:
    yield
    mem0.close()


# Made by migrations for all tests; no test leaves another row in them.
KEPT = frozenset({"django_content_type", "auth_permission", "auth_group", "auth_group_permissions"})


def _flush_what_has_rows(style: Any, connection: Any, *options: Any, **more: Any) -> list[str]:
    """What empties the tables a test has written to. Django empties all, which makes each index anew: 0.2 s a test."""
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
    filled = " UNION ALL ".join(f"(SELECT '{table}' FROM \"{table}\" LIMIT 1)" for table in sorted(tables))
    with connection.cursor() as cursor:
        cursor.execute(filled)
        rows = ", ".join(f'"{table}"' for (table,) in cursor.fetchall())
    return [f"TRUNCATE {rows} RESTART IDENTITY CASCADE"] if rows else []


@pytest.fixture(scope="session", autouse=True)
def _quick_flush() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", _flush_what_has_rows)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *args, **more: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_of_other_files(django_db_setup: None, django_db_blocker: Any) -> None:
    """Files of tests run in any order. No flush of Django's empties these tables, and Mem0 commits by itself."""
    if not connection.settings_dict["NAME"].startswith("test_"):
        return  # no test of this run has a database
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE procrastinate_jobs, mem0_local, mem0_gemini CASCADE")
        connection.close()


@pytest.fixture(autouse=True)
def no_transaction_waits_for_a_network(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the transaction pytest-django wraps around a test, check what `release_connection` checks."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or marker.kwargs.get("transaction"):
        return
    request.getfixturevalue("db")
    depth = len(connection.atomic_blocks)

    def check() -> None:
        assert len(connection.atomic_blocks) == depth, "a transaction is open across a call to a provider"

    monkeypatch.setattr(database, "release_connection", check)


@pytest.fixture
def twilio_double(settings: Any) -> Iterator[TwilioDouble]:
    """A Twilio that answers over loopback; the bot under test is pointed at it."""
    with running_twilio_double(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN) as double:
        settings.TWILIO_API_BASE_URL = double.base_url
        settings.TWILIO_MEDIA_HOSTS = [double.content.authority]
        yield double


def make_payload(body: str = "My sister's birthday is on 14 March", **fields: str) -> dict[str, str]:
    """A text message as Twilio posts it, with a SID of its own."""
    sid = "SM" + secrets.token_hex(16)
    return PAYLOADS[0] | {"MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "Body": body} | fields


@pytest.fixture
def deliver(client: Client) -> Callable[..., HttpResponse]:
    """Post a payload to a webhook as Twilio does, signed."""

    def post(
        payload: dict[str, str] | list[tuple[str, str]], *, path: str = "/webhook", **headers: str
    ) -> Any:
        pairs = list(payload.items()) if isinstance(payload, dict) else payload
        params = {name: value for name, value in pairs}
        signature = twilio.sign(url=f"https://bot.example.com{path}", params=params, token=AUTH_TOKEN)
        return client.post(
            path,
            data=urllib.parse.urlencode(pairs),
            content_type="application/x-www-form-urlencoded",
            headers={"X-Twilio-Signature": signature} | headers,
        )

    return post


@pytest.fixture
def run_jobs() -> Callable[[], int]:
    """Do every job, here and now, in order; returns how many. Retries come due at once, only hours do not pass."""

    def run() -> int:
        done = 0
        soon = Q(scheduled_at=None) | Q(scheduled_at__lt=timezone.now() + timedelta(hours=1))
        while job := ProcrastinateJob.objects.filter(soon, status="todo").order_by("-priority", "id").first():
            with connection.cursor() as cursor:
                cursor.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [job.id])
            task = app.tasks[job.task_name]
            arguments = [_Context(job)] if task.pass_context else []
            status = "succeeded"
            try:
                task.func(*arguments, **job.args)
            except Exception as error:
                decision = task.get_retry_exception(exception=error, job=job)
                status = "todo" if decision else "failed"
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE procrastinate_jobs SET status = %s, attempts = attempts + 1 WHERE id = %s",
                    [status, job.id],
                )
            done += 1
            assert done < 1000, "the jobs never end"
        return done

    return run


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Web, worker and simulator as `script/server` runs them, on a database of their own."""
    environment = {"SIMULATOR": "true", "SEND_GRACE_SECONDS": "3", "BURST_SECONDS": "0.5"}
    with running_stack(data_dir=tmp_path_factory.mktemp("server"), environment=environment) as stack:
        stack.wait_for_worker()
        yield RunningServer(
            base_url=stack.base_url,
            staff_username=stack.credentials["Staff login"],
            staff_password=stack.credentials["Password"],
            api_token=stack.credentials["API token"],
            stack=stack,
        )


class _Context:
    """The part of procrastinate's JobContext our jobs use."""

    def __init__(self, job: ProcrastinateJob) -> None:
        self.job = job


__all__ = ["PAYLOADS", "SENDER", "make_payload"]
