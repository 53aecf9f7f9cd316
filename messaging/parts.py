"""A long answer cut into WhatsApp messages: at a paragraph, a line, a sentence or a word."""

from bisect import bisect_right

import regex

# Twilio refuses bodies over 1600 characters and counts an emoji as several, without saying how many (error
# 21617; contracts/twilio-whatsapp.md §7). So we count UTF-16 units and keep a reserve.
MAX_UNITS = 1500

# One grapheme, and with it marks that have nothing to sit on (after a line break, say): no part starts with
# one. The first branch says what \X says of flags, but \X looks back over the whole run of them: quadratic.
MARK = r"[\p{M}\p{GCB=Extend}\p{GCB=SpacingMark}\u200D]"
GRAPHEME = regex.compile(rf"(?:\p{{RI}}{{2}}|\X)(?:(?={MARK})\X)*+")

# Where a part may end, best first. Matches are empty or end at the cut; white space around a cut is dropped.
PARAGRAPH = regex.compile(r"(?=\r?\n[^\S\n]*\n)")
LINE = regex.compile(r"(?=\r?\n)")
# A full stop of another script (。 । ؟) ends a sentence as it is; ours only before white space and then no
# small letter ("e.g. this", "3.5"). Possessive, and only at the start of a run: "!!!!!" stays linear.
SENTENCE = regex.compile(
    r"""(?V1)(?<![\p{STerm}…])
    (?: [\p{STerm}--[.!?]] [\p{STerm}…]*+ [\p{Pe}\p{Pf}"'*_~]*+
      | [\p{STerm}…]++ [\p{Pe}\p{Pf}"'*_~]*+ (?=\s++(?!\p{Ll})) )""",
    regex.VERBOSE,
)
WORD = regex.compile(r"(?<=\S)(?=[^\S\u00A0\u2007\u202F])|(?<=\u200B)")


def split_into_parts(text: str, *, limit: int = MAX_UNITS) -> list[str]:
    """Cut ``text`` into parts of at most ``limit`` UTF-16 units each, in linear time.

    Nothing but white space at the cuts and at both ends is lost; no part is empty (blank text gives no part).
    Only a single grapheme longer than a whole part is torn.
    """
    if limit < 2:
        raise ValueError("A part must have room for one character of two UTF-16 units.")
    edges, units = _measure(text, limit)
    index = {edge: number for number, edge in enumerate(edges)}
    borders = [
        [index[match.end()] for match in pattern.finditer(text) if match.end() in index]
        for pattern in (PARAGRAPH, LINE, SENTENCE, WORD)
    ]
    parts: list[str] = []
    start, last = 0, len(edges) - 1
    while True:
        while start < last and text[edges[start] : edges[start + 1]].isspace():
            start += 1
        if start == last:
            return parts
        end = bisect_right(units, units[start] + limit) - 1
        if end < last:
            end = _get_cut(borders, start=start, end=end)
        parts.append(text[edges[start] : edges[end]].rstrip())
        start = end


def _measure(text: str, limit: int) -> tuple[list[int], list[int]]:
    """The offsets between graphemes, 0 and the end included, and the number of UTF-16 units before each."""
    edges, units = [0], [0]
    for grapheme in GRAPHEME.findall(text):
        size = _count_units(grapheme)
        step = len(grapheme) if size <= limit else limit // 2
        for piece in (grapheme[at : at + step] for at in range(0, len(grapheme), step)):
            edges.append(edges[-1] + len(piece))
            units.append(units[-1] + _count_units(piece))
    return edges, units


def _count_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _get_cut(borders: list[list[int]], *, start: int, end: int) -> int:
    """The last border in ``(start, end]``: better ones count in the second half only, lest parts get many."""
    middle = start + (end - start) // 2
    for candidates, earliest in zip(borders, (middle, middle, middle, start), strict=True):
        found = bisect_right(candidates, end) - 1
        if found >= 0 and candidates[found] > earliest:
            return candidates[found]
    return end
