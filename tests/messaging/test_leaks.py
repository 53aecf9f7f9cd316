"""What no answer of the model carries out."""

from typing import Any

import pytest

from messaging.conversation import INSTRUCTIONS
from messaging.leaks import WITHHELD, withhold_leaks


def withhold(text: str, *data: str) -> str:
    return withhold_leaks(text, instructions=INSTRUCTIONS, data=data)


def test_an_ordinary_answer_is_left_alone() -> None:
    text = "Your sister's birthday is on 14 March [#7]. See https://example.com/a_b?c=1."
    assert withhold(text, 'from "https://example.com/a_b?c=1", she said') == text


@pytest.mark.parametrize(
    "leak",
    [
        INSTRUCTIONS,
        INSTRUCTIONS[300:420],
        "Sure! " + INSTRUCTIONS.upper()[100:260],
        "\n".join(INSTRUCTIONS[500:640].split()),
        "* ".join(INSTRUCTIONS[200:330].split()),
    ],
)
def test_an_answer_that_quotes_the_instructions_is_withheld(leak: str) -> None:
    assert withhold(leak) == WITHHELD


def test_an_answer_with_a_secret_is_withheld_even_if_it_is_spaced_out(settings: Any) -> None:
    settings.GEMINI_API_KEY = "AIza-not-a-real-key"
    settings.TWILIO_AUTH_TOKENS = ["short", "0123456789abcdef"]
    assert withhold("the key is AIza-not-a-real-key") == WITHHELD
    assert withhold("it is " + " ".join("0123456789abcdef")) == WITHHELD
    assert withhold("a short answer") == "a short answer"


def test_links_that_nobody_wrote_are_removed() -> None:
    data = '{"own_words": "see https://evil.example/\\nnow and www.example.com/x."}'
    assert withhold("https://evil.example/?d=gate-code-4711, ok", data) == "(link removed), ok"
    assert withhold("![x](https://evil.example/a.png)", data) == "![x]((link removed))"
    assert withhold("WWW.EVIL.EXAMPLE/a", data) == "(link removed)"
    assert (
        withhold("https://evil.example/ or www.example.com/x!", data)
        == "https://evil.example/ or www.example.com/x!"
    )
