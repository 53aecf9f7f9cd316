from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memories.dates import LocalDays
from memories.time_phrases import TimePhrase, find_time_phrase

TODAY = date(2026, 6, 10)  # a Wednesday


def find(text: str, *, today: date = TODAY) -> TimePhrase:
    phrase = find_time_phrase(text, today=today)
    assert phrase is not None, text
    return phrase


def days(said: str) -> LocalDays:
    """ "2026-06-03" is a day, "2026-06-03..2026-06-10" a range, "2026-06-03.." is open."""
    start, dots, end = said.partition("..")
    first = date.fromisoformat(start) if start else None
    if not dots:
        assert first is not None
        return LocalDays(start=first, end=first + timedelta(days=1))
    return LocalDays(start=first, end=date.fromisoformat(end) if end else None)


ENGLISH = [
    ("What did I say yesterday?", "2026-06-09"),
    ("What did I say today?", "2026-06-10"),
    ("When did I tell you about the car the day before yesterday?", "2026-06-08"),
    ("What did I tell you this morning?", "2026-06-10"),
    ("What did I tell you yesterday evening?", "2026-06-09"),
    ("what did I tell you last night", "2026-06-09..2026-06-11"),
    ("what did I say about the landlord last week", "2026-06-01..2026-06-08"),
    ("What did I say this week?", "2026-06-08..2026-06-15"),
    ("Tell me about last month", "2026-05-01..2026-06-01"),
    ("what did I spend this month", "2026-06-01..2026-07-01"),
    ("What happened last year?", "2025-01-01..2026-01-01"),
    ("what have I told you this year", "2026-01-01..2027-01-01"),
    ("What did I do last weekend?", "2026-06-06..2026-06-08"),
    ("What did I do at the weekend?", "2026-06-06..2026-06-08"),
    ("What did I write last Tuesday?", "2026-06-09"),
    ("What did I write last Wednesday?", "2026-06-03"),
    ("What did I say on Monday about the rent?", "2026-06-08"),
    ("What did I say on Wednesday?", "2026-06-03"),
    ("What did I say on Monday morning?", "2026-06-08"),
    ("what did I eat sunday?", "2026-06-07"),
    ("What did I say Monday last week?", "2026-06-01"),
    ("What did I say this Monday?", "2026-06-08"),
    ("What did I note in May?", "2026-05-01..2026-06-01"),
    ("What did I note in June?", "2026-06-01..2026-07-01"),
    ("What did I note in July?", "2025-07-01..2025-08-01"),
    ("what did i tell you in may 2025", "2025-05-01..2025-06-01"),
    ("What did I tell you in May last year?", "2025-05-01..2025-06-01"),
    ("What did I tell you last year in May?", "2025-05-01..2025-06-01"),
    ("What did I say at the end of March?", "2026-03-01..2026-04-01"),
    ("What did I say last May?", "2026-05-01..2026-06-01"),
    ("what did I do last march", "2026-03-01..2026-04-01"),
    ("What did I do last June?", "2025-06-01..2025-07-01"),
    ("What happened in 2025?", "2025-01-01..2026-01-01"),
    ("what have I told you since Monday", "2026-06-08.."),
    ("what have I told you since May", "2026-05-01.."),
    ("what did I say since 3 June", "2026-06-03.."),
    ("what have I spent since last week", "2026-06-01.."),
    ("what have I spent since two weeks ago", "2026-05-25.."),
    ("what did I spend from May onwards", "2026-05-01.."),
    ("what did I say before June", "..2026-06-01"),
    ("what did I say before 2025", "..2025-01-01"),
    ("what did I say until yesterday", "..2026-06-10"),
    ("what did I say after 3 June", "2026-06-04.."),
    ("what did I say after May 2025", "2025-06-01.."),
    ("what did I say between 3 and 7 June", "2026-06-03..2026-06-08"),
    ("what did I say from Monday to Wednesday", "2026-06-01..2026-06-04"),
    ("what did I say between Monday and yesterday", "2026-06-08..2026-06-10"),
    ("what did I say from December to February", "2025-12-01..2026-03-01"),
    ("what did I say from May to July 2025", "2025-05-01..2025-08-01"),
    ("what did I say from 3 June to 7 June 2025", "2025-06-03..2025-06-08"),
    ("what did I say June 3-7", "2026-06-03..2026-06-08"),
    ("what did I say 3–7 June", "2026-06-03..2026-06-08"),
    ("What did I say on 3 June?", "2026-06-03"),
    ("What did I say on 3 July?", "2025-07-03"),
    ("What did I say on the 3rd of June?", "2026-06-03"),
    ("What did I say on June 3rd?", "2026-06-03"),
    ("What did I say on 3 June 2025?", "2025-06-03"),
    ("What did I say on June 3, 2025?", "2025-06-03"),
    ("What did I say on 3 May?", "2026-05-03"),
    ("what did i say on may 3", "2026-05-03"),
    ("what did i say on march 3rd", "2026-03-03"),
    ("What did I say on 29 February?", "2024-02-29"),
    ("What did I say on the 3rd?", "2026-06-03"),
    ("What did I say on the 12th?", "2026-05-12"),
    ("What did I say on the 31st?", "2026-05-31"),
    ("What did I say the week of 3 June?", "2026-06-01..2026-06-08"),
    ("What did I say on 2026-06-03?", "2026-06-03"),
    ("What did I say on 13/5/2026?", "2026-05-13"),
    ("What did I say on 5/13/2026?", "2026-05-13"),
    ("What did I say on 5/5/2026?", "2026-05-05"),
    ("What did I say on 3.6.2026?", "2026-06-03"),
    ("What did I say 3 days ago?", "2026-06-07"),
    ("What did I say a week ago?", "2026-06-01..2026-06-08"),
    ("What did I say two weeks ago?", "2026-05-25..2026-06-01"),
    ("What did I say a couple of months ago?", "2026-04-01..2026-05-01"),
    ("What did I say 2 years ago?", "2024-01-01..2025-01-01"),
    ("What did I say in the last 10 days?", "2026-05-31..2026-06-11"),
    ("What did I say in the past two weeks?", "2026-05-27..2026-06-11"),
    ("What did I say over the last few days?", "2026-06-03..2026-06-11"),
    ("What did I say in the past month?", "2026-05-10..2026-06-11"),
    ("Show me yesterday's notes", "2026-06-09"),
    ("Do you remember what I said on Friday?", "2026-06-05"),
    ("Where is the photo I sent on Friday?", "2026-06-05"),
    ("Where is the photo of yesterday?", "2026-06-09"),
    ("Do I have notes from Monday?", "2026-06-08"),
    ("Do I have notes from this week?", "2026-06-08..2026-06-15"),
    ("What is new since Monday?", "2026-06-08.."),
    ("what did I say since the 3rd of June", "2026-06-03.."),
    ("what did i say on may 3 about rent", "2026-05-03"),
    ("what did i say march 3rd about rent", "2026-03-03"),
    ("what did i say the 3rd of may about rent", "2026-05-03"),
    ("What did I say 7-3 June?", "2026-06-03"),
    ("What did I say from 29 February to 3 March 2024?", "2024-02-29..2024-03-04"),
]
OTHER_LANGUAGES = [
    ("¿Qué te dije ayer?", "2026-06-09"),
    ("¿Qué te dije anteayer?", "2026-06-08"),
    ("que te dije antes de ayer", "2026-06-08"),
    ("¿Qué dije la semana pasada sobre el piso?", "2026-06-01..2026-06-08"),
    ("¿Qué pasó el mes pasado?", "2026-05-01..2026-06-01"),
    ("¿Qué pasó el año pasado?", "2025-01-01..2026-01-01"),
    ("¿Qué dije hace 3 días?", "2026-06-07"),
    ("¿Qué dije hace dos semanas?", "2026-05-25..2026-06-01"),
    ("¿Qué dije en los últimos 10 días?", "2026-05-31..2026-06-11"),
    ("¿Qué dije en mayo?", "2026-05-01..2026-06-01"),
    ("¿Qué dije en mayo de 2025?", "2025-05-01..2025-06-01"),
    ("¿Qué dije el 3 de junio?", "2026-06-03"),
    ("¿Qué dije del 3 al 7 de junio?", "2026-06-03..2026-06-08"),
    ("¿Qué dije entre el 3 y el 7 de junio?", "2026-06-03..2026-06-08"),
    ("¿Qué dije el lunes pasado?", "2026-06-08"),
    ("¿Qué dije el lunes?", "2026-06-08"),
    ("¿Qué he dicho desde el lunes?", "2026-06-08.."),
    ("o que eu disse ontem?", "2026-06-09"),
    ("O que eu disse na semana passada?", "2026-06-01..2026-06-08"),
    ("o que aconteceu há 3 dias", "2026-06-07"),
    ("o que eu disse 2 semanas atrás", "2026-05-25..2026-06-01"),
    ("O que eu disse em março?", "2026-03-01..2026-04-01"),
    ("O que eu disse na segunda-feira passada?", "2026-06-08"),
    ("Was habe ich gestern gesagt?", "2026-06-09"),
    ("Was habe ich vorgestern gesagt?", "2026-06-08"),
    ("Was habe ich letzte Woche über die Wohnung gesagt?", "2026-06-01..2026-06-08"),
    ("Was habe ich vor drei Tagen gesagt?", "2026-06-07"),
    ("Was habe ich im Mai gesagt?", "2026-05-01..2026-06-01"),
    ("Was habe ich am 3. Juni gesagt?", "2026-06-03"),
    ("Was habe ich am Montag gesagt?", "2026-06-08"),
    ("Was habe ich seit Montag gesagt?", "2026-06-08.."),
    ("Was habe ich von Montag bis Mittwoch gesagt?", "2026-06-01..2026-06-04"),
    ("Qu'est-ce que j'ai dit hier ?", "2026-06-09"),
    ("Qu'est-ce que j'ai dit avant-hier ?", "2026-06-08"),
    ("Qu'est-ce que j'ai dit la semaine dernière ?", "2026-06-01..2026-06-08"),
    ("Qu'est-ce que j'ai dit il y a 3 jours ?", "2026-06-07"),
    ("Qu'est-ce que j'ai dit lundi dernier ?", "2026-06-08"),
    ("Qu'est-ce que j'ai dit en mars ?", "2026-03-01..2026-04-01"),
    ("Qu'est-ce que j'ai dit le 3 juin 2025 ?", "2025-06-03"),
    ("Qu'est-ce que j'ai dit depuis lundi ?", "2026-06-08.."),
    ("मैंने कल क्या कहा था?", "2026-06-09"),
    ("आज मैंने क्या कहा?", "2026-06-10"),
    ("पिछले हफ्ते मैंने क्या कहा था?", "2026-06-01..2026-06-08"),
    ("पिछले हफ़्ते मैंने क्या कहा था?", "2026-06-01..2026-06-08"),
    ("3 दिन पहले मैंने क्या कहा?", "2026-06-07"),
    ("सोमवार को मैंने क्या कहा था?", "2026-06-08"),
    ("kal maine kya kaha tha", "2026-06-09"),
    ("do din pehle maine kya kaha", "2026-06-08"),
]


