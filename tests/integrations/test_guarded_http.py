"""Requests go to public addresses only, to the one that was checked, and end in time."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from tests.doubles.media_hosts import ContentHost, HostedFile, Trouble, make_certificate
from whatsbot.exceptions import TransientProviderError
from whatsbot.integrations import guarded_http
from whatsbot.integrations.guarded_http import AddressRefused, Deadline, is_public, requesting


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),  # NAT64 of 127.0.0.1 and 169.254.169.254
        *("2002:7f00:1::", "2002:a9fe:a9fe::1"),  # 6to4 of the same
        "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
        *("64:ff9b:1::a00:1", "::7f00:1"),  # NAT64 within a network, and IPv4-compatible
        *("fec0::1", "3fff::1", "192.0.0.8", "192.88.99.1"),  # public to Python 3.11
    ],
)
def test_addresses_that_are_not_of_the_public_internet_are_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "54.231.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://bot.example.com/x",
        "ftp://bot.example.com/x",
        "file:///etc/passwd",
        "https:///x",
        "https://user:secret@bot.example.com/x",
        "https://user@bot.example.com/x",
        "https://bot.example.com:99999/x",
        "https://bot.example.com:0/x",
        "https://@bot.example.com/x",
        "https://[::1/x",
        "https://[bot]/x",
        "https://.:443/x",
        "//bot.example.com/x",
        "",
    ],
)
def test_urls_of_other_kinds_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused), requesting(url, deadline=Deadline(5)):
        pass


# The guard of all tests fails one that connects to, or looks up, another machine: a refusal comes before both.
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "localhost", "127.1", "2130706433", "0x7f000001", "169.254.169.254", "10.0.0.1"],
)
def test_numbers_of_private_addresses_are_refused_however_they_are_written(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _ORIGINAL)
    with pytest.raises(AddressRefused), requesting(f"https://{host}/x", deadline=Deadline(5)):
        pass


_ORIGINAL = socket.getaddrinfo


def answer_look_ups(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name have these addresses; returns the names that are looked up."""
    asked = []

    def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        asked.append(host)
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, addresses, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("::ffff:169.254.169.254",)])
def test_a_name_with_any_private_address_is_refused(
    addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_look_ups(monkeypatch, *addresses)
    with pytest.raises(AddressRefused), requesting("https://cdn.example.com/x", deadline=Deadline(5)):
        pass


def test_the_address_that_was_checked_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer_look_ups(monkeypatch, "8.8.8.8")
    reached = []

    def connect(self: socket.socket, address: Any) -> None:
        reached.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    with (
        pytest.raises(TransientProviderError),
        requesting("https://cdn.example.com/x", deadline=Deadline(5)),
    ):
        pass
    assert asked == ["cdn.example.com"]
    assert reached == [("8.8.8.8", 443)]


def test_an_address_that_does_not_answer_is_followed_by_the_next(
    host: ContentHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo
    dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [dead, *look_up(*args, **kwargs)])
    assert fetch(host, HostedFile(b"hello", "text/plain")) == b"hello"


def test_a_connection_the_system_forbids_is_an_ordinary_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(self: socket.socket, address: Any) -> None:
        raise PermissionError

    answer_look_ups(monkeypatch, "8.8.8.8")
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(TransientProviderError), requesting("https://cdn.example.com/x", deadline=Deadline(5)):
        pass


@pytest.fixture
def host() -> Iterator[ContentHost]:
    """A host of this machine."""
    running = ContentHost()
    yield running
    running.close()


@pytest.fixture
def secure_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ContentHost]:
    """A host of this machine with https, for the name localhost; its certificate is trusted."""
    trusted, tls = make_certificate(tmp_path, name="localhost")
    running = ContentHost(tls=tls)
    monkeypatch.setattr(certifi, "where", lambda: str(trusted))
    guarded_http._get_tls.cache_clear()
    yield running
    guarded_http._get_tls.cache_clear()
    running.close()


def fetch(host: ContentHost, file: HostedFile, *, name: str = "127.0.0.1", seconds: float = 5) -> bytes:
    """A file of a host, asked for by one of the host's names."""
    host.files[file.sid] = file
    url, authority = (each.replace("127.0.0.1", name) for each in (host.get_url(file), host.authority))
    body = b""
    with requesting(url, deadline=Deadline(seconds), may_be_local=[authority]) as response:
        while chunk := response.read1(65536):
            body += chunk
    return body


HELLO = HostedFile(b"hello", "text/plain")


def test_https_is_spoken_with_the_name_that_was_asked_for(secure_host: ContentHost) -> None:
    names: list[str | None] = []
    secure_host._server.socket.context.sni_callback = lambda line, name, context: names.append(name)  # type: ignore[attr-defined]
    assert fetch(secure_host, HELLO, name="localhost") == b"hello"
    assert names == ["localhost"]


