"""The sandbox's side of media/reading.py: find the reader, bound what it says."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from media import reading_documents, reading_pictures, reading_sound, reading_texts
from whatsbot.exceptions import MediaRefused

FACT_CHARACTERS = 1000
FACTS_IN_A_LIST = 500


def read(
    *, path: str, content_type: str, kind: str, thumbnail: str, seconds: float, characters: int
) -> dict[str, Any]:
    """Facts and text of the file, or ``refused``: the reason.

    A text that takes long ends early: half of the time is for it.
    """
    try:
        if kind in ("picture", "sticker"):
            facts = reading_pictures.read_picture(
                Path(path), content_type=content_type, thumbnail=Path(thumbnail)
            )
            return {"facts": bound_fact(facts), "text": ""}
        facts, pieces = {}, []
        try:
            facts, texts = _read_other(Path(path), content_type=content_type, kind=kind)
            pieces = gather(texts, characters=characters, until=time.monotonic() + seconds / 2)
        except (MediaRefused, MemoryError):
            raise
        except Exception:
            facts = facts | {"unreadable": True}
        return {"facts": bound_fact(facts), "text": clean("".join(pieces))[:characters].strip()}
    except MediaRefused as refused:
        return {"refused": refused.reason}


def _read_other(path: Path, *, content_type: str, kind: str) -> tuple[dict[str, Any], Iterable[str]]:
    match kind:
        case "voice note" | "audio" | "video":
            return reading_sound.read_sound(path, content_type=content_type), ()
        case "PDF":
            return reading_documents.read_pdf(path)
        case "document":
            return reading_documents.read_document(path, content_type=content_type)
        case "contact card":
            return reading_texts.read_cards(path)
    return {}, reading_texts.read_text(path, content_type=content_type)


def gather(texts: Iterable[str], *, characters: int, until: float) -> list[str]:
    """Pieces of a text, until there are enough or it took too long."""
    pieces = []
    for piece in texts:
        pieces.append(piece)
        characters -= len(piece)
        if characters <= 0 or time.monotonic() > until:
            break
    return pieces


def clean(text: str) -> str:
    """The text as a database can keep it: no NUL, no halves of characters."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def bound_fact(value: Any) -> Any:
    """The fact without empty parts, and not longer than anybody would read."""
    match value:
        case dict():
            return {
                name: bound_fact(part) for name, part in value.items() if part not in (None, "", [], {}, ())
            }
        case list() | tuple():
            return [bound_fact(part) for part in value[:FACTS_IN_A_LIST]]
        case str():
            return clean(value[:FACT_CHARACTERS])
    return value
