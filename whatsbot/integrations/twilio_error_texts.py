"""What an error code of Twilio's says, in a sentence for staff (contracts/twilio-whatsapp.md §8)."""

from whatsbot.integrations.twilio_errors import ErrorClass, get_error_class

TEXTS = {
    14107: "Too many messages went to and fro within seconds: Twilio's guard against loops stopped it.",
    20003: "Twilio does not accept our credentials.",
    20429: "Too many requests at once.",
    21211: "The number is not valid.",
    21212: "Our sender is not valid.",
    21602: "The message had no text.",
    21603: "Our sender was missing.",
    21606: "Our sender does not belong to the account.",
    21609: "Our address for delivery reports is not valid.",
    21610: "The person has told Twilio to stop messages from us.",
    21611: "Twilio's queue for our sender is full.",
    21614: "The number is not that of a phone.",
    21617: "The text is too long.",
    30001: "Twilio's queue is full.",
    30008: "Not delivered, for a reason Twilio does not know.",
    30036: "It waited too long at Twilio's.",
    63001: "WhatsApp does not accept Twilio's credentials for our sender.",
    63003: "The number is not on WhatsApp.",
    63005: "WhatsApp did not take the content.",
    63006: "The content could not be made a WhatsApp message.",
    63007: "Our sender is not set up for WhatsApp.",
    63009: "WhatsApp had an error.",
    63010: "Twilio had an error.",
    63012: "WhatsApp had an error inside.",
    63013: "It is against WhatsApp's policy.",
    63014: "The person has blocked messages like this.",
    63015: "The person has not joined the sandbox.",
    63016: "The person last wrote more than 24 hours before: WhatsApp takes no free text then.",
    63017: "Too many messages at once from the account.",
    63018: "Too many messages at once from our sender.",
    63019: "Twilio could not fetch the file.",
    63020: "Something is wrong with the WhatsApp business account.",
    63021: "WhatsApp says the content is not valid.",
    63023: "WhatsApp had an error it does not name.",
    63024: "WhatsApp does not know the recipient.",
    63031: "Sender and recipient are the same.",
    63032: "WhatsApp does not let us write to this person.",
    63033: "The person has blocked us.",
    63034: "The file is too big for WhatsApp.",
    63037: "WhatsApp was slow; Twilio tries again by itself.",
    63038: "The account has sent all it may send in a day.",
    63051: "The WhatsApp business account is locked.",
    90010: "The Twilio account is not active.",
}
BY_CLASS = {
    ErrorClass.TOO_MANY_REQUESTS: "Too many requests at once.",
    ErrorClass.LATER: "It could not be sent then, and may be later.",
    ErrorClass.ONCE_MORE: "It could not be sent, for a reason that may pass.",
    ErrorClass.TWILIO_TRIES_AGAIN: "Twilio tries again by itself.",
    ErrorClass.RECIPIENT: "This person cannot be reached.",
    ErrorClass.CONTENT: "The content was refused.",
    ErrorClass.CONFIGURATION: "Something is wrong with our settings at Twilio.",
    ErrorClass.UNKNOWN: "Twilio refused it.",
}


def describe_error(code: int | None) -> str:
    """``code`` with what it means; "" for None."""
    if code is None:
        return ""
    return f"{code}: {TEXTS.get(code) or BY_CLASS[get_error_class(code)]}"
