"""Erasing a person: all of it, at once, with a receipt that goes too, and nobody else's."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from api.models import IdempotentRequest
from memories.changes import update_memory
from memories.models import Citation, Memory, MemoryHistory, MemoryWord
from messaging import erasure
from messaging.erasure import FORGET_RECEIPT, Traces, erase_person, forget_receipt
from messaging.inbound import InboundMessage, receive_message
from messaging.models import DeliveryEvent, Interaction, OutboundMessage, PendingConfirmation, RawMessage
from tests.conftest import make_payload
from tests.memories.sides import make_person
from tests.messaging.made import CODE, answer, make_raw, make_turn, remember
from tests.rows import dump_database

pytestmark = pytest.mark.django_db
ADDRESS = "whatsapp:+12025550143"
WORD = "zanzibar"


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody with a past of every kind, all of which has the same word in it."""
    person = WhatsAppUser.objects.create(
        whatsapp_id=ADDRESS,
        phone_number="+12025550143",
        business_scoped_id="US.123",
        profile_name=WORD,
        timezone="Asia/Tokyo",
        timezone_source="chosen",
        last_inbound_at=timezone.now(),
    )
    said = make_raw(person, WORD)
    first = remember(person, WORD, raw=said)
    answer(person, text=WORD, raw=said, kind="saved")
    remember(person, WORD + " gate", source="api")
    correction = make_raw(person, WORD)
    update_memory(
        user_id=person.id, number=1, text=WORD + " two", raw_message_id=correction.id, tool_call="x"
    )
    answer(person, text=WORD, raw=correction, kind="saved")
    again = make_raw(person, WORD)
    MemoryHistory.objects.create(
        memory=first, kind="repeated", text=WORD, raw_message=again, tool_call="y", said_at=again.received_at
    )
    told = answer(person, text=WORD, raw=again, used=[first], parts=2)
    DeliveryEvent.objects.create(
        twilio_sid="SM5", status="sent", outbound_message=told.outbound_messages.first()
    )
    answer(person, text=WORD, status="pending")
    PendingConfirmation.objects.create(user=person, kind="everything", asked_in=told)
    IdempotentRequest.objects.create(
        user=person, identity=uuid.uuid4(), fingerprint="0f", memory=first, is_done=True
    )
    return person


def confirm(person: WhatsAppUser) -> RawMessage:
    """The turn that confirms, running."""
    return RawMessage.objects.get(id=make_turn(person, f"yes {WORD}", at=timezone.now()).raw_message_id)


def erase(person: WhatsAppUser, raw: RawMessage | None = None) -> Traces:
    return erase_person(user_id=person.id, raw_message_id=(raw or confirm(person)).id)


def test_nothing_they_ever_said_is_left_anywhere(ana: WhatsAppUser) -> None:
    raw = confirm(ana)
    assert dump_database().count(WORD) > 20
    erase(ana, raw)
    assert [line for line in dump_database().splitlines() if WORD in line] == []
    for model in (
        Memory,
        MemoryHistory,
        MemoryWord,
        Citation,
        OutboundMessage,
        DeliveryEvent,
        PendingConfirmation,
    ):
        assert model._default_manager.count() == 0
    assert [row.id for row in RawMessage.objects.all()] == [raw.id]
    assert Interaction.objects.count() == 1


def test_the_receipt_counts_what_went(ana: WhatsAppUser) -> None:
    traces = erase(ana)
    assert traces == Traces(memories=2, earlier_texts=2, messages=5, answers=4, files=0)
    assert traces.describe() == (
        "• 2 memories\n• 2 earlier texts of memories\n• 5 messages of yours\n• 4 answers of mine\n• 0 files of yours"
    )


