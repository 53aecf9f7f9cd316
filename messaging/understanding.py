"""What a short message wants, told without a model: to be kept, to be answered, or neither. Pure.

A statement taken for a question is lost to the person, a question taken for a statement is only saved beside the rest;
so without a question mark a message is a question only if its first words leave little doubt.
"""

import unicodedata
from enum import Enum, auto

import regex

from messaging import question_words, small_talk


class Kind(Enum):
    """What a message wants."""

    EMPTY = auto()  # nothing in it to keep or to find
    GREETING = auto()  # hello, thanks, ok, 👍: neither to keep nor to answer
    QUESTION = auto()
    STATEMENT = auto()


def classify(text: str) -> Kind:
    """What a message wants, in any of some thirty languages."""
    if not regex.search(r"[\p{L}\p{N}]", text):
        return Kind.GREETING if _PICTURE.search(text) else Kind.EMPTY
    said = _clean(text)
    if _is_small_talk(said.lower()):
        return Kind.GREETING
    return Kind.QUESTION if _asks(_skip_greeting(said)) else Kind.STATEMENT


def strip_request(text: str) -> str:
    """A statement without the request to keep it: "remember that the gate code is 4711" → "the gate code is 4711"."""
    text = text.strip()
    start = 0
    if match := _REQUEST.match(_apostrophes(text)):
        start = match.end()
    end = match.start() if (match := _REQUEST_AFTER.search(_apostrophes(text), start)) else len(text)
    return text[start:end].strip() or text


# --- How a message is read ---

END = 300  # characters

_PICTURE = regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}")
_LINK = regex.compile(r"https?://\S+")
_NOISE = regex.compile(r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Cf}\uFE0F]+")
# Somebody else's question inside a statement: She asked "are you coming?"
_QUOTED = regex.compile(r"(?:(?<=\S\s*)|^(?=[^?]*\?[\"”»]\s*\w))(?:\"[^\"]*\"|“[^”]*”|«[^»]*»|„[^“”]*[“”])")
_MARK = regex.compile(r"[?？؟՞፧⁇⁈‽][\s\p{P}]*$|(?<=[\p{Greek}])[;;]\s*$")
_PAUSE = regex.compile(r"[,.!?:;…،。，！？؟\n]+\s*")
_SENTENCE_END = regex.compile(r"(?<=[.!?？؟。！…])\s+|(?<=[。！？])|\n+")


def _either(patterns: tuple[str, ...]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)


_STARTS = regex.compile(rf"[¿¡\"'«“(\s]*(?:{_either(question_words.STARTS)})")
_LEAD_INS = regex.compile(question_words.LEAD_INS)
_ANYWHERE = regex.compile(_either(question_words.ANYWHERE))
_TAG = regex.compile(question_words.TAGS)
_TO_DO = regex.compile(question_words.TO_DO)
_REQUEST = regex.compile(_either(question_words.REQUESTS), regex.IGNORECASE)
_REQUEST_AFTER = regex.compile(question_words.REQUEST_AFTER, regex.IGNORECASE)
# "Did Tom call": a name after the verb.
_VERB_AND_NAME = regex.compile(
    r"(?:will|[Dd]id|[Dd]oes|[Ii]s|[Ww]as|[Cc]an|[Ss]hould|[Ww]ould|[Cc]ould) \p{Lu}\p{Ll}+ \w"
)
_SMALL_TALK = regex.compile(rf"(?:{_either(small_talk.PHRASES)})(?![\w'])")
_FILLER = regex.compile(rf"(?:{small_talk.FILLERS})(?![\w'])|[\s\p{{P}}\p{{S}}]+")


def _apostrophes(text: str) -> str:
    return text.replace("’", "'")


def _clean(text: str) -> str:
    """The text to match against. Of a long one only both ends, where questions are asked: patterns look ahead."""
    if len(text) > 2 * END:
        text = f"{text[:END]}\n{text[-END:]}"
    text = _LINK.sub(" link ", unicodedata.normalize("NFC", text))
    return _apostrophes(_NOISE.sub(" ", text)).strip()


def _is_small_talk(plain: str) -> bool:
    """Whether a message is nothing but greetings, thanks and the like."""
    return _get_end_of_small_talk(plain) == len(plain)


def _skip_greeting(said: str) -> str:
    """The message after "Hi there!"."""
    end = _get_end_of_small_talk(said.lower())
    *_, boundary = (0, *(match.end() for match in _PAUSE.finditer(said, 0, end)))
    return said[boundary:]


def _get_end_of_small_talk(plain: str) -> int:
    """Where small talk at the beginning ends; 0 if there is none."""
    at = 0
    while match := _SMALL_TALK.match(plain, at) or _FILLER.match(plain, at):
        at = match.end()
    return at


def _asks(said: str) -> bool:
    plain = said.lower()
    if _REQUEST.match(plain) or _TO_DO.match(plain):
        return False
    unquoted = _QUOTED.sub(" _ ", plain).strip()
    if _TAG.search(unquoted):
        return False
    if _MARK.search(unquoted) or unquoted.startswith("¿") or _VERB_AND_NAME.match(said):
        return True
    sentences = [sentence for each in _SENTENCE_END.split(unquoted) if (sentence := each.strip(" .…"))]
    return any(_begins_or_sounds_like_a_question(each) for each in sentences[:1] + sentences[-1:])


def _begins_or_sounds_like_a_question(sentence: str) -> bool:
    if sentence.endswith(("!", "！")):
        return False
    lead_in = _LEAD_INS.match(sentence)
    return bool(_STARTS.match(sentence, lead_in.end() if lead_in else 0) or _ANYWHERE.search(sentence))
