"""A model of a few rules: enough to try the whole pipeline without a key, and always the same.

It reads the newest messages as messaging/conversation.py writes them, calls the tools that were declared, with the
arguments their schemas name, and says what they found. Everything it does it does for ``own_words``; other people's
words it only keeps.
"""

import base64
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

from tests.doubles.gemini_model import NO_TOOLS, Json, ModelRequest, Reply, call, describe_as, say

Call = tuple[str, Json]
GREETING = re.compile(
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening)|thanks?|thank you|hola|gracias|hallo|danke|bonjour|merci|ciao"
    r"|namaste|नमस्ते|שלום|مرحبا|привет|你好)\W*(?:there|bot|again|so much|a lot)?\W*",
    re.IGNORECASE,
)
QUESTION = re.compile(
    r".*[?？؟]\s*|(?:who|whose|what|when|where|which|why|how|did|do (?:i|we|you)|does|is|are|was|were|tell me|show|find"
    r"|search|qué|cuándo|dónde|quién|cómo|wer|was|wann|wo|wie|quand|où|qui|कब|कहाँ|क्या|מתי|איפה|מי|متى|أين)\b.*",
    re.IGNORECASE | re.DOTALL,
)
FORGET = re.compile(r"(?:please )?(?:forget|delete|remove)\b(?P<what>.*)", re.IGNORECASE | re.DOTALL)
CORRECTION = re.compile(r"(?:no[,:]|actually,?|correction[,:]?|i meant)\s+(?P<what>[^?？؟]+)", re.IGNORECASE)
PLACE = re.compile(
    r"i(?:'m| am| live| have moved|'ve moved)(?: now)? (?:in|to) (?P<where>[^.,!]+?)(?: now)?[.!]?", re.I
)
LISTING = re.compile(r"(?:list|show)(?: me)? (?:everything|all|my memories).*", re.IGNORECASE | re.DOTALL)
MEDIA = re.compile(r"\b(?:pictures?|photos?|videos?|voice notes?|documents?|pdfs?|files?)\b", re.IGNORECASE)
SHOWING = re.compile(
    r"(?:(?:can you |please )?(?:show|send)(?: me)?|find|where is|what)\b(?:\W*\b(?:the|my|a|an|of|that)\b)*",
    re.IGNORECASE,
)
KINDS = {"image": "picture", "audio": "recording", "video": "video"}
TYPES = (
    ("event", r"\b(?:birthday|meeting|appointment|wedding|flight|party|on \d|tomorrow|at \d)"),
    ("task", r"\b(?:remember to|need to|have to|must|buy|todo)\b"),
    ("preference", r"\b(?:likes?|loves?|hates?|prefers?|favou?rite)\b"),
    ("place", r"\b(?:address|lives? (?:in|at)|street)\b"),
    ("person", r"\b(?:sister|brother|mother|father|friend|wife|husband|daughter|son)\b"),
)


def follow_rules(request: ModelRequest) -> Reply:
    """The next step of the turn: find and keep, then forget or correct what was found, then say it."""
    if not request.tools or (request.mode == "NONE" and not request.steps):
        return say(NO_TOOLS)
    plan = [(message, each) for message in _read_messages(request) for each in _wish(request, message)]
    if not plan:
        return say(_greet_or_nod(request))
    if not request.steps:
        return call(*(each for _, each in plan))
    first, *later = request.steps
    next_calls = [
        _follow_up(request, message, response)
        for (message, _), (_, response) in zip(plan, first, strict=False)
    ]
    if not later and request.mode != "NONE" and any(next_calls):
        return call(*(each for calls in next_calls for each in calls))
    found = [response for response, calls in zip(first, next_calls, strict=False) if not calls]
    said = [*found, *(response for step in later for response in step)]
    return say("\n".join(dict.fromkeys(map(_describe, said))))


# What the turn wants


def _read_messages(request: ModelRequest) -> list[Json]:
    messages = []
    for text in request.texts:
        try:
            read = json.loads(text)
        except ValueError:
            read = None
        message = read.get("message") if isinstance(read, dict) else None
        messages.append(message if isinstance(message, dict) else {"own_words": text})
    return messages


def _wish(request: ModelRequest, message: Json) -> list[Call]:
    """The calls a message leads to, in the first step."""
    words = _get_words(message)
    if not words:
        kept = _read_strange_words(message)
        return _call(request, "store_memory", content=kept, type="note") if kept else []
    if GREETING.fullmatch(words):
        return []
    if match := FORGET.match(words):
        return _call(request, "search_memories", query=match["what"].strip() or words)
    if match := PLACE.fullmatch(words):
        return _call(request, "set_timezone", place=match["where"])
    if match := CORRECTION.fullmatch(words):
        return _call(request, "search_memories", query=match["what"])
    days = _read_days(words, today=_find_today(request))
    if LISTING.match(words):
        return _call(request, "list_memories", **days)
    if QUESTION.fullmatch(words):
        if MEDIA.search(words):
            wanted = SHOWING.sub("", MEDIA.sub("", words)).strip(" ?.!")
            return _call(request, "find_media", **(days or {"query": wanted}))
        return _call(request, "search_memories", query=words, **days)
    return _call(request, "store_memory", content=words, type=_get_type(words))


def _get_words(message: Json) -> str:
    """What the person has typed or said themselves."""
    return str(message.get("own_words") or message.get("spoken_words") or "").strip()


