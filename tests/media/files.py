"""Makers of small files, honest and hostile. Each returns the bytes; nothing is downloaded or kept."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import docx
import openpyxl
import pillow_heif
import pptx
from PIL import Image, ImageDraw

pillow_heif.register_heif_opener()


def picture(
    form: str = "JPEG",
    *,
    size: tuple[int, int] = (64, 48),
    mode: str = "RGB",
    exif: Any = None,
    **options: Any,
) -> bytes:
    """A picture with a gradient, a red left half and a dot."""
    canvas = Image.linear_gradient("L").resize(size).convert("RGB")
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, size[0] // 2, size[1]), fill=(200, 30, 30))
    canvas = canvas.convert(mode)
    if exif is not None:
        options["exif"] = exif
    out = io.BytesIO()
    canvas.save(out, form, **options)
    return out.getvalue()


def exif(
    *, orientation: int = 1, taken: str = "", offset: str = "", latitude: float | None = None
) -> Image.Exif:
    """What a phone writes into its pictures."""
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x0110] = "Phone 12"
    details = data.get_ifd(0x8769)
    if taken:
        details[0x9003] = taken
    if offset:
        details[0x9011] = offset
    if latitude is not None:
        data.get_ifd(0x8825)[2] = (latitude, 0.0, 0.0)
    return data


def animation(*, frames: int, size: tuple[int, int] = (16, 16)) -> bytes:
    """A GIF of so many frames, each a picture of one colour."""
    colours = [Image.new("P", size, number % 250) for number in range(2)]
    out = io.BytesIO()
    colours[0].save(out, "GIF", save_all=True, append_images=[colours[1]], duration=40, loop=0)
    data = out.getvalue()
    frame = data[data.rindex(b"\x21\xf9\x04") : -1]
    return data[:-1] + frame * (frames - data.count(b"\x21\xf9\x04")) + b";"


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def huge_png(*, side: int = 20_000) -> bytes:
    """A whole PNG of side × side pixels, all of one colour: 400 million of them in 50 kB."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def ogg_page(body: bytes, *, flags: int = 2, granule: int = 0, serial: int = 1, number: int = 0) -> bytes:
    """A page of Ogg with one packet shorter than 255 bytes."""
    page = (
        struct.pack("<4sBBQIII", b"OggS", 0, flags, granule, serial, number, 0) + bytes([1, len(body)]) + body
    )
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
    return page[:22] + struct.pack("<I", checksum) + page[26:]


