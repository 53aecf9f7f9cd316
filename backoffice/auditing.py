"""Who looked at whose data and did what: read here, written by what was done, changed by nobody."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from accounts.audit import Action, record
from accounts.models import AuditEvent, StaffUser, WhatsAppUser
from backoffice.base import BrowseAdmin, BrowseList
from backoffice.gate import mask_number
from whatsbot.admin import ChangeList, DayFilter


class Audited:
    """A mixin for what is edited by hand: what was done goes to our own log, by the names of fields, without values."""

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> None:
        """Somebody added something."""
        record(Action.ADDED, staff=request.user, subject=obj)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> None:
        """Somebody changed something."""
        changed = [part.get("changed", {}).get("fields", []) for part in message if isinstance(part, dict)]
        record(
            Action.CHANGED,
            staff=request.user,
            subject=obj,
            detail={"fields": sorted(str(name) for names in changed for name in names)},
        )

    def log_deletions(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        """Somebody deleted something."""
        for obj in queryset:
            record(Action.DELETED, staff=request.user, subject=obj)


class AuditList(BrowseList):
    """A page of events that know whom they are about, as far as they are there still."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows of the page."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]
        people = WhatsAppUser.objects.in_bulk([row.person_id for row in rows if row.person_id])
        for row in rows:
            row.whom = people.get(row.person_id)
        self.result_list = rows


@admin.register(AuditEvent)
class AuditEventAdmin(BrowseAdmin):
    """The log. Numbers stand nowhere in it."""

    title = "Who looked and did what"
    list_display = ("at", "staff_name", "program", "action", "person", "subject", "reason")
    list_display_links = ("at",)
    list_filter = ("action", ("at", DayFilter))
    searches = ("person:person_id",)
    search_help_text = "Whom it is about: a number or name; or the name of a login"
    fields = (
        *("at", "staff_name", "staff_id", "program", "action", "person_id", "object_type", "object_id"),
        *("reason", "detail"),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list that knows whom."""
        return AuditList

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        """By login first."""
        login = StaffUser.objects.filter(username=search_term.strip()).first()
        if login is not None:
            return queryset.filter(staff_id=login.pk), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="Person")
    def person(self, row: Any) -> str:
        """Whom it is about."""
        if row.person_id is None:
            return ""
        if row.whom is None:
            return f"somebody who is erased ({row.person_id})"
        name = (
            row.whom.name
            or row.whom.profile_name
            or mask_number(row.whom.phone_number or row.whom.whatsapp_id)
        )
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:accounts_whatsappuser_change", args=[row.person_id]), name
        )

    @admin.display(description="What")
    def subject(self, row: Any) -> str:
        """What it was done to."""
        if not row.object_type:
            return ""
        name = f"{row.object_type.split('.')[-1]} {row.object_id[:12]}"
        try:
            address = reverse(f"admin:{row.object_type.replace('.', '_')}_change", args=[row.object_id])
        except NoReverseMatch:
            return name
        return format_html('<a href="{}">{}</a>', address, name)
