"""Webhooks go out signed, are tried again for a day, and say nothing of what is forgotten."""

import json
import logging
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from accounts.models import WhatsAppUser
from api import representations, tasks, webhooks
from api.models import WebhookDelivery, WebhookEndpoint
from api.webhooks import WAITS, check_url, deliver
from memories.changes import forget_memory
from memories.models import Memory
from messaging.tasks import TryAgain
from tests.api.made import get_deliveries, make_endpoint, make_numbered_person
from tests.doubles.webhook_receiver import WebhookReceiver, running_receiver
from tests.media.objects import make_file, send_file
from tests.messaging.made import CODE, answer, make_raw, remember
from whatsbot import database
from whatsbot.checks import check_webhooks
from whatsbot.integrations.guarded_http import AddressRefused

pytestmark = pytest.mark.django_db
RunJobs = Callable[[], int]
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture
def receiver(settings: Any) -> Iterator[WebhookReceiver]:
    """A program on this machine, which may be one."""
    with running_receiver() as running:
        settings.WEBHOOK_LOCAL_HOSTS = [running.authority]
        yield running


@pytest.fixture
def endpoint(receiver: WebhookReceiver) -> WebhookEndpoint:
    """Its endpoint, which asks for everything."""
    return make_endpoint(url=f"{receiver.base_url}/hook?a=b", secret=SECRET)


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody with a number."""
    return make_numbered_person()


@pytest.fixture
def even_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No jitter."""
    monkeypatch.setattr(webhooks, "JITTER", 0.0)


def make_delivery(ana: WhatsAppUser) -> WebhookDelivery:
    """The delivery that a new memory has queued."""
    memory = remember(ana)
    return WebhookDelivery.objects.get(event="memory.created", object_id=memory.id)


def get_result(row: WebhookDelivery) -> tuple[str, str, int | None, int]:
    row.refresh_from_db()
    return row.status, row.error, row.response_status, row.attempts


def test_a_memory_arrives_with_a_signature_that_others_can_verify(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    row = make_delivery(ana)
    run_jobs()
    [received] = receiver.received
    assert received.path == "/hook?a=b"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == str(row.id)
    payload = Webhook(SECRET).verify(received.body, received.headers)
    assert payload["type"] == "memory.created"
    assert datetime.fromisoformat(payload["timestamp"]) == row.created_at
    data = payload["data"]
    assert (data["id"], data["memory_text"]) == (row.object_id, CODE)
    assert data["whatsapp_number"] == ana.phone_number
    assert get_result(row) == ("delivered", "", 204, 1)
    assert row.delivered_at is not None
    assert ProcrastinateJob.objects.get(queue_name="webhooks").status == "succeeded"


def test_another_secret_or_another_body_does_not_verify(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser
) -> None:
    deliver(make_delivery(ana).id)
    [received] = receiver.received
    with pytest.raises(WebhookVerificationError):
        Webhook(make_endpoint().secret).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(received.body + b" ", received.headers)


def test_the_six_lines_of_the_documentation_verify(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser
) -> None:
    deliver(make_delivery(ana).id)
    [received] = receiver.received
    text = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()
    documented: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], documented)
    is_ours = documented["is_ours"]
    assert is_ours(received.headers, received.body, SECRET)
    assert not is_ours(received.headers, received.body + b" ", SECRET)
    assert not is_ours(received.headers | {"webhook-timestamp": "1700000000"}, received.body, SECRET)


