"""Messages delivered several times, many at once, while the worker is killed again and again.

    .venv/bin/python -m tests.chaos.killed_worker [--messages 200] [--users 40] [--kills 5] [--burst 0] [--seed N]

The real web server and the real worker run as processes; Twilio is the double, which takes its time to answer so that
kills hit sends as well. Every fourth message is one of three pictures. Prints what was found, and ends with status 1 if
anything was lost, doubled or out of order.
"""

import argparse
import os
import random
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.doubles.twilio import Callbacks, TwilioDouble, running_twilio_double
from tests.media.files import picture
from tests.processes import Stack, running_stack, twilio_environment, wait_for

DELIVERIES = 3
AT_ONCE = 50
SETTLE_SECONDS = 60
# Twilio's usual time to take a message, and the spread of the pauses between kills.
TWILIO_SECONDS = 0.15
EVERY_NTH = 4
PICTURES = tuple(picture(size=(64, height)) for height in (40, 50, 60))
KILL_EVERY_SECONDS = (0.6, 2.0)


@dataclass(frozen=True)
class Report:
    """What was found. ``settled_seconds`` counts from the last restart."""

    seed: int
    refused_webhooks: int
    raw_messages: int
    memories: int
    pictures: int
    files: int
    objects: int  # in the storage; a picture has two, with its thumbnail
    unanswered: int
    interactions: int
    apologies: int
    replies: int
    doubled_replies: int
    users_out_of_order: int
    unfinished: int
    texts_or_numbers_in_logs: int
    settled_seconds: float

    def is_flawless(self, *, messages: int, burst: float) -> bool:
        """Nothing lost, nothing doubled, nothing out of order, nothing left. In bursts several share an answer."""
        return (
            self.refused_webhooks == self.doubled_replies == self.users_out_of_order == self.unfinished == 0
            and self.texts_or_numbers_in_logs == self.unanswered == self.apologies == 0
            and self.raw_messages == self.memories == messages
            and self.pictures == messages // EVERY_NTH
            and self.files == len(PICTURES)
            and self.objects == 2 * self.files
            and self.interactions == self.replies
            and (self.interactions < messages if burst else self.interactions == messages)
            and self.settled_seconds <= SETTLE_SECONDS
        )


def run(*, messages: int, users: int, kills: int, seed: int, burst: float = 0.0) -> Report:
    """Deliver ``messages`` of ``users`` people, kill the worker ``kills`` times meanwhile, and look.

    Messages that come within ``burst`` seconds of each other are answered together.
    """
    from tests.settings import ACCOUNT_SID, AUTH_TOKEN

    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="whatsbot-chaos-"))
    try:
        with running_twilio_double(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN) as double:
            _slow_down(double)
            environment = twilio_environment(double.base_url) | {
                "BURST_SECONDS": str(burst),
                "TWILIO_MEDIA_HOSTS": double.content.authority,
            }
            double.callbacks = Callbacks(copies=2, drop=0.3, shuffle=True)
            with running_stack(data_dir=folder, environment=environment) as stack:
                refused = _deliver_and_kill(
                    stack, double, chance, messages=messages, users=users, kills=kills
                )
                started = time.monotonic()
                _wait_until_settled(stack)
                settled = time.monotonic() - started
                double.wait_for_callbacks()
                return _report(stack, double, seed=seed, refused=refused, settled=settled)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _slow_down(double: TwilioDouble) -> None:
    create = double.create

    def slow(**fields: Any) -> Any:
        time.sleep(TWILIO_SECONDS / 2)
        message = create(**fields)
        time.sleep(TWILIO_SECONDS / 2)
        return message

    double.create = slow  # type: ignore[method-assign]


