"""Which time zone a person most likely lives in, told from their WhatsApp address alone."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

# Where the people of a country live, by zone, most people first. A country is listed when its zones keep
# different times, or when IANA's table does not know it (XK, AC, TA). Zones not named here follow in the
# order of IANA's zone.tab, which also puts the populous ones first where geography allows.
ZONES_BY_POPULATION: dict[str, tuple[str, ...]] = {
    "AC": ("Atlantic/St_Helena",),
    "AU": ("Australia/Sydney", "Australia/Melbourne", "Australia/Brisbane", "Australia/Perth"),
    "BR": ("America/Sao_Paulo", "America/Bahia", "America/Fortaleza", "America/Recife", "America/Manaus"),
    "CA": ("America/Toronto", "America/Vancouver", "America/Edmonton", "America/Winnipeg"),
    "CD": ("Africa/Kinshasa", "Africa/Lubumbashi"),
    "CL": ("America/Santiago", "America/Punta_Arenas"),
    "CN": ("Asia/Shanghai", "Asia/Urumqi"),
    "EC": ("America/Guayaquil", "Pacific/Galapagos"),
    "ES": ("Europe/Madrid", "Atlantic/Canary"),
    "FM": ("Pacific/Chuuk", "Pacific/Pohnpei", "Pacific/Kosrae"),
    "GL": ("America/Nuuk", "America/Thule"),
    "ID": ("Asia/Jakarta", "Asia/Makassar", "Asia/Pontianak", "Asia/Jayapura"),
    "KI": ("Pacific/Tarawa", "Pacific/Kiritimati"),
    "MN": ("Asia/Ulaanbaatar", "Asia/Hovd"),
    "MX": ("America/Mexico_City", "America/Monterrey", "America/Tijuana", "America/Merida"),
    "NZ": ("Pacific/Auckland", "Pacific/Chatham"),
    "PF": ("Pacific/Tahiti", "Pacific/Marquesas"),
    "PG": ("Pacific/Port_Moresby", "Pacific/Bougainville"),
    "PT": ("Europe/Lisbon", "Atlantic/Madeira", "Atlantic/Azores"),
    "RU": ("Europe/Moscow", "Asia/Yekaterinburg", "Europe/Samara", "Asia/Krasnoyarsk", "Asia/Novosibirsk"),
    "TA": ("Atlantic/St_Helena",),
    "UA": ("Europe/Kyiv", "Europe/Simferopol"),
    "US": ("America/New_York", "America/Chicago"),
    "XK": ("Europe/Belgrade",),
}
E164 = re.compile(r"\+[1-9][0-9]{5,14}")
# contracts/twilio-whatsapp.md §1.2: the id of a person who hides their number begins with the country.
BUSINESS_SCOPED_ID = re.compile(r"(?P<country>[A-Z]{2})\.[A-Za-z0-9]{1,128}")
# WhatsApp keeps two number forms that the countries gave up and libphonenumber therefore calls invalid:
# Mexican mobiles with a 1 after the country code, and Brazilian mobiles without the 9 after the area code.
GIVEN_UP_FORMS = (
    (re.compile(r"\+521([0-9]{10})"), r"+52\1"),
    (re.compile(r"\+55([0-9]{2})([6-9][0-9]{7})"), r"+55\g<1>9\2"),
)
INDONESIA = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class InferredZone:
    """An IANA zone `zoneinfo` can load; not ``certain`` if people with such a number keep different times."""

    zone: str
    certain: bool


NOTHING_KNOWN = InferredZone(zone="UTC", certain=False)


# Cached because the webhook asks for every message: one statement stores it whether or not the person is new.
@lru_cache(maxsize=16_384)
def infer_timezone_from_number(number: str | None) -> InferredZone:
    """The zone most people with such a number live in; UTC, not certain, where nothing is known.

    ``number`` is E.164, a channel address (``whatsapp:+…``) or a business-scoped id (``whatsapp:US.…``);
    anything else counts as unknown. Where the whole country keeps one time, the country decides, because
    libphonenumber is wrong about some of those (Morocco as the Canaries, Algeria as Paris); only elsewhere do
    the digits decide.
    """
    address = (number or "").removeprefix("whatsapp:")
    if scoped := BUSINESS_SCOPED_ID.fullmatch(address):
        zones = _get_zones_of_country(scoped["country"])
        return InferredZone(zone=zones[0], certain=_keep_one_time(zones)) if zones else NOTHING_KNOWN
    return _infer_from_digits(address) if E164.fullmatch(address) else NOTHING_KNOWN


def _infer_from_digits(number: str) -> InferredZone:
    # Imported here: about 80 ms and 14 MB, which a process that serves no webhooks need not pay.
    import phonenumbers
    from phonenumbers.timezone import time_zones_for_geographical_number, time_zones_for_number

    for form, replacement in GIVEN_UP_FORMS:
        if form.fullmatch(number):
            number = form.sub(replacement, number)
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return NOTHING_KNOWN
    region = phonenumbers.region_code_for_number(parsed)
    countries = [region] if region else phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    zones = [zone for country in countries for zone in _get_zones_of_country(country)]
    if _keep_one_time(zones):
        return InferredZone(zone=zones[0], certain=True)
    by_plan = _without_unknown(time_zones_for_number(parsed))
    # A number outside every plan (a range kept for fiction, say) still begins like its neighbours.
    candidates = by_plan or _without_unknown(time_zones_for_geographical_number(parsed))
    named = {_name_within(zones, zone) for zone in candidates}
    ranked = [zone for zone in zones if zone in named] or zones
    if not ranked:
        return NOTHING_KNOWN
    certain = bool(by_plan) and _keep_one_time(ranked) and not _is_indonesian_mobile(parsed)
    return InferredZone(zone=ranked[0], certain=certain)


def _is_indonesian_mobile(parsed: "PhoneNumber") -> bool:
    """libphonenumber takes these for local, for the sake of some wireless landlines; they are national."""
    from phonenumbers import PhoneNumberType, number_type

    return parsed.country_code == INDONESIA and number_type(parsed) == PhoneNumberType.MOBILE


def _without_unknown(zones: Iterable[str]) -> list[str]:
    return [zone for zone in zones if zone != "Etc/Unknown"]


def _name_within(zones: Sequence[str], zone: str) -> str | None:
    """What a country's zones call ``zone``: old names (America/Godthab) are known by their clocks."""
    if zone in zones:
        return zone
    return next((other for other in zones if _get_offsets(other) == _get_offsets(zone)), None)


def _keep_one_time(zones: Iterable[str]) -> bool:
    return len({_get_offsets(zone) for zone in zones}) == 1


@cache
def _get_zones_of_country(country: str) -> tuple[str, ...]:
    """The zones of an ISO country, most people first; none for a country that does not exist."""
    return tuple(dict.fromkeys((*ZONES_BY_POPULATION.get(country, ()), *_load_zone_table().get(country, ()))))


@cache
def _load_zone_table() -> dict[str, list[str]]:
    """IANA's zone.tab as the tzdata package ships it: ISO country → its zones."""
    table: dict[str, list[str]] = {}
    for line in (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            table.setdefault(country, []).append(zone)
    return table


@cache
def _get_offsets(zone: str) -> tuple[timedelta | None, ...]:
    """The UTC offsets of a zone, week by week, through a year to come.

    A fixed far year: only the rules in force now count, and the answer does not depend on today.
    """
    noon = datetime(2050, 1, 1, 12, tzinfo=UTC)
    return tuple((noon + timedelta(weeks=week)).astimezone(ZoneInfo(zone)).utcoffset() for week in range(53))
