"""Messages, answers and deliveries in the back-office, read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.urls import reverse
from django.utils.html import format_html

from backoffice.base import PersonalAdmin, link_person, show_text
from backoffice.deleting import DeletableAdmin
from backoffice.explaining import ExplainedMessages
from backoffice.gate import name_person
from backoffice.models import Deletion
from messaging.answers import shorten
from messaging.models import DeliveryEvent, Interaction, OutboundMessage, RawMessage
from whatsbot.admin import DayFilter, ReadOnlyInline


class OutboundInline(ReadOnlyInline):
    """The parts of one answer."""

    model = OutboundMessage
    fields = readonly_fields = (
        *("part", "status", "body", "twilio_sid", "error_code", "attempts", "sent_at", "read_at"),
    )
    show_change_link = True


class DeliveryInline(ReadOnlyInline):
    """What Twilio said of one part."""

    model = DeliveryEvent
    fields = readonly_fields = ("status", "error_code", "received_at")


@admin.register(RawMessage)
class RawMessageAdmin(ExplainedMessages, DeletableAdmin):
    """What came in; the page of each message explains what became of it."""

    title = "Messages"
    deletion_kind = Deletion.Kind.MESSAGES
    list_display = ("message_sid", "person", "text", "status", "received_at")
    list_filter = ("status", ("received_at", DayFilter))
    list_select_related = ("user",)
    ordering = ("-received_at",)
    searches = ("sid:message_sid", "person:user_id", "words:body")
    search_help_text = "A number, name, SID, or words"
    worded = ~Q(status="received")

    @admin.display(description="Person")
    def person(self, row: Any) -> str:
        """Who wrote."""
        return link_person(row, row.user)

    @admin.display(description="Text")
    def text(self, row: Any) -> str:
        """What it says."""
        return show_text(row, row.body)

    def name_row(self, row: Any, *, is_shown: bool) -> str:
        """When it came, from whom, and how it begins."""
        name = f"{row.received_at:%Y-%m-%d %H:%M} from {name_person(row.user, is_shown=is_shown)}"
        return f"{name}: “{shorten(row.body)}”" if is_shown and row.body else name


@admin.register(Interaction)
class InteractionAdmin(PersonalAdmin):
    """How each message was answered."""

    title = "Answers"
    list_display = (
        "__str__",
        "person",
        "kind",
        "text",
        "model",
        "attempts",
        "error",
        "message",
        "answered_at",
    )
    list_filter = (
        *("kind", ("error", admin.EmptyFieldListFilter)),
        ("started_at", DayFilter),
    )
    list_select_related = ("raw_message__user",)
    ordering = ("-started_at",)
    searches = ("sid:raw_message__message_sid", "person:raw_message__user_id", "words:answer")
    search_help_text = "A number, name, SID of the message, or words"
    inlines = (OutboundInline,)

    def get_person_ids(self, obj: Any) -> set[int]:
        """Who was answered."""
        return {obj.raw_message.user_id}

    @admin.display(description="Person")
    def person(self, row: Any) -> str:
        """Who was answered."""
        return link_person(row, row.raw_message.user)

    @admin.display(description="Answer")
    def text(self, row: Any) -> str:
        """What was said."""
        return show_text(row, row.answer)

    @admin.display(description="Message")
    def message(self, row: Any) -> str:
        """What was answered."""
        return format_html(
            '<a href="{}">explained</a>',
            reverse("admin:messaging_rawmessage_change", args=[row.raw_message_id]),
        )


@admin.register(OutboundMessage)
class OutboundMessageAdmin(PersonalAdmin):
    """What went out, and what became of it."""

    title = "Outbox"
    list_display = (
        "id",
        "person",
        "by",
        "text",
        "part",
        "status",
        "error_code",
        "attempts",
        "created_at",
        "read_at",
    )
    list_filter = ("status", ("created_at", DayFilter))
    list_select_related = ("user",)
    ordering = ("-created_at",)
    searches = ("sid:twilio_sid", "person:user_id")
    search_help_text = "A number, name or SID"
    inlines = (DeliveryInline,)

    @admin.display(description="By")
    def by(self, row: Any) -> str:
        """Who wrote it."""
        return row.written_by or "bot"

    @admin.display(description="Person")
    def person(self, row: Any) -> str:
        """Whom it goes to."""
        return link_person(row, row.user)

    @admin.display(description="Text")
    def text(self, row: Any) -> str:
        """What it says."""
        return show_text(row, row.body)
