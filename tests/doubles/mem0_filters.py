"""The filter grammar of Mem0's platform, strictly (contracts/mem0.md C3), for its double."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

SCOPES = ("user_id", "agent_id", "app_id", "run_id")
TIMES = ("created_at", "updated_at")
NOT_PLAYED = ("timestamp", "expiration_date", "text", "categories", "keywords_search")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
    "in": lambda value, wanted: value in wanted,
}
Matches = Callable[[dict[str, Any]], bool]


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


def names_a_scope(filters: Any) -> bool:
    """Whether some id of a scope stands in filters, however deep."""
    if isinstance(filters, dict):
        return any(name in SCOPES or names_a_scope(value) for name, value in filters.items())
    return isinstance(filters, list) and any(map(names_a_scope, filters))


def compile_filters(filters: Any, *, searching: bool) -> Matches:
    """A test for memories as the platform shows them. Siblings are ANDed. Raises Refusal."""
    if not isinstance(filters, dict) or not filters:
        raise Refusal(400, "filters must be an object that is not empty.")
    tests = [_compile(name, value, searching=searching) for name, value in filters.items()]
    return lambda item: all(test(item) for test in tests)


def _compile(name: str, value: Any, *, searching: bool) -> Matches:
    if name in ("AND", "OR", "NOT"):
        parts = [value] if name == "NOT" and isinstance(value, dict) else value
        if not isinstance(parts, list) or not parts:
            raise Refusal(400, f"{name} must be a list.")
        tests = [compile_filters(part, searching=searching) for part in parts]
        if name == "AND":
            return lambda item: all(test(item) for test in tests)
        return lambda item: any(test(item) for test in tests) is (name == "OR")
    if name in SCOPES:
        return _compile_scope(name, value)
    if name in TIMES:
        return _compile_time(name, value)
    if name == "metadata":
        return _compile_metadata(value)
    if name == "memory_ids" and isinstance(value, list):
        return lambda item: item["id"] in value
    if name == "keywords" and not searching:
        return _compile_keywords(value)
    if name == "keywords":
        raise Refusal(500, "Internal server error")
    if name in NOT_PLAYED:
        raise Refusal(501, f"This double does not know how {name} is filtered.")
    raise Refusal(400, f"Unknown filter: {name}")


def _compile_scope(name: str, value: Any) -> Matches:
    if value == "*":
        return lambda item: item[name] is not None
    if isinstance(value, str) and value:
        return lambda item: item[name] == value
    if not isinstance(value, dict) or not value or value.keys() - {"eq", "ne", "in"}:
        raise Refusal(400, f"{name} must be an id.")
    return lambda item: all(COMPARE[word](item[name], wanted) for word, wanted in value.items())


def _compile_time(name: str, value: Any) -> Matches:
    if not isinstance(value, dict) or not value or value.keys() - COMPARE.keys():
        raise Refusal(400, f"{name} must be compared.")
    bounds = {
        word: [_read_time(each) for each in wanted] if word == "in" else _read_time(wanted)
        for word, wanted in value.items()
    }

    def matches(item: dict[str, Any]) -> bool:
        time = _read_time(item[name])
        return all(COMPARE[word](time, wanted) for word, wanted in bounds.items())

    return matches


def _read_time(text: Any) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise Refusal(400, "Not an ISO date or date-time.") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _compile_metadata(value: Any) -> Matches:
    """Equality of JSON values, ``ne`` and ``contains``; ranges and ``in`` are refused."""
    if not isinstance(value, dict) or not value:
        raise Refusal(400, "metadata must be an object.")
    tests: list[Matches] = []
    for key, wanted in value.items():
        if not isinstance(wanted, dict):
            tests.append(lambda item, key=key, wanted=wanted: _are_same(_get(item, key), wanted))
        elif wanted.keys() == {"ne"}:
            tests.append(lambda item, key=key, wanted=wanted: not _are_same(_get(item, key), wanted["ne"]))
        elif wanted.keys() == {"contains"}:
            tests.append(
                lambda item, key=key, wanted=wanted: str(wanted["contains"]) in str(_get(item, key) or "")
            )
        else:
            raise Refusal(400, f"metadata knows equality, ne and contains, not {sorted(wanted)}.")
    return lambda item: all(test(item) for test in tests)


def _get(item: dict[str, Any], key: str) -> Any:
    return (item["metadata"] or {}).get(key)


def _are_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other  # JSON's true is not 1


def _compile_keywords(value: Any) -> Matches:
    if not isinstance(value, dict) or len(value) != 1 or value.keys() - {"contains", "icontains"}:
        raise Refusal(400, "keywords knows contains and icontains.")
    [(word, wanted)] = value.items()
    if word == "contains":
        return lambda item: wanted in item["memory"]
    return lambda item: wanted.lower() in item["memory"].lower()
