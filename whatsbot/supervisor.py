"""Keeps programs, and what else can be started, running until told to stop.

Each program has a session of its own: Ctrl-C in the terminal reaches the supervisor, which then stops them.
It has one thread and one loop, so it may fork at any time, and no two lines of output are ever mixed.
"""

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 30.0
HEALTHY_AFTER_SECONDS = 60.0
TICK_SECONDS = 0.5
DOUBLE_SECONDS = 1.0
ASK_AGAIN_SECONDS = 2.0
CHUNK_BYTES = 64 * 1024

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

Say = Callable[[str], None]


class Keepable(Protocol):
    """What a supervisor can keep running."""

    name: str

    def start(self) -> None:
        """Start it. The message of an exception counts as a way it ended."""

    def get_end(self) -> str | None:
        """Return in a few words how it ended, or None while it runs."""


@dataclass
class Program:
    """A command line for /bin/sh, as a Procfile has it. ``stop_seconds`` is how long it may take to end."""

    name: str
    command: str
    directory: Path
    environment: dict[str, str]
    stop_seconds: float
    process: "subprocess.Popen[bytes] | None" = None
    _partial_line: bytes = b""

    def start(self) -> None:
        """Start it, with its output in a pipe."""
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {self.command}"],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_make_end_with(os.getpid()),
        )
        os.set_blocking(self.get_output(), False)

    def get_output(self) -> int:
        """Return the file descriptor its output comes from."""
        assert self.process
        assert self.process.stdout
        return self.process.stdout.fileno()

    def get_end(self) -> str | None:
        """Return its exit code or signal, or None while it runs."""
        code = self.process.poll() if self.process else 0
        if code is None:
            return None
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def signal_all(self, number: int) -> None:
        """Send a signal to whatever runs in its session."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def pass_lines(self, emit: Say) -> bool:
        """Emit the lines that have come, and return whether there may be more later."""
        while True:
            try:
                chunk = os.read(self.get_output(), CHUNK_BYTES)
            except BlockingIOError:
                return True
            *lines, self._partial_line = (self._partial_line + chunk).split(b"\n")
            if self._partial_line and (not chunk or len(self._partial_line) > CHUNK_BYTES):
                lines.append(self._partial_line)
                self._partial_line = b""
            for line in lines:
                emit(line.decode(errors="replace"))
            if not chunk:
                return False


@dataclass
class _Kept:
    thing: Keepable
    delay: float = 0
    started_at: float = 0
    due_at: float | None = field(default_factory=time.monotonic)  # None: it was started and not seen ended


class Supervisor:
    """The loop. Call :meth:`turn` again and again while ``stop_requests`` is 0, and :meth:`stop` in the end.

    ``say`` is called in a signal handler, too.
    """

    def __init__(self, *, say: Say) -> None:
        self.stop_requests = 0
        self.ends = 0  # how often something kept has ended so far
        self._say = say
        self._kept: list[_Kept] = []
        self._selector = selectors.DefaultSelector()
        self._check_at = 0.0
        self._requested_at = -DOUBLE_SECONDS
        self._alarm, self._bell = socket.socketpair()
        for end in (self._alarm, self._bell):
            end.setblocking(False)
        self._selector.register(self._alarm, selectors.EVENT_READ)

    def listen_to_signals(self) -> None:
        """Take SIGINT, SIGTERM and SIGHUP (unless nohup made it ignored) for requests to stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._request_stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)

    def keep(self, thing: Keepable) -> None:
        """Start ``thing`` at the next turn, and again when it ends: after 1 s, then 2 s, up to 30 s."""
        self._kept.append(_Kept(thing))

    def run(self, program: Program) -> str | None:
        """Run ``program`` once, and return how it ended, or None if a stop was requested meanwhile."""
        self._start(program)
        while not self.stop_requests:
            self.turn()
            if end := program.get_end():
                self._clear_away(program)
                return end
        self._stop_all([program])
        return None

    def turn(self, *, wait_seconds: float = TICK_SECONDS) -> None:
        """Wait for output or a signal (but not longer), pass output on, start what has ended and is due."""
        for key, _ in self._selector.select(wait_seconds):
            if key.fileobj is self._alarm:
                self._alarm.recv(CHUNK_BYTES)
                self._check_at = 0  # a child may have ended
            else:
                self._pass_lines(key.data)
        now = time.monotonic()
        if now >= self._check_at and not self.stop_requests:
            self._check_at = now + TICK_SECONDS
            for kept in self._kept:
                self._check(kept, now=now)

    def stop(self) -> None:
        """End the kept programs, and be back when no process of theirs is left."""
        kept, self._kept = self._kept, []
        self._stop_all([each.thing for each in kept if isinstance(each.thing, Program)])

    def _request_stop(self, number: int, frame: Any) -> None:
        # One stop may reach us twice, through the terminal and through whoever started us.
        if time.monotonic() - self._requested_at < DOUBLE_SECONDS:
            return
        self._requested_at = time.monotonic()
        self.stop_requests += 1
        self._say("Stopping" if self.stop_requests == 1 else "Stopping at once")

    def _check(self, kept: _Kept, *, now: float) -> None:
        if kept.due_at is None:
            end = kept.thing.get_end()
        elif now < kept.due_at:
            return
        else:
            end = self._try_to_start(kept)
        if end is None:
            return
        self.ends += 1
        if isinstance(kept.thing, Program):
            self._clear_away(kept.thing)
        if now - kept.started_at > HEALTHY_AFTER_SECONDS:
            kept.delay = 0
        kept.delay = min(max(2 * kept.delay, FIRST_DELAY_SECONDS), LONGEST_DELAY_SECONDS)
        kept.due_at = now + kept.delay
        self._say(f"{kept.thing.name} ended ({end}) and is started again in {kept.delay:g} s")

    def _try_to_start(self, kept: _Kept) -> str | None:
        kept.started_at, kept.due_at = time.monotonic(), None
        try:
            self._start(kept.thing)
        except Exception as error:
            return str(error)
        return None

    def _start(self, thing: Keepable) -> None:
        thing.start()
        if isinstance(thing, Program):
            self._selector.register(thing.get_output(), selectors.EVENT_READ, thing)

    def _pass_lines(self, program: Program) -> None:
        if not program.pass_lines(lambda line: self._say(f"{program.name:<7} | {line}")):
            self._selector.unregister(program.get_output())

    def _clear_away(self, program: Program) -> None:
        """After ``program`` has ended: nothing it started goes on, none of its last words is lost."""
        if program.process is None or program.process.stdout is None or program.process.stdout.closed:
            return
        program.signal_all(signal.SIGKILL)
        if program.get_output() in self._selector.get_map():
            self._pass_lines(program)
        with contextlib.suppress(KeyError):
            self._selector.unregister(program.get_output())
        program.process.stdout.close()

    def _stop_all(self, programs: list[Program]) -> None:
        started = time.monotonic()
        asked_again = False
        killed: list[Program] = []
        left = [program for program in programs if program.process]
        for program in left:
            if program.process and program.get_end() is None:
                program.process.terminate()
        while left:
            self.turn()
            for program in [program for program in left if program.get_end()]:
                self._clear_away(program)
                left.remove(program)
            waited = time.monotonic() - started
            for program in left:
                if program in killed:
                    continue
                if waited > program.stop_seconds or self.stop_requests > 1:
                    killed.append(program)
                    self._say(f"{program.name} does not end by itself and is killed")
                    program.signal_all(signal.SIGKILL)
                elif waited > ASK_AGAIN_SECONDS and not asked_again:
                    # A worker of granian's is deaf to the first one while it loads the application; one that
                    # was not finishes its requests all the same, but would hang at a third.
                    program.signal_all(signal.SIGTERM)
            asked_again = waited > ASK_AGAIN_SECONDS


def _make_end_with(parent: int) -> Callable[[], None]:
    """Return what a child does first: ask Linux for a SIGTERM when ``parent`` dies, be it of SIGKILL."""

    def end_with_parent() -> None:
        if LIBC:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    return end_with_parent
