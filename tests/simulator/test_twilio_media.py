"""Media as Twilio keeps and fetches it, asked by its own SDK over HTTP, and by a bot that downloads."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from django.core import signing
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from messaging.simulator import twilio_media
from messaging.simulator.exchange import Status, store_outbound
from messaging.simulator.models import SimulatedMedia, SimulatedMessage
from messaging.simulator.phones import PHONES
from messaging.simulator.posts import get_media_url
from messaging.simulator.tasks import defer_sending
from messaging.simulator.terminal import Handset
from tests.settings import ACCOUNT_SID, AUTH_TOKEN, SENDER
from tests.simulator.conftest import attach, make_picture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_queue")]
AUTH = (ACCOUNT_SID, AUTH_TOKEN)
US = PHONES["us"]
PICTURE = make_picture(30, 20)


@pytest.fixture
def base_url(live_server: Any, settings: Any) -> str:
    settings.TWILIO_API_BASE_URL = f"{live_server.url}/simulator/twilio"
    return str(settings.TWILIO_API_BASE_URL)


@pytest.fixture
def twilio(base_url: str) -> Client:
    client = Client(*AUTH, http_client=TwilioHttpClient(timeout=5))
    client.api.base_url = base_url
    return client


def get(url: str, **more: Any) -> requests.Response:
    return requests.get(url, timeout=5, allow_redirects=False, **more)


# --- What phones sent


def test_media_is_had_by_a_redirect_that_wants_no_credentials(base_url: str) -> None:
    message = attach(b"%PDF-1.7 " * 9000, content_type="application/pdf", name="lease \u00e9.pdf")
    url = get_media_url(message.media)
    assert get(url).status_code == 401
    first = get(url, auth=AUTH)
    assert (first.status_code, first.content) == (307, b"")
    assert first.headers["Location"].startswith(f"{base_url}/cdn/")
    assert get(first.headers["Location"], auth=AUTH).status_code == 403
    second = get(first.headers["Location"])
    assert (second.status_code, second.headers["Content-Type"]) == (200, "application/pdf")
    assert second.headers["Content-Disposition"] == "attachment; filename*=utf-8''lease%20%C3%A9.pdf"
    assert second.content == b"%PDF-1.7 " * 9000


def test_a_link_ends_and_cannot_be_made_up(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = attach(b"x", content_type="image/png")
    link = get(get_media_url(message.media), auth=AUTH).headers["Location"]
    assert get(link).status_code == 200
    forged = signing.dumps(message.media.sid, salt="another")
    assert get(f"{base_url}/cdn/{forged}").status_code == get(link[:-1]).status_code == 403
    monkeypatch.setattr(twilio_media, "LINK_SECONDS", -1)
    assert get(link).status_code == 403


def test_media_of_another_message_or_account_is_not_found(base_url: str) -> None:
    message, other = attach(b"x", content_type="image/png"), attach(b"y", content_type="image/png")
    url = get_media_url(message.media)
    for wrong in (url.replace(message.sid, other.sid), url.replace(ACCOUNT_SID, "AC" + "f" * 32), url + "0"):
        assert get(wrong, auth=AUTH).status_code == 404


def test_a_message_lists_its_media_and_lets_go_of_it(twilio: Client) -> None:
    message = attach(PICTURE, content_type="image/png")
    assert twilio.messages(message.sid).fetch().num_media == "1"
    [listed] = twilio.messages(message.sid).media.list()
    fetched = twilio.messages(message.sid).media(listed.sid).fetch()
    assert (listed.sid, fetched.content_type, fetched.parent_sid) == (
        message.media.sid,
        "image/png",
        message.sid,
    )
    link = get(get_media_url(message.media), auth=AUTH).headers["Location"]
    assert twilio.messages(message.sid).media(listed.sid).delete()
    assert twilio.messages(message.sid).media.list() == []
    assert get(get_media_url(message.media), auth=AUTH).status_code == get(link).status_code == 404
    assert SimulatedMedia.objects.get().file.read() == PICTURE  # the phone has its own copy


def test_pages_of_the_list_go_on_after_a_message_with_media(twilio: Client) -> None:
    rows = [attach(b"x", content_type="image/png") for _ in range(5)]
    assert [each.sid for each in twilio.messages.stream(to=SENDER, page_size=2)] == [
        row.sid for row in rows[::-1]
    ]


# --- What the bot sends


class Files:
    """The bot's links: paths with an answer each, and what was asked of them."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, str, bytes]]] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []


@pytest.fixture
def files(settings: Any) -> Iterator[Files]:
    served = Files()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            served.asked.append((self.command, self.path))
            served.headers.append(dict(self.headers))
            answers = served.answers[self.path]
            status, content_type, content = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    settings.HOST, settings.PORT = "127.0.0.1", server.server_port
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def send(path: str, *, body: str = "", to: str = US.address) -> SimulatedMessage:
    message = store_outbound(
        to=to, from_=SENDER, body=body, status_callback="", media_url=f"https://bot.example.com{path}"
    )
    defer_sending(message)
    return message


