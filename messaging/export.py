"""Everything that is kept of a person, as a file they can download for an hour."""

import heapq
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import IO, Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import WhatsAppUser
from media.detected import get_extension
from media.models import MediaFile, MessageMedia
from media.serving import StoredObject
from memories.models import Memory, MemoryHistory
from messaging.content import read_content
from messaging.models import OutboundMessage, RawMessage
from whatsbot import database

VALID = timedelta(hours=1)
CHUNK = 500  # rows in memory at a time
README = (
    "Everything this bot keeps of you: profile.json, memories.json (with what they said before), messages.json, and\n"
    "the files you have sent, each once, in the folder media, with when and how you sent them in media.json.\n"
    'Times ending in "_utc" are UTC, those ending in "_local" are on the clocks of {zone}.\n'
)
FILE_FIELDS = ("kind", "content_type", "size", "description", "text", "language", "facts")
PLAIN_KINDS = (MediaFile.Kind.TEXT, MediaFile.Kind.CONTACT)
Json = dict[str, Any]
_signer = signing.Signer(salt="messaging.export")


class Entry(NamedTuple):
    """A file of the zip: its name there, where its object is, its kind, and when it was sent first, on local clocks."""

    name: str
    storage_name: str
    kind: str
    sent_at: datetime


def make_export_link(*, user: WhatsAppUser, now: datetime) -> str:
    """A link nobody can guess, to this person's data alone; it works for `VALID`.

    It ends in a letter: a phone would leave a last "-" out of what it makes a link of.
    """
    claim = {"user": user.id, "since": _stamp(user.created_at), "made": _stamp(now)}
    return f"{settings.PUBLIC_BASE_URL}/export/{_signer.sign_object(claim)}.zip"


@require_safe
def download_export(request: HttpRequest, token: str) -> HttpResponseBase:
    """``GET /export/<token>.zip``: the zip; 410 for a link that was good once, 404 for anything else."""
    response = _answer(request, token)
    response["Cache-Control"] = "no-store"
    response["X-Robots-Tag"] = "noindex"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _answer(request: HttpRequest, token: str) -> HttpResponseBase:
    try:
        claim = _signer.unsign_object(token)
    except (signing.BadSignature, ValueError):
        return _say("There is nothing here.", status=404)
    user = WhatsAppUser.objects.filter(id=claim["user"]).first()
    if user is None or _stamp(user.created_at) != claim["since"]:
        return _say("There is nothing here.", status=404)
    now = timezone.now()
    if _stamp(now) - claim["made"] > VALID.total_seconds() * 1_000_000:
        return _say("This link has expired. Send /export again for a new one.", status=410)
    name = f"whatsbot-{now.astimezone(ZoneInfo(user.timezone)):%Y-%m-%d}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if request.method == "HEAD":
        return HttpResponse(content_type="application/zip", headers=headers)
    return FileResponse(write_export(user), content_type="application/zip", headers=headers)


