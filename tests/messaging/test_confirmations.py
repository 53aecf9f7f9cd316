"""Nothing is deleted on a question before the person's own yes, and an old or foreign yes is none."""

from typing import Any

import pytest

from accounts.models import WhatsAppUser
from memories.models import Memory
from messaging.answers import Turn
from messaging.confirmations import ask_to_confirm, find_confirmed, lapse
from messaging.models import Interaction, OutboundMessage, PendingConfirmation
from tests.memories.sides import NOON, make_person
from tests.messaging.made import MINUTE, answer, make_turn, remember

pytestmark = pytest.mark.django_db
Kind = PendingConfirmation.Kind
KINDS = pytest.mark.parametrize("kind", list(Kind))


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody with three memories."""
    person = make_person()
    for text in ("One", "Two", "Three"):
        remember(person, text)
    return person


def ask(person: WhatsAppUser, kind: Kind, *numbers: int) -> Interaction:
    """The answer, given half an hour after noon, that asks to confirm."""
    asked_in = answer(person, "Forget it", "Shall I?", kind="command")
    ask_to_confirm(
        raw_message_id=asked_in.raw_message_id,
        user_id=person.id,
        kind=kind,
        numbers=numbers or ([1, 3] if kind == Kind.FORGET else []),
    )
    return asked_in


def say(person: WhatsAppUser, *texts: str, minutes: float = 31, **fields: str) -> Turn:
    return make_turn(person, *(texts or ("Yes",)), at=NOON + minutes * MINUTE, **fields)


def test_a_yes_forgets_what_was_asked_about(ana: WhatsAppUser) -> None:
    asked_in = ask(ana, Kind.FORGET)
    Memory.objects.get(number=3).delete()
    confirmed = find_confirmed(say(ana))
    assert confirmed is not None
    assert not confirmed.is_lookup
    assert Memory.objects.count() == 2, "nothing is done before the command is run"
    assert confirmed.run().text == (
        "Forgotten: #1 “One”\nI have no memory #3. Send /list to see the numbers."
    )
    assert [memory.number for memory in Memory.objects.all()] == [2]
    assert PendingConfirmation.objects.count() == 0
    asked_in.refresh_from_db()
    assert asked_in.answer == "[forgotten]", "the question quoted what is forgotten"


def test_a_yes_erases_everything(ana: WhatsAppUser) -> None:
    bo = make_person()
    remember(bo)
    ask(ana, Kind.EVERYTHING)
    confirmed = find_confirmed(say(ana))
    assert confirmed is not None
    receipt = confirmed.run().text
    assert receipt.startswith("Everything is erased:\n• 3 memories\n")
    assert [memory.user for memory in Memory.objects.all()] == [bo]
    assert PendingConfirmation.objects.count() == 0


@KINDS
@pytest.mark.parametrize("text", ["no", "yes please tell me about the gate", "Milk", "", "/yes"])
def test_another_word_confirms_nothing(ana: WhatsAppUser, kind: Kind, text: str) -> None:
    ask(ana, kind)
    assert find_confirmed(say(ana, text)) is None


@KINDS
@pytest.mark.parametrize(
    "fields",
    [
        {"Forwarded": "true"},
        {"NumMedia": "1", "MediaContentType0": "image/jpeg"},
        {"Latitude": "51.5", "Longitude": "-0.1"},
        {"MessageType": "reaction"},
        {"ButtonPayload": "yes"},
        {"OriginalRepliedMessageSid": "SM-of-another-message"},
    ],
)
def test_a_yes_that_is_not_typed_in_answer_confirms_nothing(
    ana: WhatsAppUser, kind: Kind, fields: dict[str, Any]
) -> None:
    ask(ana, kind)
    assert find_confirmed(say(ana, **fields)) is None


@KINDS
@pytest.mark.parametrize("texts", [("Milk", "Yes"), ("Yes", "Milk"), ("Yes", "Yes")])
def test_a_yes_among_other_messages_confirms_nothing(
    ana: WhatsAppUser, kind: Kind, texts: tuple[str, ...]
) -> None:
    ask(ana, kind)
    assert find_confirmed(say(ana, *texts)) is None


@KINDS
@pytest.mark.parametrize(("minutes", "counts"), [(30.1, True), (40, True), (40.1, False)])
def test_a_yes_counts_for_ten_minutes(ana: WhatsAppUser, kind: Kind, minutes: float, counts: bool) -> None:
    ask(ana, kind)
    assert (find_confirmed(say(ana, minutes=minutes)) is not None) == counts


@KINDS
def test_a_yes_from_before_the_question_could_be_read_is_none(ana: WhatsAppUser, kind: Kind) -> None:
    asked_in = ask(ana, kind)
    early = say(ana)
    lapse(user_id=ana.id, except_asked_in=asked_in.id)  # as when the question's answer is committed
    assert find_confirmed(early) is None
    assert PendingConfirmation.objects.count() == 0


@KINDS
def test_a_question_that_is_still_being_asked_is_not_confirmed(ana: WhatsAppUser, kind: Kind) -> None:
    asked_in = ask(ana, kind)
    Interaction.objects.filter(id=asked_in.id).update(answered_at=None)
    assert find_confirmed(say(ana)) is None


@KINDS
def test_a_yes_may_quote_the_question(ana: WhatsAppUser, kind: Kind) -> None:
    asked_in = ask(ana, kind)
    sid = OutboundMessage.objects.get(interaction=asked_in).twilio_sid
    assert find_confirmed(say(ana, OriginalRepliedMessageSid=str(sid))) is not None


@KINDS
def test_a_question_is_for_the_person_it_was_put_to(ana: WhatsAppUser, kind: Kind) -> None:
    ask(ana, kind)
    assert find_confirmed(say(make_person())) is None


def test_erasing_takes_the_very_next_message(ana: WhatsAppUser) -> None:
    for kind, counts in ((Kind.EVERYTHING, False), (Kind.FORGET, True)):
        ask(ana, kind)
        make_turn(ana, "👍", MessageType="reaction")  # gets no answer that would drop the question
        assert (find_confirmed(say(ana)) is not None) == counts
    ask(ana, Kind.EVERYTHING)
    say(make_person(), "Milk")
    assert find_confirmed(say(ana)) is not None


@KINDS
def test_any_other_answer_drops_the_question(ana: WhatsAppUser, kind: Kind) -> None:
    asked_in = ask(ana, kind)
    bo = make_person()
    say(bo, "Milk")
    lapse(user_id=bo.id, except_asked_in=None)
    lapse(user_id=ana.id, except_asked_in=asked_in.id)
    assert PendingConfirmation.objects.count() == 1
    lapse(user_id=ana.id, except_asked_in=answer(ana).id)
    assert PendingConfirmation.objects.count() == 0


def get_asked() -> list[dict[str, Any]]:
    return [{"kind": row.kind, "numbers": row.numbers} for row in PendingConfirmation.objects.all()]


def test_a_newer_question_replaces_an_older(ana: WhatsAppUser) -> None:
    ask(ana, Kind.EVERYTHING)
    ask(ana, Kind.FORGET, 2)
    assert get_asked() == [{"kind": "forget", "numbers": [2]}]
    ask(ana, Kind.FORGET, 3)
    assert get_asked() == [{"kind": "forget", "numbers": [3]}]
    ask(ana, Kind.EVERYTHING)
    assert get_asked() == [{"kind": "everything", "numbers": []}]


def test_questions_of_one_turn_are_one_question(ana: WhatsAppUser) -> None:
    asked_in = ask(ana, Kind.FORGET, 2)
    for number in (3, 2, 3):
        ask_to_confirm(
            raw_message_id=asked_in.raw_message_id, user_id=ana.id, kind=Kind.FORGET, numbers=[number]
        )
    assert get_asked() == [{"kind": "forget", "numbers": [2, 3]}]


def test_a_yes_to_nothing_is_no_command(ana: WhatsAppUser) -> None:
    assert find_confirmed(say(ana)) is None
