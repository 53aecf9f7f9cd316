"""Who says what when: the plan of a made-up population as columns of numbers, the same for the same seed.

An event is a message, or a memory that came without one (imported, by the API). Events are planned person after person,
each in the order of time, because what can be asked for or corrected depends on what was said before; they are written
in the order of time, everybody's between everybody's, as a running bot would have written them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from backoffice.demo.events import (
    COMMANDS,
    Engine,
    People,
    Shape,
    choose_targets,
    draw_shapes,
    find_repeats,
)
from backoffice.demo.people import draw_people, infer_zone
from backoffice.demo.pool import Pool
from backoffice.demo.times import DAY, SECOND, Clocks, draw_times
from backoffice.demo.words import choose_appointments, choose_texts, choose_words

Columns = dict[str, np.ndarray]
SKEW = 0.9  # of the sizes of people, as Zipf has it
LARGEST = 50  # nobody has more than one message in so many, but where that is less than 200
MANY = 40  # messages, from which on people keep a diary
OPTED_OUT = 0.01  # of the people
BURSTS = 0.12  # of statements that are followed by one of the same turn
SETTLED = 3 * DAY  # what is still open is older than this, so that no sweep takes it up (messaging/tasks.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: how many, the seed, and the time it falls into, in microseconds (demo_times.py)."""

    messages: int
    people: int
    memories: int
    seed: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Plan:
    """People in the order of their first message, events in the order of time. Ids are counted from 1; 0 is none."""

    people: Columns
    events: Columns
    zones: tuple[str, ...]  # that anybody lives in

    @property
    def counts(self) -> dict[str, int]:
        """How many ids of each kind there are."""
        kinds = ("message", "memory", "turn")
        return {"person": len(self.people["home"])} | {
            kind: int(self.events[kind].max(initial=0)) for kind in kinds
        }

    def cut(self, *, size: int) -> Iterator[slice]:
        """About so many events at a time; messages of one turn stay together."""
        last = np.zeros(self.counts["turn"] + 1, dtype=np.int64)
        places = np.arange(len(self.events["turn"]))
        last[self.events["turn"]] = places  # of a repeated index the last one counts: they rise
        last[0] = 0
        whole = (np.maximum.accumulate(last[self.events["turn"]]) <= places).nonzero()[0] + 1
        wanted = np.arange(size, len(places), size)
        ends = whole[np.minimum(np.searchsorted(whole, wanted), len(whole) - 1)]
        yield from (slice(start, end) for start, end in pairwise(np.unique([0, *ends, len(places)]).tolist()))


