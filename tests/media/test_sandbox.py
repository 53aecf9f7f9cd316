"""Functions that read hostile bytes: with limits, in a process of their own."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from media import sandbox

HERE = "tests.media.sandboxed"


def run(name: str, *, seconds: float = 10, **arguments: Any) -> Any:
    return sandbox.run(f"{HERE}:{name}", arguments=arguments, seconds=seconds)


def get_resident_bytes() -> int:
    return psutil.Process().memory_info().rss


def test_a_function_gets_its_arguments_and_its_answer_comes_back() -> None:
    assert run("add", left=40, right=2) == 42


@pytest.mark.parametrize("name", ["never_end", "burn"])
def test_what_never_ends_is_ended(name: str) -> None:
    started = time.monotonic()
    with pytest.raises(sandbox.OverLimit):
        run(name, seconds=0.4)
    assert 0.3 < time.monotonic() - started < 3


@pytest.mark.parametrize("name", ["hog", "answer_endlessly"])
def test_a_function_that_wants_all_memory_gets_none_of_ours(name: str) -> None:
    before = get_resident_bytes()
    with pytest.raises(sandbox.OverLimit):
        run(name)
    assert get_resident_bytes() - before < 16 * 1024 * 1024


@pytest.mark.parametrize("name", ["fail", "crash"])
def test_a_function_that_fails_takes_nobody_along_and_tells_nothing(name: str) -> None:
    with pytest.raises(sandbox.Crashed) as failed:
        run(name)
    assert str(failed.value) == ""
    assert run("add", left=1, right=1) == 2


def test_the_sandbox_holds_no_secrets_and_nothing_of_the_worker() -> None:
    os.environ["SECRET_OF_THE_TESTS"] = "do not tell"
    try:
        while sandbox._idle:
            sandbox._idle.pop().stop()
        seen = run("look_around")
    finally:
        del os.environ["SECRET_OF_THE_TESTS"]
    assert seen["environment"] == {}
    assert "do not tell" not in seen["started_with"]
    assert "TWILIO" not in seen["started_with"]
    assert seen["modules"] == []
    assert seen["core"] == 0
    assert (
        len([name for name in seen["descriptors"] if name != "/dev/null"]) <= 2
    )  # its pipe, and the listing itself


def test_a_function_cannot_fill_the_disk(tmp_path: Path) -> None:
    with pytest.raises(sandbox.Crashed):
        run("write_much", path=str(tmp_path / "much"))
    assert (tmp_path / "much").stat().st_size <= sandbox.WRITE_BYTES


def test_many_threads_get_their_own_answers_from_few_processes() -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: run("add", left=number, right=number), range(64)))
    assert answers == [2 * number for number in range(64)]
    assert len(sandbox._idle) <= sandbox.AT_ONCE


def test_at_most_two_run_at_once() -> None:
    running, most = 0, 0
    lock = threading.Lock()
    ask = sandbox._Server.ask

    def counted(self: sandbox._Server, request: bytes, *, seconds: float) -> tuple[int, bytes]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return ask(self, request, seconds=seconds)
        finally:
            with lock:
                running -= 1

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(8) as pool:
        patch.setattr(sandbox._Server, "ask", counted)
        list(pool.map(lambda number: run("add", left=number, right=1), range(24)))
    assert most == sandbox.AT_ONCE


def test_a_fork_server_that_was_killed_is_replaced() -> None:
    run("add", left=1, right=1)
    for server in list(sandbox._idle):
        os.kill(server.process.pid, signal.SIGKILL)
    assert run("add", left=1, right=2) == 3


def test_a_fork_server_that_says_nothing_is_killed_with_what_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    run("add", left=1, right=1)
    server = sandbox._idle[-1]
    monkeypatch.setattr(sandbox, "GRACE_SECONDS", 0.1)
    os.kill(server.process.pid, signal.SIGSTOP)
    with pytest.raises(sandbox.OverLimit):
        run("add", seconds=0.1, left=1, right=1)
    assert server.process.returncode == -signal.SIGKILL
    assert server not in sandbox._idle


@pytest.mark.parametrize("start", [["-c"], ["-m"]])
def test_the_fork_server_ends_with_its_parent_however_that_ends(start: list[str], tmp_path: Path) -> None:
    program = (
        "import os, signal\nfrom media import sandbox\n"
        f"sandbox.run('{HERE}:add', arguments={{'left': 1, 'right': 1}}, seconds=10)\n"
        "print(sandbox._idle[0].process.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "as_a_module.py").write_text(program)
    command = [*start, program if start == ["-c"] else "as_a_module"]
    ended = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=sandbox.ROOT,
        env={**os.environ, "PYTHONPATH": f"{sandbox.ROOT}:{tmp_path}"},
    )
    server = int(ended.stdout)  # one line: the program was not run again inside the sandbox
    for _ in range(100):
        if not psutil.pid_exists(server) or psutil.Process(server).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.02)
    pytest.fail("the fork server outlived its parent")


def test_the_limits_are_the_childs_alone() -> None:
    run("add", left=1, right=1)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != sandbox.MEMORY_BYTES
