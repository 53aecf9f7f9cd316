"""The real web server and the real worker as processes of their own, on a database of their own."""

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import requests
from django.conf import settings

from whatsbot import embedded_postgres

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sys.executable).parent


def get_free_port() -> int:
    """A TCP port nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def twilio_environment(base_url: str) -> dict[str, str]:
    """The settings of a bot that has the credentials of the recorded payloads, and Twilio at ``base_url``."""
    from tests.settings import ACCOUNT_SID, AUTH_TOKEN, SENDER  # importing it starts the tests' PostgreSQL

    return {
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_WHATSAPP_NUMBER": SENDER,
        "TWILIO_API_BASE_URL": base_url,
        "SIMULATOR": "false",
        # Each message gets an answer of its own, at once, so that answers can be counted.
        "BURST_SECONDS": "0",
        "MESSAGES_PER_MINUTE": "0",
    }


class Stack:
    """A bot of its own: database, web process, worker. Everything it says goes to files under ``data_dir``."""

    def __init__(
        self, *, data_dir: Path, environment: dict[str, str], postgres_dir: Path | None = None
    ) -> None:
        self.data_dir = data_dir
        self.postgres_dir = postgres_dir or settings.DATA_DIR
        self.port = get_free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.database = f"stack_{secrets.token_hex(6)}"
        self.database_url = self._get_database_url(self.database)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TWILIO_", "SIMULATOR", "PUBLIC_BASE_URL", "DJANGO_"))
        } | {
            "DATABASE_URL": self.database_url,
            "DATA_DIR": str(data_dir),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "PUBLIC_BASE_URL": self.base_url,
            "DJANGO_SETTINGS_MODULE": "whatsbot.settings",
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def prepare(self) -> None:
        """Make the database and bring it up to date, by copying one that was made before in this process."""
        if self.postgres_dir == settings.DATA_DIR:
            template, folder = _get_template(self)
            self._admin_sql(f'CREATE DATABASE "{self.database}" TEMPLATE "{template}"')
            shutil.copytree(folder, self.data_dir, dirs_exist_ok=True)
            return
        self._admin_sql(f'CREATE DATABASE "{self.database}"')
        self.bring_up_to_date()

    def bring_up_to_date(self) -> None:
        """What script/server does before web and worker start."""
        command = [sys.executable, "manage.py", "prepare_server"]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, name: str) -> None:
        """Start ``web`` or ``worker`` as the Procfile says."""
        line = next(
            line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith(f"{name}:")
        )
        command = line.split(":", 1)[1].strip()
        log = (self.data_dir / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            cwd=ROOT,
            env=self.environment | {"PATH": f"{SCRIPTS}:{os.environ['PATH']}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def wait_until_ready(self) -> None:
        """Wait until the web process answers."""
        wait_for(lambda: self._is_live(), seconds=30, what="the web process to answer")

    def wait_for_worker(self) -> None:
        """Wait until a worker has been heard of: it loads its models first."""
        heard = "SELECT 1 FROM procrastinate_workers"
        wait_for(lambda: self.sql(heard), seconds=60, what="a worker to be heard of")

    def _is_live(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.base_url}/health/live", timeout=1).status_code == 200
        return False

    def kill(self, name: str) -> None:
        """SIGKILL a process and all it started."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Stop everything and drop the database."""
        for process in self.processes.values():
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()
        self._admin_sql(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of a query on the stack's database."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(query, parameters).fetchall()

    def read_log(self, name: str) -> str:
        """What a process said."""
        return (self.data_dir / f"{name}.log").read_text()

    @property
    def credentials(self) -> dict[str, str]:
        """The login and token made at the first start, by their names in the file."""
        lines = (self.data_dir / "credentials.txt").read_text().splitlines()
        return {line.rsplit(None, 1)[0].strip(): line.rsplit(None, 1)[1] for line in lines}

    def _get_database_url(self, name: str) -> str:
        url = urllib.parse.urlsplit(embedded_postgres.database_url(self.postgres_dir))
        return url._replace(path=f"/{name}").geturl()

    def _admin_sql(self, statement: str) -> None:
        with psycopg.connect(self._get_database_url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


_templates: dict[str, tuple[str, Path]] = {}  # of this process, without and with the simulator


def _get_template(like: Stack) -> tuple[str, Path]:
    """A prepared database that nobody uses, and the folder that belongs to it; they go with the process."""
    kind = like.environment.get("SIMULATOR", "")
    if kind not in _templates:
        folder = Path(tempfile.mkdtemp(prefix="whatsbot-template-"))
        stack = Stack(data_dir=folder, environment={}, postgres_dir=like.postgres_dir)
        stack.environment = like.environment | {
            "DATABASE_URL": stack.database_url,
            "DATA_DIR": str(folder),
        }
        stack._admin_sql(f'CREATE DATABASE "{stack.database}"')
        atexit.register(stack.stop)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        stack.bring_up_to_date()
        _templates[kind] = (stack.database, folder)
    return _templates[kind]


@contextlib.contextmanager
def running_stack(
    *, data_dir: Path, environment: dict[str, str], postgres_dir: Path | None = None
) -> Iterator[Stack]:
    """A prepared stack with web and worker running; stopped and dropped at the end."""
    stack = Stack(data_dir=data_dir, environment=environment, postgres_dir=postgres_dir)
    stack.prepare()
    try:
        stack.start("web")
        stack.start("worker")
        stack.wait_until_ready()
        yield stack
    finally:
        stack.stop()


@dataclass(frozen=True)
class RunningServer:
    """A whole bot with its simulator: where it is and how to sign in."""

    base_url: str
    staff_username: str
    staff_password: str
    api_token: str
    stack: Stack


def wait_for(condition: Callable[[], Any], *, seconds: float, what: str) -> None:
    """Wait until the condition holds, looking twenty times a second."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)
