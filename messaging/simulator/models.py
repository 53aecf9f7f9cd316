"""What the pretend phones and the pretend Twilio remember."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class SimulatedPhone(models.Model):
    """One phone, as far as it changes.

    Every change to the phone or its messages locks this row first and counts ``changes`` up. So the numbers
    become visible in the order they were given, and a page that asks for "everything after 17" never misses
    one. A plain sequence would let 18 commit before 17.
    """

    address = models.CharField(max_length=160, primary_key=True)
    changes = models.PositiveBigIntegerField(default=0)
    unread = models.PositiveIntegerField(
        default=0, help_text="Messages of the bot's that nobody has looked at yet."
    )
    replies_to_lose = models.PositiveSmallIntegerField(
        default=0,
        help_text="Send calls to this phone still to be answered with an error although they worked.",
    )
    typing_until = models.DateTimeField(null=True, blank=True)
    last_message = models.ForeignKey(
        "SimulatedMessage", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    def __str__(self) -> str:
        return self.address


class SimulatedMessage(models.Model):
    """One message, in either direction.

    ::

        from the phone (inbound):   sent ──> delivered ──> read       delivered: the webhook answered 2xx
                                      └────> failed                   failed: it refused or never answered
        from the bot (outbound):    queued ──> sent ──> delivered ──> read
                                      └────> failed                   no such phone

    The REST API says ``received`` for whatever is inbound, as Twilio does (contracts/twilio-whatsapp.md §5).
    """

    class Direction(models.TextChoices):
        INBOUND = "inbound"
        OUTBOUND = "outbound-api"

    class Status(models.TextChoices):
        QUEUED = "queued"
        SENT = "sent"
        DELIVERED = "delivered"
        READ = "read"
        FAILED = "failed"

    sid = models.CharField(max_length=34, unique=True)
    phone = models.ForeignKey(SimulatedPhone, on_delete=models.CASCADE, related_name="messages")
    change = models.PositiveBigIntegerField(help_text="The phone's counter at this message's last change.")
    direction = models.CharField(max_length=12, choices=Direction)
    from_address = models.CharField(max_length=160)
    to_address = models.CharField(max_length=160)
    body = models.TextField(blank=True)
    place = models.JSONField(
        null=True, blank=True, help_text="A shared location: latitude, longitude, label, address."
    )
    replied_to = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=9, choices=Status)
    error_code = models.PositiveIntegerField(
        null=True, blank=True, help_text="Twilio's number for what went wrong."
    )
    webhook_status = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="What the webhook answered to an inbound message."
    )
    status_callback = models.TextField(blank=True)
    deliver_twice = models.BooleanField(default=False)
    lose_reply = models.BooleanField(default=False, help_text="Inbound: asked for. Outbound: it happened.")
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(
        null=True, blank=True, help_text="When the page showed a message of the bot's."
    )
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="simulated_message_sid_shape", condition=Q(sid__regex=r"^(SM|MM)[0-9a-f]{32}$")
            ),
            models.CheckConstraint(
                name="simulated_message_direction_known",
                condition=Q(direction__in=["inbound", "outbound-api"]),
            ),
            models.CheckConstraint(
                name="simulated_message_status_known",
                condition=Q(status__in=["queued", "sent", "delivered", "read", "failed"]),
            ),
            models.CheckConstraint(
                name="simulated_message_says_something", condition=~Q(body="") | Q(place__isnull=False)
            ),
        )
        indexes = (
            # A chat, newest first.
            models.Index(name="simulated_message_chat", fields=["phone", "-id"]),
            # What a polling page has not seen yet.
            models.Index(name="simulated_message_changes", fields=["phone", "change"]),
            # The REST list, filtered by either end; newest first.
            models.Index(name="simulated_message_to", fields=["to_address", "-id"]),
            models.Index(name="simulated_message_from", fields=["from_address", "-id"]),
            # Read receipts: the bot reads everything up to a message, the page looks at everything in a chat.
            models.Index(
                name="simulated_message_unread",
                fields=["phone", "id"],
                condition=Q(direction="inbound", read_at=None),
            ),
            models.Index(
                name="simulated_message_unseen",
                fields=["phone", "id"],
                condition=Q(direction="outbound-api", seen_at=None),
            ),
        )

    def __str__(self) -> str:
        return self.sid
