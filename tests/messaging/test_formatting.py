"""Markdown as a language model writes it, and what WhatsApp is given for it."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messaging.formatting import LONGEST, to_whatsapp

SHOWN = [
    # marks
    ("**bold** and __bold__", "*bold* and *bold*"),
    ("*it* and _it_", "_it_ and _it_"),
    ("***both***", "_*both*_"),
    ("~~gone~~", "~gone~"),
    ("**Note:** milk", "*Note:* milk"),
    ("**a **b** c**", "*a b c*"),
    ("**two\nlines**", "*two*\n*lines*"),
    ("first\n**second**", "first\n*second*"),
    ("`x` and ``a ` b``", "`x` and a ` b"),
    ("שלום **עולם** 🌍", "שלום *עולם* 🌍"),
    ("这是**重点**内容", "这是重点内容"),
    # blocks
    ("# Title", "*Title*"),
    ("### **Title** of _it_\ntext", "*Title of _it_*\ntext"),
    ("Things:\n- a\n* b", "Things:\n• a\n• b"),
    ("- a\n  - b\n    - c\n- d", "• a\n  • b\n    • c\n• d"),
    ("1. one\n2. two\n   - inner", "1. one\n2. two\n   - inner".replace("   - ", "  • ")),
    ("3) three\n4) four", "3) three\n4) four"),
    ("- a\n\n- b", "• a\n• b"),
    ("- [x] done", "• [x] done"),
    ("```python\nx = '**a**'\n```", "```x = '**a**'```"),
    ("    indented()", "```indented()```"),
    ("``` kept words here\n```", "```kept words here```"),
    ("> one\n> two", "> one\n> two"),
    ("> one\n>> two", "> one\n> two"),
    ("|a|**b**|\n|-|-|\n|1|2|\n|3|", "*a · b*\n1 · 2\n3"),
    ("|a|b|\n|-|-|\n|1|2|3 more|\n|x\\|y||z|", "*a · b*\n1 · 2 · 3 more\nx|y ·  · z"),
    ("```hello\nworld```", "```hello\nworld```"),
    ("a\u2028b\n\nc\n\nd", "a\u2028b\n\nc\n\nd"),
    ("above\n\n---\nbelow", "above\n\nbelow"),
    ("above\n***\nbelow", "above\n\nbelow"),
    ("a\n\n\n\nb", "a\n\nb"),
    # links and pictures
    ("[the map](https://e.org/m)", "the map (https://e.org/m)"),
    ("[https://e.org](https://e.org)", "https://e.org"),
    ("[](https://e.org)", "https://e.org"),
    ("<https://e.org/a_b> <me@e.org>", "https://e.org/a_b me@e.org"),
    ("![a cat](https://e.org/c.png)", "a cat"),
    ("see **https://e.org/__init__.py**.", "see *https://e.org/__init__.py*."),
    # HTML is text, entities are what they stand for
    ("<b>hi</b> <script>x</script>", "<b>hi</b> <script>x</script>"),
    ("<div>\nwords\n</div>", "<div>\nwords\n</div>"),
    ("first\n\n<div>\nwords\n</div>", "first\n\n<div>\nwords\n</div>"),
    ("first\n\n[note]: https://e.org", "first\n\n[note]: https://e.org"),
    ("bread &amp; butter &lt;3", "bread & butter <3"),
    (r"5 \* 3", "5 * 3"),
]
UNCHANGED = (
    *(
        "2*3*4",
        "2**3**4",
        "1 * 2 * 3",
        "snake_case_name",
        "a__b__c",
        "#7 is the one",
        "[#7]",
        "see [#7] and [#8]",
    ),
    *(
        "https://e.org/a_b_c?q=*x*&r=__y__",
        "line\nline",
        "para\n\npara",
        "👍🏽 ok",
        "مرحبا بالعالم",
        "*",
        "1.",
        "-",
        "---",
    ),
    *(
        "+ 5 apples",
        "[note]: https://e.org 'words'",
        "a ~ b",
        "x < y > z",
        "Title\n=====",
        "Title\n-----x",
        "5 > 3",
        "",
        "• a",
    ),
    "C:\\Users\\me and ☎ +1 202 555 0142",
)


@pytest.mark.parametrize(("markdown", "shown"), SHOWN)
def test_markdown_becomes_whatsapp_formatting(markdown: str, shown: str) -> None:
    assert to_whatsapp(markdown) == shown


@pytest.mark.parametrize("text", UNCHANGED)
def test_what_is_no_markdown_stays_as_it_is(text: str) -> None:
    assert to_whatsapp(text) == text


def test_one_star_is_taken_for_emphasis_as_markdown_has_it() -> None:
    assert to_whatsapp("*bold in WhatsApp*") == "_bold in WhatsApp_"


HOSTILE = (
    "*",
    "[",
    ">",
    "_",
    "`",
    "~~",
    "**a ",
    "*a _b ",
    "![",
    "[a](",
    "<",
    "|",
    "&",
    "a\n> ",
    "1. ",
    "- ",
    " - ",
)


@pytest.mark.parametrize("piece", [*HOSTILE, "|a\n|-\n", "- a\n  ", "> - ", "://", "a* ", "\\", "\x00", "\r"])
def test_hostile_repetitions_come_out_about_as_long_as_they_went_in(piece: str) -> None:
    text = piece * 10_000 + " word"
    shown = to_whatsapp(text)
    assert "word" in shown
    assert len(shown) <= 2 * len(text)


def test_a_table_with_more_cells_than_were_written_does_not_grow() -> None:
    text = "|" + "h|" * 3000 + "\n|" + "-|" * 3000 + "\n" + "|a\n" * 3000
    assert len(to_whatsapp(text)) <= 2 * len(text)


def test_a_text_that_is_no_chat_message_stays_as_it_is() -> None:
    text = "**a** " * LONGEST
    assert to_whatsapp(text) == text.strip()


def test_what_is_nested_deeper_than_the_parser_follows_keeps_its_words() -> None:
    assert to_whatsapp(">" * 200 + " deep") == ">" * 200 + " deep"
    assert "deep" in to_whatsapp("\n".join("  " * depth + "- deep" for depth in range(60)))


PIECES = st.sampled_from(
    [
        *"*_~`#>-+|[]()!<.:\n\t 1a",
        "**",
        "~~",
        "```",
        "\n\n",
        "    ",
        "\n- ",
        "\n1. ",
        "|-|-|\n",
        "://",
        "word",
        "שלום",
    ]
)


@given(
    st.lists(st.one_of(PIECES, st.text(st.characters(categories=("L", "N", "Zs")), max_size=5))).map("".join)
)
@example("**a**b")
@example("```py\n```")
@example("[a](b)")
def test_every_word_of_a_plain_text_survives(text: str) -> None:
    shown = to_whatsapp(text)
    # Where a mark stood between them, words may have become one; the name of a code block's language is not shown.
    letters = "".join(re.findall(r"[^\W_]", re.sub(r"(?m)```[ \t]*[\w.+#-]*", "", text)))
    assert is_within(letters, "".join(re.findall(r"[^\W_]", shown)))
    assert shown or not letters


@given(st.lists(st.from_regex(r"\w{1,12}", fullmatch=True)))
def test_words_alone_come_out_as_they_went_in(words: list[str]) -> None:
    assert re.findall(r"\w+", to_whatsapp(" ".join(words))) == words


def is_within(letters: str, shown: str) -> bool:
    """Whether the letters are all there, in their order."""
    rest = iter(shown)
    return all(letter in rest for letter in letters)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("![", "](u)"), ("[", "](u)"), ("**a ", " a**"), ("*a _b ", " b_ a*"), ("> - ", "")],
)
def test_what_is_nested_without_end_neither_fails_nor_loses_words(opening: str, closing: str) -> None:
    assert "word" in to_whatsapp(opening * 2000 + "word" + closing * 2000)
