"""Memories in the back-office: looked at here, and forgotten as in the chat, with all that said them."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from memories.changes import forget_memory
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
