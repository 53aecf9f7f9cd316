"""A file that is too large to go inline is uploaded to Gemini first, waited for, and deleted whatever happens."""

import hashlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_model import Media, describe_as
from whatsbot.exceptions import PermanentProviderError, TransientProviderError
from whatsbot.integrations import gemini_media
from whatsbot.integrations.gemini_media import Description, describe


@pytest.fixture
def double(settings: Any) -> Iterator[GeminiDouble]:
    with running_gemini_double() as double:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = double.api_key, double.base_url
        double.describe_with(lambda request: describe_as(description="A red car"))
        yield double


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"
    path.write_bytes(b"\xff\xd8\xff picture")
    return path


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is too large to go inline, and nobody waits for seconds."""
    monkeypatch.setattr(gemini_media, "MOST_INLINE", 1)
    monkeypatch.setattr(gemini_media, "POLL_PAUSES", (0.01, 0.02))


def look(path: Path, content_type: str = "image/jpeg") -> Description:
    return describe(prompt="What is this?", path=path, content_type=content_type)


def test_an_alias_is_asked_for_on_v1beta_also_for_files(
    double: GeminiDouble, settings: Any, picture: Path, uploads: None
) -> None:
    settings.GEMINI_MODEL = "gemini-flash-latest"
    assert look(picture).model == "gemini-flash-latest"
    versions = {each.path.removeprefix("/upload").split("/")[1] for each in double.requests}
    assert (versions, double.descriptions[0].thinking_level) == ({"v1beta"}, None)


def test_a_large_file_is_uploaded_in_pieces_waited_for_and_deleted(
    double: GeminiDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * 60_000
    path = tmp_path / "secret name é.mp4"
    path.write_bytes(data)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    double.files.processing_polls = 2
    assert look(path, "video/mp4; codecs=avc1").description == "A red car"
    [file] = double.files.uploads
    assert (file.size, file.sha256, file.mime_type) == (
        len(data),
        hashlib.sha256(data).hexdigest(),
        "video/mp4",
    )
    assert (file.is_deleted, pauses) == (True, [1.0, 2.0, 2.0])
    assert double.descriptions[0].media == (Media("video/mp4", file.size, file.sha256),)
    assert [sorted(part) for part in double.descriptions[0].contents[0]["parts"]] == [["fileData"], ["text"]]
    pieces = -(-len(data) // gemini_media.PIECE)
    methods = [each.method for each in double.requests]
    assert methods == ["POST"] * (1 + pieces) + ["GET"] * 3 + ["POST", "DELETE"]
    assert all(each.server_timeout for each in double.requests)
    assert file.display_name == ""
    assert "secret" not in file.name + str(double.requests)


def test_a_file_that_gemini_cannot_process_is_refused_for_good(
    double: GeminiDouble, picture: Path, uploads: None
) -> None:
    double.files.processing_polls, double.files.fails = 1, True
    with pytest.raises(PermanentProviderError, match="could not process"):
        look(picture)
    assert (double.descriptions, [file.is_deleted for file in double.files.uploads]) == ([], [True])


@pytest.mark.usefixtures("uploads")
def test_a_file_that_is_never_ready_is_given_up(
    double: GeminiDouble, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemini_media, "UPLOAD_SECONDS", 0.3)
    double.files.processing_polls = 1000
    with pytest.raises(TransientProviderError, match="in time"):
        look(picture)
    [file] = double.files.uploads
    assert (2 <= file.polls <= 15, file.is_deleted, double.descriptions) == (True, True, [])


def test_an_upload_that_takes_too_long_is_given_up(
    double: GeminiDouble, picture: Path, uploads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemini_media, "UPLOAD_SECONDS", 0.0)
    with pytest.raises(TransientProviderError, match="takes too long"):
        look(picture)
    assert [file.size for file in double.files.uploads] == [0]


def test_a_poll_that_fails_is_only_one_of_many(double: GeminiDouble, picture: Path, uploads: None) -> None:
    double.files.processing_polls = 1
    double.fail_next("getFile", kind="error", status=503, word="UNAVAILABLE")
    double.fail_next("getFile", kind="junk")
    assert look(picture).description == "A red car"
    assert double.files.kept == []


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("startUpload", "reset"),
        ("upload", "reset"),
        ("upload", "cut"),
        ("describe", "reset"),
        ("describe", "junk"),
    ],
)
def test_nothing_stays_at_googles_when_a_step_fails(
    double: GeminiDouble,
    picture: Path,
    uploads: None,
    caplog: pytest.LogCaptureFixture,
    operation: Any,
    kind: Any,
) -> None:
    double.fail_next(operation, kind=kind)
    with pytest.raises(TransientProviderError):
        look(picture)
    assert (double.files.kept, double.requests[-1].method) == ([], "DELETE")
    assert [each for each in caplog.records if each.name == gemini_media.__name__] == []


def test_a_deletion_that_fails_is_logged_and_costs_nothing(
    double: GeminiDouble, picture: Path, uploads: None, caplog: pytest.LogCaptureFixture
) -> None:
    double.fail_next("deleteFile", kind="error", status=503, word="UNAVAILABLE")
    with caplog.at_level(logging.INFO, logger=gemini_media.__name__):
        assert look(picture).description == "A red car"
    [said] = [each.getMessage() for each in caplog.records if each.name == gemini_media.__name__]
    assert said == "an uploaded file could not be deleted: TransientProviderError"
    assert len(double.files.kept) == 1
