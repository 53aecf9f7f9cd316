"""What a scripted model is asked, and what it can answer, in words that read well in a dialogue.

The double answers with what is queued, else with what its model says:

    double.enqueue(call(("search_memories", {"query": "birthday"})), say("On 14 March. [#1]"))
    double.play(by_text({"When is her birthday?": [call(...), say("On 14 March. [#1]")]}))
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]
# Tokens of a picture, a voice note or a document. Google's own counts differ by kind (contracts/gemini.md §5).
MEDIA_TOKENS = 1120
NO_TOOLS = "I cannot use tools now."


class Media(NamedTuple):
    """A file the model was shown: inline, or uploaded before."""

    mime_type: str
    size: int  # bytes
    sha256: str  # hex


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelRequest:
    """A request that was valid. ``contents`` are in camelCase, whatever was sent; so are the names in ``tools``' keys.

    ``tools`` are the declarations as ``{"name", "description", "schema"}``. ``mode`` is AUTO, ANY, NONE or VALIDATED.
    The current turn begins with the last user content that is not made of function responses.
    """

    model: str
    system: str
    contents: Sequence[Json]
    tools: Sequence[Json] = ()
    mode: str = "AUTO"
    max_output_tokens: int | None = None
    thinking_level: str | None = None
    response_schema: Json | None = None  # the answer shall be JSON of this schema
    media: tuple[Media, ...] = ()  # of all contents, in their order
    server_timeout: float | None = None  # seconds, of the header X-Server-Timeout

    @property
    def is_description(self) -> bool:
        """Whether this asks what a file shows or says, and is not a turn of a conversation."""
        asked = (self.response_schema or {}).get("properties", {})
        return {"description", "text"} <= asked.keys() and not self.tools

    @property
    def turn(self) -> Sequence[Json]:
        """The contents of the current turn, that of the user first."""
        return self.contents[find_turn(self.contents) :]

    @property
    def texts(self) -> list[str]:
        """The text parts of the current turn's user content."""
        return [part["text"] for part in self.turn[0]["parts"] if "text" in part]

    @property
    def text(self) -> str:
        """All the text of the current turn's user content."""
        return "\n".join(self.texts)

    @property
    def step(self) -> int:
        """How many model contents the current turn has so far."""
        return sum(content["role"] == "model" for content in self.turn)

    @property
    def steps(self) -> list[list[tuple[str, Json]]]:
        """What the tools answered in each step of the current turn, by name, in the order of the calls."""
        return [
            [
                (part["functionResponse"]["name"], part["functionResponse"]["response"])
                for part in content["parts"]
            ]
            for content in self.turn[1:]
            if is_response(content["parts"][0])
        ]

    @property
    def responses(self) -> list[tuple[str, Json]]:
        """What the tools of the last step answered, by name; nothing at the start of a turn."""
        return self.steps[-1] if self.steps else []

    @property
    def tool_names(self) -> list[str]:
        """The names of the declared tools."""
        return [tool["name"] for tool in self.tools]

    @property
    def prompt_tokens(self) -> int:
        """About how many tokens were sent: a quarter of the characters of system, tools and contents, rounded up."""
        said = [part for content in self.contents for part in content["parts"]]
        texts = [self.system, *map(_to_text, self.tools), *map(_read_part, said)]
        media = sum("inlineData" in part or "fileData" in part for part in said)
        return count_tokens("".join(texts)) + media * MEDIA_TOKENS


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of an answer: a text, or a call as name and arguments."""

    text: str = ""
    call: tuple[str, Json] | None = None
    is_thought: bool = False
    is_signed: bool = False


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer. Make it with the functions below."""

    parts: tuple[Part, ...] = ()
    finish_reason: str = "STOP"
    block_reason: str | None = None  # the prompt is blocked: there is no candidate
    has_content: bool = True
    is_nothing: bool = False  # 200 and {}
    without_ids: bool = False

    def without_calls(self) -> "Reply":
        """The same as far as it can be said when calls are not allowed."""
        if not any(part.call for part in self.parts):
            return self
        kept = tuple(part for part in self.parts if not part.call)
        is_silent = all(part.is_thought for part in kept)
        return replace(self, parts=(*kept, Part(text=NO_TOOLS)) if is_silent else kept)


Model = Callable[[ModelRequest], Reply]


def say(*texts: str, signature: Literal["none", "last", "empty"] = "none") -> Reply:
    """A text, in one part or several; a signature on the last of them or on an empty part of its own."""
    parts = [Part(text=text) for text in texts]
    if signature == "last":
        parts[-1] = replace(parts[-1], is_signed=True)
    elif signature == "empty":
        parts.append(Part(is_signed=True))
    return Reply(parts=tuple(parts))


def describe_as(*, description: str, text: str = "", language: str = "") -> Reply:
    """What a file shows or says, as a request for a description wants it."""
    return say(json.dumps({"description": description, "language": language, "text": text}))