def test_the_message_that_confirmed_can_be_answered_and_is_known_when_it_comes_again(
    ana: WhatsAppUser,
) -> None:
    raw = confirm(ana)
    erase(ana, raw)
    fresh = WhatsAppUser.objects.get()
    raw.refresh_from_db()
    assert (raw.user, raw.body, raw.from_address) == (fresh, "", ADDRESS)
    assert raw.redacted_at is not None
    assert "Body" not in raw.payload
    assert Interaction.objects.get().raw_message == raw
    payload = make_payload("yes", MessageSid=raw.message_sid, From=ADDRESS)
    assert not receive_message(parse(payload))
    assert receive_message(parse(make_payload("hello again", From=ADDRESS)))
    assert WhatsAppUser.objects.get() == fresh


def parse(payload: dict[str, str]) -> InboundMessage:
    from django.http import QueryDict

    post = QueryDict(mutable=True)
    post.update(payload)
    return InboundMessage.from_post(post)


def test_the_address_gets_a_row_as_for_somebody_new(ana: WhatsAppUser) -> None:
    erase(ana)
    fresh = WhatsAppUser.objects.get()
    assert fresh.id != ana.id
    assert (fresh.whatsapp_id, fresh.phone_number, fresh.business_scoped_id) == (
        ADDRESS,
        "+12025550143",
        "US.123",
    )
    assert (fresh.profile_name, fresh.memories_numbered, fresh.opted_out_at) == ("", 0, None)
    assert (fresh.timezone, fresh.timezone_source) == ("America/New_York", "inferred")
    assert fresh.last_inbound_at == ana.last_inbound_at, "the receipt may be sent within 24 hours of it"


def test_who_wants_to_hear_nothing_stays_so(ana: WhatsAppUser) -> None:
    stopped_at = timezone.now()
    WhatsAppUser.objects.filter(id=ana.id).update(opted_out_at=stopped_at)
    raw = confirm(ana)
    erase(ana, raw)
    assert WhatsAppUser.objects.get().opted_out_at == stopped_at
    forget_receipt(raw.id)
    assert RawMessage.objects.count() == 0
    assert WhatsAppUser.objects.get().opted_out_at == stopped_at


def test_messages_that_came_after_are_still_answered(ana: WhatsAppUser) -> None:
    raw = confirm(ana)
    later, answered = make_raw(ana, "The gate is green"), make_raw(ana, WORD)
    answer(ana, raw=answered)
    erase(ana, raw)
    later.refresh_from_db()
    assert later.user == WhatsAppUser.objects.get()
    assert (later.body, later.status) == ("The gate is green", "received")
    assert set(RawMessage.objects.all()) == {raw, later}
    forget_receipt(raw.id)
    assert set(RawMessage.objects.all()) == {later}
    assert WhatsAppUser.objects.count() == 1


def test_nobody_else_loses_anything(ana: WhatsAppUser) -> None:
    bo = make_person()
    answer(bo, used=[remember(bo)], parts=2)
    theirs = [line for line in dump_database().splitlines() if CODE in line]
    erase(ana)
    assert [line for line in dump_database().splitlines() if CODE in line] == theirs
    assert Citation.objects.count() == 1
    assert MemoryWord.objects.filter(user=bo).count() == 5


def test_mem0s_copies_are_deleted_by_jobs(ana: WhatsAppUser) -> None:
    ids = {str(memory.mem0_id) for memory in Memory.objects.all()}
    erase(ana)
    jobs = {job.task_name: job.args for job in ProcrastinateJob.objects.all()}
    assert jobs["memories.delete_entries_of_user"] == {"user_id": ana.id}
    assert set(jobs["memories.delete_entries"]["mem0_ids"]) == ids


def test_erasing_that_is_rolled_back_erases_nothing(ana: WhatsAppUser) -> None:
    raw = confirm(ana)
    before = dump_database()
    with transaction.atomic():
        erase(ana, raw)
        transaction.set_rollback(True)
    assert dump_database() == before


def test_more_than_a_batch_is_deleted_batch_by_batch(
    ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "BATCH", 1)
    erasure._delete_in_batches(Memory.objects.filter(user=ana))
    assert Memory.objects.count() == 0


