"""Reading one phrase of time, such as "last Tuesday" or "3 June 2025", as a span of days. Pure."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import regex

from memories import day_spans
from memories import time_words as words
from memories.day_spans import DAY, Span

FEW = 7  # "the last few days": rather too many than too few
# Before these, "mars" is not the French month.
ENGLISH = ("in", "during", "throughout", "since", "before", "after", "until", "till", "from", "between")


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked and when. ``folded`` is ``text`` for matching, character by character.

    ``is_past``: it has words of the past; ``is_to_come``: it has none, but words of the present or future.
    """

    text: str
    folded: str
    today: date
    is_past: bool
    is_to_come: bool


Read = Callable[["regex.Match[str]", Question], Span | None]
Rule = tuple["regex.Pattern[str]", Read]


def read_question(text: str, *, today: date) -> Question:
    """Fold the text and tell its tense."""
    text = unicodedata.normalize("NFC", text)
    folded = "".join(map(_fold, text))
    is_past = bool(PAST.search(folded))
    return Question(text, folded, today, is_past, not is_past and bool(TO_COME.search(folded)))


def find_spans(question: Question) -> Iterator[tuple[int, int, Span]]:
    """Every phrase that stands by itself: where it begins, where it ends, what it means."""
    for pattern, read in STANDING:
        for match in pattern.finditer(question.folded):
            if span := _read(read, match, question):
                yield match.start(), match.end(), span


def match_span(question: Question, *, at: int) -> tuple[int, Span] | None:
    """The longest phrase that begins at a place where a preposition makes even "May" or "2025" a time."""
    article = ARTICLE.match(question.folded, at)
    at = article.end() if article else at
    matches = ((pattern.match(question.folded, at), read) for pattern, read in (*STANDING, *BOUND))
    spans = [
        (match.end(), span) for match, read in matches if match and (span := _read(read, match, question))
    ]
    return max(spans, key=lambda found: found[0], default=None)


def compile_words(pattern: str) -> "regex.Pattern[str]":
    """Words as in `memories.time_words`, compiled to match whole words only.

    With `regex`, because a word ends early for `re` in scripts with vowel signs, such as Hindi.
    """
    for name, part in PARTS.items():
        pattern = pattern.replace("{" + name + "}", part)
    pattern = pattern.replace(" ", r"\s+")
    return regex.compile(rf"(?<!\w)(?:{pattern})(?!\w)")


def _fold(character: str) -> str:
    """Lower case, and Latin letters without accents; always one character."""
    base = unicodedata.normalize("NFD", character)[0].lower()
    return base if len(base) == 1 and base.isascii() else character


def _read(read: Read, match: "regex.Match[str]", question: Question) -> Span | None:
    try:
        return read(match, question)
    except (ValueError, OverflowError):  # 31 June; 9999 years ago
        return None


# --- Parts of phrases ---

PARTS = {
    "w": f"(?P<w>{'|'.join(words.WEEKDAYS)})",
    "m": f"(?P<m>{'|'.join(words.MONTHS)})",
    "n": rf"(?P<n>\d{{1,4}}|few|{'|'.join(words.NUMBERS.values())})",
    "u": f"(?P<u>{'|'.join(words.UNITS.values())})",
    "y": r"(?P<y>(?:19|20)\d\d)",
    "d": r"(?P<d>\d{1,2})(?P<nth>st|nd|rd|th|er|º|ª|\.)?",
    "first": r"(?:(?:the|el|o|le|dem) )?(?P<first>\d{1,2})(?:st|nd|rd|th|er|º|ª|\.)?",
}
TAIL = "(?:,?(?: del?| of| do)? {y})?"
DAY_MONTH = "{d}(?P<of> of| de)?(?: )?{m}" + TAIL
ON = "(?:(?P<on>on(?: the)?|el(?: dia)?|am|le|no dia|em|den) )?"
CLAUSE_END = r"(?=\s*(?:[?.!,;:…)]|$))"
NO_UNIT = r"(?![.:]?\d|\s*(?:[%€$£]|[ap]\.?m\b|part|person|people|times?\b|place|floor))"
DAY_YEAR = "{d}" + NO_UNIT + "(?:,? {y})?"
PAST, TO_COME, GERMAN = (compile_words(each) for each in (words.PAST, words.TO_COME, words.GERMAN))
ARTICLE = regex.compile(r"\s*(?:(?:the|el|la|le|los|dem|den|der|o|a)\s+|l['’])?")
IS_CLAUSE_END = regex.compile(CLAUSE_END)


def _row(table: Sequence[str] | dict[int, str] | dict[str, str], word: str) -> int | str:
    rows = table.items() if isinstance(table, dict) else enumerate(table)
    return next(key for key, row in rows if regex.fullmatch(row.replace(" ", r"\s+"), word))


def _weekday(match: "regex.Match[str]") -> int:
    return int(_row(words.WEEKDAYS, match["w"]))


