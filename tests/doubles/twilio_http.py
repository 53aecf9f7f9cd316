"""The HTTP side of the Twilio double: routes, authentication, refusals and broken answers."""

import base64
import json
import re
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.doubles.http_server import DoubleHandler, DoubleServer

if TYPE_CHECKING:
    from tests.doubles.twilio import Fault, RecordedMessage, TwilioDouble

ROUTES = (
    ("POST", r"/2010-04-01/Accounts/(?P<account>\w+)/Messages\.json", "create"),
    ("GET", r"/2010-04-01/Accounts/(?P<account>\w+)/Messages\.json", "list"),
    ("GET", r"/2010-04-01/Accounts/(?P<account>\w+)/Messages/(?P<sid>\w+)\.json", "fetch"),
    ("POST", r"/v2/Indicators/Typing\.json", "typing"),
    ("GET", r"/2010-04-01/Accounts/(?P<account>\w+)/Messages/(?P<sid>\w+)/Media/(?P<media>ME\w+)", "media"),
    (
        "DELETE",
        r"/2010-04-01/Accounts/(?P<account>\w+)/Messages/(?P<sid>\w+)/Media/(?P<media>ME\w+)\.json",
        "delete_media",
    ),
)
STORED = ("hang", "reset_after_storing", "cut_body", "junk", "empty")
HTML = b"<html><body><h1>Service Unavailable</h1></body></html>"
Answer = tuple[int, dict[str, Any]]


