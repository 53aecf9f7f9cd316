"""Short profiles of `tests.chaos.killed_worker`; the long one is its command."""

import random

import pytest

from tests.chaos import killed_worker


@pytest.mark.parametrize("burst", [0.0, 1.0])
def test_nothing_is_lost_doubled_or_reordered_when_the_worker_is_killed(burst: float) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    report = killed_worker.run(messages=40, users=10, kills=2, seed=seed, burst=burst)
    assert report.is_flawless(messages=40, burst=burst), report
