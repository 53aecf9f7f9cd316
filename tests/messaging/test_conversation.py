"""What the language model is told: everything people wrote as data, the newest talk within a budget."""

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import WhatsAppUser
from messaging.answers import Turn
from messaging.content import Attachment, Content, Place, read_content
from messaging.conversation import (
    CONTEXT_TOKENS,
    CONTEXT_TURNS,
    estimate_tokens,
    get_contents,
    get_system_instruction,
)
from messaging.models import Interaction, OutboundMessage, RawMessage

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 9, 15, 4, 30, tzinfo=UTC)


@pytest.fixture
def user() -> WhatsAppUser:
    """Somebody in Kolkata, where it is 10:00."""
    return WhatsAppUser.objects.create(
        whatsapp_id="whatsapp:+12025550123", timezone="Asia/Kolkata", timezone_source="chosen"
    )


def make_turn(user: WhatsAppUser, *contents: Content, **fields: Any) -> Turn:
    content = Content(raw_message_id=0, received_at=NOW, **fields)
    return Turn(user=user, contents=contents or (content,))


def get_messages(turn: Turn) -> list[dict[str, Any]]:
    """The messages of the turn itself, as the model reads them."""
    return [json.loads(part["text"])["message"] for part in get_contents(turn)[-1]["parts"]]


def add_turn(user: WhatsAppUser, *, ago: timedelta, said: str, answer: str, **fields: Any) -> RawMessage:
    raw = RawMessage.objects.create(
        message_sid="SM" + secrets.token_hex(16),
        user=user,
        from_address=user.whatsapp_id,
        to_address="whatsapp:+12025550199",
        body=said,
        payload={"Body": said} | fields,
        status="answered",
        received_at=NOW - ago,
    )
    turn = Interaction.objects.create(
        raw_message=raw, kind="saved", answer=answer, started_at=NOW - ago, answered_at=NOW - ago
    )
    RawMessage.objects.filter(id=raw.id).update(turn=turn)
    raw.turn = turn
    return raw


def test_the_model_knows_the_persons_day_time_and_zone(user: WhatsAppUser) -> None:
    told = get_system_instruction(make_turn(user))
    assert told.endswith("For the person it is now Tuesday 2026-09-15 10:00, time zone Asia/Kolkata.")
    user.timezone_source = "guessed"
    assert "Asia/Kolkata (guessed from their number)" in get_system_instruction(make_turn(user))


@pytest.mark.parametrize(
    ("fields", "described"),
    [
        ({"text": 'a "quoted" }]} text\n</x>'}, {"own_words": 'a "quoted" }]} text\n</x>'}),
        ({"text": "Yes", "is_button": True}, {"own_words": "Yes", "tapped_button": True}),
        ({"text": "FYI", "is_forwarded": True}, {"forwarded_text": "FYI"}),
        (
            {"text": "lunch", "attachments": (Attachment(content_type="image/jpeg", description="A menu"),)},
            {
                "caption": "lunch",
                "files": [
                    {
                        "kind": "picture",
                        "shows": "A menu",
                        "note": "has not arrived yet; it is saved when it does",
                    }
                ],
            },
        ),
        (
            {"attachments": (Attachment(content_type="text/vcard"),)},
            {"files": [{"kind": "contact card", "note": "has not arrived yet; it is saved when it does"}]},
        ),
        (
            {"attachments": (Attachment(content_type="image/jpeg", media_id=1),)},
            {"files": [{"kind": "picture", "note": "is kept, but nobody could look into it yet"}]},
        ),
        (
            {"attachments": (Attachment(content_type="image/jpeg", refusal="too_big"),)},
            {"files": [{"kind": "picture", "note": "could not be kept: too_big"}]},
        ),
        (
            {"attachments": (Attachment(content_type="audio/ogg", text="When do I fly?", media_id=1),)},
            {"spoken_words": "When do I fly?", "files": [{"kind": "voice note"}]},
        ),
        (
            {
                "attachments": (Attachment(content_type="audio/ogg", text="Forget it all", media_id=1),),
                "is_forwarded": True,
            },
            {"files": [{"kind": "voice note", "says": "Forget it all"}]},
        ),
        (
            {"place": Place(latitude="51.5", longitude="-0.1", label="Café", address="")},
            {"place": {"label": "Café", "latitude": "51.5", "longitude": "-0.1"}},
        ),
    ],
)
def test_a_message_is_data_whose_names_say_whose_words_they_are(
    user: WhatsAppUser, fields: dict[str, Any], described: dict[str, Any]
) -> None:
    (message,) = get_messages(make_turn(user, **fields))
    assert message.pop("sent") == "Tuesday 2026-09-15 10:00"
    assert message == described


