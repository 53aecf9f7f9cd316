"""The double of Mem0's platform itself: that it is as strict as contracts/mem0.md says, and breaks as it is told to."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.doubles.mem0_platform import PlatformDouble, running_platform_double

ALICE, BOB = {"user_id": "1"}, {"user_id": "2"}


@pytest.fixture
def double() -> Iterator[PlatformDouble]:
    with running_platform_double() as running:
        yield running


@pytest.fixture
def http(double: PlatformDouble) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Token {double.api_key}"}
    with httpx.Client(base_url=double.base_url, headers=headers, timeout=5, trust_env=False) as client:
        yield client


def add(http: httpx.Client, text: str = "The gate code is 4711", **fields: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}], "infer": False} | ALICE | fields
    return http.post(
        "/v3/memories/add/", json={name: value for name, value in body.items() if value is not None}
    )


def list_texts(http: httpx.Client, filters: Any) -> Any:
    answer = http.post("/v3/memories/", json={"filters": filters})
    return [item["memory"] for item in answer.json()["results"]] if answer.is_success else answer.status_code


@pytest.mark.parametrize("key", ["", "Token wrong", "Bearer {key}", "{key}"])
def test_only_its_own_key_in_its_own_form_opens_it(double: PlatformDouble, key: str) -> None:
    headers = {"Authorization": key.format(key=double.api_key)}
    answer = httpx.get(f"{double.base_url}/v1/ping/", headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid API key"})


def test_a_ping_names_organisation_and_project(http: httpx.Client) -> None:
    assert {"org_id", "project_id"} <= http.get("/v1/ping/").json().keys()


@pytest.mark.parametrize(
    "fields",
    [
        {"user_id": None},
        {"user_id": ""},
        {"user_id": "*"},
        {"user_id": 1},
        {"messages": "text"},
        {"messages": [{"role": "user", "content": " "}]},
        {"messages": [{"role": "user", "content": "a\0b"}]},
        {"filters": ALICE},
        {"top_k": 1},
    ],
)
def test_an_addition_needs_a_scope_and_a_text_and_knows_its_fields(
    http: httpx.Client, double: PlatformDouble, fields: dict[str, Any]
) -> None:
    assert add(http, **fields).status_code == 400
    assert double.memories == {}


@pytest.mark.parametrize(
    "filters",
    [
        None,
        {},
        {"created_at": {"gte": "2026-01-01"}},
        {"AND": [{"metadata": {"key": "1"}}]},
        ALICE | {"AND": []},
        {"AND": ALICE},
        ALICE | {"key": "1"},
        ALICE | {"created_at": "2026-01-01"},
        ALICE | {"created_at": {"gte": "yesterday"}},
        ALICE | {"created_at": {"gte": 1700000000}},
        ALICE | {"metadata": {"ts": {"gte": 1}}},
        ALICE | {"metadata": {"key": {"in": ["1"]}}},
        {"user_id": {"nin": ["2"]}},
    ],
)
def test_a_filter_without_scope_or_beyond_the_grammar_is_refused(http: httpx.Client, filters: Any) -> None:
    assert http.post("/v3/memories/", json={"filters": filters}).status_code == 400
    assert http.post("/v3/memories/search/", json={"query": "q", "filters": filters}).status_code == 400


def test_ids_outside_the_filters_are_refused(http: httpx.Client) -> None:
    assert http.post("/v3/memories/", json=ALICE).status_code == 400
    assert http.post("/v3/memories/search/", json={"query": "q"} | ALICE).status_code == 400


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (ALICE, ["b", "a"]),
        ({"AND": [ALICE, {"metadata": {"n": 1}}]}, ["a"]),
        ({"AND": [ALICE, {"metadata": {"n": True}}]}, []),
        ({"AND": [ALICE, {"metadata": {"n": {"ne": 1}}}]}, ["b"]),
        ({"AND": [ALICE, {"metadata": {"word": {"contains": "ell"}}}]}, ["b"]),
        ({"AND": [ALICE, {"OR": [{"metadata": {"n": 1}}, {"metadata": {"word": "hello"}}]}]}, ["b", "a"]),
        ({"AND": [ALICE, {"NOT": {"metadata": {"n": 1}}}]}, ["b"]),
        ({"AND": [ALICE, {"NOT": [{"metadata": {"n": 1}}, {"metadata": {"word": "hello"}}]}]}, []),
        ({"AND": [ALICE, {"created_at": {"gte": "2023-11-14T22:13:20Z"}}]}, ["b", "a"]),
        ({"AND": [ALICE, {"created_at": {"gt": "2023-11-14T22:13:20Z"}}]}, ["b"]),
        ({"AND": [ALICE, {"created_at": {"lte": "2023-11-14T22:13:20Z"}}]}, ["a"]),
        ({"AND": [ALICE, {"created_at": {"gte": "2023-11-14", "lt": "2023-11-14T22:13:21Z"}}]}, ["a"]),
        ({"OR": [ALICE, BOB]}, ["c", "b", "a"]),
        ({"user_id": "*"}, ["c", "b", "a"]),
        ({"user_id": {"in": ["2", "3"]}}, ["c"]),
        (ALICE | {"agent_id": "x"}, []),
        (ALICE | {"keywords": {"icontains": "A"}}, ["a"]),
    ],
)
def test_filters_are_evaluated(http: httpx.Client, filters: Any, expected: list[str]) -> None:
    add(http, "a", timestamp=1700000000, metadata={"n": 1})
    add(http, "b", timestamp=1700000001, metadata={"word": "hello"})
    add(http, "c", timestamp=1700000000, metadata={"n": 1}, **BOB)
    assert list_texts(http, filters) == expected


def test_search_ranks_by_meaning_above_the_threshold(http: httpx.Client) -> None:
    for text in ("My sister was born in March", "The gate code is 4711", "Buy milk and eggs"):
        add(http, text)

    def search(**fields: Any) -> list[dict[str, Any]]:
        body = {"query": "how do I open the gate?", "filters": ALICE} | fields
        return http.post("/v3/memories/search/", json=body).json()["results"]

    found = search(threshold=0.0)
    assert found[0]["memory"] == "The gate code is 4711"
    assert len(found) == 3
    assert [item["score"] for item in found] == sorted((item["score"] for item in found), reverse=True)
    assert len(search(top_k=1)) == 1
    assert search(threshold=0.999) == []


@pytest.mark.parametrize("fields", [{"query": " "}, {"top_k": 0}, {"top_k": 1001}, {"limit": 5}])
def test_a_search_is_refused_for_what_the_platform_refuses(
    http: httpx.Client, fields: dict[str, Any]
) -> None:
    body = {"query": "q", "filters": ALICE} | fields
    assert http.post("/v3/memories/search/", json=body).status_code == 400


def test_keywords_break_a_search_as_they_do_there(http: httpx.Client) -> None:
    body = {"query": "q", "filters": ALICE | {"keywords": {"contains": "a"}}}
    assert http.post("/v3/memories/search/", json=body).status_code == 500


def test_pages_say_what_comes_next(http: httpx.Client) -> None:
    for number in range(5):
        add(http, str(number))
    pages = []
    for page in (1, 2, 3, 4):
        answer = http.post(f"/v3/memories/?page={page}&page_size=2", json={"filters": ALICE}).json()
        pages.append(([item["memory"] for item in answer["results"]], bool(answer["next"]), answer["count"]))
    assert pages == [(["4", "3"], True, 5), (["2", "1"], True, 5), (["0"], False, 5), ([], False, 5)]
    assert http.post("/v3/memories/?page_size=101", json={"filters": ALICE}).status_code == 400


@pytest.mark.parametrize("outcome", ["SUCCEEDED", "FAILED", "LOST"])
def test_an_addition_can_be_pending(http: httpx.Client, double: PlatformDouble, outcome: Any) -> None:
    double.pending_reads, double.event_outcome = 2, outcome
    answer = add(http).json()
    assert answer["status"] == "PENDING"
    assert double.memories == {}
    read = [http.get(f"/v1/event/{answer['event_id']}/").json()["status"] for _ in range(3)]
    assert read == ["PENDING", "PENDING", "FAILED" if outcome == "FAILED" else "SUCCEEDED"]
    assert len(double.memories) == (outcome == "SUCCEEDED")


def test_an_addition_is_pending_if_the_platform_shall_infer(http: httpx.Client) -> None:
    assert add(http, infer=None).json()["status"] == "PENDING"


@pytest.mark.parametrize(
    "query", ["", "?user_id=", "?user_id=*", "?filters={'user_id': '1'}", "?user_id=1&a=b"]
)
def test_a_deletion_needs_one_scope(http: httpx.Client, double: PlatformDouble, query: str) -> None:
    add(http)
    assert http.delete(f"/v1/memories/{query}").status_code == 400
    assert len(double.memories) == 1


def test_a_deletion_of_everything_takes_its_time(http: httpx.Client, double: PlatformDouble) -> None:
    double.deletion_reads = 2
    add(http)
    add(http, "other", **BOB)
    assert "progress" in http.delete("/v1/memories/?user_id=1").json()["message"]
    assert [len(list_texts(http, ALICE)) for _ in range(3)] == [1, 1, 0]
    assert list_texts(http, BOB) == ["other"]


@pytest.mark.parametrize("merges", [True, False])
def test_an_update_merges_metadata_or_replaces_them(
    http: httpx.Client, double: PlatformDouble, merges: bool
) -> None:
    double.merges_metadata = merges
    path = f"/v1/memories/{add(http, metadata={'a': 1}, timestamp=1).json()['results'][0]['id']}/"
    assert http.put(path, json={"text": "new", "metadata": {"b": 2}, "timestamp": 60}).status_code == 200
    item = http.get(path).json()
    assert item["metadata"] == ({"a": 1, "b": 2} if merges else {"b": 2})
    assert (item["memory"], item["created_at"]) == ("new", "1969-12-31T17:01:00-07:00")
    assert http.put(path, json={}).status_code == http.put(path, json={"data": "x"}).status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_not_there_is_not_found(http: httpx.Client, method: str) -> None:
    body = {"text": "x"} if method == "PUT" else None
    for number in ("", "0", "3c90c3cc-0d44-4b50-8888-8dd25736052a"):
        answer = http.request(method, f"/v1/memories/{number}/", json=body)
        assert (answer.status_code, answer.json()) == (404, {"error": "Memory not found!"})


def test_entities_come_as_a_list_or_in_pages(http: httpx.Client, double: PlatformDouble) -> None:
    add(http)
    double.add_memory("theirs", agent_id="x")
    found = {(entity["type"], entity["name"]) for entity in http.get("/v1/entities/").json()}
    assert found == {("user", "1"), ("agent", "x")}
    double.entities_page_size = 1
    first, second = (http.get(f"/v1/entities/?page={page}").json() for page in (1, 2))
    assert (bool(first["next"]), bool(second["next"])) == (True, False)
    assert {each["results"][0]["name"] for each in (first, second)} == {"1", "x"}


def test_faults_are_used_up_in_order_and_say_whether_it_was_done(
    http: httpx.Client, double: PlatformDouble
) -> None:
    double.fail_next("add", kind="error", status=429, retry_after="7", text="Slow down")
    double.fail_next("add", kind="html", status=503)
    double.fail_next("add", kind="drop")
    answers = [add(http), add(http)]
    assert [(answer.status_code, answer.headers.get("Retry-After")) for answer in answers] == [
        (429, "7"),
        (503, None),
    ]
    with pytest.raises(httpx.NetworkError):
        add(http)
    assert double.memories == {}

    double.fail_next("add", kind="junk")
    double.fail_next("add", kind="empty")
    double.fail_next("add", kind="other", payload=[])
    double.fail_next("add", kind="drop_after")
    double.fail_next("add", kind="hang", seconds=0.05)
    assert [add(http).content[:5] for _ in range(3)] == [b"<html", b"", b"[]"]
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            add(http)
    assert len(double.memories) == 5
    assert add(http).json()["status"] == "SUCCEEDED"
    assert len(double.get_requests("add")) == 9
