"""Pages of a conversation: everything once, in order, from wherever one begins, and found by what it says."""

import uuid
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import WhatsAppUser
from backoffice import timeline_search
from backoffice.timeline import get_page
from backoffice.timeline_entries import Received, Sent
from backoffice.timeline_places import Place, StrangeCursor, get_day_start, read_cursor
from backoffice.timeline_search import search_conversation
from media.models import MediaFile
from messaging.forgetting import redact
from messaging.models import OutboundMessage, RawMessage
from tests.backoffice.talks import make_everything
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON
from tests.messaging.made import MINUTE, answer, make_raw
from tests.settings import SENDER

pytestmark = pytest.mark.django_db


def make_person(number: str = "+12025550143") -> WhatsAppUser:
    return WhatsAppUser.objects.create(
        whatsapp_id=f"whatsapp:{number}", phone_number=number, timezone="America/New_York"
    )


@pytest.fixture
def ana() -> WhatsAppUser:
    return make_person()


@pytest.fixture
def long_talk(ana: WhatsAppUser) -> WhatsAppUser:
    """20 messages, each answered in the same second by three parts, and somebody else's beside them."""
    other = make_person("+4915228817386")
    for number in range(20):
        at = NOON + number // 2 * MINUTE  # two messages at the same time
        answer(ana, f"question {number}", f"answer {number}", parts=3, at=at)
        answer(other, "not ours", "neither", at=at)
    OutboundMessage.objects.filter(user=ana).update(created_at=NOON)
    for row in OutboundMessage.objects.select_related("interaction"):
        OutboundMessage.objects.filter(id=row.id).update(created_at=row.interaction.answered_at)
    return ana


def walk(user: WhatsAppUser, *, size: int, forward: bool) -> list[list[Place]]:
    """All pages, in the order they are come to."""
    pages, page = [], get_page(user, size=size)
    if forward:
        page = get_page(user, after=Place.of_inbound(NOON - MINUTE, 0), size=size)
        assert page.older is None
    else:
        assert page.newer is None
    while True:
        pages.append([entry.place for entry in page.entries])
        cursor = page.newer if forward else page.older
        if cursor is None:
            return pages
        place = read_cursor(cursor)
        page = get_page(user, after=place, size=size) if forward else get_page(user, before=place, size=size)


@pytest.mark.parametrize("size", [1, 7, 80])
def test_walking_through_the_pages_shows_everything_once_in_order(long_talk: WhatsAppUser, size: int) -> None:
    backward = [place for page in reversed(walk(long_talk, size=size, forward=False)) for place in page]
    forward = [place for page in walk(long_talk, size=size, forward=True) for place in page]
    assert backward == forward == sorted(backward)
    assert len(set(backward)) == 20 + 60


def test_parts_of_an_answer_stand_in_their_order_behind_the_message(long_talk: WhatsAppUser) -> None:
    entries = get_page(long_talk, size=80).entries
    first = [entry.message.body for entry in entries if isinstance(entry, Sent)][:6]
    assert sorted(first) == sorted(f"answer {number} ({part})" for number in (0, 1) for part in (1, 2, 3))
    assert [text[-3:] for text in first] == ["(1)", "(1)", "(2)", "(2)", "(3)", "(3)"]
    assert [type(entry) for entry in entries[:3]] == [Received, Received, Sent]


def test_messages_of_the_same_moment_stand_in_the_order_of_their_numbers(ana: WhatsAppUser) -> None:
    for id in (1_000_000_009, 1_000_000_010, 999_999_999):
        raw = make_raw(ana)
        RawMessage.objects.filter(id=raw.id).update(id=id)
    pages = walk(ana, size=2, forward=False)
    assert [[place.id for place in page] for page in pages] == [[1_000_000_009, 1_000_000_010], [999_999_999]]