def make_sizes(rng: np.random.Generator, *, messages: int, people: int) -> np.ndarray:
    """How many messages each person has: a few very many, many one."""
    ranked = np.arange(1, people + 1) ** -SKEW
    most = max(messages // LARGEST, min(messages // 5, 200), -(-messages // people))
    low, high = 0.0, float(messages) * people
    for _ in range(100):
        middle = (low + high) / 2
        sizes = np.clip(middle * ranked, 1, most).astype(np.int64)
        low, high = (low, middle) if sizes.sum() > messages else (middle, high)
    sizes = np.clip(low * ranked, 1, most).astype(np.int64)
    missing = messages - int(sizes.sum())
    sizes += np.bincount(np.arange(missing) % people, minlength=people)
    return rng.permutation(sizes)


def make_plan(wish: Wish, pool: Pool) -> Plan:
    """Plan a population. Raises ValueError for fewer messages than people."""
    if not 0 < wish.people <= wish.messages:
        raise ValueError("Everybody needs a message: give at least as many messages as people.")
    rng = np.random.default_rng([wish.seed, 1])
    sizes = make_sizes(rng, messages=wish.messages, people=wish.people)
    people = draw_people(rng, sizes, most=MANY)
    zones = [
        infer_zone(home, hides=hides) for home, hides in zip(people["home"], people["hides"], strict=True)
    ]
    names = sorted({zone.zone for zone in zones})
    people["zone"] = np.array([names.index(zone.zone) for zone in zones])
    people["is_guessed"] = ~np.array([zone.certain for zone in zones]) & ~people["chose"]
    clocks = Clocks(names, begin=wish.begin, end=wish.end)
    files = pool.files.size
    owner, shape = _draw_events(rng, wish, sizes, files=files, voices=len(pool.voices))
    order = People(owner)
    bursts = _draw_bursts(rng, owner, shape)
    follows = np.append(False, bursts[:-1])
    zone = people["zone"]
    at = draw_times(
        rng,
        owner=owner,
        sizes=sizes,
        zone=zone,
        follows=follows,
        clocks=clocks,
        begin=wish.begin,
        end=wish.end,
    )
    shape[(shape == Shape.OPEN) & (at > wish.end - SETTLED)] = Shape.GREETING
    local = clocks.to_local(at, zone[owner])
    language = people["language"][owner]
    events: Columns = {"shape": shape, "at": at, "language": language, "day": local // DAY}
    choose_texts(rng, order, events, pool=pool, keeps_diary=sizes[owner] > MANY)
    events["target"] = target = np.full(len(owner), -1)
    day = np.where(events["is_daily"], events["day"], 0)
    repeats, repeated = find_repeats(order, text=events["text"], day=day, mask=shape == Shape.SAID)
    shape[repeats], target[repeats] = Shape.AGAIN, repeated
    choose_targets(rng, order, shape=shape, target=target, text=events["text"], files=files, pool=pool)
    choose_words(rng, events, pool)
    choose_appointments(rng, events, pool=pool, zone=zone[owner], clocks=clocks)
    bursts &= (shape == Shape.SAID) & np.append(shape[1:] == Shape.SAID, False)
    events["call"] = 1 + np.append(False, bursts[:-1])
    # What is imported was said some time before; there is no message of it.
    ago = (shape == Shape.DIRECT) & ~events["is_api"]
    events["happened_at"] = np.where(ago, wish.begin + (at - wish.begin) * rng.random(len(at)), at).astype(
        np.int64
    )
    events["roll"] = rng.integers(0, 2**62, len(owner))
    _choose_engines(rng, events, bursts)
    _number(order, events, bursts)
    return _put_in_order(order, events, people, tuple(names))


def _draw_events(
    rng: np.random.Generator, wish: Wish, sizes: np.ndarray, *, files: int, voices: int
) -> tuple[np.ndarray, np.ndarray]:
    """Whose each event is and what: messages, and between them, never first, memories without one."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    ends = sizes.cumsum()
    stops = np.zeros(len(owner), dtype=bool)
    stops[ends[rng.random(len(sizes)) < OPTED_OUT] - 1] = True
    shape = draw_shapes(rng, People(owner), stops=stops, memories=wish.memories, files=files, voices=voices)
    missing = wish.memories - int((shape < Shape.DIRECT).sum())
    direct = np.repeat(np.arange(len(sizes)), rng.multinomial(missing, sizes / sizes.sum()))
    place = (np.arange(len(owner)) - np.repeat(ends - sizes, sizes) + 0.5) / sizes[owner]
    between = 0.5 / sizes[direct] + rng.random(len(direct))
    order = np.lexsort((np.append(place, between), np.append(owner, direct)))
    return (
        np.append(owner, direct)[order],
        np.append(shape, np.full(len(direct), Shape.DIRECT))[order],
    )


def _draw_bursts(rng: np.random.Generator, owner: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Statements that the next one follows in the same turn; two at most."""
    said = shape == Shape.SAID
    bursts = (rng.random(len(owner)) < BURSTS) & said
    bursts[:-1] &= said[1:] & (owner[1:] == owner[:-1])
    bursts[-1] = False
    bursts[1:] &= ~bursts[:-1]
    return bursts


def _choose_engines(rng: np.random.Generator, events: Columns, bursts: np.ndarray) -> None:
    """What answers each message; only the language model corrects, and commands and what went wrong need none."""
    shape = events["shape"]
    engine = rng.choice([Engine.NONE, Engine.MODEL, Engine.AWAY], len(shape), p=[0.08, 0.88, 0.04])
    engine[np.isin(shape, (Shape.CORRECTED, Shape.FILE_AGAIN))] = Engine.MODEL
    engine[np.isin(shape, (*COMMANDS, Shape.UNREADABLE, Shape.APOLOGY))] = Engine.NONE
    begins = bursts.nonzero()[0]
    engine[begins] = engine[begins + 1]
    events["engine"] = engine


def _number(order: People, events: Columns, bursts: np.ndarray) -> None:
    """Number each person's memories, and say which message of a turn names it."""
    shape, target = events["shape"], events["target"]
    makes = shape <= Shape.DIRECT
    events["before"] = order.count_before(makes)
    events["number"] = np.where(makes, events["before"] + 1, 0)
    events["target_number"] = np.where(target >= 0, events["number"][target], 0)
    is_open = (shape == Shape.OPEN) & (events["roll"] % 2 == 0)  # somebody has tried
    events["names"] = ((shape != Shape.DIRECT) & (shape <= Shape.APOLOGY) & ~bursts) | is_open


def _put_in_order(order: People, events: Columns, people: Columns, zones: tuple[str, ...]) -> Plan:
    """Put people and events into the order of time, and give ids to them in that order."""
    at, shape, owner = events["at"], events["shape"], order.owner
    by_time = at.argsort(kind="stable")
    for name, has_one in (
        ("message", shape != Shape.DIRECT),
        ("memory", shape <= Shape.DIRECT),
        ("turn", events["names"]),
    ):
        ids = np.zeros(len(at), dtype=np.int64)
        ids[by_time] = has_one[by_time].cumsum() * has_one[by_time]
        events[name] = ids
    begins = np.append(events["call"][1:] == 2, False)
    events["turn"][begins] = events["turn"][1:][begins[:-1]]
    target = events.pop("target")
    events["target"] = np.where(target >= 0, events["memory"][target], 0)
    sends = (shape == Shape.RECALLED) & (shape[target] == Shape.FILE)
    events["sends"] = np.where(sends, events["message"][target], 0)
    created = at[order.first]  # always a message
    by_age = created.argsort(kind="stable")
    person = np.empty(len(by_age), dtype=np.int64)
    person[by_age] = np.arange(1, len(by_age) + 1)
    events["person"] = person[owner]
    last_message = np.full(len(created), -1)
    np.maximum.at(last_message, owner, np.where(shape != Shape.DIRECT, at, -1))
    asks = events["names"] & (shape <= Shape.GREETING) & ~np.isin(shape, COMMANDS)
    asks &= people["is_guessed"][owner] & (order.count_before(asks) == 0)
    events["asks_zone"] = asks
    people |= {"created_at": created, "last_message": last_message}
    people["memories"] = np.bincount(owner, shape <= Shape.DIRECT, minlength=len(created)).astype(np.int64)
    for name, mask in (("asked_at", asks), ("stopped_at", shape == Shape.STOP)):
        people[name] = np.zeros(len(created), dtype=np.int64)
        people[name][owner[mask]] = at[mask] + SECOND * (shape[mask] != Shape.STOP)
    return Plan(
        {name: column[by_age] for name, column in people.items()},
        {name: _shrink(column[by_time]) for name, column in events.items()},
        zones,
    )


def _shrink(column: np.ndarray) -> np.ndarray:
    """The column in half the memory, where its numbers are small: it is kept until all is written."""
    return column.astype(np.int32) if column.dtype == np.int64 and column.max() < 2**31 else column
