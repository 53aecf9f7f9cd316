"""The part of Twilio's REST API the bot uses, as Twilio answers it (contracts/twilio-whatsapp.md §7, §10)."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import wraps
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.utils.crypto import constant_time_compare
from django.utils.dateparse import parse_datetime
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from messaging.simulator.exchange import Direction, Status, mark_read_by_bot, store_outbound
from messaging.simulator.models import SimulatedMessage
from messaging.simulator.posts import API_VERSION, FAULTS, is_ours
from messaging.simulator.tasks import defer_sending

View = Callable[..., HttpResponse]

ADDRESS = re.compile(r"whatsapp:(\+[1-9][0-9]{5,14}|[A-Z]{2}\.[0-9A-Za-z]{1,128})")
MAX_BODY = 1600  # UTF-16 units: "emoji count as multiple" (contracts §7)
PAGE_SIZE, MAX_PAGE_SIZE = 50, 1000
PAGE_TOKEN = re.compile(r"PA([SM]M[0-9a-f]{32})")
LOST = "<html><head><title>503</title></head><body><h1>503 Service Unavailable</h1></body></html>"


class Refusal(NamedTuple):
    """An answer of Twilio's other than success."""

    status: int
    code: int
    message: str

    def as_response(self) -> JsonResponse:
        more_info = f"https://www.twilio.com/docs/errors/{self.code}"
        return JsonResponse({**self._asdict(), "more_info": more_info}, status=self.status)


UNAUTHORIZED = Refusal(401, 20003, "Authenticate")
NOT_FOUND = Refusal(404, 20404, "The requested resource was not found")


def twilio_resource(view: View) -> View:
    """A view only our own account reaches, by Basic auth with any of its tokens; needs no CSRF token."""

    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if not _is_authorized(request.headers.get("Authorization", "")):
            response = UNAUTHORIZED.as_response()
            response["WWW-Authenticate"] = 'Basic realm="Twilio API"'
            return response
        if kwargs.pop("account", settings.TWILIO_ACCOUNT_SID) != settings.TWILIO_ACCOUNT_SID:
            return NOT_FOUND.as_response()
        return view(request, **kwargs)

    return csrf_exempt(wrapped)


def _is_authorized(header: str) -> bool:
    scheme, _, encoded = header.partition(" ")
    try:
        given = b64decode(encoded, validate=True)
    except (NotBase64, ValueError):
        return False
    known = [f"{settings.TWILIO_ACCOUNT_SID}:{token}".encode() for token in settings.TWILIO_AUTH_TOKENS]
    # A list, not a generator: every token is compared, whichever fits.
    return scheme.lower() == "basic" and any([constant_time_compare(given, one) for one in known])


@twilio_resource
def messages(request: HttpRequest) -> HttpResponse:
    """``Messages.json``: POST sends a message, GET lists messages."""
    if request.method == "POST":
        return _create_message(request)
    return _list_messages(request)


@twilio_resource
@require_GET
def message(request: HttpRequest, *, sid: str) -> HttpResponse:
    """``Messages/{sid}.json``."""
    row = SimulatedMessage.objects.filter(sid=sid).first()
    return NOT_FOUND.as_response() if row is None else JsonResponse(_as_resource(row))


@twilio_resource
@require_POST
def typing(request: HttpRequest) -> HttpResponse:
    """``/v2/Indicators/Typing.json``: show dots on the phone, and mark the message read."""
    if request.POST.get("channel") != "whatsapp":
        return Refusal(400, 20001, "channel must be whatsapp").as_response()
    if not mark_read_by_bot(sid=request.POST.get("messageId", "").replace("\0", "")):
        return NOT_FOUND.as_response()
    return JsonResponse({"success": True})


def _create_message(request: HttpRequest) -> HttpResponse:
    refusal = _find_fault(request.POST)
    if refusal is not None:
        return refusal.as_response()
    with transaction.atomic():
        row = store_outbound(
            to=request.POST["To"],
            from_=request.POST["From"],
            body=request.POST.get("Body", ""),
            status_callback=request.POST.get("StatusCallback", ""),
            media_url=_get_media_url(request.POST),
        )
        defer_sending(row)
    if row.lose_reply:
        return HttpResponse(LOST, status=503)
    return JsonResponse(_as_resource(row), status=201)


