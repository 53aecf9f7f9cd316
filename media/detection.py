"""What a file is, told by its content and never by what the sender or a header says.

Only what we keep is known here; anything else is refused. No library decodes anything: a few kilobytes are looked at
in the worker itself, the rest happens in the sandbox (media/reading.py).
"""

import codecs
import mmap
import re
import struct
from pathlib import Path

from media import detection_containers as containers
from media.detected import Detected, Kind
from media.detection_mixed import begins_as_another, ends_as_zip
from whatsbot.exceptions import MediaRefused

HEAD_BYTES = 64 * 1024
HTML_TAGS = frozenset(b"html head body title meta style script div p table iframe".split())
BMP_HEADER_BYTES = {struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124)}

SIGNATURES: tuple[tuple[bytes, str, Kind], ...] = (
    (b"\xff\xd8\xff", "image/jpeg", "picture"),
    (b"\x89PNG\r\n\x1a\n", "image/png", "picture"),
    (b"GIF87a", "image/gif", "picture"),
    (b"GIF89a", "image/gif", "picture"),
    (b"II*\0", "image/tiff", "picture"),
    (b"MM\0*", "image/tiff", "picture"),
    (b"fLaC", "audio/flac", "audio"),
    # What old phones record.
    (b"#!AMR\n", "audio/amr", "voice note"),
    (b"#!AMR-WB\n", "audio/amr", "voice note"),
    (b"ID3", "audio/mpeg", "audio"),
    (b"\x00\x00\x01\xba", "video/mpeg", "video"),
    (b"\x00\x00\x01\xb3", "video/mpeg", "video"),
    (b"%PDF-", "application/pdf", "PDF"),
    (b"{\\rtf", "application/rtf", "document"),
)

_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_NO_TEXT_DECODED = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_LEADING_MARKUP = re.compile(
    rb"(?:\s|<!--.*?-->|<\?xml.*?\?>)*(<!doctype\s+\w+|<\w+)?", re.DOTALL | re.IGNORECASE
)


def detect_type(path: Path, *, claimed: str = "") -> Detected:
    """What the file at ``path`` is.

    ``claimed`` is the content type somebody says it has: it decides only between sound and video, where a container
    does not say what it holds. Raises `MediaRefused`: "empty", "type" (nothing we keep), "mixed" (two types at once),
    "bomb" (a zip whose directory alone is too much).
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise MediaRefused("empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            head = data[:HEAD_BYTES]
            if head.startswith(b"PK\x03\x04"):
                return containers.detect_zipped(path, data, head=head)
            detected = _detect_binary(data, head=head, claimed=claimed) or _detect_text(data, head=head)
            if detected is None:
                raise MediaRefused("type")
            if ends_as_zip(data) or begins_as_another(detected, data, head=head):
                raise MediaRefused("mixed")
            if detected.kind in ("text file", "contact card") and not _is_text(
                data, of_any_encoding=detected.kind == "contact card"
            ):
                raise MediaRefused("type")
            return detected


def _detect_binary(data: mmap.mmap, *, head: bytes, claimed: str) -> Detected | None:
    for signature, content_type, kind in SIGNATURES:
        if head.startswith(signature):
            return Detected(content_type, kind)
    if head[:4] == b"RIFF":
        return containers.detect_riff(head)
    if head[:4] == b"OggS":
        return containers.detect_ogg(head)
    if head[:4] == b"\x1aE\xdf\xa3":
        return containers.detect_webm(head, claimed=claimed)
    if head[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return containers.detect_ole(data)
    if head[4:8] == b"ftyp":
        return containers.detect_mp4(data, claimed=claimed)
    if head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:18] in BMP_HEADER_BYTES:
        return Detected("image/bmp", "picture")
    return containers.detect_framed_sound(head)


def _detect_text(data: mmap.mmap, *, head: bytes) -> Detected | None:
    """What kind of text, going by its first characters; whether all of it is text is asked afterwards."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    if _NO_TEXT.search(head[:8]):
        return None
    head = head.removeprefix(codecs.BOM_UTF8)
    if head.lstrip()[:11].upper() == b"BEGIN:VCARD":
        return Detected("text/vcard", "contact card")
    begins = _LEADING_MARKUP.match(head[:4096])
    first = (begins.group(1) or b"").lower() if begins else b""
    tag = first.rsplit(None, 1)[-1].lstrip(b"<") if first else b""
    if tag == b"svg":
        return Detected("image/svg+xml", "text file")
    if tag in HTML_TAGS:
        return Detected("text/html", "text file")
    return Detected("text/plain", "text file")


def _is_text(data: mmap.mmap, *, of_any_encoding: bool) -> bool:
    """Whether all of it is UTF-8, or UTF-16 with a mark, and without control characters."""
    wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8")()
    step = 1024 * 1024
    try:
        for start in range(0, len(data), step):
            chunk = data[start : start + step]
            if wide:
                if _NO_TEXT_DECODED.search(decoder.decode(chunk)):
                    return False
            elif _NO_TEXT.search(chunk):
                return False
            elif not of_any_encoding:
                decoder.decode(chunk)
        if not of_any_encoding:
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
