"""Twilio fetches what the bot attaches to a message: HEAD, then GET, with no credentials (contracts §6, Outbound)."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from django.core.files.base import File

from messaging.simulator.attachments import Attachment, clean_content_type, infer_message_type
from messaging.simulator.posts import MEDIA_NOT_FETCHED, MEDIA_TOO_BIG, TIMEOUT, NoAnswer, carry
from whatsbot.exceptions import WhatsbotError

if TYPE_CHECKING:
    import requests

MEGABYTE = 1024 * 1024
MOST_BYTES = {"image": 5 * MEGABYTE}  # of what the bot sends (contracts §6)
MOST_BYTES_OF_OTHERS = 16 * MEGABYTE
PIECE = 64 * 1024


class NotFetched(WhatsbotError):
    """The link gives no file that WhatsApp takes; ``code`` is Twilio's number for it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Media was not fetched: {code}.")
        self.code = code


@contextmanager
def fetching(url: str) -> Iterator[Attachment]:
    """The file behind a URL of ours, for the length of the block. Hold no database connection while calling.

    Raises NoAnswer when the web process does not answer, or with an error of its own, and NotFetched.
    """
    import requests  # not needed by a web process that only shows the page

    local, host = carry(url)
    headers = {"Host": host, "User-Agent": "TwilioProxy/1.1", "Accept-Encoding": "identity"}
    with requests.Session() as session, TemporaryFile() as kept:
        session.trust_env = False  # neither a proxy nor credentials of the environment
        try:
            head = session.head(local, headers=headers, timeout=TIMEOUT, allow_redirects=False)
            _check(head)
            with session.get(
                local, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as answer:
                _check(answer)
                content_type = clean_content_type(answer.headers.get("Content-Type"))
                _copy(
                    answer, kept, most=MOST_BYTES.get(infer_message_type(content_type), MOST_BYTES_OF_OTHERS)
                )
        except requests.RequestException as error:
            raise NoAnswer from error
        name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
        name = "".join(each for each in name if each.isprintable())[-255:]
        yield Attachment(file=File(kept), content_type=content_type, file_name=name)


def _check(answer: "requests.Response") -> None:
    if answer.status_code >= 500:
        raise NoAnswer
    if answer.status_code != 200:
        raise NotFetched(MEDIA_NOT_FETCHED)


def _copy(answer: "requests.Response", kept: IO[bytes], *, most: int) -> None:
    size = 0
    for piece in answer.iter_content(PIECE):
        size += len(piece)
        if size > most:
            raise NotFetched(MEDIA_TOO_BIG)
        kept.write(piece)
    if not size:
        raise NotFetched(MEDIA_NOT_FETCHED)