def test_a_certificate_of_another_name_is_not_accepted(secure_host: ContentHost) -> None:
    with pytest.raises(TransientProviderError, match="SSLError"):
        fetch(secure_host, HELLO, name="127.0.0.1")


def test_a_certificate_nobody_has_signed_is_not_accepted(
    secure_host: ContentHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    guarded_http._get_tls.cache_clear()
    with pytest.raises(TransientProviderError, match="SSLError"):
        fetch(secure_host, HELLO, name="localhost")


def test_what_answers_in_plain_text_is_no_https(host: ContentHost) -> None:
    url = f"https://{host.authority}/x"
    with (
        pytest.raises(TransientProviderError, match="SSLError"),
        requesting(url, deadline=Deadline(5), may_be_local=[host.authority]),
    ):
        pass


def test_a_host_that_is_named_may_be_this_machine(host: ContentHost) -> None:
    file = HostedFile(b"hello", "text/plain")
    host.files[file.sid] = file
    with requesting(host.get_url(file), deadline=Deadline(5), may_be_local=[host.authority]) as response:
        assert (response.status, response.read()) == (200, b"hello")
    with pytest.raises(AddressRefused), requesting(host.get_url(file), deadline=Deadline(5)):
        pass


def test_the_environment_names_no_proxy(host: ContentHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    file = HostedFile(b"hello", "text/plain")
    host.files[file.sid] = file
    with requesting(host.get_url(file), deadline=Deadline(5), may_be_local=[host.authority]) as response:
        assert response.status == 200


def test_a_connection_ends_with_its_request() -> None:
    left: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                left.append(connection.recv(1))

        thread = threading.Thread(target=answer)
        thread.start()
        authority = f"127.0.0.1:{server.getsockname()[1]}"
        gc.disable()  # it is not for the collector to find it
        try:
            with requesting(f"http://{authority}/", deadline=Deadline(5), may_be_local=[authority]):
                pass
            thread.join()
        finally:
            gc.enable()
    assert left == [b""]


def test_no_credentials_lie_about_in_the_environment(
    host: ContentHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fetch(host, HELLO)
    assert host.credentials_seen == []


ENDLESS: list[Trouble] = ["drip", "slow_headers", "endless"]


@pytest.mark.parametrize("trouble", ENDLESS)
def test_a_response_that_never_ends_is_cut_at_the_deadline(host: ContentHost, trouble: Trouble) -> None:
    started = time.monotonic()
    with pytest.raises(TransientProviderError):
        fetch(host, HostedFile(b"x" * 1000, "text/plain", trouble=trouble), seconds=0.3)
    assert 0.3 <= time.monotonic() - started < 3


# TLS takes the descriptor of a socket over: what cut the one in the clear would cut nothing here.
@pytest.mark.parametrize("trouble", ENDLESS)
def test_https_that_never_ends_is_cut_at_the_deadline_too(secure_host: ContentHost, trouble: Trouble) -> None:
    started = time.monotonic()
    with pytest.raises(TransientProviderError):
        fetch(
            secure_host,
            HostedFile(b"x" * 1000, "text/plain", trouble=trouble),
            name="localhost",
            seconds=0.3,
        )
    assert 0.3 <= time.monotonic() - started < 3


def test_a_handshake_that_never_comes_is_cut_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_http, "SILENT_SECONDS", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        authority = f"127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with (
            pytest.raises(TransientProviderError),
            requesting(f"https://{authority}/x", deadline=Deadline(0.3), may_be_local=[authority]),
        ):
            pass
    assert 0.3 <= time.monotonic() - started < 3


def test_a_look_up_that_took_all_the_time_leaves_none_for_the_rest(
    host: ContentHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def dawdle(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.2)
        return look_up(*args, **kwargs)

    reached: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", dawdle)
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached.append(address))
    with pytest.raises(TransientProviderError, match="too long"):
        fetch(host, HELLO, seconds=0.1)
    assert reached == []


@pytest.mark.parametrize("trouble", ENDLESS)
def test_a_connection_that_comes_as_the_time_ends_is_not_used(
    host: ContentHost, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.socket.connect

    def dawdle(self: socket.socket, address: Any) -> None:
        time.sleep(0.2)
        self.settimeout(5)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", dawdle)
    file = HostedFile(b"x" * 1000, "text/plain", trouble=trouble)
    with pytest.raises(TransientProviderError, match="too long"):
        fetch(host, file, seconds=0.1)
    assert file.fetches == 0


def test_what_goes_wrong_is_told_without_the_address(host: ContentHost) -> None:
    host.close()
    with (
        pytest.raises(TransientProviderError) as failed,
        requesting(f"http://{host.authority}/secret", deadline=Deadline(5), may_be_local=[host.authority]),
    ):
        pass
    assert "secret" not in str(failed.value)
    assert "127.0.0.1" not in str(failed.value)
