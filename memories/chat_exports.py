"""WhatsApp's chat exports: lines of text → who wrote what and when. Pure; `memories.chat_export_layout` reads dates."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from memories import chat_export_words as words
from memories.chat_export_layout import MARKS, Layout, UnreadableExport

LONGEST_ENTRY = 70_000  # characters: WhatsApp lets a message hold 65,536
LONGEST_SENDER = 200  # characters, marks included: the name of a group has up to 100
REMEMBERED_TIMES = 4096  # more than an hour of seconds, for the hour that comes twice
LATE = timedelta(minutes=2)  # messages that cross on their way swap places
LONG_AGO = timedelta(hours=2)  # an entry this far back says nothing about the clocks

# U+200E before a text says that WhatsApp wrote it and not the person.
_LRM = "\u200e"
# No pattern below may look at the same long run twice: the text is anybody's.
_SAID = re.compile(rf"(?P<sender>.{{1,{LONGEST_SENDER}}}?):[{MARKS}]*(?:\s(?P<text>.*)|$)")
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」')
_QUOTES = re.compile('["“”„«»「」]')
_TRAILING = f" \n{_LRM}"
_INVISIBLE = re.compile("[\u200e\u202a-\u202e\u2066-\u2069\ufeff\0]")


def _any_of(languages: Iterable[str]) -> str:
    return f"(?:{'|'.join(languages)})"


_DELETED = re.compile(rf"{_any_of(words.DELETED)}[.。]?", re.IGNORECASE)
_NOTICE = re.compile(_any_of(words.NOTICES), re.IGNORECASE)
_OMITTED = re.compile(rf"(?:^|{_LRM}){_any_of(words.OMITTED)}[.。]?$", re.IGNORECASE)
# Android's "<Media omitted>", in any language: no single Latin word, which people write themselves ("<grin>").
_OMITTED_IN_BRACKETS = re.compile(r"<(?=[^>]*(?:\s|[^\x00-\u024f]))[^<>\d\n]{3,60}>")
# Android's "IMG-20231231-WA0001.jpg (file attached)"; the caption follows on the next lines.
_ATTACHED_BEFORE = re.compile(
    rf"(?:{_LRM}.+|[A-Z]{{2,5}}-\d{{8}}-WA\d.*) \([^()]{{3,40}}\)|.+\.\w{{1,5}} \({_any_of(words.ATTACHED)}\)",
    re.IGNORECASE,
)
# The iPhone's "<attached: 00000012-PHOTO-2023-12-31.jpg>"; the caption stands before.
_ATTACHED_AFTER = re.compile(rf"<{_LRM}?[^<>:：\n]{{2,30}}[:：] ?[^<>\n]+\.\w{{1,5}}>$")
_EDITED = re.compile(rf"(?:{_LRM}<[^<>:\n]{{3,60}}>|<{_any_of(words.EDITED)}[.。]?>)$", re.IGNORECASE)
# The votes of a poll differ from export to export.
_VOTES = re.compile(rf"^[{MARKS}]*(OPTION: .+) \(\W{{0,3}}\d{{1,6}} \w{{1,30}}\)$", re.MULTILINE)
_PLACE = re.compile(r"https://(?:maps\.google\.com/\?q=|(?:www\.)?foursquare\.com/v/)")


class LeftOut(Enum):
    """Why an entry of a chat becomes no memory."""

    NOTICE = "notices of WhatsApp"
    MEDIA = "media without a caption"
    DELETED = "deleted messages"
    EMPTY = "messages without text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a chat, made at ``said_at`` by the phone's clock (naive).

    ``position`` counts the entries of that time from 0, ``repeat`` those of them with this sender and text.
    """

    sender: str
    said_at: datetime
    text: str
    position: int
    repeat: int
    left_out: LeftOut | None

    @property
    def key(self) -> str:
        """The same for this message in every export a phone makes of its chat, whatever zone it is read in."""
        named = "\x1f".join((self.sender, self.said_at.isoformat(), self.text, str(self.repeat)))
        return f"import:{hashlib.sha256(named.encode()).hexdigest()}"


