"""``python -m whatsbot.server``, which script/server ends in: the whole bot, until Ctrl-C or SIGTERM.

PostgreSQL (where no DATABASE_URL is set), then ``manage.py prepare_server``, then what Procfile names.
"""

import contextlib
import errno
import fcntl
import http.client
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import environ

from whatsbot import embedded_postgres
from whatsbot.embedded_postgres import EmbeddedPostgresError
from whatsbot.supervisor import Program, Supervisor

BASE_DIR = Path(__file__).resolve().parent.parent
STOP_SECONDS = {"web": 35.0, "worker": 25.0}  # granian itself gives requests 30 s
STOP_SECONDS_UNTIL_LIVE = 1.0  # no request is lost then, and granian is deaf while it loads the application
READY_SECONDS = 60
MOST_ENDS_BEFORE_READY = 3
PORT_SECONDS = STOP_SECONDS["web"]  # that the web process of a start that was killed may take to end


class ServerError(Exception):
    """The bot can not be started; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Config:
    """What the supervisor has to know of the settings; whatsbot/settings.py reads the same environment."""

    data_dir: Path
    host: str
    port: int
    public_base_url: str
    database_url: str
    simulator: bool

    @property
    def local_host(self) -> str:
        """An address at which this machine reaches the web process."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    @property
    def local_url(self) -> str:
        """The base URL for a browser on this machine."""
        return f"http://{f'[{self.local_host}]' if ':' in self.local_host else self.local_host}:{self.port}"


def main() -> int:
    """Serve until told to stop. Returns the exit code: 0 then, 1 with a sentence on stderr if it can not."""
    supervisor = Supervisor(say=say)
    supervisor.listen_to_signals()
    try:
        config = read_config()
        with only_one(config.data_dir) as was_killed:
            address = find_address(config, wait_seconds=PORT_SECONDS if was_killed else 0)
            serve(replace(config, host=address), supervisor=supervisor)
    except (ServerError, EmbeddedPostgresError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def read_config() -> Config:
    """Read the environment and ``.env``. Raises ServerError."""
    environ.Env.read_env(os.environ.get("ENV_FILE") or BASE_DIR / ".env")
    env = environ.Env()
    port = env.str("PORT", default="") or "8000"
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise ServerError(f"PORT has to be a number from 1 to 65535, not {port!r}.")
    return Config(
        data_dir=Path(env.str("DATA_DIR", default="") or BASE_DIR / "var").resolve(),
        host=env.str("HOST", default="") or "127.0.0.1",
        port=int(port),
        public_base_url=env.str("PUBLIC_BASE_URL", default=""),
        database_url=env.str("DATABASE_URL", default=""),
        simulator=env.bool("SIMULATOR", default=not env.str("TWILIO_ACCOUNT_SID", default="")),
    )


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[bool]:
    """Claim ``data_dir`` for this server, and yield whether the one before it had no time to clean up.

    Raises ServerError if the directory is in use or can not be written.
    """
    try:
        data_dir.mkdir(mode=0o700 if os.geteuid() else 0o711, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=data_dir).close()
        lock = os.open(data_dir / "server.pid", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ServerError(f"DATA_DIR {data_dir} cannot be written: {error.strerror}.") from error
    try:
        before = os.read(lock, 20).decode()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServerError(
                f"DATA_DIR {data_dir} is already served by process {before.strip()}: "
                "stop that, or choose another DATA_DIR and PORT."
            ) from error
        os.pwrite(lock, str(os.getpid()).encode().ljust(20), 0)
        try:
            yield bool(before.strip())
        finally:
            os.truncate(lock, 0)
    finally:
        os.close(lock)


def find_address(config: Config, *, wait_seconds: float) -> str:
    """Return the IP address of HOST, where granian wants one. Raises ServerError if PORT is not free there."""
    deadline = time.monotonic() + wait_seconds
    told = False
    while True:
        try:
            found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)
            # "localhost" may be ::1 first, but our own URLs say 127.0.0.1.
            family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(1)
            return str(address[0])
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                if not told:
                    say(
                        f"Waiting for port {config.port}, which the start before this one may not have left yet"
                    )
                told = True
                time.sleep(0.2)
                continue
            another = config.port + 1 if config.port < 65535 else 8000
            reason, advice = {
                errno.EADDRINUSE: ("is in use", f"PORT={another} script/server"),
                errno.EACCES: ("is reserved for root", "PORT=8000 script/server"),
            }.get(error.errno or 0, (f"cannot be listened on at HOST {config.host} ({error.strerror})", ""))
            raise ServerError(
                f"Port {config.port} {reason}" + (f"; choose another, like this: {advice}" if advice else ".")
            ) from error


def serve(config: Config, *, supervisor: Supervisor) -> None:
    """Start it all, say where it is, and keep it running. Raises ServerError and EmbeddedPostgresError."""
    say(f"Starting Whatsbot, with its data in {config.data_dir}")
    with contextlib.ExitStack() as stack:
        database_url = config.database_url
        if not database_url:
            database = Database(
                embedded_postgres.start(config.data_dir, report=say), data_dir=config.data_dir
            )
            stack.callback(database.handle.stop)
            supervisor.keep(database)
            database_url = embedded_postgres.database_url(config.data_dir)
        stack.callback(supervisor.stop)
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(config.data_dir),
            "HOST": config.host,
            "PORT": str(config.port),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
        }
        credentials = config.data_dir / "credentials.txt"
        before = get_version(credentials)
        if not run_to_end(supervisor, "prepare", "python manage.py prepare_server", environment=environment):
            return
        programs = {
            name: Program(name, command, BASE_DIR, environment, STOP_SECONDS[name])
            for name, command in read_procfile().items()
        }
        for program in programs.values():
            supervisor.keep(program)
        programs["web"].stop_seconds = STOP_SECONDS_UNTIL_LIVE
        if wait_until_live(config, supervisor=supervisor):
            programs["web"].stop_seconds = STOP_SECONDS["web"]
            is_new = get_version(credentials) != before
            say(describe(config, credentials=credentials, show_credentials=is_new))
        while not supervisor.stop_requests:
            supervisor.turn()


