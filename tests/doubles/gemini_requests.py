"""Reading a generateContent request: what Google takes, in one spelling; anything else is refused.

contracts/gemini.md §4 and §9. Stricter than Google where that would hide a mistake of ours: sampling parameters, fields
nobody here uses, tools without a description or a schema.
"""

import base64
import re
from collections.abc import Sequence

from tests.doubles.gemini_fields import Refusal, refuse, refuse_rest, take, take_objects
from tests.doubles.gemini_model import Json, ModelRequest

MODELS = ("gemini-3.8-flash", "gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.1-flash-lite")
ALIASES = {"gemini-flash-latest": "gemini-3.8-flash", "gemini-flash-lite-latest": "gemini-3.5-flash-lite"}
WITHOUT_MINIMAL = ("gemini-3.8-flash",)
MODES = ("AUTO", "ANY", "NONE", "VALIDATED")
LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
THRESHOLDS = ("BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF")
MOST_OUTPUT_TOKENS = 65_536
# contracts/gemini.md §5.
MEDIA_TYPES = {
    "image": ("png", "jpeg", "webp", "heic", "heif"),
    "audio": ("wav", "mp3", "mpeg", "aac", "ogg", "flac", "aiff", "mp4", "m4a", "webm", "pcm"),
    "video": ("mp4", "mpeg", "quicktime", "webm", "3gpp", "x-flv", "wmv"),
    "application": ("pdf",),
    "text": ("plain",),
}
KINDS_OF_PART = ("text", "inlineData", "fileData", "functionCall", "functionResponse")


def resolve_model(name: str, *, version: str) -> str:
    """The model behind a name. Raises Refusal if there is none on this version of the API."""
    if name in MODELS:
        return name
    if version == "v1beta" and name in ALIASES:
        return ALIASES[name]
    text = f"models/{name} is not found for API version {version}, or is not supported for generateContent."
    raise Refusal(404, "NOT_FOUND", text)


def read_request(model: str, body: Json, *, server_timeout: str | None) -> ModelRequest:
    """The whole request. Raises Refusal."""
    contents = [_read_content(each) for each in take_objects(body, "contents")]
    if not contents:
        raise refuse("contents is not specified")
    system = _read_system(take(body, "systemInstruction", dict, None))
    tools = [tool for each in take_objects(body, "tools", []) for tool in _read_tools(each)]
    names = [tool["name"] for tool in tools]
    if twice := {name for name in names if names.count(name) > 1}:
        raise refuse(f"Duplicate function declaration found: {sorted(twice)[0]}")
    mode = _read_mode(take(body, "toolConfig", dict, None), names=names)
    for setting in take_objects(body, "safetySettings", []):
        _check_safety(setting)
    most, level, schema = _read_generation(take(body, "generationConfig", dict, {}), model=model)
    refuse_rest(body)
    return ModelRequest(
        model=model,
        system=system,
        contents=contents,
        tools=tools,
        mode=mode,
        max_output_tokens=most,
        thinking_level=level,
        response_schema=schema,
        server_timeout=float(server_timeout) if server_timeout else None,
    )


# Contents


def _read_content(content: Json) -> Json:
    role = take(content, "role", str)
    if role not in ("user", "model"):
        raise refuse("Please use a valid role: user, model.")
    parts = [_read_part(part, role=role) for part in take_objects(content, "parts", [])]
    refuse_rest(content)
    if not parts:
        raise refuse("contents.parts must not be empty.")
    if len({"functionResponse" in part for part in parts}) > 1:
        raise refuse("Function responses cannot be mixed with other parts.")
    return {"role": role, "parts": parts}


def _read_part(part: Json, *, role: str) -> Json:
    read: Json = {}
    for kind in KINDS_OF_PART:
        value = take(part, kind, str if kind == "text" else dict, None)
        if value is not None:
            read[kind] = READERS[kind](value) if kind in READERS else value
    if len(read) != 1:
        raise refuse(
            f"A part must have one of {', '.join(KINDS_OF_PART)}; this has {sorted(read) or 'none'}."
        )
    [kind] = read
    if (kind == "functionCall" and role != "model") or (kind == "functionResponse" and role != "user"):
        raise refuse(f"A {kind} cannot be of role {role}.")
    if take(part, "thought", bool, False):
        read["thought"] = True
    signature = take(part, "thoughtSignature", str, None)
    if signature is not None:
        read["thoughtSignature"] = _read_bytes(signature, name="thought_signature")
    refuse_rest(part)
    if role == "user" and (read.get("text") == "" or "thoughtSignature" in read or "thought" in read):
        raise refuse("A user's part cannot be an empty text, a thought or signed.")
    return read


def _read_bytes(text: str, *, name: str) -> str:
    """Base64 in either alphabet, as the URL-safe one."""
    standard = text.replace("-", "+").replace("_", "/")
    try:
        return base64.urlsafe_b64encode(base64.b64decode(standard, validate=True)).decode()
    except ValueError:
        raise refuse(f"Invalid value at '{name}' (TYPE_BYTES), Base64 decoding failed.") from None


def _read_call(call: Json) -> Json:
    read = {"name": take(call, "name", str), "args": take(call, "args", dict, {})}
    return _end_with_id(call, read)


