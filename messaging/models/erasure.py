"""What stays of somebody who was erased: a receipt."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ErasureReceipt(models.Model):
    """That somebody was erased, without saying who: when, by whom, how much, and since when it is known to be complete.

    ``user_id`` is the number of a row that is gone; it is what Mem0's copies were kept under.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.BigIntegerField()
    asked_by = models.CharField(max_length=200, help_text="A program or a login, never the person's number.")
    erased = models.JSONField(help_text="How many of each: see `messaging.erasure.Traces`.")
    objects_to_delete = models.JSONField(default=list, help_text="Names in the file store.")
    erased_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="erasure_confirmed_after_it_was_done",
                condition=Q(confirmed_at=None) | Q(confirmed_at__gte=models.F("erased_at")),
            ),
        )

    def __str__(self) -> str:
        return f"erasure of {self.erased_at:%Y-%m-%d %H:%M}"
