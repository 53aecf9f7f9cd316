import time

import pytest
import regex
from hypothesis import assume, example, given
from hypothesis import strategies as st

from messaging.parts import GRAPHEME, MARK, MAX_UNITS, split_into_parts

FAMILY = "👩‍👩‍👧‍👦"
FLAG = "🇩🇪"
STARTS_WITH_MARK = regex.compile(MARK)

# What makes cutting hard: white space and full stops of every kind, marks, joiners, flags, conjuncts, lone
# surrogates.
PLAIN = [*"aB.!?…。،।'\")*éß각한𝒳", "word ", "Yes. ", "e.g. ", "3.5", "今日。", "\x00", "\ud83d"]
SPACES = [" ", "  ", "\n", "\n\n", "\r\n", "\r\n\r\n", "\t", "\u00a0", "\u3000", "\u200b"]
CLUSTERS = ["\u0301", "\ufe0f", "\U0001f3fd", "\u200d", "\u0600", "👋🏽", FAMILY, FLAG, "🇩", "क्षि", "กำ"]
fragments = st.sampled_from(PLAIN + SPACES + CLUSTERS)
texts = st.one_of(st.lists(fragments, max_size=80).map("".join), st.text(max_size=80))


def count_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def without_white_space(text: str) -> str:
    return "".join(text.split())


def count_visible_graphemes(text: str) -> int:
    return sum(not grapheme.isspace() for grapheme in regex.findall(r"\X", text))


@given(text=texts, limit=st.integers(2, 60))
@example(text="\u0301" * 40, limit=7)
def test_nothing_but_white_space_is_lost_and_every_part_fits(text: str, limit: int) -> None:
    parts = split_into_parts(text, limit=limit)

    assert without_white_space("".join(parts)) == without_white_space(text)
    assert all(part and not part.isspace() for part in parts)
    assert all(count_units(part) <= limit for part in parts)


@given(text=texts, limit=st.integers(2, 60))
@example(text=f"{FLAG * 9}🇩", limit=6)
def test_no_grapheme_is_torn(text: str, limit: int) -> None:
    assume(all(count_units(grapheme) <= limit for grapheme in GRAPHEME.findall(text)))

    parts = split_into_parts(text, limit=limit)

    assert not [part for part in parts[1:] if STARTS_WITH_MARK.match(part)]
    assert sum(map(count_visible_graphemes, parts)) == count_visible_graphemes(text)


@given(text=texts)
def test_our_graphemes_end_where_unicode_says_they_may(text: str) -> None:
    def get_ends(pattern: regex.Pattern[str]) -> set[int]:
        return {match.end() for match in pattern.finditer(text)}

    assert get_ends(GRAPHEME) <= get_ends(regex.compile(r"\X"))


@pytest.mark.parametrize("text", ["", " ", "\n\n \t\u3000"])
def test_blank_text_gives_no_part(text: str) -> None:
    assert split_into_parts(text) == []


def test_a_text_that_fits_is_one_part_without_outer_white_space() -> None:
    assert split_into_parts("  You told me:\n\n1. Milk \n") == ["You told me:\n\n1. Milk"]


def test_a_part_of_the_default_size_leaves_a_reserve_below_twilios_1600() -> None:
    assert list(map(count_units, split_into_parts("😀" * 1000))) == [MAX_UNITS, 500]


def test_a_paragraph_is_the_best_place_to_cut() -> None:
    text = "One. Two three.\n\nFour\nfive. Six seven eight"
    assert split_into_parts(text, limit=27) == ["One. Two three.", "Four\nfive. Six seven eight"]


def test_a_line_is_better_than_a_sentence() -> None:
    assert split_into_parts("11. A first thing\n12. Another. And more", limit=32) == [
        "11. A first thing",
        "12. Another. And more",
    ]


def test_a_sentence_is_better_than_a_word() -> None:
    text = "We meet at 3.5 or so. They, i.e. some, will go"
    assert split_into_parts(text, limit=36) == ["We meet at 3.5 or so.", "They, i.e. some, will go"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("今日は晴れです。明日は雨かもしれません", "今日は晴れです。"),
        ("「もう帰る。」と彼は言いましたそうです", "「もう帰る。」"),
        ("मैं घर जाता हूँ। वह यहाँ आती है", "मैं घर जाता हूँ।"),
        ("هل أنت هنا الآن؟ نعم أنا هنا", "هل أنت هنا الآن؟"),
        ('He said "Wait!" He is out', 'He said "Wait!"'),
        ("Really?! We do know that", "Really?!"),
    ],
)
def test_sentences_end_in_every_script(text: str, first: str) -> None:
    parts = split_into_parts(text, limit=len(first) + 6)
    assert parts[0] == first


def test_an_early_full_stop_does_not_make_a_tiny_part() -> None:
    assert split_into_parts("No. This one goes on and on", limit=20) == ["No. This one goes on", "and on"]


def test_a_long_address_starts_a_part_of_its_own() -> None:
    address = "https://example.com/" + "a" * 30
    assert split_into_parts(f"See {address} now", limit=52) == ["See", address, "now"]


def test_a_no_break_space_holds_its_words_together() -> None:
    assert split_into_parts("The fee is 20\u00a0EUR now", limit=16) == ["The fee is", "20\u00a0EUR now"]


def test_a_mark_alone_on_a_line_does_not_start_a_part() -> None:
    assert split_into_parts("Some words\n\u0301more", limit=12) == ["Some words", "\n\u0301more"]


def test_a_run_without_borders_is_cut_between_graphemes() -> None:
    parts = split_into_parts(FAMILY * 3, limit=count_units(FAMILY) + 1)
    assert parts == [FAMILY] * 3


def test_a_grapheme_longer_than_a_part_still_goes_out() -> None:
    zalgo = "a" + "\u0301" * 5000
    parts = split_into_parts(zalgo)
    assert "".join(parts) == zalgo
    assert max(map(count_units, parts)) <= MAX_UNITS


def test_a_part_needs_room_for_one_character() -> None:
    with pytest.raises(ValueError, match="two UTF-16 units"):
        split_into_parts("ab", limit=1)


@pytest.mark.parametrize("unit", [FLAG, "!", "! ", "\n ", "\n\u0301", "a\u0301", "word. ", "今。", "…)"])
def test_a_hundred_thousand_characters_take_no_quadratic_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    started = time.thread_time()
    parts = split_into_parts(text)
    assert time.thread_time() - started < 2
    assert without_white_space("".join(parts)) == without_white_space(text)
