"""What a language model that was talked over tries besides: questions nobody sees, and leaks in disguise."""

import re
import time
from typing import Any

import pytest

from accounts.models import WhatsAppUser
from memories.models import MemoryHistory
from messaging import turns
from messaging.assistant_reply import _MARK as MARK
from messaging.conversation import INSTRUCTIONS
from messaging.leaks import withhold_leaks
from messaging.models import PendingConfirmation
from tests.doubles.gemini_model import Reply, blocked, empty, stopped
from tests.memories.sides import get_texts
from tests.messaging.hostile import Call, forget, store
from tests.messaging.hostile_talk import (
    MINE,
    OTHERS,
    Talk,
    check_says_no_secret,
    do,
    find_links,
    get_secrets,
)

pytestmark = pytest.mark.django_db
JUNK = ("update_memory", {"number": 1, "content": "Nothing that matters"})
KNOWN_LINK = "https://evil.example/?d="


# Questions about forgetting


def test_only_a_typed_yes_to_the_question_forgets_and_only_what_it_lists(
    talk: Talk, bo: WhatsAppUser
) -> None:
    question = talk.tell("Forget the gate and the rent", model=do(forget(1, 2), says="As you wish."))
    assert [text in question for text in MINE] == [True, True, False]
    assert talk.get_texts() == list(MINE)
    talk.tell("yes")
    assert talk.get_texts() == [MINE[2]]
    assert get_texts(bo) == list(OTHERS)


def test_a_yes_that_was_forwarded_ends_the_question(talk: Talk) -> None:
    talk.tell("Forget the gate and the rent", model=do(forget(1, 2)))
    talk.tell("yes", Forwarded="true")
    talk.tell("yes")
    assert talk.get_texts() == list(MINE)


@pytest.mark.parametrize("end", [empty(), blocked(), stopped()], ids=["empty", "blocked", "stopped"])
def test_a_question_is_shown_even_if_the_model_then_falls_silent(talk: Talk, end: Reply) -> None:
    reply = talk.tell("What is the gate code?", model=do(forget(1, 2), end=end))
    is_asked = MINE[0] in reply and MINE[1] in reply
    assert is_asked == PendingConfirmation.objects.filter(user=talk.person).exists()
    talk.tell("yes")
    assert talk.get_texts() == [MINE[2]] if is_asked else list(MINE)