def _deliver_and_kill(
    stack: Stack, double: TwilioDouble, chance: random.Random, *, messages: int, users: int, kills: int
) -> int:
    """Post everything while the worker dies; returns how many webhooks got no 200."""
    from tests.conftest import make_payload

    payloads = []
    for number in range(messages):
        person = f"1202555{number % users:04d}"
        body = f"Note {number}: {secrets.token_hex(8)}"
        media = {}
        if number % EVERY_NTH == EVERY_NTH - 1:
            media = double.make_media_payload(PICTURES[number // EVERY_NTH % len(PICTURES)], "image/jpeg")
        payloads.append(make_payload(body, From=f"whatsapp:+{person}", WaId=person, **media))
    deliveries = payloads * DELIVERIES
    chance.shuffle(deliveries)

    def deliver(payload: dict[str, str]) -> int:
        return double.post_webhook(stack.base_url, payload).status_code

    done = threading.Event()

    def kill() -> None:
        for _ in range(kills):
            time.sleep(chance.uniform(*KILL_EVERY_SECONDS))
            stack.kill("worker")
            stack.start("worker")
        done.set()

    killer = threading.Thread(target=kill)
    killer.start()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = Counter(pool.map(deliver, deliveries))
    killer.join()
    assert done.is_set(), "the killer died"
    return sum(count for status, count in answers.items() if status != 200)


def _count_unfinished(stack: Stack) -> int:
    (row,) = stack.sql("""
        SELECT (SELECT count(*) FROM messaging_rawmessage WHERE status = 'received')
             + (SELECT count(*) FROM messaging_outboundmessage WHERE status IN ('pending', 'sending'))
             + (SELECT count(*) FROM procrastinate_jobs
                WHERE status IN ('todo', 'doing') AND queue_name IN ('messages', 'media', 'outbox'))
    """)
    return int(row[0])


def _wait_until_settled(stack: Stack) -> None:
    try:
        wait_for(
            lambda: _count_unfinished(stack) == 0, seconds=SETTLE_SECONDS + 30, what="everything to finish"
        )
    except AssertionError:
        print(stack.read_log("worker")[-4000:], file=sys.stderr)


def _report(stack: Stack, double: TwilioDouble, *, seed: int, refused: int, settled: float) -> Report:
    order = {message.sid: place for place, message in enumerate(double.messages)}
    sent: dict[int, list[int]] = {}
    for user_id, sid in stack.sql("""
        SELECT raw.user_id, outbound.twilio_sid
        FROM messaging_rawmessage raw
        JOIN messaging_interaction answer ON answer.raw_message_id = raw.id
        JOIN messaging_outboundmessage outbound ON outbound.interaction_id = answer.id
        ORDER BY raw.id, outbound.part
    """):
        sent.setdefault(user_id, []).append(order.get(sid, -1))
    return Report(
        seed=seed,
        refused_webhooks=refused,
        raw_messages=stack.sql("SELECT count(*) FROM messaging_rawmessage")[0][0],
        memories=stack.sql("SELECT count(DISTINCT raw_message_id) FROM memories_memory")[0][0],
        pictures=stack.sql("SELECT count(*) FROM media_messagemedia WHERE file_id IS NOT NULL")[0][0],
        files=stack.sql(
            "SELECT count(*) FROM media_mediafile file WHERE stored_at IS NOT NULL AND forwarded_count + 1 ="
            " (SELECT count(*) FROM media_messagemedia link WHERE link.file_id = file.id)"
        )[0][0],
        objects=sum(path.is_file() for path in (stack.data_dir / "uploads" / "files").rglob("*")),
        unanswered=stack.sql(
            "SELECT count(*) FROM messaging_rawmessage raw LEFT JOIN messaging_interaction turn"
            " ON turn.id = raw.turn_id WHERE raw.status <> 'answered' OR turn.answered_at IS NULL"
        )[0][0],
        interactions=stack.sql("SELECT count(*) FROM messaging_interaction")[0][0],
        apologies=stack.sql("SELECT count(*) FROM messaging_interaction WHERE kind = 'apology'")[0][0],
        replies=len(double.messages),
        doubled_replies=len(double.messages) - sum(len(places) for places in sent.values()),
        users_out_of_order=sum(places != sorted(places) for places in sent.values()),
        unfinished=_count_unfinished(stack),
        texts_or_numbers_in_logs=sum(
            stack.read_log(name).count(secret)
            for name in ("web", "worker")
            for secret in ("Note ", "1202555")
        ),
        settled_seconds=round(settled, 1),
    )


def main() -> int:
    """Run once and print the report."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--burst", type=float, default=0.0, help="BURST_SECONDS")
    options = parser.parse_args()
    report = run(**vars(options))
    for name, value in asdict(report).items():
        print(f"{name:26}{value:>10}")
    return 0 if report.is_flawless(messages=options.messages, burst=options.burst) else 1


if __name__ == "__main__":
    sys.exit(main())
