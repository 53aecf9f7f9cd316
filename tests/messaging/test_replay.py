"""What a message would be answered now, with no effect at all."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import InternalError, connection, transaction
from django.utils import timezone

from accounts.models import WhatsAppUser
from memories.models import Memory
from messaging import assistant, replay
from messaging.forgetting import redact_messages
from messaging.models import Interaction, RawMessage
from messaging.replay import CannotReplay, Piece, Replayed, can_be_compared, compare
from tests.conftest import make_payload
from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_model import call, say
from tests.doubles.twilio import TwilioDouble
from tests.memories.sides import note
from tests.messaging.made import make_raw
from tests.rows import dump_database
from whatsbot.database import only_reading

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clean(transactional_db: None) -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def ana() -> WhatsAppUser:
    return WhatsAppUser.objects.create(
        whatsapp_id="whatsapp:+12025550143", phone_number="+12025550143", timezone_source="chosen"
    )


@pytest.fixture
def tell(
    ana: WhatsAppUser,
    deliver: Callable[..., Any],
    run_jobs: Callable[[], int],
    twilio_double: TwilioDouble,
) -> Callable[..., RawMessage]:
    """A message of Ana's that is answered."""

    def tell(body: str, **fields: str) -> RawMessage:
        deliver(make_payload(body, From=ana.whatsapp_id, WaId="12025550143", **fields))
        run_jobs()
        return RawMessage.objects.latest("id")

    return tell


@pytest.fixture
def model(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiDouble]:
    """A language model; pauses between attempts are short."""
    monkeypatch.setattr(assistant, "FIRST_PAUSE", 0.01)
    with running_gemini_double() as double:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = double.api_key, double.base_url
        yield double


@pytest.fixture
def rehearse(twilio_double: TwilioDouble) -> Callable[[RawMessage], Replayed]:
    """Replay a message, and see to it that nothing in the world has changed: database, Mem0, Twilio."""

    def rehearse(raw: RawMessage) -> Replayed:
        before, asked = dump_database(), list(twilio_double.requests)
        try:
            return replay.replay(raw.id)
        finally:
            assert dump_database() == before
            assert twilio_double.requests == asked

    return rehearse


def test_a_statement_is_kept_no_second_time(
    tell: Callable[..., RawMessage], rehearse: Callable[..., Replayed]
) -> None:
    first, again = tell("The gate code is 4711"), tell("the gate code is 4711!")
    same = rehearse(first)
    assert (same.answer, same.kind) == ("Saved as #1. Ask me about it any time.", "saved")
    assert same.deeds == ("would save what it has saved as #1: The gate code is 4711",)
    assert rehearse(again).answer == "I know that already: #1 “The gate code is 4711”"
    Memory.objects.all().delete()
    assert rehearse(first).deeds == ("would save #2: The gate code is 4711",)
    assert not Memory.objects.exists()


def test_a_question_is_answered_from_what_is_known_now(
    ana: WhatsAppUser, tell: Callable[..., RawMessage], rehearse: Callable[..., Replayed]
) -> None:
    asked = tell("What is the gate code?")
    assert "You haven't told me anything yet" in asked.interaction.answer
    note(ana, "The gate code is 4711")
    now = rehearse(asked)
    assert '"The gate code is 4711"' in now.answer
    assert [hit.memory.number for hit in now.used] == [1]
    assert not now.degraded
    assert now.seconds < replay.MOST_SECONDS


def test_a_place_that_was_never_kept_would_be(ana: WhatsAppUser, rehearse: Callable[..., Replayed]) -> None:
    raw = make_raw(ana, "", Latitude="51.5", Longitude="-0.12", Label="Example Café")
    (deed,) = rehearse(raw).deeds
    assert deed.startswith("would save #1: Example Café (51.5, -0.12)")


