"""The stages from a message coming in to what is remembered of it."""

from django.conf import settings

from media.describing import can_be_described
from media.models import MessageMedia
from messaging.content import name_kind
from messaging.delivery import is_within_window
from messaging.journal import read_tool_steps
from messaging.limits import has_spent_tokens
from messaging.message_facts import Facts
from messaging.models import Interaction, RawMessage
from messaging.stage import (
    FORGOTTEN,
    NO_JOB,
    PAUSED,
    Name,
    Stage,
    State,
    describe_job,
    get_duration,
    is_unanswered,
    offer,
)

Refusal = MessageMedia.Refusal
# Refused for what was so then, not for what the file is.
MAY_BE_FETCHED_AGAIN = (Refusal.UNREACHABLE, Refusal.GONE, Refusal.DEADLY)
TOO_LATE = "The 24 hours in which WhatsApp takes an answer are over: it would be kept and not sent."
NOT_BY_THE_BOT = "By a member of staff; or what answered it is deleted since."
REFUSED = {
    Refusal.TOO_BIG: "too big",
    Refusal.EMPTY: "empty",
    Refusal.TYPE: "of a type we do not keep",
    Refusal.MIXED: "valid as two types at once",
    Refusal.BROKEN: "broken",
    Refusal.BOMB: "far bigger opened than sent",
    Refusal.ADDRESS: "not where Twilio keeps files",
    Refusal.GONE: "gone at Twilio's",
    Refusal.UNREACHABLE: "could not be fetched within a day",
    Refusal.DEADLY: "killed its worker each time",
    Refusal.REPEATED: "in this message already",
    Refusal.DELETED: "deleted by staff",
}


def look_at_receiving(facts: Facts) -> Stage:
    """The message came in."""
    raw = facts.raw
    detail = "What it said is forgotten since." if raw.redacted_at else ""
    if len(facts.messages) > 1:
        detail = f"{detail} One of {len(facts.messages)} messages that were answered together.".strip()
    return Stage(name=Name.RECEIVED, state=State.DONE, at=raw.received_at, detail=detail)


def look_at_media(facts: Facts) -> Stage:
    """Its files were fetched and kept."""
    raw, name = facts.raw, Name.MEDIA
    if not facts.sources:
        return Stage(name=name, state=State.SKIPPED, detail="No files came with it, or they are forgotten.")
    links = [facts.links.get(source.position) for source in facts.sources]
    kept = [link.file for link in links if link and link.file and link.file.stored_at]
    refused = [link for link in links if link and link.refusal and link.refusal != Refusal.REPEATED]
    repeated = sum(link is not None and link.refusal == Refusal.REPEATED for link in links)
    is_missing = len(kept) + len(refused) + repeated < len(links)
    job = facts.find_media_job()
    state = State.FAILED if refused or (is_missing and job is None) else State.DONE
    if job is not None and (is_missing or refused):
        state = State.WAITING
    at = max((file.stored_at for file in kept if file.stored_at), default=None)
    can_retry = is_missing or any(link.refusal in MAY_BE_FETCHED_AGAIN for link in refused)
    obstacle = PAUSED if raw.user.opted_out_at else ""
    if not can_retry and refused:
        obstacle = "It was refused for what it is, and would be again."
    stage = Stage(
        name=name,
        state=state,
        at=max(at, raw.received_at) if at and state == State.DONE else None,
        took=get_duration(raw.received_at, at) if state == State.DONE else None,
        detail=describe_job(job) if state == State.WAITING else NO_JOB if is_missing and not job else "",
        lines=[
            _say_file(source.content_type, link) for source, link in zip(facts.sources, links, strict=True)
        ],
    )
    return offer(stage, "Fetch again", job=job, obstacle=obstacle)


def _say_file(content_type: str, link: MessageMedia | None) -> str:
    kind, file = name_kind(content_type), link.file if link else None
    if link is None or (not link.refusal and (file is None or file.stored_at is None)):
        return f"{kind}: not here yet"
    if file is None or file.stored_at is None:
        return f"{kind}: refused, {REFUSED[Refusal(link.refusal)]}"
    return f"{file.kind}: kept{', as it was before' if file.stored_at < link.sent_at else ''}"