def test_what_the_bot_attaches_is_fetched_without_credentials_and_then_sent(
    files: Files, run_jobs: Any
) -> None:
    files.answers["/media/t0ken/gar%C3%A7on.png"] = [(200, "image/png", PICTURE)]
    message = send("/media/t0ken/gar%C3%A7on.png", body="Here it is")
    assert message.sid.startswith("MM")
    assert message.is_fetching
    run_jobs()
    message = SimulatedMessage.objects.select_related("media").get(sid=message.sid)
    assert message.status == Status.DELIVERED
    assert [method for method, _ in files.asked] == ["HEAD", "GET"]
    assert all(headers["Host"] == "bot.example.com" for headers in files.headers)
    assert not any({"Authorization", "Cookie"} & set(headers) for headers in files.headers)
    assert (message.media.file_name, message.media.content_type) == ("gar\u00e7on.png", "image/png")
    assert (message.media.width, message.media.height) == (30, 20)
    assert message.media.file.read() == PICTURE


def test_creating_the_message_fetches_nothing_yet(twilio: Client, files: Files) -> None:
    fields = {"to": US.address, "from_": SENDER, "media_url": ["https://bot.example.com/media/t/a.png"]}
    sent = twilio.messages.create(**fields)
    assert (sent.status, sent.num_media, sent.body, sent.sid[:2]) == ("queued", "1", "", "MM")
    assert files.asked == []


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([(404, "text/plain", b"x")], 63019),
        ([(302, "text/plain", b"x")], 63019),
        ([(200, "image/png", b"x"), (403, "text/plain", b"x")], 63019),
        ([(200, "image/png", b"")], 63019),
        ([(503, "text/plain", b"x")], 63019),
        ([(200, "image/png", bytes(5 * 1024 * 1024 + 1))], 63034),
        ([(200, "video/mp4", bytes(16 * 1024 * 1024 + 1))], 63034),
    ],
)
def test_a_file_that_cannot_be_fetched_fails_the_message(
    twilio: Client, files: Files, run_jobs: Any, answers: Any, code: int
) -> None:
    files.answers["/media/t/a"] = answers
    message = send("/media/t/a", body="Here")
    run_jobs()
    failed = twilio.messages(message.sid).fetch()
    assert (failed.status, failed.error_code) == ("failed", code)
    assert not SimulatedMedia.objects.exists()


def test_a_bot_that_is_away_for_a_moment_is_asked_again(files: Files, run_jobs: Any) -> None:
    files.answers["/media/t/a.mp4"] = [(503, "text/plain", b""), (200, "video/mp4", b"film")]
    message = send("/media/t/a.mp4")
    run_jobs()
    message.refresh_from_db()
    assert message.status == Status.DELIVERED


def test_to_a_number_of_nobodys_nothing_is_fetched(files: Files, run_jobs: Any) -> None:
    message = send("/media/t/a.png", to="whatsapp:+12025550187")
    run_jobs()
    message.refresh_from_db()
    assert (message.status, message.error_code, files.asked) == (Status.FAILED, 63003, [])


# --- In a terminal


def test_a_terminal_gives_a_reply_once_its_file_is_there(files: Files, run_jobs: Any) -> None:
    from messaging.simulator.terminal import describe_message

    files.answers["/media/t/a.png"] = [(200, "image/png", PICTURE)]
    files.answers["/media/t/b.pdf"] = [(200, "application/pdf", b"%PDF")]
    handset = Handset(US)
    first, second = (
        send("/media/t/a.png", body="From May"),
        send("/media/t/b.pdf", body="WhatsApp drops this"),
    )
    assert handset.take_news() == []
    run_jobs()
    shown = [describe_message(message) for message in handset.take_news()]
    url = "https://bot.example.com/simulator/media/"
    sids = [SimulatedMedia.objects.get(message=message).sid for message in (first, second)]
    assert shown == [
        f"From May\n[picture a.png, 30 \u00d7 20, {len(PICTURE)}\xa0bytes: {url}{sids[0]}]",
        f"[document b.pdf, 4\xa0bytes: {url}{sids[1]}]",
    ]
    assert handset.take_news() == []


def test_a_file_can_be_attached_from_a_terminal(tmp_path: Any) -> None:
    path = tmp_path / "garden party.png"
    path.write_bytes(PICTURE)
    message = Handset(US).send(f'/attach "{path}" It\'s our\ngarden')
    assert (message.body, message.media.file_name) == ("It's our\ngarden", "garden party.png")
    assert (message.media.content_type, message.media.file.read()) == ("image/png", PICTURE)
    escaped = Handset(US).send(f"/attach {str(path).replace(' ', chr(92) + ' ')}")
    assert escaped.media.file_name == "garden party.png"