def test_a_page_around_an_entry_has_it_in_the_middle(long_talk: WhatsAppUser) -> None:
    everything = [entry.place for entry in get_page(long_talk, size=80).entries]
    page = get_page(long_talk, around=everything[40], size=10)
    assert [entry.place for entry in page.entries] == everything[36:46]
    assert (page.older, page.newer) == (everything[36].cursor, everything[45].cursor)
    gone = Place.of_inbound(everything[40].at, 2**60)  # forgotten since: its neighbours are shown
    assert len(get_page(long_talk, around=gone, size=10).entries) == 10


def test_a_day_begins_at_midnight_on_the_persons_clocks(ana: WhatsAppUser) -> None:
    zone = ZoneInfo(ana.timezone)
    midnight = get_day_start(date(2026, 5, 3), zone).at
    assert midnight.isoformat() == "2026-05-03T04:00:00+00:00"
    late, early = make_raw(ana, "late", at=midnight - MINUTE), make_raw(ana, "early", at=midnight)
    page = get_page(ana, after=get_day_start(date(2026, 5, 3), zone))
    assert [entry.message for entry in page.entries] == [early]
    assert page.older is not None
    assert [entry.message for entry in get_page(ana, before=read_cursor(page.older)).entries] == [late]
    with pytest.raises(ValueError, match="clock"):
        get_day_start(date.min, ZoneInfo("Asia/Tokyo"))


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "W10", "bnVsbA", "WyIyMDI2LTAxLTAxIiwxXQ", "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjU5IiwxXQ"],
)
def test_a_strange_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(StrangeCursor):
        read_cursor(cursor)


def test_a_cursor_comes_back_as_the_place_it_names() -> None:
    for place in (Place.of_inbound(NOON, 7), Place(NOON, True, 2, uuid.uuid4())):
        assert read_cursor(place.cursor) == place


def test_what_belongs_to_an_entry_comes_with_it_in_a_fixed_number_of_statements(ana: WhatsAppUser) -> None:
    make_everything(ana, minutes=0)
    with CaptureQueriesContext(
        connection,
    ) as of_few:
        first, correcting, asked, said, thanks = get_page(ana).entries
    assert isinstance(first, Received)
    assert isinstance(correcting, Received)
    assert isinstance(said, Sent)
    assert isinstance(thanks, Received)
    pdf, refused = first.files
    assert (pdf.kind, pdf.name, len(pdf.text), pdf.is_cut) == ("PDF", "flat.pdf", 5000, True)
    assert "not a type of file" in refused.refusal
    assert [(each.memory.number, each.how) for each in first.kept] == [(1, "saved, corrected since")]
    assert [(each.memory.text, each.how) for each in correcting.kept] == [("4712 0", "corrected")]
    assert [(each.memory.number, each.rank, each.score) for each in said.citations] == [(1, 1, 1.0)]
    assert [event.status for event in said.events] == ["failed"]
    assert (said.turn, said.message.error_code) == (asked.turn, 63016)
    assert thanks.quote
    assert (thanks.quote.place, thanks.quote.is_ours) == (said.place, True)
    for minutes in range(1, 8):
        make_everything(ana, minutes=minutes)
    with CaptureQueriesContext(connection) as of_many:
        assert len(get_page(ana).entries) == 40
    assert len(of_few) == len(of_many) <= 13


def test_what_is_forgotten_shows_no_files_and_no_words(ana: WhatsAppUser) -> None:
    raw = make_raw(ana, "secret", NumMedia="1", MediaContentType0="image/jpeg")
    turn = answer(ana, raw=raw, text="secret")
    redact(raw_message_ids=[raw.id], interaction_ids=[turn.id])
    received, sent = get_page(ana).entries
    assert received.is_forgotten
    assert sent.is_forgotten
    assert isinstance(received, Received)
    assert received.files == []


def test_what_staff_or_nobody_answered_needs_no_turn(ana: WhatsAppUser) -> None:
    raw = make_raw(ana, "Hello?")
    (entry,) = get_page(ana).entries
    assert isinstance(entry, Received)
    assert (entry.message, entry.state, entry.turn) == (raw, "waiting for an answer", None)


