"""Lists of any length: as many statements for many rows as for one, counted as far as that is quick."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.audit import Action, record
from accounts.models import AuditEvent, WhatsAppUser
from backoffice import counting, finding
from backoffice.counting import EstimatingPaginator
from backoffice.finding import find_rows, write_query
from memories.models import Memory
from messaging.models import RawMessage
from tests.backoffice.conftest import Staff
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON
from tests.messaging.made import answer, make_raw, remember

pytestmark = pytest.mark.django_db
LISTS = (
    *("accounts/whatsappuser", "messaging/rawmessage", "messaging/interaction", "messaging/outboundmessage"),
    *("memories/memory", "media/messagemedia", "media/mediafile", "messaging/erasurereceipt"),
    *("accounts/auditevent", "api/webhookdelivery", "accounts/apitoken", "accounts/staffuser"),
    *("procrastinate/procrastinatejob", "backoffice/deletion", "api/webhookendpoint"),
)


def make_people(numbers: range, *, staff: Any) -> None:
    """Some people with something of everything."""
    for number in numbers:
        address = f"+1202555{number:04}"
        person = WhatsAppUser.objects.create(whatsapp_id=f"whatsapp:{address}", phone_number=address)
        raw = make_raw(person, f"message {number}")
        answer(person, "what?", f"answer {number}", used=[remember(person, f"memory {number}", raw=raw)])
        file = make_file(b"%d" % number, thumbnail_name=f"{number}.jpg")
        send_file(person, file, at=NOON + timedelta(minutes=number))
        record(Action.OPENED, staff=staff, person_id=person.id, subject=person)


@pytest.mark.parametrize("path", LISTS)
def test_more_rows_cost_no_more_statements(root: Staff, path: str) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as statements:
            root.read(f"/admin/{path}/")
            root.read(f"/admin/{path}/", {"q": "+1 202 555 00"})
        return len(statements)

    make_people(range(2), staff=root.login_of)
    count()  # content types and zones are looked up once
    before = count()
    make_people(range(2, 14), staff=root.login_of)
    assert count() == before


def test_every_list_says_what_it_is(root: Staff) -> None:
    titles = [re.search(r"<title>\s*(.*?)\s*\|", root.read(f"/admin/{path}/")) for path in LISTS]
    assert all(titles)
    names = [title[1] for title in titles if title]
    assert len(set(names)) == len(LISTS)
    assert not [name for name in names if name.startswith("Select")]


def test_no_list_counts_beyond_what_is_quick(root: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    make_people(range(7), staff=root.login_of)
    monkeypatch.setattr(counting, "COUNTED", 5)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE memories_memory")
    long = EstimatingPaginator(Memory.objects.order_by("id"), 2)
    assert (long.total, long.is_estimate, long.is_cut, long.num_pages) == (7, True, True, 3)
    short = EstimatingPaginator(Memory.objects.filter(text="memory 3").order_by("id"), 2)
    assert (short.total, short.is_estimate, short.is_cut) == (1, False, False)
    assert EstimatingPaginator(Memory.objects.order_by("id").none(), 2).total == 0
    monkeypatch.setattr(counting, "PATIENCE_MS", 1)
    slow = Memory.objects.order_by("id").extra(where=["pg_sleep(0.05) IS NOT NULL"])
    assert EstimatingPaginator(slow, 2).is_estimate


@pytest.mark.parametrize(
    "typed",
    [
        "it's",
        "a & b | !c",
        "\\",
        "''",
        ":*",
        "<->",
        "(",
        "foo:bar",
        "a\0b",
        "🙂",
        "%",
        " ' OR 1=1 -- ",
        "x" * 3000,
    ],
)
def test_nothing_that_is_typed_breaks_a_search(root: Staff, typed: str) -> None:
    for path in (LISTS[0], LISTS[1], LISTS[6]):
        assert root.get(f"/admin/{path}/", {"q": typed}).status_code in (200, 302), path


def test_words_are_found_by_their_beginnings(root: Staff) -> None:
    person = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550143", phone_number="+12025550143")
    wanted = remember(person, "The Landlord's key lies under the mat")
    remember(person, "The key of the bicycle")
    find = {"searches": ("words:text",), "staff": root.login_of}
    for typed in ("landl key", "KEY landlord", "landlord's", "mat"):
        assert list(find_rows(Memory.objects.all(), typed, **find)) == [wanted], typed  # type: ignore[arg-type]
    assert write_query("?!") == ""
    assert not find_rows(Memory.objects.all(), "?!", **find).exists()  # type: ignore[arg-type]


def test_searches_use_their_indexes(root: Staff) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    searches = {
        "memory_words_of_all": (Memory.objects.all(), "landlord", ("words:text",)),
        "whatsapp_user_number_ends": (WhatsAppUser.objects.all(), "5550143", ("person:id",)),
    }
    for index, (rows, typed, fields) in searches.items():
        with CaptureQueriesContext(connection) as statements:
            list(find_rows(rows, typed, searches=fields, staff=root.login_of))
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {statements[0]['sql']}")
            assert index in str(cursor.fetchall())


def test_the_log_is_found_by_login_and_by_person(root: Staff, support: Staff) -> None:
    make_people(range(2), staff=support.login_of)
    first = WhatsAppUser.objects.earliest("id")
    path = "/admin/accounts/auditevent/"
    events = {event.person_id: f"{path}{event.id}/change/" for event in AuditEvent.objects.all()}
    assert all(event in root.read(path, {"q": "support"}) for event in events.values())
    page = root.read(path, {"q": first.phone_number})
    assert [event in page for event in events.values()] == [person == first.id for person in events]
    assert support.get(path).status_code == 403


def test_a_far_page_has_the_rows_it_would_have_and_joins_nothing_on_the_way(
    monkeypatch: pytest.MonkeyPatch, root: Staff
) -> None:
    make_people(range(7), staff=root.login_of)
    rows = Memory.objects.select_related("user").order_by("-created_at", "-id")
    monkeypatch.setattr(counting, "FAR", 2)
    with CaptureQueriesContext(connection) as statements:
        far = list(EstimatingPaginator(rows, 2).page(3))
    assert far == list(rows[4:6])
    (way,) = [one["sql"] for one in statements if "OFFSET" in one["sql"]]
    assert "JOIN" not in way


def test_days_are_whole_and_what_is_no_day_filters_nothing(root: Staff) -> None:
    person = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550143", phone_number="+12025550143")
    raw = make_raw(person, "late")
    RawMessage.objects.filter(id=raw.id).update(received_at="2026-05-14T23:59:59.5Z")
    path, link = "/admin/messaging/rawmessage/", f"/admin/messaging/rawmessage/{raw.id}/change/"
    for first, last, is_found in (
        *(("2026-05-14", "2026-05-14", True), ("2026-05-15", "", False), ("", "2026-05-13", False)),
        *(("", "", True), ("nonsense", "2026-99-99", True)),
    ):
        page = root.read(path, {"received_at_from": first, "received_at_to": last})
        assert (link in page) == is_found, (first, last)


def test_frequent_words_are_found_too(root: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    make_people(range(7), staff=root.login_of)
    monkeypatch.setattr(finding, "RARE", 3)
    find = {"searches": ("words:text",), "staff": root.login_of}
    assert find_rows(Memory.objects.all(), "memory", **find).count() == 7  # type: ignore[arg-type]
    assert find_rows(Memory.objects.all(), "memory 3", **find).count() == 1  # type: ignore[arg-type]


def test_messages_are_found_by_words_once_they_are_dealt_with(root: Staff) -> None:
    person = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550143", phone_number="+12025550143")
    raw = make_raw(person, "the landlord rang")
    path, link = "/admin/messaging/rawmessage/", f"/admin/messaging/rawmessage/{raw.id}/change/"
    assert link not in root.read(path, {"q": "landlord"})
    RawMessage.objects.filter(id=raw.id).update(status="answered")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with CaptureQueriesContext(connection) as statements:
        assert link in root.read(path, {"q": "landlord"})
    (search,) = [one["sql"] for one in statements if "@@" in one["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {search}")
        assert "raw_message_words" in str(cursor.fetchall())
