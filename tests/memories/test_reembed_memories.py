"""Changing the embedder: `manage.py reembed_memories`."""

import json
import uuid
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import WhatsAppUser
from memories import reembedding
from memories.models import Memory
from memories.store import store_memory_direct
from tests.doubles.gemini import GeminiDouble, make_vector, running_gemini_double
from whatsbot.exceptions import MisconfiguredProvider
from whatsbot.integrations import gemini_embedder, mem0

pytestmark = pytest.mark.django_db
EMBED = "batchEmbedContents"
LONG_AGO, YESTERDAY, TODAY = (f"2026-11-{day}T08:00:00.5+00:00" for day in (10, 21, 22))


@pytest.fixture(autouse=True)
def double(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiDouble]:
    monkeypatch.setattr(gemini_embedder, "FIRST_PAUSE", 0.001)
    with running_gemini_double() as double:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = double.api_key, double.base_url
        yield double


@pytest.fixture(autouse=True)
def _tables_are_empty(db: None) -> Iterator[None]:
    """They are no models, so nobody empties them after a test without a transaction around it."""
    empty_tables()
    yield
    empty_tables()


def empty_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM mem0_local; DELETE FROM mem0_gemini")


@pytest.fixture
def user() -> WhatsAppUser:
    return WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550123", phone_number="+12025550123")


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("reembed_memories", *arguments, stdout=said)
    return said.getvalue()


def make_memory(user: WhatsAppUser, text: str) -> Memory:
    """A memory with its entry in the table of the local embedder."""
    memory = Memory.objects.create(
        user=user,
        number=Memory.objects.count() + 1,
        mem0_id=uuid.uuid4(),
        text=text,
        source=Memory.Source.API,
        happened_at=timezone.now(),
    )
    write_entry(memory.mem0_id, payload=make_payload(memory))
    return memory


def make_payload(memory: Memory, *, updated_at: str = LONG_AGO, **more: Any) -> dict[str, Any]:
    return {
        "data": memory.text,
        "hash": "of the text",
        "user_id": str(memory.user_id),
        "key": f"direct:{memory.mem0_id}",
        "ts": 1763971200,
        "created_at": LONG_AGO,
        "updated_at": updated_at,
    } | more


def write_entry(mem0_id: uuid.UUID, *, payload: dict[str, Any], table: str = "mem0_local") -> None:
    vector = [1.0] + [0.0] * (383 if table == "mem0_local" else 767)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} AS entry VALUES (%s, %s::vector, %s) ON CONFLICT (id) DO UPDATE "
            "SET vector = excluded.vector, payload = excluded.payload",
            [mem0_id, str(vector), json.dumps(payload)],
        )


