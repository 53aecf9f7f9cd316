"""What a failed call to Twilio means: try again, find out, give up, or mend our settings.

The classes are ours, the meanings of the codes Twilio's (contracts/twilio-whatsapp.md §8).
"""

import json
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING

from whatsbot.exceptions import (
    MisconfiguredProvider,
    PermanentProviderError,
    ProviderError,
    TransientProviderError,
    UnknownOutcome,
)

if TYPE_CHECKING:
    import requests


class ErrorClass(Enum):
    """What an error code of Twilio's means for us. What is in no class is a refusal for good: no loops."""

    TOO_MANY_REQUESTS = frozenset({429, 20429})
    LATER = frozenset({14107, 21611, 30001, 30036, 63009, 63010, 63012, 63017, 63018, 63019, 63038})
    ONCE_MORE = frozenset({30008, 63023})
    TWILIO_TRIES_AGAIN = frozenset({63037})
    RECIPIENT = frozenset({21211, 21610, 21614, 63003, 63014, 63015, 63024, 63032, 63033})
    CONTENT = frozenset(
        {21602, 21617, 21619, 21620, 21623, 21654, 21655, 21656, 21658, 63005, 63006, 63013, 63016}
        | {63021, 63027, 63028, 63030, 63034, 63040, 63041, 63042}
    )
    CONFIGURATION = frozenset(
        {20003, 21212, 21603, 21606, 21609, 21703, 21704, 21705} | {63001, 63007, 63020, 63031, 63051, 90010}
    )
    UNKNOWN = frozenset[int]()


MAY_BE_SENT_AGAIN = {ErrorClass.TOO_MANY_REQUESTS, ErrorClass.LATER, ErrorClass.ONCE_MORE}
# The only code whose wait is documented: Twilio's loop guard lets go after 30 s.
WAIT_SECONDS = {14107: 30.0}


def get_error_class(code: int | None) -> ErrorClass:
    """The class of an error code, from a refusal or from the ErrorCode of a status callback."""
    return next((kind for kind in ErrorClass if code in kind.value), ErrorClass.UNKNOWN)


def is_permanent_delivery_error(code: int | None) -> bool:
    """Whether we must not send again what failed with ``code``: it is of no use, or Twilio does it itself."""
    return get_error_class(code) not in MAY_BE_SENT_AGAIN


def raise_for_status(response: "requests.Response", **_: object) -> None:
    """Hook of every response: raise for what is not a success before the SDK makes an error of its own.

    Its errors come in three shapes, quote numbers in their texts and drop Retry-After.
    """
    status = response.status_code
    if status < 300:
        return
    code = _get_code(response)
    kind = get_error_class(code)
    message = f"Twilio answered HTTP {status}" + (f", code {code} ({kind.name.lower()})." if code else ".")
    if not 400 <= status < 500 or kind is ErrorClass.TWILIO_TRIES_AGAIN:
        raise UnknownOutcome(message, code=code)
    if status == 429 or kind in MAY_BE_SENT_AGAIN:
        raise TransientProviderError(message, code=code, retry_after=_get_retry_after(response, code=code))
    if status == 401 or kind is ErrorClass.CONFIGURATION:
        raise MisconfiguredProvider(message, code=code)
    raise PermanentProviderError(message, code=code)


def get_provider_error(exc: Exception) -> ProviderError:
    """Our error for what a call raised when no response came, or one that could not be read.

    What is not known to have failed before it reached Twilio has an unknown outcome: a reset, a read
    time-out, a body cut short or of junk.
    """
    from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema

    kind = type(exc).__name__
    if isinstance(exc, InvalidSchema | InvalidURL | MissingSchema):
        return MisconfiguredProvider("TWILIO_API_BASE_URL is not a URL.")
    if isinstance(exc, UnicodeEncodeError):
        return PermanentProviderError("The text cannot be encoded.")
    if _never_arrived(exc):
        return TransientProviderError(f"Twilio could not be reached ({kind}).")
    return UnknownOutcome(f"Twilio's answer was lost ({kind}).")


def without_text(exc: Exception) -> Exception:
    """Blank what a chain of exceptions says: its URLs hold numbers, and a logged traceback prints it all."""
    link: BaseException | None = exc
    while link is not None:
        link.args = ()
        link = link.__cause__ or link.__context__
    return exc


def _never_arrived(exc: Exception) -> bool:
    """Whether a request failed while the connection was being made, before a byte of it was sent."""
    from requests.exceptions import ConnectTimeout, ProxyError
    from urllib3.exceptions import NewConnectionError, SSLError

    reason = getattr(exc.args[0], "reason", None) if exc.args else None
    return (
        isinstance(exc, ConnectTimeout | ProxyError)
        or isinstance(reason, NewConnectionError)
        or (isinstance(reason, SSLError) and isinstance(reason.args[0], ssl.SSLCertVerificationError))
    )


def _get_code(response: "requests.Response") -> int | None:
    import requests

    try:
        code = json.loads(response.text)["code"]
    except (KeyError, TypeError, ValueError, requests.RequestException):
        return None  # a page of HTML, or cut short: the status has to do
    return code if isinstance(code, int) else None


def _get_retry_after(response: "requests.Response", *, code: int | None) -> float | None:
    """Seconds to wait: the header's (a number or a date), else what is documented for the code."""
    header = response.headers.get("Retry-After", "")
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return WAIT_SECONDS.get(code or 0)
