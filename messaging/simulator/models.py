"""What the pretend phones and the pretend Twilio remember."""

from functools import partial
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.db.models.signals import post_delete
from django.dispatch import receiver


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

    Twilio's SIDs begin with MM when a message has media and with SM when it has none.

    ::

        from the phone (inbound):   sent ──> delivered ──> read       delivered: the webhook answered 2xx
                                      └────> failed                   failed: it refused or never answered
        from the bot (outbound):    queued ──> sent ──> delivered ──> read
                                      └────> failed                   no such phone, or its media cannot be fetched

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
    media_url = models.TextField(
        blank=True, help_text="Outbound: what Twilio is to fetch before it sends the message."
    )
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
                name="simulated_message_says_something",
                condition=~Q(body="") | Q(place__isnull=False) | Q(sid__startswith="MM"),
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

    @property
    def attachment(self) -> "SimulatedMedia | None":
        """Its media, once there is some; select ``media`` with the message."""
        return getattr(self, "media", None)

    @property
    def is_fetching(self) -> bool:
        """Whether Twilio has not fetched yet what the bot attached."""
        return bool(self.media_url) and self.attachment is None and self.status == self.Status.QUEUED


def get_storage() -> FileSystemStorage:
    """Where the bytes of simulated media are: apart from what the bot keeps."""
    return FileSystemStorage(
        location=settings.UPLOADS_DIR / "simulator",
        file_permissions_mode=0o600,
        directory_permissions_mode=0o700,
    )


class SimulatedMedia(models.Model):
    """The one file of a message: WhatsApp carries no more (contracts/twilio-whatsapp.md §1). It goes with its row."""

    message = models.OneToOneField(SimulatedMessage, on_delete=models.CASCADE, related_name="media")
    sid = models.CharField(max_length=34, unique=True)
    content_type = models.CharField(
        max_length=100, help_text="As claimed by the browser, or by the bot's link."
    )
    file_name = models.CharField(
        max_length=255, blank=True, help_text="As the sender called it; a recording has none."
    )
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    width = models.PositiveIntegerField(null=True, blank=True, help_text="Of a picture, in pixels.")
    height = models.PositiveIntegerField(null=True, blank=True)
    file = models.FileField(storage=get_storage)
    created_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="When the bot deleted Twilio's copy; the phone keeps its own."
    )

    class Meta:
        verbose_name_plural = "simulated media"
        constraints = (
            models.CheckConstraint(
                name="simulated_media_sid_shape", condition=Q(sid__regex=r"^ME[0-9a-f]{32}$")
            ),
        )

    def __str__(self) -> str:
        return self.sid


@receiver(post_delete, sender=SimulatedMedia, dispatch_uid="simulator.delete_file")
def delete_file(instance: SimulatedMedia, **_: Any) -> None:
    """Delete the bytes of a row once its deletion is committed."""
    transaction.on_commit(partial(instance.file.delete, save=False))
