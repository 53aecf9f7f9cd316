"""What the tests of the sandbox run inside it. Imports little: each call does it again."""

import ctypes
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any


def add(*, left: int, right: int) -> int:
    return left + right


def never_end() -> None:
    while True:
        time.sleep(1)


def burn() -> None:
    while True:
        pass


def hog() -> int:
    return len([bytes(64 * 1024 * 1024) for _ in range(100)])


def fail() -> None:
    raise ValueError("something private")


def crash() -> None:
    ctypes.string_at(0)


def answer_endlessly() -> str:
    return "x" * 100_000_000


def look_around() -> dict[str, Any]:
    """What a hostile reader would find."""
    return {
        "environment": dict(os.environ),
        "started_with": Path("/proc/self/environ").read_bytes().decode(),
        "descriptors": [
            os.readlink(link) for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)
        ],
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "modules": [name for name in sys.modules if name.split(".")[0] in ("django", "messaging")],
    }


def write_much(*, path: str) -> None:
    with open(path, "wb") as file:
        file.write(bytes(64 * 1024 * 1024))
