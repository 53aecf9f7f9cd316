"""Gemini's SDK: one client for the process, and what its failures mean (contracts/gemini.md §2, §3, §7).

Importing it takes a second and 50 MB, so that is done at the first call.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

from whatsbot.exceptions import (
    MisconfiguredProvider,
    PermanentProviderError,
    ProviderError,
    TransientProviderError,
)

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.errors import APIError

_lock = threading.Lock()
_client: "Client | None" = None
_made_for: tuple[str, str] | None = None


@contextmanager
def calling_gemini() -> Iterator["Client"]:
    """The process's client; whatever fails in the block comes out as a ProviderError that quotes nothing.

    A call changes nothing at Google's, so what was lost on the way is transient. Set a timeout with each call: the
    client itself waits for ever.
    """
    client = _get_client()
    try:
        yield client
    except ProviderError:
        raise
    except Exception as error:
        # Without the original: its text may hold ours, and a logged traceback prints it.
        raise _get_provider_error(error) from None


def _get_client() -> "Client":
    """The client, shared by all threads; a new one when the settings are others. Dropped ones close themselves."""
    global _client, _made_for
    key, base_url = settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL
    if not key:
        raise MisconfiguredProvider("GEMINI_API_KEY is not set.")
    with _lock:
        if _client is None or _made_for != (key, base_url):
            _client, _made_for = _make_client(key, base_url), (key, base_url)
        return _client


def _make_client(key: str, base_url: str) -> "Client":
    from google.genai import Client
    from google.genai.types import HttpOptions

    try:
        options = HttpOptions(base_url=base_url or None)
        if urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1"):
            options.client_args = {"trust_env": False}  # an operator's proxy is not for this machine
        # A variable in the environment would turn a client that is not told into one of Google Cloud (§2).
        return Client(enterprise=False, api_key=key, http_options=options)
    except ValueError:
        raise MisconfiguredProvider("GEMINI_API_KEY or GEMINI_BASE_URL is not what it should be.") from None


def _get_provider_error(error: Exception) -> ProviderError:
    """Our error for what a call raised: an answer that is an error, or none, or one that cannot be read."""
    from google.genai.errors import APIError

    if isinstance(error, APIError):
        return _get_refusal(error)
    kind = type(error).__name__
    if kind in ("InvalidURL", "UnsupportedProtocol"):
        return MisconfiguredProvider("GEMINI_BASE_URL is not a URL.")
    if isinstance(error, UnicodeEncodeError):
        return MisconfiguredProvider("GEMINI_API_KEY or GEMINI_BASE_URL has characters that cannot be sent.")
    return TransientProviderError(f"Gemini could not be reached, or its answer not be read ({kind}).")


def _get_refusal(error: "APIError") -> ProviderError:
    word = error.status if re.fullmatch(r"[A-Z_]{1,40}", str(error.status)) else "no status"
    message = f"Gemini answered HTTP {error.code} ({word})."
    if error.code in (408, 429) or error.code >= 500:
        return TransientProviderError(message, code=error.code, retry_after=_get_retry_after(error))
    # 404: no such model. 400: a bad key is one as well, and a region or a bill (FAILED_PRECONDITION).
    ours = (
        error.code in (401, 403, 404)
        or word == "FAILED_PRECONDITION"
        or "API_KEY_INVALID" in _get_reasons(error)
    )
    return (MisconfiguredProvider if ours else PermanentProviderError)(message, code=error.code)


def _get_details(error: "APIError") -> list[dict[str, Any]]:
    body = error.details if isinstance(error.details, dict) else {}
    inner = body.get("error")
    details = inner.get("details") if isinstance(inner, dict) else None
    return [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []


def _get_reasons(error: "APIError") -> list[str]:
    return [str(each.get("reason")) for each in _get_details(error)]


def _get_retry_after(error: "APIError") -> float | None:
    """Seconds to wait: of Google's RetryInfo, else of the header Retry-After (a number or a date)."""
    for each in _get_details(error):
        if match := re.fullmatch(r"(\d+(?:\.\d+)?)s", str(each.get("retryDelay"))):
            return float(match[1])
    header = str(getattr(error.response, "headers", {}).get("Retry-After", ""))
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
