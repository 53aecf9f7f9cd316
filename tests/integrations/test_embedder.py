"""Texts to vectors: the model in this process, and Gemini over the real SDK against the double."""

import math
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.doubles.gemini import GeminiDouble, running_gemini_double
from whatsbot.exceptions import (
    MisconfiguredProvider,
    PermanentProviderError,
    ProviderError,
    TransientProviderError,
)
from whatsbot.integrations import embedder, gemini_embedder, local_embedder

LOCAL, GEMINI = embedder.get_embedder("local"), embedder.get_embedder("gemini")
KEY = "key-of-the-double"
EMBED = "batchEmbedContents"


@pytest.fixture(autouse=True)
def _no_vector_is_known() -> None:
    embedder._embed_passage.cache_clear()


@pytest.fixture
def double(settings: Any) -> Iterator[GeminiDouble]:
    with running_gemini_double(api_key=KEY) as double:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = KEY, double.base_url
        yield double


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which take no time here."""
    pauses: list[float] = []
    monkeypatch.setattr(gemini_embedder, "time", SimpleNamespace(sleep=pauses.append))
    return pauses


def compare(one: list[float], other: list[float]) -> float:
    """The cosine of vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


# The door


def test_the_setting_says_which_embedder_is_in_use(settings: Any) -> None:
    assert embedder.get_embedder() == LOCAL
    settings.MEMORY_EMBEDDER = "gemini"
    assert embedder.get_embedder() == GEMINI
    settings.MEMORY_EMBEDDER = "word2vec"
    with pytest.raises(MisconfiguredProvider, match="MEMORY_EMBEDDER"):
        embedder.embed_query("the sun")


@pytest.mark.parametrize("in_use", [LOCAL, GEMINI], ids=lambda each: each.name)
def test_vectors_have_the_length_of_their_table_and_find_what_is_meant(
    double: GeminiDouble, in_use: embedder.Embedder
) -> None:
    question = embedder.embed_query("when is my sister's birthday?", embedder=in_use)
    birthday = embedder.embed_passage("my sister's birthday is on 14 March", embedder=in_use)
    [also_birthday, car] = embedder.embed_passages(
        ["my sister's birthday is on 14 March", "the car is red"], embedder=in_use
    )
    assert also_birthday == birthday
    for vector in (question, birthday, car):
        assert len(vector) == in_use.dimensions
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)
    assert compare(question, birthday) > compare(question, car) + 0.05
    assert embedder.embed_passages([], embedder=in_use) == []


@pytest.mark.parametrize("in_use", [LOCAL, GEMINI], ids=lambda each: each.name)
@pytest.mark.parametrize("text", ["", " \n", "\0"])
def test_no_text_is_refused_here(double: GeminiDouble, in_use: embedder.Embedder, text: str) -> None:
    for embed in (embedder.embed_query, embedder.embed_passage):
        with pytest.raises(PermanentProviderError, match="no text"):
            embed(text, embedder=in_use)
    with pytest.raises(PermanentProviderError, match="no text"):
        embedder.embed_passages(["the sun", text], embedder=in_use)
    assert double.requests == []


@pytest.mark.parametrize("in_use", [LOCAL, GEMINI], ids=lambda each: each.name)
def test_characters_no_engine_takes_do_not_end_a_text(
    double: GeminiDouble, in_use: embedder.Embedder
) -> None:
    whole = embedder.embed_passage("the sun is hot", embedder=in_use)
    assert embedder.embed_passage("the sun\0is hot", embedder=in_use) == whole
    half_of_a_pair = embedder.embed_passage("the sun is hot \ud83d", embedder=in_use)
    assert compare(half_of_a_pair, whole) > 0.8


def test_a_passage_that_was_just_embedded_is_not_embedded_again(
    double: GeminiDouble, pauses: list[float]
) -> None:
    vector = embedder.embed_passage("the sun", embedder=GEMINI)
    vector.clear()  # the caller's own
    assert len(embedder.embed_passage("the sun", embedder=GEMINI)) == 768
    assert len(double.requests) == 1
    assert len(embedder.embed_passage("the sun", embedder=LOCAL)) == 384
    embedder.embed_query("the sun", embedder=GEMINI)
    assert len(double.requests) == 2
    double.fail_next(EMBED, kind="error", status=400, word="INVALID_ARGUMENT")
    with pytest.raises(PermanentProviderError):
        embedder.embed_passage("the rain", embedder=GEMINI)
    assert len(embedder.embed_passage("the rain", embedder=GEMINI)) == 768


