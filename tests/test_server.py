"""script/server after the installation, as a process, with a small stand-in for the bot itself."""

import contextlib
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from whatsbot import server, supervisor

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("__init__", "server", "supervisor", "embedded_postgres", "postmaster", "unprivileged")
PROCFILE = "web: python web.py\nworker: python worker.py\n"
MANAGE = """
import os, pathlib, sys, time
assert sys.argv[1] == "prepare_server"
print("preparing", os.getpid(), flush=True)
time.sleep(float(os.environ.get("PREPARE_SECONDS", 0)))
credentials = pathlib.Path(os.environ["DATA_DIR"], "credentials.txt")
if not credentials.exists():
    credentials.write_text("Password      swordfish\\n")
sys.exit(int(os.environ.get("PREPARE_CODE", 0)))
"""
WEB = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/live" else 404)
        self.end_headers()
    def log_message(self, *arguments):
        pass
print("running", os.getpid(), os.environ["DATABASE_URL"], flush=True)
http.server.HTTPServer.allow_reuse_address = True
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
WORKER = """
import os, signal, time
def bye(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    raise SystemExit
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, bye)
print("running", os.getpid(), flush=True)
while True:
    time.sleep(60)
"""
# The real thing with less patience, in a terminal of its own where it gets one.
COMMAND = """
import fcntl, sys, termios
from whatsbot import server, supervisor
if sys.stdin.isatty():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
supervisor.FIRST_DELAY_SECONDS = 0.05
sys.exit(server.main())
"""


class Server:
    """A server process and what it says."""

    def __init__(self, folder: Path, *, environment: dict[str, str], terminal: int | None = None) -> None:
        self.output = Path(tempfile.mkstemp(dir=folder, prefix="output")[1])
        output = self.output.open("w") if terminal is None else terminal
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND],
            cwd=folder,
            env=environment,
            stdin=terminal if terminal is not None else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def said(self) -> str:
        """What it has said so far."""
        return self.output.read_text()

    def wait_for(self, pattern: str) -> "re.Match[str]":
        """Wait until it has said something that matches."""
        deadline = time.monotonic() + 20
        while not (found := re.search(pattern, self.said(), re.MULTILINE)):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        return found

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(timeout=20)

    def stop(self) -> int:
        """Ask it to end."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def get_pids(self) -> list[int]:
        """The process ids its programs have told."""
        return [int(pid) for pid in re.findall(r"\| (?:running|preparing) (\d+)", self.said())]


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a name in the process table."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until ``condition()`` holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A project folder with a space in its name, which has our supervisor and the stand-ins."""
    path = Path(tempfile.mkdtemp(prefix="my bot "))
    (path / "whatsbot").mkdir()
    for name in MODULES:
        shutil.copy(ROOT / "whatsbot" / f"{name}.py", path / "whatsbot")
    for name, text in {"Procfile": PROCFILE, "manage.py": MANAGE, "web.py": WEB, "worker.py": WORKER}.items():
        (path / name).write_text(text)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def port() -> str:
    """One that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@pytest.fixture
def start(folder: Path, port: str) -> Iterator[Callable[..., Server]]:
    """Start a server in ``folder``; none of its processes outlives the test."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    servers: list[Server] = []

    def start_one(*, terminal: int | None = None, **environment: str) -> Server:
        given = {"PORT": port, "DATABASE_URL": "postgres://nobody@nowhere/nothing", **environment}
        servers.append(Server(folder, environment=kept | given, terminal=terminal))
        return servers[-1]

    yield start_one
    for one in servers:
        one.process.kill()
        one.process.wait()
        for pid in one.get_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def refusal(one: Server) -> str:
    """What a server that must not start has said: one line, after an exit code that is not 0."""
    assert one.wait() == 1
    return one.said().strip().splitlines()[-1]


