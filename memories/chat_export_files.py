"""The files WhatsApp's "Export chat" makes: a text, or a zip with that text beside the media. Nothing is unpacked."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path, PurePosixPath
from typing import cast

from memories.chat_export_layout import UnreadableExport

LARGEST_TEXT = 200_000_000  # bytes: 100 messages an hour for ten years
LONGEST_LINE = 100_000  # characters held at once; a longer line comes in pieces
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16; that of UTF-8 is one more invisible mark

# What the chat is called: on an iPhone; on Android, in any language; if somebody has renamed it.
_NAMES: tuple[Callable[[str], bool], ...] = (
    lambda name: name == "_chat.txt",
    lambda name: "whatsapp" in name.lower(),
    lambda name: True,
)


def read_lines(path: Path) -> Iterator[str]:
    """The lines of an export, without their ends.

    Raises UnreadableExport for a file that is missing, damaged, no text or longer than `LARGEST_TEXT`.
    """
    try:
        with ExitStack() as stack:
            text = stack.enter_context(_decode(_open_text(path, stack)))
            for line in iter(partial(text.readline, LONGEST_LINE), ""):
                yield line.removesuffix("\n")
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UnreadableExport(f"It cannot be read: {error}") from error
    except UnicodeError as error:
        raise UnreadableExport("It is no text in UTF-8 or UTF-16.") from error


def _open_text(path: Path, stack: ExitStack) -> BufferedReader:
    file = stack.enter_context(path.open("rb"))
    if file.peek(2)[:2] != b"PK":
        _check_size(path.stat().st_size)
        return file
    archive = stack.enter_context(zipfile.ZipFile(file))
    member = _find_chat(archive)
    _check_size(member.file_size)  # zipfile reads no more than this, whatever is packed
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableExport("Its text is encrypted, or packed as WhatsApp packs none.")
    return stack.enter_context(BufferedReader(cast(RawIOBase, archive.open(member))))


def _find_chat(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The chat, not a text that somebody sent in it."""
    texts = {
        member: PurePosixPath(member.filename).name
        for member in archive.infolist()
        if member.filename.lower().endswith(".txt") and not member.filename.startswith("__MACOSX/")
    }
    for is_chat in _NAMES:
        chats = [member for member, name in texts.items() if is_chat(name)]
        if len(chats) == 1:
            return chats[0]
        if chats:
            raise UnreadableExport(
                f"{len(chats)} texts in it may be the chat: unpack the right one and give that."
            )
    raise UnreadableExport("No text is in it: this is no chat export.")


def _check_size(size: int) -> None:
    if size > LARGEST_TEXT:
        raise UnreadableExport(f"Its text has {size:,} bytes, and {LARGEST_TEXT:,} are the most.")


def _decode(source: BufferedReader) -> TextIOWrapper:
    head = source.peek(4)[:4]
    if head.startswith(BYTE_ORDER_MARKS):
        encoding = "utf-16"
    else:  # in UTF-16 without a mark, one byte of an ASCII character is zero
        encoding = "utf-16-le" if 0 in head[1::2] else "utf-16-be" if 0 in head[::2] else "utf-8"
    return TextIOWrapper(source, encoding=encoding)