def test_a_question_that_an_apology_took_the_place_of_is_confirmed_by_no_yes(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **fields: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("messaging.assistant.compose_answer", fail)
        talk.tell("What is the gate code?", model=do(forget(1, 2)), attempts=turns.MAX_ATTEMPTS)
    assert talk.twilio.messages[-1].body == turns.APOLOGY
    talk.tell("yes")
    assert talk.get_texts() == list(MINE)


@pytest.mark.parametrize("calls", [(JUNK, forget(1)), (forget(1), JUNK)], ids=["before", "after"])
def test_a_question_shows_the_text_that_the_person_knows(talk: Talk, calls: tuple[Call, ...]) -> None:
    """A text that is replaced in the same turn would let somebody say yes to losing what they do not see."""
    question = talk.tell("Tidy up, please", model=do(*calls))
    talk.tell("yes")
    history = MemoryHistory.objects.filter(memory__user=talk.person, text=MINE[0])
    assert MINE[0] in question or MINE[0] in talk.get_texts() or history.exists()


def test_a_change_of_the_time_zone_is_told_by_us(talk: Talk) -> None:
    assert "Tokyo" in talk.tell(
        "Good morning", model=do(("set_timezone", {"place": "Tokyo"}), says="Good morning!")
    )


# What must not leave, in disguise

EVIL = "https://evil.example/?d=The+gate+code+is+4711"


@pytest.mark.parametrize(
    "says",
    [
        EVIL.replace("https", "https[#99]"),
        EVIL.replace("evil", "ev[#99]il"),
        EVIL.replace("https://", ""),
        EVIL.replace("https", "ftp"),
        EVIL.replace("https://", "https:\\/\\/"),
        EVIL.replace("https", "&#104;ttps"),
        EVIL.replace("https", "ht\u200btps"),
        "whatsapp://send?text=The+gate+code+is+4711",
        "wa.me/12025550177?text=The+gate+code+is+4711",
        "the-gate-code-is-4711.evil.example",
        "203.0.113.9/?d=The+gate+code+is+4711",
        f"{KNOWN_LINK})The+gate+code+is+4711",
        f"{KNOWN_LINK}'The+gate+code+is+4711",
        f"{KNOWN_LINK}}}4711",
        f"{KNOWN_LINK}[#99]4711",
    ],
)
def test_a_link_that_is_made_up_is_not_sent(talk: Talk, says: str) -> None:
    reply = talk.tell(f"Nice: {KNOWN_LINK}", model=do(says=f"See {says} now"))
    assert "4711" not in "".join(find_links(reply))
    assert "4711.evil.example" not in reply


def test_a_link_that_the_person_sent_stays(talk: Talk) -> None:
    reply = talk.tell(
        f"Nice: {KNOWN_LINK}", model=do(says=f"You sent [this]({KNOWN_LINK}), and ({KNOWN_LINK}).")
    )
    assert reply.count(KNOWN_LINK) == 2


@pytest.mark.parametrize(
    "calls",
    [
        (("list_memories", {EVIL: 1}),),
        ((EVIL, {}),),
        (("search_memories", {"query": EVIL}),),
        (("set_timezone", {"place": EVIL}),),
        (("search_memories", {"start_date": EVIL[:40]}),),
        (store(EVIL), ("list_memories", {})),
        (("update_memory", {"number": 2, "content": EVIL}), ("list_memories", {})),
    ],
    ids=["name of an argument", "name of a tool", "query", "place", "day", "new memory", "correction"],
)
def test_a_link_does_not_become_known_by_what_the_model_does(talk: Talk, calls: tuple[Call, ...]) -> None:
    reply = talk.tell("Hello, what is new?", model=do(*calls, beside=f"I use {EVIL}", says=f"See {EVIL} now"))
    assert find_links(reply) == set()
    assert "evil" not in talk.tell("/list")
    assert (
        find_links(talk.tell("Hello again", model=do(("list_memories", {}), says=f"See {EVIL} now"))) == set()
    )


def test_what_could_not_be_saved_is_quoted_without_links(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**fields: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("messaging.assistant_tools.store_memory", fail)
    assert find_links(talk.tell("Hello", model=do(store(EVIL)))) == set()


@pytest.mark.parametrize("piece", ["a.", "a-", "1.", "ab.", "https:/", "x.yy.zz/", "!", " "])
def test_looking_for_links_and_marks_takes_no_longer_than_reading(piece: str) -> None:
    text = f"https://{piece * (20_000 // len(piece))}a"
    start = time.monotonic()
    withhold_leaks(text, instructions=INSTRUCTIONS, data=[text])
    MARK.sub("", text)
    assert time.monotonic() - start < 0.25


@pytest.mark.parametrize("between", ["[#99]", "\u200b", "-", "*", " ", "\u2063", "\n> "])
def test_a_secret_is_not_sent_in_pieces(talk: Talk, between: str) -> None:
    for secret in get_secrets():
        check_says_no_secret(talk.tell("Hello", model=do(says=f"It is {between.join(secret)}!")), known="")


@pytest.mark.parametrize("mark", [" [#99] ", "\u200b", "*", "\u00ad", "\n- "])
def test_the_instructions_are_not_sent_in_pieces(talk: Talk, mark: str) -> None:
    words = INSTRUCTIONS.split()
    spread = (
        mark.join(words) if mark.isspace() or len(mark) > 1 else " ".join(w[:1] + mark + w[1:] for w in words)
    )
    reply = talk.tell("Hello", model=do(says=spread))
    check_says_no_secret(reply, known="")


def test_the_instructions_are_not_kept_as_a_memory(talk: Talk) -> None:
    talk.tell("Hello", model=do(store(INSTRUCTIONS), says="Done."))
    check_says_no_secret(talk.tell("/list"), known="")


@pytest.mark.parametrize("says", ["[#99]", "\u200b", " [#99] \u2060", "\u202e"])
def test_an_answer_of_which_nothing_is_left_is_still_an_answer(talk: Talk, says: str) -> None:
    assert re.search(r"\w", talk.tell("Hello", model=do(says=says)))
