"""What counts as said before: a repeat stored twice is a nuisance, a new fact taken for a repeat is lost."""

from datetime import date

import pytest

from memories.sameness import identify_key, identify_words, say_the_same

MONDAY, TUESDAY = date(2025, 6, 2), date(2025, 6, 3)


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("My sister's birthday is on 14 March", "my sister's birthday is March 14!"),
        ("My sister's birthday is on 14 March", "My sister’s birthday: 14 March"),
        ("The wifi password is sunflower22", "wifi password sunflower22"),
        ("La contraseña es girasol", "contraseña: girasol"),
        ("Der Zug fährt um 8 Uhr ab", "Zug fährt um 8 Uhr ab"),
    ],
)
def test_the_same_in_nearly_the_same_words(text: str, again: str) -> None:
    assert say_the_same(text, said_on=MONDAY, other=again, other_said_on=TUESDAY)
    assert say_the_same(again, said_on=TUESDAY, other=text, other_said_on=MONDAY)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("My sister's birthday is on 14 March", "My sister's birthday is on 15 March"),
        ("My sister's birthday is on 14 March", "My brother's birthday is on 14 March"),
        ("Ana owes Bo 5 euros", "Bo owes Ana 5 euros"),
        ("Flight from Rome to Oslo", "Flight from Oslo to Rome"),
        ("I like tea", "I don't like tea"),
        ("I like tea", "I do not like tea"),
        ("I like coffee with sugar", "I like coffee without sugar"),
        ("The gate code is 4711", "The door code is 4711"),
        ("The rent goes up in June", "The rent goes down in June"),
        ("We met before lunch", "We met after lunch"),
        ("I lent Sam my bike", "Sam lent me his bike"),
        ("Level 3, row 4", "Level 4, row 3"),
        ("My sister is 14", "My sister was 41"),
        ("Call Ana", "Call Anabel"),
        ("The party is on Friday", "The partner is on Friday"),
        ("It is", "The"),
    ],
)
def test_another_thing_in_nearly_the_same_words(text: str, other: str) -> None:
    assert not say_the_same(text, said_on=MONDAY, other=other, other_said_on=MONDAY)


def test_today_is_another_day_tomorrow() -> None:
    text = "I ran five kilometres today"
    assert say_the_same(text, said_on=MONDAY, other=text, other_said_on=MONDAY)
    assert not say_the_same(text, said_on=MONDAY, other=text, other_said_on=TUESDAY)
    assert identify_words(text, said_on=MONDAY) != identify_words(text, said_on=TUESDAY)


def test_the_same_words_have_one_identity_whatever_their_case_and_marks() -> None:
    one = identify_words("The gate code is 4711", said_on=MONDAY)
    assert one == identify_words("the GATE code, is 4711.", said_on=TUESDAY)
    assert one != identify_words("The code is gate 4711", said_on=MONDAY)


def test_a_callers_key_is_no_text() -> None:
    assert identify_key("milk") != identify_words("milk", said_on=MONDAY)
    assert identify_key("a") != identify_key("b")
