"""Files of inbound messages, fetched from Twilio without trusting where it sends us (contracts/twilio-whatsapp.md §6).

The first hop goes to Twilio's own media address of the very message, with our credentials; the redirects behind it are
followed by hand, without them, to Twilio's content hosts only.
"""

import base64
import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urljoin, urlsplit

import regex
from django.conf import settings
from urllib3 import BaseHTTPResponse

from whatsbot.exceptions import (
    MediaNotThereYet,
    MediaRefused,
    MisconfiguredProvider,
    PermanentProviderError,
    TransientProviderError,
)
from whatsbot.integrations.guarded_http import AddressRefused, Deadline, requesting, split_url

API = "https://api.twilio.com"
REGIONAL_API = r"api\.(?:[a-z0-9-]+\.){1,2}twilio\.com"  # of an edge and a region, or of a region
CONTENT_DOMAINS = ("twiliocdn.com", "amazonaws.com")
MOST_REDIRECTS = 3
REDIRECTS = (301, 302, 303, 307, 308)
CHUNK = 256 * 1024
LONGEST_NAME = 255
MEDIA_SID = r"ME[0-9a-f]{32}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that was fetched: where it lies, its SHA-256 in hex, its bytes, and what its host called it, or ""."""

    path: Path
    sha256: str
    size: int
    file_name: str


def download_media(
    url: str,
    *,
    message_sid: str,
    directory: Path,
    max_bytes: int | None = None,
    deadline: float | None = None,
) -> Download:
    """Fetch one file of a message into a new file in ``directory``, hashed on the way and never whole in memory.

    ``max_bytes`` and ``deadline`` (seconds, over all hops) are those of the settings if not given. Raises MediaRefused
    (an address that is not Twilio's, too many bytes, none), MediaNotThereYet, TransientProviderError and
    MisconfiguredProvider; then nothing is left in the directory.
    """
    most = settings.MEDIA_MAX_BYTES if max_bytes is None else max_bytes
    end = Deadline(settings.MEDIA_DEADLINE_SECONDS if deadline is None else deadline)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:  # 0600
        try:
            with _following(url, message_sid=message_sid, deadline=end) as response:
                download = _save(response, file, max_bytes=most, deadline=end)
            file.flush()
        except BaseException as error:
            Path(file.name).unlink(missing_ok=True)
            if isinstance(error, AddressRefused):
                raise MediaRefused("address") from None
            raise
    return download


def delete_media(url: str, *, message_sid: str, deadline: float = 10.0) -> None:
    """Delete Twilio's copy of a file; one that is gone counts as deleted. Raises ProviderError and MediaRefused."""
    try:
        _check_first(url, message_sid=message_sid)
        with requesting(
            f"{url}.json",
            method="DELETE",
            deadline=Deadline(deadline),
            headers=_get_credentials(),
            may_be_local=_get_local(),
        ) as response:
            if response.status not in (204, 404):
                _check_status(response, is_first=True)
                raise PermanentProviderError("Twilio did not delete the media.")
    except AddressRefused:
        raise MediaRefused("address") from None


@contextmanager
def _following(url: str, *, message_sid: str, deadline: Deadline) -> Iterator[BaseHTTPResponse]:
    """The response at the end of the redirects. Raises AddressRefused and ProviderError."""
    _check_first(url, message_sid=message_sid)
    headers = _get_credentials()
    for hop in range(MOST_REDIRECTS + 1):
        with requesting(url, deadline=deadline, headers=headers, may_be_local=_get_local()) as response:
            if response.status not in REDIRECTS:
                _check_status(response, is_first=hop == 0)
                yield response
                return
            target = response.headers.get("Location", "")
            if not target:
                raise TransientProviderError("A redirect led nowhere.", code=response.status)
        url, headers = _check_next(url, target=target), {}
    raise AddressRefused


def _check_first(url: str, *, message_sid: str) -> None:
    """Only the address at which Twilio keeps the media of this message, letter for letter."""
    bases = {API, settings.TWILIO_API_BASE_URL.rstrip("/") or API}
    bases |= {f"https://{each}" for each in settings.TWILIO_MEDIA_HOSTS if re.fullmatch(REGIONAL_API, each)}
    account, message = re.escape(settings.TWILIO_ACCOUNT_SID), re.escape(message_sid)
    tail = rf"/2010-04-01/Accounts/{account}/Messages/{message}/Media/{MEDIA_SID}"
    base = next((base for base in bases if url.startswith(f"{base}/")), None)
    if base is None or not re.fullmatch(tail, url[len(base) :]):
        raise AddressRefused