def test_every_table_that_knows_a_person_is_erased_with_them() -> None:
    """A table that refers to people in another way than these has to be thought of in messaging/erasure.py."""
    people = (WhatsAppUser, RawMessage, Interaction, Memory)
    related = {
        model._meta.label
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.many_to_one and field.concrete and field.related_model in people
    }
    assert related == {
        *("memories.Memory", "memories.MemoryHistory", "memories.MemoryWord", "memories.Citation"),
        *("messaging.RawMessage", "messaging.OutboundMessage", "messaging.PendingConfirmation"),
        *("media.MessageMedia", "api.IdempotentRequest"),
    }


class TestTheReceipt:
    """A day later it goes too."""

    def test_its_job_comes_due_after_the_time_it_could_be_sent_in(self, ana: WhatsAppUser) -> None:
        raw = confirm(ana)
        erase(ana, raw)
        job = ProcrastinateJob.objects.get(task_name=FORGET_RECEIPT)
        assert job.args == {"raw_message_id": raw.id}
        assert job.scheduled_at is not None
        assert timedelta(hours=24) < job.scheduled_at - timezone.now() <= timedelta(hours=25)

    def test_nothing_at_all_is_left_after_it(self, ana: WhatsAppUser) -> None:
        raw = confirm(ana)
        erase(ana, raw)
        fresh = WhatsAppUser.objects.get()
        turn = Interaction.objects.get()
        Interaction.objects.update(answer="Everything is erased", kind="command", answered_at=timezone.now())
        part = OutboundMessage.objects.create(
            interaction=turn,
            user=fresh,
            part=1,
            to_address=ADDRESS,
            from_address=raw.to_address,
            body="Everything",
        )
        DeliveryEvent.objects.create(twilio_sid="SM6", status="sent", outbound_message=part)
        for _ in range(2):
            forget_receipt(raw.id)
            assert (
                WhatsAppUser.objects.count()
                == RawMessage.objects.count()
                == OutboundMessage.objects.count()
                == 0
            )
        assert "2025550143" not in dump_database()

    @pytest.mark.parametrize("fields", [{}, {"source": "api"}])
    def test_who_is_remembered_since_stays(self, ana: WhatsAppUser, fields: dict[str, Any]) -> None:
        raw = confirm(ana)
        erase(ana, raw)
        remember(
            WhatsAppUser.objects.get(),
            "The gate is green",
            **fields,
        )
        forget_receipt(raw.id)
        assert [memory.text for memory in Memory.objects.all()] == ["The gate is green"]
        assert not RawMessage.objects.filter(id=raw.id).exists()


@pytest.fixture
def _clean(transactional_db: None) -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")


def in_a_thread(do: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            do()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_clean")
class TestWhileAMessageComes:
    """The webhook waits, and finds the fresh row or makes one."""

    @staticmethod
    def wait_for_a_lock() -> None:
        for _ in range(200):
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                row = cursor.fetchone()
            if row and row[0]:
                return
            time.sleep(0.01)
        raise AssertionError("the webhook does not wait")

    @pytest.mark.parametrize("forgets_receipt", [False, True])
    def test_it_belongs_to_the_address_and_nothing_is_lost(
        self, ana: WhatsAppUser, forgets_receipt: bool
    ) -> None:
        raw = confirm(ana)
        if forgets_receipt:
            erase(ana, raw)
        with transaction.atomic():
            if forgets_receipt:
                forget_receipt(raw.id)
            else:
                erase(ana, raw)
            message = parse(make_payload("The gate is green", From=ADDRESS))
            webhook = in_a_thread(lambda: receive_message(message))
            self.wait_for_a_lock()
        webhook.join(timeout=10)
        (person,) = WhatsAppUser.objects.all()
        stored = RawMessage.objects.get(body="The gate is green")
        assert stored.user == person
        assert stored.message_sid == message.message_sid
        assert person.whatsapp_id == ADDRESS
