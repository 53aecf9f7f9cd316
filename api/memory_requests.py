"""What may be asked of memories: parameters and bodies, with their limits."""

from typing import Any

from rest_framework import serializers

from api.base import Given, PersonFields
from api.errors import Unprocessable
from api.fields import CursorField, MetadataField, MomentField, StrictSerializer
from memories.models import Memory

MOST_TEXT = 10_000  # characters
MOST_QUERY = 1_000
MOST_ROWS = 200
# What a program may say a memory is; files come with messages.
WRITABLE_TYPES = [choice for choice in Memory.Type.choices if choice[0] != Memory.Type.FILE]


def check_event(start: Any, end: Any) -> None:
    """Raises Unprocessable for an end without a beginning, or before it."""
    if end is not None and start is None:
        raise Unprocessable({"event_start": ["An event with an end has a beginning."]})
    if end is not None and end <= start:
        raise Unprocessable({"event_end": ["It ends after it begins."]})


class PageQuery(StrictSerializer):
    """Which page of a list."""

    limit = serializers.IntegerField(min_value=1, max_value=MOST_ROWS, default=50)
    cursor = CursorField()


class PageFields(PersonFields, PageQuery):
    """Whose rows, and which page of them."""


class MemoriesQuery(PageFields):
    """Whose memories, and which."""

    query = serializers.CharField(
        required=False, max_length=MOST_QUERY, help_text="A question or words: the best come first."
    )
    start_date = serializers.DateField(
        required=False, help_text="The first day, on the person's own calendar."
    )
    end_date = serializers.DateField(required=False, help_text="The last day, included.")
    type = serializers.ListField(
        child=serializers.ChoiceField(choices=Memory.Type.choices),
        required=False,
        max_length=len(Memory.Type),
        help_text="May be given several times.",
    )
    source = serializers.ListField(  # type: ignore[assignment]  # a field, which its class collects
        child=serializers.ChoiceField(choices=Memory.Source.choices),
        required=False,
        max_length=len(Memory.Source),
        help_text="May be given several times.",
    )
    cursor = CursorField(help_text="`next_cursor` of the page before; not with `query`.")

    def validate(self, attrs: Given) -> Given:
        """Days in order; no pages of a search."""
        attrs = super().validate(attrs)
        start, end = attrs.get("start_date"), attrs.get("end_date")
        if start and end and start > end:
            raise Unprocessable({"end_date": ["It lies before start_date."]})
        if "query" in attrs and "cursor" in attrs:
            raise Unprocessable({"cursor": ["A search has one page."]})
        return attrs


class NewMemory(PersonFields):
    """A memory to store."""

    memory_text = serializers.CharField(max_length=MOST_TEXT)
    memory_type = serializers.ChoiceField(choices=WRITABLE_TYPES, default=Memory.Type.NOTE)
    metadata = MetadataField(default=dict)
    happened_at = MomentField(required=False)
    event_start = MomentField(required=False, allow_null=True)
    event_end = MomentField(required=False, allow_null=True)
    create_user = serializers.BooleanField(
        default=False, help_text="Make the person if the bot has never heard from them."
    )

    def validate(self, attrs: Given) -> Given:
        """An event is a range."""
        attrs = super().validate(attrs)
        check_event(attrs.get("event_start"), attrs.get("event_end"))
        return attrs


class MemoryChanges(StrictSerializer):
    """What changes of a memory. A new text or time is a correction: its history keeps what was said before."""

    memory_text = serializers.CharField(max_length=MOST_TEXT, required=False)
    memory_type = serializers.ChoiceField(choices=WRITABLE_TYPES, required=False)
    metadata = MetadataField(required=False)
    happened_at = MomentField(required=False)
    event_start = MomentField(required=False, allow_null=True)
    event_end = MomentField(required=False, allow_null=True)
