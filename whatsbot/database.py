"""Database connections: given back before a network call, and replaced after a restart of PostgreSQL."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError, connection


def release_connection() -> None:
    """Give this thread's connection back to the pool; called before every call to a provider.

    Raises RuntimeError inside a transaction: no transaction waits for a network.
    """
    if connection.in_atomic_block:
        raise RuntimeError("A transaction is open across a call to a provider.")
    connection.close()


def discard_broken_connections() -> None:
    """Give this thread's connection back and replace every idle one that has died."""
    connection.close()
    pool = connection.pool  # type: ignore[attr-defined]
    if pool is not None and not pool.closed:
        pool.check()


_SAVEPOINTS = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")


@contextmanager
def only_reading() -> Iterator[None]:
    """Let this thread's statements read and nothing else: PostgreSQL refuses what would change a row.

    Each is a read-only transaction of its own, because connections go back to the pool in between, and a setting of the
    session would go with them. Statements on cursors that are not Django's are not covered.
    """
    with connection.execute_wrapper(_run_read_only):
        yield


def _run_read_only(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    if sql.startswith(_SAVEPOINTS):
        return execute(sql, params, many, context)
    begin, commit, roll_back = "BEGIN READ ONLY", "COMMIT", "ROLLBACK"
    if connection.in_atomic_block:
        begin = "SAVEPOINT only_reading; SET TRANSACTION READ ONLY"
        commit = "RELEASE SAVEPOINT only_reading"
        roll_back = f"ROLLBACK TO SAVEPOINT only_reading; {commit}"
    raw = connection.connection  # psycopg's own: its statements do not come through here
    raw.execute(begin)
    try:
        result = execute(sql, params, many, context)
    except BaseException:
        with suppress(psycopg.Error):  # of a connection that is lost
            raw.execute(roll_back)
        raise
    raw.execute(commit)
    return result


def _heal_after(sender: Any, **kwargs: Any) -> None:
    """A view has lost its connection: the next request shall not."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        discard_broken_connections()


got_request_exception.connect(_heal_after, dispatch_uid="whatsbot.discard_broken_connections")
