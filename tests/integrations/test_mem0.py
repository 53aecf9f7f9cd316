"""What both backends of the semantic store do alike, through its door: in our database, and on Mem0's platform."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.doubles.mem0_platform import platform_in_use
from whatsbot.exceptions import PermanentProviderError, TransientProviderError
from whatsbot.integrations import embedder, mem0, mem0_client, mem0_local
from whatsbot.integrations.mem0 import Content, Entry

ALICE, BOB = 4001, 4002
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UNKNOWN_ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
TakeAway = Callable[[], AbstractContextManager[None]]
numbers = count(1)


@pytest.fixture(params=[pytest.param("local", marks=pytest.mark.django_db(transaction=True)), "platform"])
def take_away(
    request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TakeAway]:
    """One backend in use, empty; calling it makes what the backend needs unreachable."""
    if request.param == "platform":
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with platform_in_use(settings):
            yield lambda: _platform_away(settings)
        return
    request.getfixturevalue("transactional_db")
    yield lambda: _database_away(monkeypatch)
    with connection.cursor() as cursor:
        for each in embedder.EMBEDDERS.values():
            cursor.execute(f'TRUNCATE "{each.collection}"')


@contextmanager
def _platform_away(settings: Any) -> Iterator[None]:
    mem0_client.close_client()
    settings.MEM0_HOST = "http://127.0.0.1:9"  # nobody listens there
    yield


@contextmanager
def _database_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def start_anew() -> None:
        mem0_local.close()
        connection.close()
        connection.close_pool()

    start_anew()
    pool = connection.settings_dict["OPTIONS"]["pool"]
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        patch.setitem(connection.settings_dict, "PORT", "9")
        patch.setitem(pool, "timeout", 0.2)
        patch.setattr(mem0_local, "TIMEOUT_SECONDS", 0.2)
        yield
        start_anew()


pytestmark = pytest.mark.usefixtures("take_away")


def add(text: str, *, user_id: int = ALICE, key: str | None = None, **times: Any) -> str:
    content = Content(text=text, **({"happened_at": NOON} | times))
    return mem0.add_entry(user_id=user_id, key=key or f"key-{next(numbers)}", content=content)


def get(mem0_id: str, *, user_id: int = ALICE) -> Entry | None:
    return mem0.get_entry(user_id=user_id, mem0_id=mem0_id)


def search(query: str, *, user_id: int = ALICE, limit: int = 20, **kwargs: Any) -> list[str]:
    found = mem0.search_entries(user_id=user_id, query=query, limit=limit, **kwargs)
    return [each.mem0_id for each in found]


def list_ids(user_id: int = ALICE) -> list[str]:
    return sorted(entry.mem0_id for entry in mem0.list_entries(user_id=user_id))


# One entry


@pytest.mark.parametrize(
    "times",
    [
        {},
        {"event_start": NOON + DAY, "event_end": NOON + 2 * DAY},
        {
            "happened_at": datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
            "event_start": NOON,
            "event_end": NOON + HOUR,
        },
    ],
)
def test_an_entry_is_given_back_as_it_was_added(times: dict[str, datetime]) -> None:
    mem0_id = add("The gate code is 4711", key="k1", **times)
    content = Content(text="The gate code is 4711", **({"happened_at": NOON} | times))
    assert get(mem0_id) == Entry(mem0_id=mem0_id, user_id=ALICE, key="k1", content=content)
    assert list(mem0.list_entries(user_id=ALICE)) == [get(mem0_id)]


def test_times_are_kept_in_whole_seconds_and_an_event_without_end_lasts_one() -> None:
    entry = get(add("a", happened_at=NOON.replace(microsecond=999_999), event_start=NOON + DAY))
    assert entry
    assert entry.content.happened_at == NOON
    assert (entry.content.event_start, entry.content.event_end) == (
        NOON + DAY,
        NOON + DAY + timedelta(seconds=1),
    )


def test_adding_again_with_the_same_key_adds_nothing() -> None:
    first = add("The gate code is 4711", key="k1")
    assert add("The gate code is 4711", key="k1") == first
    assert add("Something else", key="k1") == first
    assert list_ids() == [first]
    assert add("The gate code is 4711", key="k2") != first


def test_a_key_is_known_only_within_one_person() -> None:
    mine, theirs = add("mine", key="k1"), add("theirs", key="k1", user_id=BOB)
    assert (list_ids(ALICE), list_ids(BOB)) == ([mine], [theirs])


def test_an_update_replaces_text_and_times_and_keeps_the_key() -> None:
    mem0_id = add("The gate code is 4711", key="k1", event_start=NOON + DAY, event_end=NOON + 2 * DAY)
    other = add("Buy milk and eggs")
    later = Content(text="My sister was born in March", happened_at=NOON + DAY)

    assert mem0.update_entry(user_id=ALICE, mem0_id=mem0_id, content=later)

    assert get(mem0_id) == Entry(mem0_id=mem0_id, user_id=ALICE, key="k1", content=later)
    assert add("anything", key="k1") == mem0_id
    assert search("when is my sister's birthday?")[0] == mem0_id
    assert search("milk", within=(NOON, NOON + HOUR)) == [other]
    assert search("milk", within=(NOON + DAY, NOON + DAY + HOUR)) == [mem0_id]


def test_an_update_can_give_an_entry_an_event() -> None:
    mem0_id = add("Dentist")
    content = Content(text="Dentist", happened_at=NOON, event_start=NOON + DAY, event_end=NOON + DAY + HOUR)
    assert mem0.update_entry(user_id=ALICE, mem0_id=mem0_id, content=content)
    assert getattr(get(mem0_id), "content", None) == content
    assert search("Dentist", within=(NOON + DAY, None)) == [mem0_id]


def test_what_is_deleted_is_gone_and_can_be_deleted_again() -> None:
    kept, deleted = add("Buy milk and eggs"), add("The gate code is 4711")
    for _ in range(2):
        mem0.delete_entry(user_id=ALICE, mem0_id=deleted)
    assert get(deleted) is None
    assert search("the code of the gate") == list_ids() == [kept]
    assert not mem0.update_entry(
        user_id=ALICE, mem0_id=deleted, content=Content(text="new", happened_at=NOON)
    )


def test_a_key_is_free_again_when_its_entry_is_deleted() -> None:
    first = add("a", key="k1")
    mem0.delete_entry(user_id=ALICE, mem0_id=first)
    second = add("a", key="k1")
    assert list_ids() == [second]


@pytest.mark.parametrize(
    "mem0_id",
    [
        "",
        " ",
        "..",
        "../",
        ".",
        "x",
        "*",
        "%2e%2e",
        "1",
        f"{UNKNOWN_ID}/",
        f"{UNKNOWN_ID}\n",
        f"{UNKNOWN_ID}?a=b",
        f"../{UNKNOWN_ID}",
        "'; --",
        "ü",
        "a\0b",
        UNKNOWN_ID,
        "é" * 5000,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_an_id_that_is_none_is_nobodys(mem0_id: str) -> None:
    kept = add("The gate code is 4711")
    content = Content(text="new", happened_at=NOON)
    assert get(mem0_id) is None
    assert not mem0.update_entry(user_id=ALICE, mem0_id=mem0_id, content=content)
    mem0.delete_entry(user_id=ALICE, mem0_id=mem0_id)
    assert list_ids() == [kept]


@pytest.mark.parametrize(
    "text",
    [
        "emoji 👋🏽👨‍👩‍👧 and עברית and العربية",
        "a\nb\tc\r\n\\ \"quoted\" 'single' %s {x} <b>",
        " spaces at both ends ",
        "The gate code is 4711. " * 435,
        "漢字かな交じり文" * 100,
    ],
    ids=["scripts", "signs", "spaces", "10k", "wide"],
)
def test_any_text_can_be_kept_and_found(text: str) -> None:
    mem0_id = add(text)
    assert getattr(get(mem0_id), "content", None) == Content(text=text, happened_at=NOON)
    found = mem0.find_similar_entries(user_id=ALICE, text=text, limit=5)
    assert [each.mem0_id for each in found] == [mem0_id]
    part = text[:200]  # embedding a long text takes seconds
    assert search(part) == [mem0_id]
    assert mem0.update_entry(user_id=ALICE, mem0_id=mem0_id, content=Content(text=part, happened_at=NOON))
    assert getattr(get(mem0_id), "content", None) == Content(text=part, happened_at=NOON)


def test_a_nul_becomes_a_space() -> None:
    mem0_id = add("gate\0code")
    entry = get(mem0_id)
    assert entry
    assert entry.content.text == "gate code"
    assert search("gate\0") == [mem0_id]
    assert [
        each.mem0_id for each in mem0.find_similar_entries(user_id=ALICE, text="gate\0code", limit=5)
    ] == [mem0_id]
    assert mem0.update_entry(
        user_id=ALICE, mem0_id=mem0_id, content=Content(text="new\0text", happened_at=NOON)
    )
    assert getattr(get(mem0_id), "content", None) == Content(text="new text", happened_at=NOON)


# Search


def test_the_nearest_in_meaning_comes_first() -> None:
    texts = (
        "My sister was born in March",
        "The gate code is 4711",
        "Buy milk and eggs",
        "Der Zug fährt um 8 ab",
    )
    ids = {text: add(text) for text in texts}

    found = mem0.search_entries(user_id=ALICE, query="how do I open the gate?", limit=10)

    assert found[0].mem0_id == ids["The gate code is 4711"]
    assert {each.mem0_id for each in found} == set(ids.values())
    similarities = [each.similarity for each in found]
    assert similarities == sorted(similarities, reverse=True)
    assert all(0 < each < 1 for each in similarities)
    assert search("when does the train leave?", limit=1) == [ids["Der Zug fährt um 8 ab"]]


def test_the_same_text_is_the_most_similar() -> None:
    ids = [add(text) for text in ("The gate code is 4711", "The gate code is 4712", "The gate is open")]
    found = mem0.find_similar_entries(user_id=ALICE, text="The gate code is 4712", limit=2)
    assert found[0].mem0_id == ids[1]
    assert len(found) == 2
    assert found[0].similarity > 0.9


@pytest.mark.parametrize("query", ["", " ", "\n\t", "\0", " \0 "])
def test_a_search_for_nothing_finds_nothing(query: str) -> None:
    add("The gate code is 4711")
    assert search(query) == []
    assert mem0.find_similar_entries(user_id=ALICE, text=query, limit=5) == []


def test_more_than_the_platform_gives_can_be_asked_for() -> None:
    assert search("gate", limit=100_000) == []
    mem0_id = add("gate")
    assert search("gate", limit=100_000) == [mem0_id]
    assert len(mem0.find_similar_entries(user_id=ALICE, text="gate", limit=100_000)) == 1


@pytest.mark.parametrize(
    ("within", "said", "takes_place"),
    [
        ((NOON, NOON + HOUR), "first", ""),
        ((NOON, NOON + HOUR + timedelta(seconds=1)), "first later", ""),
        ((NOON + timedelta(seconds=1), NOON + HOUR), "", ""),
        ((NOON + HOUR, None), "later", "event endless"),
        ((None, NOON), "", ""),
        ((None, NOON + timedelta(seconds=1)), "first", ""),
        ((None, NOON + timedelta(microseconds=1)), "first", ""),
        ((None, None), "first later", "event endless"),
        ((NOON + 10 * DAY, NOON + 11 * DAY), "", "event endless"),
        ((NOON + 10 * DAY - HOUR, NOON + 10 * DAY), "", ""),
        ((NOON + 10 * DAY - HOUR, NOON + 10 * DAY + timedelta(seconds=1)), "", "event endless"),
        ((NOON + 10 * DAY + HOUR, NOON + 20 * DAY), "", "event"),
        ((NOON + 12 * DAY - timedelta(microseconds=1), NOON + 20 * DAY), "", "event"),
        ((NOON + 12 * DAY, NOON + 20 * DAY), "", ""),
        ((None, NOON - DAY), "", ""),
    ],
)
def test_a_range_is_half_open_and_counts_events_that_overlap_it(
    within: mem0.Within, said: str, takes_place: str
) -> None:
    ids = {
        "first": add("lunch", happened_at=NOON + timedelta(microseconds=0)),
        "later": add("lunch again", happened_at=NOON + HOUR),
        "event": add(
            "a holiday",
            happened_at=NOON - 3000 * DAY,
            event_start=NOON + 10 * DAY,
            event_end=NOON + 12 * DAY,
        ),
        "endless": add("a dentist", happened_at=NOON - 3000 * DAY, event_start=NOON + 10 * DAY),
    }
    if within[0] is None:
        takes_place = "event endless"  # they were said long ago
    theirs = add("lunch", user_id=BOB)

    found = {name for name, mem0_id in ids.items() if mem0_id in search("lunch", within=within)}

    assert found & {"first", "later"} == set(said.split())
    # The platform cannot compare when events take place: it may give more of them, never less.
    assert found & {"event", "endless"} >= set(takes_place.split())
    assert theirs not in search("lunch", within=within)


# Whose it is


def test_nobody_sees_or_touches_what_is_anothers() -> None:
    theirs = add("The gate code is 4711", user_id=BOB, key="k1", event_start=NOON, event_end=NOON + HOUR)
    before = get(theirs, user_id=BOB)

    assert get(theirs) is None
    assert search("the gate code") == search("the gate code", within=(NOON - DAY, NOON + DAY)) == []
    assert mem0.find_similar_entries(user_id=ALICE, text="The gate code is 4711", limit=10) == []
    assert list_ids() == []
    assert not mem0.update_entry(user_id=ALICE, mem0_id=theirs, content=Content(text="x", happened_at=NOON))
    mem0.delete_entry(user_id=ALICE, mem0_id=theirs)
    mem0.delete_entries_of_user(user_id=ALICE)

    assert before is not None
    assert get(theirs, user_id=BOB) == before
    assert list(mem0.list_user_ids()) == [BOB]


def test_deleting_everything_of_one_person_leaves_the_others() -> None:
    for number in range(5):
        add(f"number {number}")
    theirs = add("theirs", user_id=BOB)
    # An id that begins with another, or is written into a text, is a different one.
    longer = add(f"of {ALICE}", user_id=ALICE * 10)
    assert sorted(mem0.list_user_ids()) == [ALICE, BOB, ALICE * 10]

    for _ in range(2):
        mem0.delete_entries_of_user(user_id=ALICE)

    assert list_ids() == search("number") == []
    assert (list_ids(BOB), list_ids(ALICE * 10)) == ([theirs], [longer])
    assert sorted(mem0.list_user_ids()) == [BOB, ALICE * 10]


def test_all_entries_are_listed_also_while_they_are_being_deleted() -> None:
    ids = sorted(add(f"number {number}") for number in range(12))
    seen = []
    for entry in mem0.list_entries(user_id=ALICE):
        seen.append(entry.mem0_id)
        mem0.delete_entry(user_id=ALICE, mem0_id=entry.mem0_id)
    assert sorted(seen) == ids
    assert list_ids() == []


CONTENT = Content(text="secret words", happened_at=NOON)
CALLS: dict[str, Callable[[Any], Any]] = {
    "add": lambda user_id: mem0.add_entry(user_id=user_id, key="k1", content=CONTENT),
    "search": lambda user_id: mem0.search_entries(user_id=user_id, query="secret words", limit=5),
    "find_similar": lambda user_id: mem0.find_similar_entries(user_id=user_id, text="secret words", limit=5),
    "get": lambda user_id: mem0.get_entry(user_id=user_id, mem0_id=UNKNOWN_ID),
    "update": lambda user_id: mem0.update_entry(user_id=user_id, mem0_id=UNKNOWN_ID, content=CONTENT),
    "delete": lambda user_id: mem0.delete_entry(user_id=user_id, mem0_id=UNKNOWN_ID),
    "delete_all": lambda user_id: mem0.delete_entries_of_user(user_id=user_id),
    "list": lambda user_id: list(mem0.list_entries(user_id=user_id)),
}


@pytest.mark.parametrize("user_id", [None, True, False, 0, -1, "*", "", "4001", 4001.0, [4001]])
def test_a_call_that_is_not_about_one_person_is_refused(user_id: Any) -> None:
    kept = [add("a"), add("b", user_id=BOB)]
    for call in CALLS.values():
        with pytest.raises(PermanentProviderError):
            call(user_id)
    assert [*list_ids(ALICE), *list_ids(BOB)] == kept


# Failures


def test_a_store_that_is_away_is_a_transient_failure_and_comes_back(
    take_away: TakeAway, request: pytest.FixtureRequest, settings: Any
) -> None:
    kept, host = add("The gate code is 4711"), settings.MEM0_HOST
    calls = CALLS | {"list_user_ids": lambda _: list(mem0.list_user_ids())}
    with take_away():
        for name, call in calls.items():
            with pytest.raises(TransientProviderError) as caught:
                call(ALICE)
            assert "secret words" not in str(caught.value), name
    settings.MEM0_HOST = host
    assert list_ids() == [kept]


# The SDK

IMPORT = """
import json, logging, socket, sys, warnings
from pathlib import Path
from django.conf import settings

