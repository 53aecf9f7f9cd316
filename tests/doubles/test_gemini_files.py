"""The Gemini double takes files, keeps them apart from conversations, and says what they are (gemini.md §5, §9)."""

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from google.genai import Client, errors, types

from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_client import ask, ask_for_description, connect, upload, user
from tests.doubles.gemini_model import Media, ModelRequest, Reply, describe_as, say

CHUNK = 8 * 1024 * 1024


@pytest.fixture
def double() -> Iterator[GeminiDouble]:
    with running_gemini_double() as double:
        yield double


@pytest.fixture
def client(double: GeminiDouble) -> Client:
    return connect(double)


def show(file: types.File) -> types.Part:
    return types.Part.from_uri(file_uri=file.uri or "", mime_type=file.mime_type)


def send(double: GeminiDouble, path: str, data: bytes, **headers: str) -> httpx2.Response:
    with httpx2.Client(trust_env=False) as session:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return session.post(double.base_url + path, content=data, headers=named, timeout=10)


def begin(double: GeminiDouble, *, size: int) -> str:
    """The path for the bytes of an upload of a PDF."""
    body = json.dumps({"file": {"mimeType": "application/pdf", "sizeBytes": size}}).encode()
    response = send(
        double,
        "/upload/v1/files",
        body,
        x_goog_api_key=double.api_key,
        X_Goog_Upload_Protocol="resumable",
        X_Goog_Upload_Command="start",
        X_Goog_Upload_Header_Content_Length=str(size),
        X_Goog_Upload_Header_Content_Type="application/pdf",
    )
    return response.headers["X-Goog-Upload-URL"].removeprefix(double.base_url)


