"""What a conversation's entries say of themselves beside their text: kinds, states, failures."""

from urllib.parse import urlencode

from messaging.content import Content, Place
from messaging.models import Interaction, OutboundMessage, RawMessage
from whatsbot.integrations.twilio_error_texts import describe_error

Status = OutboundMessage.Status
# Signs as in the chat, and what they mean: the sign alone says nothing to who cannot see it.
TICKS = {
    Status.PENDING: ("◷", "waiting to be sent"),
    Status.SENDING: ("◷", "being sent"),
    Status.SENT: ("✓", "sent"),
    Status.DELIVERED: ("✓✓", "delivered"),
    Status.READ: ("✓✓", "read"),
    Status.FAILED: ("⚠", "failed"),
}
GIVEN_UP = "given up after too many tries, or because its file was forgotten"

_KINDS = {
    Interaction.Kind.SAVED: "remembered",
    Interaction.Kind.RECALLED: "answered from memories",
    Interaction.Kind.MISSED: "found nothing",
    Interaction.Kind.COMMAND: "command",
    Interaction.Kind.SMALL_TALK: "small talk",
    Interaction.Kind.UNREADABLE: "could not be read",
    Interaction.Kind.APOLOGY: "apology: every attempt failed",
}


def name_kind(turn: Interaction) -> str:
    """Of which kind an answer is, and what went wrong before it."""
    kind = _KINDS.get(Interaction.Kind(turn.kind), "") if turn.kind else ""
    return f"{kind}, after a failure ({turn.error})" if turn.error else kind


def name_tags(content: Content) -> list[str]:
    """What is special about a message."""
    tags = {
        "forwarded": content.is_forwarded,
        "tapped a button": content.is_button,
        "reaction": content.is_reaction,
        f"opt-out word {content.opt_out}": content.opt_out,
    }
    return [tag for tag, holds in tags.items() if holds]


def describe_state(message: RawMessage, turn: Interaction | None) -> str:
    """Where a message without an answer stands; "" where there is nothing to say."""
    if message.status == RawMessage.Status.IGNORED:
        return "needs no answer"
    if message.status == RawMessage.Status.ANSWERED:
        return ""
    if message.status == RawMessage.Status.HELD:
        return "waiting for staff to answer"
    waiting = "waiting for its files to be fetched" if message.media_pending else "waiting for an answer"
    if turn is None:
        return waiting
    failure = f"; the last failure was {turn.error}" if turn.error else ""
    return f"{waiting}, attempt {turn.attempts}{failure}"


def describe_failure(message: OutboundMessage) -> str:
    """Why a part of an answer did not arrive, or does not yet; "" where nothing failed."""
    if message.status == Status.FAILED:
        return f"Failed: {describe_error(message.error_code) or GIVEN_UP}"
    if message.status == Status.PENDING and message.error_code:
        return f"Put off: {describe_error(message.error_code)}"
    return ""


def make_map_link(place: Place) -> str:
    """Where OpenStreetMap shows a place."""
    point = {"mlat": place.latitude, "mlon": place.longitude}
    return f"https://www.openstreetmap.org/?{urlencode(point)}"
