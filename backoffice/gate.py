"""Nobody looks at a person's data without having said why: the page that asks, and what to show until then."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.audit import SHORTEST_REASON, get_open_reasons, has_open_reason, open_person
from accounts.models import WhatsAppUser

MAY_OPEN = "accounts.open_people"
SEES_ALL = "accounts.see_personal_data"
HIDDEN = "•••"
SUGGESTIONS = (
    "Asked why the bot said that",
    "Asked what is kept",
    "Asked to delete something",
    "A message failed",
)


def require_reason(request: HttpRequest, *person_ids: int) -> HttpResponse | None:
    """The way to the gate, or None if this login has said why it looks at one of these people.

    Call in a view before anything of theirs is read. Raises PermissionDenied for logins who may never.
    """
    if not request.user.has_perm(MAY_OPEN):
        raise PermissionDenied
    if not person_ids or has_open_reason(request.user, person_ids=person_ids):
        return None
    back = request.get_full_path() if request.method in ("GET", "HEAD") else request.path
    address = reverse("backoffice-reason", args=[person_ids[0]])
    return HttpResponseRedirect(f"{address}?{urlencode({'next': back})}")


def get_shown_people(request: HttpRequest, person_ids: Iterable[int]) -> set[int]:
    """Whose numbers and texts a list shows to this login. One statement at most."""
    ids = set(person_ids)
    if request.user.has_perm(SEES_ALL):
        return ids
    if not ids or not request.user.has_perm(MAY_OPEN):
        return set()
    return set(get_open_reasons(request.user, person_ids=ids))


def mask_number(number: str) -> str:
    """A number or address of which only the country's beginning and the end can be read."""
    bare = number.removeprefix("whatsapp:")
    return f"{bare[:2]}{HIDDEN}{bare[-2:]}" if len(bare) > 6 else HIDDEN


def name_person(person: WhatsAppUser, *, is_shown: bool) -> str:
    """What to call somebody in a list: the name, else the number as far as it may be read."""
    if name := person.name or person.profile_name:
        return name
    number = person.phone_number or person.whatsapp_id
    return number if is_shown else mask_number(number)


@sensitive_post_parameters("reason")
@require_http_methods(["GET", "HEAD", "POST"])
def ask_reason(request: HttpRequest, person_id: int) -> HttpResponse:
    """``/admin/reason/<person>/?next=…``: asks why, writes it down, goes on."""
    if not request.user.has_perm(MAY_OPEN):
        raise PermissionDenied
    person = get_object_or_404(WhatsAppUser, id=person_id)
    back = request.POST.get("next") or request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None) or not back.startswith("/"):
        back = reverse("admin:accounts_whatsappuser_change", args=[person.id])
    error, reason = "", request.POST.get("reason", "")
    if request.method == "POST":
        try:
            open_person(staff=request.user, person_id=person.id, reason=reason)  # type: ignore[arg-type]  # of staff
            return redirect(back)
        except ValueError:
            error = f"Say why, in {SHORTEST_REASON} letters or more."
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Why do you want to look?",
        "name": name_person(person, is_shown=request.user.has_perm(SEES_ALL)),
        "next": back,
        "error": error,
        "reason": reason,
        "suggestions": SUGGESTIONS,
    }
    return TemplateResponse(request, "backoffice/reason.html", context, status=422 if error else 200)
