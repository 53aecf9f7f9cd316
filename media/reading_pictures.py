"""Pictures: their size and date, and a small JPEG of them."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image, ImageOps

from whatsbot.exceptions import MediaRefused

PIXELS = 64_000_000
FRAMES = 5000
THUMBNAIL_SIZE = (512, 512)
# The only decoder a picture may choose. MPO is a JPEG with more pictures behind it, as phones make them.
FORMATS = {
    "image/jpeg": ("JPEG",),
    "image/png": ("PNG",),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/heic": ("HEIF",),
    "image/heif": ("HEIF",),
    "image/bmp": ("BMP",),
    "image/tiff": ("TIFF",),
}
EXIF_IFD, ORIENTATION, TAKEN, TAKEN_OFFSET = 0x8769, 0x0112, 0x9003, 0x9011

pillow_heif.register_heif_opener(thumbnails=False)
Image.init()
Image.MAX_IMAGE_PIXELS = None  # PIXELS is asked for instead, before anything is decoded


def read_picture(path: Path, *, content_type: str, thumbnail: Path) -> dict[str, Any]:
    """Decode all of the (first) picture, and write it small to ``thumbnail``. Raises `MediaRefused`."""
    try:
        with Image.open(path, formats=FORMATS[content_type]) as picture:
            width, height = picture.size
            if width * height > PIXELS:
                raise MediaRefused("bomb")
            facts = {"width": width, "height": height}
            # Pillow turns a TIFF itself.
            if picture.format != "TIFF" and picture.getexif().get(ORIENTATION) in (5, 6, 7, 8):
                facts = {"width": height, "height": width}
            if (frames := _count_frames(picture)) > 1:
                facts["frames"] = frames
            if frames > FRAMES:
                raise MediaRefused("bomb")
            taken_at = find_taken_at(picture)
            make_thumbnail(picture).save(thumbnail, "JPEG", quality=80)
    except (MediaRefused, MemoryError):
        raise
    except Exception:
        raise MediaRefused("broken") from None
    return facts | {"taken_at": taken_at}


def _count_frames(picture: Image.Image) -> int:
    """How many pictures follow each other. What phones put behind a JPEG is not shown after it."""
    return getattr(picture, "n_frames", 1) if picture.format in ("GIF", "WEBP", "PNG") else 1


def find_taken_at(picture: Image.Image) -> str | None:
    """When a camera took it: ISO 8601, with an offset only if the camera wrote one."""
    with suppress(Exception):
        exif = picture.getexif().get_ifd(EXIF_IFD)
        taken = datetime.strptime(str(exif[TAKEN])[:19], "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007
        with suppress(Exception):
            offset = str(exif[TAKEN_OFFSET]).strip("\0 ")
            return datetime.fromisoformat(f"{taken.isoformat()}{offset}").isoformat()
        return taken.isoformat()
    return None


def make_thumbnail(picture: Image.Image) -> Image.Image:
    """A small RGB picture, upright, on white, without metadata.

    A JPEG is decoded at a fraction of its size (`draft`), which reads all of its data nevertheless.
    """
    if picture.mode == "P":
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    is_deep = picture.mode.startswith("I") or picture.mode == "F"  # grey in more than 256 steps
    if is_deep:
        picture = picture.convert("F")
    picture.thumbnail(THUMBNAIL_SIZE)
    picture = ImageOps.exif_transpose(picture)
    if is_deep:
        brightest: Any = picture.getextrema()[1]
        picture = picture.point(lambda value: value * (255 / brightest) + 0).convert("L")
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        picture = Image.new("RGB", seen.size, "white")
        picture.paste(seen, mask=seen.getchannel("A"))
    small = Image.new("RGB", picture.size)
    small.paste(picture.convert("RGB"))
    return small
