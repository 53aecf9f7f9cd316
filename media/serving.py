"""The only door to the files: signed links for everybody, a login with permission and reason for staff."""

import logging
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.core.files import File
from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from accounts.audit import has_open_reason
from media.detected import EXTENSIONS, get_extension
from media.models import MediaFile, MessageMedia
from whatsbot import database

logger = logging.getLogger(__name__)

VALID = timedelta(hours=24)
CHUNK = 64 * 1024
HASH_DIGITS = 16  # of the file's hash in a link
MOST_NAME_BYTES = 120
UNTYPED = "application/octet-stream"
SHOWN_INLINE = ("image/jpeg", "image/png", "image/webp", "image/gif", "audio/", "video/")
SAFE_HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_signer = signing.Signer(salt="media.serving")


def make_media_link(media: MessageMedia, *, now: datetime, valid: timedelta = VALID) -> str:
    """A link nobody can guess, to the file of one sending; it dies with the sending. Twilio and browsers can fetch it.

    Its last part is a file name, which WhatsApp shows for a document. Raises ValueError if there is no file.
    """
    if media.file is None:
        raise ValueError("This attachment has no file.")
    claim = f"{media.id}.{media.file.file_hash[:HASH_DIGITS]}.{int((now + valid).timestamp())}"
    name = quote(get_file_name(media.file, sent_as=media.file_name), safe="")
    return f"{settings.PUBLIC_BASE_URL}/media/{_signer.sign(claim)}/{name}"


def get_file_name(file: MediaFile, *, sent_as: str = "") -> str:
    """What a file is called outside: the sender's name for it, made harmless, with the ending of its real type."""
    extension = get_extension(file.content_type)
    visible = "".join("_" if char in '/\\:*?"<>|%' else char for char in sent_as if _is_visible(char))
    stem = re.sub(r"\.[A-Za-z][A-Za-z0-9]{0,4}$", "", visible.strip())
    stem = stem.removesuffix(extension).encode()[:MOST_NAME_BYTES].decode(errors="ignore").strip(". ")
    return f"{stem or file.kind.lower().replace(' ', '-')}{extension}"


def _is_visible(char: str) -> bool:
    """No control character, and none that turns the direction of what follows. Joiners are part of many scripts."""
    return unicodedata.category(char)[0] != "C" or char in "\u200c\u200d"


@require_safe
def serve_link(request: HttpRequest, token: str, name: str) -> HttpResponseBase:
    """``GET /media/<token>/<name>``: the file; 410 for a link that was good once, 404 for anything else."""
    try:
        media_id, hash_start, expires = _signer.unsign(token).split(".")
    except (signing.BadSignature, ValueError):
        return _say("There is nothing here.", status=404)
    media = (
        MessageMedia.objects.select_related("file")
        .filter(id=media_id, file__file_hash__startswith=hash_start, file__stored_at__isnull=False)
        .first()
    )
    if media is None or media.file is None or name != get_file_name(media.file, sent_as=media.file_name):
        return _say("There is nothing here.", status=404)
    if timezone.now().timestamp() > int(expires):
        return _say("This link has expired.", status=410)
    return _serve(request, media.file, name=name)


@require_safe
@staff_member_required
@permission_required("media.view_mediafile", raise_exception=True)
def serve_file(request: HttpRequest, file_id: int) -> HttpResponseBase:
    """``GET /media/files/<id>``: a file, for staff who may see files and have said why they look at a sender."""
    file = get_object_or_404(MediaFile, id=file_id, stored_at__isnull=False)
    if not has_open_reason(request.user, person_ids=_get_senders(file)):
        raise PermissionDenied
    return _serve(request, file, name=get_file_name(file))


