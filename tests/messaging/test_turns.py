"""One turn from webhook to reply, on the real store: what a person notices."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from media.models import MediaFile, MessageMedia
from memories.models import Citation, Memory, MemoryHistory
from messaging import recall, turns
from messaging.answers import Answer
from messaging.models import Interaction, OutboundMessage, RawMessage
from messaging.tasks import sweep
from messaging.turns import MAX_ATTEMPTS, commit_answer, process_message
from tests.conftest import PAYLOADS, make_payload
from tests.doubles.twilio import TwilioDouble
from tests.settings import SENDER
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import mem0

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clean(transactional_db: None) -> Any:
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def say(
    deliver: Callable[..., Any], run_jobs: Callable[[], int], twilio_double: TwilioDouble
) -> Callable[..., str]:
    """Send a message and return the reply, "" if there was none."""

    def say(body: str, **fields: str) -> str:
        before = len(twilio_double.messages)
        assert deliver(make_payload(body, **fields)).status_code == 200
        run_jobs()
        return "\n".join(message.body for message in twilio_double.messages[before:])

    return say


def test_a_statement_is_remembered_and_a_question_answered_by_quoting_it(say: Callable[..., str]) -> None:
    assert say("My sister's birthday is on 14 March") == "Saved as #1. Ask me about it any time."
    assert say("When is my sister's birthday?") == (
        'Today you told me: "My sister\'s birthday is on 14 March"'
    )
    answer = Interaction.objects.get(kind="recalled")
    citation = Citation.objects.get()
    assert citation.interaction == answer
    assert (citation.memory.number, citation.rank) == (1, 1)
    assert 0.8 < citation.score <= 1


def test_what_is_known_already_is_said_to_be_and_stored_once(say: Callable[..., str]) -> None:
    say("My sister's birthday is on 14 March")
    for again in ("my sister's birthday is on 14 March!", "My sister's birthday is March 14"):
        assert say(again) == "I know that already: #1 “My sister's birthday is on 14 March”"
    assert say("My sister's birthday is on 15 March") == "Saved as #2. Ask me about it any time."
    assert Memory.objects.count() == 2
    assert MemoryHistory.objects.filter(kind="repeated", memory__number=1).count() == 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mem0_local")
        assert cursor.fetchone() == (2,)


def test_what_was_forgotten_is_new_when_it_is_said_again(say: Callable[..., str]) -> None:
    say("The gate code is 4711")
    assert say("/forget 1").startswith("Forgotten: #1")
    assert say("The gate code is 4711") == "Saved as #2. Ask me about it any time."
    assert "4711" in say("What is the gate code?")


def test_what_nobody_said_is_not_made_up(say: Callable[..., str]) -> None:
    say("My sister's birthday is on 14 March")
    assert say("What did I say about the tax return?") == "I found nothing about that in what you told me."
    assert Interaction.objects.get(kind="missed").citations.count() == 0


def test_nothing_is_found_in_an_empty_memory(say: Callable[..., str]) -> None:
    assert (
        say("When is my sister's birthday?")
        == "You haven't told me anything yet, so there is nothing to find."
    )


def test_one_person_never_hears_of_anothers_memories(say: Callable[..., str]) -> None:
    say("The gate code is 4711", From="whatsapp:+12025550101")
    assert "4711" not in say("What is the gate code?", From="whatsapp:+12025550102")
    assert "4711" not in say("/list", From="whatsapp:+12025550102")
    assert "no memory #1" in say("/forget 1", From="whatsapp:+12025550102")
    assert "4711" in say("What is the gate code?", From="whatsapp:+12025550101")


def test_the_day_of_a_memory_is_the_persons_own(say: Callable[..., str]) -> None:
    say("The gate code is 4711")
    # 02:30 UTC on 4 June 2025 is still 3 June in New York.
    Memory.objects.update(happened_at="2025-06-04T02:30:00Z")
    assert say("What is the gate code?").startswith("On Tuesday 3 June 2025 you told me:")


def test_days_in_a_question_narrow_the_search_to_the_persons_own_days(say: Callable[..., str]) -> None:
    say("The plumber comes at noon")
    with connection.cursor() as cursor:
        for memory in Memory.objects.all():
            # 03:59 UTC on 4 June is 3 June in New York, 04:00 is 4 June.
            when = "2025-06-04T03:59:59Z"
            cursor.execute("UPDATE memories_memory SET happened_at = %s WHERE id = %s", [when, memory.id])
            cursor.execute(
                "UPDATE mem0_local SET payload = jsonb_set(payload, '{ts}', "
                "to_jsonb(extract(epoch FROM %s::timestamptz)::bigint)) WHERE id = %s",
                [when, memory.mem0_id],
            )
    assert "plumber" in say("What did I say about the plumber on 3 June 2025?")
    missed = say("What did I say about the plumber on 4 June 2025?")
    assert (
        "I found nothing about that on Wednesday 4 June 2025. But on Tuesday 3 June 2025 you told me"
        in missed
    )


def test_a_question_about_a_coming_day_is_not_narrowed_to_it(say: Callable[..., str]) -> None:
    say("Dentist appointment on Friday at 9am")
    assert "Dentist appointment" in say("Do I have a dentist appointment next week?")


def test_what_was_told_on_another_day_is_found_and_said_so(say: Callable[..., str]) -> None:
    say("We camped by the lake in Finland")
    answer = say("Where did we camp in 2019?")
    assert answer.startswith("I found nothing about that in 2019. But today you told me:")
    assert "lake in Finland" in answer


def test_a_question_about_days_alone_lists_what_was_said_then(say: Callable[..., str]) -> None:
    say("The gate code is 4711")
    say("Milk is on the list")
    title, first, second = say("What did I tell you today?").splitlines()
    assert title == "What you told me today:"
    assert re.fullmatch(r"• \d\d:\d\d: The gate code is 4711", first)
    assert re.fullmatch(r"• \d\d:\d\d: Milk is on the list", second)


def test_commands_are_answered_and_only_commands_are(say: Callable[..., str]) -> None:
    assert "/forget" in say("/help")
    assert say("/list") == "I remember nothing yet. Tell me something!"
    say("Milk is on the list")
    assert say("/LIST").startswith("#1 · Today: Milk is on the list")
    assert say("/listen to the radio at nine").startswith("Saved as #2")
    assert "Which one?" in say("/forget milk")
    assert say("/forget 1") == "Forgotten: #1 “Milk is on the list”"
    assert "no memory #1" in say("/forget 1")


def test_forgetting_removes_the_entry_in_mem0_too(say: Callable[..., str]) -> None:
    say("Milk is on the list")
    say("/forget #1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mem0_local")
        assert cursor.fetchone() == (0,)
    assert Memory.objects.count() == 0


def test_a_number_is_not_given_again_after_forgetting(say: Callable[..., str]) -> None:
    say("Milk is on the list")
    say("/forget 1")
    assert say("Bread is on the list").startswith("Saved as #2")


def test_every_recorded_payload_gets_its_answer_or_rightly_none(
    deliver: Callable[..., Any], run_jobs: Callable[[], int], twilio_double: TwilioDouble
) -> None:
    for payload in PAYLOADS:
        media = {
            name: twilio_double.get_media_url(
                payload["MessageSid"],
                twilio_double.add_media(payload["MessageSid"], f"file {name}".encode(), "text/plain"),
            )
            for name in payload
            if name.startswith("MediaUrl")
        }
        deliver(payload | media)
    run_jobs()
    stop = PAYLOADS[26]
    later = [payload for payload in PAYLOADS[27:] if payload["From"] == stop["From"]]
    # A reaction, STOP, which Twilio answers, and what that person sends after it.
    ignored = {payload["MessageSid"] for payload in (PAYLOADS[20], stop, *later)}
    assert set(RawMessage.objects.filter(status="ignored").values_list("message_sid", flat=True)) == ignored
    assert RawMessage.objects.filter(status="answered").count() == len(PAYLOADS) - len(ignored)
    assert {message.to for message in twilio_double.messages} == {payload["From"] for payload in PAYLOADS}
    assert OutboundMessage.objects.exclude(status="sent").count() == 0
    assert Interaction.objects.filter(kind="apology").count() == 0
    assert {file.fetches for file in twilio_double.media} == {1}
    assert MessageMedia.objects.filter(file__isnull=False).count() == len(twilio_double.media)
    assert MediaFile.objects.count() == 10  # what the ten files of one message say is different
    place = Memory.objects.get(text__startswith="Example Café")
    assert "51.500729000000, -0.124625000000" in place.text
    assert place.type == "place"


def test_a_picture_at_a_strange_address_is_not_fetched_and_its_caption_is_kept(
    say: Callable[..., str],
) -> None:
    picture = {"NumMedia": "1", "MediaContentType0": "image/jpeg", "MediaUrl0": "https://api.twilio.com/x"}
    assert say("", **picture) == "Picture: I could not fetch it; the fault is ours, not yours."
    assert "I saved the text as #1" in say("This is where I parked", **picture)
    assert Memory.objects.get().text == "This is where I parked"


def test_stop_and_start_are_noted_and_not_answered(say: Callable[..., str]) -> None:
    assert say("STOP", OptOutType="STOP") == ""
    assert WhatsAppUser.objects.get().opted_out_at is not None
    assert say("START", OptOutType="START") == ""
    assert WhatsAppUser.objects.get().opted_out_at is None


def test_our_own_sender_is_never_answered(say: Callable[..., str]) -> None:
    assert say("Saved as #1.", From=SENDER) == ""


def test_other_languages_and_odd_texts_break_nothing(say: Callable[..., str]) -> None:
    for text in [
        "תזכיר לי לקנות חלב 🥛",
        "ذكّرني غدًا ✅",
        "👩🏽‍👧‍👦" * 400,
        "\u200b",
        "‏",
        "#*_~`" * 300,
        "a" * 4096,
        "%s %d {}",
    ]:
        assert say(text) != ""
    assert Interaction.objects.filter(kind="apology").count() == 0
    say("Mein Zahnarzttermin ist am 4. März")
    assert "4. März" in say("Wann ist mein Zahnarzttermin?")


def test_typing_dots_are_shown_once_while_the_answer_is_made(
    say: Callable[..., str], twilio_double: TwilioDouble
) -> None:
    say("Milk is on the list")
    assert twilio_double.typing == [RawMessage.objects.get().message_sid]


def test_typing_dots_that_fail_do_not_stop_the_answer(
    say: Callable[..., str], twilio_double: TwilioDouble
) -> None:
    twilio_double.fail_next("typing", kind="unavailable")
    assert say("Milk is on the list").startswith("Saved")


def test_a_message_is_answered_once_however_often_it_is_processed(
    deliver: Callable[..., Any], run_jobs: Callable[[], int], twilio_double: TwilioDouble
) -> None:
    deliver(make_payload())
    raw = RawMessage.objects.get()
    for _ in range(3):
        process_message(raw.id)
    run_jobs()
    process_message(raw.id)
    assert run_jobs() == 0
    assert len(twilio_double.messages) == 1
    assert Memory.objects.count() == 1


def test_two_workers_on_one_message_commit_one_answer(deliver: Callable[..., Any]) -> None:
    deliver(make_payload())
    raw = RawMessage.objects.get()
    turn = Interaction.objects.create(raw_message=raw, attempts=2)
    answer = Answer(kind=Interaction.Kind.SAVED, text="Saved.")
    assert [commit_answer(turn, answer), commit_answer(turn, answer)] == [True, False]
    assert OutboundMessage.objects.count() == 1


def test_a_worker_killed_between_mem0_and_our_row_stores_the_memory_once(
    say: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_entry = mem0.add_entry

    def add_then_die(**fields: Any) -> str:
        monkeypatch.setattr(mem0, "add_entry", add_entry)
        add_entry(**fields)
        raise KeyboardInterrupt  # what no code of ours catches, like SIGKILL

    monkeypatch.setattr(mem0, "add_entry", add_then_die)
    with pytest.raises(KeyboardInterrupt):
        say("Milk is on the list")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'todo' WHERE status = 'doing'")
    say("Bread is on the list")  # the other message is answered in the same run
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mem0_local")
        assert cursor.fetchone() == (2,)
    assert Memory.objects.count() == 2


def test_a_passing_failure_is_tried_again_and_answered(
    say: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = turns.answer_from_memories
    failures: list[Exception] = [
        TransientProviderError(),
        OperationalError("secret text"),
        ValueError("secret text"),
    ]

    def flaky(turn: Any) -> Answer:
        if failures:
            raise failures.pop()
        return answer(turn)

    monkeypatch.setattr(turns, "answer_from_memories", flaky)
    assert say("Milk is on the list").startswith("Saved as #1")
    assert Interaction.objects.get().attempts == 4


def test_a_message_that_always_fails_ends_in_one_apology_without_the_reason(
    say: Callable[..., str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(turn: Any) -> Answer:
        raise ValueError(" ".join(["secret", "text"]))  # not whole in a line that a traceback shows

    monkeypatch.setattr(turns, "answer_from_memories", broken)
    assert say("Milk is on the list") == turns.APOLOGY
    interaction = Interaction.objects.get()
    assert (interaction.kind, interaction.attempts, interaction.error) == (
        "apology",
        MAX_ATTEMPTS,
        "ValueError",
    )
    assert "secret text" not in caplog.text
    assert "Milk" not in caplog.text
    assert sum(turns.RETRY_SECONDS) < 30


def test_without_mem0_a_question_is_answered_from_words_and_a_statement_waits(
    say: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say("The gate code is 4711")

    def away(**fields: Any) -> Any:
        raise TransientProviderError

    monkeypatch.setattr(mem0, "search_entries", away)
    assert "4711" in say("What is the code of the gate?")
    monkeypatch.setattr(mem0, "add_entry", away)
    assert say("Milk is on the list") == turns.APOLOGY
    assert Memory.objects.count() == 1


def test_a_message_whose_job_is_lost_gets_another(
    deliver: Callable[..., Any], say: Callable[..., str]
) -> None:
    deliver(make_payload())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'failed'")
    RawMessage.objects.update(received_at=timezone.now() - timedelta(hours=25))
    sweep.func(0)
    assert ProcrastinateJob.objects.filter(status="todo").count() == 0, (
        "older than a day: no answer is possible"
    )
    RawMessage.objects.update(received_at=timezone.now() - timedelta(minutes=2))
    for _ in range(2):
        sweep.func(0)
    assert ProcrastinateJob.objects.filter(status="todo").count() == 1


def test_a_memory_forgotten_meanwhile_is_not_cited(
    deliver: Callable[..., Any], say: Callable[..., str]
) -> None:
    say("The gate code is 4711")
    memory = Memory.objects.get()
    deliver(make_payload("What is the gate code?"))
    raw = RawMessage.objects.latest("id")
    turn = Interaction.objects.create(raw_message=raw, attempts=1)
    hit = recall.Hit(memory=memory, score=0.9, similarity=0.9, shared_words=frozenset())
    Memory.objects.filter(id=memory.id).delete()
    assert commit_answer(turn, Answer(kind=Interaction.Kind.RECALLED, text="x", used=[hit]))
    assert Citation.objects.count() == 0
