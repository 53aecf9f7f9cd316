"""Database connections: given back before a network call, and replaced after a restart of PostgreSQL."""

import sys
from typing import Any

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


def _heal_after(sender: Any, **kwargs: Any) -> None:
    """A view has lost its connection: the next request shall not."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        discard_broken_connections()


got_request_exception.connect(_heal_after, dispatch_uid="whatsbot.discard_broken_connections")