def look_at_description(facts: Facts) -> Stage:
    """Its files were looked into by the language model."""
    name = Name.DESCRIBED
    files = [link.file for link in facts.links.values() if link.file and link.file.stored_at]
    files = [file for file in files if file.described_at or can_be_described(file)]
    if not files:
        return Stage(name=name, state=State.SKIPPED, detail="Nothing that a language model would describe.")
    left = [file for file in files if file.described_at is None]
    lines = [
        f"{file.kind}: {'by ' + file.described_by if file.described_at else 'not yet'}" for file in files
    ]
    if not left:
        at = max(file.described_at for file in files if file.described_at)
        return Stage(
            name=name,
            state=State.DONE,
            at=at,
            took=get_duration(max(file.stored_at for file in files if file.stored_at), at),
            lines=lines,
        )
    if not settings.GEMINI_API_KEY:
        return Stage(name=name, state=State.SKIPPED, detail="No language model is set up.", lines=lines)
    job = facts.find_media_job()
    state = State.WAITING if job else State.FAILED
    obstacle = PAUSED if facts.raw.user.opted_out_at else ""
    if not obstacle and has_spent_tokens(facts.raw.user_id):
        obstacle = "The person's share of the language model is spent for today."
    stage = Stage(
        name=name,
        state=state,
        detail=describe_job(job) if job else NO_JOB,
        error=", ".join(dict.fromkeys(file.description_error for file in left if file.description_error)),
        lines=lines,
    )
    return offer(stage, "Describe again", job=job, obstacle=obstacle)


def look_at_answer(facts: Facts) -> Stage:
    """It was answered, alone or with others."""
    raw, turn, name = facts.raw, facts.turn, Name.ANSWERED
    if raw.status == RawMessage.Status.IGNORED:
        return Stage(
            name=name,
            state=State.SKIPPED,
            detail="Never answered: a reaction, an opt-out, or anything but a command after /stop.",
        )
    if turn is not None and turn.answered_at is not None:
        is_apology = turn.kind == Interaction.Kind.APOLOGY
        earlier = f" (before: {turn.error})" if turn.error and not is_apology else ""
        tried = "at the first attempt" if turn.attempts <= 1 else f"after {turn.attempts} attempts"
        return Stage(
            name=name,
            state=State.FAILED if is_apology else State.DONE,
            at=turn.answered_at,
            took=get_duration(turn.started_at, turn.answered_at),
            detail=f"{turn.get_kind_display()}, {tried}{earlier}",
            error=turn.error if is_apology else "",
            obstacle="The person was told that it failed. No message is answered twice."
            if is_apology
            else "",
        )
    if raw.status == RawMessage.Status.HELD:
        return Stage(name=name, state=State.WAITING, detail="A member of staff has the conversation.")
    if turn is None and raw.status == RawMessage.Status.ANSWERED:
        return Stage(name=name, state=State.DONE, detail=NOT_BY_THE_BOT)
    job = facts.find_answer_job()
    state = State.WAITING if job else State.FAILED
    begun = f"Attempts: {turn.attempts}. " if turn else ""
    late = "" if is_within_window(raw.user) else f" {TOO_LATE}"
    stage = Stage(
        name=name,
        state=state,
        detail=begun + (describe_job(job) if job else NO_JOB) + late,
        error=turn.error if turn else "",
    )
    return offer(stage, "Answer it", job=job, obstacle=FORGOTTEN if raw.redacted_at else "")


def look_at_memories(facts: Facts) -> Stage:
    """What it said was remembered."""
    name, turn = Name.REMEMBERED, facts.turn
    lines = [f"#{memory.number} saved" for memory in facts.memories]
    lines += [f"#{memory.number} corrected" for memory in facts.corrected]
    lines += [f"#{said.memory.number} was known, and was said again" for said in facts.repeated]
    failed = sum("failed" in step.get("outcome", ()) for step in read_tool_steps(turn))
    if failed:
        return Stage(
            name=name,
            state=State.FAILED,
            lines=lines,
            detail=f"Could not be saved: {failed}.",
            obstacle="The answer said so, and no message is answered twice: the person can send it again.",
        )
    if lines:
        moments = [
            *(memory.created_at for memory in facts.memories),
            *(said.created_at for said in facts.repeated),
        ]
        return Stage(name=name, state=State.DONE, at=max(moments, default=None), lines=lines)
    if is_unanswered(facts):
        return Stage(name=name, state=State.WAITING, detail="Comes with the answer.")
    return Stage(
        name=name, state=State.SKIPPED, detail="There was nothing to keep, or it is forgotten since."
    )
