"""The virtualenv that script/server and script/test share, for a project that needs no packages."""

import json
import os
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
SAY_PYTHON = ("python", "-c", "import sys; print('in', sys.prefix)")


def run(folder: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``command`` with script/in_venv from a directory that has nothing to do with the project."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    return subprocess.run(
        [folder / "script" / "in_venv", *command],
        cwd="/",
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def make_project(folder: Path) -> Path:
    """A project without requirements."""
    (folder / "script").mkdir(parents=True)
    for name in ("in_venv", "in_venv.py"):
        shutil.copy(ROOT / "script" / name, folder / "script")
    for name in REQUIREMENTS:
        (folder / name).write_text("# nothing\n")
    return folder


@dataclass
class Installation:
    """A project that was installed, and what that looked like."""

    folder: Path
    interrupted: int
    stamp_after_interruption: bool
    both: list[int]
    said: list[str]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Interrupt an installation, then start two at once. It takes seconds, so it is done for all tests."""
    folder = make_project(tmp_path_factory.mktemp("its") / "my bot")
    command = [folder / "script" / "in_venv", *SAY_PYTHON]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as first:
        assert first.stdout
        assert "Making a virtualenv" in first.stdout.readline()
        time.sleep(0.2)
        first.send_signal(signal.SIGTERM)
        interrupted = first.wait(timeout=20)
    stamp = (folder / ".venv" / "installed.json").exists()
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(one.communicate(timeout=60)[0] for one in both)
    return Installation(folder, interrupted, stamp, [one.returncode for one in both], said)


@pytest.fixture
def project(installation: Installation) -> Iterator[Path]:
    """The installed project, restored after the test."""
    stamp = installation.folder / ".venv" / "installed.json"
    before = stamp.read_text()
    yield installation.folder
    stamp.write_text(before)
    for name in REQUIREMENTS:
        (installation.folder / name).write_text("# nothing\n")


def test_an_installation_is_done_once(project: Path) -> None:
    assert run(project, *SAY_PYTHON).stdout == f"in {project}/.venv\n"


def test_changed_requirements_are_installed_and_the_rest_is_kept(project: Path) -> None:
    (project / "requirements.txt").write_text("# nothing more\n")
    (project / ".venv" / "mark").touch()
    said = run(project, *SAY_PYTHON).stdout
    assert "Installing" in said
    assert "Making a virtualenv" not in said
    assert (project / ".venv" / "mark").exists()
    assert run(project, *SAY_PYTHON).stdout == f"in {project}/.venv\n"


def test_what_tests_need_is_installed_for_tests_only(project: Path) -> None:
    assert "requirements-dev.txt" not in json.loads((project / ".venv" / "installed.json").read_text())
    assert "Installing" in run(project, "--dev", *SAY_PYTHON).stdout
    assert run(project, "--dev", *SAY_PYTHON).stdout == f"in {project}/.venv\n"


@pytest.mark.parametrize("field", ["folder", "python"])
def test_a_virtualenv_that_was_moved_or_lost_its_python_is_not_usable(project: Path, field: str) -> None:
    in_venv = runpy.run_path(str(project / "script" / "in_venv.py"))
    stamp = in_venv["read_stamp"]()
    assert in_venv["is_usable"](stamp)
    assert not in_venv["is_usable"](stamp | {field: "/elsewhere"})


def test_an_interrupted_installation_is_not_taken_for_done(installation: Installation) -> None:
    assert installation.interrupted == 130
    assert not installation.stamp_after_interruption


def test_of_two_at_once_one_installs_and_one_waits(installation: Installation) -> None:
    assert installation.both == [0, 0]
    assert [said.count("Making a virtualenv") for said in installation.said] == [1, 0]
    ready = f"in {installation.folder}/.venv\n"
    assert installation.said[0].endswith(ready)
    assert installation.said[1] == f"Waiting for another installation to end\n{ready}"


def test_a_failed_installation_shows_why_and_is_not_taken_for_done(project: Path) -> None:
    (project / "requirements.txt").write_text("./no-such-package --hash=sha256:00\n")
    try:
        done = run(project, "echo", "unreachable", PIP_NO_INDEX="1")
        assert done.returncode == 1
        assert "no-such-package" in done.stderr
        assert done.stderr.endswith(
            "The installation failed; the reason is above. The next start tries again.\n"
        )
        assert "unreachable" not in done.stdout
        assert not (project / ".venv" / "installed.json").exists()
    finally:
        (project / "requirements.txt").write_text("# nothing\n")


def test_a_python_that_is_too_old_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "bot")
    for name in ("python3", "python"):
        pretend = f'exec {shlex.quote(sys.executable)} -c "import sys; sys.version_info = (3, 10, 9); $2"'
        (tmp_path / name).write_text(f"#!/bin/sh\n{pretend}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    done = run(folder, "echo", "unreachable", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "Whatsbot needs Python 3.11 or newer, and python3 is 3.10.9: "
        "name another, like this: PYTHON=/path/to/python3.12 script/server\n"
    )


def test_python_is_taken_from_the_environment_or_refused(project: Path) -> None:
    assert run(project, *SAY_PYTHON, PYTHON=sys.executable).stdout.endswith(f"in {project}/.venv\n")
    done = run(project, *SAY_PYTHON, PYTHON="/no/such/python")
    assert done.returncode == 1
    assert "and /no/such/python is not there" in done.stderr


def test_a_newer_python_is_found_behind_an_old_one(project: Path, tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    version = f"python3.{sys.version_info.minor}"
    (tmp_path / version).symlink_to(sys.executable)
    done = run(project, "echo", "reached", PATH=f"{tmp_path}:/bin:/usr/bin")
    assert done.stdout.endswith("reached\n")


def test_what_is_asked_for_with_extras_is_pinned_with_them() -> None:
    # pip takes the newest release for "name[extra]" where only "name" is pinned, and then misses its hash.
    locked = "".join((ROOT / name).read_text() for name in REQUIREMENTS)
    pins = [Requirement(line.rstrip(" \\")) for line in locked.splitlines() if line[:1].isalnum()]
    pinned = {(pin.name, extra) for pin in pins for extra in pin.extras}
    asked = {
        (needed.name, extra)
        for pin in pins
        if not pin.marker or pin.marker.evaluate()
        for line in metadata.requires(pin.name) or []
        for needed in [Requirement(line)]
        if not needed.marker or any(needed.marker.evaluate({"extra": each}) for each in (*pin.extras, ""))
        for extra in needed.extras
    }
    assert ("google-auth", "requests") in asked
    assert asked <= pinned
