"""Questions a person has to answer with their own yes before anything is deleted for them."""

from collections.abc import Iterable
from datetime import timedelta

from messaging.answers import Answer, Turn
from messaging.command_types import Command
from messaging.content import Content
from messaging.erasure import erase_person
from messaging.forgetting import forget_and_tell, redact_in_time
from messaging.models import Interaction, OutboundMessage, PendingConfirmation, RawMessage

Kind = PendingConfirmation.Kind
VALID = timedelta(minutes=10)


def ask_to_confirm(
    *, raw_message_id: int, user_id: int, kind: PendingConfirmation.Kind, numbers: Iterable[int] = ()
) -> None:
    """Note what the turn named by ``raw_message_id`` asks the person to confirm, in place of any earlier question.

    Several questions of one turn about memories are one question. Safe to repeat.
    """
    turn = Interaction.objects.get(raw_message_id=raw_message_id)
    asked = PendingConfirmation.objects.filter(user_id=user_id, asked_in=turn, kind=kind).first()
    together = dict.fromkeys((*(asked.numbers if asked else ()), *numbers))
    PendingConfirmation.objects.filter(user_id=user_id).delete()
    PendingConfirmation.objects.create(user_id=user_id, kind=kind, numbers=[*together], asked_in=turn)


def lapse(*, user_id: int, except_asked_in: int | None) -> None:
    """Drop the question this person was asked, unless the turn with this id asked it: something else was said.

    Called when an answer is committed. What came in before the question could be read is no answer to it, so a question
    with such messages behind it is dropped as well.
    """
    asked = PendingConfirmation.objects.filter(user_id=user_id).first()
    if asked is None:
        return
    newer = RawMessage.objects.filter(user_id=user_id, id__gt=asked.asked_in.raw_message_id)
    if asked.asked_in_id != except_asked_in or newer.exists():
        asked.delete()


def find_confirmed(turn: Turn) -> Command | None:
    """What the person has just confirmed, or None.

    Only a yes of their own counts, typed within `VALID`; to erase everything it has to be the very next message.
    """
    asked = PendingConfirmation.objects.filter(user_id=turn.user.id).first()
    if asked is None or len(turn.contents) > 1 or not _confirms(turn.contents[0], asked):
        return None
    if asked.kind == Kind.EVERYTHING:
        return Command(run=lambda: _erase(turn))
    return Command(run=lambda: _forget(turn, asked))


def _confirms(content: Content, asked: PendingConfirmation) -> bool:
    from messaging.wording import is_yes  # brings tables of words that most messages do not need

    question = asked.asked_in
    if content.is_button or content.is_reaction or not is_yes(content.typed_words):
        return False
    if question.answered_at is None or content.received_at - question.raw_message.received_at > VALID:
        return False
    if content.replied_to_sid and not _quotes(content.replied_to_sid, question):
        return False
    between = RawMessage.objects.filter(
        user_id=asked.user_id, id__gt=question.raw_message_id, id__lt=content.raw_message_id
    )
    return asked.kind != Kind.EVERYTHING or not between.exists()


def _quotes(sid: str, answer: Interaction) -> bool:
    return OutboundMessage.objects.filter(interaction=answer, twilio_sid=sid).exists()


def _forget(turn: Turn, asked: PendingConfirmation) -> Answer:
    text = forget_and_tell(turn, asked.numbers)
    redact_in_time(interaction_ids=[asked.asked_in_id])  # the question quoted them
    asked.delete()
    return Answer(kind=Interaction.Kind.COMMAND, text=text)


def _erase(turn: Turn) -> Answer:
    erased = erase_person(user_id=turn.user.id, raw_message_id=turn.raw_message_id)
    text = (
        f"Everything is erased:\n{erased.describe()}\n"
        "The copies in the search index are being deleted now. What is left of you is this receipt, "
        "for a day; after that, nothing, unless you write to me again."
    )
    return Answer(kind=Interaction.Kind.COMMAND, text=text)
