"""How the lines of a WhatsApp chat export begin, and whether the day or the month comes first. Pure.

A phone writes dates in its own language and region, and says nowhere which: ``[12/31/23, 11:59:59 PM] Ana: hi``
(iPhone, with invisible marks), ``31/12/2023, 23:59 - Ana: hi`` (Android), with dots or dashes, the year or the time
first, ``p. m.`` or ``下午``, Arabic digits, Buddhist years. One file keeps to one way, so the whole file tells.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal

from memories import chat_export_words as words

DateOrder = Literal["dmy", "mdy", "ymd"]
ORDERS: dict[DateOrder, tuple[str, str, str]] = {
    "dmy": ("day", "month", "year"),
    "mdy": ("month", "day", "year"),
    "ymd": ("year", "month", "day"),
}
WHATSAPP_BEGAN = date(2009, 1, 1)
BUDDHIST_YEARS = 543
MOST_LINES_BEFORE = 100  # an export begins with its first entry, but somebody may have written a heading
DAY = timedelta(days=1)

MARKS = "\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff"  # of direction, anywhere in what WhatsApp writes
GAP = rf"[\s{MARKS}]*"
_DATE = (
    rf"(?P<one>\d{{1,4}}){GAP}(?P<separator>[-./年년]){GAP}(?P<two>\d{{1,2}})"
    rf"{GAP}(?:(?P=separator)|月|월){GAP}(?P<three>\d{{1,4}})"
)
_TIME = r"(?P<hour>\d{1,2})(?:[:.]| ?h ?)(?P<minute>\d{1,2})(?:(?:[:.]| ?min ?)(?P<second>\d{1,2})(?: ?s)?)?"
_BETWEEN, _AFTER = r"(?P<between>[^\d\[\]]{1,20}?)", r"(?P<after>[^\d\[\]]{0,20}?)"
# iPhone in brackets, Android with a dash; date or time first.
_WAYS = tuple(
    re.compile(rf"[{MARKS}]*{begin}{first}{_BETWEEN}{second}{_AFTER}{end}(?P<rest>.*)")
    for begin, end in ((r"\[", rf"\]{GAP}"), ("", rf"{GAP}[-–] "))
    for first, second in ((_DATE, _TIME), (_TIME, _DATE))
)


class UnreadableExport(ValueError):
    """The text is no chat export, or cannot be read without guessing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What an entry begins with: three numbers, a time of day and the words for its half; ``rest`` follows."""

    written: str
    numbers: tuple[str, str, str]
    separator: str
    clock: time
    half_of_day: str
    rest: str

    def read_date(self, order: DateOrder, *, until: date) -> date | None:
        """The date in this order, or None if there is no such day between WhatsApp's first and ``until``."""
        parts = dict(zip(ORDERS[order], map(int, self.numbers), strict=True))
        year = parts["year"]
        parts["year"] = year + 2000 if year < 100 else year - BUDDHIST_YEARS if year > 2400 else year
        try:
            day = date(**parts)
        except ValueError:
            return None
        return day if WHATSAPP_BEGAN <= day <= until else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the entries of a file begin, in which order its dates are, and what that was told from."""

    way: re.Pattern[str]
    separator: str  # between the numbers of a date
    example: str
    order: DateOrder
    until: date  # the last day there can be
    reason: str

    def read_line(self, line: str) -> tuple[datetime, str] | None:
        """When an entry was made, by the phone's clock, and what follows; None for a line that begins no entry."""
        try:
            stamp = _read_stamp(self.way, line, separator=self.separator)
        except ValueError:
            return None
        day = stamp and stamp.read_date(self.order, until=self.until)
        return (datetime.combine(day, stamp.clock), stamp.rest) if stamp and day else None


def _fold(text: str) -> str:
    """The letters, with what belongs to them in some scripts, so that "p. m.", "P.M." and "pm" are one word."""
    return "".join(each for each in text if unicodedata.category(each)[0] in "LM").casefold()


_HALVES_OF_DAY: dict[str, int | None] = {"": None}
for _hours, _words in ((None, words.FILLERS), (0, words.MORNING), (12, words.EVENING)):
    _HALVES_OF_DAY |= {_fold(word): _hours for word in _words.split("|")}


def _read_stamp(way: re.Pattern[str], line: str, *, separator: str | None) -> Stamp | None:
    """What a line begins with; None if not with a time. Raises ValueError for a time that cannot be understood."""
    match = way.match(line)
    if match is None or separator not in (None, match["separator"]):
        return None
    hour, half_of_day = int(match["hour"]), ""
    for said in (match["between"], match["after"]):
        folded = _fold(said).lstrip("日일")
        if folded not in _HALVES_OF_DAY:
            raise ValueError(f"the time has “{said.strip(' ,.')}” beside it")
        hours = _HALVES_OF_DAY[folded]
        if hours is not None and hour <= 12:
            hour, half_of_day = hour % 12 + hours, said.strip()
    return Stamp(
        written=re.sub(f"[{MARKS}]", "", line[: match.start("rest")]).strip(" -–[]"),
        numbers=(match["one"], match["two"], match["three"]),
        separator=match["separator"],
        clock=time(hour, int(match["minute"]), int(match["second"] or 0)),
        half_of_day=half_of_day,
        rest=match["rest"],
    )


