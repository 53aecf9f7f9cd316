"""What our code says about files, in the person's language."""

import re
from datetime import date, datetime

import pytest

from media.models import MediaFile, MessageMedia
from messaging.wording_media import (
    caption_media,
    name_kind,
    say_media_late,
    say_not_described,
    say_refused,
    say_sent_before,
)
from messaging.wording_media_texts import KIND_NAMES, KINDS, MEDIA_TEXTS
from messaging.wording_texts import TEXTS

TODAY = date(2026, 9, 15)
NEVER_TRANSLATED = {"caption"}
OF_ALL_LANGUAGES = {"PDF", "Audio", "Video", "Sticker", "Document", "Contact"}


def test_the_languages_are_those_of_all_our_sentences() -> None:
    assert MEDIA_TEXTS.keys() == KIND_NAMES.keys() == TEXTS.keys()


@pytest.mark.parametrize("language", MEDIA_TEXTS)
def test_every_language_has_every_sentence_with_the_same_fields(language: str) -> None:
    assert MEDIA_TEXTS[language].keys() == MEDIA_TEXTS["en"].keys()
    for key, text in MEDIA_TEXTS[language].items():
        assert sorted(re.findall(r"{\w*}", text)) == sorted(re.findall(r"{\w*}", MEDIA_TEXTS["en"][key])), key
        assert language == "en" or key in NEVER_TRANSLATED or text != MEDIA_TEXTS["en"][key], key


@pytest.mark.parametrize("language", KIND_NAMES)
def test_every_kind_has_a_name(language: str) -> None:
    assert list(KINDS) == MediaFile.Kind.values
    for kind in KINDS:
        name = name_kind(kind, language=language)
        is_english = name == name_kind(kind, language="en")
        assert language == "en" or not is_english or name in OF_ALL_LANGUAGES, (kind, name)


@pytest.mark.parametrize("language", MEDIA_TEXTS)
def test_every_refusal_is_told_but_those_that_say_nothing(language: str) -> None:
    for reason in MessageMedia.Refusal.values:
        said = say_refused(kind="picture", reason=reason, language=language, max_megabytes=64)
        assert "{" not in said
        assert bool(said) == (reason not in ("repeated", "deleted"))
        assert ("64" in said) == (reason == "too_big")


def test_sentences_say_which_kind_they_are_about() -> None:
    assert say_media_late(kind="voice note", language="de").startswith("Sprachnachricht: noch nicht")
    assert say_not_described(kind="video", language="xx") == "Video: kept, but I could not look into it."


@pytest.mark.parametrize(
    ("language", "days", "said"),
    [
        ("en", [date(2026, 5, 3)], "You sent this before, on 3 May."),
        ("en", [date(2026, 5, 3), date(2026, 6, 9)], "You sent this before, on 3 May and 9 June."),
        ("en", [date(2025, 5, 3), date(2026, 6, 9)], "You sent this before, on 3 May 2025 and 9 June."),
        (
            "de",
            [date(2026, 5, 3), date(2026, 6, 9)],
            "Das hast du mir schon einmal geschickt: 3. Mai und 9. Juni.",
        ),
        ("es", [date(2026, 5, 3), date(2026, 6, 9)], "Ya me lo habías enviado: 3 de mayo y 9 de junio."),
        (
            "en",
            [date(2026, month, 1) for month in range(1, 7)],
            "You sent this before, on 1 April, 1 May, 1 June and other days (3 more).",
        ),
    ],
)
def test_earlier_days_are_named_in_the_persons_own_way(language: str, days: list[date], said: str) -> None:
    assert say_sent_before(days=days, today=TODAY, language=language) == said


def test_a_caption_says_what_it_is_and_when_it_was_sent() -> None:
    sent = datetime(2026, 5, 5, 14, 2)  # noqa: DTZ001  # on the person's clocks
    assert (
        caption_media(kind="picture", sent_on=sent, today=TODAY, language="en")
        == "Picture, Tuesday, 5 May, 14:02"
    )
    last_year = sent.replace(year=2025)
    said = caption_media(kind="PDF", sent_on=last_year, today=TODAY, language="fr", name="bail.pdf")
    assert said == "PDF, lun. 5 mai 2025, 14:02 (bail.pdf)"
