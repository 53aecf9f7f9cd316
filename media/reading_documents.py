"""PDF and office documents: what they are called, how long they are, their text."""

import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pypdf
from lxml import etree
from pypdf.errors import LimitReachedError

from whatsbot.exceptions import MediaRefused

Read = tuple[dict[str, Any], Iterable[str]]

PDF_PAGES = 5000
ZIP_BYTES = 200 * 1024 * 1024
ZIP_RATIO = 200
# A small file is no bomb however well it is packed.
ZIP_BYTES_OF_ANY_RATIO = 10 * 1024 * 1024
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"


def read_pdf(path: Path) -> Read:
    """Facts and the text of one page after the other. Raises what pypdf raises, `MediaRefused` for a bomb."""
    reader = pypdf.PdfReader(path, strict=False)
    if reader.is_encrypted and not _opens_without_password(reader):
        return {"encrypted": True}, ()
    facts: dict[str, Any] = {"pages": len(reader.pages)}
    with suppress(Exception):
        if metadata := reader.metadata:
            facts |= {"title": metadata.title, "author": metadata.author}
            facts |= {"created_at": _iso(metadata.creation_date)}
    return facts, _iterate_pages(reader)


def _opens_without_password(reader: pypdf.PdfReader) -> bool:
    with suppress(Exception):
        return bool(reader.decrypt(""))
    return False


def _iterate_pages(reader: pypdf.PdfReader) -> Iterator[str]:
    for number in range(min(len(reader.pages), PDF_PAGES)):
        try:
            text = reader.pages[number].extract_text()
        except (LimitReachedError, MemoryError):
            raise MediaRefused("bomb") from None
        except Exception:
            continue  # the other pages can be read
        yield text.strip() + "\n\n"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def read_document(path: Path, *, content_type: str) -> Read:
    """Facts and text of an office document. Raises `MediaRefused` for a bomb, ValueError without a reader."""
    if content_type in ("application/msword", "application/rtf") or "vnd.ms-" in content_type:
        raise ValueError("no reader for it")
    check_zip(path)
    if content_type.endswith("wordprocessingml.document"):
        return _read_docx(path)
    if content_type.endswith("presentationml.presentation"):
        return _read_pptx(path)
    if content_type.endswith("spreadsheetml.sheet"):
        return _read_xlsx(path)
    return _read_open_document(path)


def check_zip(path: Path) -> None:
    """Raise `MediaRefused` if the zip unpacks to too much, or defines entities, which no office program writes."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        ratio = size / max(1, path.stat().st_size)
        if size > ZIP_BYTES or (size > ZIP_BYTES_OF_ANY_RATIO and ratio > ZIP_RATIO):
            raise MediaRefused("bomb")
        for member in members:
            if member.filename.endswith((".xml", ".rels")):
                with archive.open(member) as file:
                    if b"<!ENTITY" in file.read(4096):
                        raise MediaRefused("bomb")


def _core_facts(properties: Any) -> dict[str, Any]:
    author = getattr(properties, "author", None) or getattr(properties, "creator", None)
    return {"title": properties.title, "author": author, "created_at": _iso(properties.created)}


def _read_docx(path: Path) -> Read:
    import docx  # the office libraries take longer to import than most files to read

    document = docx.Document(str(path))
    facts = _core_facts(document.core_properties)
    with suppress(Exception), zipfile.ZipFile(path) as archive:
        pages = re.search(rb"<Pages>(\d{1,6})</Pages>", archive.read("docProps/app.xml"))
        facts |= {"pages": int(pages[1])} if pages else {}
    return facts, _iterate_blocks(document)


def _iterate_blocks(container: Any) -> Iterator[str]:
    for block in container.iter_inner_content():
        if hasattr(block, "rows"):
            for row in block.rows:
                yield _join_row(cell.text for cell in row.cells)
        else:
            yield block.text + "\n"


def _join_row(cells: Iterable[Any]) -> str:
    """A line of a table. A cell that spans columns is named once by the library for each."""
    texts = [str(cell).strip() for cell in cells if cell is not None]
    return "\t".join(text for at, text in enumerate(texts) if text and texts[at - 1 : at] != [text]) + "\n"


def _read_pptx(path: Path) -> Read:
    import pptx

    presentation = pptx.Presentation(str(path))
    slides = list(presentation.slides)
    facts = _core_facts(presentation.core_properties) | {"slides": len(slides)}
    return facts, (text for slide in slides for text in _iterate_slide(slide))


def _iterate_slide(slide: Any) -> Iterator[str]:
    yield from _iterate_shapes(slide.shapes)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        yield slide.notes_slide.notes_text_frame.text + "\n"
    yield "\n"


def _iterate_shapes(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _iterate_shapes(shape.shapes)
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                yield _join_row(cell.text for cell in row.cells)
        elif shape.has_text_frame:
            yield shape.text_frame.text + "\n"


def _read_xlsx(path: Path) -> Read:
    import openpyxl

    # A path would have to end in .xlsx; the process closes the file.
    book = openpyxl.load_workbook(path.open("rb"), read_only=True, data_only=True)
    facts = _core_facts(book.properties) | {"sheets": list(book.sheetnames)}
    return facts, (line for sheet in book.worksheets for line in _iterate_sheet(sheet))


def _iterate_sheet(sheet: Any) -> Iterator[str]:
    sheet.reset_dimensions()  # they may claim a million empty rows
    yield f"{sheet.title}\n"
    for row in sheet.iter_rows(values_only=True):
        values = (value.isoformat() if isinstance(value, datetime) else value for value in row)
        line = "\t".join(str(value).strip() for value in values if value is not None)
        # An empty piece lets the reader look at the clock.
        yield f"{line}\n" if line else ""


def _read_open_document(path: Path) -> Read:
    with zipfile.ZipFile(path) as archive:
        content = archive.read("content.xml")
        meta = archive.read("meta.xml") if "meta.xml" in archive.namelist() else b""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    root = etree.fromstring(content, parser)
    facts: dict[str, Any] = {
        "sheets": [
            table.get(f"{_TABLE}name", "")
            for table in root.iterfind(f".//{_OFFICE}spreadsheet/{_TABLE}table")
        ],
        "slides": len(root.findall(f".//{_OFFICE}presentation/{_DRAW}page")) or None,
    }
    if meta:
        about = etree.fromstring(meta, parser)
        statistics = about.find(f".//{_META}document-statistic")
        pages = statistics.get(f"{_META}page-count", "") if statistics is not None else ""
        facts |= {
            "title": about.findtext(f".//{_DC}title"),
            "author": about.findtext(f".//{_META}initial-creator") or about.findtext(f".//{_DC}creator"),
            "created_at": about.findtext(f".//{_META}creation-date"),
            "pages": int(pages) if pages.isdecimal() else None,
        }
    return facts, _iterate_open_document(root)


def _iterate_open_document(root: Any) -> Iterator[str]:
    for element in root.iter(f"{_TEXT}p", f"{_TEXT}h", f"{_TABLE}table-row"):
        if element.tag == f"{_TABLE}table-row":
            cells = element.iterfind(f"{_TABLE}table-cell")
            yield _join_row("".join(cell.itertext()) for cell in cells)
        elif next(element.iterancestors(f"{_TABLE}table-row"), None) is None:
            yield "".join(element.itertext()) + "\n"
