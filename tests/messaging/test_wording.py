"""What our code adds to answers: in the person's language, and only a yes is a yes."""

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from memories.dates import LocalDays
from messaging import wording
from messaging.wording import guess_language, is_yes, say_range
from messaging.wording_texts import TEXTS

KOLKATA = ZoneInfo("Asia/Kolkata")
TODAY = date(2026, 9, 15)


@pytest.mark.parametrize("language", TEXTS)
def test_every_language_has_every_sentence_with_the_same_fields(language: str) -> None:
    assert TEXTS[language].keys() == TEXTS["en"].keys()
    for key, text in TEXTS[language].items():
        assert sorted(re.findall(r"{\w*}", text)) == sorted(re.findall(r"{\w*}", TEXTS["en"][key])), key
        assert language == "en" or text != TEXTS["en"][key], key


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("When is my sister's birthday?", "en"),
        ("", "en"),
        ("4711 👍", "en"),
        ("Mumbai Pune Thane", "en"),
        ("¿Cuándo es el cumpleaños de mi hermana?", "es"),
        ("Quando é o aniversário da minha irmã?", "pt"),
        ("C'est quand l'anniversaire de ma sœur ?", "fr"),
        ("Wann hat meine Schwester Geburtstag?", "de"),
        ("Quando è il compleanno di mia sorella?", "it"),
        ("Wanneer is mijn zus jarig en hoe oud wordt ze?", "nl"),
        ("Когда день рождения у моей сестры?", "ru"),
        ("मेरी बहन का जन्मदिन कब है?", "hi"),
        ("מתי יום ההולדת של אחותי?", "he"),
        ("متى عيد ميلاد أختي؟", "ar"),
        ("私の妹の誕生日はいつ?", "en"),
    ],
)
def test_a_language_is_guessed_where_its_words_or_letters_tell(text: str, language: str) -> None:
    assert guess_language(text) == language


YES = [
    *("yes", "Yes!", "YES PLEASE", "yes, forget it", "ok", "Sure.", "yep 👍", "👍🏽", "✅", "go", "confirm"),
    *(
        "sí",
        "si, por favor",
        "sim",
        "oui",
        "Ja bitte",
        "va bene",
        "да",
        "Да, пожалуйста!",
        "हाँ",
        "כן",
        "نعم",
        "evet",
    ),
    *("tak", "はい", "是的", "네", "vâng", "så"),
]
NO = [
    *("no", "yesterday", "yes but not the second", "not yes", "", "?", "yes?", "yes or no", "please", "ok 3"),
    *("why yes", "ja nein", "si no", "I said yes", "да нет", "yes #3", "/yes", "y" * 5000, "yes " * 50),
]


@pytest.mark.parametrize("text", [text for text in YES if text != "go"])
def test_a_yes_is_a_yes_in_many_languages(text: str) -> None:
    assert is_yes(text)


@pytest.mark.parametrize("text", NO)
def test_anything_else_is_none(text: str) -> None:
    assert not is_yes(text)


@pytest.mark.parametrize(
    ("days", "language", "said"),
    [
        ((date(2026, 9, 1), date(2026, 9, 8)), "en", "1–7 September, Kolkata time"),
        ((date(2026, 8, 30), date(2026, 9, 3)), "en", "30 August – 2 September, Kolkata time"),
        ((date(2025, 9, 1), date(2025, 9, 8)), "en", "1–7 September 2025, Kolkata time"),
        ((date(2025, 12, 29), date(2026, 1, 5)), "en", "29 December 2025 – 4 January 2026, Kolkata time"),
        ((date(2026, 6, 3), date(2026, 6, 4)), "en", "Wednesday 3 June, Kolkata time"),
        ((date(2026, 6, 3), None), "en", "since Wednesday 3 June, Kolkata time"),
        ((None, date(2025, 6, 3)), "en", "before Tuesday 3 June 2025, Kolkata time"),
        ((date(2026, 9, 1), date(2026, 9, 8)), "de", "1.–7. Sept., Zeit von Kolkata"),
        ((date(2026, 6, 3), None), "es", "desde el mié, 3 de junio, hora de Kolkata"),
        ((date(2026, 9, 1), date(2026, 9, 8)), "ar", "1–7 سبتمبر، بتوقيت Kolkata"),
    ],
)
def test_days_are_told_with_the_clocks_they_are_on(
    days: tuple[date | None, date | None], language: str, said: str
) -> None:
    start, end = days
    assert say_range(LocalDays(start=start, end=end), zone=KOLKATA, today=TODAY, language=language) == said


@pytest.mark.parametrize(
    ("zone", "city"),
    [
        ("America/New_York", "New York"),
        ("America/Argentina/Buenos_Aires", "Buenos Aires"),
        ("Etc/GMT-5", "UTC+5"),
        ("Etc/GMT+3", "UTC-3"),
        ("UTC", "UTC"),
    ],
)
def test_a_zone_is_named_by_its_city_or_its_offset(zone: str, city: str) -> None:
    now = datetime(2026, 9, 15, 12, tzinfo=UTC)
    assert f" {city} time (" in wording.ask_zone(zone=ZoneInfo(zone), now=now, language="en")


def test_receipts_name_numbers_and_quote_texts_shortly() -> None:
    assert wording.say_saved(numbers=[12], language="en") == "Saved as #12."
    assert wording.say_saved(numbers=[1, 2, 3], language="de") == "Gespeichert als #1, #2 und #3."
    assert wording.say_corrected(numbers=[3], language="xx") == "Corrected #3. /undo 3 takes it back."
    assert (
        wording.say_known(pairs=[(3, "the  gate\ncode")], language="en")
        == "I knew that already: #3 “the gate code”"
    )
    assert len(wording.say_not_saved(texts=["word " * 500], language="en")) < 200
    assert wording.ask_to_forget(pairs=[(3, "a")], language="en").startswith("Forget #3 “a”? Reply yes")
    several = wording.ask_to_forget(pairs=[(3, "a"), (5, "b")], language="en").splitlines()
    assert several[:3] == ["Forget #3 and #5?", "• #3 “a”", "• #5 “b”"]
