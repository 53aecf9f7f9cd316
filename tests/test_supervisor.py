"""What keeps web, worker and database running, on programs of a line each."""

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from whatsbot import supervisor as module
from whatsbot.supervisor import Program, Supervisor


@pytest.fixture
def said() -> list[str]:
    """Every line the supervisor has said."""
    return []


@pytest.fixture
def supervisor(said: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """One that starts things again quickly, and is stopped after the test."""
    monkeypatch.setattr(module, "FIRST_DELAY_SECONDS", 0.05)
    monkeypatch.setattr(module, "TICK_SECONDS", 0.05)
    one = Supervisor(say=said.append)
    yield one
    one.stop()


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Program]:
    """Make a program of a shell command."""

    def make(command: str, *, name: str = "web", stop_seconds: float = 5.0) -> Program:
        return Program(name, command, tmp_path, dict(os.environ), stop_seconds)

    return make


def turn_until(supervisor: Supervisor, condition: Callable[[], object]) -> None:
    """Turn until ``condition()`` holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        supervisor.turn(wait_seconds=0.02)


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a name in the process table."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


def test_output_comes_line_by_line_under_the_name_of_the_program(
    supervisor: Supervisor, said: list[str], program: Callable[..., Program]
) -> None:
    end = supervisor.run(
        program(r"""sh -c 'printf "one\ntw"; sleep 0.1; printf "o\nlast words" >&2; exit 3'""")
    )
    assert end == "exit code 3"
    assert said == ["web     | one", "web     | two", "web     | last words"]


def test_a_line_that_never_ends_is_passed_on_in_pieces(
    supervisor: Supervisor, said: list[str], program: Callable[..., Program]
) -> None:
    size = 3 * module.CHUNK_BYTES
    supervisor.run(program(f"{shlex.quote(sys.executable)} -c \"print('x' * {size}, end='')\""))
    assert len(said) > 1
    assert sum(line.count("x") for line in said) == size


def test_a_program_that_ends_is_started_again_later_and_later(
    supervisor: Supervisor, said: list[str], program: Callable[..., Program]
) -> None:
    supervisor.keep(program("sh -c 'exit 7'"))
    turn_until(supervisor, lambda: supervisor.ends == 4)
    assert said == [
        f"web ended (exit code 7) and is started again in {delay} s" for delay in (0.05, 0.1, 0.2, 0.4)
    ]


def test_the_longest_wait_is_bounded_and_a_healthy_life_starts_the_count_anew(
    supervisor: Supervisor, said: list[str], program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_DELAY_SECONDS", 0.1)
    supervisor.keep(program("sleep 0.03"))
    turn_until(supervisor, lambda: supervisor.ends == 4)
    monkeypatch.setattr(module, "HEALTHY_AFTER_SECONDS", 0.02)
    turn_until(supervisor, lambda: supervisor.ends == 5)
    assert [line.rpartition("in ")[2] for line in said] == ["0.05 s", "0.1 s", "0.1 s", "0.1 s", "0.05 s"]


def test_a_program_that_is_killed_is_started_again_and_leaves_nobody_behind(
    supervisor: Supervisor, said: list[str], program: Callable[..., Program]
) -> None:
    web = program("sh -c 'sleep 60 & echo $!; wait'")
    supervisor.keep(web)
    turn_until(supervisor, lambda: said)
    assert web.process
    first, grandchild = web.process.pid, int(said[0].rpartition(" ")[2])
    assert is_running(grandchild)
    os.kill(first, signal.SIGKILL)
    turn_until(supervisor, lambda: web.process and web.process.pid != first)
    assert said[1] == "web ended (SIGKILL) and is started again in 0.05 s"
    turn_until(supervisor, lambda: not is_running(grandchild))


def test_what_cannot_be_started_is_tried_again(supervisor: Supervisor, said: list[str]) -> None:
    class Database:
        name = "PostgreSQL"
        attempts = 0

        def start(self) -> None:
            self.attempts += 1
            if self.attempts < 3:
                raise RuntimeError("no space left")

        def get_end(self) -> str | None:
            return None

    database = Database()
    supervisor.keep(database)
    turn_until(supervisor, lambda: database.attempts == 3)
    assert said[0] == "PostgreSQL ended (no space left) and is started again in 0.05 s"


def test_stopping_asks_first_and_kills_what_does_not_listen(
    supervisor: Supervisor, said: list[str], program: Callable[..., Program]
) -> None:
    polite = program("sh -c 'trap \"echo bye; exit 0\" TERM; echo up; while :; do sleep 0.01; done'")
    deaf = program("sh -c 'trap \"\" TERM; echo up; sleep 60'", name="worker", stop_seconds=0.2)
    supervisor.keep(polite)
    supervisor.keep(deaf)
    turn_until(supervisor, lambda: len(said) == 2)
    supervisor.stop()
    assert said[2:] == ["web     | bye", "worker does not end by itself and is killed"]
    assert [polite.get_end(), deaf.get_end()] == ["exit code 0", "SIGKILL"]
    supervisor.turn(wait_seconds=0.1)
    assert [polite.get_end(), deaf.get_end()] == ["exit code 0", "SIGKILL"], "started again after the stop"


def test_a_program_that_was_deaf_to_the_first_request_gets_a_second_and_no_third(
    supervisor: Supervisor, said: list[str], program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.1)
    supervisor.keep(
        program("sh -c 'trap \"echo asked\" TERM; echo up; while :; do sleep 0.01; done'", stop_seconds=0.6)
    )
    turn_until(supervisor, lambda: said)
    supervisor.stop()
    assert said.count("web     | asked") == 2


def test_a_request_to_stop_ends_a_program_that_runs_once(
    supervisor: Supervisor, said: list[str], program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = program("sh -c 'echo up; sleep 60'", name="prepare")
    monkeypatch.setattr(supervisor, "_say", lambda line: setattr(supervisor, "stop_requests", 1))
    assert supervisor.run(prepare) is None
    assert prepare.get_end() == "SIGTERM"
