"""What a file can be found to be, and what it is called then."""

from dataclasses import dataclass
from typing import Literal, get_args

# The values of media.models.MediaFile.Kind, which needs Django; detection and reading do not.
Kind = Literal[
    "picture", "sticker", "voice note", "audio", "video", "PDF", "document", "text file", "contact card"
]
KINDS: tuple[Kind, ...] = get_args(Kind)


# What a file is called outside, by its type. Every other type goes out as bytes of no type: a page or a drawing with
# scripts (HTML, SVG) would be run in our name.
EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "audio/ogg": ".ogg",
    "audio/opus": ".opus",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/amr": ".amr",
    "audio/3gpp": ".3gp",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/flac": ".flac",
    "audio/webm": ".weba",
    "video/mp4": ".mp4",
    "video/3gpp": ".3gp",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/mpeg": ".mpg",
    "video/ogg": ".ogv",
    "application/pdf": ".pdf",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/rtf": ".rtf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/vcard": ".vcf",
}


@dataclass(frozen=True)
class Detected:
    """A content type without parameters, and a value of `MediaFile.Kind`."""

    content_type: str
    kind: Kind


def get_extension(content_type: str) -> str:
    """The ending of a file name, with its dot; `.bin` for what is served without its type."""
    return EXTENSIONS.get(content_type, ".bin")
