"""Memories in the back-office, read-only."""

from django.contrib import admin

from memories.models import Memory
from whatsbot.admin import ReadOnlyAdmin


@admin.register(Memory)
class MemoryAdmin(ReadOnlyAdmin):
    """What is remembered of whom."""

    list_display = ("number", "user", "text", "type", "source", "happened_at")
    list_filter = ("type", "source")
    list_select_related = ("user",)
    search_fields = ("user__phone_number", "text")
