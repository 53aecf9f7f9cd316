"""What the API shows of memories, conversations and people. Times are UTC, numbers E.164.

The serializers describe it, for the documentation; the functions make it, as plain values: a page of lists has hundreds
of rows, and a serializer takes for each of them many times what the database does. A test holds both together.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import Prefetch, prefetch_related_objects
from django.utils import timezone
from rest_framework import serializers

from accounts.models import WhatsAppUser
from media.models import MessageMedia
from media.serving import VALID, get_file_name, make_media_link
from memories.models import Memory, MemoryHistory
from memories.search import Hit
from messaging.media_search import get_media_by_message
from messaging.models import Interaction, RawMessage

Json = dict[str, Any]
TIMES = ("happened_at", "event_start", "event_end", "created_at", "updated_at")


class MediaSerializer(serializers.ModelSerializer[MessageMedia]):
    """A file of a message. ``url`` opens it for a day without a login: treat it like the file."""

    kind = serializers.CharField(source="file.kind")
    content_type = serializers.CharField(source="file.content_type")
    size = serializers.IntegerField(source="file.size", help_text="Bytes.")
    file_name = serializers.CharField(help_text="What it is called when it is downloaded.")
    description = serializers.CharField(source="file.description")
    url = serializers.URLField(help_text="A signed link.")
    url_expires_at = serializers.DateTimeField(help_text="When the link stops working.")

    class Meta:
        model = MessageMedia
        fields = (
            *("kind", "content_type", "size", "file_name", "description"),
            *("sent_at", "url", "url_expires_at"),
        )


class MemorySerializer(serializers.ModelSerializer[Memory]):
    """One memory. ``number`` is the person's own count, which they see as ``#7``."""

    whatsapp_number = serializers.CharField(source="user.phone_number", allow_null=True)
    memory_text = serializers.CharField(source="text")
    memory_type = serializers.ChoiceField(source="type", choices=Memory.Type.choices)
    metadata = serializers.DictField(help_text="A program's own notes.")
    message_sid = serializers.CharField(allow_null=True, help_text="The message that said it.")

    class Meta:
        model = Memory
        fields: tuple[str, ...] = (
            *("id", "number", "whatsapp_number", "memory_text", "memory_type", "source", "metadata"),
            *("happened_at", "event_start", "event_end", "created_at", "updated_at", "message_sid"),
        )


class MatchSerializer(serializers.Serializer[Json]):
    """Why a memory was found."""

    similarity = serializers.FloatField(
        allow_null=True, help_text="Cosine with the question; null where the meaning was not what found it."
    )
    words = serializers.ListField(child=serializers.CharField(), help_text="Words of the question it has.")
    neighbours = serializers.FloatField(
        help_text="The part of the score that comes from what was said beside it."
    )


class FoundMemorySerializer(MemorySerializer):
    """A memory with the files of the message that said it, in the order they were sent.

    ``score`` and ``matched`` are there when it was searched for. 1 is the best score of a search.
    """

    media = MediaSerializer(many=True)
    score = serializers.FloatField(required=False)
    matched = MatchSerializer(required=False)

    class Meta(MemorySerializer.Meta):
        fields = (*MemorySerializer.Meta.fields, "media", "score", "matched")


class HistorySerializer(serializers.ModelSerializer[MemoryHistory]):
    """What a memory said before a correction, or the same said once more."""

    memory_text = serializers.CharField(source="text")
    message_sid = serializers.CharField(allow_null=True)

    class Meta:
        model = MemoryHistory
        fields = (
            *("id", "kind", "memory_text", "said_at", "event_start", "event_end"),
            *("message_sid", "created_at"),
        )


class UsedMemorySerializer(serializers.Serializer[Any]):
    """A memory an answer was made from; rank 1 is the best."""

    id = serializers.IntegerField()
    number = serializers.IntegerField()
    memory_text = serializers.CharField()
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

    text = serializers.CharField(help_text="What was typed; empty for what is forgotten.")
    media = MediaSerializer(many=True, help_text="The files, in order.")

    class Meta:
        model = RawMessage
        fields = ("message_sid", "received_at", "text", "media")


