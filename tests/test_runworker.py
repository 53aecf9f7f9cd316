"""The worker's own promises: jobs join the transactions of the code that defers them, and run truly at once."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connection, transaction
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from messaging.models import RawMessage
from whatsbot.management.commands.runworker import make_worker_app, work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_jobs(transactional_db: None) -> Iterator[None]:
    """Procrastinate's tables are not Django's to flush."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, procrastinate_workers CASCADE")


@pytest.fixture
def task_names() -> Iterator[set[str]]:
    """Names of tasks to unregister after the test."""
    before = set(app.tasks)
    yield before
    for name in set(app.tasks) - before:
        del app.tasks[name]


def run_due_jobs(*, concurrency: int) -> None:
    """Run a real worker until nothing is left to do."""

    async def run() -> None:
        from concurrent.futures import ThreadPoolExecutor

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(concurrency))
        async with make_worker_app().open_async() as worker_app:
            await worker_app.run_worker_async(
                wait=False, concurrency=concurrency, install_signal_handlers=False, listen_notify=False
            )

    asyncio.run(run())


def test_what_a_job_defers_is_rolled_back_with_its_transaction(task_names: set[str]) -> None:
    @app.task(name="test.inner")
    def inner() -> None:
        pass

    @app.task(name="test.outer")
    def outer() -> None:
        with transaction.atomic():
            inner.defer()
            transaction.set_rollback(True)

    outer.defer()
    run_due_jobs(concurrency=2)
    jobs = ProcrastinateJob.objects.filter(task_name__startswith="test.")
    assert list(jobs.values_list("task_name", "status")) == [("test.outer", "succeeded")]


def test_what_a_job_defers_is_not_visible_before_its_commit(task_names: set[str]) -> None:
    seen: list[bool] = []

    @app.task(name="test.inner")
    def inner(raw_message_sid: str) -> None:
        seen.append(RawMessage.objects.filter(message_sid=raw_message_sid).exists())

    @app.task(name="test.outer")
    def outer() -> None:
        from tests.messaging.test_models import a_raw_message

        with transaction.atomic():
            inner.defer(raw_message_sid="SM1")
            time.sleep(0.3)
            a_raw_message(message_sid="SM1")

    outer.defer()
    run_due_jobs(concurrency=2)
    run_due_jobs(concurrency=2)
    assert seen == [True]


def test_as_many_jobs_are_in_work_at_once_as_asked_for(task_names: set[str]) -> None:
    barrier = threading.Barrier(32, timeout=20)

    @app.task(name="test.meet")
    def meet() -> None:
        barrier.wait()

    for _ in range(32):
        meet.defer()
    run_due_jobs(concurrency=32)
    jobs = ProcrastinateJob.objects.filter(task_name="test.meet")
    assert list(jobs.values_list("status", flat=True)) == ["succeeded"] * 32


def test_the_worker_command_gives_every_job_a_thread(task_names: set[str]) -> None:
    """The same through the command's own loop, which sets the size of the thread pool."""
    import os
    import signal

    met = threading.Event()
    barrier = threading.Barrier(32, action=met.set, timeout=20)

    @app.task(name="test.meet")
    def meet() -> None:
        barrier.wait()

    for _ in range(32):
        meet.defer()

    def stop_when_met() -> None:
        met.wait(timeout=20)
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop_when_met)
    stopper.start()
    asyncio.run(work(concurrency=32))
    stopper.join()
    assert met.is_set()
