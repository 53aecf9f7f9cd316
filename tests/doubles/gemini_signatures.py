"""What the Gemini double has handed out, and whether it comes back as it was (contracts/gemini.md §4, §9).

Thought signatures are checked in the current turn only, calls and their responses everywhere.
"""

import base64
import json
import secrets
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from tests.doubles.gemini_fields import refuse
from tests.doubles.gemini_model import Json, Part, Reply, find_turn, is_response


@dataclass(frozen=True)
class _Signed:
    """A part that carries a signature, and the answer it stands in."""

    model: str
    index: int
    parts: list[Json]


class Ledger:
    """Every call and every signature that was handed out."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._signed: dict[str, _Signed] = {}
        self._calls: dict[str | None, list[Json]] = defaultdict(list)
        self._lock = threading.Lock()

    def issue(self, reply: Reply, *, model: str) -> list[Json]:
        """The parts of a reply as they go out, with ids and signatures of their own."""
        with self._lock:
            parts = [self._make_part(part, without_ids=reply.without_ids) for part in reply.parts]
            for index, part in enumerate(parts):
                if "thoughtSignature" in part:
                    self._signed[part["thoughtSignature"]] = _Signed(model, index, parts)
                if "functionCall" in part:
                    self._calls[part["functionCall"].get("id")].append(part["functionCall"])
        return parts

    def _make_part(self, part: Part, *, without_ids: bool) -> Json:
        made: Json = {"text": part.text} | ({"thought": True} if part.is_thought else {})
        if part.call:
            name, args = part.call
            made = {"functionCall": {"name": name, "args": json.loads(json.dumps(args))}}
            if not without_ids:
                made["functionCall"]["id"] = f"call_{next(self._numbers)}"
        if part.is_signed:
            # Begins with what the two alphabets of base64 write differently, and ends with padding.
            made["thoughtSignature"] = base64.urlsafe_b64encode(
                b"\xfb\xef\xbe\xff\xff\xff" + secrets.token_bytes(34)
            ).decode()
        return made

    def check(self, contents: Sequence[Json], *, model: str) -> None:
        """Refuse what Google would, and what nobody could have been told."""
        check_order(contents)
        start = find_turn(contents)
        parts = [
            (place, index, part)
            for place, content in enumerate(contents)
            for index, part in enumerate(content["parts"])
        ]
        for place, index, part in parts:
            if "functionCall" in part:
                self._check_call(part["functionCall"], where=f"contents[{place}].parts[{index}]")
        for place, index, part in parts:
            if "thoughtSignature" in part and place > start:
                where = f"contents[{place}].parts[{index}]"
                self._check_signature(
                    part["thoughtSignature"], contents[place], index, model=model, where=where
                )
        for place in range(start + 1, len(contents)):
            check_is_signed(contents[place], where=f"contents[{place}]")

    def _check_call(self, call: Json, *, where: str) -> None:
        with self._lock:
            is_known = call in self._calls.get(call.get("id"), [])
        if not is_known:
            raise refuse(f"{where}: this function call was never made, or is not as it was.")

    def _check_signature(self, signature: str, content: Json, index: int, *, model: str, where: str) -> None:
        with self._lock:
            signed = self._signed.get(signature)
        if signed is None:
            raise refuse(f"{where}: Corrupted thought signature.")
        if signed.model != model:
            raise refuse(f"{where}: Invalid thought signature: another model made it.")
        if signed.index != index or signed.parts[index] != content["parts"][index]:
            raise refuse(f"{where}: Invalid thought signature: it belongs to another part.")
        if get_calls(content) != get_calls({"parts": signed.parts}):
            raise refuse(f"{where}: the function calls of this step are not all there in their order.")


def check_is_signed(content: Json, *, where: str) -> None:
    """Refuse a step of the current turn whose first call lacks its signature."""
    first = next((part for part in content["parts"] if "functionCall" in part), None)
    if first is not None and "thoughtSignature" not in first:
        name = first["functionCall"]["name"]
        raise refuse(f"{where}: Function call `{name}` is missing a thought_signature in functionCall parts.")


def check_order(contents: Sequence[Json]) -> None:
    """Refuse contents that do not begin and end with the user's, or whose calls and responses do not match."""
    if contents[0]["role"] != "user" or any(map(is_response, contents[0]["parts"])):
        raise refuse("contents[0]: a conversation begins with a text or a file of the user.")
    if contents[-1]["role"] != "user":
        raise refuse("Please ensure that multiturn requests end with a user role or a function response.")
    for place in range(1, len(contents)):
        asked, answered = get_calls(contents[place - 1]), get_responses(contents[place])
        if answered and not asked:
            raise refuse(
                f"contents[{place}]: a function response turn has to come immediately after a function call turn."
            )
        if len(asked) != len(answered):
            raise refuse(
                f"contents[{place}]: the number of function response parts ({len(answered)}) must be equal to "
                f"the number of function call parts ({len(asked)}) of the function call turn."
            )
        for index, (call, response) in enumerate(zip(asked, answered, strict=True)):
            if (call.get("id"), call["name"]) != (response.get("id"), response["name"]):
                raise refuse(
                    f"contents[{place}].parts[{index}]: id and name must be those of the function call."
                )


def get_calls(content: Json) -> list[Json]:
    """The function calls of a content."""
    return [part["functionCall"] for part in content["parts"] if "functionCall" in part]


def get_responses(content: Json) -> list[Json]:
    """The function responses of a content."""
    return [part["functionResponse"] for part in content["parts"] if is_response(part)]