def test_tools_that_write_say_what_they_would_have_done(
    ana: WhatsAppUser,
    tell: Callable[..., RawMessage],
    model: GeminiDouble,
    rehearse: Callable[..., Replayed],
) -> None:
    note(ana, "The gate code is 4711")
    model.enqueue(say("Hm."))
    raw = tell("The code is 4712. I moved to Madrid. Forget the old one.")
    model.enqueue(
        call(
            ("search_memories", {"query": "gate code"}),
            ("store_memory", {"content": "Lives in Madrid", "type": "note"}),
            ("store_memory", {"content": "The code is new", "type": "note"}),
            ("update_memory", {"number": 1, "content": "The gate code is 4712"}),
            ("forget_memory", {"numbers": [1]}),
            ("set_timezone", {"place": "Madrid"}),
            ("send_media", {"ids": [1]}),
        ),
        say("Done [#1]."),
    )
    now = rehearse(raw)
    assert now.deeds == (
        "would save #2: Lives in Madrid",
        "would save #3: The code is new",
        "would correct #1 to: The gate code is 4712",
        "would ask whether to forget #1",
        "would set the time zone to Europe/Madrid",
    )
    assert [tool.name for tool in now.tools][:2] == ["search_memories", "store_memory"]
    assert now.tools[1].arguments == {"content": "Lives in Madrid", "type": "note"}
    assert now.tools[1].result == {"saved": 2}
    assert "Saved as #2 and #3." in now.answer
    assert (now.model, now.input_tokens > 0, now.output_tokens > 0) == ("gemini-3.8-flash", True, True)
    ana.refresh_from_db()
    assert ana.timezone != "Europe/Madrid"


def test_a_model_that_is_away_or_has_no_time_is_said_to_be(
    tell: Callable[..., RawMessage],
    model: GeminiDouble,
    rehearse: Callable[..., Replayed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model.enqueue(say("Hello."))
    raw = tell("Hello")
    asked = len(model.calls)
    monkeypatch.setattr(replay, "MOST_SECONDS", 0.0)
    now = rehearse(raw)
    assert (now.degraded, now.model) == (True, "")
    assert len(model.calls) == asked


def test_commands_that_only_read_are_replayed_and_no_others(
    tell: Callable[..., RawMessage], rehearse: Callable[..., Replayed]
) -> None:
    tell("The gate code is 4711")
    for text, beginning in {
        "/list": "#1 ·",
        "/search gate": "#1 ·",
        "/help": "I am your memory",
        "/tz": "Your time zone is",
        "/why": "That answer",
    }.items():
        assert beginning in rehearse(tell(text)).answer, text
    for text in ("/tz Madrid", "/export", "/undo 99", "/forget 99", "/forget everything", "/stop", "/start"):
        raw = tell(text)
        with pytest.raises(CannotReplay, match="changes something"):
            rehearse(raw)


def test_what_cannot_be_replayed_says_why(
    ana: WhatsAppUser, tell: Callable[..., RawMessage], rehearse: Callable[..., Replayed]
) -> None:
    tell("The gate code is 4711")
    tell("/forget everything")
    WhatsAppUser.objects.filter(id=ana.id).update(opted_out_at=timezone.now())
    cases = {
        "confirmed": make_raw(ana, "yes", at=timezone.now() + timedelta(seconds=1)),
        "never answered": make_raw(ana, "👍", MessageType="reaction"),
        "paused the bot": make_raw(ana, "Hello"),
        "forgotten": make_raw(ana, "Hello"),
    }
    redact_messages([cases["forgotten"].id])
    for reason, raw in cases.items():
        with pytest.raises(CannotReplay, match=reason):
            rehearse(raw)
    with pytest.raises(CannotReplay, match="gone"):
        replay.replay(0)


def test_postgresql_itself_refuses_to_write_meanwhile(
    ana: WhatsAppUser, rehearse: Callable[..., Replayed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(turn: Any) -> None:
        WhatsAppUser.objects.filter(id=ana.id).update(name="changed")

    monkeypatch.setattr(replay, "answer_from_memories", write)
    raw = make_raw(ana)
    with pytest.raises(InternalError, match="read-only transaction"):
        rehearse(raw)
    with transaction.atomic(), only_reading():
        assert WhatsAppUser.objects.get().name == ""
        with pytest.raises(InternalError, match="read-only transaction"), transaction.atomic():
            write(None)
        assert WhatsAppUser.objects.get().name == ""
    write(None)
    assert WhatsAppUser.objects.get().name == "changed"


def test_the_difference_is_told_word_by_word() -> None:
    assert compare("The code is 4711.", "The new code is 4712.") == [
        Piece("same", "The "),
        Piece("added", "new "),
        Piece("same", "code is "),
        Piece("removed", "4711."),
        Piece("added", "4712."),
    ]
    assert compare("as it was", "as it was") == [Piece("same", "as it was")]
    assert compare("", "new") == [Piece("added", "new")]
    assert can_be_compared(Interaction(answer="yes"))
    assert not can_be_compared(Interaction(answer="[forgotten]"))
    assert not can_be_compared(None)