@pytest.mark.parametrize(("text", "said"), ENGLISH + OTHER_LANGUAGES)
def test_a_phrase_about_the_past_says_its_days(text: str, said: str) -> None:
    phrase = find(text)
    assert phrase.days == days(said)
    assert phrase.looks_back


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What do I have on Friday?", "2026-06-12"),
        ("Is it closed on Monday?", "2026-06-15"),
        ("What am I doing on Wednesday?", "2026-06-17"),
        ("What do I have to do today?", "2026-06-10"),
        ("What should I buy tomorrow?", "2026-06-11"),
        ("What is planned for the day after tomorrow?", "2026-06-12"),
        ("What is on next week?", "2026-06-15..2026-06-22"),
        ("What is on this week?", "2026-06-08..2026-06-15"),
        ("What do I have next Friday?", "2026-06-12"),
        ("What is happening next month?", "2026-07-01..2026-08-01"),
        ("Where will I be next year?", "2027-01-01..2028-01-01"),
        ("What is on next June?", "2027-06-01..2027-07-01"),
        ("What is on next July?", "2026-07-01..2026-08-01"),
        ("When is the wedding in May?", "2027-05-01..2027-06-01"),
        ("When is the wedding in June?", "2026-06-01..2026-07-01"),
        ("Whose birthday is on 14 March?", "2027-03-14"),
        ("What do I have on the 3rd?", "2026-07-03"),
        ("what are we doing at the weekend?", "2026-06-13..2026-06-15"),
        ("what must I do before Friday", "..2026-06-12"),
        ("¿Qué tengo mañana?", "2026-06-11"),
        ("¿Qué tengo el lunes?", "2026-06-15"),
        ("Was muss ich morgen machen?", "2026-06-11"),
        ("O que tenho amanhã?", "2026-06-11"),
        ("Qu'est-ce que je dois faire demain ?", "2026-06-11"),
        ("kal mujhe kya karna hai", "2026-06-11"),
    ],
)
def test_a_phrase_about_what_is_to_come_does_not_look_back(text: str, said: str) -> None:
    phrase = find(text)
    assert phrase.days == days(said)
    assert not phrase.looks_back


