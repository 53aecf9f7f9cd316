"""What files say of themselves and in words, read in the sandbox."""

import contextlib
import io
import random
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pypdf
import pytest
from PIL import Image

from media import reading, reading_inside
from media.detected import Detected
from media.detection import detect_type
from media.reading import Reading, read_file
from tests.media import files
from whatsbot.exceptions import MediaRefused

Read = Callable[..., Reading]
SVG_OF_LAUGHS = f'<?xml version="1.0"?>{files.ENTITIES}<svg><text>before &j; after</text></svg>'.encode()


@pytest.fixture
def thumbnail(tmp_path: Path) -> Path:
    return tmp_path / "small.jpg"


@pytest.fixture
def read(tmp_path: Path, thumbnail: Path) -> Read:
    """Detect and read bytes, as a file whose name tells nothing."""

    def call(data: bytes | str, *, detected: Detected | None = None, **options: Any) -> Reading:
        path = tmp_path / "incoming"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return read_file(path, detected=detected or detect_type(path), thumbnail=thumbnail, **options)

    return call


def refusal(read: Read, data: bytes, **options: Any) -> str:
    """Why the file is refused; and that it cost this process nothing."""
    before = psutil.Process().memory_info().rss
    with pytest.raises(MediaRefused) as refused:
        read(data, **options)
    assert psutil.Process().memory_info().rss - before < 32 * 1024 * 1024
    return refused.value.reason


# Pictures


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "HEIF", "BMP", "TIFF"])
def test_a_picture_has_a_size_and_a_small_jpeg(read: Read, thumbnail: Path, form: str) -> None:
    assert read(files.picture(form, size=(1200, 900))) == Reading(
        facts={"width": 1200, "height": 900}, text=""
    )
    with Image.open(thumbnail) as small:
        assert (small.format, small.size, small.mode) == ("JPEG", (512, 384), "RGB")
        red, green, _ = small.getpixel((100, 200))
        assert red > 150 > green


