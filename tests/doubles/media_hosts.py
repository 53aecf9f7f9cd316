"""Where Twilio's media lie: the file behind its address, and the content host that the address redirects to.

The content host stands on a port of its own and remembers every request that brought credentials: a client that sends
them there gives them away (contracts/twilio-whatsapp.md §6). Files can be broken in the ways hostile hosts break them.
"""

import gzip
import secrets
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.doubles.http_server import DoubleHandler, DoubleServer

Trouble = Literal[
    "",
    "drip",  # a byte now and then
    "slow_headers",  # a byte of a header now and then
    "endless",  # more bytes for ever, without a length
    "too_long",  # Content-Length is ten times what comes
    "too_short",  # Content-Length is a tenth of what comes
    "cut",  # the connection ends in the middle, without a length
    "reset",  # the connection is reset in the middle
    "compressed",  # gzip, whatever was asked for
    "gone",  # 403: the link has expired
]
PAUSE = 0.02  # seconds between drops


@dataclass
class HostedFile:
    """One file: what is in it, how its address answers, and how often it was asked for.

    ``not_found`` is how many requests of its address are answered with 404 first; ``location`` where it redirects to,
    if not to the content host; ``status`` what the address answers instead of a redirect, with ``headers``. ``moves``
    is how often the content host redirects to itself before it serves the file.
    """

    content: bytes
    content_type: str
    file_name: str = ""
    disposition: str = ""  # the whole header, instead of one with the file's name
    not_found: int = 0
    redirect_status: int = 307
    location: str | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    moves: int = 0
    trouble: Trouble = ""
    sid: str = field(default_factory=lambda: f"ME{secrets.token_hex(16)}")
    requests: int = 0  # of its address
    fetches: int = 0  # of the file itself
    is_deleted: bool = False


class ContentHandler(DoubleHandler):
    """One connection to the content host."""

    server: "DoubleServer[ContentHost]"

    def do_HEAD(self) -> None:
        """The same without the file."""
        self.do_GET()

    def do_GET(self) -> None:
        """Serve the file, well or badly."""
        host = self.server.double
        if self.headers.get("Authorization"):
            host.credentials_seen.append(self.path)
        file = host.files.get(self.path.strip("/"))
        if file is None:
            return self.write(404, "text/plain", b"")
        file.fetches += 1
        if file.trouble == "gone":
            return self.write(403, "application/xml", b"<Error/>")
        if file.fetches <= file.moves:
            return self.write(302, "text/plain", b"", {"Location": self.path})
        headers = {"Content-Disposition": file.disposition} if file.disposition else {}
        if file.file_name:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.file_name)}"
        if not file.trouble:
            length = {"Content-Length": str(len(file.content))}
            content = b"" if self.command == "HEAD" else file.content
            return self.write(200, file.content_type, content, headers | length)
        self.close_connection = True
        self._serve_badly(file)

    def _serve_badly(self, file: HostedFile) -> None:
        if file.trouble == "slow_headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Filler: ")
            self._drip(b"x")
            return
        self.send_response(200)
        self.send_header("Content-Type", file.content_type)
        body = gzip.compress(file.content) if file.trouble == "compressed" else file.content
        if file.trouble == "compressed":
            self.send_header("Content-Encoding", "gzip")
        length = {"too_long": 10 * len(body), "too_short": max(len(body) // 10, 1), "reset": len(body)}
        if file.trouble in length:
            self.send_header("Content-Length", str(length[file.trouble]))
        self.send_header("Connection", "close")
        self.end_headers()
        if file.trouble == "drip":
            self._drip(body[:1])
        elif file.trouble == "endless":
            while not self.server.double.closing.is_set():
                self.wfile.write(body)
        elif file.trouble in ("cut", "reset"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if file.trouble == "reset":
                self.reset()
        else:
            self.wfile.write(body)

    def _drip(self, drop: bytes) -> None:
        while not self.server.double.closing.is_set():
            self.wfile.write(drop)
            self.wfile.flush()
            time.sleep(PAUSE)


class ContentHost:
    """The host behind the redirects, with https if it has a certificate."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, HostedFile] = {}
        self.credentials_seen: list[str] = []
        self.closing = threading.Event()
        self._is_secure = tls is not None
        self._server = DoubleServer(self, ContentHandler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def authority(self) -> str:
        """``host:port``, for TWILIO_MEDIA_HOSTS."""
        return f"127.0.0.1:{self._server.server_port}"

    def get_url(self, file: HostedFile) -> str:
        """Where a file lies."""
        return f"{'https' if self._is_secure else 'http'}://{self.authority}/{file.sid}"

    def close(self) -> None:
        """Stop; AssertionError if anybody ever sent credentials."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=25)
        self.check()

    def check(self) -> None:
        """AssertionError if anybody ever sent credentials."""
        assert not self.credentials_seen, "credentials were sent to the content host"


def make_certificate(folder: Path, *, name: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate of ``name``, signed by itself: the file to trust it by, and what a server needs."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    trusted, whole = folder / f"{name}.crt", folder / f"{name}.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    whole.write_bytes(secret + trusted.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(whole)
    return trusted, context


@dataclass(frozen=True)
class MediaFetch:
    """One of the two requests Twilio makes for a file that goes out."""

    url: str
    method: str
    status: int
    content_type: str
    content: bytes


def fetch_as_twilio(url: str) -> list[MediaFetch]:
    """Ask for a file as Twilio does before it sends it: HEAD, then GET, without credentials (§6)."""
    with requests.Session() as session:
        session.trust_env = False
        answers = [session.request(method, url, timeout=20) for method in ("HEAD", "GET")]
    return [
        MediaFetch(
            url,
            str(answer.request.method),
            answer.status_code,
            answer.headers.get("Content-Type", ""),
            answer.content,
        )
        for answer in answers
    ]