def _month(match: "regex.Match[str]") -> int:
    return int(_row(words.MONTHS, match["m"])) + 1


def _number(match: "regex.Match[str]") -> int:
    said = match.groupdict().get("n") or "1"
    return FEW if said == "few" else int(said) if said.isdigit() else int(_row(words.NUMBERS, said))


def _unit(match: "regex.Match[str]") -> str:
    return str(_row(words.UNITS, match["u"]))


def _year(match: "regex.Match[str]") -> int | None:
    said = match.groupdict().get("y")
    return int(said) if said else None


def _is_month(match: "regex.Match[str]", question: Question) -> bool:
    """Whether a word that is also something else ("may", "march", "mars", Marco) is a month here."""
    word = match["m"]
    said = question.text[match.start("m") : match.end("m")]
    if word == "marco":
        return "ç" in said or said.islower()
    if word == "mars":
        before = question.folded[: match.start("m")].split()
        return not before or before[-1] not in ENGLISH
    if word not in ("may", "march") or _year(match):
        return True
    groups = match.groupdict()
    if any(groups.get(sign) for sign in ("on", "nth", "of")):
        return True
    if IS_CLAUSE_END.match(question.folded, match.end()):
        return True
    return said.istitle() and bool(question.text[: match.start("m")].strip())


# --- What each kind of phrase means ---


def _relative_day(offset: int, match: "regex.Match[str]", question: Question) -> Span | None:
    if match[0].startswith("hier") and GERMAN.search(question.folded):
        return None
    return day_spans.get_day(question.today + offset * DAY)


def _either_way(offset: int, match: "regex.Match[str]", question: Question) -> Span | None:
    if question.is_past or question.is_to_come:
        return day_spans.get_day(question.today + (-offset if question.is_past else offset) * DAY)
    return None


def _last_night(match: "regex.Match[str]", question: Question) -> Span:
    return Span(question.today - DAY, question.today + DAY)


def _period(unit: str, offset: int, match: "regex.Match[str]", question: Question) -> Span:
    return day_spans.get_period(unit, question.today, offset=offset)


def _over_the_weekend(match: "regex.Match[str]", question: Question) -> Span:
    has_begun = question.today.weekday() >= 5
    return day_spans.get_period(
        "weekend", question.today, offset=0 if has_begun or question.is_to_come else -1
    )


def _rolling(match: "regex.Match[str]", question: Question) -> Span:
    unit, number = _unit(match), _number(match)
    if unit in ("day", "week"):
        start = question.today - number * (DAY if unit == "day" else 7 * DAY)
    else:
        start = day_spans.add_months(question.today, -number * (1 if unit == "month" else 12))
    return Span(start, question.today + DAY)


def _ago(match: "regex.Match[str]", question: Question) -> Span | None:
    """The day, or the whole week, month or year that long ago."""
    if match["n"] == "few":
        return None
    unit, number = _unit(match), _number(match)
    if unit == "day":
        return day_spans.get_day(question.today - number * DAY)
    return day_spans.get_period(unit, question.today, offset=-number)


def _nearest_weekday(ahead: bool, match: "regex.Match[str]", question: Question) -> Span:
    return day_spans.get_nearest_weekday(_weekday(match), today=question.today, ahead=ahead)


def _weekday_of_week(offset: int, match: "regex.Match[str]", question: Question) -> Span:
    return day_spans.get_day(
        day_spans.get_period("week", question.today, offset=offset).start + _weekday(match) * DAY
    )


def _on_weekday(match: "regex.Match[str]", question: Question) -> Span:
    return _nearest_weekday(question.is_to_come, match, question)


def _on_weekday_if_tense_tells(match: "regex.Match[str]", question: Question) -> Span | None:
    return _on_weekday(match, question) if question.is_past or question.is_to_come else None


def _in_month(match: "regex.Match[str]", question: Question) -> Span | None:
    if match["m"] in ("mars", "marco") and not _is_month(match, question):
        return None
    if match.groupdict().get("last_year"):
        return day_spans.get_month(question.today.year - 1, _month(match))
    if year := _year(match):
        return day_spans.get_month(year, _month(match))
    return day_spans.get_nearest_month(_month(match), today=question.today, ahead=question.is_to_come)


def _month_of_name(turn: int, match: "regex.Match[str]", question: Question) -> Span | None:
    """The last May is over, the next has not begun, this May is of this year."""
    if not _is_month(match, question):
        return None
    month, today = _month(match), question.today
    years = {-1: -(month >= today.month), 0: 0, 1: month <= today.month}[turn]
    return day_spans.get_month(today.year + years, month)


def _in_year(match: "regex.Match[str]", question: Question) -> Span:
    year = int(match["y"])
    return Span(date(year, 1, 1), date(year + 1, 1, 1))