def make_searched(ana: WhatsAppUser) -> dict[str, Any]:
    body = make_raw(ana, f"{'word ' * 40}the Käse 100%_off{' word' * 40}", at=NOON)
    place = make_raw(ana, "", at=NOON + MINUTE, Latitude="1", Longitude="2", Label="KÄSE shop")
    spoken = make_raw(ana, "", at=NOON + 2 * MINUTE, NumMedia="1")
    file = make_file(
        b"voice",
        stored=False,
        stored_at=NOON,
        kind=MediaFile.Kind.VOICE_NOTE,
        text=f"{'so ' * 3000} käse please",
    )
    send_file(ana, file, raw=spoken, at=spoken.received_at, file_name="note.ogg")
    turn = answer(ana, "cheese?", "I know of käse", at=NOON + 3 * MINUTE)
    part = OutboundMessage.objects.get(interaction=turn)
    OutboundMessage.objects.filter(id=part.id).update(created_at=NOON + 3 * MINUTE)
    return {"body": body.id, "place": place.id, "spoken": spoken.id, "part": part.id}


def test_words_are_found_in_messages_places_files_and_answers_of_this_person_only(ana: WhatsAppUser) -> None:
    made = make_searched(ana)
    make_raw(make_person("+4915228817386"), "käse of somebody else")
    results = search_conversation(ana, query="käse")
    assert [found.place.id for found in results.found] == [
        made[key] for key in ("part", "spoken", "place", "body")
    ]
    assert (results.older, results.is_cut) == (None, False)
    part, spoken, place, body = (found.snippets[0] for found in results.found)
    assert (part.before, part.match, part.behind) == ("I know of ", "käse", " (1)")
    assert (spoken.source, spoken.match, spoken.behind) == ("voice note “note.ogg”", "käse", " please")
    assert (place.match, body.match) == ("KÄSE", "Käse")
    assert len(body.before) == len("…") + timeline_search.CONTEXT
    (found,) = search_conversation(ana, query="note.OGG").found
    assert found.place.id == made["spoken"]
    page = get_page(ana, around=found.place)
    assert found.place in [entry.place for entry in page.entries]


@pytest.mark.parametrize(("query", "count"), [("100%_off", 1), ("1%f", 0), ("_", 1), ("\\", 0), ("'", 0)])
def test_what_is_searched_for_is_taken_literally(ana: WhatsAppUser, query: str, count: int) -> None:
    make_searched(ana)
    assert len(search_conversation(ana, query=query).found) == count


@pytest.mark.parametrize("stretch", [3, 1000])
def test_going_on_searching_finds_everything_once_however_little_is_read_at_a_time(
    long_talk: WhatsAppUser, monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    monkeypatch.setattr(timeline_search, "STRETCH", stretch)
    monkeypatch.setattr(timeline_search, "RESULTS", 4)
    monkeypatch.setattr(timeline_search, "SECONDS", 0)
    seen: list[Place] = []
    before, rounds = None, 0
    while True:
        results = search_conversation(long_talk, query="ANSWER 1", before=before)
        seen += [found.place for found in results.found]
        assert all(found.snippets for found in results.found)
        before, rounds = results.older, rounds + 1
        if before is None:
            break
    assert len(seen) == len(set(seen)) == 3 * 11
    assert seen == sorted(seen, reverse=True)
    assert rounds < 50


def test_staff_write_without_an_answer_of_the_bot(ana: WhatsAppUser) -> None:
    OutboundMessage.objects.create(
        written_by="eve",
        user=ana,
        part=1,
        to_address=ana.whatsapp_id,
        from_address=SENDER,
        body="This is Eve of the support.",
    )
    (entry,) = get_page(ana).entries
    assert isinstance(entry, Sent)
    assert (entry.turn, entry.author, list(entry.citations)) == (None, "eve", [])
    assert RawMessage.objects.count() == 0
