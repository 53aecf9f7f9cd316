"""The Files API of the Gemini double: uploads in chunks, their states and their end (contracts/gemini.md §5, §9).

Bytes are counted and hashed, not kept. Stricter than Google where that would hide a mistake of ours: an upload with an
API key, files of strangers, a content type other than that of the upload.
"""

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doubles.gemini_fields import Refusal, read_json, refuse, refuse_rest, take
from tests.doubles.gemini_model import Json, Media

CHUNK_GRANULARITY = 256 * 1024  # every chunk but the last is a multiple of it
MOST_BYTES = 2 * 1024**3


class UploadedFile:
    """An upload: ``size`` and ``sha256`` of the bytes that came, ``mime_type`` as it was announced."""

    def __init__(self, *, name: str, uri: str, mime_type: str, announced: int, display_name: str) -> None:
        self.name = name
        self.uri = uri
        self.mime_type = mime_type
        self.announced = announced
        self.display_name = display_name
        self.size = 0
        self.is_whole = False
        self.is_deleted = False
        self.state = "PROCESSING"
        self.polls = 0  # how often its state was asked for
        self.created = datetime.now(UTC)
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of the bytes so far, in hex."""
        return self._hash.hexdigest()

    def add(self, data: bytes) -> None:
        """Take in bytes."""
        self.size += len(data)
        self._hash.update(data)

    def to_json(self) -> Json:
        """The file object (§9)."""
        created = self.created.isoformat().replace("+00:00", "Z")
        expires = (self.created + timedelta(hours=48)).isoformat().replace("+00:00", "Z")
        file: Json = {
            "name": self.name,
            "uri": self.uri,
            "mimeType": self.mime_type,
            "sizeBytes": str(self.size),
            "state": self.state,
            "createTime": created,
            "updateTime": created,
            "expirationTime": expires,
            "sha256Hash": base64.b64encode(self.sha256.encode()).decode(),
            "source": "UPLOADED",
        }
        if self.state == "FAILED":
            file["error"] = {"code": 3, "message": "The file could not be processed."}
        return file | ({"displayName": self.display_name} if self.display_name else {})


class Files:
    """Every upload, in the order of their beginnings, and what becomes of the next. Any thread may call any method."""

    def __init__(self) -> None:
        self.uploads: list[UploadedFile] = []
        self.processing_polls = 0  # how many polls of a file say PROCESSING; none: it is ready at once
        self.fails = False  # whether processing ends in FAILED
        self._lock = threading.Lock()
        self._by_ticket: dict[str, UploadedFile] = {}

    @property
    def kept(self) -> list[UploadedFile]:
        """What Google has of ours: whole, and not deleted."""
        return [file for file in self.uploads if file.is_whole and not file.is_deleted]

    # Upload

    def begin(self, body: bytes, headers: Any, *, version: str, base_url: str) -> str:
        """Step 1: what will come. The URL for its bytes."""
        wanted = (headers.get("X-Goog-Upload-Protocol"), headers.get("X-Goog-Upload-Command"))
        if wanted != ("resumable", "start"):
            raise refuse("An upload begins with the protocol resumable and the command start.")
        given = read_json(body)
        file = take(given, "file", dict, {})
        refuse_rest(given)
        name, mime_type = take(file, "name", str, ""), take(file, "mimeType", str)
        display_name = take(file, "displayName", str, "")
        size = int(take(file, "sizeBytes", object, headers.get("X-Goog-Upload-Header-Content-Length") or 0))
        refuse_rest(file)
        if str(size) != headers.get("X-Goog-Upload-Header-Content-Length"):
            raise refuse("The sizes of the file in body and header are not the same.")
        if mime_type != headers.get("X-Goog-Upload-Header-Content-Type"):
            raise refuse("The types of the file in body and header are not the same.")
        if not 0 < size <= MOST_BYTES:
            raise refuse(f"A file has 1 to {MOST_BYTES} bytes.")
        name = name or f"files/{secrets.token_hex(6)}"
        if not re.fullmatch(r"files/[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name):
            raise refuse("Invalid file name.")
        ticket = secrets.token_urlsafe(12)
        with self._lock:
            if any(each.name == name for each in self.kept):
                raise Refusal(409, "ALREADY_EXISTS", f"The file {name} exists already.")
            uploaded = UploadedFile(
                name=name,
                uri=f"{base_url}/{version}/{name}",
                mime_type=mime_type,
                announced=size,
                display_name=display_name,
            )
            self.uploads.append(uploaded)
            self._by_ticket[ticket] = uploaded
        return f"{base_url}/upload/{version}/files?upload_id={ticket}&upload_protocol=resumable"

    def find_upload(self, ticket: str, headers: Any) -> tuple[UploadedFile, bool]:
        """Step 2, before its bytes are read: the upload they belong to, and whether they are the last."""
        with self._lock:
            file = self._by_ticket.get(ticket)
        if file is None or file.is_whole:
            raise Refusal(404, "NOT_FOUND", "There is no such upload.")
        if headers.get("x-goog-api-key") or headers.get("Authorization"):
            raise refuse("The URL of an upload is enough: the key is not to be sent with the bytes.")
        command, length = headers.get("X-Goog-Upload-Command"), int(headers.get("Content-Length", 0))
        if command not in ("upload", "upload, finalize"):
            raise refuse("Unknown command of an upload.")
        if headers.get("X-Goog-Upload-Offset") != str(file.size):
            raise refuse(f"The upload goes on at {file.size}.")
        is_last = command == "upload, finalize"
        if not is_last and length % CHUNK_GRANULARITY:
            raise refuse(f"A chunk must be a multiple of {CHUNK_GRANULARITY} bytes.")
        if is_last and file.size + length != file.announced:
            raise refuse("The file does not have the size that was announced.")
        return file, is_last

    def finish(self, file: UploadedFile) -> None:
        """All bytes are there."""
        with self._lock:
            file.is_whole = True
            if not self.processing_polls:
                file.state = "FAILED" if self.fails else "ACTIVE"

    # Afterwards

    def poll(self, name: str) -> Json:
        """The file, one poll older."""
        file = self._get(name)
        with self._lock:
            file.polls += 1
            if file.polls > self.processing_polls:
                file.state = "FAILED" if self.fails else "ACTIVE"
        return file.to_json()

    def delete(self, name: str) -> None:
        """Away with it."""
        self._get(name).is_deleted = True

    def _get(self, name: str) -> UploadedFile:
        file = next((each for each in self.kept if each.name == name), None)
        if file is None:
            text = f"You do not have permission to access the File {name} or it may not exist."
            raise Refusal(403, "PERMISSION_DENIED", text)
        return file

    def read_media(self, contents: Sequence[Json]) -> tuple[Media, ...]:
        """The media of contents. Raises Refusal for a file that is not there, or not ready."""
        found = []
        for part in (part for content in contents for part in content["parts"]):
            if blob := part.get("inlineData"):
                data = base64.urlsafe_b64decode(blob["data"])
                found.append(Media(blob["mimeType"], len(data), hashlib.sha256(data).hexdigest()))
            elif given := part.get("fileData"):
                file = self._get("files/" + given["fileUri"].rpartition("/files/")[2])
                if given["fileUri"] != file.uri or given["mimeType"] != file.mime_type:
                    raise refuse("The URI and the type of a file are those of its upload.")
                if file.state != "ACTIVE":
                    text = f"The File {file.name} is not in an ACTIVE state and usage is not allowed."
                    raise Refusal(400, "FAILED_PRECONDITION", text)
                found.append(Media(file.mime_type, file.size, file.sha256))
        return tuple(found)
