"""What is remembered, and which answers used it. Mem0 holds the vectors; these rows are the record."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import WhatsAppUser


class Memory(models.Model):
    """One thing a person wanted kept, word for word, with one Mem0 entry (``mem0_id``).

    ``happened_at`` is when it was said; ``event_start``/``event_end`` (half-open) when it takes place, if it does.
    After a correction, text and ``happened_at`` are those of the correction; what was said before is in
    `MemoryHistory`. ``number`` is the person's own count, shown as ``#7`` and never used again, so ``/forget 7`` cannot
    hit another.
    """

    class Source(models.TextChoices):
        CHAT = "chat"
        API = "api"
        ADMIN = "admin"
        IMPORT = "import"

    class Type(models.TextChoices):
        NOTE = "note"
        PLACE = "place"
        EVENT = "event"
        TASK = "task"
        PERSON = "person"
        PREFERENCE = "preference"
        FILE = "file"  # a picture, recording or document, with what it shows or says

    user = models.ForeignKey(
        WhatsAppUser,
        on_delete=models.CASCADE,
        related_name="memories",
        db_index=False,  # an index with the number
    )
    number = models.PositiveIntegerField()
    identity = models.UUIDField(
        null=True,
        help_text="What makes a repeat the same memory: the caller's key, or the words (memories/sameness.py).",
    )
    raw_message = models.ForeignKey(
        "messaging.RawMessage", null=True, blank=True, on_delete=models.CASCADE, related_name="memories"
    )
    tool_call = models.CharField(
        max_length=100,
        blank=True,
        help_text="Which step of the answer stored it; with the message, its identity.",
    )
    mem0_id = models.UUIDField(unique=True)
    text = models.TextField()
    word_count = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Rows of `MemoryWord`, by count."
    )
    corrected_by = models.ForeignKey(
        "messaging.RawMessage",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="corrected_memories",
        help_text="The message the present text is from, if that is not the first.",
    )
    correction_call = models.CharField(max_length=100, blank=True, db_default="")
    type = models.CharField(max_length=16, choices=Type, default=Type.NOTE)
    source = models.CharField(max_length=8, choices=Source, default=Source.CHAT)
    happened_at = models.DateTimeField()
    event_start = models.DateTimeField(null=True, blank=True)
    event_end = models.DateTimeField(null=True, blank=True)
    metadata = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text="A program's own notes; an object, never searched.",
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "memories"
        constraints = (
            models.UniqueConstraint(name="memory_number_once_per_user", fields=["user", "number"]),
            models.UniqueConstraint(name="memory_once_per_tool_call", fields=["raw_message", "tool_call"]),
            models.UniqueConstraint(
                name="memory_corrected_once_per_tool_call", fields=["corrected_by", "correction_call"]
            ),
            models.UniqueConstraint(name="memory_once_per_identity", fields=["user", "identity"]),
            models.CheckConstraint(name="memory_has_text", condition=~Q(text="")),
            models.CheckConstraint(
                name="memory_from_chat_has_a_message",
                condition=Q(source="chat", raw_message__isnull=False) & ~Q(tool_call="")
                | Q(raw_message__isnull=True, tool_call="") & ~Q(source="chat"),
            ),
            models.CheckConstraint(
                name="memory_event_is_a_range",
                condition=Q(event_end=None) | Q(event_start__isnull=False, event_end__gt=F("event_start")),
            ),
        )
        indexes = (
            # Newest first: /list, the API, and "what did I say yesterday".
            models.Index(name="memory_by_time", fields=["user", "-happened_at", "-id"]),
            # Lists and figures of some days.
            models.Index(name="memory_by_creation", fields=["-created_at"]),
            models.Index(name="memory_by_type", fields=["type", "-created_at"]),
            models.Index(name="memory_by_source", fields=["source", "-created_at"]),
            # Words over everybody, in the back-office; a search of one person reads `MemoryWord`.
            GinIndex(SearchVector("text", config="simple"), name="memory_words_of_all"),
        )

    def __str__(self) -> str:
        return f"#{self.number}"


class MemoryHistory(models.Model):
    """What was said about a memory besides its present text: a text that was corrected, or the same said again."""

    class Kind(models.TextChoices):
        CORRECTED = "corrected"  # the text until then
        REPEATED = "repeated"  # known already, said once more

    memory = models.ForeignKey(Memory, on_delete=models.CASCADE, related_name="history")
    kind = models.CharField(max_length=9, choices=Kind)
    text = models.TextField()
    raw_message = models.ForeignKey(
        "messaging.RawMessage",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="memory_history",
        help_text="The message that said it.",
    )
    tool_call = models.CharField(max_length=100, blank=True)
    said_at = models.DateTimeField()
    event_start = models.DateTimeField(null=True, blank=True)
    event_end = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "memory history"
        constraints = (
            models.UniqueConstraint(
                name="memory_repeated_once_per_tool_call", fields=["raw_message", "tool_call"]
            ),
            models.CheckConstraint(name="memory_history_has_text", condition=~Q(text="")),
            models.CheckConstraint(
                name="memory_history_kind_known", condition=Q(kind__in=["corrected", "repeated"])
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} in memory {self.memory_id}"


class MemoryWord(models.Model):
    """How often a memory has a word: the index search by words reads (memories/words.py makes the words).

    The primary key is the posting list of one word of one person, so that a search reads only that person's own.
    ``word_count`` is the memory's, beside each of its words, so that a posting list alone is enough to score.
    """

    pk = models.CompositePrimaryKey("user", "word", "memory")
    # The memory's own key keeps the person's; another check for each word would double the cost of an insertion.
    user = models.ForeignKey(
        WhatsAppUser, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    word = models.CharField(max_length=64)
    memory = models.ForeignKey(Memory, on_delete=models.CASCADE, related_name="words")
    count = models.PositiveSmallIntegerField()
    word_count = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"word of memory {self.memory_id}"


class Citation(models.Model):
    """A memory an answer was made from, with its place among the findings."""

    interaction = models.ForeignKey(
        "messaging.Interaction", on_delete=models.CASCADE, related_name="citations"
    )
    memory = models.ForeignKey(Memory, on_delete=models.CASCADE, related_name="citations")
    rank = models.PositiveSmallIntegerField(help_text="1 is the best.")
    score = models.FloatField()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="citation_once", fields=["interaction", "memory"]),
            models.UniqueConstraint(name="citation_rank_once", fields=["interaction", "rank"]),
            models.CheckConstraint(name="citation_rank_from_one", condition=Q(rank__gte=1)),
        )

    def __str__(self) -> str:
        return f"{self.rank}. in answer {self.interaction_id}"
