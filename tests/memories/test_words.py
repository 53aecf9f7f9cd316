"""Words as they are indexed and looked for: case, accents, endings, codes, scripts without spaces."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memories.words import LONGEST, count_words, fold, split_words


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("I parked on level 3", "park"),
        ("Gärten", "garten"),
        ("Straße", "STRASSE"),
        ("my sister's birthday", "sister"),
        ("Ana’s keys", "ana"),
        ("l'école", "ecole"),
        ("le cœur à gauche", "À"),
        ("Ἀθῆναι", "αθηναι"),
        ("Ёлка", "елка"),
        ("שָׁלוֹם", "שלום"),
        ("Ｗｉ－Ｆｉ", "wi-fi"),
        ("我妹妹的生日是三月", "生日"),
        ("内祝いは来週です", "来週"),
        ("안녕하세요", "안녕"),
        ("รหัสประตูคือ", "ประตู"),
        ("जन्मदिन सोमवार को है", "जन्मदिन"),
        ("code X123456", "x123456"),
    ],
)
def test_what_was_said_is_found_by_what_is_asked(said: str, asked: str) -> None:
    assert count_words(asked).keys() <= count_words(said).keys()
    assert count_words(asked)


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("4711", "47110"),
        ("X123456", "X123457"),
        ("2025-06-03", "2025-06-04"),
        ("mint", "milk"),
        ("もも", "すもも"),
    ],
)
def test_what_differs_is_told_apart(said: str, other: str) -> None:
    assert count_words(said) != count_words(other)


def test_words_are_counted_with_their_repeats() -> None:
    assert count_words("Milk, milk and MILK") == Counter({"milk": 3, "and": 1})


def test_pictures_and_marks_are_no_words() -> None:
    assert count_words("👍 ... !? —") == Counter()


def test_a_number_longer_than_the_column_is_cut() -> None:
    assert list(count_words("1" * 500)) == ["1" * LONGEST]


@settings(max_examples=300, print_blob=True)
@given(text=st.text(max_size=120))
def test_every_text_has_words_that_fit_the_column_and_folding_twice_changes_nothing(text: str) -> None:
    assert all(0 < len(word) <= LONGEST for word in count_words(text))
    assert split_words(fold(text)) == split_words(text)
