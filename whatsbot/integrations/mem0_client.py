"""The way to Mem0's hosted platform: client, guard before deletions, meaning of failures (contracts/mem0.md C)."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from django.conf import settings

from whatsbot.exceptions import (
    MisconfiguredProvider,
    PermanentProviderError,
    ProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from whatsbot.integrations.mem0_sdk import prepare_sdk

TIMEOUT_SECONDS = 10.0  # to connect, and to wait for each next byte; the SDK's own is 300
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)  # UUIDs, says its openapi.json
ENTRY_PATH = re.compile(rf".*/v1/memories/{ID.pattern}/", re.IGNORECASE)

_lock = threading.Lock()
_client: Any = None


class NotFound(PermanentProviderError):
    """Mem0 has no such entry."""


@contextmanager
def calling_mem0(*, is_addition: bool = False) -> Iterator[Any]:
    """The process's `mem0.MemoryClient`; whatever goes wrong comes out as a ProviderError.

    If nobody knows what became of an addition, that is an UnknownOutcome. Everything else may be repeated, and is
    a TransientProviderError.
    """
    client = _get_client()
    try:
        yield client
    except ProviderError:
        raise
    except Exception as error:
        # Without the original: it quotes the platform's answer, which may repeat what it was sent.
        raise _get_provider_error(error, is_addition=is_addition) from None


def close_client() -> None:
    """Close the connections; the next call makes a new client."""
    global _client
    with _lock:
        if _client is not None:
            _client.client.close()
            _client = None


def _get_client() -> Any:
    """One for all threads, made at the first call and after any fork: the SDK asks the platform for it (C1)."""
    global _client
    if _client is not None:
        return _client
    # Not in a queue: while the platform is silent, each thread before this one would wait for it in full.
    if not _lock.acquire(timeout=TIMEOUT_SECONDS):
        raise TransientProviderError("Mem0 is being asked for already, and does not answer.")
    try:
        if _client is None:
            _client = _make_client()
        return _client
    except Exception as error:
        failure = _get_provider_error(error, is_addition=False)
        if isinstance(failure, PermanentProviderError):  # a 404, say: not what stands behind MEM0_HOST
            failure = MisconfiguredProvider(f"MEM0_HOST or MEM0_API_KEY is wrong. {failure}")
        raise failure from None
    finally:
        _lock.release()


def _make_client() -> Any:
    prepare_sdk()
    from mem0 import MemoryClient

    # It tries each request once. No transport of ours: the environment's proxies would be left out.
    http = httpx.Client(timeout=TIMEOUT_SECONDS, event_hooks={"request": [_refuse_unscoped_deletion]})
    try:
        return MemoryClient(api_key=settings.MEM0_API_KEY, host=settings.MEM0_HOST or None, client=http)
    except BaseException:
        http.close()
        raise


def _refuse_unscoped_deletion(request: httpx.Request) -> None:
    """Let out deletions of one entry and of one person's; any other would be everybody's, whoever asks for it (C2)."""
    if request.method != "DELETE":
        return
    path, query = request.url.path, request.url.query.decode("ascii", "replace")
    is_one_entry = ENTRY_PATH.fullmatch(path) and not query
    is_one_person = path.endswith("/v1/memories/") and re.fullmatch(r"user_id=[1-9][0-9]*", query)
    if not (is_one_entry or is_one_person):
        raise PermanentProviderError("A deletion without a scope was stopped on its way to Mem0.")


def _get_provider_error(error: Exception, *, is_addition: bool) -> ProviderError:
    """Our error for what the SDK raised, which has the response or the kind of failure only as its context (C1, C4)."""
    cause = error if isinstance(error, httpx.HTTPError) else error.__context__
    if isinstance(cause, httpx.HTTPStatusError):
        return _get_refusal(cause.response, is_addition=is_addition)
    kind = type(cause if isinstance(cause, httpx.HTTPError) else error).__name__
    if isinstance(error, httpx.InvalidURL) or isinstance(
        cause, httpx.UnsupportedProtocol | httpx.LocalProtocolError
    ):
        return MisconfiguredProvider(f"MEM0_HOST or MEM0_API_KEY cannot be used ({kind}).")
    if isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return TransientProviderError(f"Mem0 could not be reached ({kind}).")
    if isinstance(error, UnicodeEncodeError) or type(error) is ValueError:  # nothing was sent
        return PermanentProviderError(f"The SDK of Mem0 refused ({kind}).")
    return _get_loss(f"Mem0's answer was lost or could not be read ({kind}).", is_addition=is_addition)


def _get_refusal(response: httpx.Response, *, is_addition: bool) -> ProviderError:
    status = response.status_code
    message = f"Mem0 answered HTTP {status}."
    if status in (401, 403) or status < 400:  # a redirection is followed by nobody
        return MisconfiguredProvider(message)
    if status == 429:
        wish = response.headers.get("Retry-After", "")
        return TransientProviderError(
            message, retry_after=float(wish) if wish.isascii() and wish.isdigit() else None
        )
    is_json = response.headers.get("Content-Type", "").startswith("application/json")
    if status == 404 and is_json:  # a page of HTML is some gateway's, which knows nothing of entries
        return NotFound(message)
    if status in (404, 408) or status >= 500:
        return _get_loss(message, is_addition=is_addition)
    return PermanentProviderError(message)


def _get_loss(message: str, *, is_addition: bool) -> ProviderError:
    return UnknownOutcome(message) if is_addition else TransientProviderError(message)
