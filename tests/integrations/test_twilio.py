"""The Twilio adapter, through the real SDK, against the double over loopback."""

import ssl
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
import requests
import urllib3

from tests.doubles.twilio import Kind, TwilioDouble, running_twilio_double
from tests.settings import ACCOUNT_SID, AUTH_TOKEN
from whatsbot.exceptions import (
    MisconfiguredProvider,
    PermanentProviderError,
    ProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from whatsbot.integrations import twilio
from whatsbot.integrations.twilio_errors import (
    ErrorClass,
    get_error_class,
    get_provider_error,
    is_permanent_delivery_error,
)

USER = "whatsapp:+12025550123"
SENDER = "whatsapp:+12025550199"
BODY = "You told me: the gate code is 4711 — שלום 👋🏽"
CALLBACK = "https://bot.example.com/webhook/status?o=7b0c"
INBOUND_SID = "SM7e88e085baf612a8e03dd9df995910e1"


def send(body: str = BODY) -> twilio.SentMessage:
    return twilio.send_message(to=USER, from_=SENDER, body=body, status_callback=CALLBACK)


def list_sent(since: datetime | None = None) -> list[twilio.SentMessage]:
    since = since or datetime.now(UTC) - timedelta(minutes=1)
    return twilio.list_sent_messages(to=USER, from_=SENDER, since=since)


# Sending


def test_a_message_reaches_twilio_as_it_was_given(twilio_double: TwilioDouble) -> None:
    sent = send()

    [message] = twilio_double.messages
    assert (message.to, message.from_, message.body) == (USER, SENDER, BODY)
    assert message.status_callback == CALLBACK
    assert (sent.sid, sent.status, sent.body, sent.error_code) == (message.sid, "queued", BODY, None)
    assert sent.created_at == message.date_created.replace(microsecond=0)


@pytest.mark.parametrize("body", [BODY, ""])
def test_a_file_goes_with_a_text_or_alone(
    twilio_double: TwilioDouble, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    forms: list[str] = []
    send_request = requests.Session.send

    def keep_and_send(session: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> Any:
        forms.append(str(request.body))
        return send_request(session, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", keep_and_send)
    url = "https://bot.example.com/media/lease.pdf?until=1"
    sent = twilio.send_message(to=USER, from_=SENDER, body=body, status_callback=CALLBACK, media_url=url)
    send("without")

    message, _ = twilio_double.messages
    assert (message.body, message.media_url) == (body, url)
    assert ("Body=" in forms[0]) == bool(body)
    assert (sent.body, sent.num_media) == (body, 1)
    assert [(listed.body, listed.num_media) for listed in list_sent()] == [("without", 0), (body, 1)]


def test_neither_a_text_nor_a_file_is_refused(twilio_double: TwilioDouble) -> None:
    with pytest.raises(PermanentProviderError) as raised:
        send("")
    assert raised.value.code == 21602


@pytest.mark.parametrize("prefix", ["", "/simulator/twilio"])
def test_a_base_url_may_have_a_path(settings: Any, prefix: str) -> None:
    with running_twilio_double(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, path_prefix=prefix) as double:
        settings.TWILIO_API_BASE_URL = double.base_url
        sids = [send(f"part {number}").sid for number in range(60)]
        twilio.send_typing_indicator(message_sid=INBOUND_SID)

        assert [message.sid for message in list_sent()] == sids[::-1]
        assert twilio._get_client(5).messages(sids[0]).fetch().body == "part 0"
        assert double.typing == [INBOUND_SID]
        assert {path.partition("/2010")[0].partition("/v2")[0] for _, path in double.requests} == {prefix}


def test_edge_region_proxy_and_netrc_of_the_environment_do_not_lead_astray(
    twilio_double: TwilioDouble, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(twilio, "_thread", threading.local())

    send()

    assert len(twilio_double.messages) == 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/simulator/twilio", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("https://api.dublin.ie1.twilio.com", False),
        ("http://10.0.0.5", False),
        ("", False),
    ],
)
def test_only_this_machine_is_reached_without_a_proxy(url: str, expected: bool) -> None:
    assert twilio._is_loopback(url) is expected


def test_each_thread_has_a_client_of_its_own_and_keeps_it(twilio_double: TwilioDouble) -> None:
    clients: set[int] = set()
    together = threading.Barrier(8)

    def send_twice(number: int) -> None:
        together.wait()
        for turn in range(2):
            clients.add(id(twilio._get_client(5)))
            assert send(f"{number}.{turn}").body == f"{number}.{turn}"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send_twice, range(8)))

    assert len(clients) == 8
    assert len(twilio_double.messages) == 16


def test_a_connection_that_was_quiet_for_long_is_not_used_again(
    twilio_double: TwilioDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    connect = urllib3.connection.HTTPConnection.connect

    def count_and_connect(connection: urllib3.connection.HTTPConnection) -> None:
        opened.append(connection)
        connect(connection)

    monkeypatch.setattr(urllib3.connection.HTTPConnection, "connect", count_and_connect)
    send("one")
    send("two")
    assert len(opened) == 1

    monkeypatch.setattr(twilio, "MAX_IDLE_SECONDS", 0)
    send("three")
    assert len(opened) == 2


def test_changed_settings_are_used_at_once(twilio_double: TwilioDouble, settings: Any) -> None:
    send()
    settings.TWILIO_AUTH_TOKENS = ["another", AUTH_TOKEN]
    with pytest.raises(MisconfiguredProvider):
        send()


@pytest.mark.parametrize("name", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKENS"])
def test_without_credentials_nothing_is_called(twilio_double: TwilioDouble, settings: Any, name: str) -> None:
    setattr(settings, name, "")
    with pytest.raises(MisconfiguredProvider, match="not set"):
        send()
    assert twilio_double.requests == []


# What went wrong


@pytest.mark.parametrize("code", sorted(ErrorClass.LATER.value | ErrorClass.ONCE_MORE.value))
def test_what_is_busy_now_is_tried_again(twilio_double: TwilioDouble, code: int) -> None:
    twilio_double.fail_next("create", kind="error", code=code)
    with pytest.raises(TransientProviderError) as raised:
        send()
    assert raised.value.code == code
    assert raised.value.retry_after == (30 if code == 14107 else None)


@pytest.mark.parametrize("code", [*sorted(ErrorClass.RECIPIENT.value | ErrorClass.CONTENT.value), 29999])
@pytest.mark.parametrize("kind", ["error", "problem"])
def test_a_refusal_is_final_also_with_a_code_nobody_knows(
    twilio_double: TwilioDouble, code: int, kind: Kind
) -> None:
    twilio_double.fail_next("create", kind=kind, code=code)
    with pytest.raises(PermanentProviderError) as raised:
        send()
    assert type(raised.value) is PermanentProviderError
    assert raised.value.code == code


@pytest.mark.parametrize("code", sorted(ErrorClass.CONFIGURATION.value))
def test_our_own_mistakes_are_marked(twilio_double: TwilioDouble, code: int) -> None:
    twilio_double.fail_next("create", kind="error", code=code)
    with pytest.raises(MisconfiguredProvider) as raised:
        send()
    assert raised.value.code == code


def test_a_wrong_token_is_our_mistake(twilio_double: TwilioDouble, settings: Any) -> None:
    settings.TWILIO_AUTH_TOKENS = ["wrong"]
    with pytest.raises(MisconfiguredProvider) as raised:
        send()
    assert raised.value.code == 20003


def test_a_401_without_a_code_is_our_mistake(twilio_double: TwilioDouble) -> None:
    twilio_double.fail_next("create", kind="error", status=401, code=0)
    with pytest.raises(MisconfiguredProvider):
        send()


def test_what_twilio_repeats_by_itself_has_an_unknown_outcome(twilio_double: TwilioDouble) -> None:
    twilio_double.fail_next("create", kind="error", code=63037)
    with pytest.raises(UnknownOutcome):
        send()


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, None), ("7", 7.0), ("0", 0.0), ("soon", None), ("-3", None), ("inf", None), ("", None)],
)
def test_too_many_requests_says_how_long_to_wait(
    twilio_double: TwilioDouble, header: str | None, expected: float | None
) -> None:
    twilio_double.fail_next("create", kind="too_many_requests", retry_after=header)
    with pytest.raises(TransientProviderError) as raised:
        send()
    assert (raised.value.code, raised.value.retry_after) == (20429, expected)
    assert twilio_double.messages == []


