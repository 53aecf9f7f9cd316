"""A Twilio of our own for tests: its REST API and its callbacks over loopback HTTP, with faults on demand.

It speaks the protocol of contracts/twilio-whatsapp.md §5, §7 and §10 and refuses what Twilio would refuse,
so that the real SDK, also in other processes, cannot tell the difference. It signs with the SDK's own
validator, not with our code.
"""

import queue
import random
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from twilio.request_validator import RequestValidator

from tests.doubles.http_server import DoubleServer
from tests.doubles.media_hosts import ContentHost, HostedFile, MediaFetch, fetch_as_twilio
from tests.doubles.twilio_http import Handler

Operation = Literal["create", "list", "fetch", "typing"]
Kind = Literal[
    "error",  # the given HTTP status, and JSON with the given code
    "problem",  # the same as an RFC 9457 problem
    "too_many_requests",  # 429, code 20429, and Retry-After if given
    "unavailable",  # 503 and a page of HTML
    "hang",  # stored, then silence for the given seconds
    "reset_before_storing",
    "reset_after_storing",
    "cut_body",  # stored; the answer ends in the middle
    "junk",  # stored; 201 and a page of HTML
    "empty",  # stored; 201 and an empty JSON object
]


@dataclass(frozen=True)
class Fault:
    """What the next request of a kind meets instead of an answer."""

    kind: Kind
    status: int = 400
    code: int = 21211
    text: str = "The number is not valid."
    retry_after: str | None = None
    seconds: float = 5.0


@dataclass(frozen=True)
class Callbacks:
    """How status callbacks go out after each create: each of ``statuses`` ``copies`` times, some dropped."""

    statuses: Sequence[str] = ("sent", "delivered", "read")
    copies: int = 1
    drop: float = 0.0  # the share that is never sent
    shuffle: bool = False
    before_answer: bool = False  # all of them arrive before the create call returns
    error_code: int | None = None  # with failed and undelivered


@dataclass
class RecordedMessage:
    """A message in the account, as the double keeps it."""

    sid: str
    to: str
    from_: str
    body: str
    status_callback: str = ""
    direction: str = "outbound-api"
    status: str = "queued"
    error_code: int | None = None
    media_url: str = ""
    date_created: datetime = field(default_factory=lambda: datetime.now(UTC))
    created_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class CallbackResult:
    """One callback that was posted; ``http_status`` is None if nobody answered."""

    sid: str
    status: str
    http_status: int | None


