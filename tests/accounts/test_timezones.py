import subprocess
import sys
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from accounts.timezones import (
    ZONES_BY_POPULATION,
    InferredZone,
    _get_zones_of_country,
    _keep_one_time,
    _load_zone_table,
    infer_timezone_from_number,
)

UNINHABITED = {"AQ", "UM"}


def infer(number: str | None) -> tuple[str, bool]:
    inferred = infer_timezone_from_number(number)
    return inferred.zone, inferred.certain


def example_number(region: str, kind: int = PhoneNumberType.MOBILE) -> str:
    number = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


@pytest.mark.parametrize(
    ("region", "zone"),
    [
        ("RU", "Europe/Moscow"),
        ("ES", "Europe/Madrid"),
        ("PT", "Europe/Lisbon"),
        ("AU", "Australia/Sydney"),
        ("NZ", "Pacific/Auckland"),
        ("ID", "Asia/Jakarta"),
        ("EC", "America/Guayaquil"),
        ("CD", "Africa/Kinshasa"),
        ("MN", "Asia/Ulaanbaatar"),
        ("GL", "America/Nuuk"),
        ("KI", "Pacific/Tarawa"),
        ("PF", "Pacific/Tahiti"),
    ],
)
def test_a_mobile_of_a_country_with_several_times_is_guessed_where_most_people_live(
    region: str, zone: str
) -> None:
    assert infer(example_number(region)) == (zone, False)


@pytest.mark.parametrize(
    ("region", "zone"),
    [
        ("KZ", "Asia/Almaty"),
        ("FR", "Europe/Paris"),
        ("DE", "Europe/Berlin"),
        ("IN", "Asia/Kolkata"),
        ("NP", "Asia/Kathmandu"),
        ("CN", "Asia/Shanghai"),
        ("AR", "America/Argentina/Buenos_Aires"),
        ("MY", "Asia/Kuala_Lumpur"),
        ("UA", "Europe/Kyiv"),
        ("JM", "America/Jamaica"),
        ("XK", "Europe/Belgrade"),
        ("RE", "Indian/Reunion"),
        ("YT", "Indian/Mayotte"),
        # libphonenumber says Canaries, Paris, Bucharest, Chicago for these.
        ("MA", "Africa/Casablanca"),
        ("DZ", "Africa/Algiers"),
        ("PS", "Asia/Gaza"),
        ("NI", "America/Managua"),
    ],
)
def test_a_mobile_of_a_country_with_one_time_is_certain(region: str, zone: str) -> None:
    assert infer(example_number(region)) == (zone, True)


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+12025550123", "America/New_York"),
        ("+13125550123", "America/Chicago"),
        ("+14155550123", "America/Los_Angeles"),
        ("+16025550123", "America/Phoenix"),
        ("+18085550123", "Pacific/Honolulu"),
        ("+14165550123", "America/Toronto"),
        ("+16045550123", "America/Vancouver"),
        ("+18765550123", "America/Jamaica"),
        ("+74955550123", "Europe/Moscow"),
        ("+73835550123", "Asia/Novosibirsk"),
        ("+61255501234", "Australia/Sydney"),
        ("+61731001234", "Australia/Brisbane"),
        ("+5511955501234", "America/Sao_Paulo"),
        ("+5592955501234", "America/Manaus"),
        ("+526645550123", "America/Tijuana"),
    ],
)
def test_an_area_code_inside_one_zone_is_certain(number: str, zone: str) -> None:
    assert infer(number) == (zone, True)


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+18005550123", "America/New_York"),  # toll-free: 42 zones
        ("+12085550123", "America/Boise"),  # Idaho: most of it on Mountain time
        ("+16055550123", "America/North_Dakota/Center"),  # South Dakota: most of it on Central time
        ("+17095550123", "America/St_Johns"),
        ("+19075550123", "America/Anchorage"),
        ("+61851012345", "Australia/Perth"),
    ],
)
def test_an_area_code_across_zones_is_guessed_where_most_of_its_people_live(number: str, zone: str) -> None:
    assert infer(number) == (zone, False)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+447700900123", ("Europe/London", True)),
        ("+5215555501234", ("America/Mexico_City", True)),
        ("+5216645550123", ("America/Tijuana", True)),
        ("+551187654321", ("America/Sao_Paulo", True)),
        ("+559287654321", ("America/Manaus", True)),
        ("+10000000000", ("America/New_York", False)),
        ("+18760550123", ("America/Jamaica", True)),
        ("+26226900000", ("Indian/Mayotte", False)),
        ("+14150550123", ("America/Los_Angeles", False)),
    ],
)
def test_a_number_libphonenumber_calls_invalid_falls_back_to_its_country(
    number: str, expected: tuple[str, bool]
) -> None:
    assert infer(number) == expected


