"""What a turn is given and what it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from accounts.models import WhatsAppUser
from memories.search import Hit
from memories.store import Stored
from messaging.content import Content
from messaging.models import Interaction


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """Of a turn that changes nothing: what it would have done, in order (messaging/deeds.py).

    ``ends_at`` is when it has to be over, by the monotonic clock. ``stored`` are the memories it would have made, by
    message and step.
    """

    ends_at: float
    deeds: list[str] = field(default_factory=list)
    stored: dict[tuple[int, str], Stored] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The messages to answer together, oldest first; mostly it is one. With a ``rehearsal`` it changes nothing."""

    user: WhatsAppUser
    contents: tuple[Content, ...]
    rehearsal: Rehearsal | None = None

    @property
    def raw_message_id(self) -> int:
        """The newest message, which names the turn."""
        return self.contents[-1].raw_message_id

    @property
    def now(self) -> datetime:
        """The instant the newest message was received (UTC): a delayed answer means the same days."""
        return self.contents[-1].received_at

    @property
    def zone(self) -> ZoneInfo:
        """The person's own time zone."""
        return ZoneInfo(self.user.timezone)

    @property
    def own_words(self) -> str:
        """What the person has typed themselves in these messages."""
        return "\n".join(content.own_words for content in self.contents if content.own_words)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToSend:
    """A file of the person's that goes back to them: the id of its `MessageMedia`, and the text under it, if any."""

    media_id: int
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The text to send and the memories it was made from, best first.

    ``media`` are the files that are sent behind it.
    ``model`` is the language model's name and ``transcript`` what is kept of the talk with it, where there was one.
    ``asks_zone``: the text asks whether the guessed time zone is right.
    """

    kind: Interaction.Kind
    text: str
    used: Sequence[Hit] = field(default_factory=tuple)
    model: str = ""
    transcript: list[dict[str, Any]] = field(default_factory=list)
    asks_zone: bool = False
    media: Sequence[FileToSend] = ()


def shorten(text: str, *, limit: int = 160) -> str:
    """A memory's text on one line of a list, cut at a word."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[:limit].rsplit(" ", 1)[0] + " …"
