"""What stands below a conversation: who has it, and the form of those who write in the bot's place."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from accounts.models import WhatsAppUser
from backoffice.timeline import Page
from backoffice.timeline_entries import Received
from messaging.models import Takeover
from messaging.takeover import get_takeover, get_window

MAY_TAKE_OVER = "accounts.take_over"
LONGEST = 6000  # characters; they are sent in parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A text that was refused, and why."""

    text: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """Who has the conversation, and what this login may do about it.

    ``takeover`` is None while the bot has it. ``obstacle`` says why nobody can write now, "" if somebody can. ``key``
    makes a form that is submitted twice send once, ``seen_id`` says which message its writer has seen last.
    """

    may_take_over: bool
    takeover: Takeover | None
    is_mine: bool
    closes_at: datetime
    obstacle: str
    key: uuid.UUID
    seen_id: int | None
    draft: Draft | None
    longest: int = LONGEST

    @property
    def state(self) -> str:
        """What changes when the form has to be made anew."""
        return f"{self.takeover.staff_id if self.takeover else 'bot'} {self.obstacle}"


def get_composer(
    staff: Any, person: WhatsAppUser, *, page: Page | None = None, draft: Draft | None = None
) -> Composer:
    """What the composer below a page shows to this login."""
    entries = page.entries if page else ()
    held = get_takeover(person.id)
    closes_at = get_window(person)
    obstacle = ""
    if person.opted_out_at is not None:
        obstacle = "This person has opted out and wants to hear nothing."
    elif timezone.now() >= closes_at:
        obstacle = "WhatsApp takes no text from us until this person writes again."
    return Composer(
        may_take_over=staff.has_perm(MAY_TAKE_OVER),
        takeover=held,
        is_mine=held is not None and held.staff_id == staff.pk,
        closes_at=closes_at,
        obstacle=obstacle,
        key=uuid.uuid4(),
        seen_id=max((entry.message.id for entry in entries if isinstance(entry, Received)), default=None),
        draft=draft,
    )
