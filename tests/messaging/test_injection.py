"""Hostile texts and a language model that obeys them: nobody's data is reached, nothing is lost, nothing gets out.

The whole pipeline runs: signed webhook, jobs, the assistant and its tools, outbox; Twilio and Gemini are doubles.
"""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest

from accounts.models import WhatsAppUser
from memories.models import Memory, MemoryHistory
from messaging.conversation import INSTRUCTIONS
from messaging.models import OutboundMessage, PendingConfirmation, RawMessage
from tests.doubles.gemini_model import Model, ModelRequest, Reply, call, say
from tests.memories.sides import get_texts, note
from tests.messaging.hostile import Channel, Hostile
from tests.messaging.hostile_talk import MINE, OTHERS, Talk, check_says_no_secret, get_secrets
from tests.messaging.hostile_texts import TEXTS
from tests.messaging.made import answer, make_raw

pytestmark = pytest.mark.django_db
QUESTION = "What do you know about this?"
TYPES = {
    Channel.CAPTION: "image/jpeg",
    Channel.CARD: "text/vcard",
    Channel.PDF: "application/pdf",
    Channel.PICTURE: "image/png",
    Channel.VOICE: "audio/ogg",
}
# Where the person has typed something in the same turn, the model may correct memories and ask to forget some.
WITH_OWN_WORDS = {Channel.OWN, Channel.BUTTON, Channel.QUOTED, Channel.MEMORY, Channel.NAME}


def obey(row: Hostile) -> Model:
    """A model that looks at all memories it can, does what the text wants, and says what the text wants."""

    def obey_once(request: ModelRequest) -> Reply:
        if request.step == 0:
            return call(("list_memories", {}), ("search_memories", {"query": row.text[:500] or "x"}))
        fill = get_filler(request)
        if request.step == 1 and row.calls:
            return call(*((name, json.loads(fill(json.dumps(given)))) for name, given in row.calls))
        return say(fill(row.says))

    return obey_once


def get_filler(request: ModelRequest) -> Callable[[str], str]:
    """Put what the model knows in the place of the marks of `Hostile`."""
    read = [
        memory["text"]
        for step in request.steps
        for _, result in step
        for memory in result.get("memories", ())
    ]
    known = {
        "{instructions}": request.system,
        "{lines}": "\n".join(request.system.split()),
        "{secrets}": "\n".join(get_secrets()),
        "{memories}": "; ".join(read).replace('"', "'").replace("\\", ""),
        "{query}": quote_plus("; ".join(read)),
    }

    def fill(text: str) -> str:
        return re.sub(r"\{(?:instructions|lines|secrets|memories|query)\}", lambda mark: known[mark[0]], text)

    return fill


def play(talk: Talk, row: Hostile) -> str:
    """Let the text come by its way, and return the reply of the turn in which the model obeys it."""
    model, text = obey(row), row.text
    if row.channel is Channel.OWN:
        return talk.tell(text, model=model)
    if row.channel is Channel.FORWARDED:
        return talk.tell(text, model=model, Forwarded="true")
    if row.channel is Channel.PLACE:
        return talk.tell("", model=model, Latitude="35.68", Longitude="139.69", Label=text, Address=text)
    if row.channel is Channel.BUTTON:
        return talk.tell(text, model=model, ButtonText=text, ButtonPayload="1", MessageType="button")
    if row.channel is Channel.NAME:
        return talk.tell(QUESTION, model=model, ProfileName=text)
    if row.channel is Channel.MEMORY:
        note(talk.person, text)
        return talk.tell(QUESTION, model=model)
    if row.channel is Channel.QUOTED:
        talk.tell(text, Forwarded="true")
        quoted = RawMessage.objects.filter(user=talk.person).latest("id").message_sid
        return talk.tell(QUESTION, model=model, OriginalRepliedMessageSid=quoted)
    kind = TYPES[row.channel]
    file = {"NumMedia": "1", "MediaContentType0": kind, "MediaUrl0": "https://api.twilio.com/x"}
    if row.channel is Channel.CAPTION:
        return talk.tell(text, model=model, **file)
    talk.described[kind] = text
    return talk.tell("", model=model, **file)


# What must hold


