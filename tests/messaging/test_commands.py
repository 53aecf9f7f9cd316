"""Commands: what each answers, and which messages are none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts import places
from accounts.models import WhatsAppUser
from memories.changes import update_memory
from memories.models import Memory, MemoryHistory, MemoryWord
from memories.words import count_words
from messaging.commands import COMMANDS, find_command
from messaging.models import Interaction, PendingConfirmation
from tests.memories.sides import NOON, make_person
from tests.messaging.made import CODE, answer, command, make_raw, make_turn, remember
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import mem0

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PICTURE: dict[str, Any] = {
    "NumMedia": "1",
    "MediaContentType0": "image/jpeg",
    "MediaUrl0": "https://api.twilio.com/x",
}


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody in New York, without memories; commands are sent at 9:00 there on Tuesday 3 June 2025."""
    return make_person()


@pytest.fixture
def bo() -> WhatsAppUser:
    """Somebody else."""
    return make_person()


def say(person: WhatsAppUser, text: str, **fields: Any) -> str:
    return command(person, text, **fields).text


# --- What is a command ---


@pytest.mark.parametrize("text", ["/help", "/HELP", " /Help \n", "/list milk", "/list\nmilk"])
def test_a_message_that_is_a_command_counts(ana: WhatsAppUser, text: str) -> None:
    assert find_command(make_turn(ana, text)) is not None


@pytest.mark.parametrize(
    "text", ["/listen to this", "/nothing", "help", "please /help", "/", "//help", "/help/", "/list2", ""]
)
def test_other_messages_are_no_commands(ana: WhatsAppUser, text: str) -> None:
    assert find_command(make_turn(ana, text)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"Forwarded": "true"},
        {"FrequentlyForwarded": "true"},
        PICTURE,
        {"Latitude": "51.5", "Longitude": "-0.1"},
        {"MessageType": "reaction"},
    ],
)
def test_words_that_are_not_typed_are_no_command(ana: WhatsAppUser, fields: dict[str, Any]) -> None:
    assert find_command(make_turn(ana, "/forget 1", **fields)) is None


@pytest.mark.parametrize("texts", [("Milk", "/forget 1"), ("/forget 1", "Milk"), ("", "/forget 1")])
def test_a_command_among_other_messages_is_none(ana: WhatsAppUser, texts: tuple[str, ...]) -> None:
    assert find_command(make_turn(ana, *texts)) is None


def test_only_search_asks_a_provider(ana: WhatsAppUser) -> None:
    lookups = {
        name for name in COMMANDS if (found := find_command(make_turn(ana, f"/{name}"))) and found.is_lookup
    }
    assert lookups == {"search"}


def test_help_names_every_command(ana: WhatsAppUser) -> None:
    text = say(ana, "/help")
    assert all(f"/{name}" in text for name in COMMANDS)
    assert len(text) < 1000
    assert max(map(len, text.splitlines())) < 60


# --- /list ---


def test_the_newest_memories_are_listed_and_the_older_counted(ana: WhatsAppUser, bo: WhatsAppUser) -> None:
    remember(bo, "A secret")
    for number in range(23):
        remember(ana, f"Thing {number}", happened_at=NOON - number * DAY)
    listed = command(ana, "/list")
    lines = listed.text.splitlines()
    assert lines[0] == "#1 · Today: Thing 0"
    assert lines[1] == "#2 · Yesterday: Thing 1"
    assert lines[19].startswith("#20 · ")
    assert lines[20].startswith("… and 3 older.")
    assert "secret" not in listed.text
    assert [hit.memory.number for hit in listed.used] == list(range(1, 21)), (
        "so that forgetting blanks the list"
    )


def test_a_list_says_when_something_takes_place(ana: WhatsAppUser) -> None:
    remember(ana, "Dentist", event_start=NOON + DAY)
    assert say(ana, "/list") == "#1 · Today: Dentist (takes place tomorrow)"


