"""What a login has chosen is deleted item by item, whatever is killed in between, and the receipt is true."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import AuditEvent, StaffUser, WhatsAppUser
from backoffice import deletions
from backoffice.deletions import (
    RUN,
    prepare_deletion,
    preview,
    request_deletion,
    run_deletion,
    start_deletion,
)
from backoffice.leftovers import confirm_deletion
from backoffice.models import Deletion
from media.models import MediaFile
from memories.models import Memory
from messaging.models import OutboundMessage, RawMessage
from tests.media.objects import make_file, send_file
from tests.memories.sides import make_person, say
from tests.messaging.made import answer, make_raw, remember
from tests.rows import dump_database
from whatsbot.integrations import mem0

pytestmark = pytest.mark.django_db
Kind = Deletion.Kind
WORD = "zanzibar"


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.UPLOADS_DIR = tmp_path


@pytest.fixture
def login() -> StaffUser:
    """Whoever deletes."""
    return StaffUser.objects.create(username="pat", is_staff=True)


@pytest.fixture
def ana() -> WhatsAppUser:
    """Somebody without memories."""
    return make_person()


def make_past(person: WhatsAppUser, *, messages: int = 1) -> list[RawMessage]:
    """Messages with a file, a memory and an answer each."""
    raws = [make_raw(person, f"{WORD} {number}") for number in range(messages)]
    for raw in raws:
        answer(person, raw=raw, text=WORD, used=[remember(person, raw.body, raw=raw)])
        send_file(person, make_file(raw.body.encode() + str(person.id).encode()), raw=raw)
    return raws


@pytest.mark.django_db(transaction=True)  # Mem0 has a connection of its own
def test_one_thing_goes_at_once_and_the_receipt_waits_for_the_rest(
    login: StaffUser, ana: WhatsAppUser, run_jobs: Callable[[], int]
) -> None:
    raw = make_raw(ana, WORD)
    memory = say(ana, f"the {WORD} is green", message=raw).memory
    link = send_file(ana, make_file(b"green"), raw=raw)
    assert link.file is not None
    announced = preview(Kind.MESSAGES, [raw.id]).counts
    deletion = request_deletion(kind=Kind.MESSAGES, ids=[raw.id], staff=login)
    assert (deletion.done, deletion.ids, deletion.gone) == (1, [], announced)
    assert (deletion.finished_at is not None, deletion.confirmed_at) == (True, None)
    assert sorted(deletion.leftovers.values_list("place", "name")) == [
        ("mem0", str(memory.mem0_id)),
        ("store", link.file.storage_name),
    ]
    assert confirm_deletion(deletion.id) is not None
    event = AuditEvent.objects.get()
    assert (event.action, event.staff_id, event.staff_name, event.person_id, event.object_type) == (
        *("deleted", login.id, "pat", ana.id, "messaging.rawmessage"),
    )
    assert event.detail == announced
    run_jobs()
    deletion.refresh_from_db()
    assert (deletion.confirmed_at is not None, deletion.leftovers.count()) == (True, 0)
    assert [*mem0.list_entries(user_id=ana.id)] == []
    assert not default_storage.exists(link.file.storage_name)
    assert WORD not in dump_database()


@pytest.mark.parametrize("kind", list(Kind))
def test_selections_of_every_kind_go_by_a_job_that_goes_on_where_it_was_killed(
    kind: Deletion.Kind,
    login: StaffUser,
    ana: WhatsAppUser,
    run_jobs: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bo = make_person()
    make_past(ana, messages=2)
    make_past(bo)
    chosen: dict[str, Any] = {
        Kind.PEOPLE: WhatsAppUser,
        Kind.MESSAGES: RawMessage,
        Kind.MEMORIES: Memory,
        Kind.FILES: MediaFile,
    }
    rows = chosen[kind].objects if kind in chosen else ana.media.model.objects
    ids = list(rows.order_by("id").values_list("id", flat=True))
    announced = preview(kind, ids).counts
    deletion = request_deletion(kind=kind, ids=ids, staff=login)
    assert (deletion.done, deletion.started_at, deletion.ids) == (0, None, ids)
    job = ProcrastinateJob.objects.get(task_name=RUN)
    assert job.lock == f"deletion:{deletion.id}"
    real, calls = deletions._delete_item, iter((True, False))

    def killed(*arguments: Any) -> Any:
        if next(calls):
            return real(*arguments)
        raise OperationalError("killed")

    monkeypatch.setattr(deletions, "_delete_item", killed)
    with pytest.raises(OperationalError):
        run_deletion(deletion.id)
    deletion.refresh_from_db()
    assert (deletion.done, deletion.finished_at) == (1, None)
    assert deletion.started_at is not None
    monkeypatch.setattr(deletions, "_delete_item", real)
    run_jobs()
    deletion.refresh_from_db()
    assert (deletion.done, deletion.ids, deletion.failed, deletion.gone) == (len(ids), [], [], announced)
    assert deletion.confirmed_at is not None
    assert AuditEvent.objects.count() == len(ids)
    assert set(AuditEvent.objects.values_list("person_id", flat=True)) == {ana.id, bo.id}
    if kind in (Kind.PEOPLE, Kind.MESSAGES):
        assert WORD not in dump_database()
    if kind == Kind.PEOPLE:
        assert deletion.receipts.count() == 2
        assert WhatsAppUser.objects.count() == 0


def test_what_cannot_be_deleted_is_said_and_does_not_hold_up_the_rest(
    login: StaffUser, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = make_past(ana, messages=2)
    real = deletions.delete_message

    def fail(raw_message_id: int) -> Any:
        reach = real(raw_message_id)
        if raw_message_id == bad.id:
            raise RuntimeError(WORD)
        return reach

    monkeypatch.setitem(deletions._SERVICES, Kind.MESSAGES, (RawMessage, fail))  # type: ignore[misc]
    deletion = request_deletion(kind=Kind.MESSAGES, ids=[bad.id, good.id, 10**9], staff=login)
    run_deletion(deletion.id)
    deletion.refresh_from_db()
    assert (deletion.done, deletion.ids, deletion.failed, deletion.error) == (
        *(3, [bad.id], [bad.id], "RuntimeError"),
    )
    assert deletion.gone["messages"] == 1
    bad.refresh_from_db()
    assert bad.redacted_at is None


def test_a_receipt_waits_for_an_answer_that_is_still_being_sent(
    login: StaffUser, ana: WhatsAppUser, run_jobs: Callable[[], int]
) -> None:
    raw = make_raw(ana, WORD, at=timezone.now())
    told = answer(ana, raw=raw, text=WORD, status="pending", at=timezone.now())
    deletion = request_deletion(kind=Kind.MESSAGES, ids=[raw.id], staff=login)
    assert list(deletion.leftovers.values_list("place", "name")) == [("answer", str(told.id))]
    assert confirm_deletion(deletion.id) is not None
    OutboundMessage.objects.update(status="sent", twilio_sid="SM1")
    run_jobs()
    deletion.refresh_from_db()
    assert deletion.confirmed_at is not None
    assert WORD not in dump_database()


def test_what_others_have_or_say_is_not_waited_for(login: StaffUser, ana: WhatsAppUser) -> None:
    raw = make_raw(ana, WORD)
    kept = say(ana, "the rent is due").memory
    file = make_file(b"both")
    send_file(ana, file, raw=raw)
    deletion = request_deletion(kind=Kind.MESSAGES, ids=[raw.id], staff=login)
    for place, name in (("mem0", kept.mem0_id), ("store", file.storage_name)):
        deletion.leftovers.get_or_create(place=place, name=str(name), defaults={"user_id": ana.id})
    again = make_file(b"both", stored=False, storage_name=file.storage_name)
    send_file(make_person(), again)
    assert confirm_deletion(deletion.id) is None


def test_confirming_twice_deletes_once_and_a_stale_question_goes(
    login: StaffUser, ana: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = prepare_deletion(kind=Kind.MEMORIES, ids=[1], staff=login)
    Deletion.objects.update(prepared_at="2020-01-01T00:00Z")
    ids = [raw.id for raw in make_past(ana, messages=2)]
    asked = prepare_deletion(kind=Kind.MESSAGES, ids=ids, staff=login)
    assert not Deletion.objects.filter(id=stale.id).exists()
    run_deletion(asked.id)
    assert RawMessage.objects.filter(redacted_at=None).count() == 2, "nobody has confirmed it"
    assert start_deletion(asked.id).requested_at == start_deletion(asked.id).requested_at
    assert ProcrastinateJob.objects.filter(task_name=RUN).count() == 1
    run_deletion(uuid.uuid4())  # one that is not there


@pytest.mark.parametrize("ids", [[], range(deletions.MOST_CHOSEN + 1)])
def test_nothing_and_too_much_are_refused(login: StaffUser, ids: Any) -> None:
    with pytest.raises(ValueError, match="Choose"):
        prepare_deletion(kind=Kind.MEMORIES, ids=ids, staff=login)
