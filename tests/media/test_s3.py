"""The same files in a bucket: private, streamed, sent in pieces, by many at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.checks import Error
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from media import serving
from media.serving import make_media_link
from messaging.export import write_export
from tests.media.objects import ROOT, ObjectStore, read_settings, send_bytes
from tests.media.test_serving import SAFE, read
from tests.memories.sides import make_person
from whatsbot.checks import check_media

DATA = bytes(range(256)) * 4


def get_path(data: bytes = DATA, **fields: Any) -> str:
    media = send_bytes(make_person(), data, **fields)
    return make_media_link(media, now=timezone.now()).removeprefix("https://bot.example.com")


@pytest.mark.django_db
class TestServing:
    """A link works alike wherever the file is."""

    @pytest.mark.parametrize(
        ("headers", "status", "body"),
        [
            ({}, 200, DATA),
            ({"Range": "bytes=100-199"}, 206, DATA[100:200]),
            ({"Range": "bytes=-24"}, 206, DATA[-24:]),
            ({"Range": "bytes=1024-"}, 416, b""),
        ],
        ids=["whole", "middle", "end", "beyond"],
    )
    def test_files_go_out_whole_and_in_pieces(
        self, object_store: ObjectStore, client: Client, headers: dict[str, str], status: int, body: bytes
    ) -> None:
        response = client.get(get_path(), headers=headers)
        assert (response.status_code, read(response)) == (status, body)
        assert response["Content-Length"] == str(len(body))
        assert {name: response[name] for name in SAFE} == SAFE

    def test_head_and_a_lost_object(self, object_store: ObjectStore, client: Client) -> None:
        path = get_path()
        assert client.head(path)["Content-Length"] == "1024"
        (name,) = object_store.list_names()
        object_store.client.delete_object(Bucket=object_store.bucket, Key=name)
        assert [client.head(path).status_code, client.get(path).status_code] == [404, 404]

    def test_only_the_piece_asked_for_leaves_the_store(
        self, object_store: ObjectStore, client: Client
    ) -> None:
        path = get_path(DATA * 1000)
        asked: list[str | None] = []
        events = default_storage.connection.meta.client.meta.events
        events.register(
            "before-send.s3.GetObject", lambda request, **_: asked.append(request.headers["Range"])
        )
        response = client.get(path, headers={"Range": "bytes=1000-200000"})
        chunks = list(response.streaming_content)  # type: ignore[attr-defined]
        assert b"".join(chunks) == (DATA * 1000)[1000:200001]
        assert max(map(len, chunks)) <= serving.CHUNK
        assert asked == [b"bytes=1000-200000"]

    def test_a_reader_who_leaves_gives_the_connection_back(
        self, object_store: ObjectStore, client: Client
    ) -> None:
        response = client.get(get_path(DATA * 1000))
        body = response._resource_closers[0].__self__._body  # type: ignore[attr-defined]
        next(iter(response.streaming_content))  # type: ignore[attr-defined]
        response.close()
        assert body._raw_stream.closed

    def test_an_export_has_them_too(self, object_store: ObjectStore) -> None:
        person = make_person()
        send_bytes(person, DATA)
        with write_export(person) as file:
            assert DATA in file.read()


class TestStorage:
    """How objects are kept there."""

    def test_objects_are_private_and_only_a_signed_link_opens_them(self, object_store: ObjectStore) -> None:
        name = default_storage.save("ab/abc.html", ContentFile(b"<script>"))
        assert object_store.list_names() == [name]
        grants = object_store.client.get_object_acl(Bucket=object_store.bucket, Key=name)["Grants"]
        assert [grant["Grantee"]["Type"] for grant in grants] == ["CanonicalUser"]
        url = default_storage.url(name)
        assert "X-Amz-Expires=300&" in url
        assert url.startswith(f"{object_store.endpoint_url}/{object_store.bucket}/ab/abc.html?")
        opened = requests.get(url, timeout=10)
        assert opened.content == b"<script>"
        assert opened.headers["Content-Type"] == "application/octet-stream"
        assert opened.headers["Content-Disposition"] == "attachment"
        assert opened.headers["Cache-Control"] == "private, no-store"

    def test_many_upload_read_and_delete_at_once(self, object_store: ObjectStore) -> None:
        def work(number: int) -> bytes:
            name = default_storage.save(f"n/{number}", ContentFile(b"%d" % number * 1000))
            with default_storage.open(name) as stored:
                data = stored.read()
            if number % 2:
                default_storage.delete(name)
            return data

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(32))) == [b"%d" % number * 1000 for number in range(32)]
        assert sorted(object_store.list_names()) == sorted(f"n/{number}" for number in range(0, 32, 2))

    def test_an_upload_reads_the_file_in_small_pieces_and_asks_once(
        self, object_store: ObjectStore, tmp_path: Path
    ) -> None:
        path = tmp_path / "large"
        path.write_bytes(DATA * 16 * 1024)  # 16 MB
        largest: list[int] = []

        class Watched(File):
            def read(self, size: int = -1) -> bytes:
                data: bytes = self.file.read(size)
                largest.append(len(data))
                return data

        operations: list[str] = []
        events = default_storage.connection.meta.client.meta.events
        events.register("before-send.s3", lambda request, event_name, **_: operations.append(event_name))
        with path.open("rb") as opened:
            default_storage.save("large", Watched(opened))
        assert max(largest) <= 1024 * 1024
        assert operations == ["before-send.s3.PutObject"]
        assert default_storage.size("large") == 16 * 1024 * 1024

    def test_a_store_that_is_away_is_told_soon(self, settings: Any) -> None:
        made = read_settings(
            AWS_STORAGE_BUCKET_NAME="files",
            AWS_S3_ENDPOINT_URL="http://127.0.0.1:9",
            AWS_ACCESS_KEY_ID="a",
            AWS_SECRET_ACCESS_KEY="b",
        )
        options = made["STORAGES"]["default"]["OPTIONS"]
        config = options["client_config"]
        assert config.s3 == {"addressing_style": "path"}
        assert (config.connect_timeout, config.read_timeout) == (5, 30)
        assert config.retries == {"total_max_attempts": 3, "mode": "standard"}
        settings.STORAGES = settings.STORAGES | {"default": made["STORAGES"]["default"]}
        from botocore.exceptions import EndpointConnectionError

        begun = timezone.now()
        with pytest.raises(EndpointConnectionError):
            default_storage.save("x", ContentFile(b"x"))
        assert timezone.now() - begun < timedelta(seconds=10)

    def test_a_burst_of_threads_shares_one_client(
        self, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[int] = []
        create = default_storage._create_session
        monkeypatch.setattr(default_storage._wrapped, "_create_session", lambda: made.append(1) or create())

        def work(number: int) -> bool:
            default_storage.save(f"n/{number}", ContentFile(b"x"))
            return default_storage.exists(f"n/{number}")

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(16)))
        assert made == [1]


class TestSettings:
    """A bucket's name is what switches it on."""

    def test_without_a_bucket_nothing_of_amazon_is_loaded(self) -> None:
        code = (
            "import sys; from whatsbot.wsgi import application; "
            "from django.urls import resolve; resolve('/media/files/1'); "
            "from django.core.files.storage import default_storage; default_storage.exists('x'); "
            "print([name for name in ('boto3', 'botocore', 'storages') if name in sys.modules])"
        )
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                f"import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'; {code}",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout.strip() == "[]", done.stdout + done.stderr

    def test_without_one_files_are_in_a_folder_only_we_can_read(self, files_folder: Path) -> None:
        made = read_settings()
        assert made["MEDIA_ROOT"] == made["DATA_DIR"] / "uploads" / "files"
        assert made["STORAGES"]["default"]["BACKEND"] == "django.core.files.storage.FileSystemStorage"
        default_storage.save("ab/abc", ContentFile(b"x"))
        default_storage.save("ab/abc", ContentFile(b"y"))
        assert [path.name for path in (files_folder / "ab").iterdir()] == ["abc"]
        assert (files_folder / "ab" / "abc").stat().st_mode & 0o777 == 0o600
        assert (files_folder / "ab").stat().st_mode & 0o777 == 0o700

    def test_amazon_itself_needs_neither_address_nor_keys(self) -> None:
        options = read_settings(AWS_STORAGE_BUCKET_NAME="files")["STORAGES"]["default"]["OPTIONS"]
        assert (options["endpoint_url"], options["access_key"], options["secret_key"]) == (None, None, None)
        assert options["client_config"].s3 == {"addressing_style": "auto"}

    @pytest.mark.parametrize(
        ("changed", "wrong"),
        [
            ({}, []),
            ({"AWS_STORAGE_BUCKET_NAME": "b"}, []),
            ({"AWS_STORAGE_BUCKET_NAME": "b", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}, []),
            ({"AWS_ACCESS_KEY_ID": "k"}, []),
            ({"AWS_STORAGE_BUCKET_NAME": "b", "AWS_ACCESS_KEY_ID": "k"}, ["whatsbot.E008"]),
            ({"AWS_STORAGE_BUCKET_NAME": "b", "AWS_SECRET_ACCESS_KEY": "s"}, ["whatsbot.E008"]),
            ({"MEDIA_MAX_BYTES": 1, "MEDIA_DEADLINE_SECONDS": 600}, []),
            ({"MEDIA_MAX_BYTES": 0}, ["whatsbot.E009"]),
            ({"MEDIA_DEADLINE_SECONDS": 0.5}, ["whatsbot.E009"]),
            ({"MEDIA_DEADLINE_SECONDS": 601}, ["whatsbot.E009"]),
            ({"MEDIA_DEADLINE_SECONDS": float("nan")}, ["whatsbot.E009"]),
            ({"TWILIO_MEDIA_HOSTS": ["media.example.com", "127.0.0.1:8000", "[::1]:8000"]}, []),
            *(
                ({"TWILIO_MEDIA_HOSTS": ["media.example.com", host]}, ["whatsbot.E009"])
                for host in (
                    "https://media.example.com",
                    "media.example.com/x",
                    "a:b",
                    "a b",
                    "",
                    "x@y",
                    "::1",
                )
            ),
        ],
    )
    def test_settings_that_cannot_be_meant_are_said(
        self, settings: Any, changed: dict[str, Any], wrong: list[str]
    ) -> None:
        for name, value in changed.items():
            setattr(settings, name, value)
        found = check_media()
        assert all(isinstance(each, Error) for each in found)
        assert [each.id for each in found] == wrong
