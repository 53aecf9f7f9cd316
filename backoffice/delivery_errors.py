"""What became of a part of an answer, in words staff understand (contracts/twilio-whatsapp.md §8 has the codes)."""

from messaging.models import OutboundMessage
from whatsbot.integrations.twilio_errors import ErrorClass, get_error_class

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
_CODES = {
    21211: "The number is not a valid one.",
    21610: "The person has opted out of messages.",
    21614: "The number cannot receive messages.",
    30008: "The network gave no reason.",
    63003: "The number is not on WhatsApp.",
    63013: "The message breaks WhatsApp's rules.",
    63015: "The person has not joined the sandbox.",
    63016: "More than 24 hours after the person's last message only approved templates may be sent.",
    63018: "WhatsApp limits how fast messages may be sent.",
    63019: "Twilio could not fetch the file.",
    63024: "The recipient cannot get this message.",
    63032: "WhatsApp does not deliver this to the person.",
    63038: "The day's limit of messages is reached.",
}
_CLASSES = {
    ErrorClass.TOO_MANY_REQUESTS: "Too many requests at once; it is sent again later.",
    ErrorClass.LATER: "A passing trouble at Twilio or WhatsApp; it is sent again later.",
    ErrorClass.ONCE_MORE: "A passing trouble; it is sent once more.",
    ErrorClass.TWILIO_TRIES_AGAIN: "Twilio tries again by itself.",
    ErrorClass.RECIPIENT: "This person cannot be reached.",
    ErrorClass.CONTENT: "The message itself was refused.",
    ErrorClass.CONFIGURATION: "Our settings at Twilio are wrong.",
    ErrorClass.UNKNOWN: "Refused, for a reason we do not know.",
}


def explain_code(code: int | None) -> str:
    """What an error code of Twilio's means; without one, why we gave up ourselves."""
    if code is None:
        return "Given up: too many tries, or its file was forgotten meanwhile."
    return _CODES.get(code) or _CLASSES[get_error_class(code)]