@pytest.mark.parametrize("argument", ["", "milk", "May", "milk in May"])
def test_an_empty_memory_is_said_to_be_empty(ana: WhatsAppUser, bo: WhatsAppUser, argument: str) -> None:
    remember(bo, "Milk in May")
    assert say(ana, f"/list {argument}") == "I remember nothing yet. Tell me something!"


def test_days_are_the_persons_own_and_are_stated(ana: WhatsAppUser) -> None:
    # 04:00 UTC is midnight in New York.
    remember(ana, "Too early", happened_at=datetime(2025, 6, 2, 3, 59, tzinfo=UTC))
    remember(ana, "First of the day", happened_at=datetime(2025, 6, 2, 4, tzinfo=UTC))
    remember(ana, "Last of the day", happened_at=datetime(2025, 6, 3, 3, 59, tzinfo=UTC))
    remember(ana, "Too late", happened_at=datetime(2025, 6, 3, 4, tzinfo=UTC))
    title, *lines = say(ana, "/list yesterday").splitlines()
    assert title == "Said or taking place yesterday (in your time zone, New York):"
    assert [line.rpartition(": ")[2] for line in lines] == ["Last of the day", "First of the day"]


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("May", "in May"),
        ("march", "in March"),
        ("2024", "in 2024"),
        ("in May", "in May"),
        ("since Monday", "since 2 June"),
        ("last week", "from 26 May to 1 June"),
        ("1 June", "on Sunday 1 June"),
        ("2025-06-01", "on Sunday 1 June"),
        ("ayer", "yesterday"),
    ],
)
def test_days_can_be_named_in_many_ways(ana: WhatsAppUser, argument: str, named: str) -> None:
    remember(ana, "Long ago", happened_at=NOON - 9999 * DAY)
    assert say(ana, f"/list {argument}") == (
        f"I have nothing said or taking place {named} (in your time zone, New York)."
    )


def test_days_find_what_takes_place_then(ana: WhatsAppUser) -> None:
    remember(ana, "Dentist", event_start=NOON + DAY)
    remember(ana, "Milk")
    assert say(ana, "/list tomorrow").splitlines()[1:] == ["#1 · Today: Dentist (takes place tomorrow)"]


def test_words_find_the_memories_that_have_all_of_them(ana: WhatsAppUser, bo: WhatsAppUser) -> None:
    remember(bo, "The garden gate is green")
    remember(ana, "The garden gate is green")
    remember(ana, "The gate is open", happened_at=NOON - DAY)
    remember(ana, "The garden is dry")
    lines = say(ana, "/list about the Gates").splitlines()
    assert lines == [
        "With “Gates”:",
        "#1 · Today: The garden gate is green",
        "#2 · Yesterday: The gate is open",
    ]
    assert say(ana, "/list gate garden").splitlines()[1:] == ["#1 · Today: The garden gate is green"]


def test_words_and_days_narrow_together(ana: WhatsAppUser) -> None:
    remember(ana, "The gate is open", happened_at=NOON - DAY)
    remember(ana, "The gate is closed")
    remember(ana, "Milk", happened_at=NOON - DAY)
    title, *lines = say(ana, "/list gate yesterday").splitlines()
    assert title == "With “gate”, said or taking place yesterday (in your time zone, New York):"
    assert lines == ["#1 · Yesterday: The gate is open"]


def test_each_way_of_finding_nothing_is_said(ana: WhatsAppUser) -> None:
    remember(ana, "The gate is open")
    assert say(ana, "/list unicorns").startswith("I have nothing with “unicorns”.")
    assert say(ana, "/list in 2019") == (
        "I have nothing said or taking place in 2019 (in your time zone, New York)."
    )
    assert say(ana, "/list gate in 2019") == (
        "I have nothing with “gate” said or taking place in 2019 (in your time zone, New York)."
    )


