"""Receipts of deletions: how far they are, what went, and what is still waited for elsewhere."""

import uuid
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path

from backoffice.base import BrowseAdmin
from backoffice.deleting import CONFIRM, confirm_selection, describe_chosen, describe_counts
from backoffice.models import Deletion, Leftover

SEES_ALL = "accounts.view_auditevent"
MOST_RECEIPTS = 20  # of people, that are linked to
Place = Leftover.Place
_WAITED_FOR = {
    Place.MESSAGE: ("message that is being answered", "messages that are being answered"),
    Place.ANSWER: ("answer that is being sent", "answers that are being sent"),
    Place.MEM0: ("entry in Mem0", "entries in Mem0"),
    Place.STORE: ("object in the file store", "objects in the file store"),
}


def describe_state(deletion: Deletion) -> str:
    """How far a deletion is."""
    if deletion.confirmed_at is not None:
        return "Nothing is left" if not deletion.failed else "Nothing is left of what could be deleted"
    if deletion.finished_at is not None:
        return "Deleted here; copies elsewhere are going"
    return "Waiting for a worker" if deletion.started_at is None else "Being deleted"


@admin.register(Deletion)
class DeletionAdmin(BrowseAdmin):
    """What logins have deleted. Everybody sees their own; who may read the log sees all."""

    title = "Deletions"
    list_display = ("requested_at", "asked_by", "chosen", "state", "finished_at", "confirmed_at")
    list_display_links = ("requested_at",)
    list_filter = ("kind", ("confirmed_at", admin.EmptyFieldListFilter))
    ordering = ("-prepared_at",)

    @admin.display(description="What")
    def chosen(self, row: Deletion) -> str:
        """How many of what."""
        return describe_chosen(row.kind, row.total)

    @admin.display(description="How far")
    def state(self, row: Deletion) -> str:
        """In words."""
        return describe_state(row)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """Those that were confirmed by somebody; selections are long and not shown."""
        return super().get_queryset(request).filter(requested_at__isnull=False).defer("ids")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Who sees all."""
        return request.user.has_perm(SEES_ALL)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who sees all, and of one also whoever asked for it."""
        is_own = obj is not None and obj.asked_by_id == request.user.pk
        return is_own or request.user.has_perm(SEES_ALL)

    def get_urls(self) -> list[Any]:
        """Beside the list and the receipt: the question before it, and how far it is."""
        ours = [
            path(
                "<uuid:deletion_id>/confirm/",
                self.admin_site.admin_view(confirm_selection),
                name="backoffice_deletion_confirm",
            ),
            path(
                "<uuid:deletion_id>/progress/",
                self.admin_site.admin_view(self.show_progress),
                name="backoffice_deletion_progress",
            ),
        ]
        return [*ours, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The receipt."""
        deletion = self._get(request, object_id)
        if deletion.requested_at is None:
            return redirect(CONFIRM, deletion.id)
        receipts = deletion.receipts.order_by("erased_at", "id")
        may_see = request.user.has_perm("messaging.view_erasurereceipt")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Deletion of {describe_chosen(deletion.kind, deletion.total)}",
            "deletion": deletion,
            "state": describe_state(deletion),
            "progress": f"{deletion.done:,} of {deletion.total:,}",
            "is_running": deletion.finished_at is None,
            "gone": describe_counts(deletion.gone),
            "failed": len(deletion.failed),
            "waited_for": _describe_leftovers(deletion),
            "receipts": receipts[:MOST_RECEIPTS] if may_see else (),
            "more_receipts": max(receipts.count() - MOST_RECEIPTS, 0) if may_see else 0,
        }
        return TemplateResponse(request, "backoffice/deletion.html", context)

    def show_progress(self, request: HttpRequest, deletion_id: uuid.UUID) -> JsonResponse:
        """``/admin/backoffice/deletion/<id>/progress/``: how far it is, for the script of the receipt."""
        deletion = self._get(request, str(deletion_id))
        return JsonResponse(
            {"done": deletion.done, "total": deletion.total, "state": describe_state(deletion)},
            headers={"Cache-Control": "no-store"},
        )

    def _get(self, request: HttpRequest, object_id: str) -> Deletion:
        try:
            key = uuid.UUID(object_id)
        except ValueError:
            key = uuid.UUID(int=0)
        deletion = get_object_or_404(Deletion.objects.defer("ids"), id=key)
        if not self.has_view_permission(request, deletion):
            raise PermissionDenied
        return deletion


def _describe_leftovers(deletion: Deletion) -> list[str]:
    """What the receipt still waits for."""
    counts = dict(deletion.leftovers.order_by("place").values_list("place").annotate(count=Count("id")))
    lines = [
        f"{counts[place]:,} {names[counts[place] != 1]}"
        for place, names in _WAITED_FOR.items()
        if place in counts
    ]
    if people := deletion.receipts.filter(confirmed_at=None).count():
        lines.append(f"the entries and files of {people:,} {'person' if people == 1 else 'people'}")
    return lines
