"""Search: by meaning, by words, by time; only one's own; at the cost it promises."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import WhatsAppUser
from memories import ranking
from memories.changes import update_memory
from memories.dates import UtcRange
from memories.models import Memory, MemoryHistory
from memories.ranking import rank_memories
from memories.search import ALWAYS, get_memories, search_memories
from memories.store import store_memory_direct
from memories.words import count_words
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import embedder, mem0, mem0_local

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2025, 6, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def ana(transactional_db: None) -> Iterator[WhatsAppUser]:
    """Somebody without memories."""
    yield WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550123", timezone="UTC")
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


def remember(
    user: WhatsAppUser, *texts: str, at: datetime = NOON, apart: timedelta = HOUR, **fields: Any
) -> list[Memory]:
    return [
        store_memory_direct(
            user_id=user.id,
            text=text,
            source=Memory.Source.API,
            happened_at=at + number * apart,
            **fields,
        ).memory
        for number, text in enumerate(texts)
    ]


def find(user: WhatsAppUser, query: str, **narrowed: Any) -> list[str]:
    return [hit.memory.text for hit in search_memories(user_id=user.id, query=query, **narrowed).hits]


FACTS = (
    "The landlord raised the rent",
    "Buy milk and eggs",
    "My gate code is 4711",
    "Der Zug fährt um acht ab",
)


def test_meaning_finds_what_shares_no_word(ana: WhatsAppUser) -> None:
    remember(ana, *FACTS)
    assert find(ana, "did the apartment get more expensive")[0] == FACTS[0]
    assert find(ana, "what should I get at the supermarket")[0] == FACTS[1]
    assert find(ana, "when does the train leave")[0] == FACTS[3]


def test_words_find_codes_and_names_whatever_their_case_and_accents(ana: WhatsAppUser) -> None:
    remember(ana, *FACTS)
    assert find(ana, "4711")[0] == FACTS[2]
    assert find(ana, "FAHRT ZUG")[0] == FACTS[3]


def test_nobody_finds_anothers_memories(ana: WhatsAppUser) -> None:
    bo = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550124")
    remember(ana, *FACTS)
    remember(bo, "The gate of the zoo")
    assert find(bo, "gate code 4711") == ["The gate of the zoo"]
    assert "The gate of the zoo" not in find(ana, "gate of the zoo")


def test_a_range_holds_what_was_said_in_it_from_its_start_to_before_its_end(ana: WhatsAppUser) -> None:
    remember(ana, "rent one", "rent two", "rent three")
    within = UtcRange(start=NOON, end=NOON + 2 * HOUR)
    assert set(find(ana, "rent", within=within)) == {"rent one", "rent two"}
    assert set(find(ana, "rent", within=UtcRange(start=NOON + HOUR, end=None))) == {"rent two", "rent three"}
    assert set(find(ana, "rent", within=UtcRange(start=None, end=NOON))) == set()
    assert [memory.text for memory in get_memories(user_id=ana.id, within=within)] == ["rent two", "rent one"]


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (10, 11, False),  # ends as the event begins
        (10, 11.5, True),
        (12, 13, True),
        (13, 14, False),  # begins as the event ends
        (None, 11.5, True),
        (12.5, None, True),
        (13, None, False),
    ],
)
def test_a_range_holds_what_takes_place_in_it(
    ana: WhatsAppUser, start: float | None, end: float | None, found: bool
) -> None:
    day = datetime(2025, 7, 1, tzinfo=UTC)
    remember(ana, "the rent party", event_start=day + 11 * HOUR, event_end=day + 13 * HOUR)
    within = UtcRange(start=day + start * HOUR if start else None, end=day + end * HOUR if end else None)
    if start is None:
        within = UtcRange(start=NOON + HOUR, end=within.end)  # after it was said
    assert find(ana, "rent party", within=within) == ["the rent party"] * found


def test_an_event_without_an_end_is_a_moment(ana: WhatsAppUser) -> None:
    start = datetime(2025, 7, 1, 11, tzinfo=UTC)
    remember(ana, "dentist", event_start=start)
    assert find(ana, "dentist", within=UtcRange(start=start, end=start + HOUR)) == ["dentist"]
    assert find(ana, "dentist", within=UtcRange(start=start - HOUR, end=start)) == []
    assert find(ana, "dentist", within=UtcRange(start=start + HOUR, end=None)) == []


def test_what_was_said_again_in_a_range_is_in_it(ana: WhatsAppUser) -> None:
    (memory,) = remember(ana, "the gate code is 4711")
    again = NOON + 48 * HOUR
    MemoryHistory.objects.create(
        memory=memory, kind=MemoryHistory.Kind.REPEATED, text=memory.text, said_at=again
    )
    assert find(ana, "gate code", within=UtcRange(start=again, end=again + HOUR)) == [memory.text]
    assert find(ana, "gate code", within=UtcRange(start=again + HOUR, end=None)) == []


def test_types_and_sources_narrow(ana: WhatsAppUser) -> None:
    remember(ana, "the rent note")
    remember(ana, "the rent office", type=Memory.Type.PLACE)
    assert find(ana, "rent", types=[Memory.Type.PLACE]) == ["the rent office"]
    assert find(ana, "rent", sources=[Memory.Source.IMPORT]) == []


def test_an_answer_beside_the_words_of_the_question_is_found_unless_long_after(ana: WhatsAppUser) -> None:
    talk = ["Did you ever decide about the holiday?", "Yes, Lisbon it is!"]
    noise = [
        f"{colour} paint for the {room}" for colour in ("Red", "Blue", "Green") for room in ("hall", "attic")
    ]
    remember(ana, *noise)
    remember(ana, *talk, at=NOON + 240 * HOUR, apart=timedelta(minutes=1))
    hits = search_memories(user_id=ana.id, query="holiday decide").hits
    assert [hit.memory.text for hit in hits[:2]] == talk
    assert hits[1].from_neighbours > 0
    Memory.objects.filter(text=talk[1]).update(happened_at=NOON + 242 * HOUR)
    assert all(
        hit.from_neighbours == 0 for hit in search_memories(user_id=ana.id, query="holiday decide").hits
    )


def test_a_hit_says_why(ana: WhatsAppUser) -> None:
    remember(ana, *FACTS)
    best = search_memories(user_id=ana.id, query="Where are the parking gates?").hits[0]
    assert best.memory.text == FACTS[2]
    assert best.score == 1
    assert best.shared_words == {"gates"}
    assert best.similarity is not None
    assert 0.7 < best.similarity < 1
    assert best.from_neighbours == 0


def test_without_mem0_words_alone_answer_and_say_so(
    ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(ana, *FACTS)

    def be_away(**arguments: Any) -> Any:
        raise TransientProviderError("away")

    monkeypatch.setattr(mem0, "search_entries", be_away)
    result = search_memories(user_id=ana.id, query="What is the gate code?")
    assert result.degraded
    assert [hit.memory.text for hit in result.hits] == [FACTS[2]]
    assert result.hits[0].similarity is None
    assert find(ana, "how much is my flat") == []


def test_a_search_costs_one_embedding_one_query_of_mem0_and_one_of_ours(
    ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    remember(ana, *FACTS)
    calls: Counter[str] = Counter()
    embed, scan = embedder.embed_query, mem0_local._get_memory().vector_store.search

    def embed_query(*args: Any, **kwargs: Any) -> Any:
        calls["embedding"] += 1
        return embed(*args, **kwargs)

    def search(*args: Any, **kwargs: Any) -> Any:
        calls["mem0"] += 1
        return scan(*args, **kwargs)

    monkeypatch.setattr(embedder, "embed_query", embed_query)
    monkeypatch.setattr(mem0_local._get_memory().vector_store, "search", search)
    within = UtcRange(start=NOON, end=NOON + HOUR)
    for narrowed in ({}, {"within": within, "types": ["note"], "sources": ["api"]}):
        calls.clear()
        with django_assert_num_queries(1):
            search_memories(user_id=ana.id, query="gate code", **narrowed)
        assert calls == {"embedding": 1, "mem0": 1}


def test_a_correction_wins_at_once(ana: WhatsAppUser) -> None:
    (memory,) = remember(ana, "The dentist is on Friday")
    update_memory(user_id=ana.id, number=memory.number, text="The plumber is on Friday", said_at=NOON + HOUR)
    assert find(ana, "plumber") == ["The plumber is on Friday"]
    assert all(
        hit.shared_words == {"friday"} for hit in search_memories(user_id=ana.id, query="dentist friday").hits
    )


@pytest.mark.parametrize("query", ["", "   ", "?!", "👍", "\0", "what did I say", "a" * 20_000])
def test_any_query_is_answered(ana: WhatsAppUser, query: str) -> None:
    remember(ana, *FACTS)
    assert len(find(ana, query, limit=3)) <= 3


def test_the_scores_are_those_the_ranking_describes(ana: WhatsAppUser) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    vocabulary = [f"{letter}{number}" for letter in "abcdefgh" for number in range(6)]
    rows = [
        Memory(
            user=ana,
            number=number,
            mem0_id=f"00000000-0000-4000-8000-{number:012d}",
            source="api",
            text=" ".join(chance.choices(vocabulary, weights=range(1, 49), k=chance.randint(1, 12))),
            happened_at=NOON + timedelta(minutes=chance.choice([1, 2, 31, 90]) * number),
        )
        for number in range(60)
    ]
    for row in rows:
        row.word_count = count_words(row.text).total()
    Memory.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO memories_memoryword (user_id, word, memory_id, count, word_count) VALUES (%s, %s, %s, %s, %s)",
            [
                (ana.id, word, row.id, count, row.word_count)
                for row in rows
                for word, count in count_words(row.text).items()
            ],
        )
    for _ in range(20):
        words = chance.sample(vocabulary, k=3)
        near = {row: chance.random() for row in chance.sample(rows, k=15)}
        narrowed = chance.choice([None, Memory.objects.filter(user=ana, number__lt=40)])
        found = rank_memories(
            user_id=ana.id,
            mem0_ids=[row.mem0_id for row in near],
            similarities=list(near.values()),
            words=words,
            narrowed=narrowed,
            candidates=10,
            limit=60,
        )
        allowed = set(rows) if narrowed is None else {row for row in rows if row.number < 40}
        expected = score(rows, words=words, near=near, allowed=allowed, candidates=10)
        assert [row.id for row in found] == [
            row.id for row in sorted(expected, key=lambda row: (-expected[row], -row.id))
        ]
        assert [row.score for row in found] == pytest.approx(sorted(expected.values(), reverse=True))


def score(
    rows: list[Memory], *, words: list[str], near: dict[Memory, float], allowed: set[Memory], candidates: int
) -> dict[Memory, float]:
    """The ranking again, in Python."""
    counts = {row: count_words(row.text) for row in rows}
    mean = max(1.0, sum(row.word_count for row in rows) / len(rows))
    bm25: dict[Memory, float] = {}
    for row in allowed:
        value = 0.0
        for word in words:
            holders = sum(word in each for each in counts.values())
            if count := counts[row][word]:
                idf = math.log(1 + (len(rows) - holders + 0.5) / (holders + 0.5))
                length = 1 - ranking.B + ranking.B * row.word_count / mean
                value += idf**2 * count * (ranking.K1 + 1) / (count + ranking.K1 * length)
        if value:
            bm25[row] = value
    worded = dict(sorted(bm25.items(), key=lambda item: (-item[1], -item[0].id))[:candidates])
    near = {row: similarity for row, similarity in near.items() if row in allowed}
    own: dict[Memory, float] = {}
    for row in near.keys() | worded.keys():
        own[row] = 0.0
        if row in near:
            low, high = min(near.values()), max(near.values())
            own[row] += ranking.MEANING * (1 if low == high else (near[row] - low) / (high - low))
        if row in worded:
            own[row] += ranking.WORDS * worded[row] / max(worded.values())
    in_time = sorted(rows, key=lambda row: (row.happened_at, row.id))
    total = dict(own)
    for row, value in own.items():
        at = in_time.index(row)
        for step, share in ((1, ranking.DIRECT), (2, ranking.NEXT_BUT_ONE)):
            for other in (at - step, at + step):
                if 0 <= other < len(in_time):
                    neighbour = in_time[other]
                    apart = abs(neighbour.happened_at - row.happened_at)
                    if neighbour in allowed and apart <= timedelta(minutes=ranking.NEIGHBOUR_MINUTES):
                        total[neighbour] = total.get(neighbour, 0.0) + share * value
    best = max(total.values(), default=1)
    return {row: value / best for row, value in total.items()}


def test_no_range_is_all_of_time(ana: WhatsAppUser) -> None:
    remember(ana, "the rent")
    assert find(ana, "rent", within=ALWAYS) == find(ana, "rent")
