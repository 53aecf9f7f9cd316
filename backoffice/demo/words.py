"""The words of a plan: what each message says and each memory remembers, as phrases of the pool."""

import numpy as np

from backoffice.demo.events import People, Shape
from backoffice.demo.pool import EMPTY, Pool
from backoffice.demo.times import DAY, HOUR, Clocks
from memories.models import Memory

Columns = dict[str, np.ndarray]
BY_API = 0.25  # of the memories without a message; the others are imported
MOST = 10_000  # more than any list of phrases has
WORKING_HOURS = range(9, 19)


def _pick(lists: list[np.ndarray], language: np.ndarray, nth: np.ndarray) -> np.ndarray:
    """The nth phrase of each event's language, beginning anew behind the last one.

    Any phrase where the language has none.
    """
    lengths = np.array([len(each) for each in lists])
    starts = lengths.cumsum() - lengths
    places = starts[language] + nth % np.maximum(lengths, 1)[language]
    return np.concatenate(lists)[np.minimum(places, lengths.sum() - 1)]


def choose_texts(
    rng: np.random.Generator, order: People, events: Columns, *, pool: Pool, keeps_diary: np.ndarray
) -> None:
    """Add ``text``, what memories say, ``file``, the sample that is sent (from 1), ``is_daily`` and ``is_api``.

    Nobody says a fact twice before having said all of their language; who keeps a diary never does.
    """
    shape, language = events["shape"], events["language"]
    count = len(shape)
    text, file = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    offset = rng.integers(0, MOST, len(order.first))[order.owner]

    def fill(mask: np.ndarray, phrases: np.ndarray) -> None:
        text[mask] = phrases[mask]

    said = shape == Shape.SAID
    daily = said & keeps_diary & (order.count_before(said) % 6 == 0)
    facts = np.array([len(each) for each in pool.facts])[language]
    daily |= said & keeps_diary & (order.count_before(said & ~daily) >= facts)
    fill(said & ~daily, _pick(pool.facts, language, offset + order.count_before(said & ~daily)))
    fill(daily, _pick(pool.daily, language, offset + order.count_before(daily)))
    by_api = (shape == Shape.DIRECT) & (rng.random(count) < BY_API)
    fill(shape == Shape.DIRECT, _pick(pool.imported, language, rng.integers(0, MOST, count)))
    fill(by_api, _pick(pool.facts, language, rng.integers(0, MOST, count)))
    place, voice, shown = (shape == kind for kind in (Shape.PLACE, Shape.VOICE, Shape.FILE))
    fill(place, pool.places[(offset + order.count_before(place)) % len(pool.places)])
    heard = (offset + order.count_before(voice)) % len(pool.voices)
    fill(voice, pool.voices[heard])
    samples, captions = pool.files.shape
    nth = order.count_before(shown)
    sample, caption = (offset + nth) % samples, (offset + nth // samples) % captions
    fill(shown, pool.files[sample, caption])
    file[voice], file[shown] = pool.voice_samples[heard][voice] + 1, pool.samples[sample][shown] + 1
    events |= {"text": text, "file": file, "is_daily": daily, "is_api": by_api}
    events["said"] = np.where(shown, pool.captions[caption], EMPTY)


def choose_words(rng: np.random.Generator, events: Columns, pool: Pool) -> None:
    """Add to ``said`` what each message says, and as ``reply`` the words of the model.

    ``text`` becomes what a correction says, ``file`` what is sent again.
    """
    shape, language, target, said = (events[name] for name in ("shape", "language", "target", "said"))
    text, file = events["text"], events["file"]
    nth = rng.integers(0, MOST, len(shape))
    again, corrected, sent_again = (
        shape == kind for kind in (Shape.AGAIN, Shape.CORRECTED, Shape.FILE_AGAIN)
    )
    text[again] = text[target[again]]
    text[corrected] = pool.get_column("correction")[text[target[corrected]]]
    file[sent_again], said[sent_again] = file[target[sent_again]], said[target[sent_again]]
    questions = np.where(target >= 0, pool.get_column("question")[text[target]], EMPTY)
    constants = {Shape.HELP: "/help", Shape.ZONE: "/tz", Shape.REACTION: "👍", Shape.STOP: "STOP"}
    choices = {
        Shape.SAID: text,
        Shape.AGAIN: text,
        Shape.CORRECTED: text,
        Shape.RECALLED: questions,
        Shape.MISSED: _pick(pool.unknown, language, nth),
        Shape.LISTED: _pick(pool.searches, language, nth),
        Shape.GREETING: _pick(pool.greetings, language, nth),
        Shape.APOLOGY: _pick(pool.unknown, language, nth),
        Shape.OPEN: _pick(pool.facts, language, nth),
        **{kind: np.full(len(shape), pool.add(words)) for kind, words in constants.items()},
    }
    for kind, phrases in choices.items():
        said[shape == kind] = phrases[shape == kind]
    answers = {
        Shape.RECALLED: np.array(pool.leads)[language],
        Shape.MISSED: np.array(pool.misses)[language],
        Shape.GREETING: pool.get_column("question")[said],
    }
    events["reply"] = _pick(pool.kept, language, nth)
    for kind, phrases in answers.items():
        events["reply"][shape == kind] = phrases[shape == kind]


def choose_appointments(
    rng: np.random.Generator, events: Columns, *, pool: Pool, zone: np.ndarray, clocks: Clocks
) -> None:
    """Add ``starts_at`` and ``ends_at`` of what takes place some day, at full hours of the person's own clocks."""
    is_event = pool.get_column("type")[events["text"]] == Memory.Type.EVENT.value
    is_event &= (events["shape"] == Shape.SAID) | events["is_api"]
    count = len(is_event)
    hour = rng.integers(WORKING_HOURS.start, WORKING_HOURS.stop, count)
    starts = clocks.to_utc((events["day"] + rng.integers(1, 60, count)) * DAY + hour * HOUR, zone)
    events["starts_at"] = np.where(is_event, starts, 0)
    events["ends_at"] = np.where(is_event & (rng.random(count) < 0.5), starts + HOUR, 0)
