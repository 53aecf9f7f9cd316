"""The way of one message, stage by stage: what is done, what waits, what failed and whether it can be retried.

Nothing here quotes what anybody wrote, so that it can be shown to staff who may not read that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from messaging.message_facts import Facts, get_facts
from messaging.stage import Stage
from messaging.stages_sending import look_at_delivery, look_at_sending
from messaging.stages_working import (
    look_at_answer,
    look_at_description,
    look_at_media,
    look_at_memories,
    look_at_receiving,
)

LOOKS = (
    look_at_receiving,
    look_at_media,
    look_at_description,
    look_at_answer,
    look_at_memories,
    look_at_sending,
    look_at_delivery,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is kept of a message, and its stages."""

    facts: Facts
    stages: Sequence[Stage]

    def __getitem__(self, name: str) -> Stage:
        """The stage of this name."""
        return next(stage for stage in self.stages if stage.name == name)


def explain(raw_message_id: int) -> Explanation | None:
    """What became of a message, or None if there is no such message. A constant number of statements."""
    facts = get_facts(raw_message_id)
    if facts is None:
        return None
    return Explanation(facts=facts, stages=[look(facts) for look in LOOKS])