class TwilioDouble:
    """The account, and what to do with the next requests. Any thread may call any method."""

    def __init__(self, *, account_sid: str, auth_token: str, path_prefix: str = "") -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.path_prefix = path_prefix
        self.callbacks: Callbacks | None = None
        self.callback_base_url: str | None = None  # where callbacks really go, if not where their URL says
        self.callback_results: list[CallbackResult] = []
        self.typing: list[str] = []
        self.requests: list[tuple[str, str]] = []  # method and path with query
        self.closing = threading.Event()
        self.content = ContentHost()
        self.fetch_media = False  # of messages that are sent, as soon as they are taken
        self.media_fetches: list[MediaFetch] = []
        self.fail_deletions = 0  # of media: so many are answered with 503
        self._media: dict[str, list[HostedFile]] = defaultdict(list)  # by message SID
        self._account: list[RecordedMessage] = []
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.RLock()
        self.random = random.Random()
        self._outbox: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._server = DoubleServer(self, Handler)
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._post_callbacks, daemon=True),
        ]

    # What tests look at

    @property
    def base_url(self) -> str:
        """What to set TWILIO_API_BASE_URL to."""
        return f"http://127.0.0.1:{self._server.server_port}{self.path_prefix}"

    @property
    def messages(self) -> list[RecordedMessage]:
        """What was sent over the API, in the order of creation."""
        with self._lock:
            return [message for message in self._account if message.direction == "outbound-api"]

    # What tests arrange

    def fail_next(self, operation: Operation, *, kind: Kind, times: int = 1, **details: Any) -> None:
        """Let the next ``times`` requests of one operation meet a fault; ``details`` are fields of Fault."""
        with self._lock:
            self._faults[operation].extend([Fault(kind, **details)] * times)

    def add_message(self, *, to: str, from_: str, body: str, **fields: Any) -> RecordedMessage:
        """Put a message into the account without the API: an inbound one, say, or one of an earlier day."""
        message = RecordedMessage(sid=f"SM{secrets.token_hex(16)}", to=to, from_=from_, body=body, **fields)
        with self._lock:
            self._account.append(message)
        return message

    def add_media(self, message_sid: str, content: bytes, content_type: str, **details: Any) -> HostedFile:
        """Put a file of an inbound message into the account; ``details`` are fields of HostedFile."""
        file = HostedFile(content, content_type, **details)
        with self._lock:
            self._media[message_sid].append(file)
            self.content.files[file.sid] = file
        return file

    def make_media_payload(self, content: bytes, content_type: str, **details: Any) -> dict[str, str]:
        """The fields of a webhook that brings a file: its message's SID, and where the file is."""
        sid = f"MM{secrets.token_hex(16)}"
        file = self.add_media(sid, content, content_type, **details)
        return {
            "MessageSid": sid,
            "SmsSid": sid,
            "SmsMessageSid": sid,
            "NumMedia": "1",
            "MediaContentType0": content_type,
            "MediaUrl0": self.get_media_url(sid, file),
        }

    def get_media_url(self, message_sid: str, file: HostedFile) -> str:
        """The address of a file, as a webhook has it."""
        path = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{message_sid}/Media/{file.sid}"
        return self.base_url + path

    def get_media(self, message_sid: str, media_sid: str) -> HostedFile | None:
        """The file at an address, unless it is deleted."""
        with self._lock:
            files = self._media.get(message_sid, ())
            return next((file for file in files if file.sid == media_sid and not file.is_deleted), None)

    @property
    def media(self) -> list[HostedFile]:
        """All files, in the order they came."""
        with self._lock:
            return [file for files in self._media.values() for file in files]

    def queue_callbacks(self, message: RecordedMessage, plan: Callbacks) -> None:
        """Hand a message's status callbacks to the thread that posts them, as the plan says."""
        for status in self._draw_statuses(plan):
            self._outbox.put(partial(self.post_callback, message, status, plan.error_code))

    def wait_for_callbacks(self) -> None:
        """Return when every callback that was queued has been posted, and every file fetched."""
        self._outbox.join()

    def post_callback(
        self, message: RecordedMessage, status: str, error_code: int | None = None
    ) -> int | None:
        """Post one signed status callback and return the HTTP status, or None if nobody answered."""
        failed = status in ("failed", "undelivered")
        fields = {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "ChannelInstallSid": "XE0123456789abcdef0123456789abcdef",
            "ChannelPrefix": "whatsapp",
            "From": message.from_,
            "MessageSid": message.sid,
            "MessageStatus": status,
            "SmsSid": message.sid,
            "SmsStatus": status,
            "To": message.to,
        }
        fields |= {"EventType": "READ"} if status == "read" else {}
        fields |= {"ErrorCode": str(error_code)} if failed and error_code else {}
        response = None
        with suppress(requests.RequestException):
            response = self._post_form(message.status_callback, fields, base_url=self.callback_base_url)
        http_status = response.status_code if response is not None else None
        with self._lock:
            message.status, message.error_code = status, error_code if failed else None
            self.callback_results.append(CallbackResult(message.sid, status, http_status))
        return http_status

    def post_webhook(
        self,
        base_url: str,
        payload: dict[str, str],
        *,
        public_base_url: str | None = None,
        path: str = "/webhook",
    ) -> requests.Response:
        """Post an inbound message to the server at ``base_url``, signed for the public URL."""
        return self._post_form((public_base_url or base_url) + path, payload, base_url=base_url)

    def _post_form(self, url: str, fields: dict[str, str], *, base_url: str | None) -> requests.Response:
        signature = RequestValidator(self.auth_token).compute_signature(url, fields)
        target = urlsplit(url)
        headers = {"X-Twilio-Signature": signature, "User-Agent": "TwilioProxy/1.1"}
        if base_url:
            headers["Host"] = target.netloc  # as a reverse proxy passes it on
            url = base_url + target._replace(scheme="", netloc="").geturl()
        with requests.Session() as session:
            session.trust_env = False
            return session.post(url, data=fields, headers=headers, timeout=20, allow_redirects=False)

    def _draw_statuses(self, plan: Callbacks) -> list[str]:
        with self._lock:
            drawn = [status for status in plan.statuses for _ in range(plan.copies)]
            drawn = [status for status in drawn if self.random.random() >= plan.drop]
            if plan.shuffle:
                self.random.shuffle(drawn)
        return drawn

    def _post_callbacks(self) -> None:
        while (item := self._outbox.get()) is not None:
            if not self.closing.is_set():
                with suppress(requests.RequestException):
                    item()
            self._outbox.task_done()

    # What the HTTP side calls

    def take_fault(self, operation: Operation) -> Fault | None:
        """The fault the next request of this operation meets, if any."""
        with self._lock:
            faults = self._faults[operation]
            return faults.popleft() if faults else None

    def create(
        self, *, to: str, from_: str, body: str, status_callback: str, media_url: str = ""
    ) -> RecordedMessage:
        """Take a message and see to its callbacks."""
        message = self.add_message(
            to=to, from_=from_, body=body, status_callback=status_callback, media_url=media_url
        )
        if self.fetch_media and media_url:
            self._outbox.put(lambda: self.media_fetches.extend(fetch_as_twilio(media_url)))
        plan = self.callbacks
        if plan and status_callback and plan.before_answer:
            for status in self._draw_statuses(plan):
                self.post_callback(message, status, plan.error_code)
        elif plan and status_callback:
            self.queue_callbacks(message, plan)
        return message

    def find(self, *, to: str | None, from_: str | None) -> list[RecordedMessage]:
        """The account's messages between two addresses, newest first."""
        with self._lock:
            return [
                message
                for message in reversed(self._account)
                if to in (None, message.to) and from_ in (None, message.from_)
            ]

    def get(self, sid: str) -> RecordedMessage | None:
        """The message with this SID."""
        with self._lock:
            return next((message for message in self._account if message.sid == sid), None)

    def start(self) -> None:
        """Begin to answer."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Let go of hanging requests and stop."""
        self.closing.set()
        self._outbox.put(None)
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(timeout=25)
        self.content.close()


@contextmanager
def running_twilio_double(
    *, account_sid: str, auth_token: str, path_prefix: str = ""
) -> Iterator[TwilioDouble]:
    """A double that answers on a free loopback port until the block ends."""
    double = TwilioDouble(account_sid=account_sid, auth_token=auth_token, path_prefix=path_prefix)
    double.start()
    try:
        yield double
    finally:
        double.close()
