"""Memories in the back-office: looked at here, and forgotten as in the chat, with all that said them."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from backoffice.base import PersonalAdmin, show_person, show_text
from memories.changes import forget_memory
from memories.models import Memory, MemoryHistory
from whatsbot.admin import RangeDateFilter, ReadOnlyInline


class MemoryHistoryInline(ReadOnlyInline):
    """What was said before, or again."""

    model = MemoryHistory
    fields = readonly_fields = ("kind", "text", "said_at", "raw_message")


@admin.register(Memory)
class MemoryAdmin(PersonalAdmin):
    """What is remembered of whom."""

    title = "Memories"
    list_display = ("__str__", "person", "words", "type", "source", "happened_at", "created_at")
    list_filter = ("type", "source", ("created_at", RangeDateFilter))
    list_select_related = ("user",)
    ordering = ("-created_at",)
    searches = ("person:user_id", "words:text")
    search_help_text = "A number, name, or words"
    inlines = (MemoryHistoryInline,)

    @admin.display(description="Person")
    def person(self, row: Any) -> str:
        """Whose it is."""
        return show_person(row, row.user)

    @admin.display(description="Text")
    def words(self, row: Any) -> str:
        """What it says."""
        return show_text(row, row.text)

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Whoever may delete memories."""
        return request.user.has_perm("memories.delete_memory")

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """What goes: more than rows of the database, which Django would list."""
        along = (
            "the earlier texts of each",
            "its entry in Mem0",
            "what the messages and answers that said it say",
            "the files of these messages, where nobody else has sent them",
        )
        memories = [f"memory {memory} of {memory.user}" for memory in objs]
        return [*memories, "with them:", [*along]], {"memories": len(memories)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Memory) -> None:
        """Forget one, as the chat and the API do."""
        forget_memory(user_id=obj.user_id, number=obj.number)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Memory]") -> None:
        """Forget some, all or none."""
        for memory in queryset.order_by("user_id", "number"):
            forget_memory(user_id=memory.user_id, number=memory.number)
