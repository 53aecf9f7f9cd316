"""Bring the project's virtualenv up to date, then become a command that runs in it; called by script/in_venv.

``.venv/installed.json`` says what the virtualenv was made for. It is taken away before anything is changed
and written when all is done, so an interrupted installation is noticed and done again.
"""

import collections
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
RUNTIME, DEVELOPMENT = "requirements.txt", "requirements-dev.txt"
PIP = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-input", "--progress-bar", "off"]
KEPT_LINES = 15  # of what a program that fails has said


def main() -> None:
    """Do what the module says. ``--dev`` as the first argument adds what tests need."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    command, names = sys.argv[1:], [RUNTIME]
    if command[:1] == ["--dev"]:
        command, names = command[1:], [RUNTIME, DEVELOPMENT]
    try:
        if not is_installed(names):
            install_alone(names)
    except KeyboardInterrupt:
        print("\nStopped. The installation is done again at the next start.", file=sys.stderr)
        sys.exit(130)
    os.environ["VIRTUAL_ENV"] = str(VENV)
    os.environ["PATH"] = f"{PYTHON.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    os.chdir(ROOT)
    os.execvp(command[0], command)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Take a signal for Ctrl-C."""
    raise KeyboardInterrupt


def is_installed(names: list[str]) -> bool:
    """Return whether all of the requirements files ``names``, as they are now, are in a usable virtualenv."""
    stamp = read_stamp()
    return is_usable(stamp) and all(stamp.get(name) == get_digest(name) for name in names)


def is_usable(stamp: dict[str, str]) -> bool:
    """Return whether the virtualenv is where it was made, with its Python, and that is $PYTHON if set."""
    python = os.path.realpath(PYTHON)
    if os.environ.get("PYTHON") and python != get_own_python():
        return False
    return (stamp.get("folder"), stamp.get("python")) == (str(ROOT), python) and os.access(python, os.X_OK)


def install_alone(names: list[str]) -> None:
    """Install while nobody else does. Exits with a sentence if it can not be done."""
    if os.pathsep in str(ROOT):
        sys.exit(f"No virtualenv works in a folder with a {os.pathsep!r} in its path: rename {ROOT}.")
    if not os.access(ROOT, os.W_OK):
        sys.exit(f"The folder {ROOT} cannot be written, and the Python packages have to go there.")
    lock = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Waiting for another installation to end", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    if not is_installed(names):
        install(names, lock=lock)
    os.close(lock)


def install(names: list[str], *, lock: int) -> None:
    """Make the virtualenv, unless it is usable, and install what is in the requirements files ``names``."""
    stamp = read_stamp()
    names = [name for name in (RUNTIME, DEVELOPMENT) if name in names or name in stamp]
    keep_venv = is_usable(stamp)
    STAMP.unlink(missing_ok=True)
    if not keep_venv:
        if not importlib.util.find_spec("ensurepip"):
            package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
            sys.exit(f"Python lacks its venv module. On Debian or Ubuntu: apt-get install {package}")
        print(f"Making a virtualenv in {VENV}", flush=True)
        run([get_own_python(), "-m", "venv", "--clear", str(VENV)], lock=lock)
    count = sum(len(re.findall(r"^\S+==", (ROOT / name).read_text(), re.MULTILINE)) for name in names)
    print(f"Installing about {count} Python packages; the first time it takes a minute or more", flush=True)
    run([*PIP, *(part for name in names for part in ("-r", str(ROOT / name)))], lock=lock, count=count)
    stamp = {"folder": str(ROOT), "python": os.path.realpath(PYTHON)}
    scratch = STAMP.with_suffix(".new")
    scratch.write_text(json.dumps(stamp | {name: get_digest(name) for name in names}, indent=1))
    scratch.replace(STAMP)


def run(command: list[str], *, lock: int, count: int = 0) -> None:
    """Run ``command``, telling how far the installation of ``count`` packages is. Exits if it fails."""
    # Should this process be killed, the lock is held until the command has ended, too.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[lock],
        start_new_session=True,
    )
    said = collections.deque[str](maxlen=KEPT_LINES)
    collected = 0
    assert process.stdout
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith(("Collecting ", "Processing ")):
                collected += 1
                if collected % 10 == 0:
                    print(f"  {collected} of about {count} collected", flush=True)
            elif line.startswith("Installing collected packages"):
                print("  all collected, unpacking them", flush=True)
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code:
        sys.exit(
            "".join(said) + "\nThe installation failed; the reason is above. The next start tries again."
        )


def get_own_python() -> str:
    """Return the Python that runs this; of a virtualenv, the one it was made from."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def get_digest(name: str) -> str:
    """Return what tells two versions of a file of the project apart."""
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def read_stamp() -> dict[str, str]:
    """Return what was installed when all was done, empty if it was not."""
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


if __name__ == "__main__":
    main()
