"""Phone numbers as people and programs spell them."""

import re

E164 = re.compile(r"\+[1-9][0-9]{5,14}")


def read_phone_number(text: str, *, country: str | None = None) -> str:
    """Any spelling of a number, also as a channel address, as E.164; ``country`` (ISO 3166) is for national ones.

    Raises ValueError, with a message for whoever gave it, for what is no number with a country.
    """
    # Imported here for the sake of processes that read no numbers, as in accounts.timezones.
    import phonenumbers

    try:
        parsed = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        raise ValueError("Give a number with its country, like +12025550123.") from None
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if not E164.fullmatch(number):
        raise ValueError("No number has so few or so many digits.")
    return number


def may_exist(number: str) -> bool:
    """Whether a number (E.164) is as long as numbers of its country are."""
    import phonenumbers

    return phonenumbers.is_possible_number(phonenumbers.parse(number))