def voice_note(*, seconds: float = 2.0) -> bytes:
    """Opus in Ogg, as WhatsApp records it: the headers and one page of silence that ends at the given time."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 16000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)
    return (
        ogg_page(head)
        + ogg_page(tags, flags=0, number=1)
        + ogg_page(b"\xf8\xff\xfe", flags=4, granule=int(seconds * 48000), number=2)
    )


def vorbis(*, seconds: float = 1.0) -> bytes:
    """The headers of Vorbis, and a last page that ends at the given time."""
    head = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 1, 44100, 0, 64000, 0, 0xB8, 1)
    tags = b"\x03vorbis" + struct.pack("<I", 4) + b"test" + struct.pack("<IB", 0, 1)
    last = ogg_page(bytes(8), flags=4, granule=int(seconds * 44100), number=2)
    return ogg_page(head) + ogg_page(tags, flags=0, number=1) + last


def theora(*, seconds: float = 1.0, after_sound: bool = False) -> bytes:
    """A video in Ogg at 25 frames a second: its first page and its last."""
    head = b"\x80theora\x03\x02\x01" + bytes(12) + struct.pack(">II", 25, 1) + bytes(10) + b"\0\xc0"
    tags = b"\x81theora" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)
    last = ogg_page(bytes(8), flags=4, granule=int(seconds * 25) << 6, serial=2, number=2)
    video = ogg_page(head, serial=2) + ogg_page(tags, flags=0, serial=2, number=1) + last
    return ogg_page(b"\x01vorbis" + bytes(23)) + video if after_sound else video


def box(name: bytes, *parts: bytes) -> bytes:
    """A box of MP4."""
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def mp4(
    *,
    brand: bytes = b"isom",
    tracks: Iterable[bytes] = (b"vide", b"soun"),
    seconds: float = 3.0,
    size: tuple[int, int] = (320, 240),
    turned: bool = False,
    media: bytes = bytes(64),
) -> bytes:
    """An MP4 with the boxes readers look at, `moov` at the end as phones write it, and no real frames."""
    duration = int(seconds * 1000)
    header = box(b"mvhd", bytes(12), struct.pack(">II", 1000, duration), bytes(80))
    boxes = []
    for track in tracks:
        upright = struct.pack(
            ">9i", *((0, 65536, 0, -65536, 0, 0) if turned else (65536, 0, 0, 0, 65536, 0)), 0, 0, 1
        )
        width, height = size if track == b"vide" else (0, 0)
        tkhd = box(b"tkhd", bytes(40), upright, struct.pack(">HHHH", width, 0, height, 0))
        mdhd = box(b"mdhd", bytes(12), struct.pack(">II", 1000, duration), bytes(4))
        hdlr = box(b"hdlr", bytes(8), track, bytes(13))
        boxes.append(box(b"trak", tkhd, box(b"mdia", mdhd, hdlr)))
    return box(b"ftyp", brand, bytes(4), brand) + box(b"mdat", media) + box(b"moov", header, *boxes)


def webm(*codecs: bytes) -> bytes:
    """The head of a WebM as browsers record it."""
    head = b"\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm\x42\x87\x81\x04"
    tracks = b"".join(b"\x86" + bytes([0x80 | len(codec)]) + codec for codec in codecs)
    return (
        b"\x1aE\xdf\xa3"
        + bytes([0x80 | len(head)])
        + head
        + b"\x18S\x80g\x01"
        + b"\xff" * 7
        + tracks
        + bytes(64)
    )


def mp3(*, frames: int = 20, tagged: bool = False) -> bytes:
    """MPEG 1 layer III, 128 kbit/s at 44.1 kHz: frames of 417 bytes and 26.1 ms."""
    sound = (b"\xff\xfb\x90\x00" + bytes(413)) * frames
    return b"ID3\x03\x00\x00" + b"\x00\x00\x00\x0a" + bytes(10) + sound if tagged else sound


def aac(*, frames: int = 20) -> bytes:
    """AAC in ADTS frames of 32 bytes."""
    frame = bytes([0xFF, 0xF1, 0x50, 0x80, 32 >> 3, (32 & 7) << 5 | 0x1F, 0xFC]) + bytes(25)
    return frame * frames


def amr(*, frames: int = 50) -> bytes:
    """A voice note of an old phone: frames of 20 ms in mode 7."""
    return b"#!AMR\n" + (b"\x3c" + bytes(31)) * frames


def wav(*, seconds: int = 1) -> bytes:
    """Silence at 8 kHz."""
    sound = bytes(8000 * seconds)
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    body = b"WAVE" + form + b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flac(*, seconds: int = 2) -> bytes:
    """The stream info of FLAC at 8 kHz."""
    packed = 8000 << 44 | 0 << 41 | 15 << 36 | 8000 * seconds
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8) + bytes(16)
    return b"fLaC" + b"\x80" + len(info).to_bytes(3) + info


def pdf(*pages: str, title: str = "", stream: bytes | None = None, head: bytes = b"") -> bytes:
    """A PDF, a line of text per page; ``stream`` replaces the content of each, packed already."""
    objects: list[bytes] = [b"<</Type/Catalog/Pages 2 0 R>>", b""]
    kids = []
    for text in pages:
        content = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode("latin-1")
        body = (
            b"<</Length %d>>stream\n%s\nendstream" % (len(content), content)
            if stream is None
            else b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(stream), stream)
        )
        font = b"<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
        kids.append(len(objects) + 2)
        objects += [
            body,
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents %d 0 R/Resources%s>>"
            % (len(objects) + 1, font),
        ]
    references = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<</Type/Pages/Kids[%s]/Count %d>>" % (references, len(kids))
    objects.append(b"<</Title(%s)/Author(Ada)/CreationDate(D:20260503120000+02'00')>>" % title.encode())
    out = bytearray(b"%PDF-1.4\n" + head)
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        len(objects),
        start,
    )
    return bytes(out)


def pdf_bomb() -> bytes:
    """A page whose content unpacks to 300 MB, packed twice over 1000 : 1."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1_000_000)) for _ in range(300)) + packer.flush()
    return pdf("", stream=packed)


