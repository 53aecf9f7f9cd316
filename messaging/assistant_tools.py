"""What the language model can do: find, keep and correct memories of the person it speaks with, and of nobody else.

A tool is a class of arguments (messaging/assistant_arguments.py) and a function. Whose memories it works on is the
turn's affair, never the arguments'. Days are the person's own. What a tool answers is read by the model; its outcome is
ours:

    saved, corrected: a number · known: [number, text] · failed: text · asked: [number, …] · zone: IANA name
    send: [id of MessageMedia, …]
    found: [[memory id, number, score], …] · days: [first, last] as ISO dates, None where open
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from django.conf import settings
from pydantic import ValidationError

from accounts.places import describe_clock, find_timezone
from memories.models import Memory
from memories.search import ALWAYS, Hit, get_memories, search_memories
from memories.store import Outcome
from memories.words import count_words
from messaging.answers import Turn, shorten
from messaging.assistant_arguments import (
    Arguments,
    FindMedia,
    ForgetMemory,
    ListMemories,
    SearchMemories,
    SendMedia,
    SetTimezone,
    StoreMemory,
    UpdateMemory,
    get_schema,
)
from messaging.assistant_calls import LONGEST, Call, Result, note_days
from messaging.assistant_media import find_files, send_files
from messaging.assistant_times import describe_memory, read_days, read_event
from messaging.content import Content
from messaging.conversation import INSTRUCTIONS, get_contents
from messaging.deeds import ask_to_forget, set_timezone, store_memory, update_memory
from messaging.leaks import withhold_leaks
from messaging.media_search import get_media_of
from messaging.models import PendingConfirmation
from messaging.recall import is_sure
from whatsbot.integrations.gemini import Json, Tool, ToolCall

MOST_FOUND = 10
MOST_LISTED = 30
MOST_ASKED = 10  # memories in one question: who says yes should have read it

WORDS_ONLY = "Only words could be compared now; meaning could not. Say so if you find nothing."
OWN_WORDS_ONLY = (
    "Only the person's own words can ask for this, and these messages have none. Nothing was done."
)


def _search(call: Call, given: SearchMemories) -> Result:
    turn, types = call.turn, given.types or ()
    days = read_days(given.start_date, given.end_date)
    within = days.to_utc(turn.zone) if days else ALWAYS
    if not given.query:
        return _answer_rows(call, get_memories(user_id=turn.user.id, within=within, types=types), days)
    result = search_memories(
        user_id=turn.user.id, query=given.query, within=within, types=types, limit=MOST_FOUND
    )
    response: Json = {"memories": _describe_hits(turn, result.hits)}
    if result.degraded:
        response["note"] = WORDS_ONLY
    hits = list(result.hits)
    if not hits:
        response["note"], hits = _explain_miss(call, given.query, is_narrowed=bool(days or types))
        response["elsewhere"] = _describe_memories(turn, [hit.memory for hit in hits])
    found = [[hit.memory.id, hit.memory.number, round(hit.score, 4)] for hit in hits]
    return Result(response, note_days({"found": found}, days))


def _describe_hits(turn: Turn, hits: Sequence[Hit]) -> list[Json]:
    """Findings, with their files, and how well they fit, where that was measured: with the local embedder."""
    described = _describe_memories(turn, [hit.memory for hit in hits])
    if settings.MEMORY_EMBEDDER == "local" and not settings.MEM0_API_KEY:
        for each, hit in zip(described, hits, strict=True):
            each["fits"] = "well" if is_sure(hit) else "perhaps"
    return described


def _describe_memories(turn: Turn, memories: Sequence[Memory]) -> list[Json]:
    files = get_media_of(memories)
    described = [describe_memory(turn, memory, limit=LONGEST) for memory in memories]
    for each, memory in zip(described, memories, strict=True):
        if links := files[memory.id]:
            each["files"] = [{"id": link.id, "kind": link.file.kind} for link in links if link.file]
    return described


def _explain_miss(call: Call, query: str, *, is_narrowed: bool) -> tuple[str, list[Hit]]:
    user_id = call.turn.user.id
    if not Memory.objects.filter(user_id=user_id).exists():
        return "The person has not told you anything yet: nothing is saved at all.", []
    if not is_narrowed:
        return "Nothing saved fits. Say that they have not told you about it.", []
    elsewhere = search_memories(user_id=user_id, query=query, limit=3).hits
    if not elsewhere:
        return "Nothing saved fits, in those days or at any other time.", []
    return (
        "Nothing in those days. What is in 'elsewhere' is from other days: say so if you use it.",
        elsewhere,
    )


def _list(call: Call, given: ListMemories) -> Result:
    days = read_days(given.start_date, given.end_date)
    within = days.to_utc(call.turn.zone) if days else ALWAYS
    return _answer_rows(
        call, get_memories(user_id=call.turn.user.id, within=within, types=given.types or ()), days
    )


def _answer_rows(call: Call, rows: Any, days: Any) -> Result:
    shown = list(rows[:MOST_LISTED])
    response: Json = {"memories": _describe_memories(call.turn, shown)}
    if len(shown) == MOST_LISTED:
        response["note"] = f"The newest {MOST_LISTED} of {rows.count()}."
    elif not shown:
        anything = Memory.objects.filter(user_id=call.turn.user.id).exists()
        response["note"] = "Nothing there." if anything else "The person has not told you anything yet."
    found = [[row.id, row.number, 1.0] for row in shown]
    return Result(response, note_days({"found": found}, days))


def _store(call: Call, given: StoreMemory) -> Result:
    start, end = read_event(given.event_start, given.event_end, zone=call.turn.zone)
    _check_words(call.turn, given.content)
    source = find_source(call.turn, given.content)
    stored = store_memory(
        turn=call.turn,
        raw_message_id=source.raw_message_id,
        tool_call=call.name,
        text=given.content,
        type=Memory.Type(given.type),
        happened_at=source.received_at,
        event_start=start,
        event_end=end,
    )
    number = stored.memory.number
    if stored.outcome is Outcome.SAVED:
        return Result({"saved": number}, {"saved": number})
    text = shorten(stored.memory.text)
    return Result({"known_already": number, "text": text}, {"known": [number, text]})


def _check_words(turn: Turn, content: str, *known: str) -> None:
    """Raises ValueError if a memory would say what no answer may: what is kept is shown later, also by commands."""
    if withhold_leaks(content, instructions=INSTRUCTIONS, data=_get_words(turn, known)) != content:
        raise ValueError("content must only have links and words that stand in the messages.")


def _get_words(turn: Turn, known: Sequence[str]) -> Iterator[str]:
    yield from known
    yield from (part["text"] for each in get_contents(turn) for part in each["parts"])


def find_source(turn: Turn, text: str) -> Content:
    """The message of a burst that a memory is from: the one that shares most words with it."""
    said = count_words(text)
    shared = [(count_words(content.text) & said).total() for content in turn.contents]
    return turn.contents[max(range(len(shared)), key=lambda index: (shared[index], index))]


def _update(call: Call, given: UpdateMemory) -> Result:
    if not call.turn.own_words:
        return Result({"error": OWN_WORDS_ONLY})
    row = Memory.objects.filter(user_id=call.turn.user.id, number=given.number).first()
    if row is None:
        return Result({"error": f"There is no memory {given.number}. Search for it first."})
    asked = PendingConfirmation.objects.filter(asked_in__raw_message_id=call.turn.raw_message_id).first()
    if asked is not None and given.number in asked.numbers:
        return Result({"error": "The person is asked whether to forget it, as it is. Nothing was done."})
    start, end = read_event(given.event_start, given.event_end, zone=call.turn.zone)
    _check_words(call.turn, given.content, row.text)
    source = find_source(call.turn, given.content)
    memory = update_memory(
        turn=call.turn,
        number=given.number,
        text=given.content,
        said_at=source.received_at,
        # A correction that says nothing of the time leaves it.
        event_start=start or row.event_start,
        event_end=end if start else row.event_end,
        raw_message_id=source.raw_message_id,
        tool_call=call.name,
    )
    if memory is None:
        return Result({"error": f"There is no memory {given.number} any more."})
    return Result({"corrected": memory.number}, {"corrected": memory.number})


def _forget(call: Call, given: ForgetMemory) -> Result:
    if not call.turn.own_words:
        return Result({"error": OWN_WORDS_ONLY})
    rows = Memory.objects.filter(user_id=call.turn.user.id, number__in=given.numbers)
    # Whoever says yes has to see the words they know, not what this turn has made of them.
    rows = rows.exclude(corrected_by_id__in=[each.raw_message_id for each in call.turn.contents])
    numbers = sorted(rows.values_list("number", flat=True))
    if not numbers:
        return Result({"error": "There are no memories with these numbers. Search for them first."})
    asked = PendingConfirmation.objects.filter(asked_in__raw_message_id=call.turn.raw_message_id).first()
    if len({*numbers, *(asked.numbers if asked else ())}) > MOST_ASKED:
        return Result({"error": f"One question can be about {MOST_ASKED} memories at most."})
    ask_to_forget(turn=call.turn, numbers=numbers)
    note = "The person is asked below your answer. Nothing is deleted yet: do not say that it is."
    return Result({"asking_about": numbers, "note": note}, {"asked": numbers})


def _set_timezone(call: Call, given: SetTimezone) -> Result:
    turn = call.turn
    if not turn.own_words:
        return Result({"error": OWN_WORDS_ONLY})
    zone = find_timezone(given.place, near=turn.user.timezone, now=turn.now)
    if zone is None:
        return Result({"error": "No such place is known. Ask the person for the nearest big city."})
    set_timezone(turn=turn, zone=zone)
    return Result({"timezone": zone, "clock": describe_clock(zone, now=turn.now)}, {"zone": zone})


TOOLS: dict[str, tuple[type[Arguments], Callable[[Call, Any], Result]]] = {
    "search_memories": (SearchMemories, _search),
    "store_memory": (StoreMemory, _store),
    "update_memory": (UpdateMemory, _update),
    "forget_memory": (ForgetMemory, _forget),
    "list_memories": (ListMemories, _list),
    "set_timezone": (SetTimezone, _set_timezone),
    "find_media": (FindMedia, find_files),
    "send_media": (SendMedia, send_files),
}


@cache
def get_declarations() -> tuple[Tool, ...]:
    """The tools as the model is told of them."""
    return tuple(
        Tool(
            name=name,
            description=" ".join((arguments.__doc__ or "").split()),
            parameters=get_schema(arguments),
        )
        for name, (arguments, _) in TOOLS.items()
    )


def run_tool(call: ToolCall, *, turn: Turn, name: str) -> Result:
    """Carry out what the model asks for. What it asks wrongly is answered with text it can read.

    ``name`` is that of the call within the turn. Raises ProviderError and errors of the database, which may pass.
    """
    known = TOOLS.get(call.name)
    if known is None:
        return Result({"error": f"There is no tool of this name. There are: {', '.join(TOOLS)}."})
    arguments, function = known
    try:
        given = arguments.model_validate(call.arguments)
        return function(Call(turn=turn, name=name), given)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(at) for at in each['loc'])}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)[:5]
        )
        return Result({"error": f"Wrong arguments. {wrong}"})
    except ValueError as error:
        return Result({"error": f"Wrong arguments. {error}"})
