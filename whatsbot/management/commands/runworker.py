"""``manage.py runworker``: do the jobs, `WORKER_CONCURRENCY` at a time."""

import asyncio
import contextlib
import copy
import logging
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from procrastinate import App, PsycopgConnector
from procrastinate.contrib.django import app, connector_params
from psycopg_pool import AsyncConnectionPool

from messaging.tasks import HEARTBEAT_SECONDS, STALLED_AFTER_SECONDS
from whatsbot.database import discard_broken_connections
from whatsbot.exceptions import ProviderError
from whatsbot.integrations import mem0

log = logging.getLogger(__name__)

# Jobs wait for networks most of the time and give way by themselves. Python's own 5 ms make 64 threads take turns so
# often that each message costs a sixth more CPU (bench/turns).
SWITCH_SECONDS = 0.05


class Command(BaseCommand):
    """Procrastinate's own worker command runs synchronous jobs on asyncio's default pool, six threads on two cores,
    and ends when PostgreSQL restarts. This one has a thread per job and comes back."""

    help = "Answer messages and do all other background work until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """One option: how many jobs at a time."""
        parser.add_argument(
            "--concurrency", type=int, default=settings.WORKER_CONCURRENCY, help="jobs at a time"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop; a second signal is not needed, every call a job makes has a timeout."""
        asyncio.run(work(concurrency=options["concurrency"]))


async def work(*, concurrency: int) -> None:
    """Work until SIGTERM or SIGINT, through restarts of the database. Running jobs are finished first."""
    sys.setswitchinterval(SWITCH_SECONDS)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(concurrency, thread_name_prefix="job"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await asyncio.to_thread(mem0.warm_up)
    except ProviderError as error:  # each job asks again by itself
        log.warning("the memory store is not ready: %s", error)
    log.info("worker ready, %s jobs at a time", concurrency)
    while not stop.is_set():
        if await _database_answers():
            try:
                await _work_until(stop, concurrency=concurrency)
            except Exception as error:
                log.error("worker lost the database, coming back: %s", type(error).__qualname__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=0.5)
    log.info("worker stopped")


async def _database_answers() -> bool:
    """Whether a connection can be made; a pool opened while it cannot would be waited for half a minute."""
    try:
        async with await psycopg.AsyncConnection.connect(**connector_params()):
            return True
    except psycopg.OperationalError:
        return False


def check_pool_after_failure(call_next: Callable[[], Any], *args: Any) -> Any:
    """Replace broken connections when a job has failed: after an outage each would fail one attempt more."""
    try:
        return call_next()
    except Exception:
        discard_broken_connections()
        raise


def make_pool(**arguments: Any) -> AsyncConnectionPool:
    """A pool for procrastinate's single statements, which cost the event loop half as much without what is around them.

    No BEGIN and COMMIT, and no question before each use whether the connection is alive: a worker that loses the
    database comes back anyway.
    """

    async def configure(connection: "psycopg.AsyncConnection[Any]") -> None:
        await connection.set_autocommit(True)

    return AsyncConnectionPool(**(arguments | {"check": None, "configure": configure}))


def make_worker_app() -> App:
    """The app the worker fetches and finishes jobs with, on a connection pool of its own.

    A second app, because `App.replace_connector` would replace the connector for the jobs' own code too: what a job
    defers inside a transaction must commit or roll back with it, and only Django's connection can do that.
    """
    worker_app = App(
        connector=PsycopgConnector(kwargs=connector_params(), pool_factory=make_pool),
        import_paths=app.import_paths,
        worker_defaults={
            **app.worker_defaults,
            "task_middleware": [*app.worker_defaults.get("task_middleware", []), check_pool_after_failure],
        },
    )
    worker_app.tasks = app.tasks
    for periodic in app.periodic_registry.periodic_tasks.values():
        # The event loop defers these itself, and would never give a connection of Django's back.
        task = copy.copy(periodic.task)
        task.blueprint = worker_app
        worker_app.periodic_registry.register_task(
            task=task,
            cron=periodic.cron,
            periodic_id=periodic.periodic_id,
            configure_kwargs=periodic.configure_kwargs,
        )
    return worker_app


async def _work_until(stop: asyncio.Event, *, concurrency: int) -> None:
    async with make_worker_app().open_async() as worker_app:
        running = asyncio.create_task(
            worker_app.run_worker_async(
                concurrency=concurrency,
                # Bounds a wake-up lost while a fetch is under way, at about 1 % of a core.
                fetch_job_polling_interval=0.2,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=STALLED_AFTER_SECONDS,
                shutdown_graceful_timeout=20,
                install_signal_handlers=False,
            )
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not running.done():
            running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
