"""What the Gemini double answers, through the real SDK: scripts, faults, counts (contracts/gemini.md §4)."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from google.genai import Client, errors, types

from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_client import (
    QUESTION,
    SEARCH,
    STORE,
    TOOLS,
    ask,
    connect,
    own_words,
    post,
    respond,
    user,
)
from tests.doubles.gemini_model import (
    NO_TOOLS,
    Json,
    ModelRequest,
    Reply,
    blocked,
    by_text,
    call,
    cut,
    empty,
    malformed,
    nothing,
    say,
    stopped,
    think,
)


@pytest.fixture
def double() -> Iterator[GeminiDouble]:
    with running_gemini_double() as double:
        yield double


@pytest.fixture
def client(double: GeminiDouble) -> Client:
    return connect(double)


def test_a_tool_loop_is_played_step_by_step_and_survives_a_journal(
    double: GeminiDouble, client: Client
) -> None:
    double.play(by_text({QUESTION: [call(SEARCH, STORE), call(STORE), say("On 14 March. [#7]")]}))
    contents = [own_words("Hi"), types.Content(role="model", parts=[types.Part(text="Hello!")])]
    contents.append(own_words(QUESTION))
    results = [({"memories": [{"number": 7}]}, {"saved": 8}), ({"known_already": 8},)]
    for step, answered in enumerate(results):
        # As a worker reads it that was started after the last one was killed.
        kept = json.dumps([content.model_dump(mode="json", exclude_none=True) for content in contents])
        contents = [types.Content.model_validate(each) for each in json.loads(kept)]
        response = ask(client, contents)
        assert (response.text, double.calls[-1].step) == (None, step)
        contents += [response.candidates[0].content, respond(response, *answered)]
    assert ask(client, contents).text == "On 14 March. [#7]"

    first, second, third = double.calls
    assert double.answered == double.calls
    signed = [[bool(part.thought_signature) for part in content.parts] for content in contents[3::2]]
    assert signed == [[True, False], [True]]
    ids = [part.function_call.id for content in contents[3::2] for part in content.parts]
    assert ids == ["call_1", "call_2", "call_3"]
    assert (first.text, first.responses) == (own_words(QUESTION).parts[0].text, [])
    assert second.responses == list(zip(("search_memories", "store_memory"), results[0], strict=True))
    assert [len(step) for step in third.steps] == [2, 1]
    assert (third.responses, third.mode) == ([("store_memory", {"known_already": 8})], "AUTO")
    assert first.system.startswith("You are a memory.")
    assert [tool["name"] for tool in first.tools] == [tool["name"] for tool in TOOLS] == first.tool_names
    assert (first.thinking_level, first.max_output_tokens, first.server_timeout) == ("LOW", 4096, 10.0)


def test_queued_replies_go_first_and_each_kind_reads_as_the_contract_says(
    double: GeminiDouble, client: Client
) -> None:
    double.play(lambda request: say("From the model."))
    replies = (
        *(blocked("SAFETY"), stopped("RECITATION"), cut(), cut("Half an"), malformed(), empty(), nothing()),
        *(think("Hm.", then=say("Yes", " sir")), say("So.", signature="last"), say("So.", signature="empty")),
        *(call(SEARCH, text="Let me look.", without_ids=True), think("Hm.", then=call(SEARCH))),
    )
    double.enqueue(*replies)
    assert double.queued == len(replies)
    got = [ask(client, [user(QUESTION)]) for _ in replies]
    prompt, answer, thinking, half, bad, silent, bare, thoughtful, last, with_empty, anonymous, called = got

    assert (prompt.candidates, prompt.prompt_feedback.block_reason.value) == (None, "SAFETY")
    assert prompt.usage_metadata.total_token_count == double.calls[0].prompt_tokens
    for response, reason in (
        (answer, "RECITATION"),
        (thinking, "MAX_TOKENS"),
        (half, "MAX_TOKENS"),
        (bad, "MALFORMED_FUNCTION_CALL"),
        (silent, "STOP"),
    ):
        assert response.candidates[0].finish_reason.value == reason
    assert (answer.candidates[0].content, bad.candidates[0].content) == (None, None)
    assert (thinking.candidates[0].content.parts, thinking.text) == (None, None)
    assert thinking.usage_metadata.thoughts_token_count == 4096
    assert (half.text, silent.text) == ("Half an", "")
    assert (bare.candidates, bare.usage_metadata, bare.text) == (None, None, None)
    assert [part.thought for part in thoughtful.candidates[0].content.parts] == [True, None, None]
    assert (thoughtful.text, thoughtful.usage_metadata.thoughts_token_count) == ("Yes sir", 1)
    [part] = last.candidates[0].content.parts
    assert part.thought_signature
    parts = with_empty.candidates[0].content.parts
    assert [(part.text, bool(part.thought_signature)) for part in parts] == [("So.", False), ("", True)]
    [function_call] = anonymous.function_calls
    assert (anonymous.text, function_call.id, function_call.args) == ("Let me look.", None, SEARCH[1])
    assert [bool(part.thought_signature) for part in called.candidates[0].content.parts] == [False, True]
    assert (double.queued, ask(client, [user(QUESTION)]).text) == (0, "From the model.")

    # Everything that may stand in the current turn goes back as it came.
    first = anonymous.candidates[0].content
    steps = [first, respond(anonymous, {"saved": 1}), called.candidates[0].content, respond(called, {"a": 1})]
    assert ask(client, [user(QUESTION), *steps]).text == "From the model."


def test_a_model_that_may_not_call_does_not(double: GeminiDouble, client: Client) -> None:
    none: Json = {"tool_config": {"function_calling_config": {"mode": "NONE"}}}
    double.play(lambda request: call(SEARCH, text="Let me look." if request.step else ""))
    assert ask(client, [user(QUESTION)], **none).candidates[0].content.parts == [types.Part(text=NO_TOOLS)]
    response = ask(client, [user(QUESTION)])
    contents = [user(QUESTION), response.candidates[0].content, respond(response, {})]
    assert ask(client, contents, **none).text == "Let me look."
    assert [request.mode for request in double.calls] == ["NONE", "AUTO", "NONE"]


def test_a_test_without_a_script_or_with_a_wrong_one_is_told_so(client: Client, double: GeminiDouble) -> None:
    with pytest.raises(errors.ServerError, match="has not said what the model answers"):
        ask(client, [user(QUESTION)])
    double.play(by_text({"Hi": [say("Hello!")], 'He said "Hi"': [say("Hi!")], "said": [say("So?")]}))
    assert ask(client, [own_words('He said "Hi"')]).text == "Hi!"
    with pytest.raises(errors.ServerError, match="no script for"):
        ask(client, [user("Where is my car?")])
    double.play(by_text({QUESTION: [call(SEARCH)]}))
    response = ask(client, [user(QUESTION)])
    contents = [user(QUESTION), response.candidates[0].content, respond(response, {})]
    with pytest.raises(errors.ServerError, match="ends after 1"):
        ask(client, contents)
    assert (len(double.calls), len(double.answered), len(double.script_errors)) == (5, 2, 2)
    double.script_errors.clear()


def test_a_script_that_failed_fails_the_test() -> None:
    def fail(request: ModelRequest) -> Reply:
        raise AssertionError("the journal was not asked for")

    def test() -> None:
        with running_gemini_double() as double:
            double.play(fail)
            body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
            assert post(double, body).status_code == 500

    with pytest.raises(AssertionError, match="journal"):
        test()


def test_faults_come_once_each_before_the_next_reply(double: GeminiDouble, client: Client) -> None:
    double.enqueue(say("At last."))
    details: Json = {"status": 429, "word": "RESOURCE_EXHAUSTED", "retry_delay": "34s", "retry_after": "7"}
    double.fail_next("generateContent", kind="error", **details)
    with pytest.raises(errors.ClientError) as caught:
        ask(client, [user("Hi")])
    assert caught.value.details["error"]["details"][0]["retryDelay"] == "34s"
    assert (caught.value.code, caught.value.response.headers["Retry-After"]) == (429, "7")
    for kind, error in (
        ("junk", json.JSONDecodeError),
        ("reset", httpx2.ReadError),
        ("cut", httpx2.RemoteProtocolError),
        ("hang", httpx2.RemoteProtocolError),
    ):
        double.fail_next("generateContent", kind=kind, seconds=0.05)  # type: ignore[arg-type]
        with pytest.raises(error):
            ask(client, [user("Hi")])
    double.fail_next("generateContent", kind="empty")
    assert ask(client, [user("Hi")]).candidates is None
    double.fail_next("generateContent", kind="slow", seconds=0.2)
    began = time.monotonic()
    assert ask(client, [user("Hi")]).text == "At last."
    assert time.monotonic() - began >= 0.2
    assert (len(double.calls), len(double.answered), double.queued) == (7, 1, 0)


def test_a_reply_that_nobody_waited_for_is_the_next_ones(double: GeminiDouble, client: Client) -> None:
    double.enqueue(say("First."), say("Second."))
    double.model_seconds = 0.4
    impatient: Json = {"http_options": types.HttpOptions(timeout=100)}
    with pytest.raises(httpx2.TimeoutException):
        ask(client, [user("Hi")], **impatient)
    deadline = time.monotonic() + 5
    while double.queued < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [ask(client, [user("Hi")]).text for _ in range(2)] == ["First.", "Second."]
    assert (len(double.calls), len(double.answered)) == (3, 2)
    assert [each.server_timeout for each in double.calls] == [1.0, 10.0, 10.0]


def test_a_hundred_are_answered_at_once(double: GeminiDouble) -> None:
    double.play(lambda request: say(request.text))
    double.model_seconds = 1.0
    got: dict[int, str] = {}

    def run(number: int) -> None:
        body = {"contents": [{"role": "user", "parts": [{"text": f"Number {number}"}]}]}
        said = post(double, body).json()
        got[number] = said["candidates"][0]["content"]["parts"][0]["text"]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(100)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: f"Number {number}" for number in range(100)}
    # Far from a hundred seconds; the machine may be busy with other things.
    assert 1.0 <= time.monotonic() - began < 15
    assert len(double.answered) == 100


def test_tokens_are_a_quarter_of_what_was_sent_and_said(double: GeminiDouble, client: Client) -> None:
    double.play(lambda request: say("x" * 41))
    bare: Json = {"system_instruction": None, "tools": None}

    def count(*texts: str, **changes: Any) -> int:
        response = ask(client, [user(*texts)], **(bare | changes))
        usage = response.usage_metadata
        assert usage.candidates_token_count == 11
        assert usage.total_token_count == usage.prompt_token_count + 11
        assert (usage.thoughts_token_count, response.response_id[:9]) == (None, "response_")
        assert usage.prompt_tokens_details[0].token_count == usage.prompt_token_count
        return usage.prompt_token_count

    assert (count("y" * 40), count("y" * 41), count("y" * 20, "y" * 20)) == (10, 11, 10)
    assert count("y" * 40, system_instruction="z" * 400) == 110
    assert count("y" * 40, tools=[{"function_declarations": TOOLS[:1]}]) > 10 + len(str(TOOLS[0])) // 5

    double.enqueue(call(SEARCH))
    response = ask(client, [user("y" * 40)], **bare)
    assert response.usage_metadata.candidates_token_count == -(-len(SEARCH[0] + json.dumps(SEARCH[1])) // 4)
    longer = [user("y" * 40), response.candidates[0].content, respond(response, {"text": "z" * 4000})]
    assert 1010 < ask(client, longer, **bare).usage_metadata.prompt_token_count < 1050
