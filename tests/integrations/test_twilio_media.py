"""Files are fetched from Twilio only, whole or not at all, and nobody else ever sees our credentials."""

import errno
import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.media_hosts import ContentHost, HostedFile
from tests.doubles.twilio import TwilioDouble
from tests.settings import ACCOUNT_SID
from whatsbot.exceptions import (
    MediaNotThereYet,
    MediaRefused,
    MisconfiguredProvider,
    TransientProviderError,
)
from whatsbot.integrations import guarded_http, twilio_media
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
    with pytest.raises(error) as failed:
        fetch(twilio_double, tmp_path, status=status, headers={"Retry-After": "7"})
    if type(failed.value) is TransientProviderError:
        assert (failed.value.code, failed.value.retry_after) == (status, 7.0)
    assert list(tmp_path.iterdir()) == []


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
        lambda url: "https://api.dublin.ie1.twilio.com" + url[url.index("/2010") :],
        lambda url: url.upper(),
        lambda url: url.replace("/Media/", "//Media/"),
        lambda url: url.replace("/Messages/", "/./Messages/"),
        lambda url: url.replace("/ME", "/%4DE"),
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


class LookedUp(Exception):
    """A name was looked up: it was not refused."""


@pytest.mark.parametrize("name", ["TWILIO_API_BASE_URL", "TWILIO_MEDIA_HOSTS"])
@pytest.mark.parametrize("host", ["api.dublin.ie1.twilio.com", "api.ie1.twilio.com"])
def test_a_region_of_twilios_gets_our_credentials_when_an_operator_names_it(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    def look_up(asked: str, *args: Any, **kwargs: Any) -> None:
        raise LookedUp(asked)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = f"https://{host}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{SID}/Media/{MEDIA}"
    with pytest.raises(MediaRefused, match="address"):
        download_media(url, message_sid=SID, directory=tmp_path)
    setattr(settings, name, f"https://{host}" if name == "TWILIO_API_BASE_URL" else [host])
    with pytest.raises(LookedUp, match=host):
        download_media(url, message_sid=SID, directory=tmp_path)


def test_other_hosts_an_operator_names_get_no_credentials(settings: Any, tmp_path: Path) -> None:
    for host in ("media.example.com", "api.twilio.com.example.com", "api.evil-twilio.com", "127.0.0.1:9"):
        settings.TWILIO_MEDIA_HOSTS = [host]
        url = f"https://{host}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{SID}/Media/{MEDIA}"
        with pytest.raises(MediaRefused, match="address"):
            download_media(url, message_sid=SID, directory=tmp_path)


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
        "https://[::1]/x",
        "https://[::1/x",
        "https://[bot]/x",
        "https://media.twiliocdn.com:0/x",
        "https://127.0.0.1.nip.io/x",
    ],
)
def test_redirects_to_other_places_are_refused_before_anything_is_sent(
    twilio_double: TwilioDouble, tmp_path: Path, location: str
) -> None:
    with pytest.raises(MediaRefused, match="address"):
        fetch(twilio_double, tmp_path, location=location)
    assert list(tmp_path.iterdir()) == []


def test_another_port_of_this_machine_is_another_place(twilio_double: TwilioDouble, tmp_path: Path) -> None:
    other, file = ContentHost(), HostedFile(PICTURE, "image/jpeg")
    other.files[file.sid] = file
    with pytest.raises(MediaRefused, match="address"):
        fetch(twilio_double, tmp_path, location=other.get_url(file))
    other.close()
    assert file.fetches == 0


def test_a_host_of_the_network_needs_https_also_when_it_is_named(
    twilio_double: TwilioDouble, settings: Any, tmp_path: Path
) -> None:
    settings.TWILIO_MEDIA_HOSTS = ["127.example.com:80", "10.0.0.8:8443"]
    for location in ("http://127.example.com/x", "http://10.0.0.8:8443/x", "https://10.0.0.8:8443/x"):
        with pytest.raises(MediaRefused, match="address"):
            fetch(twilio_double, tmp_path, location=location)


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


def test_three_redirects_are_followed_and_no_more(twilio_double: TwilioDouble, tmp_path: Path) -> None:
    assert fetch(twilio_double, tmp_path, moves=2).size == len(PICTURE)
    with pytest.raises(MediaRefused, match="address"):
        fetch(twilio_double, tmp_path, moves=1000)
    assert [file.fetches for file in twilio_double.media] == [3, 3]


def test_a_redirect_to_nowhere_is_tried_again(twilio_double: TwilioDouble, tmp_path: Path) -> None:
    with pytest.raises(TransientProviderError, match="nowhere"):
        fetch(twilio_double, tmp_path, location="")
    assert len(twilio_double.requests) == 1


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
    with pytest.raises(MediaNotThereYet):
        fetch(twilio_double, tmp_path, location="/somewhere")
    assert [path for _, path in twilio_double.requests[1:]] == ["/somewhere"]