class Database:
    """The embedded PostgreSQL, as something to be kept running."""

    name = "PostgreSQL"

    def __init__(self, handle: embedded_postgres.Handle, *, data_dir: Path) -> None:
        self.handle = handle
        self.data_dir = data_dir

    def start(self) -> None:
        """Start it if it does not run."""
        self.handle.ensure_running()

    def get_end(self) -> str | None:
        """Return None while it runs."""
        return None if embedded_postgres.is_alive(self.data_dir) else "its process is gone"


def run_to_end(supervisor: Supervisor, name: str, command: str, *, environment: dict[str, str]) -> bool:
    """Run ``command``; False if a stop was requested meanwhile. Raises ServerError if it fails."""
    end = None
    if not supervisor.stop_requests:
        end = supervisor.run(Program(name, command, BASE_DIR, environment, stop_seconds=10.0))
    if end not in (None, "exit code 0"):
        raise ServerError(f"The bot cannot be prepared ({end}): the lines that begin with {name} say why.")
    return end is not None


def read_procfile() -> dict[str, str]:
    """Return the command lines of Procfile by name."""
    lines = (BASE_DIR / "Procfile").read_text().splitlines()
    commands = (line.partition(":") for line in lines if ":" in line and not line.startswith("#"))
    return {name.strip(): command.strip() for name, _, command in commands}


def wait_until_live(config: Config, *, supervisor: Supervisor) -> bool:
    """Return True when the web process answers, False if a stop is requested first. Raises ServerError."""
    deadline = time.monotonic() + READY_SECONDS
    while not supervisor.stop_requests:
        supervisor.turn(wait_seconds=0.1)
        if (answer := get_health(config)) == 200:
            return True
        if supervisor.ends >= MOST_ENDS_BEFORE_READY or time.monotonic() > deadline:
            got = f" (/health/live answers {answer})" if answer else ""
            raise ServerError(f"The web process does not start{got}: the lines that begin with web say why.")
    return False


def get_health(config: Config) -> int | None:
    """Return the status with which ``/health/live`` answers, None where nothing does."""
    host = urlsplit(config.public_base_url).netloc or f"127.0.0.1:{config.port}"  # one that ALLOWED_HOSTS has
    connection = http.client.HTTPConnection(config.local_host, config.port, timeout=2)
    try:
        connection.request("GET", "/health/live", headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def describe(config: Config, *, credentials: Path, show_credentials: bool) -> str:
    """Return what an operator has to know now."""
    places = {
        "Simulator": f"{config.local_url}/simulator" if config.simulator else "",
        "Webhook": "" if config.simulator else f"{config.public_base_url or config.local_url}/webhook",
        "Admin": f"{config.local_url}/admin/",
        "API": f"{config.local_url}/memories (header Authorization: Bearer and the API token)",
    }
    lines = [f"  {name:<11} {place}" for name, place in places.items() if place]
    if show_credentials:
        lines += ["", *(f"  {line}" for line in credentials.read_text().splitlines())]
        lines += [f"  These are in {credentials}, and are not shown again."]
    elif credentials.exists():
        lines += [f"  {'Login':<11} see {credentials}"]
    return "\n".join(["", "Whatsbot is ready. Ctrl-C stops it.", *lines, ""])


def get_version(path: Path) -> tuple[int, int] | None:
    """Return what differs between two files that were at ``path``, None if there is none."""
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns
    return None


def say(text: str) -> None:
    """Print a line, unless nobody listens any more. A signal handler may interrupt it with another."""
    left = f"{text}\n".encode(errors="replace")
    with contextlib.suppress(OSError):
        while left:
            left = left[os.write(1, left) :]


if __name__ == "__main__":
    sys.exit(main())