def call(*calls: tuple[str, Json], text: str = "", without_ids: bool = False) -> Reply:
    """Calls of tools, in parallel if several, after a text if given. The first call carries the signature."""
    said = (Part(text=text),) if text else ()
    asked = (Part(call=each, is_signed=not index) for index, each in enumerate(calls))
    return Reply(parts=(*said, *asked), without_ids=without_ids)


def think(thought: str, *, then: Reply) -> Reply:
    """A thought in front of an answer."""
    return replace(then, parts=(Part(text=thought, is_thought=True), *then.parts))


def blocked(reason: str = "SAFETY") -> Reply:
    """The prompt is blocked."""
    return Reply(block_reason=reason)


def stopped(reason: str = "SAFETY") -> Reply:
    """The answer is stopped by a filter: a candidate without content."""
    return Reply(finish_reason=reason, has_content=False)


def cut(text: str | None = None) -> Reply:
    """The limit of tokens is reached: after some text, or in thought, which leaves no parts at all."""
    return Reply(parts=(Part(text=text),) if text is not None else (), finish_reason="MAX_TOKENS")


def malformed(reason: str = "MALFORMED_FUNCTION_CALL") -> Reply:
    """The model did not manage to call a tool."""
    return Reply(finish_reason=reason, has_content=False)


def empty() -> Reply:
    """A text without a letter."""
    return say("")


def nothing() -> Reply:
    """200 and an empty object."""
    return Reply(is_nothing=True)


def by_text(turns: Mapping[str, Sequence[Reply]]) -> Model:
    """A model that knows what to answer, step by step, to a turn whose user content holds a text.

    It keeps no count of its own, so a step that is asked again is answered the same. Of several texts that fit, the
    longest counts.
    """

    def answer(request: ModelRequest) -> Reply:
        # The text may stand within JSON.
        known = [text for text in turns if text in request.text or json.dumps(text)[1:-1] in request.text]
        assert known, f"no script for {request.text!r}"
        replies = turns[max(known, key=len)]
        assert request.step < len(replies), f"the script for {request.text!r} ends after {len(replies)}"
        return replies[request.step]

    return answer


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply as it goes over the wire: its parts have their signatures and ids."""

    reply: Reply
    request: ModelRequest
    parts: list[Json] = field(default_factory=list)
    response_id: str

    def to_json(self) -> Json:
        """The body (contracts/gemini.md §9)."""
        reply = self.reply
        if reply.is_nothing:
            return {}
        said: Json = {"candidates": [self._describe_candidate()]}
        if reply.block_reason:
            said = {"promptFeedback": {"blockReason": reply.block_reason, "safetyRatings": []}}
        return said | {
            "usageMetadata": self._count(),
            "modelVersion": self.request.model,
            "responseId": self.response_id,
        }

    def _describe_candidate(self) -> Json:
        content: Json = {"role": "model"} | ({"parts": self.parts} if self.parts else {})
        candidate = {"finishReason": self.reply.finish_reason, "index": 0}
        return ({"content": content} if self.reply.has_content else {}) | candidate

    def _count(self) -> Json:
        said = "".join(_read_part(part) for part in self.parts if not part.get("thought"))
        thoughts = count_tokens("".join(part.text for part in self.reply.parts if part.is_thought))
        if self.reply.finish_reason == "MAX_TOKENS":
            thoughts = max(0, (self.request.max_output_tokens or 65_536) - count_tokens(said))
        counts = {
            "promptTokenCount": self.request.prompt_tokens,
            "candidatesTokenCount": count_tokens(said),
            "thoughtsTokenCount": thoughts,
        }
        details = [{"modality": "TEXT", "tokenCount": self.request.prompt_tokens}]
        # Google leaves out what is zero.
        return {name: count for name, count in counts.items() if count} | {
            "totalTokenCount": sum(counts.values()),
            "promptTokensDetails": details,
        }


def find_turn(contents: Sequence[Json]) -> int:
    """Where the current turn begins: at the last user content that is not made of function responses."""
    return max(
        index
        for index, content in enumerate(contents)
        if content["role"] == "user" and not any(map(is_response, content["parts"]))
    )


def is_response(part: Json) -> bool:
    """Whether a part is what a tool answered."""
    return "functionResponse" in part


def count_tokens(text: str) -> int:
    """A quarter of the characters, rounded up."""
    return math.ceil(len(text) / 4)


def _read_part(part: Json) -> str:
    """The text of a part that costs tokens: not its signature, and not its media."""
    if "functionCall" in part:
        return part["functionCall"]["name"] + _to_text(part["functionCall"]["args"])
    if is_response(part):
        return part["functionResponse"]["name"] + _to_text(part["functionResponse"]["response"])
    return part.get("text", "")


def _to_text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