@pytest.mark.parametrize(
    "text",
    [
        "May I see the photo?",
        "what may happen",
        "this may be wrong",
        "all 3 may come",
        "May 3 people come?",
        "May 3 friends come?",
        "when was the last march",
        "what did I say a few days ago",
        "did I meet June 3:30 at the station",
        "may 3rd parties see it",
        "march on",
        "who is the best player",
        "the March on Washington",
        "where does the march begin",
        "the last march I joined",
        "I sat in the sun",
        "one second",
        "the second of the two",
        "mon ami",
        "what did I say to Wed Ltd",
        "what did June say",
        "April told me",
        "what did August cook",
        "Black Friday deals",
        "what did I say about Monday",
        "the Friday meeting",
        "every Monday",
        "on Mondays",
        "room 2025",
        "I paid 2025 euros",
        "my essay in 2000 words",
        "call me at 3",
        "24/7 support",
        "3/6/2026",
        "2026-13-45",
        "31 June",
        "on the 3rd floor",
        "9999 years ago",
        "an hour ago",
        "in 2 days",
        "one day",
        "from now on",
        "from 5 to 7",
        "between you and me",
        "+12025550123",
        "What did I say about yesterday's meeting?",
        "how many games had she won by July 10, 2022",
        "Was ist hier passiert?",
        "guten Morgen",
        "life in Mars",
        "confio em Marco",
        "por la mañana",
        "el lunes",
        "कल",
        "",
        "👍",
        "明天",
    ],
)
def test_ordinary_words_are_not_taken_for_times(text: str) -> None:
    assert find_time_phrase(text, today=TODAY) is None