def _check_next(url: str, *, target: str) -> str:
    """Where a redirect leads, if that is a host of Twilio's content. Raises AddressRefused."""
    try:
        url = urljoin(url, target)
    except ValueError:
        raise AddressRefused from None
    parts, authority = split_url(url)
    host, _, port = authority.rpartition(":")
    is_content = port == "443" and any(host.endswith(f".{domain}") for domain in CONTENT_DOMAINS)
    if not (is_content and parts.scheme == "https") and authority not in _get_named():
        raise AddressRefused
    return url


def _get_named() -> set[str]:
    """The hosts an operator has named, and the simulator's own, as ``host:port``."""
    return {split_url(f"https://{each}")[1] for each in settings.TWILIO_MEDIA_HOSTS} | _get_local_api()


def _get_local_api() -> set[str]:
    """The host of ``TWILIO_API_BASE_URL``, if that is this machine."""
    url = settings.TWILIO_API_BASE_URL
    return {split_url(url)[1]} if _is_loopback(urlsplit(url).hostname or "") else set()


def _get_local() -> set[str]:
    """Those of them that may be this machine, and need no https."""
    return {each for each in _get_named() if _is_loopback(each.rpartition(":")[0])}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _get_credentials() -> dict[str, str]:
    if not settings.TWILIO_AUTH_TOKENS:
        raise MisconfiguredProvider("TWILIO_AUTH_TOKEN is not set.")
    both = f"{settings.TWILIO_ACCOUNT_SID}:{settings.TWILIO_AUTH_TOKENS[0]}"
    return {"Authorization": f"Basic {base64.b64encode(both.encode()).decode()}"}


def _check_status(response: BaseHTTPResponse, *, is_first: bool) -> None:
    """Raise what a status other than 200 means. A link that has expired is made anew by beginning again."""
    status = response.status
    if status == 200:
        return
    if status == 404:
        raise MediaNotThereYet(code=status)
    if status == 410:
        raise MediaRefused("gone")
    if status in (401, 403) and is_first:
        raise MisconfiguredProvider("Twilio refuses our credentials for media.", code=status)
    raise TransientProviderError(
        f"The media host answered {status}.", code=status, retry_after=_get_retry_after(response)
    )


def _get_retry_after(response: BaseHTTPResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _save(response: BaseHTTPResponse, file: IO[bytes], *, max_bytes: int, deadline: Deadline) -> Download:
    announced = response.headers.get("Content-Length", "")
    if announced.isascii() and announced.isdecimal() and int(announced) > max_bytes:
        raise MediaRefused("too_big")
    sha256, size = _copy(response, file, max_bytes=max_bytes)
    deadline.check()  # a connection that was cut ends like a file
    if not size:
        raise MediaRefused("empty")
    return Download(path=Path(file.name), sha256=sha256, size=size, file_name=_get_file_name(response))


def _copy(response: BaseHTTPResponse, file: IO[bytes], *, max_bytes: int) -> tuple[str, int]:
    """SHA-256 in hex and number of bytes. Raises MediaRefused when there are too many.

    ``read1`` gives what has come, at most a chunk, and fails if there is less than was announced.
    """
    digest, size = hashlib.sha256(), 0
    while chunk := response.read1(CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise MediaRefused("too_big")
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest(), size


def _get_file_name(response: BaseHTTPResponse) -> str:
    """What Content-Disposition calls the file (RFC 6266), without folders and what cannot be seen."""
    header = Message()
    header["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    fields = header.get_params([], "Content-Disposition")
    names = [value for field, value in fields if field.lower() == "filename"]
    value = names[-1] if names else ""  # filename* comes last, and wins
    try:
        text = collapse_rfc2231_value(value)
    except (LookupError, ValueError):
        return ""  # in a character set that is none
    if isinstance(value, str):
        with suppress(UnicodeError):
            text = text.encode("latin-1").decode()  # against the RFC; headers are read as Latin-1
    name = PurePosixPath(text.replace("\\", "/")).name
    return regex.sub(r"[\p{C}\p{Zl}\p{Zp}]", "", name)[:LONGEST_NAME].strip(" .")