def zipped(members: dict[str, bytes | str], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return out.getvalue()


def changed_zip(data: bytes, members: dict[str, bytes | str], *, without: Iterable[str] = ()) -> bytes:
    """The zip with members added or replaced."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name not in without}
    return zipped(kept | members)


def word(*lines: str, title: str = "Lease") -> bytes:
    """A text document of paragraphs and a table."""
    document = docx.Document()
    document.core_properties.title = title
    document.core_properties.author = "Ada"
    document.core_properties.created = datetime(2026, 5, 3, 12, tzinfo=UTC)
    for line in lines:
        document.add_paragraph(line)
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Rent", "950 euros"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def slides(*titles: str) -> bytes:
    """A presentation, a slide for each title, with notes."""
    presentation = pptx.Presentation()
    for title in titles:
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = title
        slide.notes_slide.notes_text_frame.text = f"Say more about {title}"
    out = io.BytesIO()
    presentation.save(out)
    return out.getvalue()


def sheet(rows: Iterable[Iterable[Any]], *, name: str = "Budget") -> bytes:
    """A workbook of one sheet."""
    book = openpyxl.Workbook()
    book.active.title = name
    for row in rows:
        book.active.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def open_document(kind: str = "text", *, body: str = "<text:p>Hello from a free office</text:p>") -> bytes:
    """An OpenDocument file."""
    names = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
        for short, long in (
            ("office", "office"),
            ("text", "text"),
            ("table", "table"),
            ("draw", "drawing"),
            ("meta", "meta"),
        )
    )
    content = (
        f'<?xml version="1.0"?><office:document-content {names}><office:body><office:{kind}>{body}'
        f"</office:{kind}></office:body></office:document-content>"
    )
    meta = (
        f'<?xml version="1.0"?><office:document-meta {names} xmlns:dc="http://purl.org/dc/elements/1.1/">'
        '<office:meta><dc:title>Plan</dc:title><meta:document-statistic meta:page-count="3"/></office:meta>'
        "</office:document-meta>"
    )
    return zipped(
        {"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content, "meta.xml": meta},
        compression=zipfile.ZIP_STORED,
    )


def ole(*streams: str) -> bytes:
    """The header and directory of the older office format."""
    entries = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<HB", 2 * len(name) + 2, kind) + bytes(61)
        for name, kind in (("Root Entry", 5), *((name, 2) for name in streams))
    )
    return (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512, b"\0") + entries).ljust(4096, b"\0")


CARD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Lovelace;Ada;;;\r\nFN:Ada Lovelace\r\nORG:Analytical;Engines\r\n"
    "TEL;type=CELL;waid=12025550123:+1 202 555 0123\r\nEMAIL:ada@example.com\r\nBDAY:1815-12-10\r\n"
    "NOTE:Likes numbers\\, tea\r\nEND:VCARD\r\n"
)
ENTITIES = (
    '<!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">'
        for before, name in zip("abcdefghi", "bcdefghij", strict=True)
    )
    + "]>"
)