# In this process


def test_the_local_model_puts_e5s_own_prefixes_before_questions_and_passages() -> None:
    query, passage = embedder.embed_query("protein a day"), embedder.embed_passage("protein a day")
    model = local_embedder._model
    assert query == model.query("protein a day").tolist()
    assert passage == model.passage("protein a day").tolist()
    assert query != passage


def test_an_honorific_that_overruns_the_engines_buffer_does_not_end_the_process() -> None:
    """U+FDFA is one character that the engine spells out with 18; 30 of them used to crash it."""
    code = (
        "from whatsbot.integrations.local_embedder import embed_one\n"
        "for count in (30, 1000): vector = embed_one('\\ufdfa' * count, is_query=False)\n"
        "print(len(vector))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "384"), done.stderr


def test_of_a_very_long_text_the_beginning_is_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "we went to the market; " * 100
    beginning = embedder.embed_passage(text[:300])
    assert embedder.embed_passage(text[:600]) != beginning
    monkeypatch.setattr(local_embedder, "MOST_CHARACTERS", 300)
    assert embedder.embed_passage(text) == beginning


# Gemini


def test_the_old_model_is_told_in_a_field_and_later_ones_before_the_text(
    double: GeminiDouble, settings: Any
) -> None:
    embedder.embed_query("the sun?", embedder=GEMINI)
    embedder.embed_passage("the sun", embedder=GEMINI)
    settings.GEMINI_EMBEDDING_MODEL = "gemini-embedding-2"
    embedder.embed_query("the sun?", embedder=GEMINI)
    assert len(embedder.embed_passages(["the moon", "the sun"], embedder=GEMINI)) == 2
    assert [(each.model, each.task, each.text) for each in double.embedded] == [
        ("gemini-embedding-001", "RETRIEVAL_QUERY", "the sun?"),
        ("gemini-embedding-001", "RETRIEVAL_DOCUMENT", "the sun"),
        ("gemini-embedding-2", None, "task: search result | query: the sun?"),
        ("gemini-embedding-2", None, "title: none | text: the moon"),
        ("gemini-embedding-2", None, "title: none | text: the sun"),
    ]


def test_many_texts_go_by_the_hundred_with_more_time_and_keep_their_order(double: GeminiDouble) -> None:
    texts = [f"number {number}" for number in range(205)]
    vectors = embedder.embed_passages(texts, embedder=GEMINI)
    embedder.embed_query("a number", embedder=GEMINI)
    assert [each.server_timeout for each in double.requests] == ["30", "30", "30", "10"]
    assert [each.text for each in double.embedded[:205]] == texts
    assert vectors[150] == embedder.embed_passage("number 150", embedder=GEMINI)


@pytest.mark.parametrize("letter", ["a ", "ж", "字", "😀"])
def test_a_text_that_is_too_long_is_cut_where_a_character_ends(double: GeminiDouble, letter: str) -> None:
    embedder.embed_passage(letter * 9000, embedder=GEMINI)
    sent = double.embedded[0].text
    assert 5990 < len(sent.encode()) <= 6000
    assert set(sent) == set(letter)


@pytest.mark.parametrize("kind", ["reset", "junk", "empty", "no_direction"])
def test_one_text_is_tried_once_more_after_a_short_pause(
    double: GeminiDouble, pauses: list[float], kind: Any
) -> None:
    double.fail_next(EMBED, kind=kind)
    assert len(embedder.embed_query("the sun", embedder=GEMINI)) == 768
    double.fail_next(EMBED, kind=kind, times=2)
    with pytest.raises(TransientProviderError):
        embedder.embed_query("the sun", embedder=GEMINI)
    assert len(pauses) == 2
    assert max(pauses) < 1
    assert len(double.requests) == 4


def test_one_text_waits_no_longer_than_its_time(
    double: GeminiDouble, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemini_embedder, "SOMEBODY_WAITS", gemini_embedder.Patience(0.2, 2, 1))
    double.fail_next(EMBED, kind="hang", times=2)
    with pytest.raises(TransientProviderError, match="Timeout"):
        embedder.embed_query("the sun", embedder=GEMINI)


def test_what_gemini_asks_to_wait_is_passed_on_for_one_text_and_waited_for_with_many(
    double: GeminiDouble, pauses: list[float]
) -> None:
    busy: dict[str, Any] = {"kind": "error", "status": 429, "word": "RESOURCE_EXHAUSTED"}
    double.fail_next(EMBED, **busy, retry_delay="34.5s", retry_after="3")
    with pytest.raises(TransientProviderError) as raised:
        embedder.embed_query("the sun", embedder=GEMINI)
    assert (raised.value.code, raised.value.retry_after) == (429, 34.5)
    assert (len(double.requests), pauses) == (1, [])
    double.fail_next(EMBED, **busy, retry_delay="34.5s", times=2)
    double.fail_next(EMBED, **busy, retry_after="12")
    assert len(embedder.embed_passages(["the sun"], embedder=GEMINI)) == 1
    assert pauses == [34.5, 34.5, 12]
    double.fail_next(EMBED, **busy, retry_delay="3600s")  # a quota of the day
    with pytest.raises(TransientProviderError):
        embedder.embed_passages(["the sun"], embedder=GEMINI)
    assert len(pauses) == 3


def test_many_texts_are_tried_six_times_with_growing_pauses(
    double: GeminiDouble, pauses: list[float]
) -> None:
    double.fail_next(EMBED, kind="error", status=503, word="UNAVAILABLE", times=6)
    with pytest.raises(TransientProviderError):
        embedder.embed_passages(["the sun"], embedder=GEMINI)
    assert len(double.requests) == 6
    assert pauses == sorted(pauses)
    assert 10 < sum(pauses) < 20


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "INVALID_ARGUMENT", PermanentProviderError),
        (400, "FAILED_PRECONDITION", MisconfiguredProvider),
        (401, "UNAUTHENTICATED", MisconfiguredProvider),
        (403, "PERMISSION_DENIED", MisconfiguredProvider),
        (404, "NOT_FOUND", MisconfiguredProvider),
        (408, "", TransientProviderError),
        (413, "<html>", PermanentProviderError),
        (429, "RESOURCE_EXHAUSTED", TransientProviderError),
        (500, "INTERNAL", TransientProviderError),
        (503, "UNAVAILABLE", TransientProviderError),
        (504, "DEADLINE_EXCEEDED", TransientProviderError),
    ],
)
def test_an_error_says_whether_to_try_again_and_quotes_nothing(
    double: GeminiDouble, pauses: list[float], status: int, word: str, kind: type[ProviderError]
) -> None:
    double.fail_next(EMBED, kind="error", status=status, word=word, times=2)
    with pytest.raises(ProviderError) as raised:
        embedder.embed_query("a secret", embedder=GEMINI)
    error = raised.value
    assert (type(error), error.code) == (kind, status)
    assert str(error) == f"Gemini answered HTTP {status} ({word if word.isupper() else 'no status'})."
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_a_wrong_key_is_our_mistake_and_no_key_asks_nobody(double: GeminiDouble, settings: Any) -> None:
    settings.GEMINI_API_KEY = "another key"
    with pytest.raises(MisconfiguredProvider, match="400"):
        embedder.embed_query("the sun", embedder=GEMINI)
    for key in ("", "schlüssel"):
        settings.GEMINI_API_KEY = key
        with pytest.raises(MisconfiguredProvider, match="GEMINI_API_KEY"):
            embedder.embed_query("the sun", embedder=GEMINI)
    assert len(double.requests) == 1


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:9", "http://[::1", "ftp://127.0.0.1"])
def test_an_address_that_is_none_is_our_mistake(double: GeminiDouble, settings: Any, address: str) -> None:
    settings.GEMINI_BASE_URL = address
    with pytest.raises(MisconfiguredProvider, match="GEMINI_BASE_URL"):
        embedder.embed_query("the sun", embedder=GEMINI)


def test_too_few_vectors_are_no_answer(double: GeminiDouble) -> None:
    double.fail_next(EMBED, kind="wrong_count")
    with pytest.raises(PermanentProviderError, match="2 vectors of 768"):
        embedder.embed_passages(["the sun", "the moon"], embedder=GEMINI)


def test_the_environment_turns_the_client_nowhere_else(
    double: GeminiDouble, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_API_KEY", "another key")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    settings.GEMINI_BASE_URL = double.base_url + "/"  # a client of its own, made now
    assert len(embedder.embed_query("the sun", embedder=GEMINI)) == 768
