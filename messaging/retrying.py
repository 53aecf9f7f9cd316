"""Staff have a failed stage of a message done again, by the jobs that do it anyway. Nobody is answered twice.

What can be retried is decided under a lock of the message, so that of two people who press at once one finds that the
other's job is at work.
"""

from typing import Any

from django.db import connection, transaction

from accounts import audit
from media.models import MessageMedia
from messaging.delivery import defer_send
from messaging.inbound import enqueue_media, enqueue_message
from messaging.message_facts import Facts, Job
from messaging.models import Interaction, OutboundMessage, RawMessage
from messaging.resending import defer_send_again, find_obstacle
from messaging.stage import TRY_NOW, Name, State
from messaging.stages import explain
from messaging.stages_working import MAY_BE_FETCHED_AGAIN
from whatsbot.exceptions import WhatsbotError

Sending = OutboundMessage.Status


class NothingToRetry(WhatsbotError):
    """There is nothing to retry."""


@transaction.atomic
def retry(raw_message_id: int, *, stage: str, staff: Any) -> None:
    """Have a stage of a message done again, or what is put off tried now; ``staff`` is the login that asks for it.

    Only enqueues: a worker does it. Raises NothingToRetry, which says why.
    """
    raw = RawMessage.objects.select_for_update(no_key=True).filter(id=raw_message_id).first()
    explanation = explain(raw_message_id) if raw else None
    if explanation is None:
        raise NothingToRetry("The message is gone.")
    found = next((each for each in explanation.stages if each.name == stage), None)
    if found is None or not found.retry:
        is_waiting = found is not None and found.state == State.WAITING
        reason = found.obstacle if found else ""
        raise NothingToRetry(reason or ("It is being worked on already." if is_waiting else None))
    facts = explanation.facts
    done = _hurry(facts, found.name) if found.retry == TRY_NOW else _AGAIN[found.name](facts)
    audit.record(
        audit.Action.RETRIED,
        staff=staff,
        person_id=facts.raw.user_id,
        subject=facts.raw,
        detail={"stage": str(found.name), "jobs": done},
    )


def _hurry(facts: Facts, stage: Name) -> int:
    """Let jobs that wait for their time run now. Returns how many did wait."""
    jobs: list[Job | None]
    if stage == Name.ANSWERED:
        jobs = [facts.find_answer_job()]
    elif stage in (Name.MEDIA, Name.DESCRIBED):
        jobs = [facts.find_media_job()]
    else:
        jobs = [facts.find_send_job(part) for part in facts.parts]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo' AND id = ANY(%s)",
            [[job.id for job in jobs if job is not None and job.is_put_off]],
        )
        return cursor.rowcount


def _answer(facts: Facts) -> int:
    """Answer it by the usual job, with all its attempts: what an attempt has done already is not done again."""
    if facts.turn is not None:
        Interaction.objects.filter(id=facts.turn.id, answered_at=None).update(attempts=0)
    enqueue_message(facts.raw)
    return 1


def _take_media(facts: Facts) -> int:
    """Fetch what was not to be had and describe what is not described. When it comes behind the answer, it is
    remembered and nothing is said."""
    links = MessageMedia.objects.filter(raw_message=facts.raw)
    links.filter(refusal__in=MAY_BE_FETCHED_AGAIN).update(refusal="")
    links.update(attempts=0)
    enqueue_media(facts.raw)
    return 1


def _send(facts: Facts) -> int:
    """Send what is not sent, each part by a job of its own; about what failed Twilio is asked first."""
    jobs = 0
    for part in facts.parts:
        if facts.find_send_job(part) is not None:
            continue
        if part.status in (Sending.PENDING, Sending.SENDING):
            defer_send(part)
        elif part.status == Sending.FAILED and not find_obstacle(part):
            defer_send_again(part)
        else:
            continue
        jobs += 1
    return jobs


_AGAIN = {
    Name.MEDIA: _take_media,
    Name.DESCRIBED: _take_media,
    Name.ANSWERED: _answer,
    Name.SENT: _send,
    Name.DELIVERED: _send,
}