def read_export(lines: Iterable[str], *, layout: Layout) -> Iterator[Entry]:
    """The entries of an export in the order of the file, one at a time. Raises UnreadableExport."""
    times: dict[datetime, Counter[bytes]] = {}  # how often what came up at a time, for the latest times met
    for said_at, first_line, more in _join_lines(lines, layout):
        sender, text, left_out = _read_entry(first_line, more)
        seen = times[said_at] = times.pop(said_at, Counter())
        if len(times) > REMEMBERED_TIMES:
            del times[next(iter(times))]
        said = hashlib.sha256(f"{sender}\x1f{text}".encode()).digest()
        yield Entry(
            sender=sender,
            said_at=said_at,
            text=text,
            position=seen[b""],
            repeat=seen[said],
            left_out=left_out,
        )
        seen.update((b"", said))


def place_in_time(entries: Iterable[Entry], zone: ZoneInfo) -> Iterator[tuple[Entry, datetime]]:
    """Each entry with its instant (UTC), for a phone that kept the time of ``zone``.

    In an hour that comes twice, an entry belongs to the second time if the first would put it before the one above.
    Entries of one time are a millisecond apart, so that they keep the order of the file.
    """
    previous = datetime.fromtimestamp(0, UTC)
    for entry in entries:
        first, second = (entry.said_at.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        behind = previous - first
        # Where clocks jump forward instead, the second reading is the earlier one: no reading of that hour is right.
        instant = max(first, second) if LATE < behind < LONG_AGO else first
        previous = instant if behind >= LONG_AGO else max(previous, instant)
        yield entry, instant + timedelta(milliseconds=min(entry.position, 999))


def _join_lines(lines: Iterable[str], layout: Layout) -> Iterator[tuple[datetime, str, list[str]]]:
    """When each entry was made, its first line without the time, and its further lines."""
    said_at, first, more, size = None, "", list[str](), 0
    for line in lines:
        begins = layout.read_line(line)
        if begins is not None:
            if said_at is not None:
                yield said_at, first, more
            (said_at, first), more, size = begins, [], 0
        elif said_at is not None:
            more.append(line)
        size += len(line)
        if said_at is not None and size > LONGEST_ENTRY:
            raise UnreadableExport(
                f"The entry of {said_at:%Y-%m-%d %H:%M} is longer than a message of WhatsApp can be."
            )
    if said_at is not None:
        yield said_at, first, more


def _read_entry(first_line: str, more: list[str]) -> tuple[str, str, LeftOut | None]:
    """Sender, text, and why it is left out, if it is."""
    match = _SAID.match(first_line)
    if match is None:
        return "", "", LeftOut.NOTICE
    name = _INVISIBLE.sub("", match["sender"]).replace("\u200f", "")
    sender = " ".join(name.split()).removeprefix("~").lstrip()
    # A colon inside quotes: Ana changed the subject to "Rome: hotels".
    if not sender or _QUOTES.search(_QUOTED.sub("", sender)):
        return "", "", LeftOut.NOTICE
    return sender, *_clean("\n".join((match["text"] or "", *more)).strip())


def _clean(said: str) -> tuple[str, LeftOut | None]:
    """What the person wrote of an entry's text, and why it is left out if that is nothing."""
    said = _EDITED.sub("", said).rstrip(_TRAILING)
    text, attached = _ATTACHED_AFTER.subn("", said)
    text, omitted = _OMITTED.subn("", text.rstrip(_TRAILING))
    first, *more = text.split("\n")
    if _OMITTED_IN_BRACKETS.fullmatch(first.lstrip(_LRM)) or _ATTACHED_BEFORE.fullmatch(first):
        attached, text = 1, "\n".join(more)
    text = _VOTES.sub(r"\1", text)
    plain = _INVISIBLE.sub("", text).strip()
    if _DELETED.fullmatch(plain):
        return "", LeftOut.DELETED
    if _NOTICE.match(plain):
        return "", LeftOut.NOTICE
    own = [line for line in text.split("\n") if not line.startswith(_LRM) or _PLACE.search(line)]
    kept = _INVISIBLE.sub("", "\n".join(own)).strip()
    if kept:
        return kept, None
    return "", LeftOut.MEDIA if attached or omitted else LeftOut.NOTICE if plain else LeftOut.EMPTY