def test_every_message_of_a_burst_is_a_part(user: WhatsAppUser) -> None:
    contents = [Content(raw_message_id=number, received_at=NOW, text=str(number)) for number in range(3)]
    assert [message["own_words"] for message in get_messages(make_turn(user, *contents))] == ["0", "1", "2"]


def test_a_very_long_message_is_cut_for_the_model(user: WhatsAppUser) -> None:
    (message,) = get_messages(make_turn(user, text="x" * 50_000))
    assert len(message["own_words"]) < 13_000
    assert message["own_words"].endswith("(cut)")


def test_what_was_said_lately_comes_first_in_its_order(user: WhatsAppUser) -> None:
    add_turn(user, ago=timedelta(days=4), said="long ago", answer="x")
    add_turn(user, ago=timedelta(hours=2), said="one", answer="answer one")
    add_turn(user, ago=timedelta(hours=1), said="two", answer="answer two")
    contents = get_contents(make_turn(user, text="three"))
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user"]
    said = [content["parts"][0]["text"] for content in contents]
    assert json.loads(said[0])["message"]["own_words"] == "one"
    assert said[1] == "answer one"
    assert json.loads(said[2])["message"]["own_words"] == "two"


def test_the_talk_before_is_kept_within_its_budget_however_long_it_was(user: WhatsAppUser) -> None:
    for number in range(40):
        add_turn(
            user,
            ago=timedelta(minutes=40 - number),
            said=f"{number} " + "слово " * 300,
            answer="ответ " * 300,
        )
    contents = get_contents(make_turn(user, text="now"))
    texts = [part["text"] for content in contents[:-1] for part in content["parts"]]
    assert 0 < sum(map(estimate_tokens, texts)) <= CONTEXT_TOKENS
    for number in range(40):
        add_turn(user, ago=timedelta(seconds=40 - number), said=str(number), answer="ok")
    contents = get_contents(make_turn(user, text="now"))
    assert len(contents) == 2 * CONTEXT_TURNS + 1
    assert json.loads(contents[-3]["parts"][0]["text"])["message"]["own_words"] == "39"


def test_what_was_forgotten_is_not_told_again(user: WhatsAppUser) -> None:
    raw = add_turn(user, ago=timedelta(hours=1), said="the code is 4711", answer="4711, noted")
    RawMessage.objects.filter(id=raw.id).update(body="", payload={}, redacted_at=NOW)
    assert len(get_contents(make_turn(user, text="the code?"))) == 1


def test_others_are_not_heard(user: WhatsAppUser) -> None:
    other = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550124")
    theirs = add_turn(other, ago=timedelta(hours=1), said="secret", answer="secret answer")
    outbound = OutboundMessage.objects.create(
        interaction=theirs.turn, user=other, part=1, to_address="a", from_address="b", body="secret",
        status="sent", twilio_sid="SM1",
    )  # fmt: skip
    for sid in (theirs.message_sid, outbound.twilio_sid):
        contents = get_contents(make_turn(user, text="what is this?", replied_to_sid=sid))
        assert len(contents) == 1
        assert "secret" not in str(contents)


def test_a_reply_carries_the_message_it_quotes_ours_or_their_own(user: WhatsAppUser) -> None:
    mine = add_turn(user, ago=timedelta(days=5), said="the plumber comes", answer="Noted.")
    outbound = OutboundMessage.objects.create(
        interaction=mine.turn, user=user, part=1, to_address="a", from_address="b", body="Noted.",
        status="sent", twilio_sid="SM1", created_at=NOW - timedelta(days=5),
    )  # fmt: skip
    (message,) = get_messages(make_turn(user, text="what is this?", replied_to_sid=outbound.twilio_sid))
    assert message["quotes"] == {"from": "you", "sent": "Thursday 2026-09-10 10:00", "text": "Noted."}
    (message,) = get_messages(make_turn(user, text="and this?", replied_to_sid=mine.message_sid))
    assert message["quotes"]["from"] == "the person"
    assert message["quotes"]["text"] == "the plumber comes"


def test_a_stored_message_is_read_whatever_kind_it_is(user: WhatsAppUser) -> None:
    raw = add_turn(
        user,
        ago=timedelta(0),
        said="",
        answer="x",
        ListTitle="Tomorrow",
        ListId="t1",
        Forwarded="false",
        NumMedia="many",
        OriginalRepliedMessageSid="SM2",
    )
    content = read_content(raw)
    assert (content.text, content.is_button, content.is_forwarded) == ("Tomorrow", True, False)
    assert content.attachments == ()
    assert content.replied_to_sid == "SM2"
    assert content.own_words == "Tomorrow"
