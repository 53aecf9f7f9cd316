"""Short profiles of `tests.chaos.killed_worker`; the long one is its command."""

import random

import pytest

from tests.chaos import killed_worker


@pytest.mark.parametrize(("burst", "messages", "kills"), [(0.0, 40, 2), (1.0, 20, 1)])
def test_nothing_is_lost_doubled_or_reordered_when_the_worker_is_killed(
    burst: float, messages: int, kills: int
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    report = killed_worker.run(messages=messages, users=messages // 4, kills=kills, seed=seed, burst=burst)
    assert report.is_flawless(messages=messages, burst=burst), report
