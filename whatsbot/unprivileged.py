"""The account that runs PostgreSQL where root runs Whatsbot, because PostgreSQL refuses to run as root."""

import contextlib
import os
import pwd
import stat
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWN_ACCOUNT = "whatsbot"
MAKE_OWN_ACCOUNT = ("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")


@dataclass(frozen=True)
class Account:
    """An account without rights, for ``subprocess``."""

    uid: int
    gid: int

    def as_arguments(self) -> dict[str, Any]:
        """Return the arguments that make ``subprocess`` run a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def get_account(cluster: Path) -> Account:
    """Return the owner of ``cluster`` if it exists, else postgres, else an account made for it, or nobody."""
    with contextlib.suppress(FileNotFoundError):
        owner = cluster.stat()
        if owner.st_uid:
            return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", OWN_ACCOUNT):
        with contextlib.suppress(KeyError):
            return _look_up(name)
    with contextlib.suppress(OSError, subprocess.SubprocessError, KeyError):
        subprocess.run([*MAKE_OWN_ACCOUNT, OWN_ACCOUNT], check=True, capture_output=True, timeout=30)
        return _look_up(OWN_ACCOUNT)
    return _look_up("nobody")


def open_way(paths: Iterable[Path], *, account: Account, report: Callable[[str], None]) -> None:
    """Let ``account`` pass through the directories above ``paths``: x, never r, and only where it lacks.

    ``report`` gets one sentence if anything was changed.
    """
    opened = []
    for directory in dict.fromkeys(parent for path in paths for parent in reversed(path.parents)):
        status = directory.stat()
        if status.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif status.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            directory.chmod(stat.S_IMODE(status.st_mode) | needed)
            opened.append(str(directory))
    if opened:
        report(
            "PostgreSQL does not run as root but as an account without rights, which may now pass through "
            f"(not list) {', '.join(opened)}"
        )


def open_programs(trees: Iterable[Path]) -> None:
    """Let everybody read and run what is in ``trees``, where a strict umask at installation forbade it."""
    for tree in trees:
        # The top is changed last, so that its mode tells whether all of it is done.
        if not tree.exists() or tree.stat().st_mode & 0o005 == 0o005:
            continue
        for directory, _, files in os.walk(tree, topdown=False):
            for path in (*(Path(directory, name) for name in files), Path(directory)):
                if not path.is_symlink():
                    mode = stat.S_IMODE(path.stat().st_mode)
                    path.chmod(mode | (0o005 if mode & stat.S_IXUSR else 0o004))


def _look_up(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(entry.pw_uid, entry.pw_gid)
