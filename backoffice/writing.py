"""Staff pause the bot for a person, write in its place, and hand back (messaging/takeover.py)."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts.audit import has_open_reason
from accounts.models import WhatsAppUser
from backoffice.composer import LONGEST, MAY_TAKE_OVER, Draft
from backoffice.conversation import check_permissions, get_address, show_page
from messaging import takeover
from whatsbot.exceptions import (
    CannotWrite,
    KeyUsedBefore,
    NothingToSend,
    NotTakenOver,
    OptedOut,
    WindowClosed,
)

HTTP_CONFLICT, HTTP_UNPROCESSABLE = 409, 422
TOO_LONG = f"This is longer than {LONGEST:,} characters. It was not sent."
_ERRORS: dict[type[CannotWrite], str] = {
    NothingToSend: "There is nothing to send.",
    KeyUsedBefore: "Another text was sent with this form before. This one was not sent: see what stands above first.",
    NotTakenOver: "You do not have the conversation any more. This was not sent.",
    OptedOut: "This person has opted out. This was not sent.",
    WindowClosed: "The 24 hours are over. This was not sent.",
}


@require_POST
def take_over(request: HttpRequest, person_id: int) -> HttpResponse:
    """``…/conversation/take-over/``: pause the bot."""
    return _change(request, person_id, takeover.take_over, "The bot is silent. You have the conversation.")


@require_POST
def hand_back(request: HttpRequest, person_id: int) -> HttpResponse:
    """``…/conversation/hand-back/``: let the bot answer again."""
    return _change(request, person_id, takeover.hand_back, "The bot has the conversation again.")


@sensitive_post_parameters("text")
@require_POST
def write(request: HttpRequest, person_id: int) -> HttpResponse:
    """``…/conversation/write/``: send a text; what cannot be sent stays in the form, with the reason why."""
    person = _find_person(request, person_id)
    text = request.POST.get("text", "").replace("\r\n", "\n")
    try:
        key = uuid.UUID(request.POST.get("key", ""))
        seen_id = int(request.POST["seen"]) if request.POST.get("seen") else None
    except ValueError:
        return HttpResponse("This form is not one of ours.", status=400, content_type="text/plain")
    if len(text) > LONGEST:
        return _show_again(request, person, Draft(text=text, error=TOO_LONG), status=HTTP_UNPROCESSABLE)
    try:
        takeover.write(staff=request.user, user_id=person.id, text=text, key=key, seen_id=seen_id)  # type: ignore[arg-type]  # staff
    except CannotWrite as error:
        status = HTTP_UNPROCESSABLE if isinstance(error, NothingToSend) else HTTP_CONFLICT
        return _show_again(request, person, Draft(text=text, error=_ERRORS[type(error)]), status=status)
    return redirect(f"{get_address(person.id)}#bo-composer")


def _change(request: HttpRequest, person_id: int, service: Callable[..., Any], said: str) -> HttpResponse:
    person = _find_person(request, person_id)
    if has_open_reason(request.user, person_ids=[person.id]):
        service(staff=request.user, user_id=person.id)
        messages.success(request, said)
    return redirect(f"{get_address(person.id)}#bo-composer")  # where the gate asks why, if need be


def _find_person(request: HttpRequest, person_id: int) -> WhatsAppUser:
    """Raises PermissionDenied, Http404."""
    check_permissions(request)
    if not request.user.has_perm(MAY_TAKE_OVER):
        raise PermissionDenied
    return get_object_or_404(WhatsAppUser, id=person_id)


def _show_again(request: HttpRequest, person: WhatsAppUser, draft: Draft, *, status: int) -> HttpResponse:
    if not has_open_reason(request.user, person_ids=[person.id]):
        messages.error(request, draft.error)
        return redirect(get_address(person.id))
    person.refresh_from_db()
    return show_page(request, person, draft=draft, status=status)
