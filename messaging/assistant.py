"""The assistant with a language model: Gemini decides what to keep and what to look for, our tools do it.

`converse` is the whole loop. The journal makes it resumable: what the model has answered is not asked again, and what a
tool has done is not done again, wherever a worker is killed (tests/messaging/test_killed_turns.py).
"""

import logging
import math
import random
import time
from collections.abc import Sequence

from django.db import InterfaceError, OperationalError

from messaging.answers import Answer, Turn
from messaging.assistant_calls import Result
from messaging.assistant_reply import compose_answer, compose_without_model
from messaging.assistant_tools import get_declarations, run_tool
from messaging.attachment_replies import keep_places
from messaging.conversation import get_contents, get_system_instruction
from messaging.journal import AWAY, Journal
from messaging.limits import has_spent_tokens, take_tokens_notice
from messaging.models import RawMessage
from messaging.wording import guess_language, say_model_away, say_tokens_spent
from whatsbot import database
from whatsbot.exceptions import (
    MisconfiguredProvider,
    PermanentProviderError,
    ProviderError,
    TransientProviderError,
)
from whatsbot.integrations import gemini
from whatsbot.integrations.gemini import Ending, Json, ModelResponse, ToolCall

log = logging.getLogger(__name__)

MOST_CALLS = 8
MOST_TOOLS = 24  # in one turn; a response may ask for many at once
# Of one call. The person's next messages wait meanwhile, so all attempts together end within MOST_SECONDS.
ATTEMPTS = 3
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
MOST_SECONDS = 45.0


def answer_with_model(turn: Turn, journal: Journal, *, is_last_attempt: bool) -> Answer:
    """Answer by the language model; by the plain search if it stays away, has nothing to say or has cost enough.

    A rehearsal is asked for by staff, and costs the person no tokens. Raises AnsweredElsewhere, ProviderError of the
    memory store, and errors of the database: a later attempt may overcome the last two.
    """
    keep_places(turn)
    language = guess_language(turn.own_words or turn.contents[-1].text or _get_earlier_words(turn))
    if turn.rehearsal is None and not journal.responses and has_spent_tokens(turn.user.id):
        notice = say_tokens_spent(language=language) if take_tokens_notice(turn.user.id) else ""
        return compose_without_model(turn, journal, note=notice, language=language)
    said = converse(turn, journal, is_last_attempt=is_last_attempt)
    if said is None:
        return compose_without_model(turn, journal, note=say_model_away(language=language), language=language)
    return compose_answer(turn, journal, said=said, language=language)


def _get_earlier_words(turn: Turn) -> str:
    """What the person wrote last before a turn without words: a picture alone has no language."""
    earlier = RawMessage.objects.filter(user_id=turn.user.id).exclude(body="").exclude(body__startswith="/")
    return earlier.order_by("-received_at").values_list("body", flat=True).first() or ""


def converse(turn: Turn, journal: Journal, *, is_last_attempt: bool = False) -> str | None:
    """Let the model answer, running the tools it asks for, in at most `MOST_CALLS` calls. Returns what it says.

    None if it says nothing: it is away, or was stopped, or does not come to an end.
    """
    system, contents, tools = get_system_instruction(turn), get_contents(turn), get_declarations()
    while len(journal.responses) < MOST_CALLS:
        for name, call in journal.get_open_calls():
            if journal.count_results() < MOST_TOOLS:
                result = _run(call, turn=turn, name=name, is_last_attempt=is_last_attempt)
            else:
                result = Result({"error": "That is too much for one answer. Nothing was done."})
            journal.add_result(call, response=result.response, outcome=result.outcome)
        failures = _get_failures(journal)
        if _is_over(journal, failures):
            break
        is_last_call = len(journal.responses) == MOST_CALLS - 1
        try:
            response = _ask(
                system=system,
                contents=[*contents, *journal.get_contents()],
                tools=tools,
                may_call_tools=not is_last_call and failures != [Ending.MALFORMED.name] * 2,
                ends_at=turn.rehearsal.ends_at if turn.rehearsal else math.inf,
            )
        except ProviderError as error:
            level = logging.ERROR if isinstance(error, MisconfiguredProvider) else logging.WARNING
            log.log(level, "turn %s goes on without the model: %s", turn.raw_message_id, error)
            journal.add_failure(type(error).__name__)
            break
        journal.add_response(response)
    return journal.responses[-1]["text"] or None if not _get_failures(journal) else None


def _get_failures(journal: Journal) -> list[str]:
    """How the last responses ended, back to the last that was of use."""
    failures = []
    for response in reversed(journal.responses):
        if response["goes_on"] or response["text"]:
            break
        failures.append(response["ending"])
    return failures


def _is_over(journal: Journal, failures: Sequence[str]) -> bool:
    """Whether there is nothing more to ask: an answer, or no hope of one (contracts/gemini.md §4)."""
    if not journal.responses:
        return False
    if not failures:
        return not journal.responses[-1]["goes_on"]
    if failures[0] in (Ending.BLOCKED.name, AWAY):
        return True
    # Once more as it was, and after a malformed call once without tools.
    return len(failures) > (2 if failures[0] == Ending.MALFORMED.name else 1)


def _run(call: ToolCall, *, turn: Turn, name: str, is_last_attempt: bool) -> Result:
    """One tool. What may pass is raised to be tried again, but for the last attempt; the model reads the rest."""
    failed: Json = {}
    if call.name == "store_memory" and isinstance(content := call.arguments.get("content"), str):
        failed = {"failed": content}
    try:
        return run_tool(call, turn=turn, name=name)
    except ProviderError as error:
        if not isinstance(error, PermanentProviderError) and not is_last_attempt:
            raise
        log.warning("tool %s of turn %s failed: %s", call.name, turn.raw_message_id, error)
        return Result({"error": "The memory store cannot be reached now. Nothing was done."}, failed)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        log.error("tool %s of turn %s failed: %s", call.name, turn.raw_message_id, type(error).__qualname__)
        return Result({"error": "This did not work. Nothing was done."}, failed)


def _ask(
    *,
    system: str,
    contents: Sequence[Json],
    tools: Sequence[gemini.Tool],
    may_call_tools: bool,
    ends_at: float,
) -> ModelResponse:
    """Ask, and again if that may help, as soon as Google wishes. Raises ProviderError."""
    database.release_connection()  # no connection is held while the model thinks
    deadline = min(time.monotonic() + MOST_SECONDS, ends_at)
    if time.monotonic() + 1 > deadline:
        raise TransientProviderError("There is no time left to ask the model.")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return gemini.generate(
                system=system,
                contents=contents,
                tools=tools,
                may_call_tools=may_call_tools,
                seconds=min(gemini.CALL_SECONDS, deadline - time.monotonic()),
            )
        except TransientProviderError as error:
            pause = error.retry_after
            if pause is None:
                pause = FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
            if attempt == ATTEMPTS or pause > LONGEST_PAUSE or time.monotonic() + pause + 1 > deadline:
                raise
        time.sleep(pause)
    raise AssertionError("unreachable")