def _find_fault(post: QueryDict) -> Refusal | None:
    """What Twilio would refuse about a message to send; None if nothing (codes: contracts §8)."""
    to, from_, body = (post.get(name, "") for name in ("To", "From", "Body"))
    callback = post.get("StatusCallback", "")
    if not to:
        return Refusal(400, 21604, "A 'To' phone number is required.")
    if not ADDRESS.fullmatch(to):
        return Refusal(400, 21211, "Invalid 'To' Phone Number")
    if not from_:
        return Refusal(400, 21603, "A 'From' phone number is required.")
    if from_ != settings.TWILIO_WHATSAPP_NUMBER:
        return Refusal(400, 63007, "Twilio could not find a Channel with the specified From address")
    media_url = _get_media_url(post)
    if media_url and (not is_ours(media_url) or "\0" in media_url):
        return Refusal(400, 21620, "Invalid media URL: it does not lead to this installation")
    if not body.strip() and not media_url:
        return Refusal(400, 21602, "Message body is required.")
    if len(body.encode("utf-16-le")) // 2 > MAX_BODY:
        return Refusal(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    if "\0" in body:
        return Refusal(400, 21619, "Message body holds a character that cannot be sent")
    if callback and (not is_ours(callback) or "\0" in callback):
        return Refusal(400, 21609, "The 'StatusCallback' URL is not a URL of this installation")
    return None


def _get_media_url(post: QueryDict) -> str:
    """The first of the media links: WhatsApp carries one, Twilio ignores the others (contracts §6)."""
    return next(iter(post.getlist("MediaUrl")), "")


def _list_messages(request: HttpRequest) -> HttpResponse:
    """A page of messages, newest first; ``PageToken`` continues after the last one of a page before."""
    query = request.GET
    rows = SimulatedMessage.objects.order_by("-id")
    try:
        page, size = int(query.get("Page", 0)), int(query.get("PageSize", PAGE_SIZE))
        since, before, day = (_parse_time(query.get(name)) for name in ("DateSent>", "DateSent<", "DateSent"))
    except ValueError:
        return Refusal(400, 20001, "Page, PageSize or DateSent is not valid").as_response()
    size = min(max(size, 1), MAX_PAGE_SIZE)
    if to := query.get("To"):
        rows = rows.filter(to_address=to.replace("\0", ""))
    if from_ := query.get("From"):
        rows = rows.filter(from_address=from_.replace("\0", ""))
    if since:
        rows = rows.filter(sent_at__gte=since)
    if before:
        rows = rows.filter(sent_at__lte=before)
    if day:
        rows = rows.filter(sent_at__gte=day, sent_at__lt=day + timedelta(days=1))
    if token := PAGE_TOKEN.fullmatch(query.get("PageToken", "")):
        rows = rows.filter(id__lt=SimulatedMessage.objects.filter(sid=token[1]).values("id"))
    found = list(rows[: size + 1])
    shown = found[:size]
    return JsonResponse(
        {
            "messages": [_as_resource(row) for row in shown],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(len(shown) - 1, 0),
            "uri": _get_page_uri(query, page=page, token=query.get("PageToken")),
            "first_page_uri": _get_page_uri(query, page=0, token=None),
            "next_page_uri": _get_page_uri(query, page=page + 1, token=f"PA{shown[-1].sid}")
            if len(found) > size
            else None,
            "previous_page_uri": None,
        }
    )


def _get_page_uri(query: QueryDict, *, page: int, token: str | None) -> str:
    """The URI of a page, without our path prefix: clients join it to the base URL they were given."""
    again = query.copy()
    again["Page"] = str(page)
    again.pop("PageToken", None)
    if token:
        again["PageToken"] = token
    return f"/{API_VERSION}/Accounts/{settings.TWILIO_ACCOUNT_SID}/Messages.json?{again.urlencode()}"


def _parse_time(text: str | None) -> datetime | None:
    """A date (midnight UTC) or a time of the query, or None if absent. Raises ValueError."""
    if not text:
        return None
    parsed = parse_datetime(text if "T" in text else f"{text}T00:00:00Z")
    if parsed is None:
        raise ValueError(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _as_resource(row: SimulatedMessage) -> dict[str, Any]:
    """A message as Twilio's JSON shows it; times are RFC 2822."""
    uri = f"/{API_VERSION}/Accounts/{settings.TWILIO_ACCOUNT_SID}/Messages/{row.sid}"
    inbound = row.direction == Direction.INBOUND
    failed = not inbound and row.status == Status.FAILED
    changed = row.read_at or row.delivered_at or row.sent_at or row.created_at
    return {
        "account_sid": settings.TWILIO_ACCOUNT_SID,
        "api_version": API_VERSION,
        "body": row.body,
        "date_created": format_time(row.created_at),
        "date_sent": format_time(row.sent_at),
        "date_updated": format_time(changed),
        "direction": row.direction,
        "error_code": row.error_code if failed else None,
        "error_message": FAULTS.get(row.error_code or 0) if failed else None,
        "from": row.from_address,
        "messaging_service_sid": None,
        "num_media": "1" if row.sid.startswith("MM") else "0",
        "num_segments": "1",
        "price": None,
        "price_unit": None,
        "sid": row.sid,
        "status": "received" if inbound else row.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": row.to_address,
        "uri": f"{uri}.json",
    }


def format_time(moment: datetime | None) -> str | None:
    return format_datetime(moment.astimezone(UTC)) if moment else None
