"""Calls in processes that kill themselves at a point between two steps: SIGKILL, so that nothing cleans up after them.

``python -m tests.doomed DATABASE`` answers each line of JSON, `Doom`, with one, the exit status of a process
made for it. That process is a copy of one that has imported everything and opened no connection, which takes some
milliseconds instead of seconds.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
SURVIVED = 3


@dataclass(frozen=True, kw_only=True)
class Point:
    """Right before or right after the nth call of a function, given as ``package.module:Class.function``."""

    when: Literal["before", "after"]
    step: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.step.partition(':')[2]}{f' {self.nth}' if self.nth > 1 else ''}"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A function and its arguments, as JSON can say them: times as texts."""

    function: str
    arguments: dict[str, Any]

    def do(self) -> Any:
        """Call the function, here and now."""
        owner, name = _find(self.function)
        arguments = {
            name: datetime.fromisoformat(value) if name.endswith(("_at", "_start", "_end")) else value
            for name, value in self.arguments.items()
        }
        return getattr(owner, name)(**arguments)


def do_next_job() -> None:
    """Do a job as a worker does: it is ``doing`` until the end, also if the worker dies."""
    from django.db import connection
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.models import ProcrastinateJob

    job = ProcrastinateJob.objects.filter(status="todo").earliest("id")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [job.id])
    app.tasks[job.task_name].func(**job.args)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = %s", [job.id])


class Executioner:
    """The process that makes doomed ones."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def kill(self, call: Call, point: Point, **settings: Any) -> None:
        """Begin a call in another process, with these settings, which dies at the point.

        AssertionError if it never comes to it.
        """
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([asdict(call), asdict(point), settings]), file=self._process.stdin, flush=True)
        status = self._process.stdout.readline().strip()
        assert status == str(-signal.SIGKILL), f"not killed, but {status or 'silent'}: {call} {point}"


@contextmanager
def running_executioner(database: str) -> Iterator[Executioner]:
    """An executioner whose victims use this database of the tests' PostgreSQL."""
    command = [sys.executable, "-m", "tests.doomed", database]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Executioner(process)
        assert process.stdin
        process.stdin.close()


def _find(path: str) -> tuple[Any, str]:
    module, _, name = path.partition(":")
    owner = import_module(module)
    *classes, name = name.split(".")
    for each in classes:
        owner = getattr(owner, each)
    return owner, name


def _die_at(point: Point) -> None:
    owner, name = _find(point.step)
    step = getattr(owner, name)
    left = point.nth

    def last_step(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left > 0:
            return step(*args, **kwargs)
        if point.when == "after":
            step(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, last_step)


def main() -> None:
    """Warm up, then copy this process for every line."""
    import django
    from django.conf import settings

    django.setup()
    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    from whatsbot.integrations import embedder, mem0_sdk

    mem0_sdk.prepare_sdk()
    for name in ("mem0.vector_stores.pgvector", "google.genai", "messaging.turns"):
        import_module(name)
    embedder.embed_query("warm up")
    for line in sys.stdin:
        call, point, changed = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                for name, value in changed.items():
                    setattr(settings, name, value)
                _die_at(Point(**point))
                Call(**call).do()
            finally:
                os._exit(SURVIVED)  # whatever happens, the copy must not go on as its original
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