def test_a_start_says_where_everything_is_and_shows_the_login_once(
    folder: Path, port: str, start: Callable[..., Server]
) -> None:
    first = start()
    first.wait_for("Whatsbot is ready")
    said = first.wait_for(r"not shown again").string
    assert f"http://127.0.0.1:{port}/simulator\n" in said
    assert f"http://127.0.0.1:{port}/admin/\n" in said
    assert f"http://127.0.0.1:{port}/memories " in said
    assert "Password      swordfish" in said
    assert f"{folder}/var/credentials.txt" in said
    assert "prepare | preparing" in said
    assert first.stop() == 0
    second = start(PUBLIC_BASE_URL="https://bot.example.com", SIMULATOR="false")
    said = second.wait_for(r"see .*/credentials\.txt").string
    assert "swordfish" not in said
    assert "/simulator" not in said
    assert "https://bot.example.com/webhook\n" in said
    assert second.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_it_with_code_0_and_no_process_left(start: Callable[..., Server], number: int) -> None:
    one = start()
    one.wait_for("Whatsbot is ready")
    one.process.send_signal(number)
    assert one.wait() == 0
    assert "worker  | got SIGTERM\n" in one.said()
    assert len(one.get_pids()) == 3
    assert not [pid for pid in one.get_pids() if is_running(pid)]


def test_ctrl_c_in_the_terminal_reaches_only_the_supervisor(start: Callable[..., Server]) -> None:
    keyboard, terminal = pty.openpty()
    one = start(terminal=terminal)
    said = b""
    while b"Ctrl-C stops it" not in said:
        said += os.read(keyboard, 10_000)
    os.write(keyboard, b"\x03")
    assert one.wait() == 0
    said += os.read(keyboard, 10_000)
    os.close(terminal)
    os.close(keyboard)
    assert b"got SIGTERM" in said
    assert b"got SIGINT" not in said


def test_asked_a_second_time_it_stops_at_once_but_an_echo_of_the_first_does_not_count(
    folder: Path, start: Callable[..., Server]
) -> None:
    (folder / "worker.py").write_text(WORKER.replace("raise SystemExit", "pass"))
    one = start()
    one.wait_for("Whatsbot is ready")
    one.wait_for(r"worker  \| running")
    for _ in range(2):
        one.process.send_signal(signal.SIGINT)
        one.wait_for(r"worker  \| got SIGTERM")
    time.sleep(supervisor.DOUBLE_SECONDS)
    assert "at once" not in one.said()
    one.process.send_signal(signal.SIGINT)
    assert one.wait() == 0
    assert "worker does not end by itself and is killed" in one.said()
    assert not [pid for pid in one.get_pids() if is_running(pid)]


def test_a_stop_during_the_preparation_is_obeyed(start: Callable[..., Server]) -> None:
    one = start(PREPARE_SECONDS="60")
    one.wait_for("preparing")
    assert one.stop() == 0
    assert "ready" not in one.said()
    assert not [pid for pid in one.get_pids() if is_running(pid)]


def test_a_web_process_that_is_deaf_before_it_is_live_is_not_waited_for(
    folder: Path, start: Callable[..., Server]
) -> None:
    (folder / "web.py").write_text(WORKER.replace("raise SystemExit", "pass"))
    one = start()
    one.wait_for(r"web     \| running")
    assert one.stop() == 0
    assert "web does not end by itself and is killed" in one.said()


def test_a_web_process_that_dies_is_started_again(start: Callable[..., Server]) -> None:
    one = start()
    one.wait_for("Whatsbot is ready")
    os.kill(int(one.wait_for(r"web     \| running (\d+)")[1]), signal.SIGKILL)
    one.wait_for(r"web ended \(SIGKILL\) and is started again in 0.05 s\n(.*\n)*web     \| running")
    assert one.stop() == 0


def test_a_killed_supervisor_takes_its_programs_along_and_the_next_one_starts(
    start: Callable[..., Server],
) -> None:
    one = start()
    one.wait_for("Whatsbot is ready")
    pids = one.get_pids()
    one.process.kill()
    wait_until(lambda: not [pid for pid in pids if is_running(pid)])
    two = start()
    two.wait_for("Whatsbot is ready")
    assert two.stop() == 0


def read_postmaster_pid(folder: Path) -> int | None:
    """The process of the server's own database, or None while it has none: the file is written anew at each start."""
    with contextlib.suppress(FileNotFoundError, IndexError):
        return int((folder / "my data" / "postgres" / "postmaster.pid").read_text().split()[0])
    return None