def test_too_many_bytes_are_refused_whatever_the_headers_say(
    twilio_double: TwilioDouble, tmp_path: Path
) -> None:
    for trouble in ("", "endless", "too_long"):
        with pytest.raises(MediaRefused, match="too_big"):
            fetch(twilio_double, tmp_path, max_bytes=len(PICTURE) - 1, trouble=trouble)
    with pytest.raises(MediaRefused, match="too_big"):  # at once: what would come is less
        fetch(twilio_double, tmp_path, max_bytes=len(PICTURE), trouble="too_long")
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


def test_what_comes_without_a_length_or_beyond_it_is_kept_as_far_as_it_was_announced(
    twilio_double: TwilioDouble, tmp_path: Path
) -> None:
    """Nothing tells a connection that ended from one that was cut: what the bytes are decides later."""
    assert fetch(twilio_double, tmp_path, trouble="cut").path.read_bytes() == PICTURE[: len(PICTURE) // 2]
    download = fetch(twilio_double, tmp_path, trouble="too_short")
    assert download.path.read_bytes() == PICTURE[: len(PICTURE) // 10]
    assert download.sha256 == hashlib.sha256(PICTURE[: len(PICTURE) // 10]).hexdigest()


def test_a_full_disk_is_an_ordinary_failure_and_leaves_nothing_behind(
    twilio_double: TwilioDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(twilio_media, "_copy", fail)
    with pytest.raises(TransientProviderError):
        fetch(twilio_double, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_deadline_that_passes_with_the_last_byte_leaves_no_file_behind(
    twilio_double: TwilioDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = guarded_http._Watch.__exit__

    def leave_late(watch: guarded_http._Watch, *error: object) -> None:
        if twilio_double.media[0].fetches:
            watch._cut()
        leave(watch, *error)

    monkeypatch.setattr(guarded_http._Watch, "__exit__", leave_late)
    with pytest.raises(TransientProviderError, match="too long"):
        fetch(twilio_double, tmp_path)
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


@pytest.mark.parametrize(
    ("disposition", "kept"),
    [
        ("", ""),
        ("attachment", ""),
        ("inline; filename=lease.pdf", "lease.pdf"),
        ('attachment; filename="a;b \\"c\\".pdf"', 'a;b "c".pdf'),
        ("attachment; filename=\"plain.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf", "résumé.pdf"),
        ("attachment; FILENAME*=utf-8'en'r%C3%A9sum%C3%A9.pdf; filename=plain.pdf", "résumé.pdf"),
        ("attachment; filename*=iso-8859-1''r%E9sum%E9.pdf", "résumé.pdf"),
        ('attachment; filename="' + "résumé.pdf".encode().decode("latin-1") + '"', "résumé.pdf"),
        ("attachment; filename*=UTF-8''r%C3%83%C2%A9.pdf", "rÃ©.pdf"),
        ("attachment; filename*=UTF-8''a%00b%0Ac%E2%80%A8d.pdf", "abcd.pdf"),
        ("attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("attachment; filename*=idna''%ff.pdf", ""),
        ("attachment; filename*=hex''41", "41"),
        ("attachment; filename*=", ""),
    ],
)
def test_the_name_of_a_file_is_read_as_servers_write_it(
    twilio_double: TwilioDouble, tmp_path: Path, disposition: str, kept: str
) -> None:
    assert fetch(twilio_double, tmp_path, disposition=disposition).file_name == kept


def test_twilios_copy_is_deleted_once_and_for_good(twilio_double: TwilioDouble) -> None:
    file = twilio_double.add_media(SID, PICTURE, "image/jpeg")
    url = twilio_double.get_media_url(SID, file)
    for _ in range(2):
        delete_media(url, message_sid=SID)
    assert file.is_deleted
    with pytest.raises(MediaRefused):
        delete_media("https://evil.example/x", message_sid=SID)
    with pytest.raises(MediaRefused):
        delete_media(url, message_sid="MM" + "f" * 32)


def test_a_deletion_that_fails_says_whether_another_try_may_help(
    twilio_double: TwilioDouble, settings: Any
) -> None:
    file = twilio_double.add_media(SID, PICTURE, "image/jpeg")
    url = twilio_double.get_media_url(SID, file)
    twilio_double.fail_deletions = 1
    with pytest.raises(TransientProviderError):
        delete_media(url, message_sid=SID)
    settings.TWILIO_AUTH_TOKENS = ["wrong"]
    with pytest.raises(MisconfiguredProvider):
        delete_media(url, message_sid=SID)
    assert not file.is_deleted
