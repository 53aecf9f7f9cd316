"""What is special to Mem0's platform: what goes over the wire, patience, the guard before deletions, failures."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doubles.mem0_filters import compile_filters
from tests.doubles.mem0_platform import PlatformDouble, Stored, platform_in_use
from whatsbot.exceptions import (
    MisconfiguredProvider,
    PermanentProviderError,
    ProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from whatsbot.integrations import mem0, mem0_client, mem0_platform
from whatsbot.integrations.mem0 import Content

ALICE = 4001
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
TEXT = "The gate code is 4711"
CONTENT = Content(text=TEXT, happened_at=NOON.replace(microsecond=900_000))
UNKNOWN_ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"


@pytest.fixture
def double(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlatformDouble]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with platform_in_use(settings) as running:
        yield running


def add(key: str = "k1", content: Content = CONTENT) -> str:
    return mem0.add_entry(user_id=ALICE, key=key, content=content)


def sent(double: PlatformDouble, *operations: Any) -> list[tuple[str, str, dict[str, str], Any]]:
    return [(each.method, each.path, each.query, each.body) for each in double.get_requests(*operations)]


# On the wire, as recorded in C2


def test_an_addition_says_when_and_leaves_nothing_to_the_platform(double: PlatformDouble) -> None:
    event = Content(text=TEXT, happened_at=NOON, event_start=NOON, event_end=NOON + timedelta(seconds=1.5))
    add()
    add("k2", event)

    metadata = {"key": "k1", "ts": 1773489600, "event": False}
    body = {
        "messages": [{"role": "user", "content": TEXT}],
        "user_id": "4001",
        "metadata": metadata,
        "infer": False,
        "timestamp": 1773489600,
    }
    of_event = {
        "key": "k2",
        "ts": 1773489600,
        "event": True,
        "event_start": 1773489600,
        "event_end": 1773489602,
    }
    assert sent(double, "add") == [
        ("POST", "/v3/memories/add/", {}, body),
        ("POST", "/v3/memories/add/", {}, body | {"metadata": of_event}),
    ]
    by_key = {"filters": {"AND": [{"user_id": "4001"}, {"metadata": {"key": "k1"}}]}}
    assert sent(double, "list")[0] == ("POST", "/v3/memories/", {"page": "1", "page_size": "100"}, by_key)


def test_a_search_asks_within_one_person_and_a_range(double: PlatformDouble) -> None:
    within = (NOON.replace(microsecond=1), NOON.replace(microsecond=2))
    mem0.search_entries(user_id=ALICE, query="  gate\0? ", limit=7, within=within)
    mem0.search_entries(user_id=ALICE, query="gate", limit=5000)

    created = {"gte": "2026-03-14T12:00:00Z", "lt": "2026-03-14T12:00:01Z"}
    in_range = {"OR": [{"created_at": created}, {"metadata": {"event": True}}]}
    scope = {"user_id": "4001"}
    body = {"query": "gate ?", "filters": {"AND": [scope, in_range]}, "top_k": 7, "threshold": 0.0}
    always = {"query": "gate", "filters": {"AND": [scope]}, "top_k": 1000, "threshold": 0.0}
    assert sent(double, "search") == [
        ("POST", "/v3/memories/search/", {}, body),
        ("POST", "/v3/memories/search/", {}, always),
    ]


def test_an_update_and_the_deletions_name_what_they_mean(double: PlatformDouble) -> None:
    mem0_id = add()
    later = Content(text="new", happened_at=NOON + timedelta(days=1))
    mem0.update_entry(user_id=ALICE, mem0_id=mem0_id, content=later)
    mem0.delete_entry(user_id=ALICE, mem0_id=mem0_id)
    mem0.delete_entries_of_user(user_id=ALICE)

    path = f"/v1/memories/{mem0_id}/"
    body = {
        "text": "new",
        "metadata": {"key": "k1", "ts": 1773576000, "event": False},
        "timestamp": 1773576000,
    }
    assert sent(double, "update", "delete", "delete_all") == [
        ("PUT", path, {}, body),
        ("DELETE", path, {}, None),
        ("DELETE", "/v1/memories/", {"user_id": "4001"}, None),
    ]


def test_the_host_may_have_a_path(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with platform_in_use(settings, path_prefix="/mem0/eu") as double:
        mem0_id = add()
        assert [entry.mem0_id for entry in mem0.list_entries(user_id=ALICE)] == [mem0_id]
        mem0.delete_entry(user_id=ALICE, mem0_id=mem0_id)
        mem0.delete_entries_of_user(user_id=ALICE)
        assert double.memories == {}
        assert all(each.path.startswith("/mem0/eu/v") for each in double.requests)


@given(
    start=st.none() | st.integers(-5_000_000, 5_000_000),
    end=st.none() | st.integers(-5_000_000, 5_000_000),
    said=st.integers(-5_000_000, 5_000_000),
)
def test_a_range_is_never_less_than_what_was_asked_for(start: int | None, end: int | None, said: int) -> None:
    """All in microseconds around noon; the platform keeps whole seconds."""

    def at(offset: int | None) -> datetime | None:
        return None if offset is None else NOON + timedelta(microseconds=offset)

    happened_at = at(said)
    assert happened_at
    memory = Stored("text", {"user_id": "1"}, {}, happened_at.replace(microsecond=0))
    filters = mem0_platform._get_range((at(start), at(end)))

    found = all(compile_filters(each, searching=True)(memory.show()) for each in filters)

    if (start is None or start <= said) and (end is None or said < end):
        assert found
    if (start is not None and said < start - 1_000_000) or (end is not None and said >= end + 1_000_000):
        assert not found


@pytest.mark.parametrize("merges", [True, False])
def test_an_update_takes_an_event_away_however_metadata_are_updated(
    double: PlatformDouble, merges: bool
) -> None:
    double.merges_metadata = merges
    mem0_id = add(content=Content(text=TEXT, happened_at=NOON, event_start=NOON, event_end=NOON))
    plain = Content(text=TEXT, happened_at=NOON)

    assert mem0.update_entry(user_id=ALICE, mem0_id=mem0_id, content=plain)

    assert mem0.get_entry(user_id=ALICE, mem0_id=mem0_id) == mem0.Entry(
        mem0_id=mem0_id, user_id=ALICE, key="k1", content=plain
    )
    assert add() == mem0_id
    within = (NOON + timedelta(days=1), None)
    assert mem0.search_entries(user_id=ALICE, query="gate", limit=5, within=within) == []


def test_an_entry_somebody_else_made_can_be_read(double: PlatformDouble) -> None:
    memory = double.add_memory("by hand", user_id=str(ALICE))
    [entry] = mem0.list_entries(user_id=ALICE)
    assert (entry.mem0_id, entry.key, entry.content.text) == (memory.id, "", "by hand")
    assert entry.content.happened_at == memory.created_at
    assert entry.content.happened_at.tzinfo is UTC


def test_pages_are_read_to_the_end(double: PlatformDouble) -> None:
    memories = [double.add_memory(f"number {number}", user_id=str(ALICE)) for number in range(250)]
    found = [entry.mem0_id for entry in mem0.list_entries(user_id=ALICE)]
    assert sorted(found) == sorted(memory.id for memory in memories)
    assert [query for _, _, query, _ in sent(double, "list")] == [
        {"page": str(page), "page_size": "100"} for page in (1, 2, 3)
    ]


def test_an_entry_that_moves_to_the_next_page_is_listed_once(
    double: PlatformDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mem0_platform, "PAGE_SIZE", 2)
    memories = [double.add_memory(f"number {number}", user_id=str(ALICE)) for number in range(5)]
    answer = double.answer

    def add_one_and_answer(request: Any, names: dict[str, str]) -> Any:
        answered = answer(request, names)
        double.add_memory("another", user_id=str(ALICE))  # newest first: everything moves on by one
        return answered

    monkeypatch.setattr(double, "answer", add_one_and_answer)
    found = [entry.mem0_id for entry in mem0.list_entries(user_id=ALICE)]
    assert len(found) == len(set(found))
    assert {memory.id for memory in memories} <= set(found)


def test_pages_without_end_end(double: PlatformDouble) -> None:
    item = double.add_memory("a", user_id=str(ALICE)).show()
    payload = {
        "count": 1,
        "next": f"{double.base_url}/v3/memories/?page=2",
        "previous": None,
        "results": [item],
    }
    double.fail_next("list", kind="other", payload=payload, times=10)
    assert len(list(mem0.list_entries(user_id=ALICE))) == 1
    assert len(double.get_requests("list")) == 2


@pytest.mark.parametrize("page_size", [None, 2, 100])
def test_users_come_from_the_entities_however_those_are_given(
    double: PlatformDouble, page_size: int | None
) -> None:
    double.entities_page_size = page_size
    for name in ("4001", "4002", "4003", "0", "007", "-1", "12a", "alice", "*", "٣"):
        double.add_memory("a", user_id=name)
    double.add_memory("a", agent_id="4004")
    assert sorted(mem0.list_user_ids()) == [4001, 4002, 4003]


@pytest.mark.parametrize("operation", ["search", "list", "get"])
def test_an_answer_with_anothers_entry_is_not_believed(double: PlatformDouble, operation: Any) -> None:
    theirs = double.add_memory(TEXT, user_id="4002", metadata={"key": "k1"})
    item = theirs.show() | {"score": 0.9}
    page = {"count": 1, "next": None, "previous": None, "results": [item]}
    double.fail_next(operation, kind="other", payload=item if operation == "get" else page, times=9)

    assert mem0.search_entries(user_id=ALICE, query="gate", limit=5) == []
    assert mem0.get_entry(user_id=ALICE, mem0_id=theirs.id) is None
    assert list(mem0.list_entries(user_id=ALICE)) == []
    assert mem0_platform.find_by_key(user_id=ALICE, key="k1") == []
    mem0.delete_entry(user_id=ALICE, mem0_id=theirs.id)
    assert theirs.id in double.memories


# Patience


def test_an_addition_that_is_pending_is_waited_for(double: PlatformDouble) -> None:
    double.pending_reads = 2
    mem0_id = add()
    assert list(double.memories) == [mem0_id]
    assert [each.operation for each in double.requests] == ["ping", "list", "add", *["event"] * 3, "list"]
    assert add() == mem0_id


@pytest.mark.parametrize(
    ("arrange", "reads"),
    [
        (lambda double: setattr(double, "event_outcome", "FAILED"), 1),
        (lambda double: setattr(double, "event_outcome", "LOST"), None),
        (lambda double: setattr(double, "pending_reads", 10**9), None),
        (lambda double: double.fail_next("event", kind="error", status=503), 1),
        (lambda double: double.fail_next("event", kind="error", status=429), 1),
        (lambda double: double.fail_next("event", kind="error", status=403), 1),
        (lambda double: double.fail_next("event", kind="error", status=404), 1),
        (lambda double: double.fail_next("event", kind="drop"), 1),
        (lambda double: double.fail_next("event", kind="junk"), 1),
        (lambda double: double.fail_next("event", kind="other", payload={}), 1),
        (lambda double: double.fail_next("add", kind="other", payload={"event_id": "../ping"}), 0),
    ],
)
def test_an_addition_whose_end_is_not_seen_has_an_unknown_outcome(
    double: PlatformDouble,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Callable[[PlatformDouble], None],
    reads: int | None,
) -> None:
    monkeypatch.setattr(mem0_platform, "ADDING_SECONDS", 0.5)
    double.pending_reads = 0
    arrange(double)
    began = time.monotonic()
    with pytest.raises(UnknownOutcome):
        add()
    assert time.monotonic() - began < 2
    if reads is not None:
        assert len(double.requests) == 3 + reads  # after ping, list and add


def test_an_addition_that_never_arrived_was_certainly_not_done(double: PlatformDouble) -> None:
    with mem0_client.calling_mem0() as sdk:
        sdk.client.base_url = "http://127.0.0.1:9"  # nobody listens there
    with pytest.raises(TransientProviderError):
        mem0_platform.add(user_id=ALICE, key="k1", content=CONTENT)


@pytest.mark.parametrize("kind", ["drop_after", "junk", "empty", "hang"])
def test_an_addition_whose_answer_was_lost_is_found_by_its_key(
    double: PlatformDouble, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setattr(mem0_client, "TIMEOUT_SECONDS", 1.0 if kind == "hang" else 10.0)
    double.fail_next("add", kind=kind)
    with pytest.raises(UnknownOutcome):
        add()
    assert [add()] == list(double.memories)


def test_a_deletion_of_everything_is_waited_for(double: PlatformDouble) -> None:
    double.deletion_reads = 3
    add()
    mem0.delete_entries_of_user(user_id=ALICE)
    assert double.memories == {}
    assert len(double.get_requests("delete_all")) == 1


def test_a_deletion_that_never_ends_is_to_be_tried_again(
    double: PlatformDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mem0_platform, "DELETING_SECONDS", 0.5)
    double.deletion_reads = 10**9
    add()
    began = time.monotonic()
    with pytest.raises(TransientProviderError):
        mem0.delete_entries_of_user(user_id=ALICE)
    assert 0.2 < time.monotonic() - began < 2


# The guard


@pytest.mark.parametrize(
    "ask",
    [
        lambda sdk: sdk.delete_all(),
        lambda sdk: sdk.delete_all(user_id=None),
        lambda sdk: sdk.delete_all(user_id=""),
        lambda sdk: sdk.delete_all(user_id="*"),
        lambda sdk: sdk.delete_all(user_id="4001*"),
        lambda sdk: sdk.delete_all(user_id="0"),
        lambda sdk: sdk.delete_all(user_id=True),
        lambda sdk: sdk.delete_all(user_id=["4001", "4002"]),
        lambda sdk: sdk.delete_all(agent_id="4001"),
        lambda sdk: sdk.delete_all(user_id="4001", app_id="*"),
        lambda sdk: sdk.delete_all(filters={"user_id": "4001"}),
        lambda sdk: sdk.delete(""),
        lambda sdk: sdk.delete("."),
        lambda sdk: sdk.delete(".."),
        lambda sdk: sdk.delete("?user_id=*"),
        lambda sdk: sdk.delete(UNKNOWN_ID, delete_linked=True),
        lambda sdk: sdk.batch_delete([{"memory_id": UNKNOWN_ID}]),
        lambda sdk: sdk.delete_users(),
        lambda sdk: sdk.delete_users(user_id="4001"),
        lambda sdk: sdk.reset(),
        lambda sdk: sdk.client.delete("/v1/memories/"),
        lambda sdk: sdk.client.delete("/v2/entities/user/4001/?user_id=4001"),
        lambda sdk: sdk.client.delete(f"/v1/memories/{UNKNOWN_ID}/../"),
        lambda sdk: mem0_platform.delete_all(user_id="*"),  # type: ignore[arg-type]
        lambda sdk: mem0_platform.delete_all(user_id=None),  # type: ignore[arg-type]
        lambda sdk: mem0_platform.delete_all(user_id=True),
        lambda sdk: mem0_platform.delete_all(user_id=""),  # type: ignore[arg-type]
    ],
)
def test_no_deletion_without_a_scope_leaves_the_process(
    double: PlatformDouble, ask: Callable[[Any], object]
) -> None:
    double.entities_page_size = 100  # the SDK's own reset reads pages
    double.add_memory("theirs", user_id="4002")
    with pytest.raises(PermanentProviderError, match="without a scope"), mem0_client.calling_mem0() as sdk:
        ask(sdk)
    assert [each for each in double.requests if each.method == "DELETE"] == []


@pytest.mark.parametrize("user_id", [None, True, 0, -1, "*", "", "4001"])
def test_what_is_not_about_one_person_sends_nothing_at_all(double: PlatformDouble, user_id: Any) -> None:
    for call in (mem0.delete_entries_of_user, mem0.list_entries):
        with pytest.raises(PermanentProviderError):
            list(call(user_id=user_id) or ())
    assert double.requests == []


def test_an_id_that_is_none_sends_nothing(double: PlatformDouble) -> None:
    for mem0_id in ("", "..", "x", f"{UNKNOWN_ID}/", None):
        mem0_platform.delete(user_id=ALICE, mem0_id=mem0_id)  # type: ignore[arg-type]
        assert mem0_platform.get(user_id=ALICE, mem0_id=mem0_id) is None  # type: ignore[arg-type]
    assert double.requests == []


# Failures

CALLS: dict[str, Callable[[str], Any]] = {
    "add": lambda mem0_id: add("another key"),
    "search": lambda mem0_id: mem0.search_entries(user_id=ALICE, query="gate", limit=5),
    "list": lambda mem0_id: list(mem0.list_entries(user_id=ALICE)),
    "get": lambda mem0_id: mem0.get_entry(user_id=ALICE, mem0_id=mem0_id),
    "update": lambda mem0_id: mem0.update_entry(user_id=ALICE, mem0_id=mem0_id, content=CONTENT),
    "delete": lambda mem0_id: mem0.delete_entry(user_id=ALICE, mem0_id=mem0_id),
    "delete_all": lambda mem0_id: mem0.delete_entries_of_user(user_id=ALICE),
    "entities": lambda mem0_id: list(mem0.list_user_ids()),
}
LOST = "TransientProviderError, or UnknownOutcome for an addition"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "error", "status": 400}, PermanentProviderError),
        ({"kind": "error", "status": 402}, PermanentProviderError),
        ({"kind": "error", "status": 409}, PermanentProviderError),
        ({"kind": "error", "status": 413}, PermanentProviderError),
        ({"kind": "error", "status": 422}, PermanentProviderError),
        ({"kind": "error", "status": 401}, MisconfiguredProvider),
        ({"kind": "error", "status": 403}, MisconfiguredProvider),
        ({"kind": "error", "status": 301}, MisconfiguredProvider),
        ({"kind": "error", "status": 429, "retry_after": "7"}, TransientProviderError),
        ({"kind": "error", "status": 429, "retry_after": "soon"}, TransientProviderError),
        ({"kind": "error", "status": 408}, LOST),
        ({"kind": "error", "status": 500}, LOST),
        ({"kind": "error", "status": 502}, LOST),
        ({"kind": "error", "status": 503}, LOST),
        ({"kind": "error", "status": 504}, LOST),
        ({"kind": "html", "status": 404}, LOST),
        ({"kind": "drop"}, LOST),
        ({"kind": "drop_after"}, LOST),
        ({"kind": "hang"}, LOST),
        ({"kind": "junk"}, LOST),
        ({"kind": "empty"}, LOST),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_failure_becomes_the_error_that_says_what_to_do(
    double: PlatformDouble, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], expected: Any
) -> None:
    monkeypatch.setattr(mem0_client, "TIMEOUT_SECONDS", 0.7 if fault["kind"] == "hang" else 10.0)
    for operation, call in CALLS.items():
        mem0_id = add(f"key of {operation}")
        double.fail_next(operation, text=TEXT, **fault)  # type: ignore[arg-type]

        with pytest.raises(ProviderError) as caught:
            call(mem0_id)

        lost = UnknownOutcome if operation == "add" else TransientProviderError
        assert type(caught.value) is (lost if expected is LOST else expected), operation
        if isinstance(caught.value, TransientProviderError):
            assert caught.value.retry_after == (7.0 if fault.get("retry_after") == "7" else None)
        assert "4711" not in "".join(traceback.format_exception(caught.value, limit=0))


@pytest.mark.parametrize("payload", [{}, [], None, "text", {"results": None}, {"results": [{}]}, 1], ids=repr)
def test_an_answer_of_another_shape_is_a_failure_too(double: PlatformDouble, payload: Any) -> None:
    for operation in ("add", "search", "list", "get", "entities"):
        mem0_id = add(f"key of {operation}")
        double.fail_next(operation, kind="other", payload=payload)  # type: ignore[arg-type]
        if operation == "entities" and payload == []:
            assert CALLS[operation](mem0_id) == []  # the documented shape, of nobody
            continue
        with pytest.raises(UnknownOutcome if operation == "add" else TransientProviderError):
            CALLS[operation](mem0_id)


@pytest.mark.parametrize("operation", ["get", "update", "delete", "delete_all"])
def test_what_is_not_there_any_more_is_no_failure(double: PlatformDouble, operation: Any) -> None:
    mem0_id = add()
    double.fail_next(operation, kind="error", status=404)
    if operation == "delete_all":
        double.memories.clear()
    assert not CALLS[operation](mem0_id)


def test_a_text_that_cannot_be_written_is_refused_before_it_is_sent(double: PlatformDouble) -> None:
    with pytest.raises(PermanentProviderError):
        add(content=Content(text="half a pair \ud83d", happened_at=NOON))
    assert double.get_requests("add") == []


# The client


def test_all_threads_use_one_client_that_was_made_once(double: PlatformDouble) -> None:
    together = threading.Barrier(16)

    def get_client(_: int) -> int:
        together.wait()
        with mem0_client.calling_mem0() as sdk:
            return id(sdk)

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(get_client, range(16)))) == 1
    assert len(double.get_requests("ping")) == 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "error", "status": 401}, MisconfiguredProvider),
        ({"kind": "error", "status": 403}, MisconfiguredProvider),
        ({"kind": "error", "status": 404}, MisconfiguredProvider),
        ({"kind": "error", "status": 302}, MisconfiguredProvider),
        ({"kind": "other", "payload": {"status": "ok"}}, MisconfiguredProvider),
        ({"kind": "error", "status": 429, "retry_after": "7"}, TransientProviderError),
        ({"kind": "error", "status": 500}, TransientProviderError),
        ({"kind": "html", "status": 503}, TransientProviderError),
        ({"kind": "html", "status": 404}, TransientProviderError),
        ({"kind": "junk"}, TransientProviderError),
        ({"kind": "empty"}, TransientProviderError),
        ({"kind": "other", "payload": []}, TransientProviderError),
        ({"kind": "drop"}, TransientProviderError),
        ({"kind": "hang"}, TransientProviderError),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_client_that_cannot_be_made_fails_every_call_alike_and_is_made_later(
    double: PlatformDouble, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], expected: Any
) -> None:
    double.fail_next("ping", times=len(CALLS), **fault)
    with monkeypatch.context() as patience:
        patience.setattr(mem0_client, "TIMEOUT_SECONDS", 0.3 if fault["kind"] == "hang" else 10.0)
        for call in CALLS.values():
            with pytest.raises(ProviderError) as caught:
                call(UNKNOWN_ID)
            assert type(caught.value) is expected
            assert getattr(caught.value, "retry_after", None) == (7.0 if "retry_after" in fault else None)
    assert {each.operation for each in double.requests} == {"ping"}
    assert [add()] == list(double.memories)


@pytest.mark.parametrize("host", ["api.example.com", "http://127.0.0.1:port", "ftp://127.0.0.1"])
def test_a_host_that_is_no_url_is_ours_to_mend(double: PlatformDouble, settings: Any, host: str) -> None:
    settings.MEM0_HOST = host
    with pytest.raises(MisconfiguredProvider):
        add()


def test_an_operators_proxy_is_used(
    double: PlatformDouble, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MEM0_HOST = "http://mem0.example.com"
    monkeypatch.setenv("HTTP_PROXY", double.base_url)
    assert [add()] == list(double.memories)
    assert {each.headers["Host"] for each in double.requests} == {"mem0.example.com"}


@pytest.mark.parametrize("key", ["m0-\nx", "m0-ключ"])
def test_a_key_that_is_no_header_is_ours_to_mend(double: PlatformDouble, settings: Any, key: str) -> None:
    settings.MEM0_API_KEY = key
    with pytest.raises(MisconfiguredProvider) as caught:
        add()
    assert "m0-" not in "".join(traceback.format_exception(caught.value, limit=0))


def test_nobody_queues_for_a_client_while_the_platform_is_silent(
    double: PlatformDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mem0_client, "TIMEOUT_SECONDS", 0.4)
    double.fail_next("ping", kind="hang", times=99)

    def fail(_: int) -> float:
        began = time.monotonic()
        with pytest.raises(TransientProviderError):
            add()
        return time.monotonic() - began

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(fail, range(8))) < 1.5


def test_warming_up_makes_the_client_and_tells_of_a_wrong_key(double: PlatformDouble) -> None:
    double.fail_next("ping", kind="error", status=401)
    with pytest.raises(MisconfiguredProvider, match="MEM0_API_KEY"):
        mem0.warm_up()
    mem0.warm_up()
    assert [each.operation for each in double.requests] == ["ping", "ping"]
    add()
    assert len(double.get_requests("ping")) == 2


def test_connections_are_given_back(double: PlatformDouble) -> None:
    with mem0_client.calling_mem0() as sdk:
        pass
    mem0.close()
    mem0.close()
    assert sdk.client.is_closed
    add()
