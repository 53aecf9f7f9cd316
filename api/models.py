"""What the API itself has to remember: which requests it has carried out already, and who is told of events."""

import base64
import secrets
import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import WhatsAppUser
from memories.models import Memory


class IdempotentRequest(models.Model):
    """One ``POST /memories`` with an ``Idempotency-Key``, so that a repeat makes nothing new.

    Claimed before the memory is stored and done afterwards. One that is done and has no memory stays: a repeat shall
    not bring back what was deleted since. Kept for `api.idempotency.KEPT`.
    """

    user = models.ForeignKey(WhatsAppUser, on_delete=models.CASCADE, related_name="+")
    identity = models.UUIDField(help_text="Of the client and its key.")
    fingerprint = models.CharField(max_length=64, help_text="A keyed hash of what was asked.")
    memory = models.ForeignKey(
        Memory, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=True
    )
    is_done = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(name="idempotent_request_once", fields=["user", "identity"]),
            models.CheckConstraint(
                name="idempotent_request_done_with_memory", condition=Q(is_done=True) | Q(memory=None)
            ),
        )
        indexes = (models.Index(name="idempotent_request_by_age", fields=["created_at"]),)

    def __str__(self) -> str:
        return f"request of {self.created_at:%Y-%m-%d %H:%M}"


class WebhookEvent(models.TextChoices):
    """What an endpoint may ask to be told of; the names travel in the body, so they stay as they are."""

    MEMORY_CREATED = "memory.created", "memory.created"
    MEMORY_UPDATED = "memory.updated", "memory.updated"
    MEMORY_DELETED = "memory.deleted", "memory.deleted"
    MESSAGE_ANSWERED = "message.answered", "message.answered"


def make_secret() -> str:
    """A new secret to sign with, as the Standard Webhooks specification writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class WebhookEndpoint(models.Model):
    """A program of others that is told of events. Triggers of the database (migration 0002) queue what it asked for."""

    name = models.CharField(max_length=100)
    url = models.CharField(max_length=500, help_text="https, or a host in WEBHOOK_LOCAL_HOSTS.")
    secret = models.CharField(max_length=100, default=make_secret, editable=False)
    events = ArrayField(models.CharField(max_length=20, choices=WebhookEvent))
    is_enabled = models.BooleanField(default=True, db_default=True)
    disabled_reason = models.CharField(
        max_length=200, blank=True, db_default="", help_text="Why we have switched it off, if we have."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.CheckConstraint(name="webhook_endpoint_has_a_name", condition=~Q(name="")),
            models.CheckConstraint(name="webhook_endpoint_has_a_url", condition=~Q(url="")),
            models.CheckConstraint(
                name="webhook_endpoint_secret_shape", condition=Q(secret__regex=r"^whsec_[A-Za-z0-9+/]{43}=$")
            ),
            models.CheckConstraint(
                name="webhook_endpoint_events_known",
                condition=~Q(events=[])
                & Q(
                    events__contained_by=[
                        "memory.created",
                        "memory.updated",
                        "memory.deleted",
                        "message.answered",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="webhook_endpoint_reason_means_disabled",
                condition=Q(is_enabled=False) | Q(disabled_reason=""),
            ),
        )

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint; ``id`` travels as ``webhook-id`` and is the same at each attempt.

    ::

        pending ──> delivered    answered with 2xx
         ^  ├─────> failed       tried for a day, answered with 410, or a forbidden address
         │  └─────> dropped      the endpoint is disabled, or what the event is about is gone
         └── staff ask for it once more, when it has failed or was dropped

    It says what the event is about by id only. Texts and numbers are looked up when they are sent, so that forgetting
    has nothing to blank here. ``attempts`` counts beginnings, so that an attempt which kills its worker counts too.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"
        DROPPED = "dropped"

    class Error(models.TextChoices):
        STATUS = "status"  # answered something else than 2xx
        REDIRECT = "redirect"  # which is never followed
        GONE = "gone"  # answered 410: wants no more
        UNREACHABLE = "unreachable"  # no connection, no TLS, or no answer in time
        ADDRESS = "address"  # not https, or not of the public internet
        LOST = "lost"  # no attempt came to an end
        DISABLED = "disabled"  # the endpoint was switched off
        FORGOTTEN = "forgotten"  # what the event is about is not there any more

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=20, choices=WebhookEvent)
    object_id = models.BigIntegerField(help_text="Of the memory, or of the answer.")
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING, db_default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    attempted_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    response_status = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Of the last attempt, if it got an answer."
    )
    error = models.CharField(
        max_length=11, choices=Error, blank=True, db_default="", help_text="The kind of the last failure."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = (
            models.CheckConstraint(
                name="webhook_delivery_event_known",
                condition=Q(
                    event__in=["memory.created", "memory.updated", "memory.deleted", "message.answered"]
                ),
            ),
            models.CheckConstraint(
                name="webhook_delivery_status_known",
                condition=Q(status__in=["pending", "delivered", "failed", "dropped"]),
            ),
            models.CheckConstraint(
                name="webhook_delivery_error_known",
                condition=Q(
                    error__in=[
                        *("", "status", "redirect", "gone", "unreachable", "address", "lost"),
                        *("disabled", "forgotten"),
                    ]
                ),
            ),
            models.CheckConstraint(
                name="webhook_delivery_attempted_since",
                condition=Q(attempts=0, attempted_at=None) | Q(attempts__gt=0, attempted_at__isnull=False),
            ),
            models.CheckConstraint(
                name="webhook_delivery_delivered_with_2xx",
                condition=Q(
                    status="delivered",
                    delivered_at__isnull=False,
                    response_status__isnull=False,
                    response_status__gte=200,
                    response_status__lt=300,
                    error="",
                )
                | ~Q(status="delivered") & Q(delivered_at=None),
            ),
            models.CheckConstraint(
                name="webhook_delivery_failed_for_a_reason",
                condition=~Q(status__in=["failed", "dropped"]) | ~Q(error=""),
            ),
        )
        indexes = (
            # The log in the back-office, newest first, and the nightly deletion of old rows.
            models.Index(name="webhook_delivery_by_age", fields=["-created_at"]),
            # The sweep for deliveries without a job.
            models.Index(
                name="webhook_delivery_pending", fields=["created_at"], condition=Q(status="pending")
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} {self.object_id}"
