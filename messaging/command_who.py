"""``/who``: who of staff, and which programs, had access to what is kept of the person, when, and why."""

from collections import Counter
from datetime import date, datetime

from accounts.models import AuditEvent
from memories.dates import format_day
from messaging.answers import Answer, Turn, shorten
from messaging.models import Interaction, Takeover

SHOWN = 20  # lines
LOOKED_AT = 1000  # events
NOBODY = (
    "Nobody has: no member of our staff and no program is on record as having looked at what I keep of you."
)
ANSWERING = "A member of our staff has this conversation now; I only answer commands."
Action = AuditEvent.Action
DID: dict[str, str] = {
    Action.OPENED: "looked at what I keep of you",
    Action.READ: "read what I keep of you",
    Action.REPLAYED: "tried out how I would answer a message of yours",
    Action.RETRIED: "had a step done again that had failed",
    Action.TOOK_OVER: "took this conversation over from me",
    Action.WROTE: "wrote to you",
    Action.HANDED_BACK: "let me answer you again",
    Action.CHANGED: "changed {what}",
    Action.ADDED: "added {what}",
    Action.DELETED: "deleted {what}",
    Action.EXPORTED: "downloaded all I keep of you",
    Action.ERASED: "erased all I kept of you",
}
THINGS = {
    "accounts.whatsappuser": "your name or time zone",
    "memories.memory": "a memory of yours",
    "messaging.rawmessage": "a message of yours",
    "messaging.interaction": "an answer of mine",
    "media.messagemedia": "a file of yours",
    "media.mediafile": "a file of yours",
}


def who(turn: Turn, argument: str) -> Answer:
    """Every access that is on record, newest first, by day; what was done several times in a day is one line."""
    events = AuditEvent.objects.filter(person_id=turn.user.id).exclude(action=Action.LOCKED_OUT)
    times: dict[tuple[date, str], datetime] = {}
    counts: Counter[tuple[date, str]] = Counter()
    for event in events.order_by("-at", "-id")[:LOOKED_AT]:
        line = (event.at.astimezone(turn.zone).date(), _describe(event))
        times.setdefault(line, event.at)
        counts[line] += 1
    shown = list(times)[:SHOWN]
    lines = [_write(turn, times[line], line[1], count=counts[line]) for line in shown]
    more = events.count() - sum(counts[line] for line in shown)
    if more > 0:
        lines.append(f"… and {more} more before.")
    if Takeover.objects.filter(user=turn.user).exists():
        lines.insert(0, ANSWERING)
    return Answer(kind=Interaction.Kind.COMMAND, text="\n".join(lines) or NOBODY)


def _describe(event: AuditEvent) -> str:
    """Who did what, and why. Staff have no names here: it is not they who answer for it, but whoever runs the bot."""
    if event.staff_id is None and event.action == Action.HANDED_BACK:
        return "I took this conversation back, as nobody of our staff wrote any more"
    by = f"the program “{shorten(event.program, limit=60)}”" if event.program else "a member of our staff"
    what = THINGS.get(event.object_type, "something of yours")
    did = DID.get(event.action, "did something").format(what=what)
    why = f" (“{shorten(event.reason)}”)" if event.reason else ""
    return f"{by} {did}{why}"


def _write(turn: Turn, at: datetime, line: str, *, count: int) -> str:
    day = format_day(at, zone=turn.zone, now=turn.now)
    often = "" if count == 1 else f", {count} times that day"
    return f"• {day}, {at.astimezone(turn.zone):%H:%M}: {line}{often}"
