"""The Gemini double refuses what Google would, and its vectors mean something."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.doubles.gemini import GeminiDouble, make_vector, running_gemini_double

MODEL = "gemini-embedding-001"


@pytest.fixture(scope="module")
def double() -> Iterator[GeminiDouble]:
    with running_gemini_double() as double:
        yield double


def post(
    double: GeminiDouble,
    body: Any,
    *,
    path: str = f"/v1/models/{MODEL}:batchEmbedContents",
    key: str | None = "key-of-the-double",
) -> requests.Response:
    headers = {"x-goog-api-key": key} if key else {}
    data = body if isinstance(body, str) else json.dumps(body)
    with requests.Session() as session:
        session.trust_env = False
        return session.post(double.base_url + path, data=data, headers=headers, timeout=10)


def ask(text: str = "the sun", **fields: Any) -> dict[str, Any]:
    content = {"role": "user", "parts": [{"text": text}]}
    return {"model": f"models/{MODEL}", "content": content, "outputDimensionality": 768} | fields


def length(vector: list[float]) -> float:
    return sum(value * value for value in vector) ** 0.5


def test_a_batch_is_answered_in_its_order_in_either_spelling(double: GeminiDouble) -> None:
    snake = ask("rain", task_type="RETRIEVAL_QUERY", output_dimensionality=768)
    del snake["outputDimensionality"]
    response = post(double, {"requests": [ask("sun", taskType="RETRIEVAL_DOCUMENT"), snake]})
    vectors = [each["values"] for each in response.json()["embeddings"]]
    assert vectors == [make_vector(text, model=MODEL, dimensions=768) for text in ("sun", "rain")]
    assert [each.task for each in double.embedded[-2:]] == ["RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"]


@pytest.mark.parametrize(
    ("status", "word", "how"),
    [
        (400, "INVALID_ARGUMENT", {"key": "another key"}),
        (403, "PERMISSION_DENIED", {"key": None}),
        (404, "NOT_FOUND", {"path": "/v1/models/text-embedding-004:batchEmbedContents"}),
        (404, "NOT_FOUND", {"path": f"/v2/models/{MODEL}:batchEmbedContents"}),
        (404, "NOT_FOUND", {"path": f"/v1/models/{MODEL}:embedContents"}),
    ],
)
def test_a_strange_key_model_or_path_is_refused(
    double: GeminiDouble, status: int, word: str, how: dict[str, Any]
) -> None:
    response = post(double, {"requests": [ask()]}, **how)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (status, status, word)
    reasons = [each["reason"] for each in error.get("details", [])]
    assert reasons == (["API_KEY_INVALID"] if how.get("key") else [])


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        [],
        {},
        {"requests": []},
        {"requests": [ask()] * 101},
        {"requests": [ask()], "more": 1},
        {"requests": ["the sun"]},
        {"requests": [ask(model="models/gemini-embedding-2")]},
        {"requests": [ask(content={"parts": [{"text": "the sun"}], "colour": "red"})]},
        {"requests": [ask("")]},
        {"requests": [ask(" \n")]},
        {"requests": [ask("sun " * 2000)]},
        {"requests": [ask(taskType="SEARCH")]},
        {"requests": [ask(outputDimensionality=64)]},
        {"requests": [ask(outputDimensionality="768")]},
        {"requests": [ask(colour="red")]},
    ],
    ids=lambda body: str(body)[:60],
)
def test_a_body_google_would_not_read_is_refused(double: GeminiDouble, body: Any) -> None:
    seen = len(double.embedded)
    response = post(double, body)
    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert len(double.embedded) == seen


def test_texts_that_share_words_are_nearer_and_only_full_vectors_of_the_old_model_have_length_one() -> None:
    birthday, question, car = (
        make_vector(text, model=MODEL, dimensions=768)
        for text in ("My sister's birthday is on 14 March", "when is my sister's birthday?", "The car is red")
    )

    def compare(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True)) / length(one) / length(other)

    assert compare(birthday, question) > 0.5 > 0.3 > compare(car, question)
    assert length(birthday) == pytest.approx(0.7)
    assert length(make_vector("The car", model=MODEL, dimensions=3072)) == pytest.approx(1)
    assert length(make_vector("The car", model="gemini-embedding-2", dimensions=768)) == pytest.approx(1)
    bare, with_task = (
        make_vector(text, model="gemini-embedding-2", dimensions=768)
        for text in ("The car", "title: none | text: The car")
    )
    assert bare == with_task


def test_faults_come_once_each_and_in_order(double: GeminiDouble) -> None:
    double.fail_next(
        "batchEmbedContents",
        kind="error",
        status=429,
        word="RESOURCE_EXHAUSTED",
        retry_delay="34s",
        retry_after="7",
    )
    for kind in ("junk", "empty", "wrong_count", "no_direction", "reset"):
        double.fail_next("batchEmbedContents", kind=kind)  # type: ignore[arg-type]
    double.fail_next("batchEmbedContents", kind="hang", seconds=0.05)
    body = {"requests": [ask("sun"), ask("rain")]}
    refused = post(double, body)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert refused.json()["error"]["details"][0]["retryDelay"] == "34s"
    assert post(double, body).headers["Content-Type"] == "text/html"
    assert post(double, body).json() == {}
    assert len(post(double, body).json()["embeddings"]) == 1
    assert length(post(double, body).json()["embeddings"][0]["values"]) == 0
    double.fail_next("batchEmbedContents", kind="cut")
    for _ in ("reset", "hang", "cut"):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            post(double, body)
    double.fail_next("batchEmbedContents", kind="slow", seconds=0.1)
    began = time.monotonic()
    assert len(post(double, body).json()["embeddings"]) == 2
    assert time.monotonic() - began >= 0.1
