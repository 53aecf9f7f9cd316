"""The jobs of the queue in the back-office: what waits, what runs, what has failed; and to have one done now.

A job's arguments are ids, so that nothing here says what anybody wrote. Jobs that are done are kept for a week.
"""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db import connection, transaction
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateEvent, ProcrastinateJob
from procrastinate.exceptions import UniqueViolation

from accounts.audit import Action, record
from backoffice.base import BrowseAdmin, BrowseList
from messaging.answers import shorten
from messaging.erasure import FORGET_RECEIPT
from whatsbot.admin import ChangeList, DropdownFilter

MAY_RETRY = "accounts.retry_work"
# Before its time the receipt of an erasure is still what tells a repeated delivery from a new message, and its answer
# may not be sent yet.
NEVER_EARLY = (FORGET_RECEIPT,)
MOST_ARGUMENTS = 200  # characters in a list
MOST_EVENTS = 50
# The lists an argument's row is found in.
LISTS: Mapping[str, str] = {
    "raw_message_id": "messaging.rawmessage",
    "outbound_id": "messaging.outboundmessage",
    "message_media_id": "media.messagemedia",
    "memory_id": "memories.memory",
    "user_id": "accounts.whatsappuser",
    "delivery_id": "api.webhookdelivery",
}


@transaction.atomic
def run_now(job_ids: Collection[int], *, staff: Any) -> int:
    """Have jobs done now that have failed or wait for their time; returns how many. Who did it is written down.

    No reply is doubled by it: every job of ours may run any number of times, because workers are killed. A message that
    is answered is left alone (messaging/turns.py); a part is sent only if its row still waits for it, and looked up at
    Twilio first if an earlier try may have reached it (messaging/delivery.py). Where something is to be waited for, the
    job itself asks for it again. Jobs that are being done are left alone: twice at once they would pass each other's
    locks, and a worker that has died loses its jobs within seconds. What must not come early does not (`NEVER_EARLY`).
    """
    jobs = ProcrastinateJob.objects.select_for_update().filter(id__in=job_ids)
    done = 0
    # A worker leaves out rows that are locked; what it has fetched before is in work by the time it is read here.
    for job in jobs.order_by("id"):
        if not can_run_now(job):
            continue
        try:
            with transaction.atomic():
                _put_back(job)
        except UniqueViolation:  # of a queueing lock: another job waits that does the same
            continue
        record(Action.RETRIED, staff=staff, subject=job, detail={"task": job.task_name})
        done += 1
    return done


def can_run_now(job: ProcrastinateJob) -> bool:
    """Whether there is anything to put forward: it has failed, or waits for its time and need not."""
    is_early = job.scheduled_at is not None and job.scheduled_at > timezone.now()
    if is_early and job.task_name in NEVER_EARLY:
        return False
    return job.status == "failed" or (job.status == "todo" and is_early)


def _put_back(job: ProcrastinateJob) -> None:
    if job.status == "failed":
        app.job_manager.retry_job_by_id(job.id, retry_at=timezone.now())
        return
    with connection.cursor() as cursor:  # procrastinate's models cannot be written to
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE id = %s", [job.id])


