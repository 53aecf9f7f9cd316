"""What made-up people send and what it comes to, drawn event by event."""

from enum import IntEnum, auto

import numpy as np

from backoffice.demo.pool import EMPTY, Pool
from backoffice.demo.texts import PLACES


class Shape(IntEnum):
    """What a message is and comes to. Those up to `DIRECT` make a memory."""

    SAID = auto()
    VOICE = auto()
    FILE = auto()
    PLACE = auto()
    DIRECT = auto()  # no message at all
    AGAIN = auto()  # what is known already
    FILE_AGAIN = auto()
    CORRECTED = auto()
    RECALLED = auto()
    MISSED = auto()
    LISTED = auto()  # /search
    HELP = auto()
    ZONE = auto()  # /tz
    GREETING = auto()
    UNREADABLE = auto()
    APOLOGY = auto()
    REACTION = auto()  # from here on there is no answer
    STOP = auto()
    OPEN = auto()


class Engine(IntEnum):
    """What has answered."""

    NONE = auto()  # the assistant that needs no language model
    MODEL = auto()
    AWAY = auto()  # the former, because the model was away


# Of a thousand messages; what is left are statements.
MIX = {
    Shape.VOICE: 8,
    Shape.FILE: 30,
    Shape.PLACE: 12,
    Shape.AGAIN: 8,
    Shape.CORRECTED: 10,
    Shape.RECALLED: 240,
    Shape.MISSED: 30,
    Shape.LISTED: 22,
    Shape.HELP: 12,
    Shape.ZONE: 6,
    Shape.GREETING: 55,
    Shape.UNREADABLE: 5,
    Shape.APOLOGY: 3,
    Shape.REACTION: 15,
}
COMMANDS = (Shape.LISTED, Shape.HELP, Shape.ZONE)
OPEN = 0.0004  # of all messages
TRIES = 6  # to find a memory that can be repeated or corrected


class People:
    """Counting within people, whose events lie behind each other."""

    def __init__(self, owner: np.ndarray) -> None:
        self.owner = owner
        self.first = np.searchsorted(owner, np.arange(owner[-1] + 1))  # event of each person

    def count_before(self, mask: np.ndarray) -> np.ndarray:
        """How many events of the mask the same person has before each event."""
        before = mask.cumsum() - mask
        return before - before[self.first][self.owner]

    def get_nth(self, mask: np.ndarray, nth: np.ndarray) -> np.ndarray:
        """For each event the nth event, from 0, of the mask and of the same person; anything if there is none."""
        those = mask.nonzero()[0]
        if not len(those):
            return np.zeros(len(self.owner), dtype=np.int64)
        before = (mask.cumsum() - mask)[self.first][self.owner]
        return those[np.minimum(before + nth, len(those) - 1)]


def draw_shapes(
    rng: np.random.Generator, people: People, *, stops: np.ndarray, memories: int, files: int, voices: int
) -> np.ndarray:
    """What each message is; at most ``memories`` of them make one.

    ``stops`` are the messages that say stop. Nobody sends one of ``files`` (with their captions) or ``voices`` twice
    without its being known.
    """
    count = len(people.owner)
    edges = np.cumsum(list(MIX.values()))
    shape = np.array([*MIX, Shape.SAID])[np.searchsorted(edges, rng.random(count) * 1000, side="right")]
    shape[rng.random(count) < OPEN] = Shape.OPEN
    shape[stops] = Shape.STOP
    for kind, there in ((Shape.VOICE, voices), (Shape.PLACE, len(PLACES))):
        shape[(shape == kind) & (people.count_before(shape == kind) >= there)] = Shape.SAID
    told = (shape < Shape.DIRECT).nonzero()[0]
    shape[rng.permutation(told)[memories:]] = Shape.MISSED
    again = (shape == Shape.FILE) & (people.count_before(shape == Shape.FILE) >= files)
    shape[again] = Shape.FILE_AGAIN
    return shape


def find_repeats(
    people: People, *, text: np.ndarray, day: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Events of the mask that say what an earlier one of their person said, on the same day, and those earlier ones."""
    those = mask.nonzero()[0]
    keys = np.stack((people.owner[those], text[those], day[those]))
    order = np.lexsort((those, *keys))
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (np.diff(keys[:, order]) != 0).any(axis=0)
    firsts = order[is_new][is_new.cumsum() - 1]
    return those[order[~is_new]], those[firsts[~is_new]]


def choose_targets(
    rng: np.random.Generator,
    people: People,
    *,
    shape: np.ndarray,
    target: np.ndarray,
    text: np.ndarray,
    files: int,
    pool: Pool,
) -> None:
    """Write into ``target`` the earlier memory, as an event, that a message repeats, corrects or asks for.

    ``target`` is -1 where that is not known yet. What is repeated is never corrected. Messages that find no memory
    become `Shape.MISSED`.
    """
    makes = shape <= Shape.DIRECT
    before = people.count_before(makes)
    sent_before = people.count_before(shape == Shape.FILE_AGAIN)
    again = shape == Shape.FILE_AGAIN
    target[again] = people.get_nth(shape == Shape.FILE, sent_before % files)[again] if files else -1
    can_correct = (shape == Shape.SAID) & (pool.get_column("correction")[text] > EMPTY)
    is_fact = np.zeros(len(pool.phrases), dtype=bool)
    is_fact[np.concatenate(pool.facts)] = True
    can_repeat = (shape == Shape.SAID) & is_fact[text]
    for kind, fits in ((Shape.CORRECTED, can_correct), (Shape.AGAIN, can_repeat)):
        taken = np.zeros(len(shape), dtype=bool)
        taken[target[(target >= 0) & np.isin(shape, (Shape.AGAIN, Shape.CORRECTED))]] = True
        if kind is Shape.AGAIN:  # may be repeated more than once
            taken[target[(target >= 0) & (shape == Shape.AGAIN)]] = False
        for _ in range(TRIES):
            left = ((shape == kind) & (target < 0) & (before > 0)).nonzero()[0]
            found = _draw_earlier(rng, people, makes=makes, before=before)[left]
            good = fits[found] & ~taken[found]
            target[left[good]] = found[good]
        if kind is Shape.CORRECTED:
            _keep_first(target, shape == kind)
    recalled = (shape == Shape.RECALLED) & (before > 0)
    target[recalled] = _draw_earlier(rng, people, makes=makes, before=before)[recalled]
    shape[np.isin(shape, (Shape.CORRECTED, Shape.AGAIN, Shape.FILE_AGAIN, Shape.RECALLED)) & (target < 0)] = (
        Shape.MISSED
    )


def _draw_earlier(
    rng: np.random.Generator, people: People, *, makes: np.ndarray, before: np.ndarray
) -> np.ndarray:
    """For each event any earlier one of its person that makes a memory; nonsense where there is none."""
    return people.get_nth(makes, (rng.random(len(makes)) * before).astype(np.int64))


def _keep_first(target: np.ndarray, mask: np.ndarray) -> None:
    """Let each memory be the target of one event only."""
    those = mask.nonzero()[0]
    those = those[target[those] >= 0]
    _, firsts = np.unique(target[those], return_index=True)
    target[np.delete(those, firsts)] = -1
