"""The double itself: what tests rely on without seeing it."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from twilio.request_validator import RequestValidator

from tests.doubles.media_hosts import HostedFile
from tests.doubles.twilio import Callbacks, TwilioDouble
from tests.settings import ACCOUNT_SID, AUTH_TOKEN

USER, SENDER = "whatsapp:+12025550123", "whatsapp:+12025550199"
PUBLIC = "https://bot.example.com"
SEED = random.randrange(2**32)


class Receiver:
    """A bot's web server that keeps what it is sent."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.base_url = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fields = dict(parse_qsl(body, keep_blank_values=True))
            receiver.posts.append((self.path, fields, dict(self.headers)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    receiver.base_url = f"http://127.0.0.1:{server.server_port}"
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join()


def create(double: TwilioDouble, **fields: str) -> requests.Response:
    url = f"{double.base_url}/2010-04-01/Accounts/{double.account_sid}/Messages.json"
    defaults = {
        "To": USER,
        "From": SENDER,
        "Body": "Hello",
        "StatusCallback": f"{PUBLIC}/webhook/status?o=7b0c",
    }
    data = {name: value for name, value in (defaults | fields).items() if value}
    return requests.post(url, data=data, auth=(double.account_sid, AUTH_TOKEN), timeout=5)


def test_callbacks_are_signed_for_the_url_they_were_asked_at(
    twilio_double: TwilioDouble, receiver: Receiver
) -> None:
    twilio_double.callbacks = Callbacks()
    twilio_double.callback_base_url = receiver.base_url

    sid = create(twilio_double).json()["sid"]
    twilio_double.wait_for_callbacks()

    assert [fields["MessageStatus"] for _, fields, _ in receiver.posts] == ["sent", "delivered", "read"]
    validator = RequestValidator(AUTH_TOKEN)
    for path, fields, headers in receiver.posts:
        assert fields["MessageSid"] == sid
        assert headers["Host"] == "bot.example.com"
        assert validator.validate(PUBLIC + path, fields, headers["X-Twilio-Signature"])
    assert [result.http_status for result in twilio_double.callback_results] == [204, 204, 204]
    assert twilio_double.messages[0].status == "read"


def test_callbacks_can_be_repeated_dropped_and_shuffled(
    twilio_double: TwilioDouble, receiver: Receiver
) -> None:
    print(f"seed {SEED}")
    twilio_double.callbacks = Callbacks(copies=3, drop=0.3, shuffle=True)
    twilio_double.callback_base_url = receiver.base_url
    twilio_double.random.seed(SEED)

    sids = [create(twilio_double).json()["sid"] for _ in range(40)]
    twilio_double.wait_for_callbacks()

    posted = [(fields["MessageSid"], fields["MessageStatus"]) for _, fields, _ in receiver.posts]
    assert len(posted) == len(twilio_double.callback_results)
    assert 180 < len(posted) < 320  # 360 without loss, 252 expected
    assert max(Counter(posted).values()) == 3
    orders = [tuple(status for sid, status in posted if sid == wanted) for wanted in sids]
    assert any("read" in order and "sent" in order[order.index("read") :] for order in orders)


def test_callbacks_can_overtake_the_answer_to_the_create_call(
    twilio_double: TwilioDouble, receiver: Receiver
) -> None:
    twilio_double.callbacks = Callbacks(statuses=["failed"], before_answer=True, error_code=63016)
    twilio_double.callback_base_url = receiver.base_url

    answer = create(twilio_double)

    assert [fields["ErrorCode"] for _, fields, _ in receiver.posts] == ["63016"]
    assert answer.json()["status"] == "queued"


def test_a_callback_nobody_answers_is_recorded_as_such(twilio_double: TwilioDouble) -> None:
    twilio_double.callbacks = Callbacks(statuses=["sent"])
    twilio_double.callback_base_url = "http://127.0.0.1:9"
    create(twilio_double)
    twilio_double.wait_for_callbacks()
    assert [result.http_status for result in twilio_double.callback_results] == [None]


def test_a_webhook_is_signed_for_the_public_url(twilio_double: TwilioDouble, receiver: Receiver) -> None:
    payload = {"MessageSid": "SM1", "Body": "שלום  ", "Empty": ""}

    response = twilio_double.post_webhook(receiver.base_url, payload, public_base_url=PUBLIC)

    assert response.status_code == 204
    [(path, fields, headers)] = receiver.posts
    assert (path, fields) == ("/webhook", payload)
    signature = headers["X-Twilio-Signature"]
    assert RequestValidator(AUTH_TOKEN).validate(f"{PUBLIC}/webhook", fields, signature)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"To": "+12025550123"}, 21211),
        ({"From": "+12025550199"}, 21212),
        ({"Body": "x" * 1601}, 21617),
        ({"Body": "😀" * 801}, 21617),
        ({"StatusCallback": "/webhook/status"}, 21609),
        ({"StatusCallback": "https://my_bot.example.com/"}, 21609),
    ],
)
def test_what_twilio_refuses_is_refused(
    twilio_double: TwilioDouble, fields: dict[str, str], code: int
) -> None:
    answer = create(twilio_double, **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert twilio_double.messages == []


def test_only_the_accounts_own_credentials_open_it(twilio_double: TwilioDouble) -> None:
    url = f"{twilio_double.base_url}/2010-04-01/Accounts/{twilio_double.account_sid}/Messages.json"
    for auth in (None, (twilio_double.account_sid, "wrong"), ("AC" + "0" * 32, AUTH_TOKEN)):
        answer = requests.get(url, auth=auth, timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (401, 20003)


def test_faults_are_used_up_in_order(twilio_double: TwilioDouble) -> None:
    twilio_double.fail_next("create", kind="unavailable", times=2)
    twilio_double.fail_next("create", kind="too_many_requests", retry_after="1")
    answers = [create(twilio_double) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 503, 429, 201]
    assert answers[2].headers["Retry-After"] == "1"
    assert len(twilio_double.messages) == 1


# Files

INBOUND = "MM0123456789abcdef0123456789abcdef"


def get(url: str, *, token: str | None = AUTH_TOKEN) -> requests.Response:
    auth = (ACCOUNT_SID, token) if token else None
    return requests.get(url, auth=auth, timeout=5, allow_redirects=False)


def test_a_file_lies_behind_a_redirect_that_needs_credentials(twilio_double: TwilioDouble) -> None:
    file = twilio_double.add_media(INBOUND, b"jpeg", "image/jpeg", file_name="résumé.jpg", not_found=2)
    url = twilio_double.get_media_url(INBOUND, file)

    assert [get(url, token=token).status_code for token in (None, "wrong")] == [401, 401]
    assert [get(url).status_code for _ in range(2)] == [404, 404]
    answer = get(url)
    assert (answer.status_code, file.requests, file.fetches) == (307, 3, 0)
    answer = get(answer.headers["Location"], token=None)
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (
        200,
        b"jpeg",
        "image/jpeg",
    )
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''r%C3%A9sum%C3%A9.jpg"
    assert file.fetches == 1
    assert get(twilio_double.get_media_url("MM" + "f" * 32, file)).status_code == 404


def test_whoever_sends_credentials_to_the_content_host_is_found_out(twilio_double: TwilioDouble) -> None:
    file = twilio_double.add_media(INBOUND, b"jpeg", "image/jpeg")
    get(twilio_double.content.get_url(file))
    with pytest.raises(AssertionError, match="credentials"):
        twilio_double.content.check()
    twilio_double.content.credentials_seen.clear()


def test_a_deleted_file_is_gone(twilio_double: TwilioDouble) -> None:
    file = twilio_double.add_media(INBOUND, b"jpeg", "image/jpeg")
    url = twilio_double.get_media_url(INBOUND, file)
    deletions = [
        requests.delete(f"{url}.json", auth=auth, timeout=5).status_code
        for auth in (None, (ACCOUNT_SID, AUTH_TOKEN), (ACCOUNT_SID, AUTH_TOKEN))
    ]
    assert deletions == [401, 204, 404]
    assert get(url).status_code == 404


def test_a_file_that_goes_out_is_fetched_as_twilio_fetches_it(twilio_double: TwilioDouble) -> None:
    host, file = twilio_double.content, HostedFile(b"%PDF-", "application/pdf")
    host.files[file.sid] = file
    create(twilio_double, MediaUrl=host.get_url(file))
    twilio_double.wait_for_callbacks()
    assert twilio_double.media_fetches == []

    twilio_double.fetch_media = True
    answer = create(twilio_double, Body="", MediaUrl=host.get_url(file)).json()
    create(twilio_double, MediaUrl="http://127.0.0.1:9/nobody")
    twilio_double.wait_for_callbacks()

    assert (answer["body"], answer["num_media"]) == ("", "1")
    assert [
        (fetch.method, fetch.status, fetch.content_type, fetch.content)
        for fetch in twilio_double.media_fetches
    ] == [("HEAD", 200, "application/pdf", b""), ("GET", 200, "application/pdf", b"%PDF-")]
    assert host.credentials_seen == []
