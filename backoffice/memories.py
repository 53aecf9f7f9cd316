"""Memories in the back-office: looked at here, and forgotten as in the chat, with all that said them."""

from typing import Any

from django.contrib import admin

from backoffice.base import link_person, show_text
from backoffice.deleting import DeletableAdmin
from backoffice.gate import name_person
from backoffice.models import Deletion
from memories.models import Memory, MemoryHistory
from messaging.answers import shorten
from whatsbot.admin import DayFilter, ReadOnlyInline


class MemoryHistoryInline(ReadOnlyInline):
    """What was said before, or again."""

    model = MemoryHistory
    fields = readonly_fields = ("kind", "text", "said_at", "raw_message")


@admin.register(Memory)
class MemoryAdmin(DeletableAdmin):
    """What is remembered of whom."""

    title = "Memories"
    deletion_kind = Deletion.Kind.MEMORIES
    list_display = ("__str__", "person", "words", "type", "source", "happened_at", "created_at")
    list_filter = ("type", "source", ("created_at", DayFilter))
    list_select_related = ("user",)
    ordering = ("-created_at",)
    searches = ("person:user_id", "words:text")
    search_help_text = "A number, name, or words"
    inlines = (MemoryHistoryInline,)

    @admin.display(description="Person")
    def person(self, row: Any) -> str:
        """Whose it is."""
        return link_person(row, row.user)

    @admin.display(description="Text")
    def words(self, row: Any) -> str:
        """What it says."""
        return show_text(row, row.text)

    def name_row(self, row: Any, *, is_shown: bool) -> str:
        """Its number, whose it is, and how it begins."""
        name = f"{row} of {name_person(row.user, is_shown=is_shown)}"
        return f"{name}: “{shorten(row.text)}”" if is_shown else name
