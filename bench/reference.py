"""Search over one person's memories without a database or an index: what docs/memory.md says, number by number.

The reference `bench/search_scale` compares the product with. It shares with the product what a word is
(memories/words.py), the weights of the ranking (memories/ranking.py), and nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from population import Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Which memories may be found: said or taking place from ``start`` up to ``end``, and places only, if asked for."""

    start: int | None = None
    end: int | None = None
    places_only: bool = False


class ExactSearch:
    """One person's memories in memory, in order of time."""

    def __init__(self, contents: Sequence[Content]) -> None:
        from memories.words import count_words

        self.contents = contents = sorted(contents, key=lambda content: (content.happened_at, content.id))
        self.ids = np.array([content.id for content in contents])
        self.vectors = np.array([content.vector for content in contents], dtype=np.float64)
        self.lengths = np.linalg.norm(self.vectors, axis=1)
        self.is_place = np.array([content.is_place for content in contents])
        self.happened_at = np.array([content.happened_at for content in contents])
        self.event_start = np.array([content.event_start for content in contents])
        event_end = np.array([content.event_end for content in contents])
        self.event_end = np.where(event_end < 0, self.event_start + 1, event_end)
        self.word_counts = np.zeros(len(contents))
        self.postings: dict[str, list[tuple[int, int]]] = {}
        for at, content in enumerate(contents):
            counts = count_words(content.text)
            self.word_counts[at] = counts.total()
            for word, count in counts.items():
                self.postings.setdefault(word, []).append((at, count))

    def search(self, *, vector: Sequence[float], terms: str, narrowing: Narrowing) -> dict[int, float]:
        """The score of every memory that fits, best first; that of the best is 1."""
        from memories.ranking import DIRECT, MEANING, NEIGHBOUR_MINUTES, NEXT_BUT_ONE, WORDS
        from memories.search import CANDIDATES
        from memories.words import count_words

        in_range = self._find_in_range(narrowing)
        allowed = in_range & self.is_place if narrowing.places_only else in_range
        similarity = self._get_similarities(vector)
        near = [at for at in self._get_best(similarity, among=in_range)[:CANDIDATES] if allowed[at]]
        bm25 = self._get_bm25(sorted(count_words(terms)))
        worded = self._get_best(bm25, among=allowed & (bm25 > 0))[:CANDIDATES]
        own = dict.fromkeys([*near, *worded], 0.0)
        for at in near:
            worst, best = similarity[near].min(), similarity[near].max()
            own[at] += MEANING * (1.0 if best == worst else (similarity[at] - worst) / (best - worst))
        for at in worded:
            own[at] += WORDS * bm25[at] / bm25[worded].max()
        scores = dict(own)
        for at, score in own.items():
            for step, weight in ((-1, DIRECT), (-2, NEXT_BUT_ONE), (1, DIRECT), (2, NEXT_BUT_ONE)):
                other = at + step
                if not 0 <= other < len(self.ids) or not allowed[other]:
                    continue
                if abs(self.happened_at[at] - self.happened_at[other]) <= NEIGHBOUR_MINUTES * 60:
                    scores[other] = scores.get(other, 0.0) + weight * score
        ranked = sorted(scores, key=lambda at: (-scores[at], -self.ids[at]))
        return {int(self.ids[at]): scores[at] / scores[ranked[0]] for at in ranked}

    def get_nearest(self, *, vector: Sequence[float], limit: int) -> set[str]:
        """Mem0's ids of the memories nearest to a vector."""
        everything = np.ones(len(self.ids), dtype=bool)
        nearest = self._get_best(self._get_similarities(vector), among=everything)[:limit]
        return {str(self.contents[at].mem0_id) for at in nearest}

    def _find_in_range(self, narrowing: Narrowing) -> np.ndarray:
        start = -math.inf if narrowing.start is None else narrowing.start
        end = math.inf if narrowing.end is None else narrowing.end
        said = (self.happened_at >= start) & (self.happened_at < end)
        return said | (self.event_start >= 0) & (self.event_start < end) & (self.event_end > start)

    def _get_similarities(self, vector: Sequence[float]) -> np.ndarray:
        query = np.array(vector, dtype=np.float64)
        return np.maximum(0, self.vectors @ query / self.lengths / np.linalg.norm(query))

    def _get_bm25(self, words: Sequence[str]) -> np.ndarray:
        from memories.ranking import K1, B

        scores, mean = np.zeros(len(self.ids)), max(self.word_counts.mean(), 1)
        for word in words:
            holders = len(self.postings.get(word, ()))
            weight = math.log(1 + (len(self.ids) - holders + 0.5) / (holders + 0.5)) ** 2
            for at, count in self.postings.get(word, ()):
                scores[at] += (
                    weight * count * (K1 + 1) / (count + K1 * (1 - B + B * self.word_counts[at] / mean))
                )
        return scores

    def _get_best(self, values: np.ndarray, *, among: np.ndarray) -> np.ndarray:
        """Where the largest values are, best first; of equal ones the newest row first."""
        places = np.flatnonzero(among)
        return places[np.lexsort((-self.ids[places], -values[places]))]
