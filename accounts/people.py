"""People by their number: found, or made without ever having written."""

from datetime import UTC, datetime

from accounts.models import WhatsAppUser
from accounts.timezones import infer_timezone_from_number

NEVER = datetime.fromtimestamp(0, UTC)


def get_person(address: str) -> WhatsAppUser | None:
    """The person with this number (E.164) or business-scoped address (``whatsapp:US.1349…``), or None."""
    if address.startswith("+"):
        # Nearly always the first: one condition and no order, because every request of the API asks for somebody.
        return _get(phone_number=address) or _get(whatsapp_id=f"whatsapp:{address}")
    return _get(whatsapp_id=address) or _get(business_scoped_id=address)


def _get(**unique: str) -> WhatsAppUser | None:
    return next(iter(WhatsAppUser.objects.filter(**unique)), None)


def make_person(phone_number: str) -> WhatsAppUser:
    """Somebody the bot has not heard from, not saved yet, with the time zone the number speaks for."""
    return WhatsAppUser(
        whatsapp_id=f"whatsapp:{phone_number}",
        phone_number=phone_number,
        last_inbound_at=NEVER,  # they have not written: nothing may be sent to them yet
        **infer_timezone(phone_number),
    )


def infer_timezone(address: str) -> dict[str, str]:
    """The fields of a person that say where they live, as far as their address tells."""
    zone, sources = infer_timezone_from_number(address), WhatsAppUser.TimezoneSource
    return {
        "timezone": zone.zone,
        "timezone_source": (sources.INFERRED if zone.certain else sources.GUESSED).value,
    }
