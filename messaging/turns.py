"""One turn: a stored message becomes one committed answer, whatever happens on the way (design §3).

Nothing is done twice. What an attempt did before it was killed (a stored memory) is found again by the next one, and
the row lock in `commit_answer` lets exactly one worker finish a message, even if two believe it is theirs.
"""

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import WhatsAppUser
from memories.models import Citation, Memory
from messaging.answers import Answer, Turn
from messaging.commands import find_command
from messaging.delivery import queue_answer
from messaging.inbound import read_content
from messaging.models import Interaction, RawMessage
from messaging.recall import answer_from_memories
from whatsbot import database
from whatsbot.integrations import twilio

# Beginnings of a turn, the last of which apologises. A person's later messages wait meanwhile, so `RETRY_SECONDS`
# adds up to less than 30 s.
MAX_ATTEMPTS = 6
RETRY_SECONDS = (1, 2, 4, 8, 8)
APOLOGY = "Sorry, something went wrong on my side and I could not work with that message. Please send it again later."


def process_message(raw_message_id: int) -> None:
    """Answer one stored message; a message that is answered already is left alone.

    Raises whatever went wrong, to be tried again, until the last attempt, which commits an apology instead.
    """
    raw = RawMessage.objects.select_related("user").filter(id=raw_message_id).first()
    if raw is None or raw.status != RawMessage.Status.RECEIVED:
        return
    turn = Turn(raw_message_id=raw.id, user=raw.user, content=read_content(raw.payload), now=raw.received_at)
    if _wants_no_answer(raw, turn):
        RawMessage.objects.filter(id=raw.id).update(status=RawMessage.Status.IGNORED)
        return
    attempt = _begin_attempt(raw)
    if attempt == 1:
        _show_typing(raw)
    if attempt >= MAX_ATTEMPTS:
        commit_answer(raw, Answer(kind=Interaction.Kind.APOLOGY, text=APOLOGY))
        return
    try:
        if not _commit_command(raw, turn):
            commit_answer(raw, answer_from_memories(turn))
    except Exception as error:
        Interaction.objects.filter(raw_message=raw, answered_at=None).update(error=type(error).__name__)
        raise


def _wants_no_answer(raw: RawMessage, turn: Turn) -> bool:
    """Reactions, opt-outs (Twilio itself answers those, contracts §1) and messages of our own sender."""
    if turn.content.opt_out:
        opted_out = {"STOP": timezone.now(), "START": None}
        if turn.content.opt_out in opted_out:
            WhatsAppUser.objects.filter(id=raw.user_id).update(opted_out_at=opted_out[turn.content.opt_out])
        return True
    return turn.content.is_reaction or raw.from_address == settings.TWILIO_WHATSAPP_NUMBER


def _begin_attempt(raw: RawMessage) -> int:
    """Count this beginning before any work, so that a message which kills its worker is counted too."""
    interaction, _ = Interaction.objects.get_or_create(raw_message=raw)
    Interaction.objects.filter(id=interaction.id).update(attempts=F("attempts") + 1)
    return interaction.attempts + 1


def _show_typing(raw: RawMessage) -> None:
    database.release_connection()  # no connection is held while Twilio thinks
    twilio.send_typing_indicator(message_sid=raw.message_sid)


@transaction.atomic
def _commit_command(raw: RawMessage, turn: Turn) -> bool:
    """Carry out a command and commit its answer together: a command that was repeated would tell another story.

    Returns whether the message is a command. Commands make no network calls.
    """
    command = find_command(turn)
    if command is None:
        return False
    if _lock_unanswered(raw) is not None:
        commit_answer(raw, Answer(kind=Interaction.Kind.COMMAND, text=command()))
    return True


def _lock_unanswered(raw: RawMessage) -> Interaction | None:
    return Interaction.objects.select_for_update().filter(raw_message=raw, answered_at=None).first()


@transaction.atomic
def commit_answer(raw: RawMessage, answer: Answer) -> bool:
    """Write the answer, its sources, the outbox and the send jobs together. Returns False if it was answered before."""
    interaction = _lock_unanswered(raw)
    if interaction is None:
        return False
    interaction.answer = answer.text
    # PostgreSQL's clock, like ``started_at``: those of two machines may differ by more than a turn takes.
    Interaction.objects.filter(id=interaction.id).update(
        kind=answer.kind, answer=answer.text, answered_at=Now()
    )
    # A memory may have been forgotten since it was found.
    alive = set(
        Memory.objects.filter(id__in=[hit.memory.id for hit in answer.used]).values_list("id", flat=True)
    )
    Citation.objects.bulk_create(
        Citation(interaction=interaction, memory=hit.memory, rank=rank, score=hit.score)
        for rank, hit in enumerate((hit for hit in answer.used if hit.memory.id in alive), start=1)
    )
    queue_answer(raw_message=raw, interaction=interaction)
    RawMessage.objects.filter(id=raw.id).update(status=RawMessage.Status.ANSWERED)
    return True