def test_a_file_is_uploaded_in_chunks_polled_shown_listed_and_deleted(
    double: GeminiDouble, client: Client
) -> None:
    data = b"%PDF-1.7" + bytes(CHUNK)
    double.files.processing_polls = 2
    file = upload(double, data, mime_type="application/pdf")
    name = file.name or ""
    [kept] = double.files.kept
    assert (kept.size, kept.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (kept.mime_type, kept.name, kept.is_deleted) == ("application/pdf", name, False)
    assert (file.size_bytes, file.source.value) == (len(data), "UPLOADED")  # type: ignore[union-attr]
    states = [file.state, *(client.files.get(name=name).state for _ in range(3))]
    assert [state and state.value for state in states] == ["PROCESSING"] * 3 + ["ACTIVE"]
    assert [each.name for each in client.files.list()] == [name]
    ask_for_description(client, show(file))
    assert double.descriptions[0].media == (Media("application/pdf", len(data), kept.sha256),)
    client.files.delete(name=name)
    assert (kept.is_deleted, double.files.kept, list(client.files.list())) == (True, [], [])
    for use in (client.files.get, client.files.delete):
        with pytest.raises(errors.ClientError, match="may not exist") as caught:
            use(name=name)
        assert caught.value.code == 403
    methods = [(each.method, each.path.partition("?")[0]) for each in double.requests[:4]]
    assert methods == [("POST", "/upload/v1/files")] * 3 + [("GET", f"/v1/{name}")]


def test_a_file_that_is_not_there_or_not_ready_cannot_be_shown(double: GeminiDouble, client: Client) -> None:
    double.files.processing_polls = 1
    file = upload(double, b"OggS", mime_type="audio/ogg")
    with pytest.raises(errors.ClientError, match="not in an ACTIVE state") as caught:
        ask_for_description(client, show(file))
    assert (caught.value.code, caught.value.status) == (400, "FAILED_PRECONDITION")
    for uri in ((file.uri or "") + "x", "https://files.example.com/a"):
        with pytest.raises(errors.ClientError, match="may not exist") as caught:
            ask_for_description(client, types.Part.from_uri(file_uri=uri, mime_type="audio/ogg"))
        assert caught.value.code == 403
    double.files.processing_polls = 0
    double.files.fails = True
    polled = client.files.get(name=file.name or "")
    assert polled.error
    assert polled.state
    assert (polled.state.value, double.descriptions) == ("FAILED", [])
    assert upload(double, b"OggS", mime_type="audio/ogg").state == polled.state
    double.files.fails = False
    other = upload(double, b"OggS", mime_type="audio/ogg")
    with pytest.raises(errors.ClientError, match="those of its upload"):
        ask_for_description(client, types.Part.from_uri(file_uri=other.uri or "", mime_type="audio/wav"))


@pytest.mark.parametrize(
    ("message", "headers"),
    [
        ("key is not to be sent", {"x_goog_api_key": "key-of-the-double"}),
        ("goes on at 0", {"X_Goog_Upload_Offset": "4"}),
        ("multiple of", {"X_Goog_Upload_Command": "upload"}),
        ("Unknown command", {"X_Goog_Upload_Command": "finalize"}),
    ],
)
def test_bytes_that_are_sent_wrongly_are_refused(
    double: GeminiDouble, message: str, headers: dict[str, str]
) -> None:
    right = {"X_Goog_Upload_Command": "upload, finalize", "X_Goog_Upload_Offset": "0"}
    path = begin(double, size=4)
    assert message in send(double, path, b"%PDF", **(right | headers)).text
    assert "size that was announced" in send(double, path, b"%PDF-", **right).text
    assert double.files.kept == []
    response = send(double, path, b"%PDF", **right)
    assert (response.status_code, response.headers["X-Goog-Upload-Status"]) == (200, "final")
    assert send(double, path, b"%PDF", **right).status_code == 404
    assert [file.size for file in double.files.kept] == [4]


def test_an_upload_needs_the_key_and_says_what_comes(double: GeminiDouble, client: Client) -> None:
    assert send(double, "/upload/v1/files", b"{}").status_code == 403
    assert send(double, "/upload/v1/files", b"{}", x_goog_api_key=double.api_key).status_code == 400
    config = types.UploadFileConfig(mime_type="audio/ogg", name="Files of mine")
    with pytest.raises(errors.ClientError, match="Invalid file name"):
        client.files.upload(file=io.BytesIO(b"OggS"), config=config)
    config = types.UploadFileConfig(mime_type="audio/ogg", name="mine")
    client.files.upload(file=io.BytesIO(b"OggS"), config=config)
    with pytest.raises(errors.ClientError, match="exists already"):
        client.files.upload(file=io.BytesIO(b"OggS"), config=config)
    assert [file.name for file in double.files.uploads] == ["files/mine"]


def test_each_operation_on_files_has_faults_of_its_own(double: GeminiDouble, client: Client) -> None:
    file = upload(double, b"OggS", mime_type="audio/ogg")
    name = file.name or ""
    uses: list[tuple[Any, Any]] = [
        ("startUpload", lambda: upload(double, b"OggS", mime_type="audio/ogg")),
        ("upload", lambda: upload(double, b"OggS", mime_type="audio/ogg")),
        ("getFile", lambda: client.files.get(name=name)),
        ("listFiles", lambda: list(client.files.list())),
        ("describe", lambda: ask_for_description(client, show(file))),
        ("deleteFile", lambda: client.files.delete(name=name)),
    ]
    for operation, use in uses:
        double.fail_next(operation, kind="error", status=503, word="UNAVAILABLE")
        with pytest.raises(errors.ServerError, match="UNAVAILABLE"):
            use()
    assert [len(double.files.uploads), len(double.files.kept)] == [2, 1]
    double.fail_next("upload", kind="cut")
    with pytest.raises(httpx2.RemoteProtocolError):
        upload(double, b"OggS", mime_type="audio/ogg")
    assert len(double.files.kept) == 2  # Google has it, only the answer was lost
    assert (len(double.descriptions), double.described) == (1, [])
    for _, use in uses:
        use()


def test_descriptions_are_counted_and_answered_apart_from_turns(double: GeminiDouble, client: Client) -> None:
    double.enqueue(say("Hello!"))
    double.fail_next("generateContent", kind="error", status=503)
    asked: list[ModelRequest] = []

    def see(request: ModelRequest) -> Reply:
        asked.append(request)
        return describe_as(description="A red car", text="FOR SALE", language="en")

    double.describe_with(see)
    picture = types.Part.from_bytes(data=b"\xff\xd8\xff", mime_type="image/jpeg")
    answer = json.loads(ask_for_description(client, picture).text)
    assert answer == {"description": "A red car", "text": "FOR SALE", "language": "en"}
    assert asked == double.descriptions == double.described
    assert asked[0].media == (Media("image/jpeg", 3, hashlib.sha256(b"\xff\xd8\xff").hexdigest()),)
    assert (double.calls, double.queued) == ([], 1)
    with pytest.raises(errors.ServerError):
        ask(client, [user("Hi")])
    assert ask(client, [user("Hi")]).text == "Hello!"
    assert (len(double.calls), len(double.answered), len(double.descriptions)) == (2, 1, 1)
    double.describe_with(None)
    assert "3 bytes" in ask_for_description(client, picture).text


def test_the_rules_say_the_same_of_the_same_file(client: Client) -> None:
    picture, voice = (hashlib.sha256(data).hexdigest()[:8] for data in (b"a picture", b"a voice"))
    quoted = json.dumps({"text_of_the_file": "word " * 20})
    for part, description, text in (
        (
            types.Part.from_bytes(data=b"a picture", mime_type="image/png"),
            f"A picture of 9 bytes (image/png), known as picture {picture}.",
            "",
        ),
        (
            types.Part.from_bytes(data=b"a voice", mime_type="audio/ogg"),
            f"A recording of 7 bytes (audio/ogg), known as recording {voice}.",
            f"These are the words of the recording {voice}.",
        ),
        (
            types.Part.from_bytes(data=b"one two\nthree", mime_type="text/plain"),
            "A text that begins: one two three",
            "",
        ),
        (types.Part(text=quoted), "A text that begins: " + "word " * 11 + "word", ""),
        (types.Part(text="just words"), "A text that begins: just words", ""),
    ):
        for _ in range(2):
            answer = json.loads(ask_for_description(client, part).text)
            assert (answer["description"], answer["text"]) == (description, text)


@pytest.mark.parametrize("mime_type", ["image/gif", "audio/ogg; codecs=opus", "application/msword", "jpeg"])
def test_types_gemini_does_not_take_are_refused(double: GeminiDouble, client: Client, mime_type: str) -> None:
    with pytest.raises(errors.ClientError, match="Unsupported MIME type"):
        ask_for_description(client, types.Part.from_bytes(data=b"GIF89a", mime_type=mime_type))
    assert double.descriptions == []


def test_a_request_that_is_too_large_is_refused(client: Client) -> None:
    with pytest.raises(errors.ClientError, match="exceeds the limit"):
        ask_for_description(client, types.Part.from_bytes(data=bytes(15_800_000), mime_type="image/png"))


def test_a_description_that_failed_fails_the_test() -> None:
    def fail(request: ModelRequest) -> Reply:
        raise AssertionError("nothing was to be described")

    def test() -> None:
        with running_gemini_double() as double:
            double.describe_with(fail)
            with pytest.raises(errors.ServerError):
                ask_for_description(connect(double), types.Part(text="words"))

    with pytest.raises(AssertionError, match="nothing was to be described"):
        test()
