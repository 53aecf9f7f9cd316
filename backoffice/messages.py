"""Messages, answers and deliveries in the back-office, read-only."""

from django.contrib import admin

from messaging.models import DeliveryEvent, Interaction, OutboundMessage, RawMessage
from whatsbot.admin import ReadOnlyAdmin, TabularInline


class OutboundInline(TabularInline):
    """The parts of one answer."""

    model = OutboundMessage
    fields = readonly_fields = (
        "part",
        "status",
        "body",
        "twilio_sid",
        "error_code",
        "attempts",
        "sent_at",
        "read_at",
    )
    extra = 0
    can_delete = False


class DeliveryInline(TabularInline):
    """What Twilio said of one part."""

    model = DeliveryEvent
    fields = readonly_fields = ("status", "error_code", "received_at")
    extra = 0
    can_delete = False


@admin.register(RawMessage)
class RawMessageAdmin(ReadOnlyAdmin):
    """What came in, with every field of the webhook."""

    list_display = ("message_sid", "user", "body", "status", "received_at")
    list_filter = ("status",)
    list_select_related = ("user",)
    search_fields = ("message_sid", "user__phone_number")
    date_hierarchy = "received_at"


@admin.register(Interaction)
class InteractionAdmin(ReadOnlyAdmin):
    """How each message was answered."""

    list_display = ("raw_message", "kind", "answer", "attempts", "error", "answered_at")
    list_filter = ("kind",)
    list_select_related = ("raw_message",)
    inlines = (OutboundInline,)


@admin.register(OutboundMessage)
class OutboundMessageAdmin(ReadOnlyAdmin):
    """What went out, and what became of it."""

    list_display = ("id", "user", "part", "status", "error_code", "attempts", "created_at")
    list_filter = ("status",)
    list_select_related = ("user",)
    inlines = (DeliveryInline,)
