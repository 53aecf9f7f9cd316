"""A stage on the way of one message, and what can be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils import timezone

from messaging.message_facts import Facts, Job
from messaging.models import RawMessage

FORGOTTEN = "What it said is forgotten."
PAUSED = "The person has paused the bot with /stop."
TRY_NOW = "Try now"  # what waits for its time
NO_JOB = "No job is working on it."


class Name(StrEnum):
    """The stages, in their order."""

    RECEIVED = "received"
    MEDIA = "media"
    DESCRIBED = "described"
    ANSWERED = "answered"
    REMEMBERED = "remembered"
    SENT = "sent"
    DELIVERED = "delivered"


class State(StrEnum):
    """How far a stage is. ``SKIPPED``: there is nothing to do."""

    DONE = "done"
    WAITING = "waiting"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: when it ended, what it took, and a line for each of its parts.

    ``retry`` names what can be done about it, "" if nothing can; ``obstacle`` says why not.
    """

    name: Name
    state: State
    at: datetime | None = None
    took: timedelta | None = None
    detail: str = ""
    error: str = ""
    lines: Sequence[str] = ()
    retry: str = ""
    obstacle: str = ""


def offer(stage: Stage, label: str, *, job: Job | None, obstacle: str) -> Stage:
    """A stage with what can be done about it: what failed is done again, what is put off is tried now."""
    if stage.state == State.WAITING and job is not None and job.is_put_off:
        return replace(stage, retry=TRY_NOW)
    if stage.state == State.FAILED:
        return replace(stage, obstacle=obstacle) if obstacle else replace(stage, retry=label)
    return stage


def is_unanswered(facts: Facts) -> bool:
    """Whether an answer is still to come."""
    has_answer = facts.turn is not None and facts.turn.answered_at is not None
    waiting = (RawMessage.Status.RECEIVED, RawMessage.Status.HELD)
    return facts.raw.status in waiting and not has_answer


def describe_job(job: Job | None) -> str:
    """How it is with a live job."""
    if job is None:
        return ""
    if job.is_left:
        return "Its worker has died; another one takes over within seconds."
    if job.is_running:
        return "Being worked on now."
    if job.scheduled_at is not None and job.scheduled_at > timezone.now():
        return f"Waits until {job.scheduled_at:%H:%M:%S} UTC{', after a failure' if job.attempts else ''}."
    return "Queued: the next worker that is free takes it."


def get_duration(start: datetime | None, end: datetime | None) -> timedelta | None:
    """The time between, if both are known and in order: what was there before took no time."""
    return end - start if start and end and end >= start else None
