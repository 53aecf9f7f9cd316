"""The real worker: many people at once in one process on few connections, one message of a person at a time."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import make_payload
from tests.doubles.twilio import TwilioDouble, running_twilio_double
from tests.processes import Stack, running_stack, twilio_environment, wait_for
from tests.settings import ACCOUNT_SID, AUTH_TOKEN

PEOPLE = 32
SLOW_SECONDS = 1.5


class SlowTwilio:
    """Makes a double take its time, and remembers how many sends it had in hand at once."""

    def __init__(self, double: TwilioDouble) -> None:
        self.double, self.create = double, double.create
        self.now = self.most = 0
        self.now_of: dict[str, int] = {}
        self.overlapping: set[str] = set()
        self.lock = threading.Lock()
        double.create = self  # type: ignore[method-assign]

    def __call__(self, **fields: Any) -> Any:
        person = fields["to"]
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.now_of[person] = self.now_of.get(person, 0) + 1
            if self.now_of[person] > 1:
                self.overlapping.add(person)
        time.sleep(SLOW_SECONDS)
        with self.lock:
            self.now -= 1
            self.now_of[person] -= 1
        return self.create(**fields)


@pytest.fixture
def slow(tmp_path: Any) -> Iterator[tuple[Stack, SlowTwilio]]:
    """A bot whose worker is not running yet, and a Twilio that takes its time."""
    with running_twilio_double(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN) as double:
        environment = twilio_environment(double.base_url) | {"DATABASE_POOL_SIZE": "4"}
        with running_stack(data_dir=tmp_path, environment=environment) as stack:
            yield stack, SlowTwilio(double)


def test_32_people_are_served_at_once_on_four_connections_and_each_in_order(
    slow: tuple[Stack, SlowTwilio],
) -> None:
    stack, twilio = slow
    for number in range(2 * PEOPLE):
        payload = make_payload("/list", From=f"whatsapp:+1202555{number % PEOPLE:04d}")
        assert twilio.double.post_webhook(stack.base_url, payload).status_code == 200
    wait_for(lambda: len(twilio.double.messages) == 2 * PEOPLE, seconds=60, what="every answer")
    assert twilio.most == PEOPLE, "WORKER_CONCURRENCY sends were in Twilio's hands at once"
    assert twilio.overlapping == set()