class InteractionSerializer(serializers.ModelSerializer[Interaction]):
    """One turn: what was asked, in one message or several, and what was answered."""

    whatsapp_number = serializers.CharField(allow_null=True)
    question = serializers.CharField(help_text="What was asked, as text.")
    received_at = serializers.DateTimeField()
    messages = MessageSerializer(many=True, help_text="The messages of the turn, oldest first.")
    memories_made = MadeMemorySerializer(many=True, help_text="What its messages have made.")
    memories_used = UsedMemorySerializer(many=True, help_text="What the answer was made from, best first.")
    delivery = serializers.ListField(
        child=serializers.CharField(), help_text="The status of each part of the answer."
    )

    class Meta:
        model = Interaction
        fields = (
            *("id", "whatsapp_number", "kind", "question", "answer", "model", "received_at", "answered_at"),
            *("messages", "memories_made", "memories_used", "delivery"),
        )


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


def show_time(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def show_media(links: Iterable[MessageMedia]) -> list[Json]:
    """Files that are stored, with links that work from now on."""
    now = timezone.now()
    return [
        {
            "kind": link.file.kind,
            "content_type": link.file.content_type,
            "size": link.file.size,
            "file_name": get_file_name(link.file, sent_as=link.file_name),
            "description": link.file.description,
            "sent_at": show_time(link.sent_at),
            "url": make_media_link(link, now=now),
            "url_expires_at": show_time(now + VALID),
        }
        for link in links
        if link.file is not None
    ]


def show_memory(memory: Memory) -> Json:
    """One memory, without files."""
    row = {name: getattr(memory, name) for name in ("id", "number", "text", "type", "source", "metadata")}
    times = {name: show_time(getattr(memory, name)) for name in TIMES}
    sid = memory.raw_message.message_sid if memory.raw_message else None
    return show_row(row | times | {"message_sid": sid}, memory.user)


def show_row(row: Mapping[str, Any], person: WhatsAppUser) -> Json:
    """One memory of a list, whose times are texts."""
    return {
        "id": row["id"],
        "number": row["number"],
        "whatsapp_number": person.phone_number,
        "memory_text": row["text"],
        "memory_type": row["type"],
        "source": row["source"],
        "metadata": row["metadata"],
        **{name: row[name] for name in TIMES},
        "message_sid": row["message_sid"],
    }


def show_rows(rows: Sequence[Mapping[str, Any]], person: WhatsAppUser) -> list[Json]:
    """A list of one person's memories with their files."""
    media = get_media_by_message({row["raw_message_id"] for row in rows if row["raw_message_id"]})
    return [
        show_row(row, person) | {"media": show_media(media.get(row["raw_message_id"], ()))} for row in rows
    ]


def show_found(found: Sequence[Memory | Hit]) -> list[Json]:
    """Memories or hits with their files, in a fixed number of statements."""
    memories = [each if isinstance(each, Memory) else each.memory for each in found]
    prefetch_related_objects(memories, Prefetch("raw_message", RawMessage.objects.only("message_sid")))
    media = get_media_by_message({memory.raw_message_id for memory in memories if memory.raw_message_id})
    shown = []
    for each, memory in zip(found, memories, strict=True):
        row = show_memory(memory) | {"media": show_media(media.get(memory.raw_message_id or 0, ()))}
        if isinstance(each, Hit):
            row["score"] = each.score
            row["matched"] = {
                "similarity": each.similarity,
                "words": sorted(each.shared_words),
                "neighbours": each.from_neighbours,
            }
        shown.append(row)
    return shown


def show_history(row: MemoryHistory) -> Json:
    """What a memory has said."""
    return {
        "id": row.id,
        "kind": row.kind,
        "memory_text": row.text,
        "said_at": show_time(row.said_at),
        "event_start": show_time(row.event_start),
        "event_end": show_time(row.event_end),
        "message_sid": row.raw_message and row.raw_message.message_sid,
        "created_at": show_time(row.created_at),
    }


def show_message(message: RawMessage, media: Mapping[int, Sequence[MessageMedia]]) -> Json:
    """A message; ``media`` are the files by message."""
    return {
        "message_sid": message.message_sid,
        "received_at": show_time(message.received_at),
        "text": message.body,
        "media": show_media(media.get(message.id, ())),
    }
