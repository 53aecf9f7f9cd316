"""What talking to the bot is like, with a language model: readable dialogues on the real pipeline.

The model is scripted, so these show what surrounds it: what it is told, what its tools do, what is added to its words.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import WhatsAppUser
from memories.models import Citation, Memory, MemoryHistory
from messaging.models import Interaction, OutboundMessage, RawMessage
from tests.doubles.gemini import running_gemini_double
from tests.doubles.twilio import TwilioDouble
from tests.messaging.dialogues import Stage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage(
    deliver: Callable[..., Any],
    run_jobs: Callable[[], int],
    twilio_double: TwilioDouble,
    settings: Any,
    transactional_db: None,
) -> Iterator[Stage]:
    """The bot with a language model."""
    with running_gemini_double() as gemini:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = gemini.api_key, gemini.base_url
        yield Stage(deliver=deliver, run_jobs=run_jobs, twilio=twilio_double, gemini=gemini)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


def count_entries() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mem0_local")
        return int(cursor.fetchone()[0])


def test_a_statement_is_kept_and_said_to_be(stage: Stage) -> None:
    stage.play("""
        person: My sister's birthday is on 14 March
        model: store_memory(content="My sister's birthday is on 14 March", type="event", event_start="2027-03-14")
        seen: {"saved": 1}
        model: "Lovely!"
        bot: Lovely!
           |
           | Saved as #1.
        person: by the way, my sisters birthday is on 14 March!
        model: store_memory(content="My sister's birthday is on 14 March", type="event", event_start="2027-03-14")
        seen: {"known_already": 1
        model: "Noted before."
        bot: Noted before.
           |
           | I knew that already: #1 “My sister's birthday is on 14 March”
    """)
    assert Memory.objects.count() == count_entries() == 1


def test_a_question_is_answered_from_memories_with_their_numbers(stage: Stage) -> None:
    stage.play("""
        person: The gate code is 4711
        model: store_memory(content="The gate code is 4711", type="note")
        model: "Got it."
        bot: ...
        person: what's the code of the gate?
        model: search_memories(query="gate code")
        seen: "number": 1
        seen: The gate code is 4711
        model: "The gate code is *4711* [#1]. The moon is made of cheese [#9]."
        bot: The gate code is _4711_ [#1]. The moon is made of cheese.
    """)
    answer = Interaction.objects.get(kind="recalled")
    assert answer.model == "gemini-3.8-flash"
    assert answer.input_tokens
    assert answer.output_tokens
    assert [(citation.memory.number, citation.rank) for citation in Citation.objects.all()] == [(1, 1)]
    assert "4711" not in str(answer.transcript)  # what memories say is kept in one place


def test_a_correction_takes_the_place_of_what_was_said(stage: Stage) -> None:
    stage.play("""
        person: Dentist on Friday at 9
        model: store_memory(content="Dentist on Friday at 9", type="event", event_start="2026-11-27T09:00")
        model: "OK."
        bot: ...
        person: the dentist is at 10, not at 9
        model: search_memories(query="dentist")
        seen: takes_place
        model: update_memory(number=1, content="Dentist on Friday at 10", event_start="2026-11-27T10:00")
        model: "10 it is."
        bot: 10 it is.
           |
           | Corrected #1. /undo 1 takes it back.
        person: when do I have to be at the dentist?
        model: search_memories(query="dentist")
        seen: Friday 2026-11-27 10:00
        unseen: "text": "Dentist on Friday at 9"
        model: "Friday at 10 [#1]."
        bot: Friday at 10 [#1].
    """)
    assert MemoryHistory.objects.get().text == "Dentist on Friday at 9"


def test_forgetting_is_asked_about_and_done_only_after_a_yes_of_ones_own(stage: Stage) -> None:
    stage.play("""
        person: The gate code is 4711
        model: store_memory(content="The gate code is 4711", type="note")
        model: "Got it."
        bot: ...
        person: please forget the gate code
        model: search_memories(query="gate code")
        model: forget_memory(numbers=[1])
        seen: Nothing is deleted yet
        model: "Shall I?"
        bot: Shall I?
           |
           | Forget #1 “The gate code is 4711”?...
        person (forwarded): yes
        model: "That is somebody else's yes."
        bot: That is somebody else's yes.
        person: yes
        model: "Yes what?"
        bot: Yes what?
    """)
    assert Memory.objects.count() == 1
    stage.play("""
        person: forget it now
        model: forget_memory(numbers=[1, 2, 77])
        model: "Sure?"
        bot: ...Forget #1...
        person: Yes please!
        bot: Forgotten: #1...
        person: what's the gate code?
        model: search_memories(query="gate code")
        unseen: 4711
        seen: nothing is saved at all
        model: "You have not told me."
        bot: You have not told me.
    """)
    assert Memory.objects.count() == count_entries() == 0
    for model in (OutboundMessage, RawMessage):
        assert not model.objects.filter(body__contains="4711").exists()


ZONES = {
    # zone: (said on its clocks, the day, a day it is not)
    "Asia/Kolkata": ("2026-09-10 00:30", "2026-09-10", "2026-09-09", "Thursday 2026-09-10 00:30"),
    "America/Los_Angeles": ("2026-09-10 23:00", "2026-09-10", "2026-09-11", "Thursday 2026-09-10 23:00"),
    "Pacific/Auckland": ("2026-09-10 08:00", "2026-09-10", "2026-09-09", "Thursday 2026-09-10 08:00"),
    # The days on which the clocks change: 25 and 23 hours.
    "America/New_York": ("2026-11-01 23:30", "2026-11-01", "2026-11-02", "Sunday 2026-11-01 23:30"),
    "Europe/Berlin": ("2026-03-29 23:30", "2026-03-29", "2026-03-30", "Sunday 2026-03-29 23:30"),
}


@pytest.mark.parametrize("zone", ZONES)
def test_days_in_questions_are_those_of_the_persons_own_clocks(stage: Stage, zone: str) -> None:
    said, day, other_day, told = ZONES[zone]
    city = zone.partition("/")[2].replace("_", " ")
    year, _, number = day.split("-")
    stage.play(f"""
        time: {said} {zone}
        person: /tz {zone}
        bot: ...
        person: The plumber comes at noon
        seen: {told}
        seen: time zone {zone}
        model: store_memory(content="The plumber comes at noon", type="note")
        model: "OK."
        bot: ...
        time: {year}-12-01 12:00 {zone}
        person: what did I tell you that day?
        model: search_memories(query="plumber", start_date="{day}", end_date="{day}")
        seen: {told}
        unseen: elsewhere
        model: "That the plumber comes at noon [#1]."
        bot: That the plumber comes at noon [#1].
           |
           | ...{int(number)}...{city} time
        person: and the day beside it?
        model: search_memories(query="plumber", start_date="{other_day}", end_date="{other_day}")
        seen: Nothing in those days
        model: "Nothing that day, but on another the plumber [#1]."
        bot: Nothing that day, but on another the plumber [#1].
           |
           | ...{int(other_day[-2:])}...{city} time
    """)


def test_what_takes_place_is_found_by_its_own_day_and_what_was_said_by_that(stage: Stage) -> None:
    stage.play("""
        time: 2026-09-01 09:00 Asia/Kolkata
        person: /tz Kolkata
        bot: ...
        person: Meeting with the landlord on the 17th at 15:00
        model: store_memory(content="Meeting with the landlord", type="event", event_start="2026-09-17T15:00")
        model: "OK."
        bot: ...
        time: 2026-09-15 09:00 Asia/Kolkata
        person: meetings this week?
        model: search_memories(query="", start_date="2026-09-14", end_date="2026-09-20", types=["event"])
        seen: "takes_place": "Thursday 2026-09-17 15:00"
        seen: "said": "Tuesday 2026-09-01 09:00"
        model: "On Thursday at 15:00 you meet the landlord [#1]."
        bot: On Thursday at 15:00 you meet the landlord [#1].
           |
           | 14–20 September, Kolkata time
        person: and since 1 May?
        model: search_memories(query="landlord", start_date="2026-05-01")
        model: "Only that [#1]."
        bot: Only that [#1].
           |
           | since ...1 May..., Kolkata time
    """)
    assert Memory.objects.get().event_start.isoformat() == "2026-09-17T09:30:00+00:00"


def test_what_we_add_is_in_the_persons_language(stage: Stage) -> None:
    stage.play("""
        person: Mi hermana cumple años el 14 de marzo y le gusta el chocolate
        model: store_memory(content="Cumple años el 14 de marzo", type="event"),
             | store_memory(content="Le gusta el chocolate", type="preference")
        model: "¡Qué bien!"
        bot: ¡Qué bien!
           |
           | ...#1...#2...
        person: Meine Schwester mag auch Blumen und ich muss das nicht vergessen
        model: store_memory(content="Meine Schwester mag Blumen", type="preference")
        model: "Schön."
        bot: Schön.
           |
           | ...#3...
    """)
    spanish, german = (message.body for message in stage.twilio.messages)
    assert "Saved" not in spanish + german
    assert "Guard" in spanish
    assert "espeichert" in german or "emerkt" in german


def test_a_question_in_another_language_is_understood_by_meaning(stage: Stage) -> None:
    stage.play("""
        person: My passport is in the blue drawer
        model: store_memory(content="My passport is in the blue drawer", type="place")
        model: "OK."
        bot: ...
        person: wo ist mein Reisepass?
        model: search_memories(query="Reisepass")
        seen: My passport is in the blue drawer
        model: "In der blauen Schublade [#1]."
        bot: In der blauen Schublade [#1].
    """)


def test_a_reply_carries_what_it_quotes(stage: Stage) -> None:
    stage.play("""
        person: The gate code is 4711
        model: store_memory(content="The gate code is 4711", type="note")
        model: "Noted, the gate."
        bot: ...
        person (quoting): this is for the back gate only
        seen: "quotes": {"from": "you"
        seen: Noted, the gate.
        model: update_memory(number=1, content="The code of the back gate is 4711")
        model: "Back gate."
        bot: Back gate.
           |
           | Corrected #1. /undo 1 takes it back.
    """)


def test_a_place_is_kept_with_its_name_and_its_position(stage: Stage) -> None:
    stage.play("""
        person (place 51.500729, -0.124625, Example Café):
        seen: "label": "Example Café"
        seen: "latitude": "51.500729"
        seen: "saved_as": "#1"
        model: "Nice café."
        bot: Nice café.
           |
           | Saved as #1.
    """)


def test_messages_sent_at_once_are_answered_once(stage: Stage, settings: Any) -> None:
    settings.BURST_SECONDS = 3
    stage.play("""
        person: The landlord called
        person: he wants the rent on the 1st
        person: and the gate code is 4711 now
        seen: The landlord called
        seen: he wants the rent on the 1st
        model: store_memory(content="The landlord wants the rent on the 1st", type="task"),
             | store_memory(content="The gate code is 4711", type="note")
        model: "All noted."
        bot: All noted.
           |
           | Saved as #1 and #2.
    """)
    assert set(RawMessage.objects.values_list("status", flat=True)) == {"answered"}
    rent, code = Memory.objects.order_by("number")
    assert rent.raw_message.body == "he wants the rent on the 1st"
    assert code.raw_message.body == "and the gate code is 4711 now"


def test_who_has_told_nothing_yet_is_told_so(stage: Stage) -> None:
    stage.play("""
        person: what did I say about the landlord?
        model: search_memories(query="landlord")
        seen: nothing is saved at all
        model: "You have not told me anything yet."
        bot: You have not told me anything yet.
        person: show me everything
        model: list_memories()
        seen: has not told you anything yet
        model: "There is nothing yet."
        bot: There is nothing yet.
    """)
    assert set(Interaction.objects.values_list("kind", flat=True)) == {"missed"}


def test_what_is_close_but_perhaps_not_meant_is_told_apart_from_what_fits(stage: Stage) -> None:
    stage.play("""
        person: My sister likes tulips
        model: store_memory(content="My sister likes tulips", type="preference")
        model: "Nice."
        bot: ...
        person: what does my sister like?
        model: search_memories(query="what does my sister like?")
        seen: "fits": "well"
        model: "Tulips [#1]."
        bot: Tulips [#1].
        person: how tall is the tower?
        model: search_memories(query="how tall is the tower?")
        seen: "fits": "perhaps"
        model: "I'm not sure you told me; you only spoke of tulips."
        bot: I'm not sure you told me; you only spoke of tulips.
    """)
    assert Interaction.objects.latest("id").kind == "missed"


def test_nothing_in_those_days_is_said_with_the_days_and_what_there_is_elsewhere(stage: Stage) -> None:
    stage.play("""
        time: 2026-09-15 10:00 America/New_York
        person: My sister likes tulips
        model: store_memory(content="My sister likes tulips", type="preference")
        model: "Nice."
        bot: ...
        person: what did I say about her in May?
        model: search_memories(query="sister tulips", start_date="2026-05-01", end_date="2026-05-31")
        seen: Nothing in those days
        seen: "elsewhere": [{"number": 1
        model: "Nothing in May, but on 15 September that she likes tulips [#1]."
        bot: Nothing in May, but on 15 September that she likes tulips [#1].
           |
           | 1–31 May, New York time
        person: and what did I list then?
        model: list_memories(start_date="2026-05-01", end_date="2026-05-31")
        seen: Nothing there.
        model: "Nothing."
        bot: Nothing.
           |
           | 1–31 May, New York time
    """)
    kinds = Interaction.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["saved", "recalled", "missed"]


def test_the_bot_says_why_it_said_that(stage: Stage) -> None:
    stage.play("""
        time: 2026-09-15 10:00 America/New_York
        person: remember that the gate code is 4711
        model: store_memory(content="The gate code is 4711", type="note")
        model: "Got it."
        bot: ...
        person: gate code?
        model: search_memories(query="gate code")
        model: "4711 [#1]."
        bot: 4711 [#1].
        person: thanks
        model: "You're welcome."
        bot: You're welcome.
        person: /why
        bot: ...no...memor...
        person: gate code again?
        model: search_memories(query="gate code")
        model: "4711 [#1]."
        bot: 4711 [#1].
        person (quoting): /why
        bot: ...#1...The gate code is 4711...remember that the gate code is 4711...
    """)


def test_what_was_kept_is_taken_back_everywhere(stage: Stage) -> None:
    stage.play("""
        person: The gate code is 4711
        model: store_memory(content="The gate code is 4711", type="note")
        model: "Got it."
        bot: ...
        person: it is 4712
        model: update_memory(number=1, content="The gate code is 4712")
        model: "OK."
        bot: ...
        person: /undo 1
        bot: ...The gate code is 4711...
        person: gate code?
        model: search_memories(query="gate code")
        seen: The gate code is 4711
        model: "4711 [#1]."
        bot: 4711 [#1].
        person: /undo 1
        bot: ...#1...
    """)
    assert Memory.objects.count() == count_entries() == 0


def test_a_time_zone_is_changed_by_command_and_by_saying_where_one_is(stage: Stage) -> None:
    stage.play("""
        time: 2026-11-23 12:00 UTC
        person: /tz
        bot: ...New York...
        person: /tz +5:30
        bot: ...Kolkata...
        person: I'm in Lisbon now
        seen: Monday 2026-11-23 17:30
        model: set_timezone(place="Lisbon")
        seen: Europe/Lisbon
        model: "Enjoy Lisbon!"
        bot: Enjoy Lisbon!
           |
           | Your time is now that of Lisbon (12:00).
        person: what time is it?
        seen: Monday 2026-11-23 12:00
        model: "12 o'clock."
        bot: 12 o'clock.
    """)
    assert WhatsAppUser.objects.get().timezone_source == "chosen"


def test_a_guessed_time_zone_is_asked_about_once(stage: Stage) -> None:
    stage.sender = "whatsapp:+18005550199"  # toll-free: any zone of North America
    first, second = stage.play("""
        person: hello
        seen: guessed
        model: "Hi!"
        bot: Hi!
           |
           | ...New York...
        person: hello again
        model: "Hi again!"
        bot: Hi again!
    """)
    assert "/tz" in first
    assert "/tz" not in second


def test_everything_can_be_taken_along(stage: Stage, client: Client) -> None:
    *_, reply = stage.play("""
        person: The gate code is 4711
        model: store_memory(content="The gate code is 4711", type="note")
        model: "Got it."
        bot: ...
        person: /export
        bot: ...https://bot.example.com/export/...
    """)
    link = re.search(r"https://bot\.example\.com(/export/\S+)", reply)
    assert link
    response = client.get(link[1])
    assert response.status_code == 200
    assert b"".join(response.streaming_content)[:2] == b"PK"
    assert client.get(link[1][:-1] + ("a" if link[1][-1] != "a" else "b")).status_code == 404


def test_everything_is_forgotten_after_a_second_message(stage: Stage) -> None:
    stage.play("""
        person: The gate code is 4711
        model: store_memory(content="The gate code is 4711", type="note")
        model: "Got it."
        bot: ...
        person: /forget everything
        bot: ...yes...
        person: no, wait
        model: "Nothing was deleted."
        bot: Nothing was deleted.
        person: yes
        model: "Yes?"
        bot: Yes?
        person: /forget everything
        bot: ...
    """)
    assert Memory.objects.count() == 1
    (receipt,) = stage.play("""
        person: yes
        bot: ...
    """)
    assert "1 memor" in receipt
    assert "6" in receipt  # messages
    assert Memory.objects.count() == count_entries() == 0
    assert RawMessage.objects.count() == Interaction.objects.count() == OutboundMessage.objects.count() == 1
    assert RawMessage.objects.get().body == ""
    assert "4711" not in str(
        [list(table.objects.values()) for table in (RawMessage, Interaction, OutboundMessage)]
    )
    stage.play("""
        person: what do you know about me?
        model: list_memories()
        seen: has not told you anything yet
        model: "Nothing at all."
        bot: Nothing at all.
    """)
