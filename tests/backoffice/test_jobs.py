"""Jobs can be looked at, and done now where that doubles nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.audit import Action
from accounts.models import AuditEvent
from backoffice.jobs import can_run_now, run_now
from messaging.erasure import FORGET_RECEIPT
from tests.backoffice.conftest import Staff

pytestmark = pytest.mark.django_db
LIST = "/admin/procrastinate/procrastinatejob/"
LATER = timedelta(hours=1)


def make_job(
    *,
    task: str = "messaging.send_message",
    status: str = "todo",
    after: timedelta | None = None,
    **fields: Any,
) -> ProcrastinateJob:
    """A job of the queue, due after so long."""
    columns = {
        "queue_name": "outbox",
        "task_name": task,
        "status": status,
        "args": '{"outbound_id": "11111111-2222-3333-4444-555555555555"}',
        "scheduled_at": timezone.now() + after if after is not None else None,
    } | fields
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO procrastinate_jobs ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
            " RETURNING id",
            [*columns.values()],
        )
        row = cursor.fetchone()
    assert row is not None
    return ProcrastinateJob.objects.get(id=row[0])


def test_what_has_failed_or_waits_is_done_now_and_that_is_written_down(operator: Staff) -> None:
    failed, waiting = make_job(status="failed"), make_job(after=LATER)
    left = [make_job(status=status) for status in ("doing", "succeeded", "todo", "cancelled")]
    jobs = [failed, waiting, *left]
    page = operator.post(
        LIST,
        {"action": "run_selected_now", "_selected_action": [job.id for job in jobs], "index": "0"},
        follow=True,
    )
    said = page.content.decode()
    assert "2 jobs will be done now." in said
    assert "4 jobs left alone" in said
    for job in (failed, waiting):
        job.refresh_from_db()
        assert job.status == "todo"
        assert job.scheduled_at is None or job.scheduled_at <= timezone.now()
    for job in left:
        status = job.status
        job.refresh_from_db()
        assert job.status == status
    events = AuditEvent.objects.filter(action=Action.RETRIED).order_by("id")
    assert [(event.staff_name, event.object_id, event.detail) for event in events] == [
        ("operator", str(job.id), {"task": "messaging.send_message"}) for job in (failed, waiting)
    ]


def test_what_would_forget_a_receipt_too_early_waits(operator: Staff) -> None:
    receipt = make_job(task=FORGET_RECEIPT, after=LATER)
    assert run_now([receipt.id], staff=operator.login_of) == 0
    assert not can_run_now(receipt)
    assert "Do it now" not in operator.read(f"{LIST}{receipt.id}/change/")
    overdue = make_job(task=FORGET_RECEIPT, status="failed", after=-LATER)
    assert run_now([overdue.id], staff=operator.login_of) == 1


def test_a_job_that_waits_as_another_is_left_alone(operator: Staff) -> None:
    failed = make_job(task="messaging.sweep", status="failed", queueing_lock="sweep")
    other = make_job(status="failed")
    make_job(task="messaging.sweep", queueing_lock="sweep")
    assert run_now([failed.id, other.id], staff=operator.login_of) == 1
    failed.refresh_from_db()
    assert failed.status == "failed"
    assert AuditEvent.objects.count() == 1


def test_only_operators_see_jobs_and_have_them_done(
    sign_in: Callable[..., Staff], privacy: Staff, operator: Staff
) -> None:
    job = make_job(status="failed")
    assert privacy.get(LIST).status_code == 403
    assert privacy.get(f"{LIST}{job.id}/change/").status_code == 403
    assert "Do it now" in operator.read(f"{LIST}{job.id}/change/")
    looks_only = sign_in("Support")
    looks_only.login_of.user_permissions.set(Permission.objects.filter(codename="view_procrastinatejob"))
    assert "Do it now" not in looks_only.read(f"{LIST}{job.id}/change/")
    looks_only.post(LIST, {"action": "run_selected_now", "_selected_action": [job.id], "index": "0"})
    job.refresh_from_db()
    assert job.status == "failed"


def test_lists_are_filtered_and_cost_the_same_however_long(operator: Staff) -> None:
    made = {
        "due": make_job(),
        "later": make_job(after=LATER),
        "doing": make_job(status="doing"),
        "failed": make_job(status="failed"),
        "succeeded": make_job(status="succeeded"),
    }
    for state, job in made.items():
        page = operator.read(LIST, {"state": state})
        shown = {each for each in made.values() if f"{LIST}{each.id}/change/" in page}
        assert shown == {job}, state
    assert f"{LIST}{made['due'].id}/change/" in operator.read(LIST, {"q": f"#{made['due'].id}"})
    assert "0 " in operator.read(LIST, {"q": "zanzibar"})
    assert f"{LIST}{made['due'].id}/change/" not in operator.read(LIST, {"queue": "upkeep"})
    with CaptureQueriesContext(connection) as few:
        operator.read(LIST)
    for _ in range(20):
        make_job()
    with CaptureQueriesContext(connection) as many:
        operator.read(LIST)
    assert len(many) == len(few)


def test_a_job_says_what_it_does_what_for_and_what_happened(operator: Staff) -> None:
    job = make_job(after=LATER)
    run_now([job.id], staff=operator.login_of)
    page = operator.read(f"{LIST}{job.id}/change/")
    assert f"<title>Job {job.id}" in page.replace("<title> ", "<title>")
    assert "Send one part of an answer" in page
    assert "/admin/messaging/outboundmessage/11111111-2222-3333-4444-555555555555/change/" in page
    assert "deferred" in page
    unknown = make_job(task="gone", args='{"sources": [["SM1", "https://example.com"]]}')
    assert "A task this version does not know." in operator.read(f"{LIST}{unknown.id}/change/")
