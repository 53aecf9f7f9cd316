"""The tool loop when the model or a tool does not do what it should: the person always gets one answer."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import WhatsAppUser
from memories.models import Memory
from messaging import assistant
from messaging.models import Interaction
from messaging.wording import say_model_away, say_tokens_spent
from tests.conftest import make_payload
from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_model import (
    ModelRequest,
    Reply,
    blocked,
    call,
    cut,
    empty,
    malformed,
    nothing,
    say,
    stopped,
    think,
)
from tests.doubles.twilio import TwilioDouble
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import gemini, mem0

pytestmark = pytest.mark.django_db(transaction=True)
AWAY = say_model_away(language="en")
Say = Callable[..., str]


@pytest.fixture
def model(settings: Any, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiDouble]:
    """A language model; pauses between attempts are short."""
    monkeypatch.setattr(assistant, "FIRST_PAUSE", 0.01)
    with running_gemini_double() as double:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = double.api_key, double.base_url
        yield double
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def tell(
    deliver: Callable[..., Any], run_jobs: Callable[[], int], twilio_double: TwilioDouble, model: GeminiDouble
) -> Say:
    """Send a message and return the one reply."""

    def tell(body: str, *replies: Reply) -> str:
        model.enqueue(*replies)
        before = len(twilio_double.messages)
        assert deliver(make_payload(body)).status_code == 200
        run_jobs()
        (reply,) = twilio_double.messages[before:]
        return reply.body

    return tell


STORE = call(("store_memory", {"content": "The gate code is 4711", "type": "note"}))


def test_thoughts_are_never_shown_and_go_back_with_their_signatures(tell: Say, model: GeminiDouble) -> None:
    reply = tell("The gate code is 4711", think("hm, a code", then=STORE), think("done", then=say("Noted.")))
    assert reply == "Noted.\n\nSaved as #1."
    assert len(model.calls) == 2  # the double refuses a turn whose signatures are missing


def test_several_tools_at_once_are_answered_in_their_order(tell: Say, model: GeminiDouble) -> None:
    both = call(("list_memories", {}), ("set_timezone", {"place": "Nowhereville"}), ("find_media", {}))
    assert tell("hello", both, say("Hi.")) == "Hi."
    assert [name for name, _ in model.calls[1].responses] == ["list_memories", "set_timezone", "find_media"]


def test_calls_of_older_models_without_ids_work_too(tell: Say, settings: Any) -> None:
    assert tell("hello", call(("list_memories", {}), without_ids=True), say("Hi.")) == "Hi."


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("delete_everything", {}, "There is no tool of this name"),
        ("search_memories", {"query": "x", "user_id": 7}, "user_id: Extra inputs are not permitted"),
        ("search_memories", {"query": ["x"]}, "query: Input should be a valid string"),
        ("search_memories", {"query": "x", "start_date": "last week"}, "start_date must be a date"),
        ("search_memories", {"query": "x", "types": ["secret"]}, "types.0"),
        ("store_memory", {"type": "note"}, "content: Field required"),
        ("store_memory", {"content": " ", "type": "note"}, "content"),
        ("store_memory", {"content": "x", "type": "note", "event_end": "2026-09-10"}, "needs an event_start"),
        ("update_memory", {"number": 99, "content": "x"}, "There is no memory 99"),
        ("forget_memory", {"numbers": []}, "numbers"),
        ("forget_memory", {"numbers": [99]}, "There are no memories with these numbers"),
        ("set_timezone", {"place": "Nowhereville"}, "No such place"),
    ],
)
def test_what_is_asked_wrongly_is_answered_with_text_the_model_can_read(
    tell: Say, model: GeminiDouble, name: str, arguments: dict[str, Any], answer: str
) -> None:
    assert tell("hello", call((name, arguments)), say("I see.")) == "I see."
    ((_, response),) = model.calls[1].responses
    assert answer in response["error"]
    assert Memory.objects.count() == 0


def test_a_number_may_come_as_json_makes_it(tell: Say) -> None:
    tell("The gate code is 4711", STORE, say("OK."))
    update = call(("update_memory", {"number": 1.0, "content": "The gate code is 4712"}))
    assert "Corrected #1" in tell("it is 4712", update, say("OK."))


def test_a_tool_that_breaks_is_told_to_the_model_and_not_to_the_person(
    tell: Say, model: GeminiDouble, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**fields: Any) -> None:
        raise RuntimeError("a very secret detail")

    monkeypatch.setattr("messaging.assistant_tools.store_memory", fail)
    reply = tell("The gate code is 4711", STORE, say("Hm."))
    assert reply.startswith("Hm.\n\nI could not save this")
    assert "secret" not in reply + caplog.text + str(model.calls[1].responses)


def test_a_model_that_never_ends_is_asked_eight_times_and_the_last_time_without_tools(
    tell: Say, model: GeminiDouble
) -> None:
    model.play(lambda request: call(("list_memories", {})) if request.mode != "NONE" else say("Enough."))
    assert tell("hello") == "Enough."
    assert [request.mode for request in model.calls] == ["AUTO"] * 7 + ["NONE"]


def test_a_response_that_asks_for_too_much_gets_no_more_than_a_turn_may_have(
    tell: Say, model: GeminiDouble
) -> None:
    many = call(*(("store_memory", {"content": f"Thing {n}", "type": "note"}) for n in range(60)))
    tell("a list of things", many, say("OK."))
    assert Memory.objects.count() <= assistant.MOST_TOOLS
    assert "too much" in str(model.calls[1].responses[-1])


# --- When the model is away (contracts/gemini.md §7) ---


@pytest.mark.parametrize("kind", ["error", "reset", "junk", "empty", "cut"])
def test_a_passing_failure_of_the_model_is_not_noticed(tell: Say, model: GeminiDouble, kind: str) -> None:
    details = {"status": 503, "word": "UNAVAILABLE"} if kind == "error" else {}
    model.fail_next("generateContent", kind=kind, times=2, **details)
    assert tell("The gate code is 4711", STORE, say("Noted.")) == "Noted.\n\nSaved as #1."


def test_google_is_asked_again_when_it_wishes(
    tell: Say, model: GeminiDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(assistant.time, "sleep", pauses.append)
    model.fail_next("generateContent", kind="error", status=429, word="RESOURCE_EXHAUSTED", retry_delay="7s")
    assert tell("hello", say("Hi.")) == "Hi."
    assert 7.0 in pauses


def test_a_long_wait_is_not_the_persons(tell: Say, model: GeminiDouble) -> None:
    model.fail_next("generateContent", kind="error", status=429, word="RESOURCE_EXHAUSTED", retry_delay="34s")
    reply = tell("The gate code is 4711")
    assert reply == f"Saved as #1. Ask me about it any time.\n\n{AWAY}"
    assert len(model.requests) == 1


def test_a_model_that_hangs_is_left_alone_after_its_time(
    tell: Say, model: GeminiDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemini, "CALL_SECONDS", 0.3)
    model.fail_next("generateContent", kind="hang", times=3, seconds=2)
    assert AWAY in tell("The gate code is 4711")
    assert len(model.requests) == 3
    assert {request.server_timeout for request in model.requests} == {"1"}


def test_a_wrong_key_is_the_operators_affair(
    tell: Say, model: GeminiDouble, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.GEMINI_API_KEY = "not-the-key"
    assert AWAY in tell("The gate code is 4711")
    assert len(model.requests) == 1
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    assert "4711" not in caplog.text


@pytest.mark.parametrize(
    ("replies", "asked"),
    [
        ([blocked("PROHIBITED_CONTENT")], 1),
        ([stopped("SAFETY")], 1),
        ([stopped("RECITATION")], 1),
        ([empty(), empty()], 2),
        ([cut(), cut()], 2),
        ([malformed(), malformed(), malformed()], 3),
        ([nothing(), nothing(), nothing()], 3),
    ],
    ids=["blocked", "safety", "recitation", "empty", "cut", "malformed", "nothing"],
)
def test_no_answer_of_the_model_is_an_answer_of_the_search(
    tell: Say, model: GeminiDouble, replies: list[Reply], asked: int
) -> None:
    assert tell("The gate code is 4711", *replies) == f"Saved as #1. Ask me about it any time.\n\n{AWAY}"
    assert len(model.calls) == asked


@pytest.mark.parametrize("failure", [empty(), cut(), malformed()], ids=["empty", "cut", "malformed"])
def test_an_answer_without_anything_is_asked_for_once_more(tell: Say, failure: Reply) -> None:
    assert tell("hello", failure, say("Hi.")) == "Hi."


def test_after_malformed_calls_the_model_answers_without_tools(tell: Say, model: GeminiDouble) -> None:
    assert tell("hello", malformed(), malformed("UNEXPECTED_TOOL_CALL"), say("Hi.")) == "Hi."
    assert [request.mode for request in model.calls] == ["AUTO", "AUTO", "NONE"]


def test_an_answer_that_is_cut_off_says_so(tell: Say) -> None:
    assert tell("tell me a lot", cut("You told me")) == "You told me …"


def test_what_was_done_before_the_model_fell_silent_is_told_and_not_done_again(
    tell: Say, model: GeminiDouble
) -> None:
    reply = tell("The gate code is 4711 and milk is on the list", STORE, blocked())
    assert reply == f"Saved as #1.\n{AWAY}"
    assert Memory.objects.count() == 1


def test_the_search_that_stands_in_finds_and_cites(tell: Say, model: GeminiDouble) -> None:
    tell("The gate code is 4711", STORE, say("OK."))
    reply = tell("What is the gate code?", blocked())
    assert '"The gate code is 4711"' in reply
    assert reply.endswith(AWAY)
    assert Interaction.objects.latest("id").citations.count() == 1


def test_the_model_is_not_waited_for_again_when_the_search_fails_too(
    tell: Say, model: GeminiDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_entry, failures = mem0.add_entry, [1, 1]

    def fail_twice(**fields: Any) -> str:
        if failures:
            failures.pop()
            raise TransientProviderError
        return add_entry(**fields)

    monkeypatch.setattr(mem0, "add_entry", fail_twice)
    model.fail_next("generateContent", kind="error", times=3, status=503, word="UNAVAILABLE")
    assert tell("The gate code is 4711").startswith("Saved as #1.")
    assert len(model.requests) == 3


# --- When the memory store is away ---


def test_a_store_that_comes_back_is_waited_for_without_asking_the_model_again(
    tell: Say, model: GeminiDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_entry, failures = mem0.add_entry, [1, 1, 1]

    def fail_first(**fields: Any) -> str:
        if failures:
            failures.pop()
            raise TransientProviderError
        return add_entry(**fields)

    monkeypatch.setattr(mem0, "add_entry", fail_first)
    assert tell("The gate code is 4711", STORE, say("Noted.")) == "Noted.\n\nSaved as #1."
    assert len(model.calls) == 2


def test_what_could_not_be_kept_is_said(
    tell: Say, model: GeminiDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**fields: Any) -> str:
        raise TransientProviderError

    monkeypatch.setattr(mem0, "add_entry", fail)
    reply = tell("The gate code is 4711", STORE, say("Noted, saved!"))
    assert "I could not save this: “The gate code is 4711”" in reply
    assert "Nothing was done" in str(model.calls[1].responses)
    assert Memory.objects.count() == 0


# --- Limits, and what is left ---


def test_who_has_used_up_the_days_tokens_is_answered_by_the_search_and_told_once(
    tell: Say, model: GeminiDouble, settings: Any
) -> None:
    settings.TOKENS_PER_DAY = 10
    tell("The gate code is 4711", STORE, say("OK."))
    assert tell("Milk is on the list") == (
        f"Saved as #2. Ask me about it any time.\n\n{say_tokens_spent(language='en')}"
    )
    assert tell("Bread is on the list") == "Saved as #3. Ask me about it any time."
    assert len(model.calls) == 2


def test_tokens_are_counted_and_the_kept_transcript_has_no_texts_of_memories(
    tell: Say, model: GeminiDouble
) -> None:
    tell("The gate code is 4711", STORE, say("OK."))
    tell("and?", call(("search_memories", {"query": "code"})), think("hm", then=say("4711 [#1]")))
    turn = Interaction.objects.latest("id")
    assert turn.input_tokens == sum(request.prompt_tokens for request in model.calls[2:])
    assert turn.output_tokens
    assert [list(step) for step in turn.transcript] == [["model"], ["tool"], ["model"]]
    assert turn.transcript[1]["tool"]["name"] == "search_memories"
    assert turn.transcript[1]["tool"]["outcome"]["found"][0][1] == 1
    assert "gate" not in json.dumps(turn.transcript)


def test_memories_that_were_used_without_their_number_are_cited_all_the_same(tell: Say) -> None:
    tell("The gate code is 4711", STORE, say("OK."))
    milk = {"content": "Milk is on the shopping list", "type": "note"}
    tell("Milk is on the shopping list", call(("store_memory", milk)), say("OK."))
    tell("gate?", call(("list_memories", {})), say("Your gate code is 4711."))
    citation = Interaction.objects.latest("id").citations.get()
    assert citation.memory.number == 1


def test_the_cost_of_a_message_does_not_grow_with_what_is_remembered(tell: Say, model: GeminiDouble) -> None:
    def ask() -> list[int]:
        before = len(model.calls)
        tell("What is the gate code?", call(("search_memories", {"query": "gate code"})), say("4711 [#1]"))
        return [request.prompt_tokens for request in model.calls[before:]]

    tell("The gate code is 4711", STORE, say("OK."))
    user = WhatsAppUser.objects.get()
    remember(user, first=2, last=10)
    few = ask()
    remember(user, first=11, last=10_000)
    many = ask()
    # The second question has the first one in its context.
    assert max(many) - max(few) < 150, (few, many)
    assert Memory.objects.count() == 10_000


def remember(user: WhatsAppUser, *, first: int, last: int) -> None:
    """Memories that are all alike but for a number, with entries and words."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH entry AS (
                INSERT INTO mem0_local (id, vector, payload)
                SELECT gen_random_uuid(), vector, payload || jsonb_build_object('key', 'bulk:' || number)
                FROM (SELECT vector, payload FROM mem0_local LIMIT 1) kept, generate_series(%s, %s) number
                RETURNING id, payload->>'key' AS key
            ), memory AS (
                INSERT INTO memories_memory (user_id, number, mem0_id, text, word_count, type, source,
                                             happened_at, updated_at, tool_call)
                SELECT %s, substr(key, 6)::int, id, 'The gate code of house ' || substr(key, 6), 5, 'note', 'import',
                       %s, %s, ''
                FROM entry RETURNING id
            )
            INSERT INTO memories_memoryword (user_id, word, memory_id, count, word_count)
            SELECT %s, word, memory.id, 1, 5 FROM memory, unnest(ARRAY['gate', 'code']) word
            """,
            [first, last, user.id, timezone.now(), timezone.now(), user.id],
        )
        cursor.execute("ANALYZE")
    WhatsAppUser.objects.filter(id=user.id).update(memories_numbered=last)


def test_a_request_is_what_google_takes(tell: Say, model: GeminiDouble) -> None:
    tell("hello", say("Hi."))
    request: ModelRequest = model.calls[0]
    assert request.model == "gemini-3.8-flash"
    assert request.thinking_level == "LOW"
    assert request.max_output_tokens == 4096
    assert len(request.tools) == 8
    assert request.server_timeout == 30