def test_an_answer_arrives(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    interaction = answer(ana, text="It is 4711. ✓")
    run_jobs()
    [received] = receiver.received
    assert received.payload["type"] == "message.answered"
    assert received.payload["data"]["id"] == interaction.id
    assert received.payload["data"]["answer"] == "It is 4711. ✓"


def test_an_answer_to_a_picture_arrives_with_a_link_to_it(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    raw = make_raw(ana, "look")
    send_file(ana, make_file(b"a picture"), raw=raw)
    turn = answer(ana, raw=raw)
    deliver(WebhookDelivery.objects.get(event="message.answered", object_id=turn.id).id)
    [received] = receiver.received
    [message] = json.loads(received.body)["data"]["messages"]
    assert message["media"][0]["url"].startswith("https://bot.example.com/media/")


def test_a_correction_and_a_deletion_arrive(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    memory = remember(ana)
    Memory.objects.update(text="The gate code is 8362")
    run_jobs()
    forget_memory(user_id=ana.id, number=memory.number)
    run_jobs()
    told = {each.payload["type"]: each.payload["data"] for each in receiver.received}
    assert told["memory.updated"]["memory_text"] == "The gate code is 8362"
    assert told["memory.deleted"] == {"id": memory.id}


def test_a_failure_is_tried_again_with_the_same_id_and_a_fresh_timestamp(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [500, 429, 201]
    row = make_delivery(ana)
    now = datetime.now(UTC).timestamp()
    for seconds in (0, 60, 120):
        monkeypatch.setattr(webhooks.time, "time", lambda late=now + seconds: late)
        wait = deliver(row.id)
        row.refresh_from_db()
        assert (wait is None) == (row.status == "delivered")
    first, second, third = receiver.received
    assert {each.headers["webhook-id"] for each in receiver.received} == {str(row.id)}
    assert [int(each.headers["webhook-timestamp"]) - int(now) for each in receiver.received] == [0, 60, 120]
    assert len({each.headers["webhook-signature"] for each in receiver.received}) == 3
    for each in (first, second, third):
        Webhook(SECRET).verify(each.body, each.headers)
    assert get_result(row) == ("delivered", "", 201, 3)


@pytest.mark.usefixtures("even_waits")
def test_it_is_tried_for_a_day_and_then_given_up(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser
) -> None:
    receiver.answers = [500] * 20
    row = make_delivery(ana)
    waits = []
    while (wait := deliver(row.id)) is not None:
        waits.append(wait)
        assert get_result(row) == ("pending", "status", 500, len(waits))
    assert waits == [*WAITS]
    assert timedelta(hours=23) < timedelta(seconds=sum(waits)) < timedelta(hours=25)
    assert get_result(row) == ("failed", "status", 500, 11)
    assert deliver(row.id) is None
    assert len(receiver.received) == 11


def test_what_failed_together_does_not_come_back_together(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser
) -> None:
    receiver.answers = [500] * 20
    waits = {deliver(make_delivery(ana).id) for _ in range(20)}
    assert len(waits) > 15
    assert all(wait is not None and 4 <= wait <= 6 for wait in waits)


def test_a_job_that_failed_comes_back_when_it_is_time(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    receiver.answers = [500, 503]
    row = make_delivery(ana)
    run_jobs()
    assert get_result(row) == ("delivered", "", 204, 3)


def test_an_endpoint_that_is_gone_is_switched_off(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser
) -> None:
    receiver.answers = [410]
    row, other = make_delivery(ana), make_delivery(ana)
    assert deliver(row.id) is None
    assert get_result(row) == ("failed", "gone", 410, 1)
    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, "410" in endpoint.disabled_reason) == (False, True)
    assert deliver(other.id) is None
    assert get_result(other) == ("dropped", "disabled", None, 0)
    assert len(receiver.received) == 1


def test_an_endpoint_that_was_pointed_elsewhere_meanwhile_stays_on(
    endpoint: WebhookEndpoint, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer_late(*args: Any) -> int:
        WebhookEndpoint.objects.update(url="https://hooks.example.com/new")
        return 410

    monkeypatch.setattr(webhooks, "_post", answer_late)
    row = make_delivery(ana)
    deliver(row.id)
    endpoint.refresh_from_db()
    assert endpoint.is_enabled
    assert get_result(row) == ("failed", "gone", 410, 1)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, status: int
) -> None:
    receiver.answers = [status]
    row = make_delivery(ana)
    assert deliver(row.id) is not None
    assert [each.path for each in receiver.received] == ["/hook?a=b"]
    assert get_result(row) == ("pending", "redirect", status, 1)


def test_who_hangs_is_cut_off_and_tried_again(
    endpoint: WebhookEndpoint,
    receiver: WebhookReceiver,
    ana: WhatsAppUser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "DEADLINE_SECONDS", 0.3)
    receiver.answers = [receiver.HANGS]
    row = make_delivery(ana)
    started = time.monotonic()
    assert deliver(row.id) is not None
    assert 0.3 <= time.monotonic() - started < 3
    assert get_result(row) == ("pending", "unreachable", None, 1)
    assert deliver(row.id) is None
    assert get_result(row) == ("delivered", "", 204, 2)


def test_no_connection_to_the_database_is_held_while_a_receiver_thinks(
    endpoint: WebhookEndpoint,
    receiver: WebhookReceiver,
    ana: WhatsAppUser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent_before: list[int] = []
    monkeypatch.setattr(database, "release_connection", lambda: sent_before.append(len(receiver.received)))
    deliver(make_delivery(ana).id)
    assert sent_before == [0]
    assert len(receiver.received) == 1


def test_who_is_away_is_tried_again(ana: WhatsAppUser, settings: Any) -> None:
    settings.WEBHOOK_LOCAL_HOSTS = ["127.0.0.1:9"]
    make_endpoint(url="http://127.0.0.1:9/x")
    row = make_delivery(ana)
    assert deliver(row.id) is not None
    assert get_result(row) == ("pending", "unreachable", None, 1)


# The guard of all tests fails one that connects to, or looks up, another machine: a refusal comes before both.
@pytest.mark.parametrize(
    "url",
    [
        *("https://10.0.0.1/x", "https://169.254.169.254/latest", "https://127.0.0.1/x", "https://[::1]/x"),
        *("https://localhost/x", "http://hooks.example.com/x", "https://me:key@hooks.example.com/x"),
        "ftp://hooks.example.com/x",
    ],
)
def test_addresses_that_are_not_public_are_refused_at_once(
    ana: WhatsAppUser, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached.append(address))
    make_endpoint(url=url)
    row = make_delivery(ana)
    assert deliver(row.id) is None
    assert get_result(row) == ("failed", "address", None, 1)
    assert reached == []


def test_this_machine_is_refused_unless_it_is_named(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, settings: Any
) -> None:
    settings.WEBHOOK_LOCAL_HOSTS = ["127.0.0.1:9"]
    row = make_delivery(ana)
    deliver(row.id)
    assert get_result(row) == ("failed", "address", None, 1)
    assert receiver.received == []


def dump(*tables: str) -> str:
    with connection.cursor() as cursor:
        rows = []
        for table in tables:
            cursor.execute(f"SELECT row_to_json({table})::text FROM {table}")
            rows += [row[0] for row in cursor.fetchall()]
    return "\n".join(rows)


def test_what_is_forgotten_is_in_no_row_of_the_log_and_is_not_sent_any_more(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    memory = remember(ana)
    remember(ana, "Milk")
    forget_memory(user_id=ana.id, number=memory.number)
    run_jobs()
    told = [(each.payload["type"], each.payload["data"]["id"]) for each in receiver.received]
    assert ("memory.deleted", memory.id) in told
    assert ("memory.created", memory.id) not in told
    assert CODE not in str([each.body for each in receiver.received])
    row = WebhookDelivery.objects.get(event="memory.created", object_id=memory.id)
    assert get_result(row) == ("dropped", "forgotten", None, 1)
    log = dump("api_webhookdelivery", "procrastinate_jobs")
    assert str(row.id) in log
    for private in (CODE, "Milk", str(ana.phone_number), SECRET):
        assert private not in log


def test_an_answer_that_is_gone_is_dropped(endpoint: WebhookEndpoint, ana: WhatsAppUser) -> None:
    interaction = answer(ana)
    row = WebhookDelivery.objects.get(event="message.answered")
    interaction.raw_message.delete()
    assert deliver(row.id) is None
    assert get_result(row) == ("dropped", "forgotten", None, 1)


def test_logs_have_no_text_no_number_no_secret_and_no_address(
    endpoint: WebhookEndpoint,
    receiver: WebhookReceiver,
    ana: WhatsAppUser,
    run_jobs: RunJobs,
    caplog: pytest.LogCaptureFixture,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(webhooks, "DEADLINE_SECONDS", 0.3)
    receiver.answers = [500, 302, 400, receiver.HANGS]
    rows = [make_delivery(ana)]
    run_jobs()
    settings.WEBHOOK_LOCAL_HOSTS = []
    rows.append(make_delivery(ana))
    run_jobs()
    assert [get_result(row)[0] for row in rows] == ["delivered", "failed"]
    ours = [record for record in caplog.records if record.name.startswith("api")]
    assert len(ours) == 5
    for private in (CODE, str(ana.phone_number), SECRET.removeprefix("whsec_")):
        assert private not in caplog.text
    assert receiver.authority not in "".join(record.getMessage() for record in ours)


def test_an_endpoint_switched_off_meanwhile_is_sent_nothing(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    row = make_delivery(ana)
    WebhookEndpoint.objects.update(is_enabled=False)
    run_jobs()
    assert get_result(row) == ("dropped", "disabled", None, 0)
    assert receiver.received == []


def test_a_deleted_endpoint_leaves_jobs_that_do_nothing(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    make_delivery(ana)
    endpoint.delete()
    assert run_jobs() == 1
    assert receiver.received == []


def test_a_delivery_whose_job_was_lost_gets_another(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, run_jobs: RunJobs
) -> None:
    lost, waiting, young = (make_delivery(ana) for _ in range(3))
    old = WebhookDelivery.objects.exclude(id=young.id)
    old.update(created_at=timezone.now() - timedelta(minutes=4))
    ProcrastinateJob.objects.filter(args__delivery_id__in=[str(lost.id), str(young.id)])._raw_delete(
        "default"
    )
    tasks.sweep_webhooks(0)
    tasks.sweep_webhooks(0)
    queued = ProcrastinateJob.objects.filter(queue_name="webhooks").order_by("id")
    assert [job.args["delivery_id"] for job in queued] == [str(waiting.id), str(lost.id)]
    run_jobs()
    assert get_result(lost) == ("delivered", "", 204, 1)


def test_a_killed_attempt_counts_and_sends_the_same_id_again(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, post = make_delivery(ana), webhooks._post

    def die(*args: Any) -> int:
        post(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(webhooks, "_post", die)
    with pytest.raises(KeyboardInterrupt):
        deliver(row.id)
    assert get_result(row) == ("pending", "", None, 1)
    monkeypatch.setattr(webhooks, "_post", post)
    assert deliver(row.id) is None
    assert get_result(row) == ("delivered", "", 204, 2)
    assert [each.headers["webhook-id"] for each in receiver.received] == [str(row.id)] * 2


def test_a_delivery_that_kills_every_worker_comes_to_an_end(
    endpoint: WebhookEndpoint, ana: WhatsAppUser, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(memory: Memory) -> None:
        raise RuntimeError(memory.text)

    monkeypatch.setattr(representations, "show_memory", fail)
    row = make_delivery(ana)
    run_jobs()
    assert get_result(row) == ("failed", "lost", None, 11)


def test_an_unforeseen_failure_is_logged_without_its_text(
    endpoint: WebhookEndpoint,
    ana: WhatsAppUser,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(memory: Memory) -> None:
        raise RuntimeError(memory.text)

    monkeypatch.setattr(representations, "show_memory", fail)
    row = make_delivery(ana)
    job = ProcrastinateJob.objects.get(queue_name="webhooks")
    with pytest.raises(TryAgain):
        tasks.deliver_webhook.func(type("Context", (), {"job": job}), str(row.id))
    assert "RuntimeError" in caplog.text
    assert CODE not in caplog.text


def test_two_workers_do_not_make_the_same_attempt(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser
) -> None:
    row = make_delivery(ana)
    row = WebhookDelivery.objects.select_related("endpoint").get(id=row.id)
    receiver.answers = [500]
    assert webhooks._attempt(row) is not None
    assert webhooks._attempt(row) is None
    assert len(receiver.received) == 1


def test_a_slow_endpoint_leaves_room_for_others(
    endpoint: WebhookEndpoint, receiver: WebhookReceiver, ana: WhatsAppUser
) -> None:
    other = make_endpoint(url=f"{receiver.base_url}/other")
    memory = remember(ana)
    row, of_other = (
        WebhookDelivery.objects.get(endpoint=each, object_id=memory.id) for each in (endpoint, other)
    )
    try:
        webhooks._taken[endpoint.id] = webhooks.SLOTS_OF_ENDPOINT
        wait = deliver(row.id)
        assert wait is not None
        assert 0 < wait < 10
        assert get_result(row) == ("pending", "", None, 0)
        assert deliver(of_other.id) is None
        webhooks._taken[endpoint.id] -= 1
        webhooks._taken[other.id + 1] = webhooks.SLOTS - webhooks._taken.total()  # none is left at all
        assert deliver(row.id) is not None
        assert [each.path for each in receiver.received] == ["/other"]
        webhooks._taken[other.id + 1] -= 1
        assert deliver(row.id) is None
    finally:
        webhooks._taken.clear()
    assert get_result(row) == ("delivered", "", 204, 1)


def test_the_log_is_kept_for_a_month(endpoint: WebhookEndpoint, ana: WhatsAppUser) -> None:
    old, kept = make_delivery(ana), make_delivery(ana)
    for row, days in ((old, 31), (kept, 29)):
        WebhookDelivery.objects.filter(id=row.id).update(created_at=timezone.now() - timedelta(days=days))
    tasks.delete_old_deliveries(0)
    assert list(WebhookDelivery.objects.values_list("id", flat=True)) == [kept.id]


def test_a_job_of_a_delivery_that_is_not_there_does_nothing() -> None:
    assert deliver(uuid.uuid4()) is None
    assert get_deliveries() == []


@pytest.mark.parametrize(
    "url",
    [
        *("https://hooks.example.com/x?y=z", "https://hooks.example.com:8443", "https://8.8.8.8/x"),
        *("http://127.0.0.1:5678/x", "http://automation/x", "https://automation/x"),
    ],
)
def test_public_and_named_addresses_are_taken(url: str, settings: Any) -> None:
    settings.WEBHOOK_LOCAL_HOSTS = ["127.0.0.1:5678", "automation"]
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example.com/x", "https://10.0.0.1/x", "https://[::1]/x", "http://127.0.0.1:5679/x"),
        *("https://me:key@hooks.example.com/", "https://", "ftp://automation/x", "http://automation:8080/x"),
        *("https://hooks.example.com/a b", "https://hooks.example.com/\n", "https://höoks.example.com/"),
    ],
)
def test_other_addresses_are_not(url: str, settings: Any) -> None:
    settings.WEBHOOK_LOCAL_HOSTS = ["127.0.0.1:5678", "automation"]
    with pytest.raises(AddressRefused):
        check_url(url)


@pytest.mark.parametrize(
    ("hosts", "ids"),
    [
        (["automation", "127.0.0.1:8000", "[::1]:8000"], []),
        (["http://automation"], ["whatsbot.E010"]),
        (["127.0.0.1:99999"], ["whatsbot.E010"]),
        (["a b"], ["whatsbot.E010"]),
    ],
)
def test_a_setting_that_names_no_hosts_is_said_at_the_start(
    hosts: list[str], ids: list[str], settings: Any
) -> None:
    settings.WEBHOOK_LOCAL_HOSTS = hosts
    found = check_webhooks()
    assert [each.id for each in found] == ids
