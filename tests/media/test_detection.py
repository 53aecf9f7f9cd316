"""What a file is, by its content."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from media.detected import KINDS, Detected
from media.detection import detect_type
from media.models import MediaFile
from tests.media import files
from whatsbot.exceptions import MediaRefused

OPEN_XML = "application/vnd.openxmlformats-officedocument"
OPEN_DOCUMENT = "application/vnd.oasis.opendocument"
HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"
ZIP = files.zipped({"evil.txt": "hidden"})
PROGRAM = b"MZ" + bytes(62) + b"PE\0\0" + bytes(200)


@pytest.fixture
def detect(tmp_path: Path) -> Callable[..., Detected]:
    """Detect bytes, as a file without a name that tells anything."""

    def call(data: bytes, *, claimed: str = "") -> Detected:
        path = tmp_path / "incoming"
        path.write_bytes(data)
        return detect_type(path, claimed=claimed)

    return call


def refusal(detect: Callable[..., Detected], data: bytes, **arguments: str) -> str:
    with pytest.raises(MediaRefused) as refused:
        detect(data, **arguments)
    return refused.value.reason


def test_the_kinds_are_those_of_the_model() -> None:
    assert set(KINDS) == set(MediaFile.Kind.values)


KNOWN: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "jpeg": (files.picture, "image/jpeg", "picture"),
    "png": (lambda: files.picture("PNG"), "image/png", "picture"),
    "webp": (lambda: files.picture("WEBP"), "image/webp", "picture"),
    "webp without loss": (lambda: files.picture("WEBP", lossless=True), "image/webp", "picture"),
    "sticker": (lambda: files.picture("WEBP", size=(512, 512)), "image/webp", "sticker"),
    "sticker without loss": (
        lambda: files.picture("WEBP", size=(512, 512), lossless=True),
        "image/webp",
        "sticker",
    ),
    "sticker one sees through": (
        lambda: files.picture("WEBP", size=(512, 512), mode="RGBA", exif=files.exif()),
        "image/webp",
        "sticker",
    ),
    "gif": (lambda: files.picture("GIF"), "image/gif", "picture"),
    "heic": (lambda: files.picture("HEIF"), "image/heic", "picture"),
    "bmp": (lambda: files.picture("BMP"), "image/bmp", "picture"),
    "tiff": (lambda: files.picture("TIFF"), "image/tiff", "picture"),
    "voice note": (files.voice_note, "audio/ogg", "voice note"),
    "vorbis": (files.vorbis, "audio/ogg", "audio"),
    "theora": (files.theora, "video/ogg", "video"),
    "theora after its sound": (lambda: files.theora(after_sound=True), "video/ogg", "video"),
    "amr": (files.amr, "audio/amr", "voice note"),
    "aac": (files.aac, "audio/aac", "audio"),
    "mp3": (files.mp3, "audio/mpeg", "audio"),
    "mp3 with a tag": (lambda: files.mp3(tagged=True), "audio/mpeg", "audio"),
    "wav": (files.wav, "audio/wav", "audio"),
    "flac": (files.flac, "audio/flac", "audio"),
    "mp4": (files.mp4, "video/mp4", "video"),
    "mp4 of sound": (lambda: files.mp4(tracks=[b"soun"]), "audio/mp4", "audio"),
    "m4a": (lambda: files.mp4(brand=b"M4A ", tracks=[b"soun"]), "audio/mp4", "audio"),
    "m4a with a cover": (lambda: files.mp4(brand=b"M4A ", tracks=[b"soun", b"vide"]), "audio/mp4", "audio"),
    "mov": (lambda: files.mp4(brand=b"qt  "), "video/quicktime", "video"),
    "3gp": (lambda: files.mp4(brand=b"3gp5"), "video/3gpp", "video"),
    "3gp of sound": (lambda: files.mp4(brand=b"3gp4", tracks=[b"soun"]), "audio/3gpp", "audio"),
    "webm": (lambda: files.webm(b"V_VP9", b"A_OPUS"), "video/webm", "video"),
    "webm of sound": (lambda: files.webm(b"A_OPUS"), "audio/webm", "audio"),
    "mpeg": (lambda: b"\0\0\1\xba" + bytes(100), "video/mpeg", "video"),
    "pdf": (lambda: files.pdf("Hello"), "application/pdf", "PDF"),
    "docx": (lambda: files.word("Hello"), f"{OPEN_XML}.wordprocessingml.document", "document"),
    "pptx": (lambda: files.slides("Hello"), f"{OPEN_XML}.presentationml.presentation", "document"),
    "xlsx": (lambda: files.sheet([[1]]), f"{OPEN_XML}.spreadsheetml.sheet", "document"),
    "odt": (files.open_document, f"{OPEN_DOCUMENT}.text", "document"),
    "ods": (lambda: files.open_document("spreadsheet"), f"{OPEN_DOCUMENT}.spreadsheet", "document"),
    "odp": (lambda: files.open_document("presentation"), f"{OPEN_DOCUMENT}.presentation", "document"),
    "doc": (lambda: files.ole("WordDocument", "1Table"), "application/msword", "document"),
    "xls": (lambda: files.ole("Workbook"), "application/vnd.ms-excel", "document"),
    "ppt": (lambda: files.ole("PowerPoint Document"), "application/vnd.ms-powerpoint", "document"),
    "rtf": (lambda: b"{\\rtf1\\ansi Hello}", "application/rtf", "document"),
    "card": (lambda: files.CARD.encode(), "text/vcard", "contact card"),
    "card in an old encoding": (
        lambda: files.CARD.replace("Ada", "Zoë").encode("latin-1"),
        "text/vcard",
        "contact card",
    ),
    "text": (lambda: "Grüße aus Köln 🙂\n".encode(), "text/plain", "text file"),
    "text in UTF-16": (lambda: "Grüße aus Köln".encode("utf-16"), "text/plain", "text file"),
    "text with a mark": (lambda: b"\xef\xbb\xbfhello", "text/plain", "text file"),
    "text that begins like a bitmap": (
        lambda: b"BMW is a maker of cars and motorcycles.",
        "text/plain",
        "text file",
    ),
    "csv": (lambda: b"name;amount\r\nrent;950\r\n", "text/plain", "text file"),
    "json": (lambda: b'{"a": [1, 2]}', "text/plain", "text file"),
    "markdown": (lambda: b"# Title\n\n<b>bold</b>\n", "text/plain", "text file"),
    "prose about markup": (lambda: b"Use the <script> tag, or %PDF- if you must.", "text/plain", "text file"),
    "html": (lambda: HTML, "text/html", "text file"),
    "html after a comment": (lambda: b"\n<!-- hi -->\n<HTML><p>x</p></HTML>", "text/html", "text file"),
    "svg": (
        lambda: b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        "image/svg+xml",
        "text file",
    ),
    "svg with a doctype": (lambda: b"<!DOCTYPE svg PUBLIC '-//W3C'>\n<svg/>", "image/svg+xml", "text file"),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("claimed", ["", "application/x-msdownload", "audio/ogg; codecs=opus"])
def test_a_file_is_what_it_contains_whatever_is_claimed(
    detect: Callable[..., Detected], name: str, claimed: str
) -> None:
    make, content_type, kind = KNOWN[name]
    assert detect(make(), claimed=claimed) == Detected(content_type, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [lambda: files.mp4(tracks=[]), lambda: files.mp4()[:150], files.webm])
def test_a_claim_decides_between_sound_and_video_where_the_container_does_not(
    detect: Callable[..., Detected], make: Callable[[], bytes]
) -> None:
    assert detect(make(), claimed="audio/mp4; codecs=x").kind == "audio"
    assert detect(make(), claimed="video/mp4").kind == "video"
    assert detect(make()).kind == "video"


def test_an_empty_file_is_refused(detect: Callable[..., Detected]) -> None:
    assert refusal(detect, b"", claimed="image/jpeg") == "empty"


@pytest.mark.parametrize(
    "data",
    [
        ZIP,
        PROGRAM,
        b"\x7fELF\x02\x01\x01" + bytes(100),
        files.zipped({"AndroidManifest.xml": b"\3\0", "classes.dex": b"dex\n035\0"}),
        files.zipped({"mimetype": "application/epub+zip"}),
        b"PK\x03\x04 and no more",
        bytes(1000),
        bytes(range(256)) * 10,
        b"hello\x00world",
        b"hello " * 300 + b"\x00",
        "Grüße".encode("latin-1"),
        "a\x00b".encode("utf-16"),
        b"\xff\xfb only once",
        b"OggS" + bytes(100),
        b"RIFF\x10\0\0\0AVI LIST",
        b"\x1aE\xdf\xa3\x8b\x42\x82\x88matroska",
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
        b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1",
        b"Rar!\x1a\x07\x00" + bytes(50),
        b"junk before %PDF-1.4\x00",
        files.ole("__properties_version1.0"),
        files.ole("WordDocument", "_VBA_PROJECT"),
    ],
)
def test_what_we_do_not_keep_is_refused(detect: Callable[..., Detected], data: bytes) -> None:
    assert refusal(detect, data, claimed="image/jpeg") == "type"


def test_office_files_with_macros_are_refused(detect: Callable[..., Detected]) -> None:
    listed = f"<Types><Override ContentType='{OPEN_XML}.spreadsheetml.sheet.main+xml'/></Types>"
    macro = "application/vnd.ms-excel.sheet.macroEnabled.main+xml"
    assert detect(files.zipped({"[Content_Types].xml": listed})).kind == "document"
    assert (
        refusal(detect, files.zipped({"[Content_Types].xml": listed.replace("<Types>", f"<Types>{macro}")}))
        == "type"
    )
    assert refusal(detect, files.changed_zip(files.word(), {"word/vbaProject.bin": b"x"})) == "type"
    assert refusal(detect, files.changed_zip(files.open_document(), {"Basic/Standard/m.xml": b"x"})) == "type"


def gif_script(start: bytes) -> bytes:
    data = files.picture("GIF")
    return data[:6] + start + data[6 + len(start) :] + b"*/=1;alert(1)"


@pytest.mark.parametrize(
    "data",
    [
        *(
            make() + ZIP
            for make in (
                *(
                    files.picture,
                    lambda: files.picture("PNG"),
                    lambda: files.picture("GIF"),
                    files.voice_note,
                ),
                *(files.mp4, lambda: files.pdf("x"), lambda: b"some text\n", lambda: files.CARD.encode()),
                *(files.mp3, lambda: b"{\\rtf1 x}", lambda: files.ole("Workbook")),
            )
        ),
        files.picture() + files.word("hidden"),
        files.picture() + ZIP + b"bytes behind it",
        files.picture(comment=b"%PDF-1.4 hidden"),
        files.picture(comment=HTML),
        files.picture("PNG")[:33]
        + files.chunk(b"tEXt", b"x\0<ScRiPt>alert(1)</script>")
        + files.picture("PNG")[33:],
        files.picture("GIF")[:-1] + b"\x21\xfe\x05<svg>\x00;",
        files.mp4(brand=b"isom", media=b"%PDF-1.7" + bytes(50)),
        files.mp3(tagged=True)[:20] + b"%PDF-1.4" + files.mp3(tagged=True)[28:],
        gif_script(b"/*"),
        gif_script(b"=1//"),
        b"\xff\xd8\xff\xe0/*" + bytes(12070) + files.picture()[20:],
        files.picture() + HTML,
        files.picture() + bytes(100) + files.pdf("hidden"),
        files.picture() + PROGRAM,
        files.picture() + b"\x7fELF\x02" + bytes(50),
        files.picture() + b"Rar!\x1a\x07\x00" + bytes(50),
        files.pdf("x", head=b"<script>alert(1)</script>\n"),
        files.pdf("x") + files.sheet([[1]]),
        b"a letter\n" + files.pdf("hidden"),
        files.changed_zip(files.word(), {"META-INF/MANIFEST.MF": b"Main-Class: Evil"}),
        files.zipped(
            {"a.txt": files.pdf("x"), "mimetype": f"{OPEN_DOCUMENT}.text", "content.xml": "<a/>"},
            compression=0,
        ),
    ],
)
def test_a_file_that_is_two_things_is_refused(detect: Callable[..., Detected], data: bytes) -> None:
    assert refusal(detect, data) == "mixed"


@pytest.mark.parametrize(
    "behind",
    [
        bytes(4096),
        files.mp4(),
        files.picture(),
        b"\0\0\1\x30\x0aMotionPhoto_Data" + files.mp4() + b"SEFHg\0\0\0SEFT",
        b"\r\n",
    ],
    ids=["zeros", "motion photo", "second picture", "another maker's motion photo", "end of line"],
)
def test_what_phones_put_behind_a_picture_is_no_second_type(
    detect: Callable[..., Detected], behind: bytes
) -> None:
    assert detect(files.picture() + behind).content_type == "image/jpeg"


def test_the_thumbnail_in_a_picture_does_not_end_it(detect: Callable[..., Detected]) -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    small = out.getvalue() + HTML  # looks like a trailer, but stands within the metadata
    segment = b"\xff\xe2" + (len(small) + 5002).to_bytes(2) + bytes(5000) + small
    data = files.picture()
    assert detect(data[:2] + segment + data[2:]).content_type == "image/jpeg"


def test_a_zip_with_a_directory_of_millions_is_refused_without_reading_it(
    detect: Callable[..., Detected],
) -> None:
    record = b"PK\x01\x02" + bytes(42)
    directory = record * 60_000
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff" + len(directory).to_bytes(4, "little") + bytes(6)
    assert refusal(detect, b"PK\x03\x04" + bytes(26) + directory + end) == "bomb"


@pytest.mark.parametrize("name", KNOWN)
def test_a_cut_file_is_detected_or_refused_but_never_an_error(
    detect: Callable[..., Detected], name: str
) -> None:
    data = KNOWN[name][0]()
    for cut in {1, 2, 3, 4, 5, 8, 9, 12, 16, 20, 27, 30, len(data) // 2, len(data) - 1}:
        if cut < len(data):
            with contextlib.suppress(MediaRefused):
                assert detect(data[:cut]).kind in KINDS
