"""Formats that hold others: what is inside decides what the file is."""

import mmap
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from media.detected import Detected, Kind
from media.detection_mixed import ZIP_TAIL_BYTES
from whatsbot.exceptions import MediaRefused

# An office file of 64 MB has some thousand members at most; a directory of millions would fill the worker's memory.
ZIP_DIRECTORY_BYTES = 2 * 1024 * 1024
STICKER_SIZE = (512, 512)
HEIF_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1"), "image/heif"),
}
# What the first packet of a stream in Ogg begins with.
OGG_CODECS: tuple[tuple[bytes, str, Kind], ...] = (
    (b"\x80theora", "video/ogg", "video"),
    (b"OpusHead", "audio/ogg", "voice note"),
    (b"\x01vorbis", "audio/ogg", "audio"),
    (b"\x7fFLAC", "audio/ogg", "audio"),
    (b"Speex   ", "audio/ogg", "audio"),
)
_OPEN_XML = "application/vnd.openxmlformats-officedocument."
OPEN_XML_PARTS = {
    b"wordprocessingml.document.main+xml": f"{_OPEN_XML}wordprocessingml.document",
    b"spreadsheetml.sheet.main+xml": f"{_OPEN_XML}spreadsheetml.sheet",
    b"presentationml.presentation.main+xml": f"{_OPEN_XML}presentationml.presentation",
}
OPEN_DOCUMENT_TYPES = {
    f"application/vnd.oasis.opendocument.{name}" for name in ("text", "spreadsheet", "presentation")
}
# Streams of OLE2, the older office format.
OLE_STREAMS = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
}