@pytest.mark.parametrize(
    "number",
    [
        None,
        "",
        "+",
        "rubbish",
        "whatsapp:",
        "whatsapp:rubbish",
        "+8816123456",
        "+883510012345",
        "+999123456789",
        "7916 123 45 67",
        "+1 (202) 555-0123",
        "tel:+12025550123",
        "+1\x00234567890",
        "+" + "1" * 40,
        "ZZ.123",
        "us.123",
        "US.",
        "whatsapp:US.12 34",
        "٠١٢٣٤٥٦",
    ],
)
def test_nothing_known_is_utc_and_not_certain(number: str | None) -> None:
    assert infer(number) == ("UTC", False)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("whatsapp:+79123456789", ("Europe/Moscow", False)),
        ("whatsapp:US.13491208655302741918", ("America/New_York", False)),
        ("whatsapp:DE.1a2B3c", ("Europe/Berlin", True)),
        ("IN.13491208655302741918", ("Asia/Kolkata", True)),
        ("whatsapp:RU.1", ("Europe/Moscow", False)),
        ("whatsapp:FM.1", ("Pacific/Chuuk", False)),
        ("whatsapp:XK.1", ("Europe/Belgrade", True)),
    ],
)
def test_channel_addresses_and_business_scoped_ids_are_understood(
    address: str, expected: tuple[str, bool]
) -> None:
    assert infer(address) == expected


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_region_gets_a_loadable_zone_of_its_own_country(region: str) -> None:
    for number in (example_number(region), example_number(region, PhoneNumberType.FIXED_LINE)):
        inferred = infer_timezone_from_number(number)
        assert inferred.zone in available_timezones()
        assert ZoneInfo(inferred.zone).key == inferred.zone
        owner = phonenumbers.region_code_for_number(phonenumbers.parse(number))
        assert inferred.zone in _get_zones_of_country(owner or region)
        infer_timezone_from_number.cache_clear()
        assert infer_timezone_from_number(number) == inferred


def test_every_country_whose_zones_differ_is_ranked_by_hand() -> None:
    table = _load_zone_table()
    differing = {country for country, zones in table.items() if not _keep_one_time(zones)}
    assert differing - UNINHABITED <= ZONES_BY_POPULATION.keys()
    assert phonenumbers.SUPPORTED_REGIONS - table.keys() <= ZONES_BY_POPULATION.keys()


def test_every_zone_in_the_ranking_belongs_to_its_country() -> None:
    table = _load_zone_table()
    strays = {
        (country, zone)
        for country, zones in ZONES_BY_POPULATION.items()
        for zone in zones
        if country in table and zone not in table[country]
    }
    assert strays == set()


def test_phonenumbers_is_imported_only_when_a_number_is_looked_up() -> None:
    code = "import accounts.timezones, sys; print('phonenumbers' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "False"


def test_the_answer_is_a_value() -> None:
    assert infer_timezone_from_number("+12025550123") == InferredZone(zone="America/New_York", certain=True)
