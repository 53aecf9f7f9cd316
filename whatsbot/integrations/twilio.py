"""Twilio: proof that a request is Twilio's, messages out, what became of them, typing dots.

Facts are from contracts/twilio-whatsapp.md. The SDK costs 0.2 s and 20 MB, so it is imported where a call is
made; the web process checks signatures only and loads ``twilio.request_validator`` alone (1 ms).
"""

import base64
import hmac
import ipaddress
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from django.conf import settings
from django.http import QueryDict

from whatsbot.exceptions import (
    MisconfiguredProvider,
    PermanentProviderError,
    ProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from whatsbot.integrations.twilio_errors import get_provider_error, raise_for_status, without_text

if TYPE_CHECKING:
    from twilio.rest import Client

log = logging.getLogger(__name__)

# Seconds to connect, and to wait for each next byte. Typing dots that are late are of no use.
TIMEOUT = 10.0
TYPING_TIMEOUT = 3.0
# A gateway on the way forgets a quiet connection (after 350 s, say); the next send on it would have an
# unknown outcome.
MAX_IDLE_SECONDS = 30.0
PAGE_SIZE = 50
NOT_FOUND = 20404  # Twilio's code


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message Twilio has taken from us. Status and error code are its own, the time is in whole seconds."""

    sid: str
    status: str
    body: str
    num_media: int
    created_at: datetime | None
    error_code: int | None


def is_signed_by_twilio(
    *,
    url: str,
    params: Mapping[str, str] | QueryDict,
    signature: str | None,
    tokens: Sequence[str],
    settings_header: str | None = None,
) -> bool:
    """Whether ``signature`` (X-Twilio-Signature) covers a form POST to ``url`` under one of ``tokens`` (§4).

    ``params`` is ``request.POST`` untouched; the caller may trust it and the URL, and nothing else of the
    request. ``settings_header`` is X-Twilio-Webhooks-Signature-Settings: what a shared key signed fails, as
    we have none. Never raises: what is odd is not signed. Equal to the SDK's ``RequestValidator.validate``
    in a third of its time (the tests compare them).
    """
    from twilio.request_validator import HMAC_SHA1, add_port, get_signature_algorithm, remove_port

    if not isinstance(signature, str):
        return False
    try:
        if get_signature_algorithm(settings_header) != HMAC_SHA1:
            return False
        address, fields, claimed = urlparse(url), _join_fields(params), signature.encode()
        # Twilio is not consistent about naming the port: either spelling will do.
        spellings = [(spell(address) + fields).encode() for spell in (remove_port, add_port)]
        return any(
            hmac.compare_digest(_compute_signature(text, token=token), claimed)
            for token in tokens
            if token  # anybody can sign with an empty key
            for text in spellings
        )
    except (TypeError, ValueError):
        return False


def sign(*, url: str, params: Mapping[str, str] | QueryDict, token: str) -> str:
    """The X-Twilio-Signature of a form POST to ``url``, as Twilio computes it (§4)."""
    return _compute_signature((url + _join_fields(params)).encode(), token=token).decode()


def _join_fields(params: Mapping[str, str] | QueryDict) -> str:
    if isinstance(params, QueryDict):
        pairs = [name + value for name in sorted(params) for value in sorted(set(params.getlist(name)))]
    else:
        pairs = [name + params[name] for name in sorted(params)]
    return "".join(pairs)


def _compute_signature(text: bytes, *, token: str) -> bytes:
    return base64.b64encode(hmac.digest(token.encode(), text, "sha1"))


def send_message(*, to: str, from_: str, body: str, status_callback: str, media_url: str = "") -> SentMessage:
    """Send one text to a channel address; Twilio reports to ``status_callback`` what becomes of it (§7).

    ``media_url`` is a file that goes with it, fetched by Twilio without credentials (§6); then the text may be empty.
    Raises TransientProviderError (not sent), PermanentProviderError (refused; MisconfiguredProvider if it is
    our fault) or UnknownOutcome: there is no idempotency key, so look it up before trying again.
    """
    with _calling_twilio(TIMEOUT) as client:
        content: dict[str, Any] = {"body": body} if body else {}
        if media_url:
            content["media_url"] = [media_url]
        sent = client.messages.create(to=to, from_=from_, status_callback=status_callback, **content)
        if not isinstance(sent.sid, str) or not sent.sid.startswith(("SM", "MM")):
            raise UnknownOutcome("Twilio took the message without naming it.")
        return _get_sent_message(sent)


def list_sent_messages(*, to: str, from_: str, since: datetime) -> list[SentMessage]:
    """What we sent from one address to another at ``since`` or later, among their last 100 messages.

    For finding out what an unknown outcome was (§8): compare the bodies and leave out SIDs that are known.
    Messages carry whole seconds, so ``since`` is rounded down to one; how far the two clocks may differ is
    the caller's to allow for. Raises TransientProviderError or PermanentProviderError.
    """
    earliest = since.replace(microsecond=0)
    try:
        with _calling_twilio(TIMEOUT) as client:
            page = client.messages.page(to=to, from_=from_, page_size=PAGE_SIZE)
            found = [*page, *(page.next_page() or ())]  # .list(limit=…) would follow empty pages for ever
    except UnknownOutcome as exc:
        raise TransientProviderError(str(exc), code=exc.code) from exc  # reading changes nothing
    return [
        _get_sent_message(message)
        for message in found
        if message.direction == "outbound-api" and message.date_created and message.date_created >= earliest
    ]


def fetch_sent_message(sid: str) -> SentMessage | None:
    """What Twilio says now of a message we sent, or None if it has no such message.

    Raises TransientProviderError or PermanentProviderError.
    """
    try:
        with _calling_twilio(TIMEOUT) as client:
            message = client.messages(sid).fetch()
            if message.sid != sid:
                raise UnknownOutcome("Twilio's answer is about no message.")
            return _get_sent_message(message)
    except UnknownOutcome as exc:
        raise TransientProviderError(str(exc), code=exc.code) from exc  # reading changes nothing
    except PermanentProviderError as exc:
        if exc.code == NOT_FOUND:
            return None
        raise


def send_typing_indicator(*, message_sid: str) -> None:
    """Show typing dots, and that a message was read. Best effort: a failure is logged, not raised (§7)."""
    try:
        with _calling_twilio(TYPING_TIMEOUT) as client:
            client.messaging.v2.typing_indicator.create(channel="whatsapp", message_id=message_sid)
    except ProviderError as error:
        log.info("no typing dots for %s: %s", message_sid, error)


def _get_sent_message(message: Any) -> SentMessage:
    return SentMessage(
        sid=message.sid,
        status=message.status or "queued",  # where every message begins (§5)
        body=message.body or "",
        num_media=int(message.num_media) if str(message.num_media or "").isdigit() else 0,
        created_at=message.date_created,
        error_code=message.error_code if isinstance(message.error_code, int) else None,
    )


@contextmanager
def _calling_twilio(seconds: float) -> Iterator["Client"]:
    """This thread's client, with a time-out of ``seconds``; every failure comes out as a ProviderError."""
    client = _get_client(seconds)
    try:
        yield client
    except ProviderError:
        raise
    except Exception as exc:
        raise get_provider_error(exc) from without_text(exc)


_thread = threading.local()


def _get_client(seconds: float) -> "Client":
    """The client of this thread, with a connection that is fresh enough and a time-out of ``seconds``.

    One for each thread: a client keeps its time-out and its last answer in attributes, and its session keeps
    six connections at most, while 32 threads send.
    """
    sid, tokens = settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKENS
    if not sid or not tokens:
        raise MisconfiguredProvider("TWILIO_ACCOUNT_SID or TWILIO_AUTH_TOKEN is not set.")
    made_for = (sid, tokens[0], settings.TWILIO_API_BASE_URL)
    if getattr(_thread, "made_for", None) != made_for:
        _thread.client, _thread.made_for = _make_client(*made_for), made_for
    elif time.monotonic() - _thread.used_at > MAX_IDLE_SECONDS:
        _thread.client.http_client.session.close()  # it opens a new connection by itself
    _thread.used_at = time.monotonic()
    _thread.client.http_client.timeout = seconds
    return _thread.client


def _make_client(sid: str, token: str, base_url: str) -> "Client":
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    http = TwilioHttpClient(request_hooks={"response": raise_for_status})
    client = Client(sid, token, http_client=http)
    if base_url:
        client.api.base_url = client.messaging.base_url = base_url
        client.edge = client.region = None  # TWILIO_EDGE and TWILIO_REGION would rewrite our host
        http.session.trust_env = not _is_loopback(base_url)  # an operator's proxy is not for this machine
    return client


def _is_loopback(url: str) -> bool:
    host = urlparse(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
