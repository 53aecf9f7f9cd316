"""`/analytics/summary`: figures that add up, and nobody's words."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import WhatsAppUser
from media.models import MessageMedia
from messaging.models import Interaction, OutboundMessage
from tests.api.conftest import Ask
from tests.media.objects import make_file, send_file
from tests.messaging.made import answer, make_raw, remember

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def summarize(ask: Ask, **query: str) -> Any:
    response = ask("GET", "/analytics/summary", query=query)
    assert response.status_code == 200, response.content
    return response.json()


def test_with_nothing_there_all_is_nought(ask: Ask) -> None:
    summary = summarize(ask)
    assert summary["people"] == {"total": 0, "new": 0, "active": 0, "opted_out": 0}
    assert summary["response_times"] == {
        **{"answered": 0, "mean_seconds": None, "p50_seconds": None, "p95_seconds": None}
    }
    assert len(summary["days"]) == 30
    assert summary["days"][-1]["day"] == timezone.now().astimezone(UTC).date().isoformat()


def test_the_figures_add_up(ask: Ask, person: WhatsAppUser) -> None:
    noon = datetime(2026, 5, 3, 12, tzinfo=UTC)
    for seconds in (1, 2, 3, 10):
        raw = make_raw(person, at=noon)
        made = answer(person, raw=raw, kind="saved" if seconds < 10 else "apology", at=noon)
        Interaction.objects.filter(id=made.id).update(answered_at=noon + timedelta(seconds=seconds))
    make_raw(person, at=noon + DAY)
    make_raw(person, at=noon - DAY)  # before
    outbound = OutboundMessage.objects.all()
    outbound.update(created_at=noon)
    outbound.filter(id__in=[row.id for row in outbound[:2]]).update(status="failed", error_code=63016)
    memory = remember(person, source="api", type="event")
    type(memory).objects.update(created_at=noon)
    file = make_file(b"1234567890")
    send_file(person, file, at=noon)
    send_file(person, file, at=noon)
    MessageMedia.objects.create(
        raw_message=make_raw(person, at=noon - 2 * DAY), user=person, position=0, refusal="bomb", sent_at=noon
    )
    summary = summarize(ask, start_date="2026-05-03", end_date="2026-05-04")
    assert [(day["day"], day["messages"], day["answers"], day["memories"]) for day in summary["days"]] == [
        ("2026-05-03", summary["messages"] - 1, 4, 1),
        ("2026-05-04", 1, 0, 0),
    ]
    assert summary["answers_by_kind"] == {"apology": 1, "saved": 3}
    times = summary["response_times"]
    assert (times["answered"], times["mean_seconds"], times["p50_seconds"]) == (4, 4.0, 2.5)
    assert times["p95_seconds"] == pytest.approx(8.95)
    assert summary["failures"]["apologies"] == 1
    assert summary["failures"]["undelivered_by_code"] == {"63016": 2}
    assert summary["memories"] == {
        **{"stored": 1, "corrections": 0, "repeats": 0},
        **{"by_type": {"event": 1}, "by_source": {"api": 1}},
    }
    assert summary["media"] == {
        **{"received": 2, "refused": {"bomb": 1}, "by_kind": {"picture": 2}},
        **{"files_stored": 1, "bytes_stored": 10, "bytes_saved": 10},
    }
    assert summary["people"]["active"] == 1


def test_nobodys_words_or_numbers_are_told(ask: Ask, person: WhatsAppUser) -> None:
    WhatsAppUser.objects.update(profile_name="zanzibar")
    answer(person, "zanzibar?", "zanzibar", used=[remember(person, "zanzibar")])
    told = json.dumps(summarize(ask))
    assert "zanzibar" not in told
    assert "555" not in told


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"start_date": "2026-05-04", "end_date": "2026-05-03"}, 422),
        ({"start_date": "2020-01-01", "end_date": "2026-01-01"}, 422),
        ({"start_date": "9999-12-31"}, 422),
        ({"end_date": "9999-12-31"}, 422),
        ({"start_date": "today"}, 400),
        ({"from": "2026-05-04"}, 400),
        ({"start_date": "0001-01-01", "end_date": "0001-01-02"}, 200),
        ({"end_date": "0001-01-02"}, 200),
    ],
)
def test_days_that_are_none_are_refused(ask: Ask, query: dict[str, str], status: int) -> None:
    assert ask("GET", "/analytics/summary", query=query).status_code == status
