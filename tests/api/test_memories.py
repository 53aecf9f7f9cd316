"""`/memories`: searched, listed, stored once, corrected and deleted by programs."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import WhatsAppUser
from api import idempotency
from api.models import IdempotentRequest
from memories.models import Memory, MemoryHistory
from tests.api.conftest import NUMBER, Ask
from tests.messaging.made import make_raw, remember
from tests.rows import dump_database
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import mem0

pytestmark = pytest.mark.django_db
FACT = "The landlord promised to mend the boiler"


@pytest.fixture
def three(person: WhatsAppUser) -> WhatsAppUser:
    """Somebody with three memories."""
    now = timezone.now()
    for number in (1, 2, 3):
        remember(person, f"Memory {number}", source="api", happened_at=now + timedelta(minutes=number))
    return person


def get(ask: Ask, **query: Any) -> Any:
    return ask("GET", "/memories", query={"whatsapp_number": NUMBER} | query)


def store(ask: Ask, *, key: str | None = None, **fields: Any) -> Any:
    headers = {} if key is None else {"Idempotency_Key": key}
    return ask("POST", "/memories", json={"whatsapp_number": NUMBER, "memory_text": FACT} | fields, **headers)


def texts(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["memory_text"] for row in response.json()["results"]]


class TestReading:
    def test_a_persons_memories_come_newest_first(self, ask: Ask, three: WhatsAppUser) -> None:
        assert texts(get(ask)) == ["Memory 3", "Memory 2", "Memory 1"]
        assert texts(get(ask, limit=1)) == ["Memory 3"]

    def test_pages_follow_each_other_without_gap_or_repeat(self, ask: Ask, person: WhatsAppUser) -> None:
        now = timezone.now()
        for number in range(7):  # several at the same instant
            remember(person, f"Memory {number}", source="api", happened_at=now - timedelta(hours=number // 3))
        seen, cursor = [], None
        while True:
            page = get(ask, limit=2, **({"cursor": cursor} if cursor else {}))
            seen += texts(page)
            cursor = page.json()["next_cursor"]
            if cursor is None:
                break
        assert seen == [f"Memory {number}" for number in (2, 1, 0, 5, 4, 3, 6)]

    @pytest.mark.parametrize("cursor", ["x", "é", "bm9wZQ", "", "W10", "WyIyMDI2LTAxLTAxIiwxXQ", "A" * 300])
    def test_a_cursor_that_is_none_is_refused(self, ask: Ask, three: WhatsAppUser, cursor: str) -> None:
        response = get(ask, cursor=cursor)
        assert response.status_code == (422 if 0 < len(cursor) <= 200 else 400)
        assert [*response.json()["errors"]] == ["cursor"]

    @pytest.mark.parametrize(
        "spelling", ["+1 (202) 555-0123", "whatsapp:+12025550123", " +1-202-555-0123 ", " 12025550123"]
    )
    def test_a_number_may_be_spelled_as_people_do(self, ask: Ask, three: WhatsAppUser, spelling: str) -> None:
        assert len(texts(get(ask, whatsapp_number=spelling))) == 3

    def test_a_national_number_needs_its_country(self, ask: Ask, three: WhatsAppUser) -> None:
        assert get(ask, whatsapp_number="(202) 555-0123").status_code == 400
        response = get(ask, whatsapp_number="(202) 555-0123", country="us")
        assert [row["whatsapp_number"] for row in response.json()["results"]] == [NUMBER] * 3

    def test_somebody_who_hides_their_number_is_named_by_their_address(self, ask: Ask) -> None:
        hidden = WhatsAppUser.objects.create(
            whatsapp_id="whatsapp:US.1349abc", business_scoped_id="US.1349abc"
        )
        remember(hidden, source="api")
        response = get(ask, whatsapp_number="whatsapp:US.1349abc")
        assert [row["whatsapp_number"] for row in response.json()["results"]] == [None]

    @pytest.mark.parametrize("number", ["", "12", "2025550123", "nobody", "+", "+0", "+123", "9" * 300, "\0"])
    def test_a_number_that_is_none_is_refused_with_the_field_named(self, ask: Ask, number: str) -> None:
        response = get(ask, whatsapp_number=number)
        assert response.status_code == 400
        assert [*response.json()["errors"]] == ["whatsapp_number"]

    @pytest.mark.parametrize("limit", ["0", "-1", "201", "x", "1e3", "²", "9" * 30])
    def test_a_limit_out_of_bounds_is_refused(self, ask: Ask, three: WhatsAppUser, limit: str) -> None:
        response = get(ask, limit=limit)
        assert response.status_code == 400
        assert [*response.json()["errors"]] == ["limit"]

    def test_a_parameter_nobody_knows_is_no_wish(self, ask: Ask, three: WhatsAppUser) -> None:
        response = get(ask, limitt="3")
        assert response.status_code == 400
        assert response.json()["errors"] == {"limitt": ["There is no such field."]}

    def test_somebody_never_seen_is_not_found(self, ask: Ask) -> None:
        assert get(ask, whatsapp_number="+12025550199").status_code == 404

    def test_days_are_those_of_the_persons_calendar_both_included(
        self, ask: Ask, person: WhatsAppUser
    ) -> None:
        for text, said in (
            ("before", datetime(2026, 5, 3, 3, 59, tzinfo=UTC)),  # 23:59 of the second in New York
            ("first", datetime(2026, 5, 3, 4, 0, tzinfo=UTC)),
            ("last", datetime(2026, 5, 5, 3, 59, tzinfo=UTC)),
            ("after", datetime(2026, 5, 5, 4, 0, tzinfo=UTC)),
        ):
            remember(person, text, source="api", happened_at=said)
        assert texts(get(ask, start_date="2026-05-03", end_date="2026-05-04")) == ["last", "first"]
        assert texts(get(ask, start_date="2026-05-05")) == ["after"]
        assert texts(get(ask, end_date="2026-05-02")) == ["before"]
        assert get(ask, start_date="2026-05-04", end_date="2026-05-03").status_code == 422

    @pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
    def test_the_ends_of_time_are_days_too(self, ask: Ask, three: WhatsAppUser, day: str) -> None:
        assert get(ask, start_date=day).status_code == get(ask, end_date=day).status_code == 200

    def test_type_and_source_narrow_the_list(self, ask: Ask, person: WhatsAppUser) -> None:
        remember(person, "a note", source="api")
        remember(person, "an event", source="import", type="event")
        remember(person, "a task", type="task")
        assert texts(get(ask, type="event")) == ["an event"]
        assert sorted(texts(get(ask, type=["event", "task"]))) == ["a task", "an event"]
        assert texts(get(ask, source="chat")) == ["a task"]
        assert get(ask, type="dream").status_code == 400

    def test_a_memory_shows_where_it_is_from(self, ask: Ask, person: WhatsAppUser) -> None:
        raw = make_raw(person)
        memory = remember(person, raw=raw)
        shown = ask("GET", f"/memories/{memory.id}").json()
        assert shown["message_sid"] == raw.message_sid
        assert shown["number"] == 1
        assert shown["happened_at"].endswith("Z")
        assert shown["media"] == []

    @pytest.mark.parametrize("memory_id", ["0", "999999999", "9" * 40])
    def test_a_memory_that_is_not_there_is_not_found(self, ask: Ask, memory_id: str) -> None:
        for method in ("GET", "DELETE"):
            assert ask(method, f"/memories/{memory_id}").status_code == 404
        assert ask("GET", f"/memories/{memory_id}/history").status_code == 404


def test_reading_changes_nothing(ask: Ask, three: WhatsAppUser) -> None:
    asking = ("accounts_apitoken", "accounts_auditevent", "whatsbot_cache")  # who asked is noted
    before = dump_database(leave_out=asking)
    memory = Memory.objects.first()
    assert memory is not None
    query = {"whatsapp_number": NUMBER}
    for method, path, options in (
        ("GET", "/memories", {"query": query}),
        ("GET", "/memories", {"query": query | {"query": "What did I say?"}}),
        ("POST", "/memories/list", {"json": query}),
        ("GET", f"/memories/{memory.id}", {}),
        ("GET", f"/memories/{memory.id}/history", {}),
        ("GET", "/interactions/recent", {"query": query}),
        ("GET", f"/users/{NUMBER}", {}),
        ("GET", f"/users/{NUMBER}/export", {}),
        ("GET", "/analytics/summary", {}),
    ):
        assert ask(method, path, **options).status_code == 200
    assert dump_database(leave_out=asking) == before


class TestSearching:
    def test_days_are_the_persons_own_in_a_search_too(self, ask: Ask, person: WhatsAppUser) -> None:
        for text, said in (
            ("The gate was red", "2026-05-03T03:59:00Z"),  # 23:59 of the second in New York
            ("The gate was blue", "2026-05-03T04:00:00Z"),
        ):
            store(ask, memory_text=text, happened_at=said)
        assert texts(get(ask, query="gate", start_date="2026-05-02", end_date="2026-05-02")) == [
            "The gate was red"
        ]

    def test_the_best_come_first_and_say_why(self, ask: Ask, person: WhatsAppUser) -> None:
        for text in (FACT, "Milk and eggs are in the fridge", "The train leaves at nine"):
            assert store(ask, memory_text=text).status_code == 201
        response = get(ask, query="When does the boiler get mended?")
        best = response.json()["results"][0]
        assert best["memory_text"] == FACT
        assert best["score"] == 1.0
        assert best["matched"]["words"] == ["boiler", "mended"]
        assert 0 < best["matched"]["similarity"] <= 1
        assert response.json()["degraded"] is False

    def test_without_mem0_words_alone_answer_and_it_says_so(
        self, ask: Ask, person: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(ask)
        monkeypatch.setattr(mem0, "search_entries", _fail)
        response = get(ask, query="boiler")
        assert texts(response) == [FACT]
        assert response.json()["degraded"] is True

    def test_a_search_has_one_page(self, ask: Ask, three: WhatsAppUser) -> None:
        assert get(ask, query="x", cursor="y").status_code == 422

    @pytest.mark.parametrize("query", ["", "x" * 1001, "a\0b"])
    def test_a_question_nobody_can_answer_is_refused(self, ask: Ask, three: WhatsAppUser, query: str) -> None:
        assert get(ask, query=query).status_code == 400


def _fail(*args: Any, **kwargs: Any) -> Any:
    raise TransientProviderError


class TestStoring:
    def test_a_memory_is_stored_found_and_shown(self, ask: Ask, person: WhatsAppUser) -> None:
        response = store(
            ask,
            memory_type="event",
            metadata={"from": "calendar", "ids": [1, 2.5, None, {"deep": True}]},
            happened_at="2026-05-03T10:00:00+02:00",
            event_start="2026-06-01T09:00:00",
            event_end="2026-06-01T10:30:00",
        )
        assert response.status_code == 201, response.content
        made = response.json()
        assert response.headers["Location"] == f"/memories/{made['id']}"
        assert made["metadata"] == {"from": "calendar", "ids": [1, 2.5, None, {"deep": True}]}
        assert made["happened_at"] == "2026-05-03T08:00:00Z"
        assert (made["event_start"], made["event_end"]) == ("2026-06-01T13:00:00Z", "2026-06-01T14:30:00Z")
        assert (made["source"], made["memory_type"], made["number"]) == ("api", "event", 1)
        assert ask("GET", response.headers["Location"]).json()["memory_text"] == FACT

    def test_what_is_known_already_is_not_stored_again(self, ask: Ask, person: WhatsAppUser) -> None:
        first, second = store(ask), store(ask)
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json()["id"] == second.json()["id"]

    def test_a_stranger_is_made_only_if_that_is_asked_for(self, ask: Ask) -> None:
        assert store(ask).status_code == 404
        assert not WhatsAppUser.objects.exists()
        assert store(ask, create_user=True).status_code == 201
        made = WhatsAppUser.objects.get()
        assert (made.phone_number, made.whatsapp_id) == (NUMBER, f"whatsapp:{NUMBER}")
        assert made.timezone.startswith("America/")

    def test_nobody_is_made_for_a_number_no_phone_has(self, ask: Ask) -> None:
        response = store(ask, whatsapp_number="+1202555", create_user=True)
        assert response.status_code == 422
        assert not WhatsAppUser.objects.exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("memory_text", ""),
            ("memory_text", "  "),
            ("memory_text", "x" * 10_001),
            ("memory_text", "a\0b"),
            ("memory_text", "\ud800"),
            ("memory_text", 7.5),
            ("memory_text", None),
            ("memory_type", "dream"),
            ("memory_type", "file"),
            ("metadata", []),
            ("metadata", {"x": "y" * 9000}),
            ("metadata", {"x": "a\0b"}),
            ("metadata", {"a\0b": 1}),
            ("metadata", {"x": "\ud800"}),
            ("metadata", {"x": [[[[[[[[1]]]]]]]]}),
            ("happened_at", "yesterday"),
            ("happened_at", "0001-01-01T00:00:00+14:00"),
            ("happened_at", "9999-12-31T23:59:59-14:00"),
            ("event_start", "2026-13-01T00:00:00Z"),
            ("event_end", "2026-06-01T10:30:00Z"),
            ("whatsapp_number", "12"),
            ("whatsapp_number", None),
            ("country", "USA"),
            ("create_user", "perhaps"),
            ("memory_txt", "typo"),
        ],
    )
    def test_what_cannot_be_kept_is_refused_with_the_field_named(
        self, ask: Ask, person: WhatsAppUser, field: str, value: Any
    ) -> None:
        response = store(ask, **{field: value})
        assert response.status_code == 422, response.content
        assert response.headers["Content-Type"] == "application/problem+json"
        named = {"event_end": "event_start"}.get(field, field)
        assert [*response.json()["errors"]] == [named]
        assert not Memory.objects.exists()

    def test_a_backslash_and_digits_are_no_nul(self, ask: Ask, person: WhatsAppUser) -> None:
        assert store(ask, metadata={"path": r"C:\u0000"}).json()["metadata"] == {"path": r"C:\u0000"}

    def test_while_the_store_is_away_nothing_is_half_stored(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as away:
            away.setattr(mem0, "add_entry", _fail)
            response = store(ask, key="a", create_user=True)
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        assert "Traceback" not in response.content.decode()
        assert not Memory.objects.exists()
        assert not WhatsAppUser.objects.exists()
        assert not IdempotentRequest.objects.exists()
        assert store(ask, key="a", create_user=True).status_code == 201


class TestStoringOnce:
    def test_a_repeat_gets_the_first_answer(self, ask: Ask, person: WhatsAppUser) -> None:
        first, second = store(ask, key="one"), store(ask, key="one")
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json() == second.json()
        assert Memory.objects.count() == 1

    def test_another_key_is_another_memory_even_of_the_same_words(
        self, ask: Ask, person: WhatsAppUser
    ) -> None:
        assert store(ask, key="one").json()["id"] != store(ask, key="two").json()["id"]

    def test_two_clients_may_use_the_same_key(
        self, ask: Ask, person: WhatsAppUser, make_token: Callable[..., str]
    ) -> None:
        other = make_token("memories:write")
        body = {"whatsapp_number": NUMBER, "memory_text": "Something else"}
        store(ask, key="one")
        response = ask("POST", "/memories", json=body, token=other, Idempotency_Key="one")
        assert response.status_code == 201

    def test_a_key_with_another_body_is_refused(self, ask: Ask, person: WhatsAppUser) -> None:
        store(ask, key="one")
        response = store(ask, key="one", memory_text="Something else")
        assert response.status_code == 422
        assert Memory.objects.count() == 1

    def test_a_repeat_is_one_also_when_the_persons_clocks_have_changed(
        self, ask: Ask, person: WhatsAppUser
    ) -> None:
        first = store(ask, key="one", happened_at="2026-05-03T10:00:00")
        WhatsAppUser.objects.update(timezone="Asia/Tokyo")
        assert store(ask, key="one", happened_at="2026-05-03T10:00:00").json() == first.json()

    def test_a_repeat_does_not_bring_back_what_was_deleted(self, ask: Ask, person: WhatsAppUser) -> None:
        made = store(ask, key="one").json()
        assert ask("DELETE", f"/memories/{made['id']}").status_code == 204
        assert store(ask, key="one").status_code == 409
        assert not Memory.objects.exists()

    def test_a_repeat_of_a_request_that_was_cut_off_finds_its_memory(
        self, ask: Ask, person: WhatsAppUser
    ) -> None:
        made = store(ask, key="one").json()
        IdempotentRequest.objects.update(is_done=False, memory=None)  # killed before it was noted
        assert store(ask, key="one").json()["id"] == made["id"]
        assert IdempotentRequest.objects.get().memory_id == made["id"]

    def test_nothing_that_was_said_is_kept_with_a_key(self, ask: Ask, person: WhatsAppUser) -> None:
        store(ask, key="boiler-key")
        with connection.cursor() as cursor:
            cursor.execute("SELECT r::text FROM api_idempotentrequest r")
            (row,) = cursor.fetchone()
        assert "boiler" not in row
        assert NUMBER not in row

    def test_old_keys_are_forgotten(self, ask: Ask, person: WhatsAppUser) -> None:
        store(ask, key="one")
        IdempotentRequest.objects.update(created_at=timezone.now() - idempotency.KEPT - timedelta(minutes=1))
        store(ask, key="two")
        assert idempotency.forget_old() == 1
        assert IdempotentRequest.objects.count() == 1

    @pytest.mark.parametrize("key", ["", "x" * 256, "é", "a b"])
    def test_a_key_that_is_none_is_refused(self, ask: Ask, person: WhatsAppUser, key: str) -> None:
        assert store(ask, key=key).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_two_at_once_with_one_key_make_one_memory(ask: Ask, person: WhatsAppUser) -> None:
    both, answers = threading.Barrier(2), []

    def send() -> None:
        from django.db import connection as own

        both.wait()
        client_answer = Client().post(
            "/memories",
            {"whatsapp_number": NUMBER, "memory_text": FACT},
            content_type="application/json",
            headers=headers,
        )
        answers.append((client_answer.status_code, client_answer.json()["id"]))
        own.close()

    from accounts.models import ApiToken, Scope, StaffUser

    _, token = ApiToken.objects.create(user=StaffUser.objects.get(), name="two", scopes=[*Scope])
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "once"}
    for _ in range(5):
        threads = [threading.Thread(target=send) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len({memory_id for _, memory_id in answers}) == 1, answers
        assert sorted(code for code, _ in answers) == [200, 201], answers
        assert Memory.objects.count() == 1
        answers.clear()
        headers["Idempotency-Key"] = uuid.uuid4().hex
        Memory.objects.all().delete()


class TestCorrecting:
    def test_a_new_text_is_a_correction_with_history(self, ask: Ask, person: WhatsAppUser) -> None:
        made = store(ask).json()
        response = ask("PATCH", f"/memories/{made['id']}", json={"memory_text": "The landlord mended it"})
        assert response.status_code == 200, response.content
        changed = response.json()
        assert changed["memory_text"] == "The landlord mended it"
        assert changed["happened_at"] == made["happened_at"]
        history = ask("GET", f"/memories/{made['id']}/history").json()["results"]
        assert [(row["kind"], row["memory_text"]) for row in history] == [("corrected", FACT)]

    def test_kind_and_metadata_change_without_history(self, ask: Ask, person: WhatsAppUser) -> None:
        made = store(ask).json()
        response = ask("PATCH", f"/memories/{made['id']}", json={"memory_type": "task", "metadata": {"a": 1}})
        assert (response.json()["memory_type"], response.json()["metadata"]) == ("task", {"a": 1})
        assert response.json()["updated_at"] > made["updated_at"]
        assert not MemoryHistory.objects.exists()

    def test_an_event_may_be_moved_and_taken_away(self, ask: Ask, person: WhatsAppUser) -> None:
        made = store(ask, event_start="2026-06-01T13:00:00Z", event_end="2026-06-01T14:00:00Z").json()
        url = f"/memories/{made['id']}"
        assert ask("PATCH", url, json={"event_start": "2026-06-01T15:00:00Z"}).status_code == 422
        moved = ask("PATCH", url, json={"event_end": "2026-06-01T16:00:00"}).json()
        assert moved["event_end"] == "2026-06-01T20:00:00Z"
        assert ask("PATCH", url, json={"event_start": None}).status_code == 422
        gone = ask("PATCH", url, json={"event_start": None, "event_end": None}).json()
        assert (gone["event_start"], gone["event_end"]) == (None, None)

    def test_nothing_given_changes_nothing(self, ask: Ask, person: WhatsAppUser) -> None:
        made = store(ask).json()
        assert ask("PATCH", f"/memories/{made['id']}", json={}).json() == made

    @pytest.mark.parametrize("body", [{"number": 3}, {"memory_text": ""}, {"source": "chat"}, [], '"x"', 3])
    def test_what_cannot_be_changed_is_refused(self, ask: Ask, person: WhatsAppUser, body: Any) -> None:
        made = store(ask).json()
        assert ask("PATCH", f"/memories/{made['id']}", json=body).status_code == 422


class TestDeleting:
    def test_forgetting_is_complete(
        self, ask: Ask, person: WhatsAppUser, run_jobs: Callable[[], int]
    ) -> None:
        raw = make_raw(person, FACT)
        memory = remember(person, FACT, raw=raw)
        assert ask("DELETE", f"/memories/{memory.id}").status_code == 204
        raw.refresh_from_db()
        assert raw.body == ""
        assert ask("GET", f"/memories/{memory.id}").status_code == 404
        assert ask("DELETE", f"/memories/{memory.id}").status_code == 404

    @pytest.mark.django_db(transaction=True)
    def test_its_entry_goes_from_mem0_too(
        self, ask: Ask, person: WhatsAppUser, run_jobs: Callable[[], int]
    ) -> None:
        made = store(ask).json()
        assert len([*mem0.list_entries(user_id=person.id)]) == 1
        ask("DELETE", f"/memories/{made['id']}")
        run_jobs()
        assert [*mem0.list_entries(user_id=person.id)] == []
