"""Phone numbers as people and programs spell them."""


def read_phone_number(text: str) -> str:
    """Any international spelling of a number, also as a channel address, as E.164.

    Raises ValueError, with a message for whoever gave it, for what is no number with a country.
    """
    # Imported here for the sake of processes that read no numbers, as in accounts.timezones.
    import phonenumbers

    try:
        parsed = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise ValueError("Give a number with its country, like +12025550123.") from None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
