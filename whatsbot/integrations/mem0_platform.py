"""Mem0's hosted platform (contracts/mem0.md, part C). The door is `mem0`, the SDK's client is in `mem0_client`."""

import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from whatsbot.exceptions import PermanentProviderError, ProviderError, TransientProviderError, UnknownOutcome
from whatsbot.integrations.mem0 import Content, Entry, Found, Within
from whatsbot.integrations.mem0_client import ID, NotFound, calling_mem0, close_client

ADDING_SECONDS = 10.0  # how long an addition may stay pending
DELETING_SECONDS = 30.0  # how long a deletion of everything may be in progress
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
PAGE_SIZE = 100
Item = dict[str, Any]  # an entry as the platform shows it


def add(*, user_id: int, key: str, content: Content) -> str:
    """Insert an entry. The platform may take it now and do it later (C2): then its id is found by the key."""
    with calling_mem0(is_addition=True) as client:
        reply = client.add(
            [{"role": "user", "content": _clean(content.text)}],
            user_id=str(user_id),
            metadata=_describe(key=key, content=content),
            timestamp=math.floor(content.happened_at.timestamp()),  # becomes created_at
            infer=False,
        )
        if reply.get("results"):
            return str(reply["results"][0]["id"])
        event_id = str(reply["event_id"])
    try:
        return _wait_for_entry(user_id=user_id, key=key, event_id=event_id)
    except ProviderError as error:  # of whatever kind: the platform has taken the entry
        raise UnknownOutcome("Mem0 took an entry and did not say what became of it.") from error


def _wait_for_entry(*, user_id: int, key: str, event_id: str) -> str:
    if not ID.fullmatch(event_id):
        raise PermanentProviderError("Mem0 did not say what to wait for.")
    for _ in _take_turns(ADDING_SECONDS):
        with calling_mem0() as client:  # the SDK has no method for it
            status = client.client.get(f"/v1/event/{event_id}/").raise_for_status().json()["status"]
        if status == "FAILED":
            raise PermanentProviderError("Mem0 could not add an entry.")
        if status == "SUCCEEDED" and (found := find_by_key(user_id=user_id, key=key)):
            return found[0]
    raise TransientProviderError("Mem0 is still adding an entry.")


def find_by_key(*, user_id: int, key: str) -> list[str]:
    """Mostly one: only two additions at the same moment make more."""
    with calling_mem0() as client:
        items = _list_items(client, user_id=user_id, conditions=[{"metadata": {"key": key}}])
        return sorted(item["id"] for item in items if _get_metadata(item).get("key") == key)


def search(*, user_id: int, query: str, limit: int, within: Within) -> list[Found]:
    """By the platform's own score. With a range, also all events at whatever time: metadata know no ranges (C3)."""
    query = _clean(query).strip()
    if not query:  # the SDK would refuse it
        return []
    filters = {"AND": [{"user_id": str(user_id)}, *_get_range(within)]}
    with calling_mem0() as client:
        items = client.search(query, filters=filters, top_k=limit, threshold=0.0)["results"]
        found = [Found(item["id"], float(item["score"])) for item in items if item["user_id"] == str(user_id)]
    return sorted(found, key=lambda each: each.similarity, reverse=True)


def find_similar(*, user_id: int, text: str, limit: int) -> list[Found]:
    """The text as a question: the platform compares in no other way."""
    return search(user_id=user_id, query=text, limit=limit, within=(None, None))


def get(*, user_id: int, mem0_id: str) -> Entry | None:
    """The platform's own call knows no person, so whose it is, is checked here (C2)."""
    # In a path, an empty one would stand for all entries.
    if not isinstance(mem0_id, str) or not ID.fullmatch(mem0_id):
        return None
    with suppress(NotFound), calling_mem0() as client:
        item = client.get(mem0_id)
        return _read(item) if item["user_id"] == str(user_id) else None
    return None


def update(*, user_id: int, mem0_id: str, content: Content) -> bool:
    """Replace text and times; the key stays."""
    entry = get(user_id=user_id, mem0_id=mem0_id)
    if entry is None:
        return False
    try:
        with calling_mem0() as client:
            client.update(
                mem0_id,
                text=_clean(content.text),
                metadata=_describe(key=entry.key, content=content),
                timestamp=math.floor(content.happened_at.timestamp()),
            )
    except NotFound:
        return False
    return True


def delete(*, user_id: int, mem0_id: str) -> None:
    """Two requests: the first says whose it is."""
    if get(user_id=user_id, mem0_id=mem0_id):
        with suppress(NotFound), calling_mem0() as client:
            client.delete(mem0_id)


