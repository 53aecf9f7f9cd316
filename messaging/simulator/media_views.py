"""The files of a chat, for the page: staff only, shown in place only where that can run nothing."""

import re
from collections.abc import Iterator
from typing import IO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from messaging.simulator.attachments import UNKNOWN, can_show_in_place
from messaging.simulator.models import SimulatedMedia
from messaging.simulator.staff import for_staff

RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
PIECE = 64 * 1024


@require_safe
@for_staff
def show_media(request: HttpRequest, *, sid: str) -> HttpResponseBase:
    """``GET /simulator/media/{sid}``; a part of it for players that ask for one."""
    media = get_object_or_404(SimulatedMedia, sid=sid)
    part = _read_range(request.headers.get("Range", ""), size=media.size)
    response: FileResponse | StreamingHttpResponse | HttpResponse
    if part is None:
        response = FileResponse(media.file.open())
    elif not part:
        response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{media.size}"})
    else:
        response = StreamingHttpResponse(_read_part(media.file.open(), part), status=206)
        response["Content-Length"] = str(len(part))
        response["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{media.size}"
    in_place = can_show_in_place(media.content_type)
    may_tell = in_place or media.content_type == "application/pdf"
    response["Content-Type"] = media.content_type if may_tell else UNKNOWN
    response["Content-Disposition"] = _name_for_saving(media, in_place=in_place)
    response["Accept-Ranges"] = "bytes"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, max-age=3600, immutable"  # the bytes of a SID never change
    return response


def _name_for_saving(media: SimulatedMedia, *, in_place: bool) -> str:
    named = content_disposition_header(as_attachment=not in_place, filename=media.file_name)
    return named or ("inline" if in_place else "attachment")


def _read_range(header: str, *, size: int) -> range | None:
    """The bytes asked for, empty if there are none such; None for a request of everything."""
    asked = RANGE.fullmatch(header.strip())
    if asked is None or not (asked[1] or asked[2]):
        return None
    if not asked[1]:
        return range(max(size - int(asked[2]), 0), size)
    last = int(asked[2]) if asked[2] else size - 1
    return range(int(asked[1]), min(last + 1, size))


def _read_part(file: IO[bytes], part: range) -> Iterator[bytes]:
    with file:
        file.seek(part.start)
        left = len(part)
        while left and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece
