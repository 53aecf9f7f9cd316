"""Functions that read hostile bytes run here: in a process of their own, with limits, without our secrets.

::

    worker ──one line of JSON per call──> fork server ──fork──> child: limits, then the function
           <──── how it ended, its answer ────        <──pipe──

A fork server is a bare interpreter with the readers' libraries imported and an empty environment, so a call costs a
fork and not an interpreter's start. `multiprocessing` has one too, but its server and children inherit our
environment, and each child imports the parent's ``__main__`` again. A server does one call at a time, there are at
most `AT_ONCE` of them, and each ends when its parent does: its standard input then ends.
"""

import atexit
import contextlib
import importlib
import json
import math
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2
# Of pictures of 64 million pixels WebP takes most: 1045 MiB, seen with Pillow 13; HEIC and PNG 620.
MEMORY_BYTES = 1280 * 1024 * 1024
WRITE_BYTES = 4 * 1024 * 1024
ANSWER_BYTES = 2 * 1024 * 1024
# What the parent adds to a child's own time: it kills only what a child's alarm did not.
GRACE_SECONDS = 5.0
_END = struct.Struct(">iI")  # a process's wait status, bytes of its answer


class OverLimit(Exception):
    """The function needed more memory or time than it may have."""


class Crashed(Exception):
    """The function raised, or its process died, as no honest file makes it."""


class _Server:
    """A fork server and the two pipes to it."""

    def __init__(self, *, preload: Sequence[str]) -> None:
        keep = {name: os.environ[name] for name in ("PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "media.sandbox", *preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=ROOT,
            env={"LC_ALL": "C.UTF-8", **keep},
            # Ctrl-C and a service manager's SIGTERM are for the worker, which lets running jobs finish.
            start_new_session=True,
        )

    def ask(self, request: bytes, *, seconds: float) -> tuple[int, bytes]:
        """How the child ended, as `os.waitpid` has it, and what it answered.

        Raises EOFError or BrokenPipeError if the server has died, TimeoutError if it does not answer.
        """
        assert self.process.stdin is not None
        view = memoryview(request)
        while view:
            view = view[self.process.stdin.write(view) :]
        deadline = time.monotonic() + seconds
        status, size = _END.unpack(self._receive(_END.size, deadline=deadline))
        return status, self._receive(size, deadline=deadline)

    def _receive(self, count: int, *, deadline: float) -> bytes:
        assert self.process.stdout is not None
        received = bytearray()
        while len(received) < count:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError
            if not (chunk := self.process.stdout.read(count - len(received))):
                raise EOFError
            received += chunk
        return bytes(received)

    def kill(self) -> None:
        """End it and whatever it runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """Let it end, as it does when this process dies."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()


_slots = threading.BoundedSemaphore(AT_ONCE)
_idle: list[_Server] = []
os.register_at_fork(after_in_child=_idle.clear)  # these are the parent's


def run(function: str, *, arguments: dict[str, Any], seconds: float, preload: Sequence[str] = ()) -> Any:
    """Call ``function`` ("package.module:name") in the sandbox with ``arguments``, and return what it returns: JSON.

    ``preload`` names the modules a fork server imports when it starts; the first call decides. Waits for one of
    `AT_ONCE` places. Raises `OverLimit` if it needs more than ``seconds`` of time or `MEMORY_BYTES`, `Crashed` if it
    fails in any other way.
    """
    request = json.dumps({"function": function, "arguments": arguments, "seconds": seconds}).encode() + b"\n"
    with _slots:
        if _idle:
            try:
                return _ask(_idle.pop(), request, seconds=seconds)
            except (EOFError, BrokenPipeError):
                pass  # it was killed while it waited (out of memory, an operator): a new one tries again
        try:
            return _ask(_Server(preload=preload), request, seconds=seconds)
        except (EOFError, BrokenPipeError):
            raise Crashed from None


def _ask(server: _Server, request: bytes, *, seconds: float) -> Any:
    try:
        status, answer = server.ask(request, seconds=seconds + GRACE_SECONDS)
    except BaseException as error:
        server.kill()
        if isinstance(error, TimeoutError):
            raise OverLimit from None
        raise
    _idle.append(server)
    return _judge(status, answer)


def _judge(status: int, answer: bytes) -> Any:
    if os.WIFSIGNALED(status):
        # Its alarm, its processor time, or the system out of memory.
        over = os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL)
        raise OverLimit if over else Crashed
    try:
        ended, value = json.loads(answer)
    except ValueError:
        raise Crashed from None
    if ended == "returned":
        return value
    raise OverLimit if ended == "memory" else Crashed


@atexit.register
def _stop_idle_servers() -> None:
    while _idle:
        _idle.pop().stop()


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """The fork server: one child per line, until the parent is gone."""
    for line in requests:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            _be_child(json.loads(line), answer_fd=write_end)
        os.close(write_end)
        with open(read_end, "rb") as pipe:
            answer = pipe.read(ANSWER_BYTES + 1)
        if len(answer) > ANSWER_BYTES:
            os.kill(child, signal.SIGKILL)
            answer = b""
        _, status = os.waitpid(child, 0)
        answers.write(_END.pack(status, len(answer)) + answer)
        answers.flush()


def _be_child(request: dict[str, Any], *, answer_fd: int) -> None:
    """Do one call and end the process."""
    try:
        _give_up_what_it_need_not_have(keep_fd=answer_fd)
        _limit(seconds=request["seconds"])
        module, _, name = request["function"].partition(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
        answer = json.dumps(["returned", function(**request["arguments"])], ensure_ascii=False).encode()
    except MemoryError:
        answer = b'["memory", null]'
    except BaseException:
        answer = b'["raised", null]'
    with open(answer_fd, "wb", closefd=False) as pipe:
        pipe.write(answer)
    os._exit(0)


def _give_up_what_it_need_not_have(*, keep_fd: int) -> None:
    os.environ.clear()
    os.umask(0o077)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # libraries print what they stumble over
        os.dup2(nowhere, descriptor)
    os.closerange(3, keep_fd)
    os.closerange(keep_fd + 1, 256)


def _limit(*, seconds: float) -> None:
    """Set limits that no library's code can outlast: the kernel's default for each of these signals is death."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, math.ceil(seconds)),
        (resource.RLIMIT_FSIZE, WRITE_BYTES),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    for module_name in sys.argv[1:]:
        importlib.import_module(module_name)
    _serve(sys.stdin.buffer, sys.stdout.buffer)
