"""What the API itself has to remember: which requests it has carried out already."""

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
