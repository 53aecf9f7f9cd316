"""What the API shows of memories, conversations and people. Times are UTC, numbers E.164."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import WhatsAppUser
from media.models import MessageMedia
from media.serving import VALID, get_file_name, make_media_link
from memories.models import Memory, MemoryHistory
from memories.search import Hit
from messaging.content import read_content
from messaging.media_search import get_media_of
from messaging.models import Interaction, RawMessage

Json = dict[str, Any]
Files = Mapping[int, Sequence[MessageMedia]]


class MediaSerializer(serializers.ModelSerializer[MessageMedia]):
    """A file of a message. ``url`` opens it for a day without a login: treat it like the file."""

    kind = serializers.CharField(source="file.kind")
    content_type = serializers.CharField(source="file.content_type")
    size = serializers.IntegerField(source="file.size", help_text="Bytes.")
    file_name = serializers.SerializerMethodField()
    description = serializers.CharField(source="file.description")
    url = serializers.SerializerMethodField()
    url_expires_at = serializers.SerializerMethodField()

    class Meta:
        model = MessageMedia
        fields = (
            *("kind", "content_type", "size", "file_name", "description"),
            *("sent_at", "url", "url_expires_at"),
        )

    def get_file_name(self, media: MessageMedia) -> str:
        """What it is called when it is downloaded."""
        assert media.file is not None
        return get_file_name(media.file, sent_as=media.file_name)

    @extend_schema_field(serializers.URLField())
    def get_url(self, media: MessageMedia) -> str:
        """A signed link."""
        return make_media_link(media, now=timezone.now())

    def get_url_expires_at(self, media: MessageMedia) -> datetime:
        """When the link stops working."""
        return timezone.now() + VALID


class MemorySerializer(serializers.ModelSerializer[Memory]):
    """One memory. ``number`` is the person's own count, which they see as ``#7``."""

    whatsapp_number = serializers.CharField(source="user.phone_number", allow_null=True)
    memory_text = serializers.CharField(source="text")
    memory_type = serializers.ChoiceField(source="type", choices=Memory.Type.choices)
    metadata = serializers.DictField(help_text="A program's own notes.")
    message_sid = serializers.CharField(
        source="raw_message.message_sid", allow_null=True, default=None, help_text="The message that said it."
    )

    class Meta:
        model = Memory
        fields: tuple[str, ...] = (
            *("id", "number", "whatsapp_number", "memory_text", "memory_type", "source", "metadata"),
            *("happened_at", "event_start", "event_end", "created_at", "updated_at", "message_sid"),
        )


class MemoryWithMediaSerializer(MemorySerializer):
    """A memory with the files of the message that said it."""

    media = serializers.SerializerMethodField()

    class Meta(MemorySerializer.Meta):
        fields: tuple[str, ...] = (*MemorySerializer.Meta.fields, "media")

    @extend_schema_field(MediaSerializer(many=True))
    def get_media(self, memory: Memory) -> list[Json]:
        """The files, in the order they were sent."""
        return [*MediaSerializer(self.context["files"].get(memory.id, ()), many=True).data]


class MatchSerializer(serializers.Serializer[Json]):
    """Why a memory was found."""

    similarity = serializers.FloatField(
        allow_null=True, help_text="Cosine with the question; null where the meaning was not what found it."
    )
    words = serializers.ListField(child=serializers.CharField(), help_text="Words of the question it has.")
    neighbours = serializers.FloatField(
        help_text="The part of the score that comes from what was said beside it."
    )


class FoundMemorySerializer(MemoryWithMediaSerializer):
    """A memory; ``score`` and ``matched`` are there when it was searched for. 1 is the best score of a search."""

    score = serializers.FloatField(required=False)
    matched = MatchSerializer(required=False)

    class Meta(MemoryWithMediaSerializer.Meta):
        fields = (*MemoryWithMediaSerializer.Meta.fields, "score", "matched")

    def to_representation(self, instance: Any) -> Json:
        """A memory, or a hit of a search."""
        if isinstance(instance, Memory):
            return MemoryWithMediaSerializer(instance, context=self.context).data
        hit: Hit = instance
        matched = {
            "similarity": hit.similarity,
            "words": sorted(hit.shared_words),
            "neighbours": hit.from_neighbours,
        }
        shown = MemoryWithMediaSerializer(hit.memory, context=self.context).data
        return {**shown, "score": hit.score, "matched": matched}


class HistorySerializer(serializers.ModelSerializer[MemoryHistory]):
    """What a memory said before a correction, or the same said once more."""

    memory_text = serializers.CharField(source="text")
    message_sid = serializers.CharField(source="raw_message.message_sid", allow_null=True, default=None)

    class Meta:
        model = MemoryHistory
        fields = (
            *("id", "kind", "memory_text", "said_at", "event_start", "event_end"),
            *("message_sid", "created_at"),
        )


class UsedMemorySerializer(serializers.Serializer[Any]):
    """A memory an answer was made from; rank 1 is the best."""

    id = serializers.IntegerField(source="memory_id")
    number = serializers.IntegerField(source="memory.number")
    memory_text = serializers.CharField(source="memory.text")
    rank = serializers.IntegerField()
    score = serializers.FloatField()