def test_a_429_without_a_code_is_too_many_requests(twilio_double: TwilioDouble) -> None:
    twilio_double.fail_next("create", kind="error", status=429, code=0)
    with pytest.raises(TransientProviderError):
        send()


def test_retry_after_may_be_a_date(twilio_double: TwilioDouble) -> None:
    for offset, least, most in ((timedelta(seconds=60), 50, 60), (-timedelta(hours=1), 0, 0)):
        date = format_datetime(datetime.now(UTC) + offset, usegmt=True)
        twilio_double.fail_next("create", kind="too_many_requests", retry_after=date)
        with pytest.raises(TransientProviderError) as raised:
            send()
        assert least <= (raised.value.retry_after or 0) <= most


UNKNOWN: list[Kind] = [
    "unavailable",
    "hang",
    "reset_before_storing",
    "reset_after_storing",
    "cut_body",
    "junk",
    "empty",
]


@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_lost_answer_is_an_unknown_outcome_and_the_call_is_not_repeated(
    twilio_double: TwilioDouble, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "TIMEOUT", 0.3)
    twilio_double.fail_next("create", kind=kind)
    with pytest.raises(UnknownOutcome):
        send()

    assert len(twilio_double.requests) == 1
    stored = kind not in ("unavailable", "reset_before_storing")
    assert [message.body for message in list_sent()] == ([BODY] if stored else [])


