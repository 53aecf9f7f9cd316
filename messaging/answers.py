"""What a turn is given and what it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from accounts.models import WhatsAppUser
from memories.search import Hit
from messaging.inbound import Content
from messaging.models import Interaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message to answer. ``now`` is the instant it was received (UTC): a delayed answer means the same days."""

    raw_message_id: int
    user: WhatsAppUser
    content: Content
    now: datetime

    @property
    def zone(self) -> ZoneInfo:
        """The person's own time zone."""
        return ZoneInfo(self.user.timezone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The text to send and the memories it was made from, best first."""

    kind: Interaction.Kind
    text: str
    used: Sequence[Hit] = field(default_factory=tuple)


def shorten(text: str, *, limit: int = 160) -> str:
    """A memory's text on one line of a list, cut at a word."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[:limit].rsplit(" ", 1)[0] + " …"
