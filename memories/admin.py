"""Memories in the back-office: looked at here, and deleted like everywhere, with their Mem0 entries."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from memories.models import Memory, MemoryHistory
from whatsbot.admin import ReadOnlyAdmin, TabularInline


class MemoryHistoryInline(TabularInline):
    """What was said before, or again."""

    model = MemoryHistory
    extra = 0
    fields = ("kind", "text", "said_at", "raw_message")
    readonly_fields = fields
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody writes history."""
        return False


@admin.register(Memory)
class MemoryAdmin(ReadOnlyAdmin):
    """What is remembered of whom."""

    list_display = ("number", "user", "text", "type", "source", "happened_at")
    list_filter = ("type", "source")
    list_select_related = ("user",)
    search_fields = ("user__phone_number", "text")
    inlines = (MemoryHistoryInline,)

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Whoever may delete memories; the database sees to Mem0 (memories/migrations/0004)."""
        return request.user.has_perm("memories.delete_memory")
