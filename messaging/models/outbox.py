"""What goes out, and what became of it."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import GreaterThan, LessThanOrEqual

from accounts.models import WhatsAppUser
from messaging.models.conversation import Interaction


class OutboundMessage(models.Model):
    """One part of an answer of the bot's, or of what a member of staff wrote, on its way to the person.

    ::

        pending ──> sending ──> sent ──> delivered ──> read
           ^           │          └──────────┴────────> failed
           └───────────┴── the provider certainly did not take it, or the outcome was looked up

    ``sending`` with nobody sending means the outcome is unknown (a cut connection, a killed worker): Twilio has no
    idempotency key, so `messaging.delivery` finds out before anything is sent again (contracts §8). ``id`` travels in
    the status callback's URL, which links SID and row even when the create call never answered.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        SENT = "sent"
        DELIVERED = "delivered"
        READ = "read"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    interaction = models.ForeignKey(
        Interaction, null=True, blank=True, on_delete=models.CASCADE, related_name="outbound_messages"
    )
    written_by = models.CharField(
        max_length=150,
        blank=True,
        default="",
        db_default="",
        help_text="The name of the login that wrote it; blank for what the bot says.",
    )
    user = models.ForeignKey(
        WhatsAppUser,
        on_delete=models.CASCADE,
        related_name="outbound_messages",
        db_index=False,  # an index with the time
    )
    part = models.PositiveSmallIntegerField(help_text="1, 2, … of one answer, or of one text of staff.")
    to_address = models.CharField(max_length=160)
    from_address = models.CharField(max_length=160)
    body = models.TextField(blank=True)
    media = models.ForeignKey(
        "media.MessageMedia",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="sent_back",
        db_index=False,  # a partial one below: most parts are text
        help_text="The file that goes with this part.",
    )
    has_media = models.BooleanField(
        default=False, db_default=False, help_text="Also when the file is forgotten since."
    )
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING, db_default=Status.PENDING)
    twilio_sid = models.CharField(max_length=64, unique=True, null=True, blank=True)
    error_code = models.PositiveIntegerField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    attempted_at = models.DateTimeField(
        null=True, blank=True, help_text="When the running or last send began."
    )
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(name="outbound_one_row_per_part", fields=["interaction", "part"]),
            models.CheckConstraint(
                name="outbound_by_bot_or_staff",
                condition=Q(interaction__isnull=False, written_by="")
                | (Q(interaction=None) & ~Q(written_by="")),
            ),
            models.CheckConstraint(
                name="outbound_status_known",
                condition=Q(status__in=["pending", "sending", "sent", "delivered", "read", "failed"]),
            ),
            models.CheckConstraint(
                name="outbound_sent_means_sid",
                condition=Q(status__in=["pending", "sending", "failed"]) | Q(twilio_sid__isnull=False),
            ),
            models.CheckConstraint(
                name="outbound_body_fits",
                condition=(Q(GreaterThan(Length("body"), 0)) | Q(has_media=True))
                & Q(LessThanOrEqual(Length("body"), 1600)),
            ),
            models.CheckConstraint(name="outbound_part_from_one", condition=Q(part__gte=1)),
            models.CheckConstraint(
                name="outbound_media_is_said", condition=Q(media=None) | Q(has_media=True)
            ),
            models.CheckConstraint(
                name="outbound_sending_since", condition=~Q(status="sending") | Q(attempted_at__isnull=False)
            ),
        )
        indexes = (
            # The sweep for sends nobody is working on.
            models.Index(
                name="outbound_unfinished",
                fields=["created_at"],
                condition=Q(status__in=["pending", "sending"]),
            ),
            models.Index(name="outbound_by_user", fields=["user", "-created_at"]),
            # What staff wrote to a person.
            models.Index(
                name="outbound_by_staff", fields=["user", "created_at"], condition=Q(interaction=None)
            ),
            models.Index(name="outbound_by_media", fields=["media"], condition=Q(media__isnull=False)),
            # Lists and figures of some days.
            models.Index(name="outbound_by_time", fields=["-created_at"]),
            models.Index(name="outbound_failed", fields=["-created_at"], condition=Q(status="failed")),
        )

    def __str__(self) -> str:
        what = f"answer {self.interaction_id}" if self.interaction_id else f"what {self.written_by} wrote"
        return f"part {self.part} of {what}"


class DeliveryEvent(models.Model):
    """One status callback of Twilio's, kept once however often it comes (contracts §5).

    A callback may come before the create call has returned, or without our tag: it waits here under its SID until the
    row learns that SID.
    """

    twilio_sid = models.CharField(max_length=64)
    status = models.CharField(max_length=32, help_text="Twilio's own word.")
    outbound_message = models.ForeignKey(
        OutboundMessage, null=True, blank=True, on_delete=models.CASCADE, related_name="delivery_events"
    )
    error_code = models.PositiveIntegerField(null=True, blank=True)
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(name="delivery_event_once", fields=["twilio_sid", "status"]),
            models.CheckConstraint(name="delivery_event_has_a_sid", condition=~Q(twilio_sid="")),
        )

    def __str__(self) -> str:
        return f"{self.twilio_sid} {self.status}"
