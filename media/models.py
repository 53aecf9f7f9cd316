"""Files people have sent: each content is kept once, each sending is a link to it."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import WhatsAppUser


class MediaFile(models.Model):
    """One content, whoever has sent it: an object of the storage, found by its SHA-256.

    ::

        row with its first link ──> stored (the object is whole) ──> described

    The row comes first, so that no object is ever without one; ``storage_name`` is never used again, so that a late
    deletion cannot hit another object. Triggers of the database keep ``forwarded_count`` at the number of links − 1,
    delete the row with its last link, and enqueue the deletion of its objects (media/migrations/0001).
    """

    class Kind(models.TextChoices):
        PICTURE = "picture"
        STICKER = "sticker"
        VOICE_NOTE = "voice note"
        AUDIO = "audio"
        VIDEO = "video"
        PDF = "PDF"
        DOCUMENT = "document"
        TEXT = "text file"
        CONTACT = "contact card"

    file_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256, in lower-case hex.")
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    content_type = models.CharField(max_length=100, help_text="By content, whatever was claimed.")
    kind = models.CharField(max_length=12, choices=Kind)
    storage_name = models.CharField(max_length=200, unique=True)
    thumbnail_name = models.CharField(max_length=200, blank=True, help_text="Of a picture: a small JPEG.")
    claimed_by = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="The link whose job is storing or describing it."
    )
    claimed_at = models.DateTimeField(null=True, blank=True)
    stored_at = models.DateTimeField(null=True, blank=True)
    forwarded_count = models.IntegerField(
        default=-1, db_default=-1, editable=False, help_text="Links − 1: how often it was sent again."
    )
    facts = models.JSONField(
        default=dict, blank=True, help_text="What the file says of itself: see media/reading.py."
    )
    text = models.TextField(blank=True, help_text="What it says word for word: text, transcript.")
    description = models.TextField(blank=True, help_text="What it shows, in the language of the content.")
    language = models.CharField(max_length=16, blank=True, help_text="BCP 47, as the model has it.")
    described_by = models.CharField(
        max_length=100, blank=True, help_text="The language model; empty: not described."
    )
    described_at = models.DateTimeField(null=True, blank=True)
    description_error = models.CharField(
        max_length=200, blank=True, help_text="Why it is not described: the kind of failure."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="media_file_hash_shape", condition=Q(file_hash__regex=r"^[0-9a-f]{64}$")
            ),
            models.CheckConstraint(name="media_file_has_bytes", condition=Q(size__gt=0)),
            # −1 only within the transaction that makes the first link.
            models.CheckConstraint(name="media_file_count", condition=Q(forwarded_count__gte=-1)),
            models.CheckConstraint(
                name="media_file_described_by_somebody",
                condition=Q(described_at=None, described_by="")
                | Q(described_at__isnull=False) & ~Q(described_by=""),
            ),
        )
        indexes = (
            # What manage.py describe_media has left to do.
            models.Index(name="media_file_undescribed", fields=["id"], condition=Q(described_at=None)),
            # Words over everybody, in the back-office.
            GinIndex(SearchVector("description", "text", config="simple"), name="media_file_words"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.file_hash[:12]}"


class MessageMedia(models.Model):
    """One attachment of one message: a link to its file, or why there is none.

    Without ``file`` and ``refusal`` it is still being fetched. ``attempts`` counts beginnings that nobody has ended, so
    that a file which kills its worker every time is refused in the end.
    """

    class Refusal(models.TextChoices):
        TOO_BIG = "too_big"  # more bytes than MEDIA_MAX_BYTES
        EMPTY = "empty"  # no byte at all
        TYPE = "type"  # nothing we keep: a program, an archive, unknown bytes
        MIXED = "mixed"  # valid as two types at once
        BROKEN = "broken"  # not what its first bytes say
        BOMB = "bomb"  # small to send, huge to open
        ADDRESS = "address"  # not where Twilio keeps the media of this message
        GONE = "gone"  # Twilio has it no more
        UNREACHABLE = "unreachable"  # could not be fetched within a day
        DEADLY = "deadly"  # killed its worker every time
        REPEATED = "repeated"  # the same file stands in the same message already
        DELETED = "deleted"  # by staff; the message itself has stayed

    raw_message = models.ForeignKey("messaging.RawMessage", on_delete=models.CASCADE, related_name="media")
    user = models.ForeignKey(WhatsAppUser, on_delete=models.CASCADE, related_name="media")
    position = models.PositiveSmallIntegerField(help_text="0, 1, … in the message.")
    file = models.ForeignKey(MediaFile, null=True, blank=True, on_delete=models.PROTECT, related_name="links")
    file_name = models.CharField(max_length=255, blank=True, help_text="What the sender called it.")
    refusal = models.CharField(max_length=12, choices=Refusal, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    tokens = models.PositiveIntegerField(
        default=0, db_default=0, help_text="What the description cost, if this link's job asked for it."
    )
    sent_at = models.DateTimeField(help_text="When the message was received.")

    class Meta:
        verbose_name_plural = "message media"
        constraints = (
            models.UniqueConstraint(name="message_media_once_per_place", fields=["raw_message", "position"]),
            models.UniqueConstraint(name="message_media_once_per_file", fields=["raw_message", "file"]),
            models.CheckConstraint(
                name="message_media_kept_or_refused", condition=Q(file=None) | Q(refusal="")
            ),
            models.CheckConstraint(
                name="message_media_refusal_known",
                condition=Q(
                    refusal__in=[
                        *("", "too_big", "empty", "type", "mixed", "broken", "bomb"),
                        *("address", "gone", "unreachable", "deadly", "repeated", "deleted"),
                    ]
                ),
            ),
        )
        indexes = (
            # What a person has sent, newest first.
            models.Index(
                name="message_media_by_user", fields=["user", "-sent_at"], condition=Q(file__isnull=False)
            ),
            models.Index(name="message_media_by_time", fields=["-sent_at"]),
        )

    def __str__(self) -> str:
        return f"attachment {self.position} of message {self.raw_message_id}"