@pytest.mark.parametrize("status", [302, 500, 503])
def test_neither_a_redirect_nor_a_5xx_says_whether_it_was_sent(
    twilio_double: TwilioDouble, status: int
) -> None:
    twilio_double.fail_next("create", kind="error", status=status, code=63010)
    with pytest.raises(UnknownOutcome):
        send()
    assert len(twilio_double.requests) == 1


def test_a_refused_connection_is_tried_again(settings: Any) -> None:
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:9"
    with pytest.raises(TransientProviderError, match="could not be reached"):
        send()


@pytest.mark.parametrize("url", ["127.0.0.1", "no-scheme:80", "http://"])
def test_a_base_url_that_is_none_is_our_mistake(settings: Any, url: str) -> None:
    settings.TWILIO_API_BASE_URL = url
    with pytest.raises(MisconfiguredProvider, match="TWILIO_API_BASE_URL"):
        send()


def test_a_text_that_cannot_be_encoded_is_refused_before_it_is_sent(twilio_double: TwilioDouble) -> None:
    with pytest.raises(PermanentProviderError, match="encoded"):
        send("\ud83d")
    assert twilio_double.requests == []


def get_pool_error(reason: Exception) -> urllib3.exceptions.MaxRetryError:
    return urllib3.exceptions.MaxRetryError(None, "/", reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (requests.exceptions.ConnectTimeout(), TransientProviderError),
        (requests.exceptions.ProxyError(), TransientProviderError),
        (
            requests.exceptions.ConnectionError(
                get_pool_error(urllib3.exceptions.NameResolutionError("h", None, OSError()))  # type: ignore[arg-type]
            ),
            TransientProviderError,
        ),
        (
            requests.exceptions.SSLError(
                get_pool_error(urllib3.exceptions.SSLError(ssl.SSLCertVerificationError()))
            ),
            TransientProviderError,
        ),
        (
            requests.exceptions.SSLError(get_pool_error(urllib3.exceptions.SSLError(ssl.SSLEOFError()))),
            UnknownOutcome,
        ),
        (requests.exceptions.ReadTimeout(), UnknownOutcome),
        (AttributeError("the SDK changed"), UnknownOutcome),
    ],
)
def test_only_what_failed_while_connecting_is_certain(exc: Exception, expected: type) -> None:
    assert type(get_provider_error(exc)) is expected


KINDS: list[Kind] = [*UNKNOWN, "error", "problem", "too_many_requests"]


