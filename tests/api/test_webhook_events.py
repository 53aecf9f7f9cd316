"""Events are queued with the change they tell of, by whatever way it comes, and with nothing else."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from api.models import WebhookDelivery
from memories.changes import forget_memory, update_memory
from memories.models import Memory
from messaging.erasure import erase_person
from messaging.models import Interaction
from tests.api.made import get_deliveries, make_endpoint
from tests.memories.sides import NOON, make_person
from tests.messaging.made import answer, make_raw, make_turn, remember

pytestmark = pytest.mark.django_db
CREATED, UPDATED, DELETED = "memory.created", "memory.updated", "memory.deleted"


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody."""
    return make_person()


def test_a_new_memory_is_queued_with_its_job_in_the_same_transaction(ana: WhatsAppUser) -> None:
    make_endpoint()
    with transaction.atomic():
        memory = remember(ana)
        assert get_deliveries() == [(CREATED, memory.id)]
        transaction.set_rollback(True)
    assert get_deliveries() == []
    kept = remember(ana)
    assert get_deliveries() == [(CREATED, kept.id)]


@pytest.mark.parametrize(
    "change",
    [
        {"text": "The gate code is 8362"},
        {"type": "task"},
        {"metadata": {"folder": 3}},
        {"happened_at": NOON + timedelta(days=1)},
        {"event_start": NOON},
        {"event_start": NOON, "event_end": NOON + timedelta(hours=1)},
    ],
    ids=str,
)
def test_another_content_of_a_memory_is_queued(ana: WhatsAppUser, change: dict[str, Any]) -> None:
    memory, other = remember(ana), remember(ana)
    make_endpoint()
    Memory.objects.filter(id__in=[memory.id, other.id]).update(**change)
    assert get_deliveries() == [(UPDATED, memory.id), (UPDATED, other.id)]


@pytest.mark.parametrize(
    "change",
    [
        {"word_count": 7},
        {"mem0_id": uuid.UUID(int=4)},
        {"identity": uuid.UUID(int=5)},
        {"updated_at": NOON},
        {"text": F("text"), "metadata": {}},
    ],
    ids=str,
)
def test_what_only_we_see_of_a_memory_is_no_event(ana: WhatsAppUser, change: dict[str, Any]) -> None:
    memory = remember(ana)
    make_endpoint()
    Memory.objects.filter(id=memory.id).update(**change)
    memory.save()
    assert get_deliveries() == []


def test_of_many_memories_only_those_that_change_are_queued(ana: WhatsAppUser) -> None:
    milk, _ = remember(ana, "Milk"), remember(ana, "Bread")
    make_endpoint()
    Memory.objects.filter(user=ana).update(text="Bread")
    assert get_deliveries() == [(UPDATED, milk.id)]


def test_a_correction_and_forgetting_are_one_event_each(ana: WhatsAppUser) -> None:
    memory = remember(ana)
    make_endpoint()
    update_memory(user_id=ana.id, number=memory.number, text="The gate code is 8362")
    assert get_deliveries() == [(UPDATED, memory.id)]
    forget_memory(user_id=ana.id, number=memory.number)
    assert get_deliveries() == [(DELETED, memory.id), (UPDATED, memory.id)]


def test_deletions_in_bulk_by_hand_and_by_cascade_are_queued(ana: WhatsAppUser) -> None:
    first, second, third, fourth = (remember(ana, f"Note {number}") for number in range(4))
    make_endpoint(DELETED)
    Memory.objects.filter(id__in=[first.id, second.id]).delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM memories_memoryword")
        cursor.execute("DELETE FROM memories_memory WHERE id = %s", [third.id])
    assert get_deliveries() == [(DELETED, each.id) for each in (first, second, third)]
    ana.delete()
    assert get_deliveries() == [(DELETED, each.id) for each in (first, second, third, fourth)]


def test_erasing_somebody_tells_of_each_memory(ana: WhatsAppUser) -> None:
    memories = [remember(ana, f"Note {number}") for number in range(3)]
    turn = make_turn(ana, "yes")
    make_endpoint(DELETED)
    erase_person(user_id=ana.id, raw_message_id=turn.contents[0].raw_message_id)
    assert get_deliveries() == [(DELETED, each.id) for each in memories]


def test_memories_that_come_in_bulk_are_queued_one_by_one(ana: WhatsAppUser) -> None:
    make_endpoint()
    Memory.objects.bulk_create(
        Memory(user=ana, number=n, mem0_id=uuid.uuid4(), text="Note", source="import", happened_at=NOON)
        for n in (1, 2, 3)
    )
    ids = Memory.objects.values_list("id", flat=True).order_by("id")
    assert get_deliveries() == [(CREATED, each) for each in ids]