def test_a_sticker_stands_on_white(read: Read, thumbnail: Path) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (512, 512), (0, 0, 0, 0)).save(out, "WEBP")
    assert read(out.getvalue()).facts == {"width": 512, "height": 512}
    with Image.open(thumbnail) as small:
        assert small.getpixel((256, 256)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_pictures_of_every_depth_become_small_ones(read: Read, thumbnail: Path, mode: str) -> None:
    canvas = Image.linear_gradient("L").convert(mode if mode != "P" else "L")
    if mode == "P":
        canvas = canvas.quantize(16)
    if mode == "I;16":
        canvas = Image.linear_gradient("L").convert("I").point(lambda value: value * 257 + 0).convert("I;16")
    out = io.BytesIO()
    canvas.save(out, "PNG")
    assert read(out.getvalue()).facts == {"width": 256, "height": 256}
    with Image.open(thumbnail) as small:
        top, bottom = (
            small.convert("L").crop(area).resize((1, 1)).getpixel((0, 0))
            for area in ((0, 5, 256, 25), (0, 200, 256, 220))
        )
        assert bottom - top > 100


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG", "TIFF"])
def test_a_picture_is_shown_upright_and_without_its_metadata(read: Read, thumbnail: Path, form: str) -> None:
    exif = files.exif(orientation=6, taken="2026:05:03 12:30:00", offset="+02:00", latitude=52.5)
    reading = read(files.picture(form, size=(400, 200), exif=exif))
    taken = (
        {} if form == "TIFF" else {"taken_at": "2026-05-03T12:30:00+02:00"}
    )  # Pillow does not write it there
    assert reading.facts == {"width": 200, "height": 400} | taken
    with Image.open(thumbnail) as small:
        assert small.size == (200, 400)
        assert not small.getexif()
        assert small.getpixel((100, 100))[0] > 150  # the left half came to the top
    assert b"Phone" not in thumbnail.read_bytes()


@pytest.mark.parametrize(
    ("taken", "offset", "expected"),
    [
        ("2026:05:03 12:30:00", "", "2026-05-03T12:30:00"),
        ("2026:05:03 12:30:00", "nonsense", "2026-05-03T12:30:00"),
        ("0000:00:00 00:00:00", "", None),
        ("yesterday", "+01:00", None),
    ],
)
def test_the_time_of_a_picture_has_a_zone_only_if_the_camera_says_so(
    read: Read, taken: str, offset: str, expected: str | None
) -> None:
    facts = read(files.picture(exif=files.exif(taken=taken, offset=offset))).facts
    assert facts.get("taken_at") == expected


def test_moving_pictures_count_their_frames(read: Read) -> None:
    assert read(files.animation(frames=7)).facts["frames"] == 7
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "green")]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    assert read(out.getvalue()).facts["frames"] == 3


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "HEIF", "BMP", "TIFF"])
def test_a_cut_picture_is_refused(read: Read, thumbnail: Path, form: str) -> None:
    data = files.picture(form, size=(300, 300))
    assert refusal(read, data[: len(data) * 2 // 3]) == "broken"
    assert not thumbnail.exists()


def test_pictures_that_do_not_decode_are_refused(read: Read) -> None:
    png = bytearray(files.picture("PNG", size=(300, 300)))
    png[len(png) // 2] ^= 0xFF
    assert refusal(read, bytes(png)) == "broken"
    assert refusal(read, b"\xff\xd8\xff" + bytes(range(256))) == "broken"
    assert refusal(read, b"GIF89a") == "broken"


def test_a_picture_of_another_format_than_detected_is_refused(read: Read) -> None:
    png = files.picture("PNG")
    assert refusal(read, png, detected=Detected("image/jpeg", "picture")) == "broken"


@pytest.mark.parametrize(
    "make",
    [files.huge_png, lambda: files.animation(frames=10_000), lambda: files.huge_png(side=8_500)],
    ids=["400 million pixels", "10000 frames", "just too large"],
)
def test_bombs_among_pictures_are_refused(read: Read, make: Callable[[], bytes]) -> None:
    data = make()
    assert len(data) < 600_000
    assert refusal(read, data) == "bomb"


def test_a_picture_as_large_as_phones_take_them_is_read(read: Read) -> None:
    assert read(files.huge_png(side=7_900)).facts == {"width": 7900, "height": 7900}


# Sound and video


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (files.voice_note(seconds=4.5), {"duration_seconds": 4.5}),
        (files.vorbis(seconds=2), {"duration_seconds": 2.0}),
        (files.theora(seconds=3), {"duration_seconds": 3.0}),
        (files.amr(frames=100), {"duration_seconds": 2.0}),
        (files.aac(), {"duration_seconds": 0.46}),
        (files.mp3(frames=50), {"duration_seconds": 1.3}),
        (files.mp3(frames=50, tagged=True), {"duration_seconds": 1.3}),
        (files.wav(seconds=3), {"duration_seconds": 3.0}),
        (files.flac(seconds=2), {"duration_seconds": 2.0}),
        (files.mp4(tracks=[b"soun"], brand=b"M4A "), {"duration_seconds": 3.0}),
        (files.mp4(seconds=12.5), {"duration_seconds": 12.5, "width": 320, "height": 240}),
        (files.mp4(turned=True, brand=b"qt  "), {"duration_seconds": 3.0, "width": 240, "height": 320}),
        (files.webm(b"V_VP8"), {}),
        (files.mp4()[:150], {"unreadable": True}),
        (files.voice_note()[:60], {"unreadable": True}),
        (b"ID3\x04" + bytes(500), {"unreadable": True}),
    ],
)
def test_sound_and_video_tell_how_long_they_are(
    read: Read, thumbnail: Path, data: bytes, expected: dict[str, Any]
) -> None:
    facts = read(data).facts
    assert facts == {name: pytest.approx(value, abs=0.02) for name, value in expected.items()}
    assert not thumbnail.exists()


# PDF


def test_a_pdf_tells_its_pages_title_and_text(read: Read) -> None:
    result = read(files.pdf("The rent is 950 euros", "Signed in May", title="Lease"))
    assert result.facts == {
        "pages": 2,
        "title": "Lease",
        "author": "Ada",
        "created_at": "2026-05-03T12:00:00+02:00",
    }
    assert result.text == "The rent is 950 euros\n\nSigned in May"


def encrypted(password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(files.pdf("secret text")))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_an_encrypted_pdf_is_kept_and_opened_only_without_a_password(read: Read) -> None:
    assert read(encrypted("s3cret")) == Reading(facts={"encrypted": True}, text="")
    assert read(encrypted("")).text == "secret text"


def test_a_cut_pdf_is_kept_and_read_as_far_as_it_goes(read: Read) -> None:
    data = files.pdf(*(f"page {number}" for number in range(20)))
    for cut in (20, len(data) // 2, len(data) - 30):
        result = read(data[:cut])
        assert result.facts.get("unreadable") or "page 1" in result.text or result.facts["pages"] == 0


def test_a_bomb_in_a_pdf_is_refused(read: Read) -> None:
    data = files.pdf_bomb()
    assert len(data) < 400_000
    assert refusal(read, data) == "bomb"


# Office documents


def test_a_text_document_is_read_with_its_tables(read: Read) -> None:
    result = read(files.word("Dear landlord,", "the heating is broken."))
    assert result.text == "Dear landlord,\nthe heating is broken.\nRent\t950 euros"
    assert result.facts | {"pages": 1} == {
        "title": "Lease",
        "author": "Ada",
        "created_at": "2026-05-03T12:00:00+00:00",
        "pages": 1,
    }


def test_slides_are_read_with_their_notes(read: Read) -> None:
    result = read(files.slides("Plans", "Costs"))
    assert result.facts["slides"] == 2
    assert result.text.split("\n") == ["Plans", "Say more about Plans", "", "Costs", "Say more about Costs"]


def test_a_sheet_is_read_by_its_values(read: Read) -> None:
    result = read(files.sheet([["item", "euros"], ["rent", 950], [None, None], ["tea", 4.5]]))
    assert result.facts["sheets"] == ["Budget"]
    assert result.text == "Budget\nitem\teuros\nrent\t950\ntea\t4.5"


def test_a_sheet_that_claims_a_million_empty_rows_is_read(read: Read) -> None:
    data = files.sheet([["only", "row"]])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        xml = archive.read("xl/worksheets/sheet1.xml").decode()
    claimed = re.sub(r'<dimension ref="[^"]*"', '<dimension ref="A1:XFD1048576"', xml)
    assert claimed != xml
    assert read(files.changed_zip(data, {"xl/worksheets/sheet1.xml": claimed})).text == "Budget\nonly\trow"


def test_open_documents_are_read(read: Read) -> None:
    assert read(files.open_document()) == Reading(
        facts={"title": "Plan", "pages": 3}, text="Hello from a free office"
    )
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    row = f"<table:table-row>{cell.format('rent')}{cell.format('950')}</table:table-row>"
    sheet = read(
        files.open_document("spreadsheet", body=f'<table:table table:name="May">{row}</table:table>')
    )
    assert (sheet.facts["sheets"], sheet.text) == (["May"], "rent\t950")
    slides = read(files.open_document("presentation", body="<draw:page><text:p>One</text:p></draw:page>"))
    assert (slides.facts["slides"], slides.text) == (1, "One")


@pytest.mark.parametrize(
    "data",
    [
        files.ole("WordDocument"),
        files.ole("Workbook"),
        b"{\\rtf1 text}",
        files.changed_zip(files.word(), {"word/document.xml": "<w:document"}),
        files.changed_zip(files.sheet([[1]]), {"xl/workbook.xml": b"\0\0"}),
        files.changed_zip(files.slides("x"), {}, without=["ppt/presentation.xml"]),
        files.open_document(body="<text:p>never ended"),
    ],
)
def test_a_document_its_library_cannot_read_is_kept(read: Read, data: bytes) -> None:
    assert read(data) == Reading(facts={"unreadable": True}, text="")


@pytest.mark.parametrize(
    "make",
    [
        lambda: files.changed_zip(files.word(), {"word/document.xml": b"<a>" + bytes(250_000_000)}),
        lambda: files.changed_zip(files.sheet([[1]]), {"xl/sharedStrings.xml": b" " * 30_000_000}),
        lambda: files.changed_zip(
            files.word(),
            {"word/document.xml": f"<?xml version='1.0'?>{files.ENTITIES}<w:document>&j;</w:document>"},
        ),
        lambda: files.changed_zip(
            files.open_document(), {"content.xml": f"<?xml version='1.0'?>{files.ENTITIES}<a>&j;</a>"}
        ),
    ],
    ids=["250 MB", "1000 to 1", "laughs in a text document", "laughs in an open document"],
)
def test_bombs_in_documents_are_refused(read: Read, make: Callable[[], bytes]) -> None:
    data = make()
    assert len(data) < 400_000
    assert refusal(read, data) == "bomb"


def test_nothing_outside_the_document_is_read(read: Read, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the secret")
    outside = f'<!DOCTYPE a SYSTEM "{tmp_path}/secret.dtd" [<!ENTITY % x SYSTEM "{tmp_path}/secret">]>'
    for entity in (f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>', outside):
        # Behind a comment so long that the search for entities does not reach it: the parser itself must not.
        content = f"<?xml version='1.0'?><!--{' ' * 5000}-->{entity}<a><text:p>&x;</text:p></a>"
        data = files.changed_zip(files.open_document(), {"content.xml": content})
        with contextlib.suppress(MediaRefused):
            assert "the secret" not in str(read(data))


# Texts


def test_texts_are_read_in_their_encoding(read: Read) -> None:
    assert read("Grüße aus Köln 🙂") == Reading(facts={}, text="Grüße aus Köln 🙂")
    assert read("Grüße aus Köln 🙂".encode("utf-16")).text == "Grüße aus Köln 🙂"
    assert read(b"\xef\xbb\xbfhello").text == "hello"


def test_of_markup_only_the_words_are_kept(read: Read) -> None:
    page = "<!doctype html><html><head><style>b{}</style></head><body><p>Rent &amp; heating<br>950 €</p>"
    assert read(page + "<script>x</script>").text == "Rent & heating\n950 €"
    assert read("<svg><text>Label</text><script>x()</script></svg>").text == "Label"


def test_entities_of_a_drawing_are_not_expanded(read: Read) -> None:
    text = read(SVG_OF_LAUGHS).text
    assert "before" in text
    assert "after" in text
    assert "lol" * 10 not in text


@pytest.mark.parametrize("character", ["x", "ß", "🙂"])
def test_a_long_text_is_cut_between_characters(read: Read, character: str) -> None:
    assert read(character * 150_000).text == character * reading.TEXT_CHARACTERS
    assert len(read(files.word(character * 150_000)).text) == reading.TEXT_CHARACTERS


def test_what_comes_back_fits_a_database() -> None:
    assert reading_inside.clean("a\0b\ud83dc") == "abc"
    assert reading_inside.bound_fact({"title": "x" * 5000, "author": "", "n": None, "l": ["\0"] * 900}) == {
        "title": "x" * 1000,
        "l": [""] * 500,
    }


def test_a_text_that_takes_too_long_ends_early() -> None:
    def endless() -> Any:
        while True:
            yield ""

    assert set(reading_inside.gather(endless(), characters=10, until=0)) <= {""}


# Contact cards


def test_a_card_becomes_a_contact(read: Read) -> None:
    result = read(files.CARD)
    assert result.facts["contacts"] == [
        {
            "name": "Ada Lovelace",
            "phones": ["+1 202 555 0123"],
            "emails": ["ada@example.com"],
            "organization": "Analytical, Engines",
            "birthday": "1815-12-10",
            "note": "Likes numbers, tea",
        }
    ]
    assert result.text.startswith("Ada Lovelace\nphones: +1 202 555 0123\nemails: ada@example.com\n")


def test_several_cards_are_several_contacts_whatever_is_wrong_with_one(read: Read) -> None:
    broken = "BEGIN:VCARD\r\nVERSION:3.0\r\nno colon here\r\nFN:Grace\r\n;;;:\r\nTEL:+1 202 555 0124\r\nEND:VCARD\r\n"
    contacts = read(files.CARD + broken + "BEGIN:VCARD\r\nFN:never ended\r\n").facts["contacts"]
    assert [contact["name"] for contact in contacts] == ["Ada Lovelace", "Grace"]
    assert contacts[1]["phones"] == ["+1 202 555 0124"]


def test_old_cards_are_decoded(read: Read) -> None:
    card = (
        "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=BCrgen;;;\r\n"
        "TEL;CELL;PREF:+1 202 555 0125\r\nADR;HOME;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:"
        ";;Hauptstra=\r\n=C3=9Fe 1;K=C3=B6ln;;50667;\r\n"
        "PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgG\r\n CQgKDBQNDAsLDBkSEw8UHRofHh0aHBwg\r\n\r\n"
        "URL:https://example.com\r\nEND:VCARD\r\n"
    )
    assert read(card).facts["contacts"] == [
        {
            "name": "Jürgen Müller",
            "phones": ["+1 202 555 0125"],
            "address": "Hauptstraße 1, Köln, 50667",
            "url": "https://example.com",
        }
    ]


def test_the_picture_in_a_card_is_dropped(read: Read) -> None:
    photo = "PHOTO;ENCODING=b;TYPE=JPEG:" + "\r\n ".join(["QUJD" * 18] * 2000)
    result = read(files.CARD.replace("END:", f"{photo}\r\nTITLE:Countess\r\nEND:"))
    assert result.facts["contacts"][0]["title"] == "Countess"
    assert "QUJD" not in str(result)


def test_what_only_begins_like_a_card_is_kept_as_it_is(read: Read) -> None:
    assert read("BEGIN:VCARD\r\nFN:cut").facts == {"unreadable": True}


# Hostile in general


def test_damaged_files_are_read_or_refused_but_never_an_error(read: Read) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    makers: list[Callable[[], bytes]] = [
        *(lambda: files.picture("WEBP"), lambda: files.picture("HEIF"), lambda: files.picture("TIFF")),
        *(lambda: files.pdf("one", "two"), files.open_document, lambda: files.CARD.encode()),
        *(files.mp4, files.voice_note, files.flac, files.picture),
    ]
    for make in makers:
        data = bytearray(make())
        for _ in range(5):
            for _ in range(8):
                data[chance.randrange(16, len(data))] = chance.randrange(256)
            with contextlib.suppress(MediaRefused):
                assert isinstance(read(bytes(data)), Reading)


def test_a_file_that_takes_too_long_is_a_bomb(read: Read) -> None:
    with pytest.raises(MediaRefused) as refused:
        read(files.huge_png(side=7_900), seconds=0.02)
    assert refused.value.reason == "bomb"


def test_a_reader_that_dies_is_no_error_of_ours(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    run = reading.sandbox.run
    monkeypatch.setattr(
        reading.sandbox, "run", lambda *_, **__: run("tests.media.sandboxed:crash", arguments={}, seconds=5)
    )
    assert refusal(read, b"hello") == "broken"


def test_a_size_no_picture_has_is_refused_before_memory_is_taken(read: Read) -> None:
    lossless = bytearray(files.picture("WEBP", lossless=True))
    struct.pack_into("<I", lossless, 21, 0x3FFF | 0x3FFF << 14)  # 16384 × 16384
    assert refusal(read, bytes(lossless)) in ("bomb", "broken")
