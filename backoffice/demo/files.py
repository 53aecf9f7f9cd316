"""Made-up files: pictures, voice notes and documents, made here and taken in as the product takes them."""

import hashlib
import io
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from media.detection import detect_type
from media.models import MediaFile
from media.reading import read_file
from media.storing import Content

CAPTIONS = ("", "keep this", "para guardar", "for the tax folder", "wichtig!", "à garder", "look at this")
_PAPER, _INK = (253, 252, 247), (40, 40, 48)
_SECONDS = 5  # of a voice note
_SILENCE = b"\xf8\xff\xfe"  # 20 ms of it, as Opus has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file: what it is called, its bytes, and what a language model says of it (``text``: word for word)."""

    file_name: str = ""
    claimed: str = "image/jpeg"
    make: Callable[[], bytes]
    description: str
    text: str = ""
    language: str = ""
    is_heard: bool = False  # a voice note, whose words are remembered instead of the file


def take_in(sample: Sample, *, directory: Path) -> Content:
    """Write a sample to a file of ``directory`` and read it as a file that was sent is read."""
    data = sample.make()
    path = directory / hashlib.sha256(data).hexdigest()
    path.write_bytes(data)
    thumbnail = path.with_suffix(".jpg")
    detected = detect_type(path, claimed=sample.claimed)
    reading = read_file(path, detected=detected, thumbnail=thumbnail)
    return Content(
        path=path,
        sha256=path.name,
        size=len(data),
        content_type=detected.content_type,
        kind=detected.kind,
        facts=reading.facts,
        text=reading.text,
        thumbnail=thumbnail if thumbnail.exists() else None,
    )


def describe(sample: Sample, content: Content) -> MediaFile:
    """What is known of a stored sample, as a row that is not saved."""
    return MediaFile(kind=content.kind, text=content.text or sample.text, description=sample.description)


def _draw_paper(
    lines: Sequence[str], *, size: tuple[int, int], color: tuple[int, int, int] = _PAPER
) -> bytes:
    """Lines of text on paper; a line with a tab has its end at the right."""
    picture = Image.new("RGB", size, color)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size[0] // 18)
    for row, line in enumerate(lines):
        left, _, right = line.partition("\t")
        top = 40 + row * size[0] // 12
        draw.text((40, top), left, fill=_INK, font=font)
        draw.text((size[0] - 40, top), right, fill=_INK, font=font, anchor="ra")
    return _write_jpeg(picture)


def _draw_landscape(
    sky: tuple[int, int, int], ground: tuple[int, int, int], *, waves: float, height: int
) -> bytes:
    """Hills, waves or dunes before a sky with a sun."""
    picture = Image.new("RGB", (1280, 853))
    draw = ImageDraw.Draw(picture)
    for y in range(853):
        shade = 0.65 + 0.5 * y / 853
        draw.line((0, y, 1280, y), fill=tuple(min(255, round(each * shade)) for each in sky))
    draw.ellipse((930, 150, 1050, 270), fill=(255, 244, 214))
    for layer in range(4):
        base = 430 + layer * 110
        line = [
            (x, base + height * math.sin(x / 1280 * waves * (layer + 2) + layer * 1.7))
            for x in range(0, 1281, 8)
        ]
        color = tuple(round(each * (1 - 0.18 * layer)) for each in ground)
        draw.polygon([(0, 853), *line, (1280, 853)], fill=color)
    return _write_jpeg(picture)


def _write_jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82)
    return out.getvalue()