def test_an_answer_is_an_event_when_it_is_committed_and_never_again(ana: WhatsAppUser) -> None:
    make_endpoint()
    interaction = Interaction.objects.create(raw_message=make_raw(ana, "Hello"))
    Interaction.objects.update(transcript=["a step"], attempts=2)
    assert get_deliveries() == []
    Interaction.objects.update(answer="Hello", kind="small_talk", answered_at=timezone.now())
    Interaction.objects.update(answer="(forgotten)", transcript=[])
    Interaction.objects.update(answered_at=timezone.now())
    assert get_deliveries() == [("message.answered", interaction.id)]


def test_an_answer_that_comes_at_once_is_an_event(ana: WhatsAppUser) -> None:
    make_endpoint()
    interaction = answer(ana)
    assert get_deliveries() == [("message.answered", interaction.id)]


def change_everything(ana: WhatsAppUser) -> Memory:
    memory = remember(ana)
    Memory.objects.update(text="The gate code is 8362")
    Memory.objects.all().delete()
    answer(ana)
    return memory


def test_who_is_switched_off_is_told_nothing(ana: WhatsAppUser) -> None:
    make_endpoint(is_enabled=False)
    change_everything(ana)
    assert get_deliveries() == []


@pytest.mark.parametrize("event", [CREATED, UPDATED, DELETED, "message.answered"])
def test_each_endpoint_is_told_what_it_asks_for(ana: WhatsAppUser, event: str) -> None:
    one, all_ = make_endpoint(event), make_endpoint()
    memory = change_everything(ana)
    object_id = Interaction.objects.get().id if event == "message.answered" else memory.id
    assert get_deliveries(one) == [(event, object_id)]
    assert len(get_deliveries(all_)) == 4


def test_without_endpoints_nothing_is_queued(ana: WhatsAppUser) -> None:
    change_everything(ana)
    assert not ProcrastinateJob.objects.filter(queue_name="webhooks").exists()


SHAPE = "webhook_endpoint_secret_shape"
KNOWN = "webhook_endpoint_events_known"


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("name = ''", "webhook_endpoint_has_a_name"),
        ("url = ''", "webhook_endpoint_has_a_url"),
        ("secret = ''", SHAPE),
        ("secret = 'whsec_c2hvcnQ='", SHAPE),
        ("secret = secret || E'\\n'", SHAPE),
        ("events = '{}'", KNOWN),
        ("events = '{ping}'", KNOWN),
        ("events = '{memory.created,ping}'", KNOWN),
        ("events = '{memory.created,NULL}'", KNOWN),
        ("disabled_reason = '410'", "webhook_endpoint_reason_means_disabled"),
    ],
)
def test_an_endpoint_that_must_not_be_is_refused(assignment: str, constraint: str) -> None:
    make_endpoint()
    attack("api_webhookendpoint", assignment, constraint)


DELIVERED = "webhook_delivery_delivered_with_2xx"
SINCE = "webhook_delivery_attempted_since"


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("event = 'ping'", "webhook_delivery_event_known"),
        ("status = 'sent'", "webhook_delivery_status_known"),
        ("error = 'The gate code is 4711'", "value too long"),
        ("error = '4711'", "webhook_delivery_error_known"),
        ("attempts = 1", SINCE),
        ("attempted_at = now()", SINCE),
        ("attempts = -1", "attempts"),
        ("status = 'delivered', response_status = 204", DELIVERED),
        ("status = 'delivered', delivered_at = now()", DELIVERED),
        ("status = 'delivered', delivered_at = now(), response_status = 302", DELIVERED),
        ("status = 'delivered', delivered_at = now(), response_status = 204, error = 'status'", DELIVERED),
        ("delivered_at = now()", DELIVERED),
        ("status = 'failed'", "webhook_delivery_failed_for_a_reason"),
        ("status = 'dropped'", "webhook_delivery_failed_for_a_reason"),
    ],
)
def test_a_delivery_that_must_not_be_is_refused(assignment: str, constraint: str) -> None:
    WebhookDelivery.objects.create(endpoint=make_endpoint(), event=CREATED, object_id=1)
    attack("api_webhookdelivery", assignment, constraint)


def attack(table: str, assignment: str, constraint: str) -> None:
    with pytest.raises(DatabaseError, match=constraint), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {assignment}")
