"""One call of the language model through the real SDK: what goes out, what comes back, what survives being stored."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_model import call, cut, say, stopped, think
from whatsbot.exceptions import PermanentProviderError
from whatsbot.integrations.gemini import (
    Ending,
    ModelResponse,
    Tool,
    generate,
    model_content,
    results_content,
    user_content,
)

TOOL = Tool(
    name="look_up",
    description="Look something up.",
    parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)


@pytest.fixture
def model(settings: Any) -> Iterator[GeminiDouble]:
    """A language model over loopback."""
    with running_gemini_double() as double:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = double.api_key, double.base_url
        yield double


def ask(*contents: dict[str, Any], **options: Any) -> ModelResponse:
    return generate(system="Be brief.", contents=contents or [user_content("hello")], tools=[TOOL], **options)


def test_an_answer_has_its_text_without_thoughts_and_its_cost(model: GeminiDouble) -> None:
    model.enqueue(think("let me see", then=say("Hello ", "there.")))
    response = ask(user_content("hi", "you"), model_content("yes?"), user_content("hello"))
    assert (response.text, response.ending, response.calls) == ("Hello there.", Ending.WHOLE, ())
    request = model.calls[0]
    assert request.system == "Be brief."
    assert [content["role"] for content in request.contents] == ["user", "model", "user"]
    assert response.input_tokens == request.prompt_tokens
    assert response.output_tokens > 0


def test_calls_and_their_results_survive_being_stored(model: GeminiDouble) -> None:
    model.enqueue(call(("look_up", {"query": "a\0b 🙂"}), ("look_up", {"query": "c"})), say("Found."))
    first = ask()
    assert [each.arguments for each in first.calls] == [{"query": "ab 🙂"}, {"query": "c"}]
    assert first.content
    stored = json.loads(json.dumps([user_content("hello"), first.content]))
    results = results_content([(each, {"output": each.arguments["query"]}) for each in first.calls])
    assert ask(*stored, results).text == "Found."


@pytest.mark.parametrize(
    ("name", "version", "thinking"),
    [
        ("gemini-3.8-flash", "v1", "LOW"),
        ("gemini-3.5-flash-lite", "v1", "LOW"),
        ("gemini-flash-latest", "v1beta", None),
    ],
)
def test_each_model_is_asked_in_its_own_way(
    model: GeminiDouble, settings: Any, name: str, version: str, thinking: str | None
) -> None:
    settings.GEMINI_MODEL = name
    model.enqueue(say("Hi."))
    assert ask().text == "Hi."
    assert model.requests[0].path == f"/{version}/models/{name}:generateContent"
    assert model.calls[0].thinking_level == thinking


def test_tools_can_be_kept_from_the_model(model: GeminiDouble) -> None:
    model.enqueue(say("Hi."))
    ask(may_call_tools=False)
    assert model.calls[0].mode == "NONE"


def test_what_stopped_an_answer_is_told_in_googles_own_word(model: GeminiDouble) -> None:
    model.enqueue(stopped("RECITATION"), cut("half"))
    assert [(each.ending, each.reason) for each in (ask(), ask())] == [
        (Ending.BLOCKED, "RECITATION"),
        (Ending.CUT_OFF, "MAX_TOKENS"),
    ]


def test_a_content_that_another_version_stored_is_a_clear_error(model: GeminiDouble) -> None:
    with pytest.raises(PermanentProviderError, match="cannot be read any more"):
        ask({"role": "user", "parts": [{"text": "hello", "a_field_of_tomorrow": 1}]})
    assert model.requests == []
