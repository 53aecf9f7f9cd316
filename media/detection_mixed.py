"""Files that are two things at once: each program that opens one sees what its maker wants it to see."""

import mmap
import struct

from media.detected import Detected

# A comment may stand between a zip's last record and the end of the file.
ZIP_TAIL_BYTES = 22 + 0xFFFF
HTML_MARKS = (b"<html", b"<script", b"<svg", b"<!doctype html")
HIDDEN = (
    *(b"\x7fELF", b"#!/", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"dex\n"),  # programs
    *(b"PK\x03\x04", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c"),  # archives
)


def ends_as_zip(data: mmap.mmap) -> bool:
    """Whether a zip reader would open it: these read from the end, whatever stands before."""
    tail = data[-ZIP_TAIL_BYTES:]
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        return False
    (entries, directory_bytes) = struct.unpack_from("<HI", tail, end + 10)
    start = len(data) - len(tail) + end - directory_bytes
    return entries == 0 or (start >= 0 and data[start : start + 4] == b"PK\x01\x02")


def begins_as_another(detected: Detected, data: mmap.mmap, *, head: bytes) -> bool:
    """Whether a reader of another type would take it for its own."""
    if detected.kind in ("document", "contact card"):
        return False
    if detected.kind == "text file":
        return b"%PDF-" in head[:1024] and b"%%EOF" in data[-1024:]
    is_pdf = detected.kind == "PDF"
    lower = head[: 1024 if is_pdf else 4096].lower()
    if any(mark in lower for mark in HTML_MARKS) or (not is_pdf and b"%pdf-" in lower[:1024]):
        return True
    match detected.content_type:
        case "image/gif":  # a script that begins with an assignment, or with a comment around the picture
            return head[6:8] == b"/*" or (len(head) >= 10 and all(0x20 <= byte < 0x7F for byte in head[6:10]))
        case "image/bmp":
            return head[2:4] == b"/*" and int.from_bytes(head[2:6], "little") != len(data)
        case "image/webp" | "audio/wav":
            return head[4:6] == b"/*" and int.from_bytes(head[4:8], "little") + 8 != len(data)
        case "image/jpeg":
            return head[2:6] == b"\xff\xe0/*" or _hides_after_jpeg(data)
    return False


def _hides_after_jpeg(data: mmap.mmap) -> bool:
    """Whether another kind of file follows the picture. Phones append videos, more pictures and zeros."""
    position = 2
    while data[position : position + 1] == b"\xff" and position + 4 <= len(data):
        marker = data[position + 1]
        if marker in (0xDA, 0xD9):
            break
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    end = data.find(b"\xff\xd9", position)  # within the picture's own data a 0 follows each FF
    if end < 0:
        return False
    after = data[end + 2 : end + 2 + 8192].lstrip(b"\0 \r\n\t")
    return (
        after.startswith(HIDDEN)
        or (after.startswith(b"MZ") and b"PE\0\0" in after)
        or b"%PDF-" in after[:1024]
        or any(mark in after[:4096].lower() for mark in HTML_MARKS)
    )