def _write_voice_note(serial: int) -> bytes:
    """Opus in Ogg, as WhatsApp records it, of silence: there is no encoder here."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 16000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"demo" + struct.pack("<I", 0)
    pages = [_write_page([head], serial=serial, number=0, flags=2)]
    pages.append(_write_page([tags], serial=serial, number=1))
    for second in range(1, _SECONDS + 1):
        flags = 4 if second == _SECONDS else 0
        packets = [_SILENCE] * 50
        pages.append(
            _write_page(packets, serial=serial, number=second + 1, flags=flags, granule=second * 48000)
        )
    return b"".join(pages)


def _write_page(
    packets: Sequence[bytes], *, serial: int, number: int, flags: int = 0, granule: int = 0
) -> bytes:
    """A page of Ogg (RFC 3533) with packets shorter than 255 bytes."""
    page = struct.pack("<4sBBQIII", b"OggS", 0, flags, granule, serial, number, 0)
    page += bytes([len(packets), *map(len, packets)]) + b"".join(packets)
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
    return page[:22] + struct.pack("<I", checksum) + page[26:]


def _write_pdf(lines: Sequence[str]) -> bytes:
    """A PDF of one page."""
    text = " ".join(f"({line}) Tj 0 -22 Td" for line in lines)
    content = f"BT /F1 13 Tf 60 760 Td {text} ET".encode("latin-1")
    font = b"<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources%s>>" % font,
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
    )
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _receipt(*lines: str) -> Callable[[], bytes]:
    return lambda: _draw_paper(lines, size=(720, 640))


def _list(lines: Sequence[str]) -> str:
    return "\n".join(line.replace("\t", " ") for line in lines)


_BAKERY = (
    "GREEN STREET BAKERY",
    "",
    "Rye bread\t4.20",
    "2 Croissants\t5.00",
    "Oat milk\t2.60",
    "TOTAL\t11.80",
)
_MARKET = ("MERCADO SAN TELMO", "", "Tomates\t3,10", "Queso\t6,40", "Aceite\t8,90", "TOTAL EUR\t18,40")
_PHARMACY = ("STADT-APOTHEKE", "", "Ibuprofen 400\t5,95", "Pflaster\t3,49", "SUMME EUR\t9,44")
_SHOPPING = ("Shopping", "- eggs", "- lemons", "- batteries AA", "- card for Grace")
_LEASE = ("Lease of the flat at 12 Green Street", "Rent: 940 a month, due on the 3rd", "Notice: three months")
_PACKING = "Packing list for the boat\nrope, lamp, rain coats, first aid, two maps of the harbour\n"
_SPOKEN_EN = (
    "The plumber was here, the boiler needs a new valve, and it will cost about two hundred and forty pounds."
)
_SPOKEN_ES = "La vecina del tercero tiene una copia de la llave, por si nos quedamos fuera."

SAMPLES = (
    Sample(
        make=_receipt(*_BAKERY),
        description="Receipt of Green Street Bakery for rye bread, two croissants and oat milk, 11.80 in total.",
        text=_list(_BAKERY),
        language="en",
    ),
    Sample(
        make=_receipt(*_MARKET),
        description="Recibo del Mercado San Telmo por tomates, queso y aceite: 18,40 euros en total.",
        text=_list(_MARKET),
        language="es",
    ),
    Sample(
        make=_receipt(*_PHARMACY),
        description="Kassenbon der Stadt-Apotheke über Ibuprofen und Pflaster, zusammen 9,44 Euro.",
        text=_list(_PHARMACY),
        language="de",
    ),
    Sample(
        make=lambda: _draw_paper(_SHOPPING, size=(640, 640), color=(255, 236, 140)),
        description="A yellow note with a shopping list: eggs, lemons, batteries and a card for Grace.",
        text=_list(_SHOPPING),
        language="en",
    ),
    Sample(
        make=lambda: _draw_landscape((120, 170, 220), (28, 92, 130), waves=9, height=14),
        description="Photo of the sea with long waves under a pale sun.",
    ),
    Sample(
        make=lambda: _draw_landscape((236, 160, 110), (72, 84, 60), waves=4, height=90),
        description="Photo of green hills at sunset, one behind the other.",
    ),
    Sample(
        make=lambda: _draw_landscape((150, 190, 235), (214, 170, 96), waves=3, height=60),
        description="Photo of sand dunes under a blue sky.",
    ),
    Sample(
        file_name="Lease.pdf",
        claimed="application/pdf",
        make=lambda: _write_pdf(_LEASE),
        description="Lease of a flat at 12 Green Street: 940 a month, due on the 3rd, three months' notice.",
        language="en",
    ),
    Sample(
        file_name="packing.txt",
        claimed="text/plain",
        make=_PACKING.encode,
        description="",  # a short text says it all itself (media/describing.py)
    ),
    Sample(
        claimed="audio/ogg",
        make=lambda: _write_voice_note(1),
        description="A voice note about a plumber who looked at the boiler.",
        text=_SPOKEN_EN,
        language="en",
        is_heard=True,
    ),
    Sample(
        claimed="audio/ogg",
        make=lambda: _write_voice_note(2),
        description="Nota de voz sobre una copia de la llave.",
        text=_SPOKEN_ES,
        language="es",
        is_heard=True,
    ),
)
