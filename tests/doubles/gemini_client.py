"""How the tests of the Gemini double speak with it: through the real SDK, or bare where that would not say it."""

import io
import json
from typing import Any

import httpx2
from google.genai import Client, types

from tests.doubles.gemini import GeminiDouble
from tests.doubles.gemini_model import Json

MODEL = "gemini-3.8-flash"
QUESTION = "When is my sister's birthday?"
SEARCH = ("search_memories", {"query": "sister's birthday"})
STORE = ("store_memory", {"content": "The car is red", "type": "note"})
TEXT = {"type": "string"}


def declare(name: str, required: list[str], **properties: Any) -> Json:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"name": name, "description": f"What {name} does.", "parameters_json_schema": schema}


TYPES = ["note", "place", "event", "task", "person"]
TOOLS = [
    declare("search_memories", [], query=TEXT, start_date=TEXT, end_date=TEXT),
    declare("store_memory", ["content", "type"], content=TEXT, type={"type": "string", "enum": TYPES}),
    declare("update_memory", ["number", "content"], number={"type": "integer"}, content=TEXT),
    declare("forget_memory", ["numbers"], numbers={"type": "array", "items": {"type": "integer"}}),
    declare("list_memories", []),
    declare("set_timezone", ["place"], place=TEXT),
    declare("find_media", [], kind=TEXT, start_date=TEXT, end_date=TEXT),
]


def connect(double: GeminiDouble, *, key: str = "key-of-the-double") -> Client:
    options = types.HttpOptions(base_url=double.base_url, timeout=10_000, client_args={"trust_env": False})
    return Client(enterprise=False, api_key=key, http_options=options)


def ask(client: Client, contents: list[Any], *, model: str = MODEL, **changes: Any) -> Any:
    config: Any = {
        "system_instruction": "You are a memory. It is now Wednesday 2026-03-18 14:05.",
        "tools": [{"function_declarations": TOOLS}],
        "automatic_function_calling": {"disable": True},
        "automatic_continuation": False,
        "max_output_tokens": 4096,
        "thinking_config": {"thinking_level": "LOW"},
    }
    return client.models.generate_content(model=model, contents=contents, config=config | changes)


def user(*texts: str) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=text) for text in texts])


def own_words(*texts: str) -> types.Content:
    return user(*(json.dumps({"message": {"sent": "now", "own_words": text}}) for text in texts))


def upload(double: GeminiDouble, data: bytes, *, mime_type: str) -> types.File:
    """Upload a file through the SDK."""
    client = connect(double)
    return client.files.upload(file=io.BytesIO(data), config=types.UploadFileConfig(mime_type=mime_type))


def ask_for_description(client: Client, *parts: types.Part) -> Any:
    """What a file shows or says."""
    texts = {name: TEXT for name in ("description", "language", "text")}
    config = types.GenerateContentConfig(
        response_mime_type="application/json",
        response_json_schema={"type": "object", "properties": texts, "required": list(texts)},
    )
    asked = [*parts, types.Part(text="What is this?")]
    contents: Any = types.Content(role="user", parts=asked)
    return client.models.generate_content(model=MODEL, contents=contents, config=config)


def respond(response: Any, *results: Json) -> types.Content:
    """What the tools answer to all calls of a response."""
    answers = zip(response.function_calls, results, strict=True)
    return types.Content(
        role="user",
        parts=[
            types.Part(
                function_response=types.FunctionResponse(id=called.id, name=called.name, response=result)
            )
            for called, result in answers
        ],
    )


def post(double: GeminiDouble, body: Any, *, path: str = f"/v1/models/{MODEL}") -> httpx2.Response:
    with httpx2.Client(trust_env=False) as session:
        url = f"{double.base_url}{path}:generateContent"
        return session.post(url, json=body, headers={"x-goog-api-key": double.api_key}, timeout=10)
