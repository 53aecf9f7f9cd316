"""Which conversations and requests the Gemini double refuses, as Google would (contracts/gemini.md §4, §9)."""

import copy
import json
from collections.abc import Callable, Iterator
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
    post,
    respond,
    upload,
    user,
)
from tests.doubles.gemini_model import Json, call, say


@pytest.fixture
def double() -> Iterator[GeminiDouble]:
    with running_gemini_double() as double:
        yield double


@pytest.fixture
def client(double: GeminiDouble) -> Client:
    return connect(double)


def play_two_steps(double: GeminiDouble, client: Client) -> list[Json]:
    """A valid conversation as it is stored: two turns, the second of which is at its third step."""
    double.enqueue(call(SEARCH), say("I do not know."), call(SEARCH, STORE), call(STORE), say("Done."))
    contents: list[Any] = []
    turns: list[list[tuple[Json, ...]]] = [[({},)], [({}, {"saved": 1}), ({"saved": 2},)]]
    for steps in turns:
        contents.append(user(QUESTION))
        for results in steps:
            response = ask(client, contents)
            contents += [response.candidates[0].content, respond(response, *results)]
        contents.append(ask(client, contents).candidates[0].content)
    return [content.model_dump(mode="json", exclude_none=True) for content in contents[:-1]]


# 0 question · 1 call · 2 result · 3 text · 4 question · 5 two calls · 6 two results · 7 call · 8 result
WRONG: dict[str, tuple[str, Callable[[list[Json]], Any]]] = {
    "no signature on the first call": (
        "missing a thought_signature",
        lambda c: c[5]["parts"][0].pop("thought_signature"),
    ),
    "no signature in the last step": (
        "missing a thought_signature",
        lambda c: c[7]["parts"][0].pop("thought_signature"),
    ),
    "a corrupted signature": ("Corrupted", lambda c: c[5]["parts"][0].update(thought_signature="AAAA")),
    "the signature of another step": (
        "belongs to another part",
        lambda c: c[7]["parts"][0].update(thought_signature=c[5]["parts"][0]["thought_signature"]),
    ),
    "the signature of an earlier turn": (
        "belongs to another part",
        lambda c: c[7]["parts"][0].update(thought_signature=c[1]["parts"][0]["thought_signature"]),
    ),
    "a signature on a parallel call": (
        "belongs to another part",
        lambda c: c[5]["parts"][1].update(thought_signature=c[5]["parts"][0]["thought_signature"]),
    ),
    "a call moved by a part of ours": (
        "belongs to another part",
        lambda c: c[7]["parts"].insert(0, {"text": "Let me see."}),
    ),
    "a parallel call left out": ("not all there", lambda c: (c[5]["parts"].pop(), c[6]["parts"].pop())),
    "other arguments": ("never made", lambda c: c[5]["parts"][1]["function_call"]["args"].update(a=1)),
    "other arguments in an earlier turn": (
        "never made",
        lambda c: c[1]["parts"][0]["function_call"].update(args={}),
    ),
    "a call of our own": (
        "never made",
        lambda c: c.extend(
            [
                {"role": "model", "parts": [{"function_call": {"id": "call_9", "name": "a"}}]},
                {"role": "user", "parts": [answer(id="call_9", name="a")]},
            ]
        ),
    ),
    "a call that nobody answered": ("number of function response parts", lambda c: c.pop(6)),
    "a response too few": ("number of function response parts (1)", lambda c: c[6]["parts"].pop()),
    "a response too many": ("parts (2)", lambda c: c[8]["parts"].append(c[8]["parts"][0])),
    "responses in another order": ("id and name must be those", lambda c: c[6]["parts"].reverse()),
    "a response by another name": (
        "id and name must be those",
        lambda c: c[8]["parts"][0]["function_response"].update(name="search_memories"),
    ),
    "a response without its id": (
        "id and name must be those",
        lambda c: c[8]["parts"][0]["function_response"].pop("id"),
    ),
    "responses that come late": ("number of function response", lambda c: c.insert(8, c[4])),
    "responses to nothing": ("immediately after", lambda c: c.append(c[8])),
    "a response among texts": ("cannot be mixed", lambda c: c[8]["parts"].append({"text": "And?"})),
    "a beginning with the model": ("begins with", lambda c: c.pop(0)),
    "an end with the model": ("end with a user role", lambda c: c.pop()),
    "another role": ("valid role", lambda c: c[3].update(role="assistant")),
    "no role": ("Invalid value at 'role'", lambda c: c[3].pop("role")),
    "no parts": ("must not be empty", lambda c: c[3].update(parts=[])),
    "an empty part": ("A part must have one of", lambda c: c[3]["parts"].append({})),
    "an empty text of the user": ("empty text", lambda c: c[4]["parts"].append({"text": ""})),
    "a call of the user": ("cannot be of role user", lambda c: c[4].update(parts=c[5]["parts"])),
    "a field nobody knows": ("Unknown name", lambda c: c[3].update(colour="red")),
    "a signature that is not base64": ("Base64", lambda c: c[5]["parts"][0].update(thought_signature="?")),
}


