"""The PostgreSQL under DATA_DIR, started for real each time."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from whatsbot import embedded_postgres, postmaster, unprivileged
from whatsbot.embedded_postgres import EmbeddedPostgresError

ROOT = Path(__file__).resolve().parent.parent
# A user of the server in a process of its own, which says so and then waits for the end of its input.
OTHER_USER = """
import sys
from pathlib import Path
from whatsbot import embedded_postgres
with embedded_postgres.running(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


def ignore(sentence: str) -> None:
    """Nobody reads what the server reports."""


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A folder only we may enter, with a name that asks for trouble."""
    path = Path(tempfile.mkdtemp(prefix='it\'s "A" & ü $HOME '))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def used_data_dir(scratch: Path) -> Path:
    """A DATA_DIR that has a cluster already, and no server."""
    data_dir = scratch / "My Data"
    embedded_postgres.start(data_dir, report=ignore).stop()
    return data_dir


@pytest.fixture
def data_dir(used_data_dir: Path) -> Iterator[Path]:
    """The same, and no server afterwards either."""
    yield used_data_dir
    assert not embedded_postgres.is_alive(used_data_dir), "the test left a server running"


def query(data_dir: Path, sql: str) -> list[str]:
    """The first row ``sql`` brings, as text."""
    with psycopg.connect(embedded_postgres.database_url(data_dir), autocommit=True) as connection:
        row = connection.execute(sql).fetchone()
        return [str(value) for value in row or ()]


def start_other_user(data_dir: Path) -> "subprocess.Popen[bytes]":
    """A process that uses the server until its input ends."""
    command = [sys.executable, "-c", OTHER_USER, str(data_dir)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_the_database_is_durable_utf8_and_not_on_the_network(data_dir: Path) -> None:
    settings = ("fsync", "synchronous_commit", "data_checksums", "listen_addresses", "server_encoding")
    with embedded_postgres.running(data_dir):
        values = [query(data_dir, f"SHOW {setting}")[0] for setting in settings]
        locale = query(
            data_dir, "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()"
        )
        vector = query(data_dir, "SELECT name FROM pg_available_extensions WHERE name = 'vector'")
    assert values == ["on", "on", "on", "", "UTF8"]
    assert locale == ["b", "C.UTF-8"]
    assert vector == ["vector"]


def test_nobody_else_can_enter_the_directory_of_the_socket(data_dir: Path) -> None:
    socket_dir = Path(unquote(urlsplit(embedded_postgres.database_url(data_dir)).netloc.rpartition("@")[2]))
    with embedded_postgres.running(data_dir):
        assert socket_dir == data_dir / "postgres"
        assert (socket_dir / ".s.PGSQL.5432").is_socket()
        assert socket_dir.stat().st_mode & 0o077 == 0


def test_the_last_user_stops_the_server(data_dir: Path) -> None:
    first = embedded_postgres.start(data_dir, report=ignore)
    second = embedded_postgres.start(data_dir, report=ignore)
    first.stop()
    first.stop()
    assert query(data_dir, "SELECT 1") == ["1"]
    second.stop()
    assert not embedded_postgres.is_alive(data_dir)


def test_a_user_that_was_killed_is_not_waited_for(data_dir: Path) -> None:
    with start_other_user(data_dir) as other:
        assert other.stdout
        assert other.stdout.readline() == b"ready\n"
        pid = postmaster.get_postmaster_pid(data_dir / "postgres")
        other.kill()
    assert embedded_postgres.is_alive(data_dir), "a kill of its user reached the server"
    handle = embedded_postgres.start(data_dir, report=ignore)
    adopted = postmaster.get_postmaster_pid(data_dir / "postgres")
    handle.stop()
    assert adopted == pid
    assert not embedded_postgres.is_alive(data_dir)


def test_a_killed_server_comes_back_with_what_was_committed(data_dir: Path) -> None:
    with embedded_postgres.running(data_dir) as handle:
        with psycopg.connect(embedded_postgres.database_url(data_dir)) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        pid = postmaster.get_postmaster_pid(data_dir / "postgres")
        assert pid
        os.kill(pid, signal.SIGKILL)
        while embedded_postgres.is_alive(data_dir):
            time.sleep(0.01)
        handle.ensure_running()
        assert query(data_dir, "SELECT answer FROM kept") == ["42"]


def test_a_server_that_lost_its_socket_is_started_again(data_dir: Path) -> None:
    with embedded_postgres.running(data_dir) as handle:
        (data_dir / "postgres" / ".s.PGSQL.5432").unlink()
        assert not embedded_postgres.is_alive(data_dir)
        handle.ensure_running()
        assert query(data_dir, "SELECT 1") == ["1"]


def test_a_process_id_that_is_somebody_elses_by_now_does_no_harm(data_dir: Path) -> None:
    account = unprivileged.get_account(data_dir / "postgres").as_arguments() if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], **account) as bystander:
        pid_file = data_dir / "postgres" / "postmaster.pid"
        pid_file.write_text(f"{bystander.pid}\n{data_dir / 'postgres'}\n1\n5432\n.\n\n  0  0\nready   \n")
        with embedded_postgres.running(data_dir):
            assert query(data_dir, "SELECT 1") == ["1"]
        assert bystander.poll() is None
        bystander.kill()


def test_what_people_wrote_does_not_reach_the_log(data_dir: Path) -> None:
    with embedded_postgres.running(data_dir):
        for sql in ("SELECT 'my secret'::int", "SELECT to_tsquery('my secret')", "SELECT my secret please"):
            with pytest.raises(psycopg.Error):
                query(data_dir, sql)
    log = (data_dir / "postgres.log").read_text()
    assert "ready to accept connections" in log
    assert "secret" not in log


def test_a_log_that_grew_is_put_aside_at_the_next_start(data_dir: Path) -> None:
    log = data_dir / "postgres.log"
    log.write_bytes(b"x" * (postmaster.LOG_BYTES_KEPT + 1))
    with embedded_postgres.running(data_dir):
        assert log.stat().st_size < 10_000
    assert (data_dir / "postgres.log.1").stat().st_size == postmaster.LOG_BYTES_KEPT + 1


def test_nothing_of_the_callers_environment_reaches_the_server(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGHOST": "nowhere",
        "PGOPTIONS": "-c fsync=off",
        "PGPORT": "1",
        "PGDATA": "/x",
    }.items():
        monkeypatch.setenv(name, value)
    embedded_postgres.start(data_dir, report=ignore).stop()


@pytest.mark.parametrize("folder", ["x" * 120, "one, two"])
def test_a_path_no_socket_can_have_gets_a_short_private_one(scratch: Path, folder: str) -> None:
    url = embedded_postgres.database_url(scratch / folder)
    socket_dir = Path(unquote(urlsplit(url).netloc.rpartition("@")[2]))
    assert socket_dir.parent == Path("/tmp")
    assert embedded_postgres.database_url(scratch / folder) == url
    assert embedded_postgres.database_url(scratch / "x" / folder) != url


def test_many_may_start_at_once_at_a_path_too_long_for_a_socket(scratch: Path) -> None:
    data_dir = scratch / ("x" * 120)
    (data_dir / "postgres.new").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("of a creation that was interrupted\n")
    socket_dir = postmaster.get_socket_dir(data_dir / "postgres")
    try:
        others = [start_other_user(data_dir) for _ in range(3)]
        assert [other.stdout.readline() for other in others if other.stdout] == [b"ready\n"] * 3
        assert query(data_dir, "SELECT 1") == ["1"]
        assert socket_dir.stat().st_mode & 0o077 == 0
        said = [other.communicate(b"")[1].decode() for other in others]
        assert "".join(said).count("Creating the database") == 1
        assert not embedded_postgres.is_alive(data_dir)

        socket_dir.chmod(0o777)
        with pytest.raises(EmbeddedPostgresError, match="is not ours alone"):
            embedded_postgres.start(data_dir, report=ignore)
    finally:
        shutil.rmtree(socket_dir)


def test_a_data_dir_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        EmbeddedPostgresError, match=r"^DATA_DIR .*/file/var cannot be written: Not a directory\.$"
    ):
        embedded_postgres.start(tmp_path / "file" / "var", report=ignore)


def test_a_cluster_of_another_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="was made by PostgreSQL 17, this is 18"):
        embedded_postgres.start(tmp_path, report=ignore)


def test_a_start_that_fails_names_the_log(data_dir: Path) -> None:
    settings = data_dir / "postgres" / "postgresql.auto.conf"
    original = settings.read_bytes()
    settings.write_text("shared_buffers = nonsense\n")
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"its log .*/postgres\.log is: .*configuration file"):
            embedded_postgres.start(data_dir, report=ignore)
    finally:
        settings.write_bytes(original)


def test_a_server_whose_data_are_gone_is_not_replaced_by_an_empty_one(data_dir: Path) -> None:
    with embedded_postgres.running(data_dir) as handle:
        pid = postmaster.get_postmaster_pid(data_dir / "postgres")
        (data_dir / "postgres").rename(data_dir / "elsewhere")
        try:
            with pytest.raises(EmbeddedPostgresError, match="is gone"):
                handle.ensure_running()
        finally:
            (data_dir / "elsewhere").rename(data_dir / "postgres")
        assert postmaster.get_postmaster_pid(data_dir / "postgres") == pid


def test_others_may_pass_through_but_not_list_and_only_where_it_is_needed(scratch: Path) -> None:
    closed, open_ = scratch / "closed", scratch / "closed" / "open"
    open_.mkdir(parents=True)
    (open_ / "cluster").mkdir(mode=0o700)
    closed.chmod(0o700)
    open_.chmod(0o755)
    said: list[str] = []
    for _ in range(2):
        unprivileged.open_way(
            [open_ / "cluster"], account=unprivileged.Account(uid=54321, gid=54321), report=said.append
        )
    assert [path.stat().st_mode & 0o777 for path in (closed, open_, open_ / "cluster")] == [
        0o701,
        0o755,
        0o700,
    ]
    assert len(said) == 1
    assert str(closed) in said[0]
    assert str(open_) not in said[0]


def test_programs_installed_under_a_strict_umask_can_be_run_by_others(tmp_path: Path) -> None:
    tree = tmp_path / "programs"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "postgres").touch()
    (tree / "readme").touch()
    modes = {tree: 0o700, tree / "bin": 0o700, tree / "bin" / "postgres": 0o700, tree / "readme": 0o600}
    for path, mode in modes.items():
        path.chmod(mode)
    unprivileged.open_programs([tree, tmp_path / "missing"])
    assert [path.stat().st_mode & 0o777 for path in modes] == [0o705, 0o705, 0o705, 0o604]