class StateFilter(DropdownFilter):
    """By what is the matter with a job."""

    title = "state"
    parameter_name = "state"
    STATES: Mapping[str, str] = {
        "due": "due now",
        "doing": "in work",
        "later": "waits for its time",
        "failed": "failed",
        "cancelled": "cancelled",
        "aborted": "aborted",
        "succeeded": "done",
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The states."""
        return [*self.STATES.items()]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """Each has an index, but for what is done, which are nearly all."""
        now = timezone.now()
        match self.value():
            case "due":
                return queryset.filter(Q(scheduled_at=None) | Q(scheduled_at__lte=now), status="todo")
            case "later":
                return queryset.filter(status="todo", scheduled_at__gt=now)
            case status if status in self.STATES:
                return queryset.filter(status=status)
        return queryset


class QueueFilter(DropdownFilter):
    """By queue: those of our tasks, because asking the table would read all of it."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The queues."""
        return [(name, name) for name in sorted({task.queue for task in app.tasks.values()})]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """Those of one queue."""
        return queryset.filter(queue_name=self.value()) if self.value() else queryset


class TaskFilter(DropdownFilter):
    """By what is to be done."""

    title = "task"
    parameter_name = "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The tasks."""
        return [(name, name) for name in sorted(app.tasks)]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """Those of one task."""
        return queryset.filter(task_name=self.value()) if self.value() else queryset


class JobList(BrowseList):
    """A page of jobs that know when they were begun last: ``begun_at``."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows of the page."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]
        begun = ProcrastinateEvent.objects.filter(job__in=[row.pk for row in rows], type="started")
        latest = dict(begun.order_by().values_list("job").annotate(Max("at")))
        for row in rows:
            row.begun_at = latest.get(row.pk)
        self.result_list = rows


admin.site.unregister(ProcrastinateJob)


@admin.register(ProcrastinateJob)
class JobAdmin(BrowseAdmin):
    """What the workers do, newest first."""

    title = "Jobs"
    list_display = (
        *("id", "task_name", "what", "queue_name", "state", "attempts"),
        *("scheduled", "started"),
    )
    list_filter = (StateFilter, QueueFilter, TaskFilter)
    searches = ("id:id",)
    search_help_text = "The number of a job"
    actions = ("run_selected_now",)
    fields = readonly_fields = (
        *("id", "task_name", "purpose", "arguments", "queue_name", "state", "attempts", "scheduled"),
        *("lock", "queueing_lock", "priority", "worker_id", "events"),
    )
    change_form_outer_before_template = "backoffice/run_now.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list that knows when jobs were begun."""
        return JobList

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        """The job with this number."""
        typed = search_term.strip().removeprefix("#")
        if not typed:
            return queryset, False
        is_id = typed.isascii() and typed.isdigit() and len(typed) < 19
        return (queryset.filter(id=int(typed)) if is_id else queryset.none()), False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Looking is not enough to have something done."""
        return request.user.has_perm(MAY_RETRY)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """One job, with the button for those who may press it, where it would do anything."""
        job = self.get_object(request, object_id)
        is_offered = job is not None and self.has_retry_permission(request) and can_run_now(job)
        extra = {"title": f"Job {object_id}", "can_run_now": is_offered}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | extra)

    @admin.action(description="Do now what has failed or waits for its time", permissions=["retry"])
    def run_selected_now(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        """Put jobs to the front of their time."""
        asked = list(queryset.values_list("id", flat=True))
        done = run_now(asked, staff=request.user)
        left = len(asked) - done
        if done:
            self.message_user(request, f"{done} {_jobs(done)} will be done now.", messages.SUCCESS)
        if left:
            reason = (
                "in work or done already, due anyway, waiting as another job, or not allowed to come early"
            )
            self.message_user(request, f"{left} {_jobs(left)} left alone: {reason}.", messages.WARNING)

    @admin.display(description="Arguments")
    def what(self, job: ProcrastinateJob) -> str:
        """The beginning of the arguments."""
        return shorten(_write_arguments(job), limit=MOST_ARGUMENTS)

    @admin.display(description="State")
    def state(self, job: ProcrastinateJob) -> str:
        """What is the matter with it."""
        if job.status == "todo":
            is_later = job.scheduled_at is not None and job.scheduled_at > timezone.now()
            return StateFilter.STATES["later" if is_later else "due"]
        return StateFilter.STATES.get(job.status, job.status)

    @admin.display(description="Not before")
    def scheduled(self, job: ProcrastinateJob) -> str:
        """When it is due, where that was said."""
        return _write_time(job.scheduled_at)

    @admin.display(description="Begun last")
    def started(self, job: Any) -> str:
        """When a worker took it the last time."""
        return _write_time(job.begun_at)

    @admin.display(description="What it does")
    def purpose(self, job: ProcrastinateJob) -> str:
        """The first sentence of the task's description."""
        task = app.tasks.get(job.task_name)
        return ((task.func.__doc__ if task else "") or "A task this version does not know.").partition("\n")[
            0
        ]

    @admin.display(description="Arguments")
    def arguments(self, job: ProcrastinateJob) -> str:
        """All of them, with links to the rows they name."""
        return format_html_join(
            ", ", "{}: {}", ((name, _link(name, value)) for name, value in job.args.items())
        )

    @admin.display(description="What happened")
    def events(self, job: ProcrastinateJob) -> str:
        """The last events, newest first."""
        latest = ProcrastinateEvent.objects.filter(job=job).order_by("-id")[:MOST_EVENTS]
        lines = (
            (f"{event.at:%Y-%m-%d %H:%M:%S}", event.type.replace("_", " ")) for event in latest if event.at
        )
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{} {}</li>", lines))


def _write_arguments(job: ProcrastinateJob) -> str:
    return ", ".join(
        f"{name}: {value if isinstance(value, str | int) else json.dumps(value)}"
        for name, value in job.args.items()
    )


def _link(name: str, value: Any) -> str:
    if name not in LISTS:
        return str(value if isinstance(value, str | int) else json.dumps(value))
    address = reverse(f"admin:{LISTS[name].replace('.', '_')}_change", args=[value])
    return format_html(
        '<a href="{}" class="text-primary-600 underline dark:text-primary-500">{}</a>', address, value
    )


def _write_time(time: datetime | None) -> str:
    return f"{time:%-d %b %Y, %H:%M:%S}" if time else ""


def _jobs(count: int) -> str:
    return "job" if count == 1 else "jobs"
