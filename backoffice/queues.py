"""What the workers have to do: jobs by queue, how long the oldest has waited, and who is there to do them."""

from dataclasses import dataclass

from django.db import connection

from whatsbot.health import WORKER_SILENT_AFTER_SECONDS

# A job without a time is due since it was put there; ids grow with time, so that the smallest is the oldest.
_QUEUES = """
    SELECT queue_name, due, running, scheduled, failed,
        extract(epoch FROM now() - least(timed, (
            SELECT max(at) FROM procrastinate_events WHERE job_id = untimed
        )))::float8
    FROM (
        SELECT queue_name,
            count(*) FILTER (WHERE is_due) AS due,
            count(*) FILTER (WHERE status = 'doing') AS running,
            count(*) FILTER (WHERE status = 'todo' AND NOT is_due) AS scheduled,
            count(*) FILTER (WHERE status = 'failed') AS failed,
            min(scheduled_at) FILTER (WHERE is_due) AS timed,
            min(id) FILTER (WHERE is_due AND scheduled_at IS NULL) AS untimed
        FROM (
            SELECT id, queue_name, status, scheduled_at,
                status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now()) AS is_due
            FROM procrastinate_jobs WHERE status IN ('todo', 'doing')
            UNION ALL
            SELECT id, queue_name, status, scheduled_at, false FROM procrastinate_jobs WHERE status IN ('failed')
        ) AS job
        GROUP BY queue_name
    ) AS queue
    ORDER BY queue_name
"""
_WORKERS = """
    SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - %s * interval '1 s'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The jobs of one queue.

    ``due`` should be done now and wait for a worker, since ``oldest_seconds``, if there are any; ``running`` are being
    done; ``scheduled`` come later; ``failed`` were given up in the last week.
    """

    name: str
    due: int
    running: int
    scheduled: int
    failed: int
    oldest_seconds: float | None


def get_queues() -> list[Queue]:
    """The queues that have any job that is not done, by name."""
    names = ("name", "due", "running", "scheduled", "failed", "oldest_seconds")
    with connection.cursor() as cursor:
        cursor.execute(_QUEUES)
        return [Queue(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def count_workers() -> int:
    """Worker processes that have been heard of lately."""
    with connection.cursor() as cursor:
        cursor.execute(_WORKERS, [WORKER_SILENT_AFTER_SECONDS])
        row = cursor.fetchone()
    assert row is not None
    count: int = row[0]
    return count
