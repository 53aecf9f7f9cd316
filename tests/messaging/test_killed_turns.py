"""A turn with the language model whose worker is killed after, or right before, any step it writes down.

Whatever happened before the kill is not asked for and not done again: the model sees at most the call that was in
flight twice, each memory is stored once, the person gets one reply.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from memories.models import Memory, MemoryHistory
from messaging.models import Interaction, OutboundMessage, RawMessage
from tests.conftest import make_payload
from tests.doomed import Call, Executioner, Point, running_executioner
from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_model import ModelRequest, Reply, call, say
from tests.doubles.twilio import TwilioDouble

pytestmark = pytest.mark.django_db(transaction=True)

SAVE = "messaging.journal:Journal._add"
STEPS = 6  # three responses, three tools
POINTS = [
    Point(when="after", step="messaging.turns:begin_turn"),
    *(
        Point(when=when, step=SAVE, nth=number)
        for number in range(1, STEPS + 1)
        for when in ("before", "after")
    ),
    Point(when="after", step="messaging.assistant_tools:store_memory"),
    Point(when="after", step="messaging.assistant_tools:update_memory"),
    Point(when="before", step="messaging.turns:commit_answer"),
    Point(when="after", step="messaging.turns:queue_answer"),  # inside the transaction: nothing is committed
    Point(when="after", step="messaging.turns:commit_answer"),
]


@pytest.fixture(scope="module")
def executioner(django_db_setup: None) -> Iterator[Executioner]:
    """One process that has imported everything, for all the tests here."""
    with running_executioner(connection.settings_dict["NAME"]) as running:
        yield running


@pytest.fixture
def gemini(settings: Any, transactional_db: None) -> Iterator[GeminiDouble]:
    """A model that searches, then stores and corrects at once, then speaks, always alike."""
    with running_gemini_double() as double:
        double.play(speak)
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = double.api_key, double.base_url
        yield double
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


def speak(request: ModelRequest) -> Reply:
    if request.step == 0:
        return call(("search_memories", {"query": "gate code"}))
    if request.step == 1:
        correction = {"number": 1, "content": "The gate code is 4712"}
        fact = {"content": "The landlord changed the gate code", "type": "note"}
        return call(("store_memory", fact), ("update_memory", correction))
    return say("The new code is noted [#1].")


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_killed_turn_goes_on_where_it_was(
    executioner: Executioner,
    gemini: GeminiDouble,
    twilio_double: TwilioDouble,
    deliver: Callable[..., Any],
    run_jobs: Callable[[], int],
    settings: Any,
    point: Point,
) -> None:
    store_first_code(deliver, run_jobs, settings)
    deliver(make_payload("The landlord changed the gate code to 4712"))
    raw = RawMessage.objects.latest("id")
    with connection.cursor() as cursor:  # the worker that dies has it
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE status = 'todo'")
    executioner.kill(
        Call(function="messaging.turns:process_message", arguments={"raw_message_id": raw.id}),
        point,
        GEMINI_API_KEY=settings.GEMINI_API_KEY,
        GEMINI_BASE_URL=settings.GEMINI_BASE_URL,
        TWILIO_API_BASE_URL=settings.TWILIO_API_BASE_URL,
    )
    with connection.cursor() as cursor:  # the job is recovered
        cursor.execute("UPDATE procrastinate_jobs SET status = 'todo' WHERE status = 'doing'")
    run_jobs()
    assert 3 <= len(gemini.calls) <= 4
    steps = [request.step for request in gemini.calls]
    assert steps == sorted(steps)  # nothing that was answered is asked again
    corrected, stored = Memory.objects.order_by("number")
    assert corrected.text == "The gate code is 4712"
    assert stored.text == "The landlord changed the gate code"
    assert MemoryHistory.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mem0_local")
        assert cursor.fetchone() == (2,)
    assert [message.body for message in twilio_double.messages[1:]] == [
        "The new code is noted [#1].\n\nSaved as #2.\nCorrected #1. /undo 1 takes it back."
    ]
    assert OutboundMessage.objects.count() == Interaction.objects.count() == 2


def store_first_code(deliver: Callable[..., Any], run_jobs: Callable[[], int], settings: Any) -> None:
    """What is to be corrected, kept without the model."""
    key, settings.GEMINI_API_KEY = settings.GEMINI_API_KEY, ""
    deliver(make_payload("The gate code is 4711"))
    run_jobs()
    settings.GEMINI_API_KEY = key
    assert Memory.objects.get().number == 1
