"""Is the process up, and can it do its work?"""

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.http import HttpRequest, HttpResponse

from whatsbot import database
from whatsbot.integrations import mem0

WORKER_SILENT_AFTER_SECONDS = 15
PATIENCE_SECONDS = 5.0  # for all checks together
PROBES = "health"  # the folder of the file store in which one small object comes and goes


def is_live(request: HttpRequest) -> HttpResponse:
    """``GET /health/live``: 200 while the process answers; open, says nothing else."""
    return HttpResponse("ok", content_type="text/plain")


def run_checks() -> dict[str, dict[str, bool | float]]:
    """Each part's ``ok`` and the milliseconds it took; one that is silent for `PATIENCE_SECONDS` is not ok."""
    database.release_connection()  # each check has one of its own
    started = time.monotonic()
    pool = ThreadPoolExecutor(len(CHECKS), thread_name_prefix="health")
    try:
        running = {name: pool.submit(_time, check) for name, check in CHECKS.items()}
        results: dict[str, dict[str, bool | float]] = {}
        for name, check in running.items():
            try:
                results[name] = check.result(timeout=max(0.0, started + PATIENCE_SECONDS - time.monotonic()))
            except TimeoutError:
                results[name] = {"ok": False, "ms": round(PATIENCE_SECONDS * 1000, 1)}
        return results
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _time(check: Callable[[], bool]) -> dict[str, bool | float]:
    started = time.monotonic()
    try:
        ok = check()
    except Exception:  # whatever it is: it is not ok, and why is no affair of the caller
        ok = False
    finally:
        connection.close()
    return {"ok": ok, "ms": round((time.monotonic() - started) * 1000, 1)}


def _check_database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone() == (1,)


def _check_worker() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM procrastinate_workers"
            " WHERE last_heartbeat > now() - %s * interval '1 s')",
            [WORKER_SILENT_AFTER_SECONDS],
        )
        return bool(cursor.fetchone()[0])


def _check_storage() -> bool:
    """Write, read and delete: a full disk and a lost permission show only so."""
    content = secrets.token_bytes(16)
    name = default_storage.save(f"{PROBES}/{content.hex()}", ContentFile(content))
    try:
        with default_storage.open(name) as file:
            return bool(file.read() == content)
    finally:
        default_storage.delete(name)


def _check_mem0() -> bool:
    mem0.check()
    return True


CHECKS: dict[str, Callable[[], bool]] = {
    "database": _check_database,
    "worker": _check_worker,
    "storage": _check_storage,
    "mem0": _check_mem0,
}