@pytest.mark.parametrize(
    ("text", "phrase", "rest"),
    [
        ("what did I say about the landlord last week", "last week", "what did I say about the landlord"),
        ("What did I say last week about the landlord?", "last week", "What did I say about the landlord?"),
        ("Yesterday, what did I say?", "Yesterday", "what did I say?"),
        ("What did I say yesterday?", "yesterday", "What did I say?"),
        ("notes from last week", "from last week", "notes"),
        ("Show me yesterday's notes", "yesterday's", "Show me notes"),
        (
            "What did I note between 3 and 7 June about Ana?",
            "between 3 and 7 June",
            "What did I note about Ana?",
        ),
        ("¿Qué dije la semana pasada sobre el piso?", "la semana pasada", "¿Qué dije sobre el piso?"),
        ("yesterday", "yesterday", ""),
        ("What was I accepted for on 23 May?", "on 23 May", "What was I accepted for?"),
        ("what did I spend from May onwards on food", "from May onwards", "what did I spend on food"),
        ("what did I spend from May on", "from May on", "what did I spend"),
        ("what did I spend from May on food", "from May", "what did I spend on food"),
    ],
)
def test_the_rest_is_the_text_without_the_phrase(text: str, phrase: str, rest: str) -> None:
    found = find(text)
    assert (found.text, found.rest) == (phrase, rest)


def test_decomposed_letters_are_understood() -> None:
    assert find("¿Qué dije en los u\u0301ltimos 10 di\u0301as?").days == days("2026-05-31..2026-06-11")


@pytest.mark.parametrize(
    ("today", "text", "said"),
    [
        ("2026-01-01", "what did I say yesterday", "2025-12-31"),
        ("2026-01-01", "what did I say last month", "2025-12-01..2026-01-01"),
        ("2026-01-01", "what did I say last week", "2025-12-22..2025-12-29"),
        ("2026-03-31", "what did I say in the past month", "2026-02-28..2026-04-01"),
        ("2026-06-08", "what did I say last weekend", "2026-06-06..2026-06-08"),
        ("2026-06-14", "what did I say last weekend", "2026-06-06..2026-06-08"),
        ("2026-06-14", "what did I do at the weekend", "2026-06-13..2026-06-15"),
        ("2026-06-08", "what did I say on Monday", "2026-06-01"),
        ("2026-06-09", "what did I say from Monday to Wednesday", "2026-06-01..2026-06-04"),
        ("2026-03-01", "what did I say on the 30th", "2026-01-30"),
    ],
)
def test_borders_of_weeks_months_and_years_are_kept(today: str, text: str, said: str) -> None:
    assert find(text, today=date.fromisoformat(today)).days == days(said)


def test_days_before_the_calendar_begins_are_no_days() -> None:
    assert find_time_phrase("what did I say yesterday", today=date.min) is None


WORDS = """
what did I say on in since before until between and from to the last next 3 31 7th of June may March 2025
Monday fri week days ago two few weekend yesterday 's ' . ? ayer el hace vor im Mai कल दिन पहले 10000 é 0 99 by
year month May
"""


@settings(max_examples=500, print_blob=True)
@given(text=st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join), today=st.dates())
def test_any_jumble_of_words_gives_days_or_nothing(text: str, today: date) -> None:
    phrase = find_time_phrase(text, today=today)
    if phrase is not None:
        assert phrase.text
        assert phrase.text in text
        assert len(phrase.rest) < len(text)
        if not phrase.looks_back:
            assert phrase.days.end is None or phrase.days.end > today


@settings(max_examples=300, print_blob=True)
@given(text=st.text(max_size=60))
def test_any_text_is_read_without_error(text: str) -> None:
    find_time_phrase(text, today=TODAY)
