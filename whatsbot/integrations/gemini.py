"""Gemini's answers, one call at a time, in our nouns (contracts/gemini.md §4, §7). The tool loop is the assistant's.

Contents are kept as the SDK's own JSON (`model_dump`), so that thought signatures survive being stored.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from django.conf import settings

from whatsbot.exceptions import PermanentProviderError, TransientProviderError
from whatsbot.integrations.gemini_sdk import calling_gemini

if TYPE_CHECKING:
    from google.genai import types

CALL_SECONDS = 30.0
# Thoughts count too: a small limit leaves an answer without any text (§4).
MOST_OUTPUT_TOKENS = 4096

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the model may ask for. ``parameters`` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """What the model asks for: untrusted input. Older models give no ``id``."""

    id: str | None
    name: str
    arguments: Json


class Ending(Enum):
    """How a response ended."""

    WHOLE = auto()
    CUT_OFF = auto()  # the limit of tokens was reached
    BLOCKED = auto()  # a filter of Google's stopped prompt or answer
    MALFORMED = auto()  # the model did not manage to ask for a tool
    EMPTY = auto()  # nothing came


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResponse:
    """One response: ``content`` goes back unchanged in the next request; it is None if there is none.

    ``reason`` is Google's own word for the ending. Tokens are those of this call; output includes thoughts.
    """

    content: Json | None
    text: str
    calls: tuple[ToolCall, ...]
    ending: Ending
    reason: str
    input_tokens: int
    output_tokens: int


def user_content(*texts: str) -> Json:
    """A content of the person's side, with one part for each text."""
    return {"role": "user", "parts": [{"text": text} for text in texts]}


def model_content(text: str) -> Json:
    """A content of the model's side, of an earlier turn."""
    return {"role": "model", "parts": [{"text": text}]}


def results_content(results: Sequence[tuple[ToolCall, Json]]) -> Json:
    """What tools answered to the calls of one response, in the order of the calls."""
    return {
        "role": "user",
        "parts": [
            {"function_response": {"id": call.id, "name": call.name, "response": response}}
            for call, response in results
        ],
    }


def read_calls(content: Json) -> tuple[ToolCall, ...]:
    """The tool calls of a stored content, in order."""
    calls = (part["function_call"] for part in content.get("parts") or [] if part.get("function_call"))
    return tuple(
        ToolCall(id=call.get("id"), name=call.get("name") or "", arguments=clean(call.get("args") or {}))
        for call in calls
    )


def generate(
    *,
    system: str,
    contents: Sequence[Json],
    tools: Sequence[Tool],
    may_call_tools: bool = True,
    seconds: float = CALL_SECONDS,
) -> ModelResponse:
    """Ask the model once. Raises ProviderError; a transient one has changed nothing and may be repeated.

    Blocked, cut off and empty answers are responses, not errors (§4, Reading the answer).
    """
    model = settings.GEMINI_MODEL
    with calling_gemini() as client:
        from google.genai import types

        answer = client.models.generate_content(
            model=model,
            contents=_load_contents(contents),
            config=types.GenerateContentConfig(
                system_instruction=system,
                tools=[
                    types.Tool(
                        function_declarations=[
                            types.FunctionDeclaration(
                                name=tool.name,
                                description=tool.description,
                                parameters_json_schema=tool.parameters,
                            )
                            for tool in tools
                        ]
                    )
                ],
                tool_config=types.ToolConfig(
                    function_calling_config=types.FunctionCallingConfig(
                        mode=types.FunctionCallingConfigMode("AUTO" if may_call_tools else "NONE")
                    )
                ),
                automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
                automatic_continuation=False,
                max_output_tokens=MOST_OUTPUT_TOKENS,
                thinking_config=get_thinking(model),
                http_options=types.HttpOptions(
                    timeout=round(seconds * 1000),
                    api_version=get_api_version(model),
                ),
            ),
        )
    return read_response(answer)


def _load_contents(contents: Sequence[Json]) -> "list[types.Content]":
    from google.genai import types

    try:
        return [types.Content.model_validate(content) for content in contents]
    except ValueError:  # kept by another version of the SDK (§4, Storing a half-finished turn)
        raise PermanentProviderError("A stored content cannot be read any more.") from None


def get_api_version(model: str) -> str | None:
    """The version of the API a model is asked on, if not the usual one: ``-latest`` exists nowhere else (§1)."""
    return "v1beta" if model.endswith("-latest") else None


def get_thinking(model: str) -> "types.ThinkingConfig | None":
    """Little thought: what has to be found is found by tools. Models before 3 do not know the word."""
    from google.genai import types

    generation = re.match(r"gemini-(\d+)", model)
    if generation is None or int(generation[1]) < 3:
        return None
    return types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)


MALFORMED = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE")


def read_response(answer: "types.GenerateContentResponse") -> ModelResponse:
    """A response in our nouns. Raises TransientProviderError if there is nothing in it at all."""
    usage = answer.usage_metadata
    candidate = answer.candidates[0] if answer.candidates else None
    feedback = answer.prompt_feedback
    if candidate is None and not (feedback and feedback.block_reason) and usage is None:
        raise TransientProviderError("Gemini's answer is empty.")  # a 200 without anything in it
    content = candidate.content if candidate else None
    dumped = content.model_dump(mode="json", exclude_none=True) if content and content.parts else None
    calls = read_calls(dumped) if dumped else ()
    parts = (dumped or {}).get("parts", [])
    text = clean("".join(part["text"] for part in parts if part.get("text") and not part.get("thought")))
    reason = _get_word(candidate.finish_reason if candidate else feedback and feedback.block_reason)
    return ModelResponse(
        content=dumped,
        text=text.strip(),
        calls=calls,
        ending=_get_ending(reason, is_blocked=candidate is None, is_empty=not (text.strip() or calls)),
        reason=reason,
        input_tokens=(usage and usage.prompt_token_count) or 0,
        output_tokens=((usage and usage.candidates_token_count) or 0)
        + ((usage and usage.thoughts_token_count) or 0),
    )


def _get_word(value: Any) -> str:
    word = str(getattr(value, "value", value) or "")
    return word if re.fullmatch(r"[A-Z_]{1,40}", word) else ""


def _get_ending(reason: str, *, is_blocked: bool, is_empty: bool) -> Ending:
    if is_blocked:
        return Ending.BLOCKED
    if reason in MALFORMED:
        return Ending.MALFORMED
    if reason in ("MAX_TOKENS", "CONTINUATION"):
        return Ending.CUT_OFF
    if reason in ("STOP", "", "FINISH_REASON_UNSPECIFIED"):
        return Ending.EMPTY if is_empty else Ending.WHOLE
    return Ending.BLOCKED  # SAFETY, RECITATION, PROHIBITED_CONTENT, SPII, …


def clean(value: Any) -> Any:
    """JSON as PostgreSQL takes it: no NUL, no half of a character."""
    if isinstance(value, str):
        return value.replace("\0", "").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value
