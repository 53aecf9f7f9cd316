"""One turn: stored messages become one committed answer, whatever happens on the way (design §3).

Nothing is done twice. What an attempt did before it was killed (a stored memory, a word of the model) is found again by
the next one, and the row lock in `commit_answer` lets exactly one worker finish a turn, even if two believe it theirs.
"""

from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import WhatsAppUser
from memories.models import Citation, Memory
from memories.search import Hit
from messaging import limits
from messaging.answers import Answer, Turn
from messaging.bursts import begin_turn
from messaging.command_types import Command
from messaging.commands import find_command
from messaging.confirmations import find_confirmed, lapse
from messaging.content import Content, read_content
from messaging.delivery import queue_answer
from messaging.forgetting import redact_messages
from messaging.journal import AnsweredElsewhere, Journal
from messaging.models import Interaction, RawMessage
from messaging.recall import answer_from_memories
from messaging.wording import ask_zone, guess_language, say_slow_down
from whatsbot import database
from whatsbot.integrations import twilio

# Beginnings of a turn, the last of which apologises. A person's later messages wait meanwhile, so `RETRY_SECONDS`
# adds up to less than 30 s.
MAX_ATTEMPTS = 6
RETRY_SECONDS = (1, 2, 4, 8, 8)
APOLOGY = "Sorry, something went wrong on my side and I could not work with that message. Please send it again later."


def process_message(raw_message_id: int) -> float | None:
    """Answer one stored message, together with those of its burst; what is answered already is left alone.

    Returns the seconds after which to call again, where the person has had many answers lately, else None. Raises
    whatever went wrong, to be tried again, until the last attempt, which commits an apology instead.
    """
    raw = RawMessage.objects.select_related("user", "turn").filter(id=raw_message_id).first()
    if raw is None or raw.status != RawMessage.Status.RECEIVED:
        return None
    content = read_content(raw)
    if _wants_no_answer(raw, content):
        RawMessage.objects.filter(id=raw.id).update(status=RawMessage.Status.IGNORED)
        return None
    pace = limits.get_pace(raw) if raw.turn is None else limits.Pace()
    if pace.seconds_to_wait:
        return pace.seconds_to_wait
    begun = begin_turn(raw, is_held=pace.was_held) if raw.turn is None else _resume_turn(raw.turn)
    if begun is None or isinstance(begun, float):
        return begun
    interaction, messages = begun
    turn = Turn(user=raw.user, contents=tuple(read_content(each) for each in messages))
    if interaction.attempts == 1:
        _show_typing(messages[-1])
    if interaction.attempts >= MAX_ATTEMPTS:
        commit_answer(interaction, Answer(kind=Interaction.Kind.APOLOGY, text=APOLOGY))
        return None
    try:
        _answer(turn, interaction, is_last_of_minute=pace.is_last)
    except AnsweredElsewhere:
        pass
    except Exception as error:
        Interaction.objects.filter(id=interaction.id, answered_at=None).update(error=type(error).__name__)
        raise
    return None


def _wants_no_answer(raw: RawMessage, content: Content) -> bool:
    """Reactions, opt-outs (Twilio itself answers those, contracts §1), messages of our own sender, and all but commands
    after /stop, which are not even kept."""
    if content.opt_out:
        opted_out = {"STOP": timezone.now(), "START": None}
        if content.opt_out in opted_out:
            WhatsAppUser.objects.filter(id=raw.user_id).update(opted_out_at=opted_out[content.opt_out])
        return True
    if content.is_reaction or raw.from_address == settings.TWILIO_WHATSAPP_NUMBER:
        return True
    turn = Turn(user=raw.user, contents=(content,))
    if raw.user.opted_out_at and not find_command(turn) and not find_confirmed(turn):
        redact_messages([raw.id])
        return True
    return False


def _resume_turn(interaction: Interaction) -> tuple[Interaction, list[RawMessage]] | None:
    """Begin a turn once more. Counted before any work, so that a message which kills its worker is counted too."""
    messages = list(interaction.messages.filter(status=RawMessage.Status.RECEIVED).order_by("id"))
    interaction.attempts += 1
    Interaction.objects.filter(id=interaction.id).update(attempts=F("attempts") + 1)
    return (interaction, messages) if messages else None


