"""A few thousand texts that made-up people say, made from the phrases of `demo_texts`; each is embedded once.

Everybody draws from the same pool, so that a million memories have real vectors and words without embedding a million
times. A phrase is a text with an index; a question, a correction and an answer are phrases too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from backoffice.demo.files import CAPTIONS, Sample
from backoffice.demo.people import LANGUAGES, NAMES
from backoffice.demo.texts import PLACES, SPEECHES, Fact, Speech
from media.models import MediaFile
from memories.models import Memory
from memories.sameness import identify_words
from messaging.attachment_memories import MAP, compose_text

SHARES = {"en": 34, "es": 15, "pt": 13, "de": 10, "fr": 9, "hi": 8, "ru": 4, "ar": 4, "ja": 3}  # of the texts
DAILY, IMPORTED = 0.35, 0.15  # of the texts of a language; the rest are facts
ANY_DAY = date(2025, 6, 4)
EMPTY = 0  # the phrase without words


@dataclass(frozen=True, slots=True)
class Phrase:
    """``type`` is that of the memory of it, "" for what is no memory; the others are phrases, 0 for none."""

    text: str
    type: str = ""
    question: int = EMPTY
    correction: int = EMPTY


@dataclass(slots=True)
class Pool:
    """All phrases, and which of them are what, for each language in the order of `LANGUAGES`."""

    phrases: list[Phrase] = field(default_factory=lambda: [Phrase("")])
    facts: list[np.ndarray] = field(default_factory=list)
    daily: list[np.ndarray] = field(default_factory=list)
    imported: list[np.ndarray] = field(default_factory=list)
    greetings: list[np.ndarray] = field(default_factory=list)  # the answer is the phrase's question
    kept: list[np.ndarray] = field(default_factory=list)
    unknown: list[np.ndarray] = field(default_factory=list)
    searches: list[np.ndarray] = field(default_factory=list)
    leads: list[int] = field(default_factory=list)
    misses: list[int] = field(default_factory=list)
    places: np.ndarray = field(default_factory=lambda: np.array([], dtype=np.int64))
    files: np.ndarray = field(
        default_factory=lambda: np.zeros((0, 1), dtype=np.int64)
    )  # by sample and caption
    captions: np.ndarray = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    samples: np.ndarray = field(default_factory=lambda: np.array([], dtype=np.int64))  # of ``files``
    voices: np.ndarray = field(default_factory=lambda: np.array([], dtype=np.int64))
    voice_samples: np.ndarray = field(default_factory=lambda: np.array([], dtype=np.int64))
    known: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, text: str, type: str = "", *, question: int = EMPTY, correction: int = EMPTY) -> int:
        """The index of a phrase, which is there once for each type."""
        if not text:
            return EMPTY
        if (text, type) not in self.known:
            self.known[text, type] = len(self.phrases)
            self.phrases.append(Phrase(text, type, question, correction))
        return self.known[text, type]

    def get_column(self, name: str) -> np.ndarray:
        """One field of all phrases."""
        return np.array([getattr(phrase, name) for phrase in self.phrases])

    @property
    def remembered(self) -> list[int]:
        """The phrases memories say."""
        return [index for index, phrase in enumerate(self.phrases) if phrase.type]


def make_pool(rng: np.random.Generator, *, texts: int) -> Pool:
    """About as many texts of memories as asked for; every language has some."""
    pool = Pool()
    for language in LANGUAGES:
        speech = SPEECHES[language]
        wanted = max(6, texts * SHARES[language] // sum(SHARES.values()))
        daily = round(wanted * DAILY) if speech.daily else 0
        imported = max(1, round(wanted * IMPORTED))
        made = _make_facts(pool, rng, language, speech.facts, wanted=wanted - daily - imported)
        senders = [rng.choice(NAMES[language][0].split()) for _ in range(imported)]
        said = [pool.phrases[each] for each in rng.choice(made, imported)]
        pool.facts.append(made)
        pool.daily.append(_make_facts(pool, rng, language, speech.daily, wanted=daily))
        pool.imported.append(
            np.array(
                [
                    pool.add(f"{sender}: {phrase.text}", Memory.Type.NOTE.value, question=phrase.question)
                    for sender, phrase in zip(senders, said, strict=True)
                ]
            )
        )
        _add_talk(pool, speech)
    pool.places = np.array(
        [
            pool.add(
                f"{name}, {address} ({latitude}, {longitude}) {MAP}{latitude},{longitude}",
                Memory.Type.PLACE.value,
                question=pool.add(f"{name}?"),
            )
            for latitude, longitude, name, address in PLACES
        ]
    )
    return pool


def add_files(pool: Pool, files: Sequence[MediaFile], samples: Sequence[Sample]) -> None:
    """What is remembered of sent files, under each caption; of a voice note it is what is said.

    A small pool has fewer captions.
    """
    captions = CAPTIONS[: max(2, len(pool.phrases) // 200)]
    heard = [index for index, sample in enumerate(samples) if sample.is_heard]
    shown = [index for index, sample in enumerate(samples) if not sample.is_heard]
    pool.captions = np.array([pool.add(caption) for caption in captions])
    pool.samples, pool.voice_samples = np.array(shown), np.array(heard)
    pool.voices = np.array([pool.add(samples[index].text, Memory.Type.NOTE.value) for index in heard])
    pool.files = np.array(
        [
            [
                pool.add(
                    compose_text(
                        files[index],
                        caption=caption,
                        file_name=samples[index].file_name,
                        zone=ZoneInfo("UTC"),
                    ),
                    Memory.Type.FILE.value,
                    question=pool.add(f"Do you still have the {files[index].kind}?"),
                )
                for caption in captions
            ]
            for index in shown
        ]
    )


def _make_facts(
    pool: Pool, rng: np.random.Generator, language: str, facts: Sequence[Fact], *, wanted: int
) -> np.ndarray:
    """Different statements, in no order, made by filling the fields of ``facts`` in turn."""
    if not facts:
        return np.array([], dtype=np.int64)
    made: dict[int, None] = {}
    for turn in range(20 * wanted):  # where the fields are used up there are fewer
        if len(made) == wanted:
            break
        type, statement, question = facts[turn % len(facts)]
        values = _fill(rng, language)
        code = int(values["code"])
        correction = (
            pool.add(statement.format(**values | {"code": code + 1}), type) if "{code}" in statement else 0
        )
        asked = pool.add(question.format(**values))
        made[pool.add(statement.format(**values), type, question=asked, correction=correction)] = None
    return rng.permutation(np.array(list(made)))


def _fill(rng: np.random.Generator, language: str) -> dict[str, str]:
    """A value for every field. Codes are even, so that corrected ones, which are odd, are never said by themselves."""
    fields = SPEECHES[language].fields
    return {
        **{name: str(rng.choice(values)) for name, values in fields.items()},
        "name": str(rng.choice(NAMES[language][0].split())),
        "n": str(rng.integers(2, 30)),
        "code": str(2 * rng.integers(500, 5000)),
    }


def _add_talk(pool: Pool, speech: Speech) -> None:
    pool.greetings.append(
        np.array([pool.add(said, question=pool.add(answer)) for said, answer in speech.greetings])
    )
    pool.kept.append(np.array([pool.add(text) for text in speech.kept]))
    pool.unknown.append(np.array([pool.add(text) for text in speech.unknown]))
    words = [word for values in speech.fields.values() for word in values]
    pool.searches.append(np.array([pool.add(f"/search {word}") for word in words]))
    pool.leads.append(pool.add(speech.lead))
    pool.misses.append(pool.add(speech.missed))


@lru_cache(maxsize=50_000)  # days go by, and with them what is asked for
def identify(
    text: str, said_on: date = ANY_DAY, event_start: datetime | None = None, event_end: datetime | None = None
) -> UUID:
    """What makes a repeat the same memory; of a text that names no day any day gives the same."""
    return identify_words(text, said_on=said_on, event_start=event_start, event_end=event_end)