def delete_all(*, user_id: int) -> None:
    """The platform only begins with it (C2), so it is asked what is left until that is nothing."""
    with suppress(NotFound), calling_mem0() as client:
        client.delete_all(user_id=str(user_id))
    for _ in _take_turns(DELETING_SECONDS):
        with calling_mem0() as client:
            left = client.get_all(filters={"AND": [{"user_id": str(user_id)}]}, page=1, page_size=1)
            if left["count"] == 0 and left["results"] == []:
                return
    raise TransientProviderError("Mem0 is still deleting.")


def list_entries(*, user_id: int) -> Iterator[Entry]:
    """Every page is read before the first entry is given: the caller may delete what it is given."""
    with calling_mem0() as client:
        entries = [_read(item) for item in _list_items(client, user_id=user_id)]
    yield from entries


def list_user_ids() -> Iterator[int]:
    """Of the project the key belongs to. Users of other names than our numbers are somebody else's."""
    with calling_mem0() as client:

        def get_page(page: int) -> Any:
            if page == 1:
                reply = client.users()
            else:
                reply = client.client.get("/v1/entities/", params={"page": page}).raise_for_status().json()
            # Pages in its SDKs, a bare list in its documentation.
            return {"results": reply, "next": None} if isinstance(reply, list) else reply

        names = {entity["name"] for entity in _read_pages(get_page) if entity["type"] == "user"}
    yield from (int(name) for name in names if re.fullmatch(r"[1-9][0-9]*", name))


def check() -> None:
    """One page of somebody's entries, whoever has the first number; what is on it is not looked at."""
    with calling_mem0() as client:
        client.get_all(filters={"AND": [{"user_id": "1"}]}, page=1, page_size=1)


def warm_up() -> None:
    """Import the SDK and make the client, which asks the platform whether the key is good."""
    with calling_mem0():
        pass


def close() -> None:
    """Close the connections to the platform."""
    close_client()


def _list_items(client: Any, *, user_id: int, conditions: Sequence[Item] = ()) -> list[Item]:
    filters = {"AND": [{"user_id": str(user_id)}, *conditions]}
    items = _read_pages(lambda page: client.get_all(filters=filters, page=page, page_size=PAGE_SIZE))
    return [item for item in items if item["user_id"] == str(user_id)]


def _read_pages(get_page: Callable[[int], Any]) -> list[Item]:
    """All items, each once, also if it moves to another page between two requests. Stops where nothing is new."""
    items: dict[str, Item] = {}
    for page in itertools.count(1):
        reply = get_page(page)
        known = len(items)
        items |= {item["id"]: item for item in reply["results"]}
        if not reply["next"] or len(items) == known:
            break
    return list(items.values())


def _take_turns(seconds: float) -> Iterator[None]:
    """Turns until the time is up, with pauses between them that double."""
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE_SECONDS
    yield
    while time.monotonic() + pause < deadline:
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        yield


def _describe(*, key: str, content: Content) -> dict[str, Any]:
    """An entry's metadata. ``event`` says whether the other two hold: an update may leave older ones behind."""
    metadata: dict[str, Any] = {"key": key, "ts": math.floor(content.happened_at.timestamp()), "event": False}
    if content.event_start:
        start = math.floor(content.event_start.timestamp())
        end = math.ceil(content.event_end.timestamp()) if content.event_end else start + 1
        metadata |= {"event": True, "event_start": start, "event_end": end}
    return metadata


def _read(item: Item) -> Entry:
    metadata = _get_metadata(item)
    said = metadata.get("ts") or datetime.fromisoformat(item["created_at"]).timestamp()
    names = ("event_start", "event_end") if metadata.get("event") is True else ()
    content = Content(
        text=item["memory"],
        happened_at=datetime.fromtimestamp(said, UTC),
        **{name: datetime.fromtimestamp(metadata[name], UTC) for name in names},
    )
    return Entry(
        mem0_id=item["id"], user_id=int(item["user_id"]), key=metadata.get("key", ""), content=content
    )


def _get_metadata(item: Item) -> dict[str, Any]:
    return item.get("metadata") or {}


def _get_range(within: Within) -> list[dict[str, Any]]:
    """A filter for a range, or none. Whole seconds, rounded outwards: created_at has no finer ones."""
    start, end = within
    bounds = {
        "gte": math.floor(start.timestamp()) if start else None,
        "lt": math.ceil(end.timestamp()) if end else None,
    }
    said = {
        name: datetime.fromtimestamp(each, UTC).isoformat().replace("+00:00", "Z")
        for name, each in bounds.items()
        if each is not None
    }
    return [{"OR": [{"created_at": said}, {"metadata": {"event": True}}]}] if said else []


def _clean(text: str) -> str:
    return text.replace("\0", " ")  # PostgreSQL behind it takes none
