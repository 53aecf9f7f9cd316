"""What an answer of the language model must not carry out: our instructions, our secrets, and links nobody wrote.

A hostile text in the data may talk the model into any of them (docs/security.md). Pure, but for the settings.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache

import regex
from django.conf import settings

RUN_OF_WORDS = 10  # so many words in a row are no chance
WITHHELD = "I can't answer that."
# Whatever a phone may make a link of that could carry something: any scheme; a host with a path or a port; a host of
# three names or more. It ends at white space: an app may take more signs into a link than we would. Possessive, and
# only at the start of a run, so that it stays linear.
_TOP = r"\.(?:\p{L}{2,63}|xn--[\w-]{1,59})\.?"
_LINK = regex.compile(
    rf"""(?: (?<![a-z0-9+.-]) [a-z0-9+.-]++ :/
      | (?<![\w.-]) [\w.-]++ (?: (?= [/?#]\S | :\d ) (?: (?<={_TOP}) | (?<=\d(?:\.\d{{1,3}}){{3}}) )
          | (?<=[\w-]\.[\w-]{{2,63}}{_TOP}) ) ) \S*""",
    regex.IGNORECASE | regex.VERBOSE,
)
_IN_JSON = regex.compile(r"[\"\\<>]")
_BRACKETS = regex.compile(r"['`)\]}]")


def withhold_leaks(text: str, *, instructions: str, data: Iterable[str]) -> str:
    """The text of an answer, as it is to be sent, without what must not leave.

    An answer with a secret, or a run of `RUN_OF_WORDS` words of the instructions, is withheld whole; links stay only if
    they stand in ``data`` (texts or JSON), since a made-up one could carry memories to whoever owns it.
    """
    if _has_secret(text) or _quotes(text, instructions):
        return WITHHELD
    if not _LINK.search(text):
        return text
    known = {link for each in data for link in _find_known(each)}
    return _LINK.sub(lambda match: _keep_known(match[0], known), text)


def _find_known(text: str) -> Iterator[str]:
    for link in _LINK.findall(_IN_JSON.sub(" ", text)):
        yield _trim(link)
        yield _trim(_BRACKETS.split(link)[0])


def _keep_known(link: str, known: set[str]) -> str:
    trimmed = _trim(link)
    return link if trimmed in known else "(link removed)" + link[len(trimmed) :]


def _trim(link: str) -> str:
    """Without marks of the sentence around it."""
    end = len(link)
    while end and not (link[end - 1].isalnum() or link[end - 1] == "/"):
        end -= 1
    return link[:end]


def _has_secret(text: str) -> bool:
    database = settings.DATABASES["default"].get("PASSWORD") or ""
    secrets = (
        *(settings.SECRET_KEY, settings.GEMINI_API_KEY, settings.MEM0_API_KEY, database),
        *settings.TWILIO_AUTH_TOKENS,
    )
    said = _squash(text)
    return any(len(secret) >= 8 and secret in said for secret in map(_squash, secrets))


def _quotes(text: str, instructions: str) -> bool:
    """Whether a run of words of the instructions stands in the text, whatever is between and within the words."""
    said = _squash(text)
    return any(run in said for run in _get_runs(instructions))


@cache
def _get_runs(instructions: str) -> tuple[str, ...]:
    words = [word for word in map(_squash, instructions.split()) if word]
    return tuple("".join(words[at : at + RUN_OF_WORDS]) for at in range(len(words) - RUN_OF_WORDS + 1))


def _squash(text: str) -> str:
    """Letters and digits alone, in one form: what is left when signs that nobody sees are put between them."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())
