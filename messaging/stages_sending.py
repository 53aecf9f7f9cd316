"""The stages from an answer to its delivery, part by part."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from messaging.message_facts import Facts, Job
from messaging.models import OutboundMessage
from messaging.resending import find_obstacle
from messaging.stage import Name, Stage, State, describe_job, get_duration, is_unanswered, offer
from whatsbot.integrations.twilio_error_texts import describe_error

Sending = OutboundMessage.Status


def look_at_sending(facts: Facts) -> Stage:
    """The parts of the answer were taken by Twilio."""
    name, parts = Name.SENT, facts.parts
    if not parts:
        state = State.WAITING if is_unanswered(facts) else State.SKIPPED
        return Stage(
            name=name, state=state, detail="Comes after the answer." if state == State.WAITING else ""
        )
    unsent = [part for part in parts if part.status in (Sending.PENDING, Sending.SENDING)]
    failed = [part for part in parts if part.status == Sending.FAILED and part.twilio_sid is None]
    at = max((part.sent_at for part in parts if part.sent_at), default=None)
    answered_at = facts.turn.answered_at if facts.turn else None
    is_done = not unsent and not failed
    lines = [
        f"Part {part.part}{' (a file)' if part.has_media else ''}: "
        f"{_say_sent(part)}{f', attempt {part.attempts}' if part.attempts > 1 else ''}"
        for part in parts
    ]
    return _look_at_parts(
        facts,
        name=name,
        unfinished=[*unsent, *failed],
        at=at if is_done else None,
        took=get_duration(answered_at, at) if is_done else None,
        lines=lines,
    )


def _say_sent(part: OutboundMessage) -> str:
    if part.status in (Sending.PENDING, Sending.SENDING):
        return "not sent yet" if part.status == Sending.PENDING else "being sent, or its outcome is unknown"
    return "sent" if part.twilio_sid else "not taken by Twilio"


def look_at_delivery(facts: Facts) -> Stage:
    """They reached the person, as far as Twilio reports."""
    name = Name.DELIVERED
    parts = [part for part in facts.parts if part.twilio_sid]
    if not parts:
        is_coming = is_unanswered(facts) or any(part.status != Sending.FAILED for part in facts.parts)
        state = State.WAITING if is_coming else State.SKIPPED
        return Stage(name=name, state=state, detail="Comes after sending." if is_coming else "")
    lines = [f"Part {part.part}: {part.get_status_display().lower()}" for part in parts]
    failed = [part for part in parts if part.status == Sending.FAILED]
    if failed:
        return _look_at_parts(facts, name=name, unfinished=failed, at=None, took=None, lines=lines)
    if any(part.status not in (Sending.DELIVERED, Sending.READ) for part in parts):
        detail = (
            "Twilio has it and has not reported its delivery. It never does if the person has blocked us."
        )
        return Stage(name=name, state=State.WAITING, detail=detail, lines=lines)
    moments = [part.delivered_at or part.read_at for part in parts]
    at = max((moment for moment in moments if moment), default=None)
    sent_at = max((part.sent_at for part in parts if part.sent_at), default=None)
    return Stage(name=name, state=State.DONE, at=at, took=get_duration(sent_at, at), lines=lines)


def _look_at_parts(
    facts: Facts,
    *,
    name: Name,
    unfinished: Sequence[OutboundMessage],
    at: datetime | None,
    took: timedelta | None,
    lines: Sequence[str],
) -> Stage:
    """A stage of parts, of which some are not where they should be."""
    jobs = [facts.find_send_job(part) for part in unfinished]
    without_job = [part for part, job in zip(unfinished, jobs, strict=True) if job is None]
    state = State.FAILED if without_job else State.WAITING if unfinished else State.DONE
    failed = [part for part in without_job if part.status == Sending.FAILED]
    obstacles = [find_obstacle(part) for part in failed]
    obstacle = obstacles[0] if failed and len(failed) == len(without_job) and all(obstacles) else ""
    stage = Stage(
        name=name,
        state=state,
        at=at,
        took=took,
        detail=describe_job(_pick(jobs)) if state == State.WAITING else "",
        error=" ".join(say_once(describe_error(part.error_code) for part in unfinished)),
        lines=lines,
    )
    return offer(stage, "Send again", job=_pick(jobs), obstacle=obstacle)


def _pick(jobs: Iterable[Job | None]) -> Job | None:
    """The job to speak of: one that is put off, if there is one."""
    alive = [job for job in jobs if job is not None]
    return next((job for job in alive if job.is_put_off), alive[0] if alive else None)


def say_once(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
