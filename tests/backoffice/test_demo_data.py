"""``manage.py make_demo_data``: made-up people are as real ones would be, and never beside these by accident."""

import json
import math
import random
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import WhatsAppUser
from accounts.phone_numbers import E164, read_phone_number
from api.models import WebhookDelivery, WebhookEndpoint
from backoffice.demo import data as demo_data
from backoffice.demo.people import HOMES, MOST_PEOPLE, make_person
from media.models import MediaFile, MessageMedia
from memories.models import Citation, Memory, MemoryHistory
from memories.reconciliation import reconcile_memories
from memories.search import search_memories
from memories.store import get_zone, identify_content, store_memory_direct
from messaging.content import read_content
from messaging.models import DeliveryEvent, Interaction, OutboundMessage, RawMessage
from tests.memories.sides import make_person as make_real_person
from whatsbot.integrations import embedder, local_embedder, mem0

pytestmark = pytest.mark.django_db(transaction=True)

UNTIL = "--until=2026-06-30T12:00"
TABLES = (
    *("accounts_whatsappuser", "messaging_rawmessage", "messaging_interaction", "messaging_outboundmessage"),
    *("messaging_deliveryevent", "memories_memory", "memories_memoryhistory", "memories_citation"),
    *("media_messagemedia", "media_mediafile"),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[None]:
    """Several batches, files in a folder of the test's own, and a random vector for each text."""
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.UPLOADS_DIR = tmp_path
    monkeypatch.setattr(demo_data, "BATCH", 100)
    monkeypatch.setattr(local_embedder, "embed_one", lambda text, *, is_query: _make_vector(text))
    embedder._embed_passage.cache_clear()
    yield
    embedder._embed_passage.cache_clear()


@cache
def _make_vector(text: str) -> list[float]:
    chance = random.Random(text)
    vector = [chance.gauss() for _ in range(384)]
    length = math.hypot(*vector)
    return [value / length for value in vector]


def make(*arguments: str) -> str:
    said = StringIO()
    call_command("make_demo_data", UNTIL, "--texts=1", *arguments, stdout=said)
    return said.getvalue()


def query(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def check_whole() -> None:
    """Nothing points to what is not there, both sides of the memory store are equal, and nothing is left to do."""
    keys = query(
        "SELECT conrelid::regclass::text, one.attname, confrelid::regclass::text, other.attname FROM pg_constraint"
        " JOIN pg_attribute AS one ON one.attrelid = conrelid AND one.attnum = conkey[1]"
        " JOIN pg_attribute AS other ON other.attrelid = confrelid AND other.attnum = confkey[1] WHERE contype = 'f'"
    )
    for table, column, other, key in keys:
        orphans = f"SELECT 1 FROM {table} AS one WHERE {column} IS NOT NULL AND NOT EXISTS"
        assert not query(f"{orphans} (SELECT FROM {other} AS other WHERE other.{key} = one.{column})"), table
    assert reconcile_memories(dry_run=True).differences == 0
    assert not query("SELECT 1 FROM procrastinate_jobs")
    assert not MessageMedia.objects.filter(file=None).exists()
    for file in MediaFile.objects.all():
        assert file.forwarded_count == file.links.count() - 1
        assert default_storage.size(file.storage_name) == file.size
    for person in WhatsAppUser.objects.all():
        numbers = list(person.memories.order_by("number").values_list("number", flat=True))
        assert numbers == list(range(1, person.memories_numbered + 1))
        assert person.last_inbound_at == person.raw_messages.latest("received_at").received_at
        assert person.created_at == person.raw_messages.earliest("received_at").received_at


def test_an_interrupted_demo_is_whole_and_another_goes_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    WebhookEndpoint.objects.create(
        name="A program", url="https://example.com/", events=["memory.created", "message.answered"]
    )
    write_batch, batches = demo_data._write_batch, []

    def interrupt(*arguments: Any, **options: Any) -> Any:
        batches.append(arguments)
        if len(batches) == 3:
            write_batch(*arguments, **options)
            raise KeyboardInterrupt
        return write_batch(*arguments, **options)

    monkeypatch.setattr(demo_data, "_write_batch", interrupt)
    with pytest.raises(
        CommandError, match=r"Stopped\. \d+ people, \d+ messages and \d+ memories are there"
    ) as stopped:
        make("--messages=200")
    assert stopped.value.returncode == 130
    there = RawMessage.objects.count()
    assert 100 < there < 200
    assert f"{there} messages" in str(stopped.value)
    check_whole()

    assert not WebhookDelivery.objects.exists()

    # Without the right to keep triggers still, each of them and each key is in force.
    monkeypatch.setattr(demo_data, "_may_be_quiet", lambda: False)
    with pytest.raises(CommandError, match="Webhooks are enabled"):
        make("--add")
    WebhookEndpoint.objects.update(is_enabled=False)
    assert "40 people, 200 messages" in make("--messages=200", "--add")
    assert RawMessage.objects.count() == there + 200
    check_whole()

    _check_memories()
    _check_talk()


def _check_memories() -> None:
    said = Memory.objects.filter(source="chat").exclude(type="file").select_related("raw_message")
    assert said
    for memory in said:
        assert memory.identity == identify_content(memory, zone=get_zone(memory.user_id)), memory.text
    assert set(Memory.objects.values_list("source", flat=True)) == {"chat", "api", "import"}
    assert MemoryHistory.objects.filter(kind="repeated").exists()
    for cited in Citation.objects.filter(rank=1, interaction__kind="recalled").select_related("memory")[:3]:
        memory = cited.memory
        question = cited.interaction.raw_message.body
        hits = search_memories(user_id=memory.user_id, query=question).hits
        assert memory.text in [hit.memory.text for hit in hits]
        (nearest,) = mem0.find_similar_entries(user_id=memory.user_id, text=memory.text, limit=1)
        assert nearest.similarity > 0.999
    made = Memory.objects.filter(source="chat").latest("id")
    real = store_memory_direct(
        user_id=made.user_id, text="The ferry leaves at noon", source=Memory.Source.API
    ).memory
    one, other = (
        json.loads(query(f"SELECT payload::text FROM mem0_local WHERE id = '{memory.mem0_id}'")[0][0])
        for memory in (made, real)
    )
    assert set(one) == set(other)
    assert all(type(one[name]) is type(other[name]) for name in one if not name.startswith("event"))


def _check_talk() -> None:
    for raw in RawMessage.objects.select_related("turn").prefetch_related("media__file"):
        content = read_content(raw)
        assert content.text == raw.body
        assert [each.media_id for each in content.attachments] == [link.id for link in raw.media.all()]
        assert (raw.status == "answered") == bool(raw.turn and raw.turn.answered_at)
    kinds = set(Interaction.objects.values_list("kind", flat=True))
    assert kinds >= {"saved", "recalled", "missed", "command", "small_talk"}
    for turn in Interaction.objects.filter(answered_at__isnull=False).select_related("raw_message__user"):
        assert turn.answered_at is not None
        assert turn.answered_at > turn.started_at > turn.raw_message.received_at
        tokens = [step["model"]["tokens"] for step in turn.transcript if "model" in step]
        assert (turn.input_tokens or 0, turn.output_tokens or 0) == tuple(
            map(sum, zip(*tokens, strict=True))
        ) or (not tokens and turn.input_tokens is None)
        assert {part.body for part in turn.outbound_messages.filter(part=1)} == {turn.answer}
        for saved in (step["tool"]["outcome"].get("saved") for step in turn.transcript if "tool" in step):
            assert saved is None or (
                f"#{saved}" in turn.answer and turn.raw_message.user.memories.filter(number=saved)
            )
    for part in OutboundMessage.objects.prefetch_related("delivery_events"):
        heard = {event.status for event in part.delivery_events.all()}
        assert ("read" in heard) == (part.status == "read")
        assert ("undelivered" in heard) == (part.status == "failed" and part.twilio_sid is not None)
    assert set(OutboundMessage.objects.values_list("status", flat=True)) >= {"failed", "delivered", "read"}
    assert DeliveryEvent.objects.filter(outbound_message=None).count() == 0


def test_the_same_seed_makes_the_same_rows() -> None:
    def snapshot(seed: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(TABLES)}, mem0_local RESTART IDENTITY CASCADE")
        make("--messages=60", f"--seed={seed}")
        left_out = "- ARRAY['storage_name', 'thumbnail_name']"  # random, as those of all files
        return [query(f"SELECT to_jsonb(t) {left_out} FROM {table} AS t ORDER BY 1") for table in TABLES]

    first = snapshot("1")
    assert snapshot("1") == first
    assert snapshot("2") != first


def test_it_refuses_beside_real_people_and_where_texts_would_leave_the_machine(settings: Any) -> None:
    make_real_person()
    with pytest.raises(CommandError, match="There are people already"):
        make()
    settings.MEMORY_EMBEDDER = "gemini"
    with pytest.raises(CommandError, match="MEMORY_EMBEDDER is not local"):
        make("--add")
    settings.MEM0_API_KEY = "a key"
    with pytest.raises(CommandError, match="Mem0's platform"):
        make("--add")
    assert not RawMessage.objects.exists()


def test_no_number_can_be_anybodys() -> None:
    for home in range(len(HOMES)):
        for id in (1, 77_777, MOST_PEOPLE - 1):
            person = make_person(id, home=home, hides=False, chose=False, language=0, roll=id)
            number = person.phone_number
            assert number
            assert E164.fullmatch(number)
            assert read_phone_number(number) == number
            parsed = phonenumbers.parse(number)
            assert phonenumbers.is_possible_number(parsed)
            assert not phonenumbers.is_valid_number(parsed), number
    with pytest.raises(ValueError, match="people only"):
        make_person(MOST_PEOPLE, home=0, hides=False, chose=False, language=0, roll=0)