@dataclass(slots=True)
class _Evidence:
    """What the dates of a file say about their order."""

    until: date
    first: Stamp | None = None
    entries: int = 0
    misfits: Counter[DateOrder] = field(default_factory=Counter)  # lines whose date is none
    steps_back: Counter[DateOrder] = field(default_factory=Counter)
    latest: dict[DateOrder, date] = field(default_factory=dict)
    puzzle: str = ""
    differ: bool = False
    padded: bool = False  # 04/01
    bare: bool = False  # 4/1
    half_of_day: str = ""

    def add(self, stamp: Stamp) -> None:
        self.first = self.first or stamp
        self.entries += 1
        for order in ORDERS:
            day = stamp.read_date(order, until=self.until)
            if day is None:
                self.misfits[order] += 1
                continue
            self.steps_back[order] += day < self.latest.get(order, day) - DAY  # a day: messages can be late
            self.latest[order] = day
        one, two, _ = stamp.numbers
        self.differ = self.differ or int(one) != int(two)
        self.padded = self.padded or "0" in (one[0], two[0])
        self.bare = self.bare or 1 in (len(one), len(two))
        self.half_of_day = self.half_of_day or stamp.half_of_day

    def add_puzzle(self, puzzle: str) -> None:
        self.puzzle = self.puzzle or f" In {puzzle}."
        self.entries += 1
        self.misfits.update(tuple(ORDERS))

    def fits(self, order: DateOrder) -> bool:
        return self.misfits[order] * 100 <= self.entries  # one line in a hundred may be something pasted

    def guess(self, first: Stamp) -> DateOrder | None:
        """The order of the regions whose phones write dates like this (CLDR); None where regions differ."""
        if first.separator != "/":
            return "dmy"
        short_year = len(first.numbers[2]) == 2
        if self.half_of_day in (
            "AM",
            "PM",
        ):  # 4/1/23, 7:02 PM is American; others mostly write pm, 04 or 2023
            return "mdy" if short_year and self.bare and not self.padded else None
        return "dmy" if self.half_of_day or self.padded or not short_year else None


def infer_layout(lines: Iterable[str], *, until: date, order: DateOrder | None = None) -> Layout:
    """How the entries of an export begin. The order of its dates is ``order``, or told from all of them together.

    ``until`` is the last day a message may be from. Raises UnreadableExport, which says what to do about it.
    """
    evidence, way = _Evidence(until), None
    for number, line in enumerate(lines, start=1):
        if way is None:
            if number > MOST_LINES_BEFORE:
                break
            way = next((each for each in _WAYS if each.match(line)), None)
        if way is not None:
            try:
                stamp = _read_stamp(way, line, separator=evidence.first.separator if evidence.first else None)
            except ValueError as error:
                evidence.add_puzzle(f"line {number} {error}")
            else:
                if stamp is not None:
                    evidence.add(stamp)
    first = evidence.first
    if way is None or first is None:
        raise UnreadableExport(
            f"No line begins with a date and a time as WhatsApp writes them.{evidence.puzzle}"
        )
    chosen, reason = (order, "as you say") if order else _tell_order(evidence, first)
    if not evidence.fits(chosen):
        raise UnreadableExport(
            f"Its dates, such as {first.written}, are not all days of our calendar between {WHATSAPP_BEGAN:%Y} and"
            f" today{f' in the order {order}' if order else ''}.{evidence.puzzle}"
        )
    return Layout(
        way=way, separator=first.separator, example=first.written, order=chosen, until=until, reason=reason
    )


def _tell_order(evidence: _Evidence, first: Stamp) -> tuple[DateOrder, str]:
    fitting: list[DateOrder] = [each for each in ("dmy", "mdy") if evidence.fits(each)]
    if len(fitting) < 2:
        return (fitting or ["ymd"])[0], "in no other order are all of its dates real days until today"
    if not evidence.differ:
        return "dmy", "day and month are the same numbers throughout"
    against = {each: evidence.misfits[each] + evidence.steps_back[each] for each in fitting}
    likelier, other = sorted(fitting, key=lambda each: against[each])
    if against[likelier] < against[other]:
        return likelier, "in this order its messages follow each other in time"
    guess = evidence.guess(first)
    if guess is not None:
        return guess, "guessed from how phones write such dates; --date-order says otherwise"
    readings = " or ".join(
        f"{day:%-d %B %Y} (--date-order {each})"
        for each in fitting
        if (day := first.read_date(each, until=evidence.until))
    )
    raise UnreadableExport(
        f"Nothing in it tells whether the day or the month comes first: {first.written} may be {readings}. Say which."
    )
