"""When made-up people write: in runs, by day on their own clocks, more of them as time goes on.

Times are microseconds since `EPOCH`, as PostgreSQL has them.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

SECOND = 1_000_000
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
PER_RUN = 4  # events that follow each other closely, on average
PAUSE_SECONDS, SHORTEST_SECONDS, BURST_SECONDS = 100, 20, 5  # between events of a run, and of one turn
APART_SECONDS = 2  # at least, between events of one person
# How much of a person's day falls into each hour of it.
WAKING = np.array([2, 1, 1, 1, 1, 2, 4, 8, 10, 9, 8, 8, 10, 9, 8, 8, 8, 9, 11, 12, 13, 12, 8, 4], dtype=float)


def to_microseconds(when: datetime) -> int:
    """An instant as the arrays have it."""
    return (when - EPOCH) // timedelta(microseconds=1)


def to_datetime(microseconds: int) -> datetime:
    """An instant of the arrays, in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


class Clocks:
    """The clocks of some zones between two instants; zones are named by their place in ``zones``."""

    def __init__(self, zones: list[str], *, begin: int, end: int) -> None:
        self._first = begin // HOUR - 48
        hours = range(self._first, end // HOUR + 24 * 70)
        self._offsets = np.array(
            [[_get_offset(zone, hour) for hour in hours] for zone in zones], dtype=np.int64
        )

    def to_local(self, at: np.ndarray, zone: np.ndarray) -> np.ndarray:
        """What the clocks of the zones show at these instants, as if it were UTC."""
        return at + self._offsets[zone, self._get_place(at)]

    def to_utc(self, local: np.ndarray, zone: np.ndarray) -> np.ndarray:
        """About the instants at which the clocks show this: an hour wrong where they are put forward or back."""
        return local - self._offsets[zone, self._get_place(local)]

    def _get_place(self, at: np.ndarray) -> np.ndarray:
        return np.clip(at // HOUR - self._first, 0, self._offsets.shape[1] - 1)


def _get_offset(zone: str, hour: int) -> int:
    offset = to_datetime(hour * HOUR).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None  # aware
    return offset // timedelta(microseconds=1)


def draw_times(
    rng: np.random.Generator,
    *,
    owner: np.ndarray,
    sizes: np.ndarray,
    zone: np.ndarray,
    follows: np.ndarray,
    clocks: Clocks,
    begin: int,
    end: int,
) -> np.ndarray:
    """When each event happens, from ``begin`` to ``end`` and a little before.

    Events lie person after person; each person's rise. ``follows``: in the same turn as the one
    before it. ``sizes`` and ``zone`` are of people.
    """
    count = len(owner)
    is_first = np.diff(owner, prepend=-1) != 0
    begins_run = (is_first | (rng.random(count) < 1 / PER_RUN)) & ~follows
    run = begins_run.cumsum() - 1
    gaps = np.where(
        follows, BURST_SECONDS, rng.exponential(PAUSE_SECONDS, count).astype(int) + SHORTEST_SECONDS
    )
    elapsed = np.where(begins_run, 0, gaps).cumsum()
    run_owner = owner[begins_run]
    # Who writes much has begun long ago; of the others more and more come.
    since = begin + (end - begin) * rng.random(len(sizes)) ** (0.8 + sizes / 20)
    day = since[run_owner] + (end - since[run_owner]) * rng.random(run[-1] + 1)
    hour = rng.choice(24, len(day), p=WAKING / WAKING.sum()) + rng.random(len(day))
    starts = clocks.to_utc((day // DAY * DAY + hour * HOUR).astype(np.int64), zone[run_owner])
    starts = np.where(starts > end - HOUR, starts - DAY, starts)
    starts = starts[np.lexsort((starts, run_owner))]
    seconds = (starts - begin)[run] // SECOND + elapsed - elapsed[begins_run][run]
    # A run that lasts into the next one pushes it on.
    steps = np.arange(count) * APART_SECONDS
    apart = owner * (4 * ((end - begin) // SECOND + steps[-1] + 1))
    seconds = np.maximum.accumulate(seconds - steps + apart) - apart + steps
    last = seconds[np.append(is_first.nonzero()[0][1:], count) - 1]
    seconds -= np.maximum(0, last - ((end - begin) // SECOND - 60))[owner]
    return begin + seconds * SECOND + rng.integers(0, SECOND, count)
