"""All that is kept of one message and of the turn that answered it, in a constant number of statements."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from media.models import MessageMedia
from memories.models import Citation, Memory, MemoryHistory
from messaging.content import MediaSource, get_media_sources
from messaging.delivery import SEND_MESSAGE
from messaging.inbound import PROCESS_MESSAGE, TAKE_MEDIA
from messaging.models import DeliveryEvent, Interaction, OutboundMessage, RawMessage
from messaging.resending import SEND_AGAIN

# A worker says that it is there every 3 s; one that was silent for so long is dead (messaging/tasks.py).
SILENCE = timedelta(seconds=12)

# Live jobs only, by the index of locks (messaging/migrations/0002): jobs that are done are many, and tell nothing that
# their rows do not. Jobs that fetch files have no lock.
_JOBS = """
    SELECT job.id, job.task_name, job.status::text, job.attempts, job.scheduled_at,
        (job.args->>'raw_message_id')::bigint, job.args->>'outbound_id', worker.last_heartbeat
    FROM (
        SELECT * FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND lock = ANY(%(locks)s)
        UNION ALL
        SELECT * FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND lock IS NULL
            AND %(has_files)s AND task_name = %(take_media)s
    ) AS job LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id
    WHERE job.task_name = ANY(%(tasks)s)
        AND (job.args->>'raw_message_id' = ANY(%(messages)s) OR job.args->>'outbound_id' = ANY(%(parts)s))
    ORDER BY job.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of a message or of a part of its answer that is queued or running."""

    id: int
    task: str
    is_running: bool
    attempts: int
    scheduled_at: datetime | None
    raw_message_id: int | None
    outbound_id: str | None
    heard_at: datetime | None  # of the worker that runs it, last

    @property
    def is_put_off(self) -> bool:
        """Whether it has been tried and waits for its time."""
        is_later = self.scheduled_at is not None and self.scheduled_at > timezone.now()
        return not self.is_running and self.attempts > 0 and is_later

    @property
    def is_left(self) -> bool:
        """Whether its worker has died; another one takes it over soon."""
        is_heard = self.heard_at is not None and self.heard_at > timezone.now() - SILENCE
        return self.is_running and not is_heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is kept of a message.

    ``messages`` are those of the turn, oldest first, mostly the one; memories and answer belong to them together, files
    (``links``, by position) to the one. ``sources`` are the files it came with.
    """

    raw: RawMessage
    turn: Interaction | None
    messages: list[RawMessage]
    sources: list[MediaSource]
    links: dict[int, MessageMedia]
    memories: list[Memory]
    corrected: list[Memory]
    repeated: list[MemoryHistory]
    citations: list[Citation]
    parts: list[OutboundMessage]
    events: list[DeliveryEvent]
    jobs: list[Job] = field(default_factory=list)

    def find_answer_job(self) -> Job | None:
        """The live job that answers."""
        return next((job for job in self.jobs if job.task == PROCESS_MESSAGE), None)

    def find_media_job(self) -> Job | None:
        """The live job that takes in the files of the message."""
        mine = (job for job in self.jobs if job.raw_message_id == self.raw.id)
        return next((job for job in mine if job.task == TAKE_MEDIA), None)

    def find_send_job(self, part: OutboundMessage) -> Job | None:
        """The live job that sends a part, or finds out whether it may be sent again."""
        return next((job for job in self.jobs if job.outbound_id == str(part.id)), None)


def get_facts(raw_message_id: int) -> Facts | None:
    """All that is kept of a message, or None if there is no such message."""
    raw = RawMessage.objects.select_related("user", "turn", "interaction").filter(id=raw_message_id).first()
    if raw is None:
        return None
    turn: Interaction | None = raw.turn or getattr(raw, "interaction", None)
    messages = list(turn.messages.order_by("id")) if turn else []
    messages = messages or [raw]
    ids = [each.id for each in messages]
    links = MessageMedia.objects.filter(raw_message=raw).select_related("file")
    repeated = MemoryHistory.objects.filter(raw_message_id__in=ids, kind=MemoryHistory.Kind.REPEATED)
    citations = Citation.objects.filter(interaction=turn).select_related("memory").order_by("rank")
    parts = list(OutboundMessage.objects.filter(interaction=turn).order_by("part")) if turn else []
    for part in parts:
        part.user = raw.user
    events = DeliveryEvent.objects.filter(outbound_message__in=parts).order_by("id")
    sources = get_media_sources(raw)
    return Facts(
        raw=raw,
        turn=turn,
        messages=messages,
        sources=sources,
        links={link.position: link for link in links},
        memories=list(Memory.objects.filter(raw_message_id__in=ids).order_by("number")),
        corrected=list(Memory.objects.filter(corrected_by_id__in=ids).order_by("number")),
        repeated=list(repeated.select_related("memory").order_by("id")),
        citations=list(citations) if turn else [],
        parts=parts,
        events=list(events) if parts else [],
        jobs=_get_jobs(raw, messages=ids, parts=parts, has_files=bool(sources)),
    )


def _get_jobs(
    raw: RawMessage, *, messages: Iterable[int], parts: Iterable[OutboundMessage], has_files: bool
) -> list[Job]:
    parameters: dict[str, Any] = {
        "locks": [f"user:{raw.user_id}", f"outbox:{raw.user_id}"],
        "tasks": [PROCESS_MESSAGE, TAKE_MEDIA, SEND_MESSAGE, SEND_AGAIN],
        "take_media": TAKE_MEDIA,
        "has_files": has_files,
        "messages": [str(each) for each in messages],
        "parts": [str(part.id) for part in parts],
    }
    with connection.cursor() as cursor:
        cursor.execute(_JOBS, parameters)
        return [
            Job(
                id=number,
                task=task,
                is_running=status == "doing",
                attempts=attempts,
                scheduled_at=scheduled_at,
                raw_message_id=raw_message_id,
                outbound_id=outbound_id,
                heard_at=heard_at,
            )
            for number, task, status, attempts, scheduled_at, raw_message_id, outbound_id, heard_at in cursor.fetchall()
        ]
