"""Texts and contact cards."""

import codecs
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import vobject

# Enough for 100,000 characters of any script, and of a page that is mostly markup.
READ_BYTES = 2 * 1024 * 1024
CARDS = 500
_CARD = re.compile(r"^\s*BEGIN:VCARD\s*$.*?^\s*END:VCARD\s*$", re.IGNORECASE | re.DOTALL | re.MULTILINE)
# A picture in a card, with the lines that go on with it.
_PICTURES = re.compile(
    r"^(?:[\w-]+\.)?(?:PHOTO|LOGO|SOUND|KEY)[;:].*\r?\n(?:[ \t].*\r?\n|[\w+/=]{40,}\r?\n)*", re.I | re.M
)
BLOCKS = frozenset(
    (
        *("p", "div", "br", "li", "ul", "ol", "tr", "table", "section", "article", "header", "footer"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "title", "text"),
    )
)
UNSEEN = frozenset(("script", "style", "template"))


def read_text(path: Path, *, content_type: str) -> list[str]:
    """The text; of HTML and SVG what is between the tags."""
    text = decode(path)
    if content_type == "text/plain":
        return [text]
    words = _Words()
    words.feed(text)
    words.close()
    lines = ("".join(words.pieces)).splitlines()
    return ["\n".join(line for raw in lines if (line := " ".join(raw.split())))]


def decode(path: Path) -> str:
    """The beginning of a text in UTF-8 or UTF-16, or in the encoding of western Europe if it is in neither."""
    with path.open("rb") as file:
        data = file.read(READ_BYTES)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "ignore")
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data)  # it may be cut within a character
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._unseen += tag in UNSEEN
        self.pieces.append("\n" if tag in BLOCKS else " ")

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.pieces.append("\n" if tag in BLOCKS else " ")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in UNSEEN))
        self.pieces.append("\n" if tag in BLOCKS else "")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data)


def read_cards(path: Path) -> tuple[dict[str, Any], Iterable[str]]:
    """The contacts of a vCard file as facts, and as lines. A card that cannot be read is left out."""
    contacts = [contact for card in _iterate_cards(decode(path)) if (contact := read_card(card))]
    if not contacts:
        raise ValueError("no card")
    return {"contacts": contacts}, [describe_contact(contact) + "\n\n" for contact in contacts]


def _iterate_cards(text: str) -> Iterator[str]:
    for number, match in enumerate(_CARD.finditer(text)):
        if number == CARDS:
            return
        yield match.group().strip() + "\r\n"


def read_card(card: str) -> dict[str, Any]:
    """One contact: name, phones, emails, organization, title, birthday, address, url, note; only what it has."""
    fields: dict[str, list[Any]] = {}
    with suppress(Exception):
        card = _PICTURES.sub("", card)
        component = next(vobject.readComponents(card, ignoreUnreadable=True, allowQP=True, transform=False))
        for line in component.getChildren():
            value = line.value.decode("utf-8", "ignore") if isinstance(line.value, bytes) else str(line.value)
            fields.setdefault(line.name, []).append(value)

    def first(name: str) -> str:
        return _join(fields.get(name, [""])[0])

    # The parts of a name: family, given, additional, before, after.
    parts = [_unescape(part) for part in _split(fields.get("N", [""])[0])] + [""] * 5
    spoken = " ".join(part for part in (parts[3], parts[1], parts[2], parts[0], parts[4]) if part)
    contact = {
        "name": first("FN") or spoken or first("ORG"),
        "phones": _unique(value.removeprefix("tel:") for value in fields.get("TEL", [])),
        "emails": _unique(fields.get("EMAIL", [])),
        "organization": first("ORG"),
        "title": first("TITLE") or first("ROLE"),
        "birthday": first("BDAY"),
        "address": first("ADR"),
        "url": first("URL"),
        "note": _unescape(fields.get("NOTE", [""])[0]),
    }
    return {name: value for name, value in contact.items() if value}


def _split(value: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?<!\\);", value)]


def _unescape(value: str) -> str:
    return re.sub(r"\\([\\,;:nN])", lambda found: "\n" if found[1] in "nN" else found[1], value).strip()


def _join(value: str) -> str:
    """The parts of a value, as one writes an address."""
    return ", ".join(_unescape(part).replace("\n", ", ") for part in _split(value) if part)


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(stripped for value in values if (stripped := _unescape(value))))[:50]


def describe_contact(contact: dict[str, Any]) -> str:
    """Lines somebody can read: the name first."""
    lines = [str(contact.get("name", ""))]
    for name, value in contact.items():
        if name != "name":
            lines.append(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    return "\n".join(line for line in lines if line)