def answer(**fields: str) -> Json:
    return {"function_response": fields | {"response": {}}}


def get_error(response: httpx2.Response) -> str:
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    return error["message"]


def test_each_thing_wrong_with_a_conversation_is_refused(double: GeminiDouble, client: Client) -> None:
    contents = play_two_steps(double, client)
    valid = len(double.calls)
    for name, (message, spoil) in WRONG.items():
        spoiled = copy.deepcopy(contents)
        spoil(spoiled)
        assert message in get_error(post(double, {"contents": spoiled})), name
    assert len(double.calls) == valid

    # What was wrong above was only that: as it was, in either spelling and either alphabet of base64, it is answered.
    double.play(lambda request: say("Go on."))
    assert post(double, {"contents": contents}).status_code == 200
    camel = json.dumps(contents).replace("function_", "function").replace("functionc", "functionC")
    camel = camel.replace("functionr", "functionR").replace("thought_signature", "thoughtSignature")
    standard = json.loads(camel)
    for content in standard:
        for part in content["parts"]:
            if "thoughtSignature" in part:
                signature = part["thoughtSignature"]
                assert signature.startswith("----____")
                part["thoughtSignature"] = signature.replace("-", "+").replace("_", "/")
    assert post(double, {"contents": standard}).status_code == 200
    assert double.calls[-1].contents == double.calls[-2].contents
    # The signatures of earlier turns are not looked at.
    contents[1]["parts"][0]["thought_signature"] = "AAAA"
    assert post(double, {"contents": contents}).status_code == 200
    del contents[1]["parts"][0]["thought_signature"]
    assert post(double, {"contents": contents}).status_code == 200
    # Another model, and another service, know nothing of these.
    other = post(double, {"contents": contents}, path="/v1/models/gemini-3.5-flash")
    assert "another model" in get_error(other)
    with running_gemini_double() as stranger:
        assert "never made" in get_error(post(stranger, {"contents": contents}))


def tool(**changes: Any) -> Json:
    return {"tools": [{"functionDeclarations": [TOOLS[0] | changes]}]}


def calling(mode: str, *names: str) -> Json:
    config = {"mode": mode} | ({"allowedFunctionNames": list(names)} if names else {})
    return tool() | {"toolConfig": {"functionCallingConfig": config}}


