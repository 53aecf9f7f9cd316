"""Is the process up, and can it do its work?"""

import time

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

WORKER_SILENT_AFTER_SECONDS = 15


def is_live(request: HttpRequest) -> HttpResponse:
    """``GET /health/live``: 200 while the process answers; open, says nothing else."""
    return HttpResponse("ok", content_type="text/plain")


@api_view(["GET"])
def is_ready(request: Request) -> Response:
    """``GET /health/ready``: 200 if the database answers and a worker has been heard of lately, else 503.

    Each check says how long it took, in milliseconds.
    """
    started = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT 1 FROM procrastinate_workers"
                " WHERE last_heartbeat > now() - %s * interval '1 s')",
                [WORKER_SILENT_AFTER_SECONDS],
            )
            database, worker = True, bool(cursor.fetchone()[0])
    except DatabaseError:
        database, worker = False, False
    milliseconds = round((time.monotonic() - started) * 1000, 1)
    checks = {"database": {"ok": database, "ms": milliseconds}, "worker": {"ok": worker, "ms": milliseconds}}
    return Response(checks, status=200 if database and worker else 503)