asked = []
def refuse(*args, **kwargs):
    asked.append(repr(args))
    raise OSError("no network")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse

settings.configure(DATA_DIR=Path(sys.argv[1]))
logging.getLogger("urllib3").setLevel(logging.INFO)
before = (logging.getLogger("urllib3").level, logging.getLogger("posthog").level, list(warnings.filters))
from whatsbot.integrations.mem0_sdk import prepare_sdk
prepare_sdk()
prepare_sdk()
after = (logging.getLogger("urllib3").level, logging.getLogger("posthog").level, list(warnings.filters))
from mem0.memory.telemetry import MEM0_TELEMETRY
import threading
print(json.dumps({"asked": asked, "unchanged": before == after, "telemetry": MEM0_TELEMETRY,
                  "imported": "mem0" in sys.modules, "threads": threading.active_count()}))
"""


@pytest.mark.parametrize("take_away", ["platform"], indirect=True)
def test_importing_the_sdk_leaves_home_network_and_process_alone(tmp_path: Path) -> None:
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MEM0_", "XDG_"))
    }
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT, str(data)],
        env=environment | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    expected = '{"asked": [], "unchanged": true, "telemetry": false, "imported": true, "threads": 1}'
    assert ran.stdout.strip() == expected
    assert list(home.rglob("*")) == []
    assert [path.name for path in (data / "mem0").iterdir()] == ["config.json"]