def _date(match: "regex.Match[str]", question: Question) -> Span | None:
    if not _is_month(match, question):
        return None
    month, day = _month(match), int(match["d"])
    if year := _year(match):
        return day_spans.get_day(date(year, month, day))
    return day_spans.get_nearest_date(month, day, today=question.today, ahead=question.is_to_come)


def _date_range(match: "regex.Match[str]", question: Question) -> Span | None:
    last = _date(match, question)
    first = int(match["first"])
    if last is None or first >= last.start.day:
        return None
    return Span(last.start.replace(day=first), last.end, every=last.every)


def _numeric_date(match: "regex.Match[str]", question: Question) -> Span:
    return day_spans.get_day(date(int(match["y"]), int(match["month"]), int(match["day"])))


def _slashed_date(match: "regex.Match[str]", question: Question) -> Span | None:
    """Day and month are told apart only where one is over 12 or both are equal."""
    one, other = int(match["one"]), int(match["other"])
    if max(one, other) <= 12 and one != other:
        return None
    return day_spans.get_day(date(int(match["y"]), min(one, other), max(one, other)))


def _nth(match: "regex.Match[str]", question: Question) -> Span | None:
    return day_spans.get_nearest_day_of_month(
        int(match["d"]), today=question.today, ahead=question.is_to_come
    )


def _rules(read: Read, *patterns: str) -> list[Rule]:
    return [(compile_words(pattern), read) for pattern in patterns]


_TO = r"\s*(?:-|–|—|to|until|till|bis(?: zum)?|al?|au|ate)\s*"
_AND = " (?:and|y|e|et|und) (?:(?:the|el|o|le|dem) )?"
_WEEKDAY = "{w}" + words.PART_OF_DAY
_YEAR_BEFORE = f" (?P<last_year>{words.OF_LAST_YEAR})"
STANDING: list[Rule] = [
    *(rule for offset, row in words.DAYS.items() for rule in _rules(partial(_relative_day, offset), row)),
    *(
        rule
        for days, row in words.DAYS_EITHER_WAY.items()
        for rule in _rules(partial(_either_way, days), row)
    ),
    *(rule for (unit, at), row in words.PERIODS.items() for rule in _rules(partial(_period, unit, at), row)),
    *_rules(_last_night, words.LAST_NIGHT),
    *_rules(_over_the_weekend, words.OVER_THE_WEEKEND),
    *_rules(_rolling, *words.ROLLING),
    *_rules(_ago, *words.AGO),
    *_rules(partial(_nearest_weekday, False), *words.LAST_WEEKDAY),
    *_rules(partial(_nearest_weekday, True), "(?:on )?next {w}"),
    *_rules(partial(_weekday_of_week, 0), "(?:on )?this " + _WEEKDAY),
    *_rules(partial(_weekday_of_week, -1), "(?:on )?{w} (?:of )?last week", "last week(?: on)? {w}"),
    *_rules(_on_weekday, "on (?:the )?" + _WEEKDAY, words.BARE_WEEKDAY + words.PART_OF_DAY + CLAUSE_END),
    *_rules(_on_weekday_if_tense_tells, *(row.replace("{w}", _WEEKDAY) for row in words.ON_WEEKDAY)),
    *_rules(_in_month, *(f"(?:{row})(?:{_YEAR_BEFORE}|{TAIL})" for row in words.IN_MONTH)),
    *_rules(_in_month, f"(?P<last_year>{words.LAST_YEAR_IN}) {{m}}", "{m},?(?: de| del| of)? {y}"),
    *_rules(partial(_month_of_name, -1), "(?<!(?:the|my|our|your|his|her|at) )last {m}"),
    *_rules(partial(_month_of_name, 0), "this {m}"),
    *_rules(partial(_month_of_name, 1), "next {m}"),
    *_rules(_in_year, *words.IN_YEAR),
    *_rules(_date, ON + DAY_MONTH, "(?:(?P<on>on) )?{m}\\.? (?:the )?" + DAY_YEAR),
    *_rules(_date_range, "(?:(?:from|vom|del|du|de|on) )?{first}" + _TO + DAY_MONTH),
    *_rules(_date_range, "(?:between|entre|zwischen) {first}" + _AND + DAY_MONTH),
    *_rules(_date_range, "(?:(?:from|between|on) )?{m} {first}(?:" + _TO + "|" + _AND + ")" + DAY_YEAR),
    *_rules(_numeric_date, ON + r"{y}[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})"),
    *_rules(_numeric_date, ON + r"(?P<day>\d{1,2})\.\s*(?P<month>\d{1,2})\.\s*{y}"),
    *_rules(_slashed_date, ON + r"(?P<one>\d{1,2})[-/](?P<other>\d{1,2})[-/]{y}"),
    *_rules(_nth, "on the {d}" + CLAUSE_END),
]
# Times only because a preposition stands before them.
BOUND: list[Rule] = [
    *_rules(_on_weekday, _WEEKDAY),
    *_rules(_in_month, "{m}" + TAIL),
    *_rules(_in_year, "{y}"),
]
