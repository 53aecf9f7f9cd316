"""Files are fetched from Twilio only, whole or not at all, and nobody else ever sees our credentials."""

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.twilio import TwilioDouble
from tests.settings import ACCOUNT_SID
from whatsbot.exceptions import (
    MediaNotThereYet,
    MediaRefused,
    MisconfiguredProvider,
    TransientProviderError,
)
from whatsbot.integrations.twilio_media import Download, delete_media, download_media

SID = "MM0123456789abcdef0123456789abcdef"
MEDIA = "ME0123456789abcdef0123456789abcdef"
PICTURE = bytes(range(256)) * 1000


def fetch(double: TwilioDouble, folder: Path, *, content: bytes = PICTURE, **details: Any) -> Download:
    """Fetch a file that the account has; ``max_bytes`` and ``deadline`` are ours, the rest the file's."""
    ours = {name: details.pop(name) for name in ("max_bytes", "deadline") if name in details}
    file = double.add_media(SID, content, "image/jpeg", **details)
    return download_media(double.get_media_url(SID, file), message_sid=SID, directory=folder, **ours)


def test_a_file_is_fetched_and_hashed(twilio_double: TwilioDouble, tmp_path: Path) -> None:
    folder = tmp_path / "incoming"
    download = fetch(twilio_double, folder, file_name="lease.pdf")
    assert download.path.read_bytes() == PICTURE
    assert download.sha256 == hashlib.sha256(PICTURE).hexdigest()
    assert (download.size, download.file_name) == (len(PICTURE), "lease.pdf")
    assert download.path.parent == folder
    assert download.path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_followed_without_credentials(
    twilio_double: TwilioDouble, tmp_path: Path, status: int
) -> None:
    assert fetch(twilio_double, tmp_path, redirect_status=status).size == len(PICTURE)
    assert twilio_double.content.credentials_seen == []


def test_a_file_that_is_still_on_its_way_is_told_apart(twilio_double: TwilioDouble, tmp_path: Path) -> None:
    with pytest.raises(MediaNotThereYet):
        fetch(twilio_double, tmp_path, not_found=1)
    (file,) = twilio_double.media
    url = twilio_double.get_media_url(SID, file)
    assert download_media(url, message_sid=SID, directory=tmp_path).size == len(PICTURE)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, MisconfiguredProvider),
        (403, MisconfiguredProvider),
        (404, MediaNotThereYet),
        (429, TransientProviderError),
        (500, TransientProviderError),
        (503, TransientProviderError),
        (206, TransientProviderError),
    ],
)
def test_what_twilio_answers_instead_is_told_by_its_kind(
    twilio_double: TwilioDouble, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        fetch(twilio_double, tmp_path, status=status)


def test_a_file_that_is_gone_for_good_is_refused(twilio_double: TwilioDouble, tmp_path: Path) -> None:
    with pytest.raises(MediaRefused, match="gone"):
        fetch(twilio_double, tmp_path, status=410)


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("127.0.0.1", "localhost"),
        lambda url: url.replace("http://", "https://"),
        lambda url: url.replace("http://", "http://user:secret@"),
        lambda url: url.replace("http://", "//"),
        lambda url: url + "?x=1",
        lambda url: url + "#x",
        lambda url: url + "/",
        lambda url: url + ".json",
        lambda url: url + "\n",
        lambda url: url.replace("/Media/", "/Media/../Media/"),
        lambda url: url.replace("/Media/", "/Media%2F"),
        lambda url: url.replace(SID, "MM" + "f" * 32),
        lambda url: url.replace(ACCOUNT_SID, "AC" + "f" * 32),
        lambda url: url.replace("2010-04-01", "2010-04-02"),
        lambda url: url.replace("/Media/ME", "/Media/SM"),
        lambda url: "https://api.twilio.com.evil.example" + url[url.index("/2010") :],
        lambda url: "https://evil.example" + url[url.index("/2010") :],
        lambda url: "https://api.twilio.com@evil.example" + url[url.index("/2010") :],
        lambda url: "https://api.twilio.com:8443" + url[url.index("/2010") :],
        lambda url: "http://api.twilio.com" + url[url.index("/2010") :],
        lambda url: "https://media.twiliocdn.com" + url[url.index("/2010") :],
        lambda url: "http://169.254.169.254/latest/meta-data",
        lambda url: "file:///etc/passwd",
        lambda url: "",
    ],
)
def test_only_the_address_of_this_very_message_gets_our_credentials(
    twilio_double: TwilioDouble, tmp_path: Path, change: Any
) -> None:
    url = f"{twilio_double.base_url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{SID}/Media/{MEDIA}"
    with pytest.raises(MediaRefused, match="address"):
        download_media(change(url), message_sid=SID, directory=tmp_path)
    assert twilio_double.requests == []


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/x",
        "https://evil-twiliocdn.com/x",
        "https://twiliocdn.com.evil.example/x",
        "https://twiliocdn.com/x",
        "https://notamazonaws.com/x",
        "http://media.twiliocdn.com/x",
        "https://media.twiliocdn.com:8443/x",
        "https://user:secret@media.twiliocdn.com/x",
        "https://media.twiliocdn.com@evil.example/x",
        "https://evil.example\\@media.twiliocdn.com/x",
        "//evil.example/x",
        "https:evil.example",
        "http://127.0.0.1:9/x",
        "http://[::1]:9/x",
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/x",
        "file:///etc/passwd",
        "ftp://media.twiliocdn.com/x",
        "gopher://127.0.0.1/x",
        "https://",
    ],
)
def test_redirects_to_other_places_are_refused_before_anything_is_sent(
    twilio_double: TwilioDouble, tmp_path: Path, location: str
) -> None:
    with pytest.raises(MediaRefused, match="address"):
        fetch(twilio_double, tmp_path, location=location)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
