"""What a file says of itself and in words, read by libraries in the sandbox, without any service.

Facts are JSON with times in ISO 8601, by kind::

    picture, sticker      width, height (as shown), frames (if it moves), taken_at (with an offset only if it has one)
    voice note, audio     duration_seconds
    video                 duration_seconds, width, height
    PDF                   pages, title, author, created_at, encrypted
    document              title, author, created_at, pages | slides | sheets (their names)
    contact card          contacts: name, phones, emails, organization, title, birthday, address, url, note
    any but pictures      unreadable: its library could not read it; it is kept all the same

Where a picture was taken, and with which camera, is not kept.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media import sandbox
from media.detected import Detected
from whatsbot.exceptions import MediaRefused

TEXT_CHARACTERS = 100_000
PRELOAD = ("media.reading_inside", "media.reading_pictures", "media.reading_documents", "media.reading_sound")


@dataclass(frozen=True)
class Reading:
    """``text`` has at most `TEXT_CHARACTERS` and no NUL."""

    facts: dict[str, Any]
    text: str


def read_file(path: Path, *, detected: Detected, thumbnail: Path, seconds: float = 15) -> Reading:
    """Read a file whose type is known, and write a small JPEG of a picture or sticker to ``thumbnail``.

    Blocks, for ``seconds`` of reading at most and while other threads read. Raises `MediaRefused`: "bomb" (more
    memory, time, pixels or zipped bytes than an honest file needs), "broken" (a picture that does not decode as what
    it was detected as, a file that kills its reader).
    """
    try:
        answer = sandbox.run(
            "media.reading_inside:read",
            arguments={
                "path": str(path.resolve()),
                "content_type": detected.content_type,
                "kind": detected.kind,
                "thumbnail": str(thumbnail.resolve()),
                "seconds": seconds,
                "characters": TEXT_CHARACTERS,
            },
            seconds=seconds,
            preload=PRELOAD,
        )
    except sandbox.OverLimit:
        raise MediaRefused("bomb") from None
    except sandbox.Crashed:
        raise MediaRefused("broken") from None
    if refused := answer.get("refused"):
        raise MediaRefused(refused)
    return Reading(facts=answer["facts"], text=answer["text"])
