"""People by their number: found, or made without ever having written."""

from datetime import UTC, datetime

from django.db.models import Q

from accounts.models import WhatsAppUser
from accounts.timezones import infer_timezone_from_number

NEVER = datetime.fromtimestamp(0, UTC)


def get_person(address: str) -> WhatsAppUser | None:
    """The person with this number (E.164) or business-scoped address (``whatsapp:US.1349…``), or None."""
    by_number = Q(phone_number=address) | Q(whatsapp_id=f"whatsapp:{address}")
    by_address = Q(whatsapp_id=address) | Q(business_scoped_id=address)
    return WhatsAppUser.objects.filter(by_number if address.startswith("+") else by_address).first()


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
