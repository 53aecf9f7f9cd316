"""Sound and video: how long, and how large the picture is."""

import mmap
from contextlib import suppress
from pathlib import Path
from typing import Any

from mutagen import FileType, MutagenError
from mutagen.aac import AAC
from mutagen.flac import FLAC
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggtheora import OggTheora
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from media.detection_containers import iterate_tracks

# Bytes of a frame of 20 ms by its mode, the mode's byte included (3GPP TS 26.101, 26.201).
AMR_FRAMES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1)
AMR_WIDE_FRAMES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1)
# Who reads what. Of the others (WebM, MPEG) no library here tells the length.
READERS: dict[str, tuple[type[FileType], ...]] = {
    "audio/ogg": (OggOpus, OggVorbis, OggFLAC, OggSpeex),
    "video/ogg": (OggTheora,),
    "audio/mpeg": (MP3,),
    "audio/aac": (AAC,),
    "audio/flac": (FLAC,),
    "audio/wav": (WAVE,),
    **dict.fromkeys(("audio/mp4", "audio/3gpp", "video/mp4", "video/3gpp", "video/quicktime"), (MP4,)),
}


def read_sound(path: Path, *, content_type: str) -> dict[str, Any]:
    """Facts of a file of sound or video. Raises whatever the library raises."""
    if content_type == "audio/amr":
        return {"duration_seconds": measure_amr(path.read_bytes())}
    facts: dict[str, Any] = get_video_size(path) if content_type.startswith("video/") else {}
    readers = READERS.get(content_type, ())
    for reader in readers:
        with suppress(MutagenError):
            info: Any = reader(path).info
            return facts | {"duration_seconds": round(float(info.length), 2)}
    return facts | {"unreadable": True} if readers else facts


def measure_amr(data: bytes) -> float:
    """Seconds of a voice note of an old phone: frames of 20 ms, each as long as its first byte says."""
    wide = data.startswith(b"#!AMR-WB\n")
    sizes, position, frames = (AMR_WIDE_FRAMES, 9, 0) if wide else (AMR_FRAMES, 6, 0)
    while position < len(data):
        position += sizes[data[position] >> 3 & 15]
        frames += 1
    return round(frames * 0.02, 2)


def get_video_size(path: Path) -> dict[str, int]:
    """Width and height as shown, from the header of the picture's track; empty if it has none."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for handler, header in iterate_tracks(data):
            # A version byte says whether times take 4 or 8 bytes; a matrix of 9 numbers and the size end the header.
            end = 96 if header[:1] == b"\1" else 84
            if handler != b"vide" or len(header) < end:
                continue
            width, height = (int.from_bytes(header[at : at + 2]) for at in (end - 8, end - 4))
            is_upright = header[end - 44 : end - 40] != bytes(4)  # how much of x goes to x
            return {"width": width, "height": height} if is_upright else {"width": height, "height": width}
    return {}
