"""The PostgreSQL that runs under ``DATA_DIR`` where no DATABASE_URL is set.

Everybody who needs it calls :func:`start` or :func:`running`: the supervisor, each management command, the
tests. The first one in starts it and the last one out stops it. Under ``DATA_DIR``:

- ``postgres/`` the cluster, with the socket in it; ``postgres.log``
- ``postgres.mutex`` locked around every start and stop
- ``postgres.users`` share-locked by everybody who needs the server

The kernel drops a lock when its process dies, however it dies, so nobody is counted who is gone.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from whatsbot import postmaster, unprivileged
from whatsbot.postmaster import EmbeddedPostgresError, Report

__all__ = ["EmbeddedPostgresError", "Handle", "database_url", "is_alive", "running", "start"]


def database_url(data_dir: Path) -> str:
    """Return the URL at which the server of ``data_dir`` is reached, whether or not it runs."""
    host = quote(str(postmaster.get_socket_dir(_get_cluster(data_dir))), safe="")
    return f"postgres://{postmaster.NAME}@{host}/{postmaster.NAME}"


def is_alive(data_dir: Path) -> bool:
    """Return whether the server of ``data_dir`` runs."""
    return postmaster.is_running(_get_cluster(data_dir))


@contextlib.contextmanager
def running(data_dir: Path, *, report: Report | None = None) -> Iterator["Handle"]:
    """Have the server running within the block; see :func:`start`."""
    handle = start(data_dir, report=report)
    try:
        yield handle
    finally:
        handle.stop()


def start(data_dir: Path, *, report: Report | None = None) -> "Handle":
    """Make the cluster if there is none, start the server if none runs, and keep others from stopping it.

    ``report`` gets a sentence about each step that takes a while or changes something outside ``data_dir``;
    where it is not given they go to stderr. Raises EmbeddedPostgresError.
    """
    data_dir = data_dir.resolve()
    try:
        # Root's server runs as another account, which has to pass through to the cluster.
        data_dir.mkdir(mode=0o700 if os.geteuid() else 0o711, parents=True, exist_ok=True)
        handle = Handle(data_dir, report=report or _print_to_stderr)
    except OSError as error:
        raise EmbeddedPostgresError(f"DATA_DIR {data_dir} cannot be written: {error.strerror}.") from error
    try:
        handle.ensure_running(may_create=True)
    except BaseException:
        handle.stop()
        raise
    return handle


class Handle:
    """One user's claim on the server of ``data_dir``. For one thread at a time."""

    def __init__(self, data_dir: Path, *, report: Report) -> None:
        self._cluster = _get_cluster(data_dir)
        self._log = data_dir / "postgres.log"
        self._report = report
        self._postmaster: subprocess.Popen[str] | None = None
        self._mutex = _open_lock(data_dir / "postgres.mutex")
        self._users: int | None = _open_lock(data_dir / "postgres.users")

    def ensure_running(self, *, may_create: bool = False) -> None:
        """Start the server if it does not run; a new, empty one only with ``may_create``.

        Raises EmbeddedPostgresError.
        """
        if self._users is None:
            raise EmbeddedPostgresError("This claim on the server was given up.")
        try:
            with self._alone():
                fcntl.flock(self._users, fcntl.LOCK_SH)
                self._ensure_running(may_create=may_create)
        except OSError as error:
            raise EmbeddedPostgresError(f"PostgreSQL cannot run in {self._cluster}: {error}.") from error

    def stop(self) -> None:
        """Give the claim up, and stop the server if nobody else has one. Safe to repeat."""
        if self._users is None:
            return
        users, self._users = self._users, None
        try:
            # Trying for the exclusive lock gives up the shared one in any case.
            with self._alone(), contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                postmaster.stop_postmaster(self._cluster)
        finally:
            os.close(users)
            os.close(self._mutex)
            if self._postmaster:
                self._postmaster.poll()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.flock(self._mutex, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._mutex, fcntl.LOCK_UN)

    def _ensure_running(self, *, may_create: bool) -> None:
        cluster = self._cluster
        account = None if os.geteuid() else unprivileged.get_account(cluster)
        if not (cluster / "PG_VERSION").exists():
            if not may_create:
                raise EmbeddedPostgresError(f"The database in {cluster} is gone.")
            postmaster.create_cluster(cluster, account=account, report=self._report)
        version = (cluster / "PG_VERSION").read_text().strip()
        if version != postmaster.MAJOR_VERSION:
            raise EmbeddedPostgresError(
                f"{cluster} was made by PostgreSQL {version}, this is {postmaster.MAJOR_VERSION}."
            )
        if not postmaster.is_ready(cluster, report=self._report):
            postmaster.stop_postmaster(cluster)  # one that has lost its socket
            self._postmaster = postmaster.start_postmaster(
                cluster, account=account, log=self._log, report=self._report
            )
        postmaster.create_database(cluster)


def _get_cluster(data_dir: Path) -> Path:
    return data_dir.resolve() / "postgres"


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _print_to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
