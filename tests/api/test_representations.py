"""What the API shows has the fields its description names, no more and no fewer."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework import serializers

from accounts.models import WhatsAppUser
from api.conversations import Groups, Interactions
from api.memories import FoundMemories, HistoryPage
from api.representations import MemorySerializer
from memories.models import MemoryHistory
from tests.api.conftest import NUMBER, Ask
from tests.media.objects import make_file, send_file
from tests.memories.sides import NOON
from tests.messaging.made import answer, make_raw, remember

pytestmark = pytest.mark.django_db
OF_SEARCHES = {"score", "matched"}


def assert_described(shown: Any, field: Any) -> None:
    """Every object has the fields its serializer names, down to the last; `OF_SEARCHES` may be away."""
    if isinstance(field, serializers.ListSerializer):
        assert shown, f"nothing of {field.field_name} is shown"
        for each in shown:
            assert_described(each, field.child)
    elif isinstance(field, serializers.Serializer):
        assert field.fields.keys() - OF_SEARCHES <= shown.keys() <= field.fields.keys()
        for name in shown:
            assert_described(shown[name], field.fields[name])


def test_every_list_shows_what_its_description_says(
    ask: Ask, person: WhatsAppUser, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    raw = make_raw(person)
    send_file(person, make_file(), raw=raw)
    memory = remember(person, raw=raw)
    answer(person, raw=raw, used=[memory])
    MemoryHistory.objects.create(memory=memory, kind="repeated", text="Again", raw_message=raw, said_at=NOON)
    query: dict[str, Any] = {"whatsapp_number": NUMBER}
    for response, description in (
        (ask("GET", "/memories", query=query), FoundMemories),
        (ask("GET", "/memories", query=query | {"query": "gate code"}), FoundMemories),
        (ask("POST", "/memories/list", json=query), Groups),
        (ask("GET", f"/memories/{memory.id}/history"), HistoryPage),
        (ask("GET", "/interactions/recent", query=query), Interactions),
    ):
        assert response.status_code == 200, response.content
        assert_described(response.json(), description())
    changed: Any = ask("PATCH", f"/memories/{memory.id}", json={"metadata": {"a": 1}})
    assert_described(changed.json(), MemorySerializer())
