"""The words of a text as they are indexed and looked for, in any language. Pure.

There is no stemmer, because a chat mixes languages and names: a word is its first letters, without case and accents,
so that park finds parked and Garten finds Gärten. Measured beside Snowball's English stemmer this finds as much
(docs/memory.md). Scripts that write words together are cut into pairs of characters.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator

import regex

STEM = 4  # letters
LONGEST = 64  # characters of a number or code, which are kept whole

_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]+")
_POSSESSIVE = regex.compile(r"(?<=\p{L})['’]s\b")
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]+"
)


def fold(text: str) -> str:
    """A text without case, accents and the possessive ``'s``; wide and composed characters become plain ones."""
    folded = text
    for _ in range(2):  # a caseless match of compatible characters takes both steps twice (Unicode, D146)
        folded = unicodedata.normalize("NFKD", folded.casefold())
    bare = "".join(character for character in folded if not unicodedata.combining(character))
    return unicodedata.normalize("NFC", _POSSESSIVE.sub("", bare))


def split_words(text: str) -> list[str]:
    """The folded words of a text, whole and in order."""
    return _WORD.findall(fold(text))


def count_words(text: str) -> Counter[str]:
    """What a text is indexed by, and how often it has each."""
    return Counter(stem for word in split_words(text) for stem in _get_stems(word))


def _get_stems(word: str) -> Iterator[str]:
    if any(character.isdecimal() for character in word):
        yield word[:LONGEST]
        return
    end = 0
    for run in _UNSPACED.finditer(word):
        if end < run.start():
            yield word[end : run.start()][:STEM]
        characters = run.group()
        yield from (characters[at : at + 2] for at in range(max(1, len(characters) - 1)))
        end = run.end()
    if end < len(word):
        yield word[end:][:STEM]