@require_safe
@staff_member_required
@permission_required("media.view_mediafile", raise_exception=True)
def serve_thumbnail(request: HttpRequest, file_id: int) -> HttpResponseBase:
    """``GET /media/files/<id>/thumbnail``: the small JPEG of a picture, which stands in lists as well."""
    file = get_object_or_404(MediaFile, id=file_id, stored_at__isnull=False)
    if not file.thumbnail_name:
        raise Http404
    sees_lists = request.user.has_perm("accounts.see_personal_data")
    if not sees_lists and not has_open_reason(request.user, person_ids=_get_senders(file)):
        raise PermissionDenied
    return _serve(
        request, file, name="thumbnail.jpg", storage_name=file.thumbnail_name, content_type="image/jpeg"
    )


def _get_senders(file: MediaFile) -> "QuerySet[Any, int]":
    return MessageMedia.objects.filter(file=file).values_list("user_id", flat=True)


def _serve(
    request: HttpRequest, file: MediaFile, *, name: str, storage_name: str = "", content_type: str = ""
) -> HttpResponseBase:
    database.release_connection()  # no connection is held while the storage reads and the other side takes its time
    try:
        stored = StoredObject(storage_name or file.storage_name)
    except FileNotFoundError:
        logger.error("The stored object of %s is missing", file.file_hash)
        return _say("There is nothing here.", status=404)
    content_type = content_type or file.content_type
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": content_type if content_type in EXTENSIONS else UNTYPED,
        "Content-Disposition": content_disposition_header(not _is_shown_inline(content_type), name) or "",
        **SAFE_HEADERS,
    }
    first, last = 0, stored.size - 1
    wanted = find_range(request, size=stored.size)
    response: HttpResponseBase
    if wanted is not None:
        first, last = wanted
        headers["Content-Range"] = f"bytes {first}-{last}/{stored.size}"
    if first > last:
        headers["Content-Range"] = f"bytes */{stored.size}"
        response = HttpResponse(status=416, headers=headers)
    elif request.method == "HEAD":
        response = HttpResponse(headers=headers | {"Content-Length": str(stored.size)})
    else:
        status = 200 if wanted is None else 206
        headers["Content-Length"] = str(last - first + 1)
        return StreamingHttpResponse(stored.select(first, last), status=status, headers=headers)
    stored.close()
    return response


def _is_shown_inline(content_type: str) -> bool:
    return content_type in EXTENSIONS and content_type.startswith(SHOWN_INLINE)


def _say(text: str, *, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8", headers=SAFE_HEADERS)


def find_range(request: HttpRequest, *, size: int) -> tuple[int, int] | None:
    """The first and last byte a request asks for; None: all of them; first > last: none that the file has.

    One range only, as players ask. What is malformed, several, conditional or not a GET is answered in full, as RFC
    9110 §14.2 allows or, for the method, demands.
    """
    asked = re.fullmatch(
        r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", request.headers.get("Range", ""), re.IGNORECASE
    )
    if asked is None or request.method != "GET" or "If-Range" in request.headers or not any(asked.groups()):
        return None
    start, end = asked.groups()
    if not start:
        return max(size - int(end), 0), size - 1
    first, last = int(start), int(end or size)
    if end and last < first:
        return None
    return first, min(last, size - 1)


class StoredObject:
    """An object of the storage, open for reading; iterating gives its bytes in chunks.

    Raises FileNotFoundError if the storage does not have it. Close it: Django closes what a response streams.
    """

    def __init__(self, name: str) -> None:
        self._file: File = default_storage.open(name)
        self.size: int = self._file.size
        self._first, self._last = 0, self.size - 1
        self._body: Any = None

    def select(self, first: int, last: int) -> "StoredObject":
        """Iterate over these bytes only. From S3 nothing else is fetched, and that from here on."""
        self._first, self._last = first, last
        if hasattr(self._file, "obj") and self.size:
            # Read as a file, it would be fetched as a whole before its first byte goes out.
            self._body = self._file.obj.get(Range=f"bytes={first}-{last}")["Body"]
        return self

    def __iter__(self) -> Iterator[bytes]:
        if self._body is not None:
            yield from self._body.iter_chunks(CHUNK)
            return
        self._file.seek(self._first)
        left = self._last - self._first + 1
        while left > 0 and (chunk := self._file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Give the file or the connection back."""
        if self._body is not None:
            self._body.close()
        self._file.close()
