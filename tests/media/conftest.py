"""Where the files of these tests are: a folder of the test's own, or a bucket."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.media.objects import ObjectStore, make_object_store, read_settings, running_object_server


@pytest.fixture(autouse=True)
def files_folder(settings: Any, tmp_path: Path) -> Path:
    """The folder the objects are in, unless a test asks for a bucket."""
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.UPLOADS_DIR = tmp_path
    return tmp_path / "files"


@pytest.fixture(scope="session")
def object_server() -> Iterator[str]:
    """The address of an S3-compatible server."""
    with running_object_server() as endpoint_url:
        yield endpoint_url


@pytest.fixture
def object_store(object_server: str, settings: Any) -> ObjectStore:
    """An empty bucket, where the bot under test keeps its files, with the project's own options."""
    store = make_object_store(object_server)
    made = read_settings(**store.environment)
    settings.STORAGES = settings.STORAGES | {"default": made["STORAGES"]["default"]}
    return store