def _say(text: str, *, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def _stamp(when: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return round(when.timestamp() * 1_000_000)


def write_export(user: WhatsAppUser) -> IO[bytes]:
    """All of a person's data as a zip in a temporary file that vanishes when closed.

    A few rows and one piece of a file in memory at a time. The files are copied when the database is done with.
    """
    zone = ZoneInfo(user.timezone)
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the response closes it
    with zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        entries: dict[int, Entry] = {}
        with transaction.atomic():
            archive.writestr("README.txt", README.format(zone=user.timezone))
            archive.writestr("profile.json", _dump(_get_profile(user, zone)))
            _write_list(archive, "memories.json", _get_memories(user, zone))
            _write_list(archive, "messages.json", _get_messages(user, zone))
            _write_list(archive, "media.json", _get_media(user, zone, entries))
        database.release_connection()  # no connection is held while the storage reads
        _copy_files(archive, entries.values())
    file.seek(0)
    return file


def _copy_files(archive: zipfile.ZipFile, entries: Iterable[Entry]) -> None:
    """Add the files; what the storage has lost is told in one more text."""
    missing = []
    for entry in entries:
        try:
            stored = StoredObject(entry.storage_name)
        except FileNotFoundError:
            missing.append(entry.name)
            continue
        info = zipfile.ZipInfo(entry.name, date_time=entry.sent_at.timetuple()[:6])
        # Most kinds are compressed by nature.
        info.compress_type = zipfile.ZIP_DEFLATED if entry.kind in PLAIN_KINDS else zipfile.ZIP_STORED
        info.file_size = stored.size  # decides whether sizes need 64 bits
        with closing(stored), archive.open(info, "w") as member:
            for chunk in stored:
                member.write(chunk)
    if missing:
        text = "These files of media.json could not be found any more:\n" + "\n".join(missing) + "\n"
        archive.writestr("missing.txt", text)


def _write_list(archive: zipfile.ZipFile, name: str, rows: Iterable[Json]) -> None:
    with archive.open(name, "w") as member:
        separator = "["
        for row in rows:
            member.write(f"{separator}\n{_dump(row)}".encode())
            separator = ","
        member.write(b"[]\n" if separator == "[" else b"\n]\n")


def _dump(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _times(name: str, when: datetime | None, zone: ZoneInfo) -> Json:
    """An instant twice: in UTC and on the person's own clocks."""
    return {
        f"{name}_utc": when and when.astimezone(UTC).isoformat(),
        f"{name}_local": when and when.astimezone(zone).isoformat(),
    }


def _get_profile(user: WhatsAppUser, zone: ZoneInfo) -> Json:
    return {
        "whatsapp_id": user.whatsapp_id,
        "phone_number": user.phone_number,
        "business_scoped_id": user.business_scoped_id,
        "profile_name": user.profile_name,
        "name": user.name,
        "timezone": user.timezone,
        "timezone_known_by": user.timezone_source,
        **_times("known_since", user.created_at, zone),
        **_times("last_message_at", user.last_inbound_at, zone),
        **_times("opted_out_at", user.opted_out_at, zone),
    }


def _get_memories(user: WhatsAppUser, zone: ZoneInfo) -> Iterator[Json]:
    rows = (
        Memory.objects.filter(user=user)
        .select_related("raw_message", "corrected_by")
        .prefetch_related("history__raw_message")
        .order_by("number")
    )
    for memory in rows.iterator(chunk_size=CHUNK):
        yield {
            "number": memory.number,
            "text": memory.text,
            "type": memory.type,
            "source": memory.source,
            "metadata": memory.metadata,
            **_times("said_at", memory.happened_at, zone),
            **_times("event_start", memory.event_start, zone),
            **_times("event_end", memory.event_end, zone),
            **_times("saved_at", memory.created_at, zone),
            **_times("changed_at", memory.updated_at, zone),
            "message": memory.raw_message and memory.raw_message.message_sid,
            "corrected_by": memory.corrected_by and memory.corrected_by.message_sid,
            "history": [
                _describe_history(row, zone) for row in sorted(memory.history.all(), key=lambda row: row.id)
            ],
        }


def _describe_history(row: MemoryHistory, zone: ZoneInfo) -> Json:
    return {
        "kind": row.kind,
        "text": row.text,
        **_times("said_at", row.said_at, zone),
        **_times("event_start", row.event_start, zone),
        **_times("event_end", row.event_end, zone),
        "message": row.raw_message and row.raw_message.message_sid,
    }


def _get_messages(user: WhatsAppUser, zone: ZoneInfo) -> Iterator[Json]:
    """What came in and what went out, oldest first."""
    for _, _, message in heapq.merge(
        _get_inbound(user, zone), _get_outbound(user, zone), key=itemgetter(0, 1)
    ):
        yield message


def _get_inbound(user: WhatsAppUser, zone: ZoneInfo) -> Iterator[tuple[datetime, int, Json]]:
    rows = RawMessage.objects.filter(user=user).prefetch_related("media__file").order_by("received_at", "id")
    for raw in rows.iterator(chunk_size=CHUNK):
        content = read_content(raw)
        place = content.place
        yield (
            raw.received_at,
            0,
            {
                "direction": "in",
                "id": raw.message_sid,
                **_times("at", raw.received_at, zone),
                "kinds": [
                    *(["text"] if content.text else []),
                    *(["place"] if place else []),
                    *(attachment.kind for attachment in content.attachments),
                ],
                "text": content.text,
                "place": place
                and {name: getattr(place, name) for name in ("latitude", "longitude", "label", "address")},
                "forwarded": content.is_forwarded,
                "replied_to": content.replied_to_sid or None,
                "status": raw.status,
                "forgotten": raw.redacted_at is not None,
            },
        )


def _get_outbound(user: WhatsAppUser, zone: ZoneInfo) -> Iterator[tuple[datetime, int, Json]]:
    rows = (
        OutboundMessage.objects.filter(user=user)
        .select_related("interaction__raw_message")
        .prefetch_related("interaction__citations__memory")
        .order_by("created_at", "interaction_id", "part")
    )
    for part in rows.iterator(chunk_size=CHUNK):
        answer = part.interaction
        yield (
            part.created_at,
            1,
            {
                "direction": "out",
                "id": part.twilio_sid,
                **_times("at", part.created_at, zone),
                "by": "bot" if answer else "staff",
                "kind": answer.kind if answer else "",
                "text": part.body,
                "part": part.part,
                "answers": answer and answer.raw_message.message_sid,
                "used_memories": sorted(
                    citation.memory.number for citation in (answer.citations.all() if answer else ())
                ),
                "status": part.status,
                **_times("sent_at", part.sent_at, zone),
                **_times("delivered_at", part.delivered_at, zone),
                **_times("read_at", part.read_at, zone),
            },
        )


def _get_media(user: WhatsAppUser, zone: ZoneInfo, entries: dict[int, Entry]) -> Iterator[Json]:
    """Every sending of a file, oldest first; fills ``entries`` with the files themselves, by `MediaFile.id`."""
    rows = (
        MessageMedia.objects.filter(user=user)
        .select_related("file", "raw_message")
        .order_by("sent_at", "raw_message_id", "position")
    )
    for sending in rows.iterator(chunk_size=CHUNK):
        file = sending.file
        entry = None
        if file is not None and file.stored_at is not None:
            if file.id not in entries:
                sent_at = sending.sent_at.astimezone(zone)
                name = f"media/{sent_at:%Y-%m-%d}-{len(entries) + 1}{get_extension(file.content_type)}"
                entries[file.id] = Entry(name, file.storage_name, file.kind, sent_at)
            entry = entries[file.id]
        yield {
            "message": sending.raw_message.message_sid,
            "position": sending.position,
            **_times("sent_at", sending.sent_at, zone),
            "file": entry and entry.name,
            "file_name": sending.file_name,
            "refused": sending.refusal or None,
            **{name: file and getattr(file, name) for name in FILE_FIELDS},
        }
