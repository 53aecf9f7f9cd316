"""Which zone a person means by a place, an offset or a clock's name: tables of what was asked and what is meant."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from accounts import places
from accounts.places import describe_clock, find_timezone


@pytest.fixture(scope="module", autouse=True)
def _cities_are_read_once() -> Iterator[None]:
    """The product reads its 17 MB for each question, to keep none of them; here there are hundreds of questions."""
    cities = list(places._read_cities())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "_read_cities", lambda: cities)
        yield


SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)
WINTER = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLACES = {
    "Europe/Madrid": "Madrid | Europe/Madrid | europe/madrid | europe madrid | Barcelona | España | spanelsko",
    "America/New_York": "New York | new_york | America/New York | US/Eastern | NYC | Nueva York | Washington, D.C.",
    "America/Sao_Paulo": "São Paulo | sao paulo | SAO PAULO | Rio de Janeiro | Brazil | BRT",
    "Europe/Lisbon": "Lissabon | Lisboa | Porto | Portugal | WET",
    "Europe/Moscow": "Москва | Moscow | Moskau | Санкт-Петербург | St. Petersburg",
    "Asia/Kolkata": "दिल्ली | India | भारत | Mumbai | Bangalore | Asia/Calcutta | Calcutta | Goa | IST | +5:30 | +0530",
    "America/Los_Angeles": "San Francisco | PST | PDT | Pacific time | California | SF | LA",
    "Europe/Berlin": "Munich | München | Muenchen | köln | Germany | Deutschland | Frankfurt",
    "Asia/Tokyo": "Japan | 東京 | JST | Osaka",
    "Europe/Kyiv": "Kiev | Europe/Kiev | Київ | Ukraine",
    "Europe/London": "UK | England | Londres | Birmingham | York",
    "Asia/Jerusalem": "תל אביב | ירושלים | Israel",
    "Africa/Cairo": "القاهرة | Egypt",
    "Asia/Ho_Chi_Minh": "Hanoi | Saigon | Vietnam",
    "Europe/Istanbul": "İstanbul | istanbul | Turkey",
    "America/Chicago": "CST | CDT | Paris, Texas | Central time",
    "Europe/Paris": "Paris | Paris, France | paris",
    "Asia/Tbilisi": "Georgia | Tbilisi, Georgia",
    "America/Mexico_City": "Mexico | Mexico City | CDMX",
    "Asia/Makassar": "Bali",
    "Europe/Brussels": "CET | cest",
    "Europe/Athens": "EET | Athens",
    "Australia/Sydney": "AEST | Sydney",
    "America/Thule": "Thule",
    "America/Caracas": "Valencia",
    "UTC": "UTC | utc | GMT | UTC+0 | Etc/UTC | Zulu",
    "Etc/GMT-2": "UTC+2 | +2 | +02:00 | utc +2 | GMT+2",
    "Etc/GMT+3": "GMT-3 | −3 | -03:00",
    "Etc/GMT+5": "Etc/GMT+5 | -5",
    "Etc/GMT-14": "+14",
    "Asia/Kathmandu": "+05:45 | Nepal",
    "America/St_Johns": "-03:30",
    None: (
        "how are you | I don't know | tomorrow | yes | no | the | are | what? | +15 | +25:00 | +5:20 | 5:30 | Factory"
        " | USA | Canada | Россия | Paris, Japan | Springfield, Nowhere | . | +"
    ),
}
ROWS = [(text.strip(), zone) for zone, texts in PLACES.items() for text in texts.split("|")]
# What was asked, from where, when, and what is meant.
FROM_SOMEWHERE = [
    ("IST", "Asia/Jerusalem", SUMMER, "Asia/Jerusalem"),
    ("IST", "Europe/Dublin", WINTER, "Europe/Dublin"),
    ("IST", "America/New_York", SUMMER, "Asia/Kolkata"),
    ("CST", "Asia/Shanghai", SUMMER, "Asia/Shanghai"),
    ("CET", "Europe/Madrid", SUMMER, "Europe/Madrid"),
    ("+2", "Europe/Madrid", SUMMER, "Europe/Madrid"),
    ("-4", "America/Detroit", SUMMER, "America/Detroit"),
    ("+2", "Europe/London", SUMMER, "Europe/Berlin"),
    ("+1", "Europe/Madrid", SUMMER, "Atlantic/Canary"),
    ("-5", "America/New_York", SUMMER, "America/Chicago"),
    ("-5", "America/Chicago", WINTER, "America/New_York"),
    ("-3:30", "America/Toronto", WINTER, "America/St_Johns"),
    ("+5:30", "Asia/Calcutta", SUMMER, "Asia/Kolkata"),
    ("+0", "Europe/London", WINTER, "Europe/London"),
    ("+2", "Asia/Kolkata", SUMMER, "Etc/GMT-2"),
    ("Valencia", "Europe/Madrid", SUMMER, "Europe/Madrid"),
    ("Birmingham", "America/Chicago", SUMMER, "Europe/London"),
    ("Victoria", "America/Vancouver", SUMMER, "America/Vancouver"),
    ("Lisbon", "nonsense", SUMMER, "Europe/Lisbon"),
]


@pytest.mark.parametrize(("text", "zone"), ROWS, ids=[text for text, _ in ROWS])
def test_a_place_is_its_zone(text: str, zone: str | None) -> None:
    assert find_timezone(text, now=SUMMER) == zone


@pytest.mark.parametrize(("text", "near", "now", "zone"), FROM_SOMEWHERE)
def test_what_can_be_read_in_several_ways_is_read_from_where_the_person_is(
    text: str, near: str, now: datetime, zone: str
) -> None:
    assert find_timezone(text, near=near, now=now) == zone


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "+" * 5000, "/" * 79, "Paris," * 13, "\u0000", "  ", "🌍", "%s"]
)
def test_no_text_is_too_odd_to_ask_about(text: str) -> None:
    assert find_timezone(text, now=SUMMER) is None


@pytest.mark.parametrize("text", ["EST5EDT", "CST6CDT", "mst7mdt", "PST8PDT", "posixrules"])
def test_what_the_database_does_not_take_for_a_zone_is_none(text: str) -> None:
    assert find_timezone(text, now=SUMMER) is None


@pytest.mark.parametrize("text", ["Madrid!", "“Madrid”", "Madrid."])
def test_marks_around_a_name_do_not_matter(text: str) -> None:
    assert find_timezone(text, now=SUMMER) == "Europe/Madrid"


def test_every_name_of_a_zone_leads_to_one_that_loads_and_leads_to_itself() -> None:
    from accounts.places import _load_links

    zones = set(_load_links().values())
    assert len(zones) > 400
    assert [zone for zone in zones if find_timezone(zone, now=SUMMER) != zone] == []
    assert all(ZoneInfo(zone).key == zone for zone in zones)
    assert {"Asia/Calcutta", "Europe/Kiev", "America/Godthab", "EST", "Factory"}.isdisjoint(zones)


def test_a_clock_is_described_by_its_hour_and_weekday() -> None:
    assert describe_clock("Asia/Kolkata", now=datetime(2026, 9, 8, 8, 35, tzinfo=UTC)) == "14:05 on Tuesday"