def detect_riff(head: bytes) -> Detected | None:
    """WAV, or a picture in WebP: a sticker if it has the size WhatsApp demands of one."""
    if head[8:12] == b"WAVE":
        return Detected("audio/wav", "audio")
    if head[8:12] != b"WEBP":
        return None
    size = (0, 0)
    if head[12:16] == b"VP8X" and len(head) >= 30:
        size = (1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little"))
    elif head[12:16] == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        size = (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    elif head[12:16] == b"VP8 " and len(head) >= 30:
        width, height = struct.unpack_from("<HH", head, 26)
        size = (width & 0x3FFF, height & 0x3FFF)
    return Detected("image/webp", "sticker" if size == STICKER_SIZE else "picture")


def detect_ogg(head: bytes) -> Detected | None:
    """The pages that begin streams come first; sound may stand before the picture it belongs to."""
    packets = []
    position = 0
    while head[position : position + 4] == b"OggS" and len(head) > position + 27 and head[position + 5] & 2:
        segments = head[position + 26]
        body = position + 27 + segments
        packets.append(head[body : body + 8])
        position = body + sum(head[position + 27 : body])
    for codec, content_type, kind in OGG_CODECS:
        if any(packet.startswith(codec) for packet in packets):
            return Detected(content_type, kind)
    return None


def detect_webm(head: bytes, *, claimed: str) -> Detected | None:
    """WebM by the codecs named in its head; no other Matroska."""
    if b"\x42\x82\x84webm" not in head[:64]:
        return None
    has_video = re.search(rb"\x86[\x80-\xa0]V_(?:VP8|VP9|AV1)", head)
    has_sound = re.search(rb"\x86[\x80-\xa0]A_(?:OPUS|VORBIS)", head)
    return _sound_or_video("webm", video=bool(has_video), sound=bool(has_sound), claimed=claimed)


def detect_mp4(data: mmap.mmap, *, claimed: str) -> Detected | None:
    """MP4, MOV, 3GP and HEIF by brand and tracks."""
    brand = data[8:12]
    compatible = data[16 : min(int.from_bytes(data[:4]), 256)]
    if brand in HEIF_BRANDS:
        named = {compatible[at : at + 4] for at in range(0, len(compatible), 4)}
        return None if b"avif" in named else Detected(HEIF_BRANDS[brand], "picture")
    if brand in (b"avif", b"avis", b"crx ", b"jp2 ", b"jpx "):
        return None
    tracks = {handler for handler, _ in iterate_tracks(data)}
    subtype = {b"qt  ": "quicktime", b"3gp": "3gpp", b"3g2": "3gpp"}.get(
        brand if brand == b"qt  " else brand[:3], "mp4"
    )
    if brand in (b"M4A ", b"M4B "):  # a picture in it is its cover
        return Detected("audio/mp4", "audio")
    return _sound_or_video(subtype, video=b"vide" in tracks, sound=b"soun" in tracks, claimed=claimed)


def _sound_or_video(subtype: str, *, video: bool, sound: bool, claimed: str) -> Detected:
    if video or (not sound and not claimed.startswith("audio/")):
        return Detected(f"video/{subtype}", "video")
    return Detected("audio/mp4" if subtype == "quicktime" else f"audio/{subtype}", "audio")


def iterate_boxes(
    data: mmap.mmap | bytes, *, start: int, end: int, at_most: int = 100
) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of an MP4 between two places: name, and where the content begins and ends. Stops at nonsense."""
    for _ in range(at_most):
        if start + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1 and start + 16 <= end:
            size, body = int.from_bytes(data[start + 8 : start + 16]), start + 16
        stop = end if size == 0 else start + size
        if stop < body:
            return
        yield name, body, min(stop, end)
        start = stop


def iterate_tracks(data: mmap.mmap | bytes) -> Iterator[tuple[bytes, bytes]]:
    """The tracks of an MP4: the handler ("vide", "soun", …) and the track header (`tkhd`), b"" where there is none."""
    top = iterate_boxes(data, start=0, end=len(data), at_most=10_000)
    _, start, end = next((box for box in top if box[0] == b"moov"), (b"", 0, 0))
    for track, track_start, track_end in iterate_boxes(data, start=start, end=end):
        if track != b"trak":
            continue
        handler, header = b"", b""
        for part, part_start, part_end in iterate_boxes(data, start=track_start, end=track_end):
            if part == b"tkhd":
                header = data[part_start : min(part_end, part_start + 128)]
            elif part == b"mdia":
                for media, media_start, _ in iterate_boxes(data, start=part_start, end=part_end):
                    if media == b"hdlr":
                        handler = data[media_start + 8 : media_start + 12]
        yield handler, header


def detect_framed_sound(head: bytes) -> Detected | None:
    """MP3 and AAC (ADTS) without a tag: the sync is too short to be believed, so the next frame's is asked for."""
    if len(head) < 7 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        length, found = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5, Detected("audio/aac", "audio")
    elif head[1] & 0xE6 == 0xE2 and (frame := _get_mp3_frame_bytes(head)):
        length, found = frame, Detected("audio/mpeg", "audio")
    else:
        return None
    after = head[length : length + 2]
    return found if length > 6 and (after == head[:1] + after[1:] and after[1:2] == head[1:2]) else None


def _get_mp3_frame_bytes(head: bytes) -> int:
    version = head[1] >> 3 & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    rates, samples = {
        3: ((0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0), 144),
        2: ((0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0), 72),
        0: ((0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0), 72),
    }.get(version, ((0,) * 16, 0))
    frequency = (44100, 48000, 32000, 0)[head[2] >> 2 & 3] // {3: 1, 2: 2, 0: 4}.get(version, 1)
    if not frequency:
        return 0
    return samples * rates[head[2] >> 4] * 1000 // frequency + (head[2] >> 1 & 1)


def detect_ole(data: mmap.mmap) -> Detected | None:
    """By the names in its directory: 64 bytes of UTF-16, their length, and 2 for a stream."""

    def find(stream: str) -> int:
        name = stream.encode("utf-16-le")
        return data.find(name.ljust(64, b"\0") + struct.pack("<HB", len(name) + 2, 2))

    if find("_VBA_PROJECT") >= 0:
        raise MediaRefused("type")
    found = {place: kind for stream, kind in OLE_STREAMS.items() if (place := find(stream)) >= 0}
    return Detected(found[min(found)], "document") if found else None


def detect_zipped(path: Path, data: mmap.mmap, *, head: bytes) -> Detected:
    """Office files by their own table of contents; no other zip is kept, nor one that brings programs along."""
    tail = data[-ZIP_TAIL_BYTES:]
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise MediaRefused("type")
    if int.from_bytes(tail[end + 12 : end + 16], "little") > ZIP_DIRECTORY_BYTES:
        raise MediaRefused("bomb")
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            listed = _read_member(archive, "[Content_Types].xml") if "[Content_Types].xml" in names else b""
            stated = _read_member(archive, "mimetype") if "mimetype" in names else b""
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, KeyError, EOFError):
        raise MediaRefused("type") from None
    content_type = next((kind for part, kind in OPEN_XML_PARTS.items() if part in listed), "")
    if stated.decode("latin-1").strip() in OPEN_DOCUMENT_TYPES:
        content_type = stated.decode("latin-1").strip()
    runs = b"macroEnabled" in listed or any(
        name.endswith("vbaProject.bin") or name.startswith(("Basic/", "Scripts/")) for name in names
    )
    if not content_type or runs:
        raise MediaRefused("type")
    if b"%PDF-" in head[:1024] or names & {"META-INF/MANIFEST.MF", "AndroidManifest.xml", "classes.dex"}:
        raise MediaRefused("mixed")
    return Detected(content_type, "document")


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        return member.read(1024 * 1024)
