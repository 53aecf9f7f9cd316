"""Which stored messages are answered together: those a person sends within `BURST_SECONDS` of each other.

The webhook schedules each message's job `BURST_SECONDS` after it. A job whose message has younger ones behind it leaves
the answer to the job of the youngest. What begins a turn is written down at once, so that a turn that is resumed has
the same messages, and each message is in one turn.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from messaging.content import read_content
from messaging.inbound import is_alone
from messaging.models import Interaction, RawMessage

MOST_MESSAGES = 20
MOST_WAITING = 4  # times BURST_SECONDS: who keeps on sending is answered meanwhile
# The job that fetches files says when the answer can go on (messaging/attachments.py), unless it is dead.
MEDIA_PAUSE = 2.0  # seconds
MEDIA_PATIENCE = timedelta(seconds=60)


@transaction.atomic
def begin_turn(
    raw: RawMessage, *, is_held: bool = False, is_alone: bool = False
) -> tuple[Interaction, list[RawMessage]] | float | None:
    """Begin the turn that answers this message: it, and its messages, oldest first.

    None if there is nothing to begin: the job of a younger message will answer it, or somebody else has begun. Seconds
    to wait, if files of these messages are still being fetched.
    ``is_held``: the messages had to wait, so that all that wait are answered together, however far apart they came.
    ``is_alone``: nothing else is answered with it.
    """
    # Two workers that both believe it theirs wait for each other here, and the second sees the turn of the first.
    waiting = list(
        RawMessage.objects.select_for_update()
        .filter(user_id=raw.user_id, status=RawMessage.Status.RECEIVED, turn=None)
        .order_by("id")[: 10 * MOST_MESSAGES]
    )
    if is_alone:
        waiting = [each for each in waiting if each == raw]
    group = next((group for group in _split(waiting, is_held=is_held) if raw in group), None)
    if group is None or (group[-1] != raw and not _is_over(group, others=waiting)):
        return None
    if any(each.media_pending for each in group) and not _has_waited_long(group):
        return MEDIA_PAUSE
    (turn,) = Interaction.objects.bulk_create(
        [Interaction(raw_message=group[-1], attempts=1)],
        update_conflicts=True,  # a worker of the version before, which set no turn, has begun it
        unique_fields=["raw_message"],
        update_fields=["raw_message"],
    )
    RawMessage.objects.filter(id__in=[each.id for each in group]).update(turn=turn)
    return turn, group


def _split(waiting: Sequence[RawMessage], *, is_held: bool) -> Iterator[list[RawMessage]]:
    """The messages in groups that are answered together, oldest first."""
    group: list[RawMessage] = []
    for raw in waiting:
        if group and (len(group) == MOST_MESSAGES or not _belong_together(group[-1], raw, is_held=is_held)):
            yield group
            group = []
        group.append(raw)
    if group:
        yield group


def _belong_together(one: RawMessage, other: RawMessage, *, is_held: bool) -> bool:
    if _is_alone(one) or _is_alone(other):
        return False
    longest = timedelta(seconds=settings.BURST_SECONDS)
    return is_held or (longest > timedelta() and other.received_at - one.received_at <= longest)


def _is_alone(raw: RawMessage) -> bool:
    content = read_content(raw)
    return is_alone(content.text) or content.is_reaction or content.opt_out is not None


def _is_over(group: Sequence[RawMessage], *, others: Sequence[RawMessage]) -> bool:
    """Whether nothing more can come to a group, or what has come has waited long enough."""
    now = _get_time()
    return (
        others[-1] != group[-1]
        or now - group[-1].received_at >= timedelta(seconds=settings.BURST_SECONDS)
        or now - group[0].received_at >= timedelta(seconds=MOST_WAITING * settings.BURST_SECONDS)
    )


def _has_waited_long(group: Sequence[RawMessage]) -> bool:
    """Whether the answer goes on without the files that are still being fetched."""
    newest = max(each.received_at for each in group if each.media_pending)
    return _get_time() - newest >= MEDIA_PATIENCE


def _get_time() -> datetime:
    """PostgreSQL's clock, like ``received_at``."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment
