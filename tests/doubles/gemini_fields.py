"""Reading JSON as Google does, in either spelling, and refusing in its words (contracts/gemini.md §7, §9)."""

import json
import re
from typing import Any

Answer = tuple[int, dict[str, Any]]


class Refusal(Exception):
    """A request Google would answer with an error."""

    def __init__(self, status: int, word: str, text: str, *, reason: str | None = None) -> None:
        super().__init__(text)
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
        self.answer = describe_error(status, word, text, details)


def refuse(text: str) -> Refusal:
    """A refusal of what was sent."""
    return Refusal(400, "INVALID_ARGUMENT", text)


def describe_error(status: int, word: str, text: str, details: list[dict[str, Any]]) -> Answer:
    """An error as Google words it."""
    error: dict[str, Any] = {"code": status, "message": text, "status": word}
    return status, {"error": error | ({"details": details} if details else {})}


def read_json(body: bytes) -> dict[str, Any]:
    """The body as an object."""
    try:
        read = json.loads(body, parse_constant=_refuse_constant)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise refuse("Invalid JSON payload received.")
    return read


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def take(body: dict[str, Any], name: str, kind: type, default: Any = ...) -> Any:
    """Take a field out of an object, in either spelling (``taskType``, ``task_type``)."""
    snake = re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)
    value = body.pop(name, body.pop(snake, default))
    if value is default and default is not ...:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise refuse(f"Invalid value at '{name}'.")
    return value


def take_objects(body: dict[str, Any], name: str, default: Any = ...) -> list[dict[str, Any]]:
    """Take a list of objects out of an object."""
    taken = take(body, name, list, default)
    if not all(isinstance(each, dict) for each in taken):
        raise refuse(f"Invalid value at '{name}'.")
    return taken


def refuse_rest(body: dict[str, Any]) -> None:
    """Refuse an object in which fields are left that nobody took."""
    if body:
        raise refuse(f"Invalid JSON payload received. Unknown name {sorted(body)[0]!r}.")
