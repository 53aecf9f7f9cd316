"""PostgreSQL restarts while everything runs: what was answered 200 is stored, and the bot comes back by itself."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import make_payload
from tests.doubles.twilio import TwilioDouble, running_twilio_double
from tests.processes import Stack, running_stack, twilio_environment, wait_for
from tests.settings import ACCOUNT_SID, AUTH_TOKEN
from whatsbot import embedded_postgres, postmaster


class Bot:
    """A stack whose PostgreSQL can be taken away."""

    def __init__(self, stack: Stack, double: TwilioDouble, server: embedded_postgres.Handle) -> None:
        self.stack, self.double, self.server = stack, double, server

    def deliver(self, body: str = "Milk is on the list") -> tuple[str, int]:
        """Post a new message of one of ten people; returns its SID and the status."""
        payload = make_payload(body, From=f"whatsapp:+1202555{time.monotonic_ns() % 10:04d}")
        return payload["MessageSid"], self.double.post_webhook(self.stack.base_url, payload).status_code

    def restart_postgres(self, *, away_seconds: float) -> None:
        """Stop the server and start it again after a while."""
        postmaster.stop_postmaster(self.stack.postgres_dir / "postgres")
        time.sleep(away_seconds)
        self.server.ensure_running()


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """Web and worker on a PostgreSQL of their own."""
    postgres_dir = tmp_path_factory.mktemp("postgres")
    with (
        embedded_postgres.running(postgres_dir) as server,
        running_twilio_double(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN) as double,
        running_stack(
            data_dir=tmp_path_factory.mktemp("data"),
            postgres_dir=postgres_dir,
            environment=twilio_environment(double.base_url) | {"SEND_GRACE_SECONDS": "2"},
        ) as stack,
    ):
        yield Bot(stack, double, server)


def burst(bot: Bot, *, seconds: float) -> list[tuple[str, int]]:
    """Webhooks from eight threads for a while."""
    until = time.monotonic() + seconds

    def keep_posting(_: int) -> list[tuple[str, int]]:
        sent = []
        while time.monotonic() < until:
            sent.append(bot.deliver())
        return sent

    with ThreadPoolExecutor(8) as pool:
        return [result for results in pool.map(keep_posting, range(8)) for result in results]


def stored_sids(bot: Bot) -> set[str]:
    return {sid for (sid,) in bot.stack.sql("SELECT message_sid FROM messaging_rawmessage")}


def assert_everything_is_answered_once(bot: Bot) -> None:
    wait_for(
        lambda: (
            bot.stack.sql("SELECT count(*) FROM messaging_rawmessage WHERE status = 'received'")[0][0] == 0
        ),
        seconds=60,
        what="every message to be answered",
    )
    wait_for(
        lambda: (
            bot.stack.sql(
                "SELECT count(*) FROM messaging_outboundmessage WHERE status IN ('pending', 'sending')"
            )
            == [(0,)]
        ),
        seconds=60,
        what="every answer to be sent",
    )
    (messages,) = bot.stack.sql("SELECT count(*) FROM messaging_rawmessage")[0]
    assert len(bot.double.messages) == messages


def test_a_restart_during_a_burst_loses_nothing_that_was_acknowledged(bot: Bot) -> None:
    restart = threading.Timer(1.0, bot.restart_postgres, kwargs={"away_seconds": 1.0})
    restart.start()
    results = burst(bot, seconds=4)
    restart.join()
    statuses = Counter(status for _, status in results)
    print(statuses)
    assert set(statuses) <= {200, 503}
    assert statuses[200] > 8, "each of the eight posters got through again"
    acknowledged = {sid for sid, status in results if status == 200}
    assert acknowledged <= stored_sids(bot)
    assert_everything_is_answered_once(bot)


def test_webhooks_get_a_503_while_the_database_stays_away_and_200_when_it_is_back(bot: Bot) -> None:
    postmaster.stop_postmaster(bot.stack.postgres_dir / "postgres")
    try:
        started = time.monotonic()
        sid, status = bot.deliver()
        took = time.monotonic() - started
    finally:
        bot.server.ensure_running()
    assert status == 503
    assert 8 < took < 15, "Twilio waits 15 s"
    wait_for(lambda: bot.deliver()[1] == 200, seconds=10, what="webhooks to be taken again")
    assert sid not in stored_sids(bot)
    assert_everything_is_answered_once(bot)


def test_periodic_work_goes_on_after_a_restart(bot: Bot) -> None:
    bot.restart_postgres(away_seconds=0.5)
    count = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'messaging.recover_stalled_jobs'"
    before = bot.stack.sql(count)[0][0]
    wait_for(lambda: bot.stack.sql(count)[0][0] >= before + 2, seconds=30, what="periodic jobs to be queued")