def _show_typing(raw: RawMessage) -> None:
    database.release_connection()  # no connection is held while Twilio thinks
    twilio.send_typing_indicator(message_sid=raw.message_sid)


def _answer(turn: Turn, interaction: Interaction, *, is_last_of_minute: bool) -> None:
    """A confirmation or a command; else what the assistant says."""
    command = find_confirmed(turn) or find_command(turn)
    if command is None:
        answer = _ask_assistant(turn, interaction)
        commit_answer(interaction, _add_notices(turn, answer, is_last_of_minute=is_last_of_minute))
    elif command.is_lookup:
        commit_answer(interaction, command.run())
    else:
        _commit_command(command, interaction)


def _ask_assistant(turn: Turn, interaction: Interaction) -> Answer:
    if settings.GEMINI_API_KEY:
        from messaging.assistant import (
            answer_with_model,  # pydantic, which a process that only defers need not load
        )

        is_last = interaction.attempts + 1 >= MAX_ATTEMPTS  # the next one would apologise
        return answer_with_model(turn, Journal(interaction), is_last_attempt=is_last)
    return answer_from_memories(turn)


def _add_notices(turn: Turn, answer: Answer, *, is_last_of_minute: bool) -> Answer:
    """Ask once about a time zone that we guessed, and say before it happens that messages will have to wait."""
    language = guess_language(turn.own_words)
    notices = []
    asks_zone = _is_zone_in_question(turn.user)
    if asks_zone:
        notices.append(ask_zone(zone=turn.zone, now=turn.now, language=language))
    if is_last_of_minute:
        notices.append(say_slow_down(language=language))
    return replace(answer, text="\n\n".join((answer.text, *notices)), asks_zone=asks_zone)


def _is_zone_in_question(user: WhatsAppUser) -> bool:
    return user.timezone_source == WhatsAppUser.TimezoneSource.GUESSED and user.timezone_asked_at is None


@transaction.atomic
def _commit_command(command: Command, interaction: Interaction) -> None:
    """Carry out a command and commit its answer together: a command that was repeated would tell another story."""
    unanswered = Interaction.objects.select_for_update().filter(id=interaction.id, answered_at=None)
    if unanswered.first() is not None:
        answer = command.run()
        interaction.raw_message.refresh_from_db()  # erasing gives the message to another row of its person
        commit_answer(interaction, answer)


@transaction.atomic
def commit_answer(interaction: Interaction, answer: Answer) -> bool:
    """Write the answer, its sources, the outbox and the send jobs together. Returns False if it was answered before."""
    # Whoever else believes the turn theirs waits here for the row and then finds it answered. PostgreSQL's clock, like
    # ``started_at``: those of two machines may differ by more than a turn takes.
    committed = Interaction.objects.filter(id=interaction.id, answered_at=None).update(
        kind=answer.kind,
        answer=answer.text,
        model=answer.model,
        transcript=answer.transcript,
        answered_at=Now(),
    )
    if not committed:
        return False
    raw = interaction.raw_message
    interaction.answer = answer.text
    if answer.used:
        _cite(interaction, answer.used)
    if answer.asks_zone:
        WhatsAppUser.objects.filter(id=raw.user_id).update(timezone_asked_at=Now())
    # An apology takes the place of the question that the turn may have had.
    is_asked = answer.kind != Interaction.Kind.APOLOGY
    lapse(user_id=raw.user_id, except_asked_in=interaction.id if is_asked else None)
    queue_answer(raw_message=raw, interaction=interaction, media=answer.media)
    RawMessage.objects.filter(turn=interaction, status=RawMessage.Status.RECEIVED).update(
        status=RawMessage.Status.ANSWERED
    )
    return True


def _cite(interaction: Interaction, used: Sequence[Hit]) -> None:
    """Note which memories an answer was made from. One may have been forgotten since it was found."""
    alive = set(Memory.objects.filter(id__in=[hit.memory.id for hit in used]).values_list("id", flat=True))
    Citation.objects.bulk_create(
        Citation(interaction=interaction, memory=hit.memory, rank=rank, score=hit.score)
        for rank, hit in enumerate((hit for hit in used if hit.memory.id in alive), start=1)
    )
