"""What the back-office keeps itself."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from messaging.models import ErasureReceipt


class Deletion(models.Model):
    """What a login wants deleted, how far that is, and, once it is done, the receipt.

    ::

        prepared ──> requested ──> started ──> finished ──> confirmed
        what goes is shown     each item in a         nothing is left in the
        and asked about        transaction            chat's texts, Mem0, store

    ``ids`` is the selection as it was shown, not the query that found it; ``done`` is how many of it are worked
    through, so that a worker that is killed in between is followed by one that goes on. Nothing here says what it was
    or whose: when all is done, ``ids`` is empty.
    """

    class Kind(models.TextChoices):
        PEOPLE = "people"
        MESSAGES = "messages"
        MEMORIES = "memories"
        ATTACHMENTS = "attachments"
        FILES = "files"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=11, choices=Kind)
    ids = models.JSONField(help_text="Keys of the rows; at the end, of those that could not be deleted.")
    total = models.PositiveIntegerField(help_text="How many were chosen.")
    done = models.PositiveIntegerField(default=0, db_default=0, help_text="How many are worked through.")
    failed = models.JSONField(default=list, help_text="Keys of those that could not be deleted.")
    error = models.CharField(max_length=200, blank=True, help_text="The kind of the last failure.")
    gone = models.JSONField(default=dict, help_text="How many of each: see `messaging.extent.Extent.count`.")
    receipts = models.ManyToManyField(
        ErasureReceipt, related_name="deletions", help_text="Of people who were erased."
    )
    asked_by = models.CharField(max_length=150, help_text="The login's name.")
    asked_by_id = models.BigIntegerField(help_text="The login's key.")
    prepared_at = models.DateTimeField(db_default=Now())
    requested_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when nothing is left elsewhere either."
    )

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="deletion_kind_known",
                condition=Q(kind__in=["people", "messages", "memories", "attachments", "files"]),
            ),
            models.CheckConstraint(
                name="deletion_of_something", condition=Q(total__gt=0, done__lte=F("total"))
            ),
            models.CheckConstraint(
                name="deletion_requested_first",
                condition=Q(started_at=None, finished_at=None, done=0) | Q(requested_at__isnull=False),
            ),
            models.CheckConstraint(
                name="deletion_finished_when_done",
                condition=Q(finished_at=None) | Q(done=F("total"), ids=F("failed")),
            ),
            models.CheckConstraint(
                name="deletion_confirmed_after_it_was_done",
                condition=Q(confirmed_at=None) | Q(confirmed_at__gte=F("finished_at")),
            ),
        )
        indexes = (models.Index(name="deletion_newest", fields=["-prepared_at"]),)

    def __str__(self) -> str:
        return f"deletion of {self.total:,} {self.get_kind_display().lower()}"


class Leftover(models.Model):
    """What is to go after a deletion has done its part: its receipt is confirmed when none of these is left."""

    class Place(models.TextChoices):
        MESSAGE = "message"  # a message that is still being answered: its key
        ANSWER = "answer"  # an answer that is still being sent: its key
        MEM0 = "mem0"  # an entry of Mem0: its id
        STORE = "store"  # an object of the file store: its name

    deletion = models.ForeignKey(Deletion, on_delete=models.CASCADE, related_name="leftovers")
    place = models.CharField(max_length=7, choices=Place)
    name = models.CharField(max_length=200)
    user_id = models.BigIntegerField(null=True, blank=True, help_text="Whose entry it is, at Mem0.")

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="leftover_place_known", condition=Q(place__in=["message", "answer", "mem0", "store"])
            ),
            models.CheckConstraint(
                name="leftover_of_somebody_in_mem0", condition=~Q(place="mem0") | Q(user_id__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"{self.place} {self.name}"