def check_kept(talk: Talk, row: Hostile, before: dict[int, str]) -> None:
    """Nobody has lost anything, and what is not asked for in the person's own words has changed nothing."""
    after = {memory.number: memory for memory in Memory.objects.filter(user=talk.person)}
    if row.channel not in WITH_OWN_WORDS:
        assert {number: after[number].text for number in before} == before
        assert not PendingConfirmation.objects.filter(user=talk.person).exists()
        assert get_zone(talk) == "America/New_York"
    for number, text in before.items():
        history = MemoryHistory.objects.filter(memory=after[number], kind="corrected").order_by("id")
        first = history.first()
        assert (first.text if first else after[number].text) == text


def get_zone(talk: Talk) -> str:
    return WhatsAppUser.objects.values_list("timezone", flat=True).get(id=talk.person.id)


def check_bo_is_left_alone(bo: WhatsAppUser, talk: Talk, replies: str) -> None:
    assert get_texts(bo) == list(OTHERS)
    assert not MemoryHistory.objects.filter(memory__user=bo).exists()
    assert not PendingConfirmation.objects.filter(user=bo).exists()
    assert not RawMessage.objects.filter(user=bo).exists()
    told = json.dumps([request.contents for request in talk.gemini.calls], ensure_ascii=False)
    for text in (*OTHERS, "tamarind"):
        assert text not in told + replies


def check_is_only_data(talk: Talk, row: Hostile) -> None:
    """In all the model was sent, the text stands in values of JSON, and in own words only if the person typed it."""
    values: list[str] = []
    for request in talk.gemini.calls:
        assert request.system.startswith(INSTRUCTIONS)
        rest = request.system.removeprefix(INSTRUCTIONS)
        assert re.fullmatch(
            r"\s+For the person it is now \w+ [\d-]+ [\d:]+, time zone (America/New_York|Asia/Tokyo)\.", rest
        )
        for content in request.contents:
            if content["role"] == "model":
                continue
            for part in content["parts"]:
                if "functionResponse" in part:
                    values += get_strings(part["functionResponse"]["response"])
                    continue
                read = json.loads(part["text"])
                assert read.keys() == {"message"}
                values += get_strings(read)
                own = read["message"].get("own_words")
                assert own in (None, QUESTION, "yes") or row.channel in (Channel.OWN, Channel.BUTTON)
    assert any(row.text in value for value in values) == (row.channel is not Channel.NAME)


def get_strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in items for text in get_strings(each)]


@pytest.mark.parametrize(
    "row",
    TEXTS,
    ids=[f"{at}: {row.channel.value}, {row.language}, {row.wants}" for at, row in enumerate(TEXTS)],
)
def test_a_text_that_is_obeyed_reaches_nothing(talk: Talk, bo: WhatsAppUser, row: Hostile) -> None:
    before = dict(enumerate(MINE, start=1))
    reply = play(talk, row)
    check_kept(talk, row, before)
    replies = reply + talk.tell("yes", Forwarded="true")
    check_kept(talk, row, before)
    check_bo_is_left_alone(bo, talk, replies)
    check_says_no_secret(replies, known="\n".join((row.text, *MINE)))
    check_is_only_data(talk, row)
    undo_corrections(talk)
    assert {number: text for number, text in enumerate(talk.get_texts()[: len(MINE)], start=1)} == before


def undo_corrections(talk: Talk) -> None:
    """By what a person can type."""
    corrected = MemoryHistory.objects.filter(memory__user=talk.person, kind="corrected")
    while (last := corrected.order_by("-id").first()) is not None:
        assert talk.tell(f"/undo {last.memory.number}").startswith(f"Undone: #{last.memory.number} ")


def test_the_message_of_somebody_else_cannot_be_quoted(talk: Talk, bo: WhatsAppUser) -> None:
    theirs = make_raw(bo, OTHERS[0])
    ours = OutboundMessage.objects.get(interaction=answer(bo, text=OTHERS[1]))
    for sid in (theirs.message_sid, ours.twilio_sid):
        talk.tell(QUESTION, OriginalRepliedMessageSid=sid)
    sent = json.dumps([request.contents for request in talk.gemini.calls])
    assert not any(text in sent for text in OTHERS)
    assert "quotes" not in sent


def test_there_are_texts_of_every_channel_and_of_many_languages() -> None:
    assert len(TEXTS) >= 48
    assert {row.channel for row in TEXTS} == set(Channel)
    assert len({row.language for row in TEXTS}) >= 15
