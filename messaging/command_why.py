"""``/why``: which memories an answer was made from, and where they come from."""

from datetime import datetime

from memories.dates import format_day
from memories.models import Memory, MemoryHistory
from messaging.answers import Answer, Turn, shorten
from messaging.command_memories import as_hit
from messaging.content import Content, read_content
from messaging.forgetting import FORGOTTEN
from messaging.models import Interaction, OutboundMessage, RawMessage

SHOWN = 10
OTHER_SOURCES = {
    Memory.Source.API: "added through the API",
    Memory.Source.ADMIN: "added in the back-office",
    Memory.Source.IMPORT: "imported",
}


def why(turn: Turn, argument: str) -> Answer:
    """Explain the answer that is quoted, or else the last one that is not a command's."""
    quoted = turn.contents[-1].replied_to_sid
    answer = _find_quoted(turn, quoted) if quoted else _find_last(turn)
    if answer is None:
        text = (
            "I can only explain my own answers. Send /why, or reply with it to one of them."
            if quoted
            else "There is nothing to explain yet: I have not answered anything."
        )
        return _answer(text)
    cited = list(answer.citations.select_related("memory").order_by("rank"))
    if not cited:
        is_forgotten = answer.answer == FORGOTTEN
        reason = (
            "What that answer spoke of is forgotten." if is_forgotten else "That answer used no memories."
        )
        return _answer(reason)
    memories = [citation.memory for citation in cited]
    lines = [f"That answer (“{shorten(answer.answer, limit=60)}”) used:"]
    lines += [_describe(turn, memory) for memory in memories[:SHOWN]]
    if len(memories) > SHOWN:
        lines.append(f"… and {len(memories) - SHOWN} more.")
    return Answer(
        kind=Interaction.Kind.COMMAND, text="\n".join(lines), used=[as_hit(memory) for memory in memories]
    )


def _answer(text: str) -> Answer:
    return Answer(kind=Interaction.Kind.COMMAND, text=text)


def _find_quoted(turn: Turn, sid: str) -> Interaction | None:
    """The answer of ours, to this person, that a message with this SID is a part of."""
    part = (
        OutboundMessage.objects.filter(user=turn.user, twilio_sid=sid).select_related("interaction").first()
    )
    return part.interaction if part else None


def _find_last(turn: Turn) -> Interaction | None:
    return (
        Interaction.objects.filter(raw_message__user=turn.user, answered_at__isnull=False)
        .exclude(kind=Interaction.Kind.COMMAND)
        .order_by("-raw_message__received_at", "-id")
        .first()
    )


def _describe(turn: Turn, memory: Memory) -> str:
    """A memory as evidence: its text, when it was said, and the message it comes from."""
    kind = "" if memory.type == Memory.Type.NOTE else f" ({memory.get_type_display().lower()})"
    corrections = memory.history.filter(kind=MemoryHistory.Kind.CORRECTED).count()
    repeats = memory.history.filter(kind=MemoryHistory.Kind.REPEATED).count()
    facts = [f"{'corrected' if corrections else 'said'} {_name_time(turn, memory.happened_at)}"]
    first = memory.history.filter(kind=MemoryHistory.Kind.CORRECTED).order_by("id").first()
    if first is not None:
        facts.append(f"first said {_name_time(turn, first.said_at)}")
    if repeats:
        facts.append(f"said again {'once' if repeats == 1 else f'{repeats} times'}")
    facts += _describe_source(memory, is_corrected=bool(corrections))
    return f"#{memory.number}{kind} “{shorten(memory.text, limit=300)}”: {', '.join(facts)}"


def _describe_source(memory: Memory, *, is_corrected: bool) -> list[str]:
    """Where the present text is from, if the memory itself does not say it."""
    raw = memory.corrected_by if is_corrected else memory.raw_message
    if raw is None:
        source = OTHER_SOURCES.get(Memory.Source(memory.source), "")
        return ["corrected by no message of yours"] if is_corrected else [source]
    of_turn = RawMessage.objects.filter(turn__raw_message=raw).order_by("id")  # a burst was answered together
    contents = [read_content(each) for each in of_turn] or [read_content(raw)]
    facts = [f"from a {kind}" for kind in _get_kinds(contents)]
    words = " / ".join(content.text for content in contents if content.text)
    if words and _normalize(words) != _normalize(memory.text):
        facts.append(f"you wrote “{shorten(words)}”")
    return facts


def _get_kinds(contents: list[Content]) -> list[str]:
    """What came beside the words: "picture", "forwarded message"."""
    kinds = [attachment.kind for content in contents for attachment in content.attachments]
    kinds += ["forwarded message" for content in contents if content.is_forwarded]
    return list(dict.fromkeys(kinds))


def _normalize(text: str) -> str:
    return " ".join(text.split()).casefold()


def _name_time(turn: Turn, when: datetime) -> str:
    """A local day and time, within a sentence."""
    day = format_day(when, zone=turn.zone, now=turn.now)
    return f"{day[0].lower()}{day[1:]} at {when.astimezone(turn.zone):%H:%M}"