@pytest.mark.parametrize("argument", ["???", "a" * 4000, "the", "%s {} \\"])
def test_odd_arguments_are_answered(ana: WhatsAppUser, argument: str) -> None:
    remember(ana, "The gate is open")
    assert say(ana, f"/list {argument}")


# --- /search ---


def find_in_mem0(monkeypatch: pytest.MonkeyPatch, *memories: Memory) -> None:
    found = [mem0.Found(mem0_id=str(memory.mem0_id), similarity=0.9) for memory in memories]
    monkeypatch.setattr(mem0, "search_entries", lambda **fields: found)


def test_search_names_what_fits_best_and_cites_it(ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(ana, "Milk is on the list", happened_at=NOON - DAY)
    gate = remember(ana)
    find_in_mem0(monkeypatch, gate)
    found = command(ana, "/search gate code")
    assert found.text == f"#2 · Today: {CODE}"
    assert [hit.memory for hit in found.used] == [gate]


def test_search_says_when_meaning_could_not_be_compared(
    ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**fields: Any) -> Any:
        raise TransientProviderError

    monkeypatch.setattr(mem0, "search_entries", away)
    note = "Only words could be compared just now, not meaning."
    remember(ana)
    assert say(ana, "/search gate") == f"#1 · Today: {CODE}\n{note}"
    assert say(ana, "/search unicorns") == f"I found nothing about that in what you told me.\n{note}"


def test_search_without_memories_or_without_words_says_so(
    ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_in_mem0(monkeypatch)
    assert say(ana, "/search gate") == "I remember nothing yet. Tell me something!"
    assert "What shall I search for?" in say(ana, "/search")


# --- /forget ---


def test_memories_are_forgotten_at_once_by_number(ana: WhatsAppUser, bo: WhatsAppUser) -> None:
    for text in ("One", "Two", "Three", "Four"):
        remember(ana, text)
        remember(bo, text)
    assert say(ana, "/forget #2") == "Forgotten: #2 “Two”"
    assert say(ana, "/forget 2") == "I have no memory #2. Send /list to see the numbers."
    assert say(ana, "/forget 3, #1 and 9") == (
        "Forgotten: #3 “Three”\nForgotten: #1 “One”\nI have no memory #9. Send /list to see the numbers."
    )
    assert [memory.text for memory in Memory.objects.filter(user=ana)] == ["Four"]
    assert Memory.objects.filter(user=bo).count() == 4


@pytest.mark.parametrize("argument", ["", "milk", "7 milk", "-1", "1234567890", "every thing"])
def test_forgetting_without_a_number_asks_which(ana: WhatsAppUser, argument: str) -> None:
    remember(ana)
    assert "Which one?" in say(ana, f"/forget {argument}")
    assert Memory.objects.count() == 1


def test_forgetting_everything_only_asks_and_says_what_would_go(ana: WhatsAppUser, bo: WhatsAppUser) -> None:
    remember(bo)
    remember(ana)
    remember(ana, "Milk")
    answer(ana)
    turn = make_turn(ana, "/forget Everything")
    found = find_command(turn)
    assert found is not None
    text = found.run().text
    for count in ("2 memories", "0 earlier texts", "4 messages of yours", "1 answer of mine"):
        assert f"• {count}" in text
    asked = PendingConfirmation.objects.get()
    assert (asked.user, asked.kind, asked.numbers) == (ana, "everything", [])
    assert asked.asked_in.raw_message_id == turn.raw_message_id
    assert Memory.objects.filter(user=ana).count() == 2


# --- /undo ---


def test_undo_forgets_what_was_saved_last(ana: WhatsAppUser, bo: WhatsAppUser) -> None:
    remember(ana, "One")
    remember(ana, "Two")
    remember(bo, "Three")
    assert say(ana, "/undo") == "Undone: #2 “Two” is forgotten."
    assert say(ana, "/undo #1") == "Undone: #1 “One” is forgotten."
    assert say(ana, "/undo 1") == "I have no memory #1. Send /list to see the numbers."
    assert say(ana, "/undo") == "There is nothing to undo."
    assert "Which one?" in say(ana, "/undo milk")
    assert Memory.objects.get().user == bo


def test_undo_takes_a_correction_back_first(ana: WhatsAppUser) -> None:
    remember(ana)
    update_memory(user_id=ana.id, number=1, text="The gate code is 8362")
    assert say(ana, "/undo 1") == f"Undone: #1 says “{CODE}” again, no longer “The gate code is 8362”."
    memory = Memory.objects.get()
    assert memory.text == CODE
    assert {row.word for row in MemoryWord.objects.all()} == set(count_words(CODE))
    assert say(ana, "/undo 1") == f"Undone: #1 “{CODE}” is forgotten."


# --- /why ---


def test_why_shows_what_the_last_answer_was_made_from(ana: WhatsAppUser, bo: WhatsAppUser) -> None:
    other = remember(bo, "A secret")
    answer(bo, used=[other], at=NOON + 2 * HOUR)
    gate, place = remember(ana), remember(ana, "Home (51.5, -0.1)", type="place", happened_at=NOON - DAY)
    answer(ana, text="Nothing", kind="missed")
    answer(ana, text="It is 4711", used=[place, gate], at=NOON + 40 * HOUR / 60)
    answer(ana, text="A list", kind="command", used=[gate], at=NOON + 50 * HOUR / 60)
    explained = command(ana, "/why")
    assert explained.text.splitlines() == [
        "That answer (“It is 4711”) used:",
        "#2 (place) “Home (51.5, -0.1)”: said yesterday at 08:00",
        f"#1 “{CODE}”: said today at 08:00",
    ]
    assert [hit.memory for hit in explained.used] == [place, gate]


def test_why_as_a_reply_explains_the_answer_it_quotes_whichever_part(ana: WhatsAppUser) -> None:
    gate, milk = remember(ana), remember(ana, "Milk")
    long = answer(ana, text="Long", used=[gate], parts=3)
    answer(ana, text="Newer", used=[milk], at=NOON + 40 * HOUR / 60)
    for part in long.outbound_messages.all():
        text = say(ana, "/why", OriginalRepliedMessageSid=part.twilio_sid)
        assert text.startswith("That answer (“Long”)")


def test_why_does_not_explain_what_was_said_to_somebody_else(ana: WhatsAppUser, bo: WhatsAppUser) -> None:
    theirs = answer(bo, text="A secret", used=[remember(bo, "A secret")])
    answer(ana, used=[remember(ana)])
    sid = str(theirs.outbound_messages.get().twilio_sid)
    assert say(ana, "/why", OriginalRepliedMessageSid=sid).startswith("I can only explain my own answers.")


def test_why_says_when_there_is_nothing_to_explain_or_nothing_was_used(ana: WhatsAppUser) -> None:
    assert say(ana, "/why") == "There is nothing to explain yet: I have not answered anything."
    answer(ana)
    assert say(ana, "/why") == "That answer used no memories."


def test_why_says_that_what_an_answer_used_is_forgotten(ana: WhatsAppUser) -> None:
    answer(ana, used=[remember(ana)])
    say(ana, "/forget 1")
    assert say(ana, "/why") == "What that answer spoke of is forgotten."


def test_why_tells_of_corrections_and_repeats(ana: WhatsAppUser) -> None:
    gate = remember(ana)
    correction = make_raw(ana, "No, it's 8362 now", at=NOON + HOUR / 2)
    update_memory(
        user_id=ana.id,
        number=1,
        text="The gate code is 8362",
        said_at=NOON + HOUR / 2,
        raw_message_id=correction.id,
        tool_call="1.1",
    )
    MemoryHistory.objects.create(memory=gate, kind="repeated", text="x", said_at=NOON)
    answer(ana, used=[gate], text="8362")
    assert say(ana, "/why").splitlines()[1] == (
        "#1 “The gate code is 8362”: corrected today at 08:30, first said today at 08:00, said again once, "
        "you wrote “No, it's 8362 now”"
    )


def test_why_quotes_the_message_where_it_says_something_else_and_names_its_media(ana: WhatsAppUser) -> None:
    raw = make_raw(ana, "we park at the " + "blue " * 60 + "sign", Forwarded="true", **PICTURE)
    answer(ana, used=[remember(ana, "They park by the sign", raw=raw)])
    line = say(ana, "/why").splitlines()[1]
    assert "from a picture, from a forwarded message, you wrote “we park at the blue" in line
    assert line.endswith("blue …”")


def test_why_reads_all_messages_of_a_burst(ana: WhatsAppUser) -> None:
    turn = make_turn(ana, "The gate", "code is 4711")
    raw = Interaction.objects.get(raw_message_id=turn.raw_message_id).raw_message
    answer(ana, used=[remember(ana, raw=raw)])
    assert "you wrote “The gate / code is 4711”" in say(ana, "/why")


@pytest.mark.parametrize(
    ("source", "said"),
    [("api", "added through the API"), ("import", "imported"), ("admin", "added in the back-office")],
)
def test_why_tells_of_memories_that_no_message_brought(ana: WhatsAppUser, source: str, said: str) -> None:
    answer(ana, used=[remember(ana, source=source)])
    assert say(ana, "/why").endswith(f"said today at 08:00, {said}")


# --- /tz ---


@pytest.fixture
def _atlas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        places,
        "find_timezone",
        lambda text, *, near, now: {"Lisbon": "Europe/Lisbon", "+5": "Etc/GMT-5"}.get(text),
    )


@pytest.mark.usefixtures("_atlas")
def test_a_time_zone_is_chosen_by_place(ana: WhatsAppUser, bo: WhatsAppUser) -> None:
    text = say(ana, "/tz Lisbon")
    assert text.startswith("Your time zone is Lisbon now. It is ")
    ana.refresh_from_db()
    assert (ana.timezone, ana.timezone_source) == ("Europe/Lisbon", "chosen")
    assert say(ana, "/tz +5").startswith("Your time zone is UTC+5 now.")
    bo.refresh_from_db()
    assert bo.timezone == "America/New_York"


@pytest.mark.usefixtures("_atlas")
def test_an_unknown_place_changes_nothing(ana: WhatsAppUser) -> None:
    assert "/tz Madrid" in say(ana, "/tz Atlantis")
    ana.refresh_from_db()
    assert (ana.timezone, ana.timezone_source) == ("America/New_York", "guessed")


@pytest.mark.parametrize(
    ("source", "known_by"),
    [
        ("inferred", "Your number tells me."),
        ("guessed", "my guess from your number"),
        ("chosen", "You have told me so."),
        ("staff", "set for you by the staff"),
    ],
)
def test_the_time_zone_is_told_with_how_it_is_known(ana: WhatsAppUser, source: str, known_by: str) -> None:
    WhatsAppUser.objects.filter(id=ana.id).update(timezone_source=source)
    text = say(ana, "/tz")
    assert text.startswith("Your time zone is New York: it is ")
    assert known_by in text


# --- /stop, /start ---


def test_stop_and_start_are_noted(ana: WhatsAppUser, bo: WhatsAppUser) -> None:
    assert "until you send /start" in say(ana, "/stop")
    ana.refresh_from_db()
    stopped_at = ana.opted_out_at
    assert stopped_at is not None
    say(ana, "/stop")
    ana.refresh_from_db()
    assert ana.opted_out_at == stopped_at
    assert "listening again" in say(ana, "/start")
    ana.refresh_from_db()
    assert ana.opted_out_at is None
    bo.refresh_from_db()
    assert bo.opted_out_at is None
