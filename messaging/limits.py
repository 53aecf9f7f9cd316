"""How much one person may ask for: answers in a minute, tokens of the language model in a day.

Nothing is refused: what comes too fast waits and is answered together, and when the tokens are spent the plain search
answers.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from accounts.models import WhatsAppUser
from messaging.models import RawMessage

MINUTE = 60.0
DAY = timedelta(days=1)

# All by one clock, PostgreSQL's. The bound of a day keeps it from reading all that a person ever sent.
_RECENT_ANSWERS = """
    SELECT extract(epoch FROM now() - turn.answered_at)::float8
    FROM messaging_rawmessage raw JOIN messaging_interaction turn ON turn.raw_message_id = raw.id
    WHERE raw.user_id = %(user_id)s AND raw.received_at > now() - interval '1 day'
      AND turn.answered_at > least(now(), %(received_at)s) - interval '1 minute'
    ORDER BY turn.answered_at DESC LIMIT %(limit)s
"""

_SPENT_TOKENS = """
    SELECT (
        SELECT coalesce(sum(coalesce(turn.input_tokens, 0) + coalesce(turn.output_tokens, 0)), 0)
        FROM messaging_rawmessage raw JOIN messaging_interaction turn ON turn.raw_message_id = raw.id
        WHERE raw.user_id = %(user_id)s AND raw.received_at > now() - interval '1 day'
    ) + (
        SELECT coalesce(sum(tokens), 0) FROM media_messagemedia
        WHERE user_id = %(user_id)s AND file_id IS NOT NULL AND sent_at > now() - interval '1 day'
    )
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a person's last answers lie, and what that means for the message to answer now.

    ``seconds_to_wait`` is 0 if it may be answered now. ``was_held``: it had to wait, and others may have come
    meanwhile. ``is_last``: its answer is the last before others have to wait.
    """

    seconds_to_wait: float = 0.0
    was_held: bool = False
    is_last: bool = False


def get_pace(raw: RawMessage) -> Pace:
    """The pace at which this message finds its person."""
    limit = settings.MESSAGES_PER_MINUTE
    if limit <= 0:
        return Pace()
    with connection.cursor() as cursor:
        cursor.execute(
            _RECENT_ANSWERS, {"user_id": raw.user_id, "received_at": raw.received_at, "limit": limit}
        )
        ages: list[float] = [age for (age,) in cursor.fetchall()]
    within_minute = [age for age in ages if age < MINUTE]
    return Pace(
        seconds_to_wait=max(MINUTE - within_minute[-1], 0.1) if len(within_minute) == limit else 0.0,
        was_held=len(ages) == limit,
        is_last=len(within_minute) == limit - 1,
    )


def has_spent_tokens(user_id: int) -> bool:
    """Whether the language model has cost the person's share of the last 24 hours."""
    limit = settings.TOKENS_PER_DAY
    if limit <= 0:
        return False
    with connection.cursor() as cursor:
        cursor.execute(_SPENT_TOKENS, {"user_id": user_id})
        row = cursor.fetchone()
    return row is not None and row[0] >= limit


def take_tokens_notice(user_id: int) -> bool:
    """Whether to say that the tokens are spent: once in 24 hours, and this is the time."""
    due = WhatsAppUser.objects.filter(id=user_id).exclude(tokens_notice_at__gt=Now() - DAY)
    return bool(due.update(tokens_notice_at=Now()))