class Handler(DoubleHandler):
    """One connection."""

    server: "DoubleServer[TwilioDouble]"

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_DELETE(self) -> None:
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        double = self.server.double
        body = self.read_body()
        double.requests.append((method, self.path))
        url = urlsplit(self.path)
        operation, names = self._route(method, url.path)
        if not operation:
            return self.write_json(*refuse(404, 20404, "The requested resource was not found"))
        if not self._is_authorized(names.pop("account", double.account_sid)):
            return self.write_json(*refuse(401, 20003, "Authenticate"))
        fields = dict(parse_qsl(url.query + "&" + body.decode(), keep_blank_values=True)) | names
        if operation == "media":
            return self._redirect_to_media(fields)
        if operation == "delete_media":
            file = double.get_media(fields["sid"], fields["media"])
            if file is None:
                return self.write_json(*refuse(404, 20404, "The requested resource was not found"))
            if double.fail_deletions > 0:
                double.fail_deletions -= 1
                return self.write(503, "text/html", HTML)
            file.is_deleted = True
            return self.write(204, "application/json", b"")
        fault = double.take_fault(operation)
        if fault and fault.kind not in STORED:
            return self._fail(fault)
        answer: Answer = getattr(self, f"_{operation}")(fields)
        if fault:
            return self._spoil(fault, *answer)
        self.write_json(*answer)

    def _route(self, method: str, path: str) -> tuple[Any, dict[str, str]]:
        prefix = re.escape(self.server.double.path_prefix)
        for wanted, pattern, operation in ROUTES:
            if wanted == method and (match := re.fullmatch(prefix + pattern, path)):
                return operation, match.groupdict()
        return None, {}

    def _is_authorized(self, account: str) -> bool:
        double = self.server.double
        wanted = base64.b64encode(f"{double.account_sid}:{double.auth_token}".encode()).decode()
        return account == double.account_sid and self.headers.get("Authorization") == f"Basic {wanted}"

    def _redirect_to_media(self, fields: dict[str, str]) -> None:
        """The address of a file redirects to a host that needs no credentials, unless the file is still on its way."""
        double = self.server.double
        file = double.get_media(fields["sid"], fields["media"])
        if file is None:
            return self.write_json(*refuse(404, 20404, "The requested resource was not found"))
        file.requests += 1
        if file.requests <= file.not_found:
            return self.write_json(*refuse(404, 20404, "The requested resource was not found"))
        if file.status is not None:
            return self.write(file.status, "text/html", HTML, file.headers)
        location = double.content.get_url(file) if file.location is None else file.location
        self.write(file.redirect_status, "text/plain", b"", {"Location": location})

    # Operations

    def _create(self, fields: dict[str, str]) -> Answer:
        for name, code in (("To", 21604), ("From", 21603), ("Body", 21602)):
            if not fields.get(name) and not (name == "Body" and fields.get("MediaUrl")):
                return refuse(400, code, f"A '{name}' is required.")
        for name, code in (("To", 21211), ("From", 21212)):
            if not fields[name].startswith("whatsapp:"):
                return refuse(400, code, f"The '{name}' number {fields[name]} is not valid.")
        if len(fields.get("Body", "").encode("utf-16-le")) // 2 > 1600:
            return refuse(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
        callback = fields.get("StatusCallback", "")
        host = urlsplit(callback).hostname or ""
        if callback and (not host or "_" in host):
            return refuse(400, 21609, f"The StatusCallback URL {callback} is not a valid URL.")
        message = self.server.double.create(
            to=fields["To"],
            from_=fields["From"],
            body=fields.get("Body", ""),
            status_callback=callback,
            media_url=fields.get("MediaUrl", ""),
        )
        # Always its first status, even if callbacks have overtaken this answer.
        return 201, self._describe(message) | {"status": "queued"}

    def _list(self, fields: dict[str, str]) -> Answer:
        if unknown := fields.keys() - {"To", "From", "PageSize", "Page", "PageToken"}:
            return refuse(400, 20001, f"Unknown filters: {sorted(unknown)}")
        found = self.server.double.find(to=fields.get("To"), from_=fields.get("From"))
        sids = [message.sid for message in found]
        start = sids.index(fields["PageToken"].removeprefix("PA")) + 1 if "PageToken" in fields else 0
        size, number = int(fields.get("PageSize", 50)), int(fields.get("Page", 0))
        page = found[start : start + size]
        here = f"/2010-04-01/Accounts/{self.server.double.account_sid}/Messages.json"
        following = None
        if start + size < len(found):
            kept = {name: fields[name] for name in ("To", "From") if name in fields}
            turn = {"PageSize": size, "Page": number + 1, "PageToken": f"PA{page[-1].sid}"}
            following = f"{here}?{urlencode(kept | turn)}"
        return 200, {
            "first_page_uri": f"{here}?PageSize={size}&Page=0",
            "end": start + len(page) - 1,
            "previous_page_uri": None,
            "messages": [self._describe(message) for message in page],
            "uri": f"{here}?PageSize={size}&Page={number}",
            "page_size": size,
            "start": start,
            "next_page_uri": following,
            "page": number,
        }

    def _fetch(self, fields: dict[str, str]) -> Answer:
        message = self.server.double.get(fields["sid"])
        return (200, self._describe(message)) if message else refuse(404, 20404, "The message was not found")

    def _typing(self, fields: dict[str, str]) -> Answer:
        if fields.get("channel") != "whatsapp" or not re.fullmatch(
            r"(SM|MM)\w{32}", fields.get("messageId", "")
        ):
            return refuse(400, 20001, "channel or messageId is not valid.")
        self.server.double.typing.append(fields["messageId"])
        return 200, {"success": True}

    def _describe(self, message: "RecordedMessage") -> dict[str, Any]:
        uri = f"/2010-04-01/Accounts/{self.server.double.account_sid}/Messages/{message.sid}"
        date = format_datetime(message.date_created)
        return {
            "body": message.body,
            "num_segments": "1",
            "direction": message.direction,
            "from": message.from_,
            "date_updated": date,
            "price": None,
            "error_message": None,
            "uri": f"{uri}.json",
            "account_sid": self.server.double.account_sid,
            "num_media": str(int(bool(message.media_url))),
            "to": message.to,
            "date_created": date,
            "status": message.status,
            "sid": message.sid,
            "date_sent": None,
            "messaging_service_sid": None,
            "error_code": message.error_code,
            "price_unit": None,
            "api_version": "2010-04-01",
            "subresource_uris": {"media": f"{uri}/Media.json"},
        }

    # Answers, good and bad

    def _fail(self, fault: "Fault") -> None:
        """Answer without having done anything."""
        if fault.kind == "error":
            self.write_json(*refuse(fault.status, fault.code, fault.text))
        elif fault.kind == "problem":
            kind = f"https://www.twilio.com/docs/errors/{fault.code}"
            problem = {"type": kind, "title": "Invalid", "detail": fault.text, "status": fault.status}
            self.write_json(fault.status, problem | {"code": fault.code})
        elif fault.kind == "too_many_requests":
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            self.write_json(*refuse(429, 20429, "Too Many Requests"), headers)
        elif fault.kind == "unavailable":
            self.write(503, "text/html", HTML)
        else:
            self.reset()

    def _spoil(self, fault: "Fault", status: int, payload: dict[str, Any]) -> None:
        """It was done; let the answer not say so."""
        if fault.kind == "junk":
            self.write(status, "text/html", HTML)
        elif fault.kind == "empty":
            self.write_json(status, {})
        elif fault.kind == "cut_body":
            body = json.dumps(payload).encode()
            half, headers = body[: len(body) // 2], {"Content-Length": str(len(body))}
            self.write(status, "application/json", half, headers)
            self.close_connection = True
        elif fault.kind == "hang":
            self.close_connection = True
            self.server.double.closing.wait(fault.seconds)
        else:
            self.reset()


def refuse(status: int, code: int, text: str) -> Answer:
    """An error as Twilio words it."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return status, {"code": code, "message": text, "more_info": more, "status": status}