def _read_response(response: Json) -> Json:
    read = {"name": take(response, "name", str), "response": take(response, "response", dict)}
    return _end_with_id(response, read)


def _end_with_id(given: Json, read: Json) -> Json:
    name = take(given, "id", str, None)
    refuse_rest(given)
    return read | ({"id": name} if name is not None else {})


def _read_inline_data(blob: Json) -> Json:
    data = _read_bytes(take(blob, "data", str), name="inline_data.data")
    return {"data": data} | _end_with_type(blob)


def _read_file_data(file: Json) -> Json:
    return {"fileUri": take(file, "fileUri", str)} | _end_with_type(file)


def _end_with_type(given: Json) -> Json:
    kind = take(given, "mimeType", str)
    refuse_rest(given)
    family, _, name = kind.partition("/")
    if name not in MEDIA_TYPES.get(family, ()):
        raise refuse(f"Unsupported MIME type: {kind}")
    return {"mimeType": kind}


READERS = {
    "inlineData": _read_inline_data,
    "fileData": _read_file_data,
    "functionCall": _read_call,
    "functionResponse": _read_response,
}


def _read_system(content: Json | None) -> str:
    if content is None:
        return ""
    take(content, "role", str, None)
    texts = []
    for part in take_objects(content, "parts"):
        texts.append(take(part, "text", str))
        refuse_rest(part)
    refuse_rest(content)
    if not any(texts):
        raise refuse("systemInstruction must not be empty.")
    return "\n".join(texts)


# Tools


def _read_tools(tool: Json) -> Sequence[Json]:
    declared = [_read_declaration(each) for each in take_objects(tool, "functionDeclarations")]
    refuse_rest(tool)
    return declared


def _read_declaration(given: Json) -> Json:
    name, description = take(given, "name", str), take(given, "description", str)
    schema = take(given, "parametersJsonSchema", dict)
    refuse_rest(given)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}", name):
        raise refuse(
            f"Invalid function name {name!r}. Must start with a letter or an underscore; at most 128 characters."
        )
    if not description.strip():
        raise refuse(f"The function {name} must have a description.")
    properties = schema.get("properties", {})
    if schema.get("type") != "object" or not isinstance(properties, dict):
        raise refuse(f"The parameters of {name} must be a schema of type object.")
    if not set(schema.get("required", [])) <= set(properties):
        raise refuse(f"The parameters of {name} require a property that is not defined.")
    return {"name": name, "description": description, "schema": schema}


def _read_mode(config: Json | None, *, names: Sequence[str]) -> str:
    calling = take(config, "functionCallingConfig", dict, None) if config is not None else None
    refuse_rest(config or {})
    if calling is None:
        return "AUTO"
    mode, allowed = take(calling, "mode", str, "AUTO"), take(calling, "allowedFunctionNames", list, [])
    refuse_rest(calling)
    if mode not in MODES:
        raise refuse(f"Invalid value at 'function_calling_config.mode': {mode!r}")
    if not names:
        raise refuse("Function calling config is set without function_declarations.")
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise refuse("Allowed function names can only be set with the modes ANY and VALIDATED.")
    if unknown := [name for name in allowed if name not in names]:
        raise refuse(f"Allowed function name {unknown[0]!r} is not declared.")
    return mode


# The rest


def _check_safety(setting: Json) -> None:
    category, threshold = take(setting, "category", str), take(setting, "threshold", str)
    refuse_rest(setting)
    if category.removeprefix("HARM_CATEGORY_") not in HARMS or threshold not in THRESHOLDS:
        raise refuse("Invalid value at 'safety_settings'.")


def _read_generation(config: Json, *, model: str) -> tuple[int | None, str | None, Json | None]:
    """The most tokens of an answer, the level of thinking, and the schema of the answer."""
    for name in ("temperature", "topP", "topK"):
        if take(config, name, object, None) is not None:
            raise refuse(f"{name} is not to be sent: contracts/gemini.md §4, Thinking, limits, sampling.")
    most = take(config, "maxOutputTokens", int, None)
    if most is not None and not 1 <= most <= MOST_OUTPUT_TOKENS:
        raise refuse(f"max_output_tokens must be between 1 and {MOST_OUTPUT_TOKENS}.")
    level = _read_thinking(take(config, "thinkingConfig", dict, {}), model=model)
    kind = take(config, "responseMimeType", str, None)
    schema = take(config, "responseJsonSchema", dict, None)
    if schema is not None and kind != "application/json":
        raise refuse("A response schema needs the response MIME type application/json.")
    if schema is not None and not set(schema.get("required", [])) <= set(schema.get("properties", {})):
        raise refuse("The response schema requires a property that is not defined.")
    refuse_rest(config)
    return most, level, schema


def _read_thinking(config: Json, *, model: str) -> str | None:
    level, budget = take(config, "thinkingLevel", str, None), take(config, "thinkingBudget", int, None)
    take(config, "includeThoughts", bool, None)
    refuse_rest(config)
    if level is not None and budget is not None:
        raise refuse("You can only set one of thinking budget and thinking level.")
    if level is not None and level not in LEVELS:
        raise refuse(f"Invalid value at 'thinking_config.thinking_level': {level!r}")
    if level == "MINIMAL" and model in WITHOUT_MINIMAL:
        raise refuse(f"Thinking level MINIMAL is not supported for {model}.")
    return level
