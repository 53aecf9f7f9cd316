"""Requests to addresses that others have given us: only to public ones, only where they seemed to lead, never for long.

A host name is looked up here, every address it has is checked, and the connection goes to exactly the one that was
checked, so that a name which changes its mind between two look-ups (DNS rebinding) gains nothing. Redirects are the
caller's affair; proxies, cookies and credentials of the environment do not exist. All of a response, its headers too,
has to come before the deadline: a watchdog cuts the connection, because time-outs between bytes do not end a slow drip.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

import certifi
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout
from urllib3.util.ssl_ import create_urllib3_context

from whatsbot.exceptions import TransientProviderError, WhatsbotError

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 20.0  # between two bytes
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# Of the special registries of IANA, what Python 3.11 takes for public: protocol assignments, 6to4 relays, examples,
# and the site-local addresses of old.
SPECIAL = [
    ipaddress.ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "fec0::/10")
]


class AddressRefused(WhatsbotError):
    """A URL leads where requests of ours do not go."""


class Deadline:
    """A point in time after which nothing is waited for; by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """Seconds until the end, at least 0."""
        return max(self._end - time.monotonic(), 0.0)

    def check(self) -> None:
        """Raise TransientProviderError when it is over."""
        if not self.seconds_left:
            raise TransientProviderError("It took too long.")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, whatever it is wrapped in (RFC 6890, 6052, 3056, 4380)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner:
            return is_public(str(inner))
    if any(ip in network for network in SPECIAL):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def split_url(url: str) -> tuple[SplitResult, str]:
    """The parts of a URL, and its ``host:port``: lower case, the port also where it goes without saying.

    Only https and http, and nobody's name and password. Raises AddressRefused.
    """
    try:
        parts = urlsplit(url)
        port = {"https": 443, "http": 80}[parts.scheme] if parts.port is None else parts.port
    except (KeyError, ValueError):
        raise AddressRefused from None
    host = (parts.hostname or "").rstrip(".")
    if not host or not port or parts.username is not None or parts.password is not None:
        raise AddressRefused
    return parts, f"{host}:{port}"


@contextmanager
def requesting(
    url: str,
    *,
    deadline: Deadline,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    may_be_local: Collection[str] = (),
) -> Iterator[BaseHTTPResponse]:
    """One request; the response's body has not been read yet, and is as it was sent (not decompressed).

    Only https, but for the ``host:port`` in ``may_be_local``: these may be http and private addresses. Raises
    AddressRefused, and TransientProviderError for whatever goes wrong on the way, in the block too.
    """
    parts, authority = split_url(url)
    is_local = authority in may_be_local
    if parts.scheme != "https" and not is_local:
        raise AddressRefused
    deadline.check()
    watch = _Watch(deadline, may_be_private=is_local)
    pool = _make_pool(parts, watch)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with watch:
            response = pool.urlopen(
                method,
                target,
                body=body,
                headers={"Accept-Encoding": "identity", "User-Agent": "Whatsbot"} | (headers or {}),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=Timeout(connect=CONNECT_SECONDS, read=SILENT_SECONDS),
            )
            with response:
                yield response
    except (HTTPError, OSError, ValueError) as error:
        # Without the original, whose text has the address in it.
        raise TransientProviderError(f"The transfer failed: {type(error).__name__}.") from None
    finally:
        pool.close()
    watch.check()


class _Watch:
    """Cuts a connection when the time is over, and knows afterwards that it did."""

    def __init__(self, deadline: Deadline, *, may_be_private: bool) -> None:
        self._deadline = deadline
        self._may_be_private = may_be_private
        self._line: socket.socket | None = None
        self._is_over = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(deadline.seconds_left, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._line is not None:
                self._line.close()

    def check(self) -> None:
        """Raise TransientProviderError if it was cut: an end that was made looks like one that came."""
        if self._is_over:
            raise TransientProviderError("It took too long.")

    def connect(self, host: str, port: int) -> socket.socket:
        """Connect to an address the name has; all of them have to be public.

        Raises AddressRefused, OSError, and TransientProviderError when the time is over. A look-up itself cannot be cut
        short: it takes what the system's resolver allows.
        """
        if not self._may_be_private and _is_private_literal(host):
            raise AddressRefused  # also where this machine could not reach it at all
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not self._may_be_private and not all(is_public(str(each[4][0])) for each in found):
            raise AddressRefused
        failure = OSError("The name has no address.")
        for family, kind, protocol, _, address in found:
            self._deadline.check()
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(min(CONNECT_SECONDS, self._deadline.seconds_left) or 0.01)
                connection.connect(address)
                connection.settimeout(SILENT_SECONDS)
                self._hold(connection)
            except OSError as error:
                connection.close()
                failure = error
                continue
            except BaseException:
                connection.close()
                raise
            return connection
        raise failure

    def _hold(self, connection: socket.socket) -> None:
        """Keep a handle of our own: TLS takes the descriptor away from ``connection``, for another object."""
        with self._lock:
            self.check()  # it came to its end before there was anything to cut
            self._line = connection.dup()

    def _cut(self) -> None:
        with self._lock:
            self._is_over = True
            if self._line is not None:
                with suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        return False


@cache
def _get_tls() -> ssl.SSLContext:
    """The authorities we trust: reading them takes 13 ms, so it is done once."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(certifi.where())
    return context


def _make_pool(parts: SplitResult, watch: _Watch) -> HTTPConnectionPool:
    """A pool for one request, whose connections are made by the watch."""
    host = parts.hostname or ""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return watch.connect(host, parts.port or 80)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return watch.connect(host, parts.port or 443)

    arguments: dict[str, Any] = {"host": parts.hostname, "port": parts.port, "maxsize": 1}
    if parts.scheme == "https":
        pool = HTTPSConnectionPool(**arguments, cert_reqs="CERT_REQUIRED", ssl_context=_get_tls())
        pool.ConnectionCls = Secure
        return pool
    plain = HTTPConnectionPool(**arguments)
    plain.ConnectionCls = Plain
    return plain
