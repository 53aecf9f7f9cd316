"""Made-up people: numbers nobody can have, names in their script, and where they live."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from accounts.models import WhatsAppUser
from accounts.timezones import InferredZone, infer_timezone_from_number
from backoffice.demo.texts import SPEECHES

MOST_PEOPLE = 1_000_000  # one digit less than the shortest numbers below have left
HIDE_THEIR_NUMBER = 0.04
CHOSE_THEIR_ZONE = 0.06
_SPREAD = (
    7_368_787  # has no factor in common with ten, so that neighbours get numbers far apart and none twice
)


@dataclass(frozen=True, slots=True)
class Country:
    """Where people live: ISO 3166, beginnings of their numbers with the digits left, languages, and how many they are.

    The numbers are as long as the country's are, in blocks that its plan gives to nobody: an exchange of North America
    never begins with 1, Brazil has no area 20, and so on (tests/backoffice/test_demo_data.py asks libphonenumber). What
    countries keep for films is too little: a few hundred numbers here and there.
    """

    code: str
    prefixes: tuple[str, ...]
    digits: int
    languages: tuple[str, ...]
    weight: float


COUNTRIES = (
    Country("US", ("+12021", "+12121", "+13121", "+14151", "+13031", "+13051"), 6, ("en", "en", "es"), 17),
    Country("CA", ("+14161", "+16041"), 6, ("en", "fr"), 3),
    Country("GB", ("+4469",), 8, ("en",), 8),
    Country("AU", ("+6168",), 7, ("en",), 3),
    Country("KE", ("+25491",), 7, ("en",), 3),
    Country("IN", ("+9150",), 8, ("hi", "en"), 14),
    Country("BR", ("+55209",), 8, ("pt",), 12),
    Country("PT", ("+35197",), 7, ("pt",), 2),
    Country("ES", ("+3459",), 7, ("es",), 6),
    Country("MX", ("+5260",), 8, ("es",), 6),
    Country("AR", ("+54969",), 8, ("es",), 3),
    Country("CO", ("+5739",), 8, ("es",), 3),
    Country("CL", ("+5690",), 7, ("es",), 1),
    Country("DE", ("+4919",), 9, ("de",), 7),
    Country("FR", ("+3387",), 7, ("fr",), 4),
    Country("SN", ("+22169",), 7, ("fr",), 1),
    Country("RU", ("+769",), 8, ("ru",), 2),
    Country("EG", ("+2018",), 8, ("ar",), 2),
    Country("SA", ("+96652",), 7, ("ar",), 1),
    Country("MA", ("+21258",), 7, ("ar", "fr"), 1),
    Country("JP", ("+8168",), 8, ("ja",), 1),
)
# Given names and family names, by language.
NAMES = {
    "en": (
        "Emma Liam Olivia Noah Grace James Amelia Daniel Chloe Samuel Wanjiru Kofi Ruby Ethan Zoe Jack Maya Leo",
        "Smith Johnson Walker Otieno Clarke Nguyen Murphy Baker Hughes Mwangi Patel Turner Reed Cooper Young",
    ),
    "es": (
        "Lucía Mateo Sofía Martín Valentina Diego Camila Javier Elena Andrés Carmen Pablo Ximena Joaquín Rocío",
        "García Rodríguez Hernández Quispe Fernández Torres Navarro Castillo Ibáñez Muñoz Ríos Vega Peña",
    ),
    "pt": (
        "Ana João Beatriz Pedro Larissa Rafael Inês Tiago Camila Gabriel Luísa Thiago Conceição Caio Júlia",
        "Silva Santos Oliveira Souza Araújo Pereira Lima Gonçalves Ribeiro Carvalho Brandão Nóbrega",
    ),
    "de": (
        "Mia Jonas Hannah Felix Lea Paul Jürgen Lina Max Greta Ayşe Lukas Käthe Moritz Frieda Björn",
        "Müller Schmidt Weber Yılmaz Fischer Köhler Becker Schröder Wolf Groß Krüger Vogel Jäger",
    ),
    "fr": (
        "Camille Hugo Léa Louis Aïcha Gabriel Chloé Jules Fatou Théo Inès Mamadou Élodie Noé Zoé François",
        "Martin Bernard Dubois Diop Lefèvre Moreau Ndiaye Garnier Rousseau Bélanger Tremblay Chevalier",
    ),
    "hi": (
        "आरव सान्या रोहन प्रिया विवान अनन्या अर्जुन काव्या इशान मीरा राहुल नेहा सुनीता विक्रम दीया",
        "शर्मा वर्मा गुप्ता सिंह यादव मिश्रा जोशी पटेल चौधरी त्रिपाठी अग्रवाल",
    ),
    "ru": (
        "Анна Дмитрий Мария Алексей Екатерина Сергей Ольга Михаил Дарья Илья Наталья Фёдор",
        "Иванов Смирнов Кузнецов Попов Соколов Лебедев Козлов Новиков Морозов",
    ),
    "ar": (
        "محمد فاطمة أحمد مريم يوسف نور عمر ليلى خالد سارة حسن آية كريم هدى",
        "الحسن إبراهيم المصري العتيبي منصور بنعلي الشريف حداد صالح",
    ),
    "ja": (
        "陽菜 蓮 結衣 翔太 美咲 大輝 さくら 健一 由美 直樹",
        "佐藤 鈴木 高橋 田中 渡辺 伊藤 山本 中村 小林",
    ),
}
LANGUAGES = tuple(NAMES)
# What some put around their name.
ORNAMENTS = ("{}", "{}", "{}", "{}", "{}", "{} ✨", "{} 🌻", "~{}", "{} (work)", "{} 🇪🇺")


HOMES = tuple((country, prefix) for country in COUNTRIES for prefix in country.prefixes)


@dataclass(frozen=True, slots=True)
class Person:
    """The columns of `WhatsAppUser` that are the same whatever a person does."""

    id: int
    whatsapp_id: str
    phone_number: str | None
    business_scoped_id: str | None
    profile_name: str
    name: str
    timezone: str
    timezone_source: str


def draw_people(rng: np.random.Generator, sizes: np.ndarray, *, most: int) -> dict[str, np.ndarray]:
    """For each person: ``home`` (of `HOMES`), ``hides`` the number, ``chose`` the zone, ``language``, ``roll``.

    Who sends more than ``most`` messages speaks a language with words for a diary.
    """
    count = len(sizes)
    weights = np.array([country.weight / len(country.prefixes) for country, _ in HOMES])
    fits = np.array([all(SPEECHES[language].daily for language in country.languages) for country, _ in HOMES])
    home = rng.choice(len(HOMES), count, p=weights / weights.sum())
    many = (sizes > most).nonzero()[0]
    home[many] = rng.choice(len(HOMES), len(many), p=weights * fits / (weights * fits).sum())
    spoken = np.array(  # the same for all but for how often a language is among six
        [
            [LANGUAGES.index(country.languages[at % len(country.languages)]) for at in range(6)]
            for country, _ in HOMES
        ]
    )
    return {
        "home": home,
        "hides": rng.random(count) < HIDE_THEIR_NUMBER,
        "chose": rng.random(count) < CHOSE_THEIR_ZONE,
        "language": spoken[home, rng.integers(0, 6, count)],
        "roll": rng.integers(0, 2**62, count),
    }


def make_person(id: int, *, home: int, hides: bool, chose: bool, language: int, roll: int) -> Person:
    """The person with this id, which makes the number one of its own; ``roll`` decides the name.

    Raises ValueError for an id beyond `MOST_PEOPLE`.
    """
    if id >= MOST_PEOPLE:
        raise ValueError(f"There are numbers for {MOST_PEOPLE:,} people only.")
    country, prefix = HOMES[home]
    phone_number = f"{prefix}{id * _SPREAD % 10**country.digits:0{country.digits}}"
    address = f"whatsapp:{country.code}.{10**16 + id * _SPREAD}" if hides else f"whatsapp:{phone_number}"
    inferred = infer_zone(home, hides=hides)
    given, family = NAMES[LANGUAGES[language]]
    roll, first = _pick(roll, given.split())
    roll, last = _pick(roll, family.split())
    roll, ornament = _pick(roll, ORNAMENTS)
    whole = f"{last} {first}" if LANGUAGES[language] == "ja" else f"{first} {last}"
    source = WhatsAppUser.TimezoneSource
    return Person(
        id=id,
        whatsapp_id=address,
        phone_number=None if hides else phone_number,
        business_scoped_id=address if hides else None,
        profile_name=ornament.format(whole if roll % 3 else first) if roll % 31 else "",
        name="" if roll % 97 else whole,
        timezone=inferred.zone,
        timezone_source=(
            source.CHOSEN if chose else source.INFERRED if inferred.certain else source.GUESSED
        ).value,
    )


@cache
def infer_zone(home: int, *, hides: bool) -> InferredZone:
    """The zone the product takes for that of the people of a home; it is the same for all of them."""
    country, prefix = HOMES[home]
    return infer_timezone_from_number(
        f"whatsapp:{country.code}.1" if hides else f"whatsapp:{prefix}{'1' * country.digits}"
    )


def _pick(roll: int, of: Sequence[str]) -> tuple[int, str]:
    """What is left of a roll, and one of these."""
    rest, part = divmod(roll, len(of))
    return rest, of[part]
