"""Requests go to public addresses only, to the one that was checked, and end in time."""

import socket
from typing import Any

import pytest

from tests.doubles.media_hosts import ContentHost, HostedFile
from whatsbot.exceptions import TransientProviderError
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


def test_a_certificate_of_somebody_else_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers in plain text, or with any other certificate, is no https."""
    host = ContentHost()
    try:
        url = f"https://{host.authority}/x"
        with (
            pytest.raises(TransientProviderError, match="SSLError"),
            requesting(url, deadline=Deadline(5), may_be_local=[host.authority]),
        ):
            pass
    finally:
        host.close()


@pytest.fixture
def host() -> Any:
    """A host of this machine."""
    running = ContentHost()
    yield running
    running.close()


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


@pytest.mark.parametrize("trouble", ["drip", "slow_headers", "endless"])
def test_a_response_that_never_ends_is_cut_at_the_deadline(host: ContentHost, trouble: Any) -> None:
    file = HostedFile(b"x" * 1000, "text/plain", trouble=trouble)
    host.files[file.sid] = file
    deadline = Deadline(0.3)
    with (  # noqa: PT012  # the body is read within
        pytest.raises(TransientProviderError),
        requesting(host.get_url(file), deadline=deadline, may_be_local=[host.authority]) as response,
    ):
        while response.read1(65536):
            pass
    assert deadline.seconds_left == 0


def test_what_goes_wrong_is_told_without_the_address(host: ContentHost) -> None:
    host.close()
    with (
        pytest.raises(TransientProviderError) as failed,
        requesting(f"http://{host.authority}/secret", deadline=Deadline(5), may_be_local=[host.authority]),
    ):
        pass
    assert "secret" not in str(failed.value)
    assert "127.0.0.1" not in str(failed.value)
