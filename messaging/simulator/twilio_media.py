"""Twilio's side of what phones send: the media resource, and the short-lived links behind it.

Facts: contracts/twilio-whatsapp.md §6. The bytes are answered to whoever holds a link and shows no credentials.
"""

from typing import Any

from django.conf import settings
from django.core import signing
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from messaging.simulator.models import SimulatedMedia
from messaging.simulator.posts import API_VERSION
from messaging.simulator.twilio_api import NOT_FOUND, PAGE_SIZE, format_time, twilio_resource

SALT = "messaging.simulator.twilio_media"
LINK_SECONDS = 300


def _get_media(message: str) -> QuerySet[SimulatedMedia]:
    """What Twilio has of a message."""
    return SimulatedMedia.objects.filter(message__sid=message, deleted_at=None).select_related("message")


@twilio_resource
@require_safe
def media_list(request: HttpRequest, *, message: str) -> HttpResponse:
    """``Messages/{message}/Media.json``."""
    found = [_as_resource(media) for media in _get_media(message)]
    uri = f"/{API_VERSION}/Accounts/{settings.TWILIO_ACCOUNT_SID}/Messages/{message}/Media.json"
    page = {"page": 0, "page_size": PAGE_SIZE, "start": 0, "end": max(len(found) - 1, 0)}
    links = {"uri": uri, "first_page_uri": uri, "next_page_uri": None, "previous_page_uri": None}
    return JsonResponse({"media_list": found, **page, **links})


@twilio_resource
@require_http_methods(["GET", "HEAD", "DELETE"])
def media_resource(request: HttpRequest, *, message: str, sid: str) -> HttpResponse:
    """``Messages/{message}/Media/{sid}.json``: what it is, or an end to Twilio's copy of it."""
    media = _get_media(message).filter(sid=sid).first()
    if media is None:
        return NOT_FOUND.as_response()
    if request.method == "DELETE":
        _get_media(message).filter(sid=sid).update(deleted_at=timezone.now())
        return HttpResponse(status=204)
    return JsonResponse(_as_resource(media))


@twilio_resource
@require_safe
def media_content(request: HttpRequest, *, message: str, sid: str) -> HttpResponse:
    """``Messages/{message}/Media/{sid}``: the way to the bytes."""
    media = _get_media(message).filter(sid=sid).first()
    if media is None:
        return NOT_FOUND.as_response()
    answer = HttpResponse(status=307)
    answer["Location"] = f"{settings.TWILIO_API_BASE_URL}/cdn/{signing.dumps(media.sid, salt=SALT)}"
    return answer


@never_cache
@require_safe
def cdn(request: HttpRequest, *, token: str) -> HttpResponse | FileResponse:
    """The bytes. A request that shows credentials has followed a redirect with them, and is refused."""
    if "Authorization" in request.headers:
        return HttpResponse("Only one auth mechanism allowed", status=403, content_type="text/plain")
    try:
        sid = signing.loads(token, salt=SALT, max_age=LINK_SECONDS)
    except signing.BadSignature:
        return HttpResponse("Access Denied", status=403, content_type="text/plain")
    media = SimulatedMedia.objects.filter(sid=sid, deleted_at=None).first()
    if media is None:
        return HttpResponse("Not Found", status=404, content_type="text/plain")
    # Always to be saved, never shown: this address is one of the page's own origin.
    return FileResponse(
        media.file.open(),
        as_attachment=True,
        filename=media.file_name or media.sid,
        content_type=media.content_type,
    )


def _as_resource(media: SimulatedMedia) -> dict[str, Any]:
    account = f"/{API_VERSION}/Accounts/{settings.TWILIO_ACCOUNT_SID}"
    return {
        "account_sid": settings.TWILIO_ACCOUNT_SID,
        "content_type": media.content_type,
        "date_created": format_time(media.created_at),
        "date_updated": format_time(media.created_at),
        "parent_sid": media.message.sid,
        "sid": media.sid,
        "uri": f"{account}/Messages/{media.message.sid}/Media/{media.sid}.json",
    }
