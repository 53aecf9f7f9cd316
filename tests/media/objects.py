"""Rows and objects of media for tests, in a folder or in an S3-compatible store over loopback."""

import hashlib
import os
import runpy
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from accounts.models import WhatsAppUser
from media.models import MediaFile, MessageMedia
from messaging.models import RawMessage
from tests.memories.sides import NOON, make_message

ROOT = Path(__file__).resolve().parent.parent.parent
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "a secret for tests only"}


@dataclass(frozen=True)
class ObjectStore:
    """A running S3-compatible server with one bucket, looked at without our code."""

    endpoint_url: str
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        """What an operator sets to have the files there."""
        return {
            "AWS_STORAGE_BUCKET_NAME": self.bucket,
            "AWS_S3_ENDPOINT_URL": self.endpoint_url,
            "AWS_S3_REGION_NAME": "us-east-1",
            **KEYS,
        }

    @property
    def client(self) -> Any:
        """boto3's own client."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )

    def list_names(self) -> list[str]:
        """The names of all objects (the first thousand)."""
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])]


@contextmanager
def running_object_server() -> Iterator[str]:
    """Moto's S3 on a free port of this machine; gives its address. Everything it holds is in memory."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def make_object_store(endpoint_url: str) -> ObjectStore:
    """An empty bucket of its own."""
    store = ObjectStore(endpoint_url=endpoint_url, bucket=f"files-{secrets.token_hex(6)}")
    store.client.create_bucket(Bucket=store.bucket)
    return store


def read_settings(**environment: str) -> dict[str, Any]:
    """What whatsbot/settings.py makes of these variables on top of the tests' own."""
    with mock.patch.dict(os.environ, environment):
        return runpy.run_path(str(ROOT / "whatsbot" / "settings.py"))


def make_file(
    data: bytes = b"bytes", *, content_type: str = "image/jpeg", stored: bool = True, **fields: Any
) -> MediaFile:
    """A file with its object, without a link; each call needs other bytes."""
    digest = hashlib.sha256(data).hexdigest()
    name = f"{digest[:2]}/{digest}-{secrets.token_hex(4)}"
    if stored:
        default_storage.save(name, ContentFile(data))
    return MediaFile.objects.create(
        **{
            "file_hash": digest,
            "size": len(data),
            "content_type": content_type,
            "kind": MediaFile.Kind.PICTURE,
            "storage_name": name,
            "stored_at": NOON if stored else None,
        }
        | fields
    )


def send_file(
    person: WhatsAppUser,
    file: MediaFile | None = None,
    *,
    raw: RawMessage | None = None,
    at: datetime = NOON,
    position: int = 0,
    **fields: Any,
) -> MessageMedia:
    """One sending of a file, or of what was refused."""
    raw = raw or make_message(person, "")
    return MessageMedia.objects.create(
        raw_message=raw, user=person, position=position, file=file, sent_at=at, **fields
    )


def send_bytes(
    person: WhatsAppUser, data: bytes = b"bytes", *, file_name: str = "", **fields: Any
) -> MessageMedia:
    """A file nobody has sent before, and its sending."""
    return send_file(person, make_file(data, **fields), file_name=file_name)