def _read_strange_words(message: Json) -> str:
    """What is worth keeping of a message without words of the person's own."""
    place, files = message.get("place") or {}, message.get("files") or []
    if any("saved_as" in each for each in (place, *files) if isinstance(each, dict)):
        return ""
    found: Iterable[Any] = (
        *(message.get("forwarded_text"), message.get("caption"), message.get("place_name")),
        *(place.get("label"), place.get("address")),
        *(file.get("shows") for file in files if isinstance(file, dict)),
    )
    return ", ".join(dict.fromkeys(str(each) for each in found if each))


def _get_type(words: str) -> str:
    return next((kind for kind, pattern in TYPES if re.search(pattern, words, re.IGNORECASE)), "note")


def _find_today(request: ModelRequest) -> date | None:
    """The person's date: the only one the instructions hold."""
    found = re.findall(r"\d{4}-\d{2}-\d{2}", request.system)
    return date.fromisoformat(found[-1]) if found else None


def _read_days(words: str, *, today: date | None) -> Json:
    """The days a question speaks of, as the arguments of a search."""
    if named := re.findall(r"\d{4}-\d{2}-\d{2}", words):
        return {"start_date": min(named), "end_date": max(named)}
    if today is None:
        return {}
    monday = today - timedelta(days=today.weekday())
    spans = {
        "yesterday": (today - timedelta(days=1), today - timedelta(days=1)),
        "today": (today, today),
        "tomorrow": (today + timedelta(days=1), today + timedelta(days=1)),
        "last week": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "this week": (monday, monday + timedelta(days=6)),
        "next week": (monday + timedelta(days=7), monday + timedelta(days=13)),
    }
    for name, (first, last) in spans.items():
        if name in words.lower():
            return {"start_date": first.isoformat(), "end_date": last.isoformat()}
    return {}


def _call(request: ModelRequest, name: str, **values: Any) -> list[Call]:
    """A call with the arguments the tool's schema names; what it requires beside them is its first choice."""
    if name not in request.tool_names:
        return []
    schema = next(tool["schema"] for tool in request.tools if tool["name"] == name)
    properties = schema.get("properties", {})
    args = {key: value for key, value in values.items() if key in properties}
    for key in properties:
        choices = properties[key].get("enum")
        if choices and key in args and args[key] not in choices:
            args[key] = choices[0]
    missing = [key for key in schema.get("required", []) if key not in args]
    args |= {key: (properties[key].get("enum") or [""])[0] for key in missing}
    return [(name, args)]


def _greet_or_nod(request: ModelRequest) -> str:
    words = [_get_words(message) for message in _read_messages(request)]
    if all(GREETING.fullmatch(each) for each in words):
        return "Hello! Tell me what to remember, or ask me what you told me."
    return "I got that."


# What the tools answered


def _follow_up(request: ModelRequest, message: Json, response: Json) -> list[Call]:
    """What is done with what was searched for: forgetting or correcting it."""
    words, best = _get_words(message), _get_best(response)
    if files := response.get("files"):
        return _call(request, "send_media", ids=[files[0]["id"]]) if SHOWING.match(words) else []
    if best is None or PLACE.fullmatch(words):
        return []
    if FORGET.match(words):
        return _call(request, "forget_memory", numbers=[best["number"]])
    if match := CORRECTION.fullmatch(words):
        return _call(request, "update_memory", number=best["number"], content=match["what"])
    return []


def _get_best(response: Json) -> Json | None:
    """The first memory of a search."""
    memories = response.get("memories") or response.get("elsewhere") or []
    return memories[0] if memories else None


def _describe(answered: tuple[str, Json]) -> str:
    """A sentence about what a tool answered."""
    name, response = answered
    if "error" in response:
        return "That did not work."
    if name == "search_memories":
        best = _get_best(response)
        return f"{best['text']} [#{best['number']}]" if best else "You have not told me about that."
    if name == "list_memories":
        listed = [f"{each['text']} [#{each['number']}]" for each in response.get("memories", [])]
        return "\n".join(listed) or "There is nothing there."
    if name == "find_media":
        found = [f"{each['kind']}, {each['sent']}" for each in response.get("files", [])]
        return "\n".join(found) or "You have not sent me any of these."
    if name == "send_media":
        return "Here it is."
    if name == "forget_memory":
        return "I have found it."
    if name == "set_timezone":
        return f"Enjoy {response.get('timezone', 'it')}!"
    return "Thank you for telling me."


# What a file shows


def describe_file(request: ModelRequest) -> Reply:
    """What can be said without looking: of a text how it begins, of anything else its kind, its size and its hash."""
    if request.media and request.media[0].mime_type != "text/plain":
        file = request.media[0]
        kind = KINDS.get(file.mime_type.partition("/")[0], "document")
        name = f"{kind} {file.sha256[:8]}"
        spoken = f"These are the words of the {name}." if kind in ("recording", "video") else ""
        description = f"A {kind} of {file.size} bytes ({file.mime_type}), known as {name}."
        return describe_as(description=description, text=spoken, language="en" if spoken else "")
    first = request.turn[0]["parts"][0]
    if "inlineData" in first:
        words = base64.urlsafe_b64decode(first["inlineData"]["data"]).decode(errors="replace")
    else:
        words = first.get("text", "")
        with suppress(ValueError, AttributeError):  # else it is a text as it is
            words = " ".join(str(each) for each in json.loads(words).values())
    beginning = " ".join(words.split()[:12])
    return describe_as(description=f"A text that begins: {beginning}", language="en")
