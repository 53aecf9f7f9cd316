"""What came in, what was answered, and by whom: the bot, or a member of staff."""

from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import WhatsAppUser


class RawMessage(models.Model):
    """One inbound message, whole, as Twilio posted it.

    ::

        received ──> answered      an Interaction holds the answer, OutboundMessage rows carry it
          │  ^ └───> ignored       nothing to say: a reaction, an opt-out, a message of our own sender
          v  │
          held ────> answered      a member of staff has the conversation (Takeover), and has answered; no ``turn``

    ``message_sid`` is the idempotency key (contracts/twilio-whatsapp.md §1): Twilio repeats deliveries, and the
    unique constraint, not a look beforehand, keeps the message one.

    ``turn`` is set when work on an answer begins; messages that came in one burst share it. What a message said is
    blanked, and ``redacted_at`` set, when the memory of it is forgotten.
    """

    class Status(models.TextChoices):
        RECEIVED = "received"
        HELD = "held"
        ANSWERED = "answered"
        IGNORED = "ignored"

    message_sid = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(
        WhatsAppUser,
        on_delete=models.CASCADE,
        related_name="raw_messages",
        db_index=False,  # an index with the time
    )
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
                name="raw_message_status_known",
                condition=Q(status__in=["received", "held", "answered", "ignored"]),
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
            # What a member of staff has to answer, and what goes back to the bot.
            models.Index(name="raw_message_held", fields=["user"], condition=Q(status="held")),
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
            # Words over everybody, in the back-office: of messages that are dealt with, so that the worker pays for it
            # and not the webhook.
            GinIndex(
                SearchVector("body", config="simple"),
                name="raw_message_words",
                condition=~Q(status="received"),
            ),
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


class Takeover(models.Model):
    """That a member of staff has the conversation with a person: while it is there, the bot thinks about nothing.

    Commands and confirmations still work (messaging/takeover.py). No foreign key to the login: one that is gone takes
    nothing away, and nobody's silence lasts longer than `TAKEOVER_HOURS` after ``active_at``.
    """

    user = models.OneToOneField(WhatsAppUser, on_delete=models.CASCADE, related_name="takeover")
    staff_id = models.BigIntegerField(help_text="The login's key.")
    staff_name = models.CharField(max_length=150, help_text="The login's name at that time.")
    since = models.DateTimeField(db_default=Now())
    active_at = models.DateTimeField(
        db_default=Now(), help_text="When it began, or the login wrote last, whichever is later."
    )

    class Meta:
        constraints = (
            models.CheckConstraint(name="takeover_by_somebody", condition=~Q(staff_name="")),
            models.CheckConstraint(
                name="takeover_active_after_it_began", condition=Q(active_at__gte=models.F("since"))
            ),
        )
        indexes = (models.Index(name="takeover_by_activity", fields=["active_at"]),)

    def __str__(self) -> str:
        return f"{self.staff_name} has the conversation with {self.user_id}"