def generation(**fields: Any) -> Json:
    return {"generationConfig": fields}


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("contents is not specified", {"contents": []}),
        ("Invalid value at 'contents'", {"contents": ["hello"]}),
        ("Unknown name 'colour'", {"colour": "red"}),
        ("MINIMAL is not supported", generation(thinkingConfig={"thinking_level": "MINIMAL"})),
        ("one of thinking budget", generation(thinkingConfig={"thinkingLevel": "LOW", "thinking_budget": 0})),
        ("thinking_level", generation(thinkingConfig={"thinkingLevel": "LITTLE"})),
        ("temperature is not to be sent", generation(temperature=0)),
        ("topP is not to be sent", generation(top_p=0.5)),
        ("topK is not to be sent", generation(topK=3)),
        ("between 1 and 65536", generation(maxOutputTokens=65_537)),
        ("Invalid value at 'maxOutputTokens'", generation(maxOutputTokens=True)),
        ("MIME type application/json", generation(responseJsonSchema={"type": "object"})),
        ("Unknown name 'seeds'", generation(seeds=1)),
        ("systemInstruction must not be empty", {"systemInstruction": {"parts": [{"text": ""}]}}),
        ("Invalid function name", tool(name="7up")),
        ("Invalid function name", tool(name="search memories")),
        ("Invalid function name", tool(name="a" * 129)),
        ("Duplicate function declaration", {"tools": tool()["tools"] * 2}),
        ("must have a description", tool(description=" ")),
        ("schema of type object", tool(parameters_json_schema={"type": "string"})),
        (
            "a property that is not defined",
            tool(parameters_json_schema={"type": "object", "required": ["a"]}),
        ),
        ("Unknown name 'parameters'", tool(parameters={"type": "OBJECT"})),
        ("Unknown name 'googleSearch'", {"tools": [tool()["tools"][0] | {"googleSearch": {}}]}),
        ("function_calling_config.mode", calling("SOMETIMES")),
        ("only be set with the modes ANY and VALIDATED", calling("AUTO", "search_memories")),
        ("is not declared", calling("ANY", "store_memory")),
        ("without function_declarations", {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}),
        ("safety_settings", {"safetySettings": [{"category": "RUDE", "threshold": "OFF"}]}),
        (
            "Unsupported MIME type",
            {
                "contents": [
                    {"role": "user", "parts": [{"inlineData": {"data": "AA==", "mime_type": "jpeg"}}]}
                ]
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_google_would_not_read_is_refused(double: GeminiDouble, message: str, fields: Json) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]} | fields
    assert message in get_error(post(double, body))
    assert double.calls == []


def test_what_is_just_allowed_is_taken(double: GeminiDouble) -> None:
    double.play(lambda request: say("Fine."))
    picture = {"inline_data": {"data": "_-8=", "mime_type": "image/jpeg"}}
    uploaded = upload(double, b"OggS", mime_type="audio/ogg")
    file = {"fileData": {"fileUri": uploaded.uri, "mimeType": "audio/ogg"}}
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    body = {
        "contents": [{"role": "user", "parts": [picture, file, {"text": "What is this?"}]}],
        "safetySettings": safety,
        **calling("ANY", "search_memories"),
        **generation(
            thinking_config={"thinkingBudget": -1, "include_thoughts": True}, max_output_tokens=65_536
        ),
    }
    assert post(double, body).status_code == 200
    assert post(double, generation(thinkingConfig={"thinkingLevel": "MINIMAL"}) | {
        "contents": body["contents"]
    }, path="/v1/models/gemini-3.5-flash-lite").status_code == 200  # fmt: skip
    first, second = double.calls
    assert first.contents[0]["parts"][0] == {"inlineData": {"data": "_-8=", "mimeType": "image/jpeg"}}
    assert [each.size for each in first.media] == [2, 4]
    assert (first.mode, second.mode, second.thinking_level) == ("ANY", "AUTO", "MINIMAL")


def test_only_real_models_answer_and_aliases_on_v1beta_only(double: GeminiDouble, client: Client) -> None:
    double.play(lambda request: say(request.model))
    for name in ("gemini-3.9-flash", "gemini-2.0-flash", "gemini-flash-latest", "gemini-embedding-001"):
        with pytest.raises(errors.ClientError, match="NOT_FOUND") as caught:
            ask(client, [user("Hi")], model=name)
        assert caught.value.code == 404
    beta = {"http_options": types.HttpOptions(api_version="v1beta")}
    response = ask(client, [user("Hi")], model="gemini-flash-lite-latest", **beta)
    assert (response.text, response.model_version) == ("gemini-3.5-flash-lite", "gemini-3.5-flash-lite")
    with pytest.raises(errors.ClientError, match="API key not valid"):
        ask(connect(double, key="another"), [user("Hi")])
