"""People in the back-office: found by a number however it is written, and erased with a receipt."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from accounts.models import WhatsAppUser
from accounts.phone_numbers import read_phone_number
from messaging.erasure import count_traces, erase_wholly
from messaging.models import ErasureReceipt
from whatsbot.admin import ReadOnlyAdmin

FEWEST_DIGITS = 5  # of the end of a number; fewer fit too many people
OUTSIDE = (
    "their entries in Mem0",
    "their files, where nobody else has sent them",
    "Twilio's copies of these",
)


@admin.register(WhatsAppUser)
class WhatsAppUserAdmin(ReadOnlyAdmin):
    """People on WhatsApp."""

    list_display = (
        "__str__",
        "phone_number",
        "timezone",
        "timezone_source",
        "last_inbound_at",
        "opted_out_at",
    )
    list_filter = ("timezone_source", ("opted_out_at", admin.EmptyFieldListFilter))
    search_fields = ("^phone_number", "^whatsapp_id", "name", "profile_name")
    search_help_text = "A number however it is written, or a part of a name."

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[WhatsAppUser]", search_term: str
    ) -> tuple["QuerySet[WhatsAppUser]", bool]:
        """By number first: with its country in any spelling, or its digits as they end."""
        if number := _read_number(search_term):
            return queryset.filter(Q(phone_number=number) | Q(whatsapp_id=f"whatsapp:{number}")), False
        digits = "".join(char for char in search_term if char.isdigit())
        if len(digits) >= FEWEST_DIGITS and not any(char.isalpha() for char in search_term):
            return queryset.filter(phone_number__endswith=digits.lstrip("0")), False
        return super().get_search_results(request, queryset, search_term)

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Whoever may erase people."""
        return request.user.has_perm("accounts.delete_whatsappuser")

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """What goes: more than rows of the database, which Django would list."""
        listed: list[Any] = []
        for person in objs:
            traces = count_traces(user_id=person.id).describe().splitlines()
            listed += [str(person), [line.removeprefix("• ") for line in traces] + [*OUTSIDE]]
        return listed, {"people": len(objs)}, set(), []

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Who erased somebody, but not the name: Django's log would keep it."""
        login, content_type = request.user.pk, ContentType.objects.get_for_model(WhatsAppUser)
        assert login is not None  # the permission was asked for
        LogEntry.objects.bulk_create(
            LogEntry(
                user_id=login,
                content_type=content_type,
                object_id=person.pk,
                object_repr="a person, erased",
                action_flag=DELETION,
            )
            for person in queryset
        )

    def delete_model(self, request: HttpRequest, obj: WhatsAppUser) -> None:
        """Erase somebody, as a program does; the receipt is linked to."""
        receipt = erase_wholly(user_id=obj.id, asked_by=f"login {request.user}"[:200])
        link = reverse("admin:messaging_erasurereceipt_change", args=[receipt.id])
        text = (
            'All that was kept is deleted. <a href="{}">The receipt</a> says when nothing is left elsewhere.'
        )
        self.message_user(request, format_html(text, link), messages.SUCCESS)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[WhatsAppUser]") -> None:
        """Erase some, each by itself: what is done stays done."""
        for person in queryset.order_by("id"):
            self.delete_model(request, person)


def _read_number(text: str) -> str | None:
    try:
        return read_phone_number(text.strip())
    except ValueError:
        return None


@admin.register(ErasureReceipt)
class ErasureReceiptAdmin(ReadOnlyAdmin):
    """That somebody was erased; nothing of who it was."""

    list_display = ("id", "asked_by", "erased_at", "confirmed_at")
    list_filter = (("confirmed_at", admin.EmptyFieldListFilter),)
    fields = ("id", "asked_by", "erased", "erased_at", "confirmed_at")
    ordering = ("-erased_at",)
