"""Signatures: the vectors of contracts/twilio-whatsapp.md §4, and the SDK's validator as the reference."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from hypothesis import example, given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from whatsbot.integrations.twilio import is_signed_by_twilio, sign

PAYLOADS = json.loads((Path(__file__).parent.parent / "data" / "twilio-payloads.json").read_text())
TOKEN = "12345"
URL = "https://bot.example.com/webhooks/twilio/whatsapp"
PORT_443 = URL.replace(".com", ".com:443")
PORT_8443 = URL.replace(".com", ".com:8443")
A = {
    "AccountSid": "AC0123456789abcdef0123456789abcdef",
    "MessageSid": "SM0123456789abcdef0123456789abcdef",
    "From": "whatsapp:+12025550123",
    "To": "whatsapp:+12025550199",
    "Body": "Hello",
    "NumMedia": "0",
}
GET_URL = f"{URL}?Body=Hello&From=whatsapp%3A%2B12025550123"
JSON_URL = f"{URL}?bodySHA256=72098b2a2208bcd8cda44c39c3aa422be996b505ae0f32eae54f5da06d5ecfd4"
VECTORS = {
    "A": (URL, A, "p/hVTYvgApMeVsaX2Z29Z30cBL4="),
    "A without text": (URL, A | {"Body": ""}, "wbPg58tnmsQhi0Gmn3RhBNCTuCA="),
    "A with Unicode": (URL, A | {"Body": "שלום 👋🏽 — café"}, "B4W7gQmgGQVq2ImIoKn8MExKtvk="),
    "A with a query": (f"{URL}?tenant=a%20b&x=1", A, "vlV3Iqn0ya1/5o+xo/P+u6K6m6Y="),
    "A with port 443": (PORT_443, A, "pWblWCi68QMVt7ts7UHtthKQriQ="),
    "A with port 8443": (PORT_8443, A, "lzUhc9pgI4L9qfk0JS3u387zNik="),
    "GET": (GET_URL, {}, "yrEL/38lFMgBCtY5oVCRjXQGRKQ="),
    "JSON": (JSON_URL, {}, "HNyehRJir1X2uVkqMrBDa6MNllQ="),
    "payload 0": (URL, PAYLOADS[0], "31w0iCd7hKKr/PDjW2K9ezgKzBI="),
    "payload 3": (URL, PAYLOADS[3], "n00U5Yrj1rT7X9X6oDz8CFYds60="),
    "payload 15": (URL, PAYLOADS[15], "4+aPwEPt2ObsMzc0W+CF6IesNJs="),
    "payload 16": (URL, PAYLOADS[16], "ZCe36RwIFackCwNVPbDL9pYQUVM="),
    "payload 17": (URL, PAYLOADS[17], "wUQxvcyK/gQeFLx6LlV2Hcrozgk="),
    "payload 27": (URL, PAYLOADS[27], "FVwvKQd4YvDjqy264puBPo+Wb9E="),
}
SIGNATURE = VECTORS["A"][2]
REPEATED = QueryDict("A=2&A=1&A=1&B=x&C=")


def check(url: str = URL, params: Any = A, signature: Any = SIGNATURE, **options: Any) -> bool:
    options = {"tokens": [TOKEN]} | options
    return is_signed_by_twilio(url=url, params=params, signature=signature, **options)


@pytest.mark.parametrize(("url", "fields", "signature"), VECTORS.values(), ids=VECTORS)
def test_twilios_own_signatures_are_accepted(url: str, fields: dict[str, str], signature: str) -> None:
    posted = QueryDict(urlencode(fields))
    assert check(url=url, params=posted, signature=signature)
    assert sign(url=url, params=fields, token=TOKEN) == signature
    assert not check(url=url, params=posted, signature=signature, tokens=["54321"])


@pytest.mark.parametrize(("url", "fields", "signature"), VECTORS.values(), ids=VECTORS)
def test_a_field_that_was_changed_or_added_breaks_the_signature(
    url: str, fields: dict[str, str], signature: str
) -> None:
    assert not check(url=url, params=QueryDict(urlencode(fields | {"Body": "Pay me"})), signature=signature)
    assert not check(url=url, params=QueryDict(urlencode(fields | {"Extra": "1"})), signature=signature)


def test_repeated_fields_count_once_for_each_value() -> None:
    signature = "R3Y3rm5AU1jTDCLwurRfeSSZm2k="
    assert check(params=REPEATED, signature=signature)
    assert sign(url=URL, params=REPEATED, token=TOKEN) == signature
    assert not check(params=REPEATED.dict(), signature=signature)


def test_port_443_may_be_named_or_not_and_another_must_be() -> None:
    for url in (URL, PORT_443):
        assert check(url=url, signature=VECTORS["A with port 443"][2])
        assert check(url=url, signature=SIGNATURE)
    assert not check(url=URL, signature=VECTORS["A with port 8443"][2])


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("https", "http"),
        URL.replace("bot", "Bot"),
        f"{URL}/",
        f"{URL}#rc=5",
        URL.replace("bot.", "bot2."),
        "https://bot.example.com:port/webhook",
        "",
    ],
)
def test_another_url_breaks_the_signature(url: str) -> None:
    assert not check(url=url)


def test_significant_white_space_is_signed() -> None:
    url, fields, signature = VECTORS["payload 27"]
    assert not check(url=url, params=fields | {"Body": fields["Body"].strip()}, signature=signature)


def test_a_rotated_token_is_accepted() -> None:
    assert check(tokens=["new", TOKEN])
    assert check(tokens=[TOKEN, "old"])
    assert not check(tokens=["new", "newer"])
    assert not check(tokens=[])


def test_an_empty_token_is_no_key() -> None:
    assert not check(signature=sign(url=URL, params=A, token=""), tokens=["", TOKEN])


@pytest.mark.parametrize(
    "signature",
    [None, "", b"p/hVTYvgApMeVsaX2Z29Z30cBL4=", 5, "é", "\ud83d", SIGNATURE[:-1], SIGNATURE + " "],
)
def test_an_odd_signature_is_none(signature: Any) -> None:
    assert check(signature=signature) is False


@pytest.mark.parametrize("params", [None, {"Body": 5}, {"Body": "\ud83d"}, 7])
def test_odd_fields_are_not_signed(params: Any) -> None:
    assert check(params=params) is False


def test_what_was_signed_with_a_shared_key_fails() -> None:
    sha256 = "/4dOpYGL56ynlU6eLjcaosHDXDG/TuUnaHR2XPEw5+k="
    assert RequestValidator(TOKEN).compute_signature(URL, A, "HMAC_SHA256") == sha256
    header = "key=webhooks_sharedkey_0123,algorithm=HMAC_SHA256"
    assert not check(signature=sha256, settings_header=header)
    assert not check(signature=sha256)
    assert not check(settings_header=header)
    assert check(settings_header="")


words = st.text(max_size=12)
urls = st.builds(
    "{}://{}{}/{}{}".format,
    st.sampled_from(["http", "https", "HTTPS"]),
    st.sampled_from(["bot.example.com", "Bot.example.com", "127.0.0.1", "[::1]", "a:b@bot.example.com"]),
    st.sampled_from(["", ":80", ":443", ":8443", ":0", ":", ":99999"]),
    st.sampled_from(["", "webhook", "webhook/", "a%2Bb", "é"]),
    st.sampled_from(["", "?", "?o=7b0c&x=", "?bodySHA256=00", "#rc=5"]),
)


@given(url=urls, pairs=st.lists(st.tuples(words, words), max_size=8), port_named=st.booleans())
@example(url=URL, pairs=[("A", "2"), ("A", "1"), ("A", ""), ("", "x")], port_named=False)
def test_our_check_agrees_with_twilios_validator(
    url: str, pairs: list[tuple[str, str]], port_named: bool
) -> None:
    posted = QueryDict(mutable=True)
    for name, value in pairs:
        posted.appendlist(name, value)
    validator = RequestValidator(TOKEN)
    signed_url = url.replace("example.com/", "example.com:443/") if port_named else url
    try:
        signature = validator.compute_signature(signed_url, posted)
        expected = validator.validate(url, posted, signature)
    except ValueError:
        signature, expected = SIGNATURE, False
    else:
        assert sign(url=signed_url, params=posted, token=TOKEN) == signature

    assert check(url=url, params=posted, signature=signature) is expected
    assert not check(url=url, params=posted, signature=signature[::-1])