class MadeMemorySerializer(serializers.ModelSerializer[Memory]):
    """A memory a message has made."""

    memory_text = serializers.CharField(source="text")
    memory_type = serializers.ChoiceField(source="type", choices=Memory.Type.choices)

    class Meta:
        model = Memory
        fields = ("id", "number", "memory_text", "memory_type")


class MessageSerializer(serializers.ModelSerializer[RawMessage]):
    """A message of the person, with its files that are kept."""

    text = serializers.SerializerMethodField()
    media = serializers.SerializerMethodField()

    class Meta:
        model = RawMessage
        fields = ("message_sid", "received_at", "text", "media")

    def get_text(self, message: RawMessage) -> str:
        """What was typed; empty for what is forgotten."""
        return message.body

    @extend_schema_field(MediaSerializer(many=True))
    def get_media(self, message: RawMessage) -> list[Json]:
        """The files, in order."""
        return [*MediaSerializer(get_kept_media(message), many=True).data]


class InteractionSerializer(serializers.ModelSerializer[Interaction]):
    """One turn: what was asked, in one message or several, and what was answered."""

    whatsapp_number = serializers.CharField(source="raw_message.user.phone_number", allow_null=True)
    question = serializers.SerializerMethodField()
    messages = serializers.SerializerMethodField()
    received_at = serializers.DateTimeField(source="raw_message.received_at")
    memories_made = serializers.SerializerMethodField()
    memories_used = serializers.SerializerMethodField()
    delivery = serializers.SerializerMethodField()

    class Meta:
        model = Interaction
        fields = (
            *("id", "whatsapp_number", "kind", "question", "answer", "model", "received_at", "answered_at"),
            *("messages", "memories_made", "memories_used", "delivery"),
        )

    def _get_messages(self, turn: Interaction) -> list[RawMessage]:
        messages = sorted(turn.messages.all(), key=lambda message: message.id)
        return messages or [turn.raw_message]

    def get_question(self, turn: Interaction) -> str:
        """What was asked, as text."""
        texts = (read_content(message).text for message in self._get_messages(turn))
        return "\n".join(text for text in texts if text)

    @extend_schema_field(MessageSerializer(many=True))
    def get_messages(self, turn: Interaction) -> list[Json]:
        """The messages of the turn, oldest first."""
        return [*MessageSerializer(self._get_messages(turn), many=True).data]

    @extend_schema_field(MadeMemorySerializer(many=True))
    def get_memories_made(self, turn: Interaction) -> list[Json]:
        """What its messages have made."""
        made = [memory for message in self._get_messages(turn) for memory in message.memories.all()]
        return [*MadeMemorySerializer(sorted(made, key=lambda memory: memory.id), many=True).data]

    @extend_schema_field(UsedMemorySerializer(many=True))
    def get_memories_used(self, turn: Interaction) -> list[Json]:
        """What the answer was made from, best first."""
        used = sorted(turn.citations.all(), key=lambda citation: citation.rank)
        return [*UsedMemorySerializer(used, many=True).data]

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_delivery(self, turn: Interaction) -> list[str]:
        """The status of each part of the answer."""
        parts = sorted(turn.outbound_messages.all(), key=lambda part: part.part)
        return [part.status for part in parts]


class PersonSerializer(serializers.ModelSerializer[WhatsAppUser]):
    """A person. ``name`` was given by staff or a program; ``profile_name`` is their own."""

    whatsapp_number = serializers.CharField(source="phone_number", allow_null=True)
    last_message_at = serializers.SerializerMethodField()

    class Meta:
        model = WhatsAppUser
        fields: tuple[str, ...] = (
            *("whatsapp_number", "whatsapp_id", "name", "profile_name", "timezone", "timezone_source"),
            *("created_at", "last_message_at", "opted_out_at"),
        )

    def get_last_message_at(self, person: WhatsAppUser) -> datetime | None:
        """When they wrote last; null for somebody who never has."""
        return person.last_inbound_at if person.last_inbound_at.year > 1970 else None


def get_kept_media(message: RawMessage) -> list[MessageMedia]:
    """The files of a message that are stored, in order, from what is prefetched."""
    kept = [media for media in message.media.all() if media.file is not None and media.file.stored_at]
    return sorted(kept, key=lambda media: media.position)


def show_found(found: Sequence[Memory | Hit]) -> list[Json]:
    """Memories or hits with their files."""
    memories = [each if isinstance(each, Memory) else each.memory for each in found]
    context = {"files": get_media_of(memories)}
    shown: Any = FoundMemorySerializer(found, many=True, context=context)  # type: ignore[arg-type]
    return [*shown.data]


def show_memory(memory: Memory) -> Json:
    """One memory, without files."""
    return dict(MemorySerializer(memory).data)


def show_interaction(turn: Interaction) -> Json:
    """One turn."""
    return dict(InteractionSerializer(turn).data)