@pytest.fixture(params=["create", "list", "nobody there"])
def failing_call(
    request: pytest.FixtureRequest,
    twilio_double: TwilioDouble,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    """Tracebacks, as a log prints them, of one operation failing in every way."""
    monkeypatch.setattr(twilio, "TIMEOUT", 0.2)
    call = list_sent if request.param == "list" else send
    tracebacks = []
    for kind in KINDS:
        if request.param == "nobody there":
            settings.TWILIO_API_BASE_URL = "http://127.0.0.1:9"
            call = send if kind == "error" else list_sent
        else:
            text = f"The 'To' number {USER} is not valid for {BODY}"
            twilio_double.fail_next(request.param, kind=kind, text=text)
        with pytest.raises(ProviderError) as raised:
            call()
        tracebacks.append("".join(traceback.format_exception(raised.value)))
    return tracebacks


def test_no_number_and_no_text_gets_into_a_log(failing_call: list[str]) -> None:
    assert len(failing_call) == len(KINDS)
    for printed in failing_call:
        assert "ProviderError" in printed or "UnknownOutcome" in printed
        assert not [secret for secret in ("2025550", "4711", AUTH_TOKEN) if secret in printed], printed


def test_the_cause_of_a_lost_answer_is_kept(twilio_double: TwilioDouble) -> None:
    twilio_double.fail_next("create", kind="reset_after_storing")
    with pytest.raises(UnknownOutcome) as raised:
        send()
    assert isinstance(raised.value.__cause__, requests.exceptions.ConnectionError)


# Looking up


def test_only_what_we_sent_since_then_is_listed(twilio_double: TwilioDouble) -> None:
    now = datetime.now(UTC)
    twilio_double.add_message(to=USER, from_=SENDER, body="old", date_created=now - timedelta(hours=1))
    twilio_double.add_message(to=USER, from_=SENDER, body="TwiML", direction="outbound-reply")
    twilio_double.add_message(to=SENDER, from_=USER, body="inbound", direction="inbound")
    twilio_double.add_message(to="whatsapp:+12025550124", from_=SENDER, body="to another")
    failed = twilio_double.add_message(to=USER, from_=SENDER, body="bad", status="failed", error_code=63024)
    sent = send()

    listed = list_sent(since=now)

    assert [(message.sid, message.body) for message in listed] == [(sent.sid, BODY), (failed.sid, "bad")]
    assert (listed[1].status, listed[1].error_code) == ("failed", 63024)


def test_since_may_lie_within_the_second_and_in_any_zone(twilio_double: TwilioDouble) -> None:
    moment = datetime(2026, 3, 14, 10, 0, 5, tzinfo=UTC)
    twilio_double.add_message(to=USER, from_=SENDER, body="in time", date_created=moment)
    kolkata = timezone(timedelta(hours=5, minutes=30))
    for since in (moment, moment + timedelta(microseconds=900_000)):
        assert len(list_sent(since=since.astimezone(kolkata))) == 1
    assert list_sent(since=moment + timedelta(seconds=1)) == []


def test_a_hundred_messages_are_looked_at_and_no_more(twilio_double: TwilioDouble) -> None:
    for number in range(120):
        twilio_double.add_message(to=USER, from_=SENDER, body=str(number))
    assert [message.body for message in list_sent()] == [str(number) for number in range(119, 19, -1)]
    assert len(twilio_double.requests) == 2


@pytest.mark.parametrize("kind", [*UNKNOWN, "too_many_requests"])
def test_a_look_up_that_fails_may_be_repeated(
    twilio_double: TwilioDouble, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "TIMEOUT", 0.3)
    twilio_double.fail_next("list", kind=kind)
    with pytest.raises(TransientProviderError):
        list_sent()


def test_one_message_says_what_became_of_it(
    twilio_double: TwilioDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = twilio_double.add_message(
        to=USER, from_=SENDER, body=BODY, status="undelivered", error_code=63024
    )
    found = twilio.fetch_sent_message(there.sid)
    assert found is not None
    assert (found.sid, found.status, found.error_code) == (there.sid, "undelivered", 63024)
    assert twilio.fetch_sent_message(INBOUND_SID) is None
    monkeypatch.setattr(twilio, "TIMEOUT", 0.3)
    for kind in (*UNKNOWN, "too_many_requests"):
        twilio_double.fail_next("fetch", kind=kind)
        with pytest.raises(TransientProviderError):
            twilio.fetch_sent_message(there.sid)
    twilio_double.fail_next("fetch", kind="error", status=401, code=20003)
    with pytest.raises(MisconfiguredProvider):
        twilio.fetch_sent_message(there.sid)


# Typing


def test_typing_dots_are_shown(twilio_double: TwilioDouble) -> None:
    twilio.send_typing_indicator(message_sid=INBOUND_SID)
    assert twilio_double.typing == [INBOUND_SID]


@pytest.mark.parametrize("kind", ["error", "too_many_requests", "unavailable", "junk", "hang"])
def test_typing_dots_that_fail_hold_nothing_up(
    twilio_double: TwilioDouble, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "TYPING_TIMEOUT", 0.2)
    twilio_double.fail_next("typing", kind=kind)
    started = time.monotonic()
    twilio.send_typing_indicator(message_sid=INBOUND_SID)
    assert time.monotonic() - started < 2
    assert len(twilio_double.requests) == 1


# Codes


def test_no_code_is_in_two_classes() -> None:
    codes = [code for kind in ErrorClass for code in kind.value]
    assert len(codes) == len(set(codes)) == 60


@pytest.mark.parametrize(
    ("code", "kind", "permanent"),
    [
        (63016, ErrorClass.CONTENT, True),
        (63024, ErrorClass.RECIPIENT, True),
        (63018, ErrorClass.LATER, False),
        (30008, ErrorClass.ONCE_MORE, False),
        (63037, ErrorClass.TWILIO_TRIES_AGAIN, True),
        (21606, ErrorClass.CONFIGURATION, True),
        (99999, ErrorClass.UNKNOWN, True),
        (None, ErrorClass.UNKNOWN, True),
    ],
)
def test_a_failed_delivery_is_classed_by_its_code(
    code: int | None, kind: ErrorClass, permanent: bool
) -> None:
    assert get_error_class(code) is kind
    assert is_permanent_delivery_error(code) is permanent


def test_checking_signatures_does_not_load_the_sdk() -> None:
    script = """
import sys
from django.conf import settings
settings.configure()
from whatsbot.integrations.twilio import is_signed_by_twilio, sign
signature = sign(url="https://bot.example.com/webhook", params={"a": "1"}, token="t")
url = "https://bot.example.com/webhook"
assert is_signed_by_twilio(url=url, params={"a": "1"}, signature=signature, tokens=["t"])
print(sorted(name for name in sys.modules if name.split(".")[0] in ("twilio", "requests")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['twilio', 'twilio.request_validator']"