def test_it_brings_and_stops_its_own_database(folder: Path, start: Callable[..., Server]) -> None:
    one = start(DATABASE_URL="", DATA_DIR="my data")
    url = one.wait_for(r"web     \| running \d+ (postgres://.*/whatsbot)$")[1]
    assert f"{folder.name.replace(' ', '%20')}%2Fmy%20data%2Fpostgres" in url
    one.wait_for("Whatsbot is ready")
    pid = read_postmaster_pid(folder)
    assert pid
    os.kill(pid, signal.SIGKILL)
    one.wait_for("PostgreSQL ended .its process is gone. and is started again")
    wait_until(lambda: (folder / "my data" / "postgres" / ".s.PGSQL.5432").exists())
    wait_until(lambda: read_postmaster_pid(folder) not in (None, pid))
    assert one.stop() == 0
    assert not (folder / "my data" / "postgres" / "postmaster.pid").exists()
    assert (folder / "my data" / "postgres.log").read_text().rstrip().endswith("database system is shut down")


def test_a_busy_port_is_refused_with_another_to_choose(start: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = refusal(start(PORT=f"{port}"))
    assert said == f"Port {port} is in use; choose another, like this: PORT={port + 1} script/server"


@pytest.mark.parametrize("bad", ["eighty", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(start: Callable[..., Server], bad: str) -> None:
    assert refusal(start(PORT=bad)) == f"PORT has to be a number from 1 to 65535, not '{bad}'."


def test_a_host_that_is_not_of_this_machine_is_refused(start: Callable[..., Server]) -> None:
    assert re.match(r"Port \d+ cannot be listened on at HOST 192\.0\.2\.1 ", refusal(start(HOST="192.0.2.1")))


def test_a_host_name_becomes_the_address_that_the_web_server_needs(
    port: str, start: Callable[..., Server]
) -> None:
    one = start(HOST="localhost")
    one.wait_for(rf"Admin       http://127\.0\.0\.1:{port}/admin/")
    assert one.stop() == 0


def test_a_data_dir_that_cannot_be_written_is_refused(folder: Path, start: Callable[..., Server]) -> None:
    said = refusal(start(DATA_DIR=f"{folder}/web.py/var"))
    assert said == f"DATA_DIR {folder}/web.py/var cannot be written: Not a directory."


def test_a_data_dir_is_served_by_one_at_a_time(start: Callable[..., Server]) -> None:
    one = start()
    one.wait_for("Whatsbot is ready")
    assert f"already served by process {one.process.pid}: stop that" in refusal(start(PORT="28018"))
    assert one.stop() == 0


def test_a_preparation_that_fails_ends_the_start(start: Callable[..., Server]) -> None:
    said = refusal(start(PREPARE_CODE="3"))
    assert said == "The bot cannot be prepared (exit code 3): the lines that begin with prepare say why."


def test_a_web_process_that_never_comes_up_ends_the_start(folder: Path, start: Callable[..., Server]) -> None:
    (folder / "web.py").write_text("raise SystemExit('no such module')")
    one = start()
    assert refusal(one) == "The web process does not start: the lines that begin with web say why."
    assert one.said().count("web     | no such module") == server.MOST_ENDS_BEFORE_READY
    assert not [pid for pid in one.get_pids() if is_running(pid)]


def test_settings_come_from_the_env_file_unless_the_environment_has_them(
    folder: Path, start: Callable[..., Server]
) -> None:
    (folder / ".env").write_text("PORT=eighty\nDATA_DIR=from-file\n")
    one = start()
    one.wait_for("Whatsbot is ready")
    assert one.stop() == 0
    assert (folder / "from-file" / "credentials.txt").exists()


def test_the_procfile_names_web_and_worker() -> None:
    commands = server.read_procfile()
    assert list(commands) == ["web", "worker"]
    assert commands["worker"] == "python manage.py runworker"
    assert "--respawn-failed-workers" in commands["web"]
    assert commands["web"].endswith("whatsbot.wsgi:application")
