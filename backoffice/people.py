"""People in the back-office: found by a number however it is written, and erased with a receipt."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.audit import Action, record
from accounts.models import WhatsAppUser
from accounts.places import get_canonical_zone
from backoffice.base import BrowseAdmin, show_number, show_person
from backoffice.deleting import DeletableAdmin
from backoffice.gate import mask_number, name_person
from backoffice.models import Deletion
from messaging.models import ErasureReceipt

ZONES_KEPT = 600  # seconds


class ZoneFilter(admin.SimpleListFilter):
    """By time zone: those that people live in."""

    title = "time zone"
    parameter_name = "zone"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The zones, found out now and then."""
        zones = cache.get_or_set("backoffice.zones", _get_zones, ZONES_KEPT)
        return [(zone, zone) for zone in zones or ()]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """Those who live there."""
        return queryset.filter(timezone=self.value()) if self.value() else queryset


def _get_zones() -> list[str]:
    return list(WhatsAppUser.objects.order_by("timezone").values_list("timezone", flat=True).distinct())


class PersonForm(forms.ModelForm):
    """What staff may set of a person."""

    class Meta:
        model = WhatsAppUser
        fields = ("name", "timezone")

    def clean_timezone(self) -> str:
        """A zone that exists, as it is called now."""
        zone = get_canonical_zone(self.cleaned_data["timezone"])
        if zone is None:
            raise forms.ValidationError("No IANA time zone has this name, which is like Europe/Berlin.")
        return zone


@admin.register(WhatsAppUser)
class WhatsAppUserAdmin(DeletableAdmin):
    """People on WhatsApp."""

    title = "People"
    deletion_kind = Deletion.Kind.PEOPLE
    list_display = ("person", "number", "timezone", "timezone_source", "last_inbound_at", "opted_out_at")
    list_filter = (ZoneFilter, "timezone_source", ("opted_out_at", admin.EmptyFieldListFilter))
    searches = ("person:id",)
    search_help_text = "A number however it is written, or a name"
    change_form_before_template = "backoffice/person_links.html"
    form = PersonForm
    fields = (
        *("name", "timezone", "profile_name", "phone_number", "whatsapp_id", "business_scoped_id"),
        *("timezone_source", "memories_numbered", "last_inbound_at", "opted_out_at", "created_at"),
    )
    readonly_fields = fields[2:]

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Who may set a name and a time zone."""
        return request.user.has_perm("accounts.change_whatsappuser")

    def save_model(self, request: HttpRequest, obj: WhatsAppUser, form: Any, change: bool) -> None:
        """What changed; from now on the time zone is the one staff set."""
        if "timezone" in form.changed_data:
            obj.timezone_source = WhatsAppUser.TimezoneSource.STAFF
        changed = {*form.changed_data, *(("timezone_source",) if "timezone" in form.changed_data else ())}
        obj.save(update_fields=changed)
        record(
            Action.CHANGED,
            staff=request.user,
            person_id=obj.pk,
            subject=obj,
            detail={"fields": sorted(form.changed_data)},
        )

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Written down above; Django's log would keep the name."""

    def get_person_ids(self, obj: Any) -> set[int]:
        """Themselves."""
        return {obj.pk}

    @admin.display(description="Person")
    def person(self, row: WhatsAppUser) -> str:
        """What to call them."""
        return show_person(row, row)

    @admin.display(description="Number")
    def number(self, row: WhatsAppUser) -> str:
        """Where they write from."""
        return show_number(row, row.phone_number or row.whatsapp_id)

    def name_row(self, row: Any, *, is_shown: bool) -> str:
        """Name and number, as far as they may be read."""
        number = row.phone_number or row.whatsapp_id
        return f"{name_person(row, is_shown=is_shown)} ({number if is_shown else mask_number(number)})"


@admin.register(ErasureReceipt)
class ErasureReceiptAdmin(BrowseAdmin):
    """That somebody was erased; nothing of who it was."""

    title = "Erasure receipts"
    list_display = ("id", "asked_by", "erased_at", "confirmed_at")
    list_filter = (("confirmed_at", admin.EmptyFieldListFilter),)
    fields = ("id", "asked_by", "erased", "erased_at", "confirmed_at")
    ordering = ("-erased_at",)