def read_entries(table: str = "mem0_gemini") -> dict[uuid.UUID, tuple[list[float], dict[str, Any]]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, vector::text, payload::text FROM {table}")
        return {id: (json.loads(vector), json.loads(payload)) for id, vector, payload in cursor.fetchall()}


def count_sent(double: GeminiDouble) -> int:
    return len(double.embedded)


def test_each_entry_keeps_its_id_and_payload_and_gets_geminis_vector(
    user: WhatsAppUser, double: GeminiDouble
) -> None:
    memories = [make_memory(user, f"memory number {number}") for number in range(7)]
    said = run("--to", "gemini", "--batch", "3")
    assert "7 memories embedded with gemini" in said
    assert "set MEMORY_EMBEDDER=gemini, restart, and run this once more" in said
    before, after = read_entries("mem0_local"), read_entries()
    assert after.keys() == before.keys()
    for memory in memories:
        vector, payload = after[memory.mem0_id]
        hash = payload.pop("hash")
        assert payload == {k: v for k, v in before[memory.mem0_id][1].items() if k != "hash"}
        assert len(hash) == 32
        wanted = make_vector(memory.text, model="gemini-embedding-001", dimensions=768)
        assert vector == pytest.approx([value / 0.7 for value in wanted], abs=1e-5)
    assert [each.task for each in double.embedded] == ["RETRIEVAL_DOCUMENT"] * 7
    assert len(double.requests) == 3


def test_a_repeat_embeds_only_what_is_new_or_has_changed(user: WhatsAppUser, double: GeminiDouble) -> None:
    first, second, _ = (make_memory(user, text) for text in ("the sun", "the moon", "a star"))
    run("--to", "gemini")
    assert "0 memories embedded" in run("--to", "gemini")
    assert count_sent(double) == 3
    Memory.objects.filter(id=first.id).update(text="the sun is hot")
    write_entry(
        second.mem0_id, payload=make_payload(second, updated_at=TODAY, ts=5)
    )  # same words, another time
    third = make_memory(user, "a comet")
    assert "3 memories embedded" in run("--to", "gemini")
    assert sorted(each.text for each in double.embedded[3:]) == ["a comet", "the moon", "the sun is hot"]
    after = read_entries()
    assert after[first.mem0_id][1]["data"] == "the sun is hot"
    assert after[second.mem0_id][1]["ts"] == 5
    assert third.mem0_id in after


def test_after_the_change_what_was_stored_meanwhile_comes_over_and_what_is_newer_stays(
    user: WhatsAppUser, settings: Any, double: GeminiDouble
) -> None:
    corrected, _ = make_memory(user, "the sun"), make_memory(user, "the moon")
    run("--to", "gemini")
    meanwhile = make_memory(user, "a comet")
    settings.MEMORY_EMBEDDER = "gemini"
    Memory.objects.filter(id=corrected.id).update(text="the sun is hot")
    corrected.refresh_from_db()
    newer = make_payload(corrected, updated_at=TODAY, ts=9)
    write_entry(corrected.mem0_id, payload=newer, table="mem0_gemini")
    said = run("--to", "gemini")
    assert "1 memories embedded" in said
    assert "MEMORY_EMBEDDER" not in said
    after = read_entries()
    assert after[corrected.mem0_id][1] == newer
    assert after[meanwhile.mem0_id][1]["data"] == "a comet"
    assert double.embedded[-1].text == "a comet"
    # And back again: the older table takes the correction over.
    assert "set MEMORY_EMBEDDER=local" in run("--to", "local")
    assert read_entries("mem0_local")[corrected.mem0_id][1]["ts"] == 9
    assert len(read_entries("mem0_local")[corrected.mem0_id][0]) == 384


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_an_interrupted_run_leaves_whole_batches_and_goes_on_from_there(
    user: WhatsAppUser,
    double: GeminiDouble,
    monkeypatch: pytest.MonkeyPatch,
    interruption: type[BaseException],
) -> None:
    for number in range(10):
        make_memory(user, f"memory number {number}")
    embed = reembedding.embed_passages
    calls = []

    def interrupted(texts: Any, **options: Any) -> Any:
        calls.append(texts)
        if len(calls) == 3:
            raise interruption
        return embed(texts, **options)

    monkeypatch.setattr(reembedding, "embed_passages", interrupted)
    with pytest.raises((CommandError, OSError)) as raised:
        run("--to", "gemini", "--batch", "3")
    if interruption is KeyboardInterrupt:
        assert "run this again to go on" in str(raised.value)
        assert raised.value.returncode == 130  # type: ignore[union-attr]
    assert len(read_entries()) == 6
    assert "4 memories embedded" in run("--to", "gemini", "--batch", "3")
    assert len(read_entries()) == 10
    assert count_sent(double) == 10


def test_an_interruption_while_a_batch_is_written_leaves_none_of_it(
    user: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        make_memory(user, f"memory number {number}")
    monkeypatch.setattr(
        reembedding, "embed_passages", lambda texts, **_: [[1.0] * 768] * (len(texts) - 1) + [[1.0]]
    )
    with pytest.raises(Exception, match="expected 768 dimensions"):
        run("--to", "gemini")
    assert read_entries() == {}


def test_a_dry_run_sends_and_changes_nothing(user: WhatsAppUser, double: GeminiDouble) -> None:
    for text in ("the sun", "the moon", "größer"):
        make_memory(user, text)
    gone = uuid.uuid4()
    write_entry(gone, payload={"data": "gone", "created_at": LONG_AGO}, table="mem0_gemini")
    said = run("--to", "gemini", "--dry-run")
    assert "3 memories to embed, 21 characters; 1 entries of forgotten memories to remove" in said
    assert read_entries().keys() == {gone}
    assert double.requests == []
    run("--to", "gemini")
    assert "0 memories to embed, 0 characters; 0 entries" in run("--to", "gemini", "--dry-run")


def test_what_was_forgotten_is_removed_and_not_brought_back(user: WhatsAppUser, double: GeminiDouble) -> None:
    kept, forgotten = make_memory(user, "the sun"), make_memory(user, "a secret")
    run("--to", "gemini")
    Memory.objects.filter(id=forgotten.id).delete()
    just_stored = uuid.uuid4()  # its row is about to be written
    payload = make_payload(kept, key="another", created_at=timezone.now().isoformat())
    write_entry(just_stored, payload=payload, table="mem0_gemini")
    assert "0 memories embedded" in run("--to", "gemini")
    assert read_entries().keys() == {kept.mem0_id, just_stored}
    # In the table in use, an entry without a row is for `reconcile_memories`.
    assert read_entries("mem0_local").keys() == {kept.mem0_id, forgotten.mem0_id}


def test_what_is_forgotten_or_corrected_during_the_call_is_not_written(
    user: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, forgotten, corrected = (make_memory(user, text) for text in ("the sun", "a secret", "the moon"))
    embed = reembedding.embed_passages

    def embed_slowly(texts: Any, **options: Any) -> Any:
        Memory.objects.filter(id=forgotten.id).delete()
        Memory.objects.filter(id=corrected.id).update(text="the moon is full")
        return embed(texts, **options)

    monkeypatch.setattr(reembedding, "embed_passages", embed_slowly)
    run("--to", "gemini")
    assert read_entries().keys() == {kept.mem0_id}
    run("--to", "gemini")
    assert read_entries()[corrected.mem0_id][1]["data"] == "the moon is full"


def test_a_newer_entry_stored_during_the_call_is_not_overwritten(
    user: WhatsAppUser, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MEMORY_EMBEDDER = "gemini"
    memory = make_memory(user, "the sun")
    newer = make_payload(memory, updated_at=TODAY)
    embed = reembedding.embed_passages

    def embed_slowly(texts: Any, **options: Any) -> Any:
        write_entry(memory.mem0_id, payload=newer, table="mem0_gemini")
        return embed(texts, **options)

    monkeypatch.setattr(reembedding, "embed_passages", embed_slowly)
    run("--to", "gemini")
    assert read_entries()[memory.mem0_id][1] == newer


def test_a_provider_that_fails_for_good_is_said_and_a_repeat_goes_on(
    user: WhatsAppUser, double: GeminiDouble, settings: Any
) -> None:
    for number in range(6):
        make_memory(user, f"memory number {number}")
    settings.GEMINI_API_KEY = "a wrong key"
    with pytest.raises(CommandError, match=r"HTTP 400 .* run this again to go on"):
        run("--to", "gemini")
    assert len(double.requests) == 1
    settings.GEMINI_API_KEY = ""
    with pytest.raises(CommandError, match="GEMINI_API_KEY is not set"):
        run("--to", "gemini")
    settings.GEMINI_API_KEY = double.api_key
    double.fail_next(EMBED, kind="error", status=503, word="UNAVAILABLE", times=6)
    with pytest.raises(CommandError, match="HTTP 503"):
        run("--to", "gemini")
    assert read_entries() == {}
    double.fail_next(EMBED, kind="error", status=429, word="RESOURCE_EXHAUSTED", retry_delay="0.01s", times=3)
    run("--to", "gemini", "--batch", "2")
    assert len(read_entries()) == 6


def test_one_text_that_is_refused_does_not_keep_the_others(
    user: WhatsAppUser, double: GeminiDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, blank = make_memory(user, "the sun"), make_memory(user, "\t")
    for _ in range(2):
        with pytest.raises(CommandError, match=f"refused the texts of 1 memories.*: {blank.id}$"):
            run("--to", "gemini")
        assert read_entries().keys() == {good.mem0_id}
    # But where every text is refused, it is not the texts.
    make_memory(user, "the moon")
    make_memory(user, "a star")
    Memory.objects.filter(id=blank.id).delete()
    double.fail_next(EMBED, kind="error", status=400, word="INVALID_ARGUMENT", times=3)
    with pytest.raises(CommandError, match="HTTP 400"):
        run("--to", "gemini")


def test_afresh_embeds_everything_again_but_never_empties_the_table_in_use(
    user: WhatsAppUser, double: GeminiDouble, settings: Any
) -> None:
    memory = make_memory(user, "the sun")
    run("--to", "gemini")
    settings.GEMINI_EMBEDDING_MODEL = "gemini-embedding-2"
    assert "1 memories embedded" in run("--to", "gemini", "--afresh")
    assert [each.model for each in double.embedded] == ["gemini-embedding-001", "gemini-embedding-2"]
    settings.MEMORY_EMBEDDER = "gemini"
    with pytest.raises(CommandError, match="gemini is in use"):
        run("--to", "gemini", "--afresh")
    with pytest.raises(MisconfiguredProvider):
        reembedding.empty(reembedding.get_embedder())
    assert read_entries().keys() == {memory.mem0_id}


def test_on_mem0s_platform_there_is_nothing_to_do(settings: Any) -> None:
    settings.MEM0_API_KEY = "m0-key"
    with pytest.raises(CommandError, match="embeds by itself"):
        run("--to", "gemini")


@pytest.mark.parametrize("batch", ["0", "101", "many"])
def test_a_batch_has_one_to_a_hundred_texts(batch: str) -> None:
    with pytest.raises(CommandError, match="a number from 1 to 100"):
        run("--to", "gemini", "--batch", batch)


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_texts_are_embedded(
    user: WhatsAppUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_memory(user, "the sun")
    embed, held = reembedding.embed_passages, []

    def watched(texts: Any, **options: Any) -> Any:
        held.append(connection.connection)
        return embed(texts, **options)

    monkeypatch.setattr(reembedding, "embed_passages", watched)
    run("--to", "gemini")
    assert held == [None]


@pytest.mark.django_db(transaction=True)
def test_the_same_memories_are_found_with_the_other_embedder(settings: Any, double: GeminiDouble) -> None:
    user = WhatsAppUser.objects.create(whatsapp_id="whatsapp:+12025550123", phone_number="+12025550123")
    texts = ("my sister's birthday is on 14 March", "the wifi password is in the drawer", "the car is red")
    stored = [
        store_memory_direct(user_id=user.id, text=text, source=Memory.Source.API).memory for text in texts
    ]
    run("--to", "gemini")
    payloads = [
        {id: entry[1] for id, entry in read_entries(table).items()} for table in ("mem0_local", "mem0_gemini")
    ]
    assert payloads[0] == payloads[1]
    settings.MEMORY_EMBEDDER = "gemini"
    mem0.close()
    try:
        found = mem0.search_entries(user_id=user.id, query="when is my sister's birthday?", limit=3)
        assert found[0].mem0_id == str(stored[0].mem0_id)
        assert found[0].similarity > 0.5 > found[1].similarity
        assert {each.mem0_id for each in found} == {str(memory.mem0_id) for memory in stored}
        entry = mem0.get_entry(user_id=user.id, mem0_id=str(stored[1].mem0_id))
        assert entry is not None
        assert entry.content.text == texts[1]
        similar = mem0.find_similar_entries(user_id=user.id, text=texts[2], limit=1)
        assert similar[0].similarity == pytest.approx(1, abs=1e-5)
    finally:
        mem0.close()
