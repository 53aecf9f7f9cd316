"""Deleting from lists and pages: what goes with it is shown first, and the services do it (backoffice/deletions.py)."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from backoffice.base import PersonalAdmin
from backoffice.deletions import MOST_CHOSEN, prepare_deletion, preview, request_deletion, start_deletion
from backoffice.gate import get_shown_people, require_reason
from backoffice.models import Deletion

MAY_SELECT = "accounts.delete_selections"
MOST_NAMED = 20
MOST_COUNTED = 4000  # rows whose consequences are counted before they are deleted: that takes about a second
CONFIRM = "admin:backoffice_deletion_confirm"
RECEIPT = "admin:backoffice_deletion_change"
# What is counted, one and many; in the order in which it is shown.
_NAMES = {
    "people": ("person", "people"),
    "memories": ("memory", "memories"),
    "restored": ("correction that is taken back", "corrections that are taken back"),
    "earlier_texts": ("earlier text of a memory", "earlier texts of memories"),
    "messages": ("text of a message", "texts of messages"),
    "answers": ("text of an answer", "texts of answers"),
    "attachments": ("sending of a file", "sendings of files"),
    "files": ("file that nobody else has sent", "files that nobody else has sent"),
    "mem0_entries": ("entry in Mem0", "entries in Mem0"),
    "objects": ("object in the file store", "objects in the file store"),
    "twilio_copies": ("copy of a file at Twilio", "copies of files at Twilio"),
}
_KINDS = {
    Deletion.Kind.PEOPLE: ("person", "people"),
    Deletion.Kind.MESSAGES: ("message", "messages"),
    Deletion.Kind.MEMORIES: ("memory", "memories"),
    Deletion.Kind.ATTACHMENTS: ("sending of a file", "sendings of files"),
    Deletion.Kind.FILES: ("file", "files"),
}


def describe_counts(counts: Any) -> list[str]:
    """Lines for people: "3 memories"."""
    return [f"{counts[name]:,} {_NAMES[name][counts[name] != 1]}" for name in _NAMES if counts.get(name)]


def describe_chosen(kind: str, total: int) -> str:
    """How many of what were chosen."""
    return f"{total:,} {_KINDS[Deletion.Kind(kind)][total != 1]}"


class DeletableAdmin(PersonalAdmin):
    """Rows that may be deleted: one from its page, many from the list.

    One needs Django's permission to delete, and a reason to look; many need ``accounts.delete_selections`` besides.
    """

    deletion_kind: Deletion.Kind

    def name_row(self, row: Any, *, is_shown: bool) -> str:
        """What a confirmation calls a row; numbers and texts only if this login may see them."""
        return str(row)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may delete rows like this."""
        return request.user.has_perm(f"{self.opts.app_label}.delete_{self.opts.model_name}")

    def may_delete_selections(self, request: HttpRequest) -> bool:
        """Whoever may delete many at once."""
        return self.has_delete_permission(request) and request.user.has_perm(MAY_SELECT)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """With ours under the name of Django's."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        if self.may_delete_selections(request):
            what = self.opts.verbose_name_plural
            actions["delete_selected"] = (ask_about_selection, "delete_selected", f"Delete selected {what}")
        return actions

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what goes with one row; delete it when that is confirmed."""
        row = self.get_object(request, unquote(object_id))
        if not self.has_delete_permission(request, row):
            raise PermissionDenied
        if row is None:
            nowhere: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return nowhere
        if way := require_reason(request, *self.get_person_ids(row)):
            return way
        if request.method == "POST":
            deletion = request_deletion(kind=self.deletion_kind, ids=[row.pk], staff=request.user)
            return redirect(RECEIPT, deletion.id)
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])
        return _ask(request, self, ids=[row.pk], back=back)


def ask_about_selection(model_admin: Any, request: HttpRequest, rows: "QuerySet[Any]") -> HttpResponse | None:
    """The action of a list: note which rows were chosen, and ask about exactly these."""
    chosen = rows.order_by("pk").values_list("pk", flat=True)[: MOST_CHOSEN + 1]
    try:
        deletion = prepare_deletion(
            kind=model_admin.deletion_kind, ids=list(dict.fromkeys(chosen)), staff=request.user
        )
    except ValueError as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        return None
    return redirect(CONFIRM, deletion.id)


@require_http_methods(["GET", "HEAD", "POST"])
def confirm_selection(request: HttpRequest, deletion_id: uuid.UUID) -> HttpResponse:
    """``/admin/backoffice/deletion/<id>/confirm/``: what goes with a selection; deleted when that is confirmed."""
    deletion = get_object_or_404(Deletion, id=deletion_id, asked_by_id=request.user.pk)
    model_admin = _get_admin(Deletion.Kind(deletion.kind))
    if not model_admin.may_delete_selections(request):
        raise PermissionDenied
    if request.method == "POST":
        start_deletion(deletion.id)
    if request.method == "POST" or deletion.requested_at is not None:
        return redirect(RECEIPT, deletion.id)
    back = reverse(f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_changelist")
    return _ask(request, model_admin, ids=deletion.ids, back=back)


def _get_admin(kind: Deletion.Kind) -> Any:
    """The admin class of the rows of a kind."""
    admins = (each for each in admin.site._registry.values() if isinstance(each, DeletableAdmin))
    return next(each for each in admins if each.deletion_kind == kind)


def _ask(request: HttpRequest, model_admin: Any, *, ids: Sequence[int], back: str) -> HttpResponse:
    kind = model_admin.deletion_kind
    counted = preview(kind, ids[:MOST_COUNTED])
    numbers = () if kind == Deletion.Kind.MEMORIES else counted.numbers
    context = {
        **admin.site.each_context(request),
        "title": f"Delete {describe_chosen(kind, len(ids))}?",
        "named": _name_rows(request, model_admin, ids[:MOST_NAMED]),
        "more": _count_more(ids),
        "lines": describe_counts(counted.counts),
        # Of memories that were chosen themselves the names say them.
        "numbers": numbers[:MOST_NAMED],
        "more_numbers": _count_more(numbers),
        "counted": f"{MOST_COUNTED:,}" if len(ids) > MOST_COUNTED else "",
        "is_erasure": kind == Deletion.Kind.PEOPLE,
        "has_heard": kind == Deletion.Kind.ATTACHMENTS,
        "back": back,
    }
    return TemplateResponse(request, "backoffice/confirm_deletion.html", context)


def _count_more(items: Sequence[int]) -> str:
    """How many are not named."""
    return f"{len(items) - MOST_NAMED:,}" if len(items) > MOST_NAMED else ""


def _name_rows(request: HttpRequest, model_admin: Any, ids: Sequence[int]) -> list[str]:
    """The rows by what they are called, as far as this login may see that."""
    related = model_admin.list_select_related or ()
    rows = model_admin.get_queryset(request).select_related(*related).filter(pk__in=ids).order_by("pk")
    owners = {row.pk: model_admin.get_person_ids(row) for row in rows}
    shown = get_shown_people(request, (person for people in owners.values() for person in people))
    return [model_admin.name_row(row, is_shown=bool(shown & owners[row.pk])) for row in rows]
