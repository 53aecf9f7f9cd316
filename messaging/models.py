"""What came in, what was answered, what went out."""

import uuid

from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import GreaterThan, LessThanOrEqual

from accounts.models import WhatsAppUser


class RawMessage(models.Model):
    """One inbound message, whole, as Twilio posted it.

    ::

        received ──> answered      an Interaction holds the answer, OutboundMessage rows carry it
            └──────> ignored       nothing to say: a reaction, an opt-out, a message of our own sender

    ``message_sid`` is the idempotency key (contracts/twilio-whatsapp.md §1): Twilio repeats deliveries, and the
    unique constraint, not a look beforehand, keeps the message one.

    ``turn`` is set when work on an answer begins; messages that came in one burst share it. What a message said is
    blanked, and ``redacted_at`` set, when the memory of it is forgotten.
    """

    class Status(models.TextChoices):
        RECEIVED = "received"
        ANSWERED = "answered"
        IGNORED = "ignored"

    message_sid = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(WhatsAppUser, on_delete=models.CASCADE, related_name="raw_messages")
    from_address = models.CharField(max_length=160)
    to_address = models.CharField(max_length=160)
    body = models.TextField(blank=True)
    payload = models.JSONField(help_text="Every field of the webhook, as it came.")
    status = models.CharField(
        max_length=8, choices=Status, default=Status.RECEIVED, db_default=Status.RECEIVED
    )
    received_at = models.DateTimeField(db_default=Now())
    turn = models.ForeignKey(
        "messaging.Interaction",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="messages",
        db_index=False,  # a partial one below: new messages have no turn yet, and the webhook shall not pay for it
    )
    redacted_at = models.DateTimeField(null=True, blank=True)
    media_pending = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Its attachments are being fetched; the answer waits for them, for a while.",
    )

    class Meta:
        constraints = (
            models.CheckConstraint(name="raw_message_has_a_sid", condition=~Q(message_sid="")),
            models.CheckConstraint(
                name="raw_message_status_known", condition=Q(status__in=["received", "answered", "ignored"])
            ),
            models.CheckConstraint(
                name="raw_message_redacted_says_nothing", condition=Q(redacted_at=None) | Q(body="")
            ),
        )
        indexes = (
            # A conversation, newest first: back-office and the assistant's context.
            models.Index(name="raw_message_conversation", fields=["user", "-received_at"]),
            # The sweep for messages nobody is working on.
            models.Index(
                name="raw_message_unanswered", fields=["received_at"], condition=Q(status="received")
            ),
            # The messages of a turn.
            models.Index(name="raw_message_by_turn", fields=["turn"], condition=Q(turn__isnull=False)),
            # The sweep for media nobody is fetching.
            models.Index(
                name="raw_message_media_pending", fields=["received_at"], condition=Q(media_pending=True)
            ),
            # Lists and figures of some days.
            models.Index(name="raw_message_by_time", fields=["-received_at"]),
            models.Index(
                name="raw_message_rare", fields=["-received_at"], condition=Q(status__in=["ignored"])
            ),
            # Words over everybody, in the back-office.
            GinIndex(SearchVector("body", config="simple"), name="raw_message_words"),
        )

    def __str__(self) -> str:
        return self.message_sid


class Interaction(models.Model):
    """The turn that answers one raw message, or several of a burst; the journal a killed worker resumes from.

    The row appears when work begins and is finished by ``answered_at``. ``raw_message`` is the newest of the messages
    and names the turn. ``attempts`` counts beginnings, so that a message which kills its worker every time ends in an
    apology instead of a loop. ``transcript`` is kept by messaging/journal.py.
    """

    class Kind(models.TextChoices):
        SAVED = "saved"  # a statement was remembered
        RECALLED = "recalled"  # a question was answered from memories
        MISSED = "missed"  # a question found nothing
        COMMAND = "command"
        SMALL_TALK = "small_talk"  # a greeting, thanks: nothing to keep, nothing to find
        UNREADABLE = "unreadable"  # a kind of message we cannot keep yet, said truthfully
        APOLOGY = "apology"  # every attempt failed

    raw_message = models.OneToOneField(RawMessage, on_delete=models.CASCADE, related_name="interaction")
    kind = models.CharField(max_length=12, choices=Kind, blank=True)
    answer = models.TextField(blank=True)
    model = models.CharField(
        max_length=100, blank=True, help_text="The language model that answered, if one did."
    )
    transcript = models.JSONField(
        default=list, help_text="What was asked of the model and of its tools, in order."
    )
    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(
        max_length=200, blank=True, help_text="The kind of the last failure, without its text."
    )
    started_at = models.DateTimeField(db_default=Now())
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="interaction_answered_means_answer",
                condition=Q(answered_at=None) | (~Q(answer="") & ~Q(kind="")),
            ),
            models.CheckConstraint(
                name="interaction_answered_after_start",
                condition=Q(answered_at=None) | Q(answered_at__gte=models.F("started_at")),
            ),
        )
        indexes = (
            # The figures of some days; rows lie in order of time, so a few pages of index are enough.
            BrinIndex(name="interaction_answered", fields=["answered_at"]),
            # Lists of the back-office. ``started_at`` never changes, so a journal that is saved touches no index.
            models.Index(name="interaction_by_time", fields=["-started_at"]),
            models.Index(name="interaction_by_kind", fields=["kind", "-started_at"]),
            models.Index(name="interaction_failed", fields=["-started_at"], condition=~Q(error="")),
            GinIndex(SearchVector("answer", config="simple"), name="interaction_words"),
        )

    def __str__(self) -> str:
        return f"{self.kind or 'open'} answer to {self.raw_message_id}"


class PendingConfirmation(models.Model):
    """What a person was asked to confirm in their own words; their next message decides, whatever it is."""

    class Kind(models.TextChoices):
        FORGET = "forget"  # the memories with these numbers
        EVERYTHING = "everything"  # the person and all that is kept of them

    user = models.OneToOneField(WhatsAppUser, on_delete=models.CASCADE, related_name="pending_confirmation")
    kind = models.CharField(max_length=10, choices=Kind)
    numbers = models.JSONField(default=list, help_text="Memory numbers.")
    asked_in = models.ForeignKey(Interaction, on_delete=models.CASCADE, related_name="+")
    asked_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="confirmation_kind_known",
                condition=Q(kind="everything", numbers=[]) | Q(kind="forget") & ~Q(numbers=[]),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} asked in {self.asked_in_id}"


class OutboundMessage(models.Model):
    """One part of an answer on its way to the person.

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
    interaction = models.ForeignKey(Interaction, on_delete=models.CASCADE, related_name="outbound_messages")
    user = models.ForeignKey(WhatsAppUser, on_delete=models.CASCADE, related_name="outbound_messages")
    part = models.PositiveSmallIntegerField(help_text="1, 2, … of one answer.")
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
            models.Index(name="outbound_by_media", fields=["media"], condition=Q(media__isnull=False)),
            # Lists and figures of some days.
            models.Index(name="outbound_by_time", fields=["-created_at"]),
            models.Index(name="outbound_failed", fields=["-created_at"], condition=Q(status="failed")),
        )

    def __str__(self) -> str:
        return f"part {self.part} of answer {self.interaction_id}"


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