def test_a_content_host_with_a_private_address_is_refused(
    twilio_double: TwilioDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    look_up = socket.getaddrinfo

    def answer(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "media.twiliocdn.com":
            return look_up(host, port, *args, **kwargs)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(MediaRefused, match="address"):
        fetch(twilio_double, tmp_path, location="https://media.twiliocdn.com/x")


def test_content_hosts_are_told_by_their_whole_name(
    twilio_double: TwilioDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        raise socket.gaierror

    original = socket.getaddrinfo
    for host in ("media.twiliocdn.com", "mms.twiliocdn.com", "s3-external-1.amazonaws.com"):
        file = twilio_double.add_media(SID, PICTURE, "image/jpeg", location=f"https://{host}/x")
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda name, *args, **kwargs: (original if name == "127.0.0.1" else look_up)(
                name, *args, **kwargs
            ),
        )
        with pytest.raises(TransientProviderError):
            download_media(twilio_double.get_media_url(SID, file), message_sid=SID, directory=tmp_path)
    assert asked == ["media.twiliocdn.com", "mms.twiliocdn.com", "s3-external-1.amazonaws.com"]


def test_redirects_without_end_are_refused(twilio_double: TwilioDouble, tmp_path: Path) -> None:
    file = twilio_double.add_media(SID, PICTURE, "image/jpeg")
    url = twilio_double.get_media_url(SID, file)
    file.location = url
    with pytest.raises((MediaRefused, TransientProviderError)):
        download_media(url, message_sid=SID, directory=tmp_path)
    assert file.requests <= 4


def test_the_second_hop_back_to_twilio_gets_no_credentials_either(
    twilio_double: TwilioDouble, tmp_path: Path
) -> None:
    other = twilio_double.add_media(SID, b"another", "image/jpeg")
    with pytest.raises(TransientProviderError):  # 401: nobody has told it who we are
        fetch(twilio_double, tmp_path, location=twilio_double.get_media_url(SID, other))
    assert other.requests == 0


def test_a_relative_redirect_stays_where_it_is_and_has_no_credentials(
    twilio_double: TwilioDouble, tmp_path: Path
) -> None:
    with pytest.raises((TransientProviderError, MediaRefused)):
        fetch(twilio_double, tmp_path, location="/somewhere")


def test_too_many_bytes_are_refused_whatever_the_headers_say(
    twilio_double: TwilioDouble, tmp_path: Path
) -> None:
    for trouble in ("", "endless", "too_long"):
        with pytest.raises(MediaRefused, match="too_big"):
            fetch(twilio_double, tmp_path, max_bytes=len(PICTURE) - 1, trouble=trouble)
    assert fetch(twilio_double, tmp_path, max_bytes=len(PICTURE)).size == len(PICTURE)
    assert len(list(tmp_path.iterdir())) == 1


def test_no_bytes_at_all_are_refused(twilio_double: TwilioDouble, tmp_path: Path) -> None:
    with pytest.raises(MediaRefused, match="empty"):
        fetch(twilio_double, tmp_path, content=b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("trouble", ["drip", "slow_headers"])
def test_a_slow_drip_is_cut_at_the_deadline_and_tried_again(
    twilio_double: TwilioDouble, tmp_path: Path, trouble: Any
) -> None:
    with pytest.raises(TransientProviderError):
        fetch(twilio_double, tmp_path, trouble=trouble, deadline=0.3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("trouble", ["too_long", "reset", "gone"])
def test_a_file_that_did_not_come_whole_is_tried_again(
    twilio_double: TwilioDouble, tmp_path: Path, trouble: Any
) -> None:
    with pytest.raises(TransientProviderError):
        fetch(twilio_double, tmp_path, trouble=trouble)
    assert list(tmp_path.iterdir()) == []


def test_compressed_bytes_are_kept_as_they_came(twilio_double: TwilioDouble, tmp_path: Path) -> None:
    """Nobody asked for compression, so nothing is expanded: a bomb stays as small as it was."""
    download = fetch(
        twilio_double, tmp_path, content=b"0" * 10_000_000, trouble="compressed", max_bytes=100_000
    )
    assert download.size < 20_000


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\lease.pdf", "lease.pdf"),
        ("a\u202efdp.exe", "afdp.exe"),
        ("x" * 400 + ".pdf", "x" * 255),
        ("..", ""),
    ],
)
def test_file_names_are_only_names(
    twilio_double: TwilioDouble, tmp_path: Path, given: str, kept: str
) -> None:
    assert fetch(twilio_double, tmp_path, file_name=given).file_name == kept


def test_twilios_copy_is_deleted_once_and_for_good(twilio_double: TwilioDouble) -> None:
    file = twilio_double.add_media(SID, PICTURE, "image/jpeg")
    url = twilio_double.get_media_url(SID, file)
    for _ in range(2):
        delete_media(url, message_sid=SID)
    assert file.is_deleted
    with pytest.raises(MediaRefused):
        delete_media("https://evil.example/x", message_sid=SID)
