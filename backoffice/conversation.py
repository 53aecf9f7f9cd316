"""The page of a conversation, as it was said; the newest page keeps itself up to date."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.audit import has_open_reason
from accounts.models import WhatsAppUser
from backoffice.composer import Draft, get_composer
from backoffice.gate import MAY_OPEN, require_reason
from backoffice.timeline import Page, get_page
from backoffice.timeline_places import Place, StrangeCursor, get_day_start, read_cursor
from backoffice.timeline_search import LONGEST_QUERY, search_conversation

KEPT_UP_TO_DATE = 15  # entries; more do not come between two looks
# What the page shows, beside what the gate asks for.
MAY_SEE = (
    *("messaging.view_rawmessage", "messaging.view_interaction", "messaging.view_outboundmessage"),
    *("memories.view_memory", "media.view_messagemedia"),
)
NO_STORE = {"Cache-Control": "no-store"}


@require_safe
def show_conversation(request: HttpRequest, person_id: int) -> HttpResponse:
    """``…/conversation/``: the newest page, the one that is asked for, or what says ``q``."""
    check_permissions(request)
    person = get_object_or_404(WhatsAppUser, id=person_id)
    if way := require_reason(request, person.id):
        return way
    try:
        return _show_wanted(request, person)
    except StrangeCursor:
        notice = "This address leads nowhere in this conversation. These are the newest messages."
        return show_page(request, person, notice=notice, status=400)


@require_safe
def show_newest(request: HttpRequest, person_id: int) -> HttpResponse:
    """``…/conversation/newest/``: the last entries and the composer, for a page that is open already."""
    check_permissions(request)
    person = get_object_or_404(WhatsAppUser, id=person_id)
    if not request.user.has_perm(MAY_OPEN) or not has_open_reason(request.user, person_ids=[person.id]):
        raise PermissionDenied  # no way to the gate: nobody is looking at this answer
    page = get_page(person, size=KEPT_UP_TO_DATE)
    composer = get_composer(request.user, person, page=page)
    context = {"person": person, "address": get_address(person.id), "page": page, "composer": composer}
    return TemplateResponse(request, "backoffice/conversation_newest.html", context, headers=NO_STORE)


def check_permissions(request: HttpRequest) -> None:
    """Raise PermissionDenied for logins that may not see all that a conversation has."""
    if not request.user.has_perms(MAY_SEE):
        raise PermissionDenied


def get_address(person_id: int) -> str:
    """Where a conversation is shown."""
    return reverse("backoffice-conversation", args=[person_id])


def _show_wanted(request: HttpRequest, person: WhatsAppUser) -> HttpResponse:
    wanted = request.GET
    if query := wanted.get("q", "").replace("\0", "").strip()[:LONGEST_QUERY]:
        before = read_cursor(wanted["before"]) if "before" in wanted else None
        results = search_conversation(person, query=query, before=before)
        return _render(
            request,
            person,
            title=f"Search with {person}",
            results=results,
            query=query,
            composer=get_composer(request.user, person),
        )
    if "day" in wanted:
        return _show_day(request, person, wanted["day"])

    def read(name: str) -> Place | None:
        return read_cursor(wanted[name]) if name in wanted else None

    page = get_page(person, before=read("before"), after=read("after"), around=read("around"))
    return show_page(request, person, page=page)


def _show_day(request: HttpRequest, person: WhatsAppUser, day: str) -> HttpResponse:
    try:
        start = get_day_start(date.fromisoformat(day), ZoneInfo(person.timezone))
    except ValueError:
        return show_page(
            request, person, notice="This is not a day. These are the newest messages.", status=400
        )
    page = get_page(person, after=start)
    if not page.entries:
        notice = "Nothing was said on that day or later. These are the newest messages."
        return show_page(request, person, notice=notice, day=day)
    return show_page(request, person, page=page, day=day)


def show_page(
    request: HttpRequest,
    person: WhatsAppUser,
    *,
    page: Page | None = None,
    draft: Draft | None = None,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """A page of the conversation, the newest if none is given; below it the composer with a draft that was refused."""
    page = page or get_page(person)
    composer = get_composer(request.user, person, page=page, draft=draft)
    context |= {"page": page, "is_newest": page.newer is None, "composer": composer}
    return _render(request, person, title=f"Conversation with {person}", status=status, **context)


def _render(request: HttpRequest, person: WhatsAppUser, *, status: int = 200, **context: Any) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "person": person,
        "address": get_address(person.id),
        "now": timezone.now(),
        **context,
    }
    return TemplateResponse(request, "backoffice/conversation.html", context, status=status, headers=NO_STORE)
