"""Files and their sendings in the back-office, read-only."""

from typing import Any

from django.contrib import admin
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html

from backoffice.base import link_person, show_text
from backoffice.deleting import DeletableAdmin
from backoffice.gate import name_person
from backoffice.models import Deletion
from media.models import MediaFile, MessageMedia
from whatsbot.admin import DayFilter

MOST_SENDERS = 20  # of one file, who are looked for to know whether a login may see it
_SENDERS = ArraySubquery(
    MessageMedia.objects.filter(file=OuterRef("pk")).order_by("-id").values("user_id")[:MOST_SENDERS]
)


@admin.register(MediaFile)
class MediaFileAdmin(DeletableAdmin):
    """What is kept, each content once; it may be of several people."""

    title = "Files"
    deletion_kind = Deletion.Kind.FILES
    list_display = ("__str__", "thumbnail", "kind", "readable_size", "links", "understood", "created_at")
    list_filter = ("kind", ("described_at", admin.EmptyFieldListFilter), ("created_at", DayFilter))
    searches = ("key:file_hash", "person:links__user_id", "words:description,text")
    search_help_text = "A number, name, the beginning of a SHA-256, or words"
    may_repeat = True  # somebody may have sent a file twice
    fields = (
        *("open", "thumbnail", "kind", "content_type", "readable_size", "links", "file_hash", "storage_name"),
        *(
            "understood",
            "language",
            "description",
            "text",
            "facts",
            "stored_at",
            "described_at",
            "created_at",
        ),
    )
    readonly_fields = ("open", "thumbnail", "readable_size", "links", "understood")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """With those who sent each, a few of them."""
        return super().get_queryset(request).annotate(senders=_SENDERS)

    def get_person_ids(self, obj: Any) -> set[int]:
        """Who has sent it; some, where there are many."""
        return set(obj.senders or ())

    @admin.display(description="Picture", empty_value="")
    def thumbnail(self, file: Any) -> str | None:
        """The small picture, if there is one and this login may look at it."""
        if not file.thumbnail_name or file.stored_at is None or not getattr(file, "is_shown", True):
            return None
        address = reverse("media-thumbnail", args=[file.id])
        return format_html(
            '<img src="{}" alt="" loading="lazy" style="max-height: 64px; width: auto">', address
        )

    @admin.display(description="Object")
    def open(self, file: MediaFile) -> str:
        """The way to the file itself."""
        if file.stored_at is None:
            return "Not stored yet"
        return format_html('<a href="{}">Open or download</a>', reverse("media-file", args=[file.id]))

    @admin.display(description="Size", ordering="size")
    def readable_size(self, file: MediaFile) -> str:
        """The size in units people read."""
        return filesizeformat(file.size)

    @admin.display(description="Sent", ordering="forwarded_count")
    def links(self, file: MediaFile) -> int:
        """How often it was sent."""
        return file.forwarded_count + 1

    @admin.display(description="Described", ordering="described_at")
    def understood(self, file: MediaFile) -> str:
        """By which model, or why not."""
        return file.described_by or f"No: {file.description_error or 'not yet'}"

    def name_row(self, row: Any, *, is_shown: bool) -> str:
        """What it is, and how often it was sent."""
        return f"{row}, sent {'once' if not row.forwarded_count else f'{row.forwarded_count + 1:,} times'}"


@admin.register(MessageMedia)
class MessageMediaAdmin(DeletableAdmin):
    """Who sent what when, and what was refused."""

    title = "Sendings of files"
    deletion_kind = Deletion.Kind.ATTACHMENTS
    list_display = ("__str__", "person", "kind", "name", "sent_at", "refusal")
    list_filter = ("refusal", "file__kind", ("sent_at", DayFilter))
    list_select_related = ("user", "file")
    searches = ("key:file__file_hash", "person:user_id")
    search_help_text = "A number, name, or the beginning of a SHA-256"
    ordering = ("-sent_at",)

    @admin.display(description="Person")
    def person(self, row: Any) -> str:
        """Who sent it."""
        return link_person(row, row.user)

    @admin.display(description="Name")
    def name(self, row: Any) -> str:
        """What the sender called it."""
        return show_text(row, row.file_name)

    @admin.display(description="Kind", empty_value="", ordering="file__kind")
    def kind(self, media: MessageMedia) -> str | None:
        """What it is, by content."""
        return media.file.kind if media.file else None

    def name_row(self, row: Any, *, is_shown: bool) -> str:
        """When it was sent, by whom, and what it was called."""
        kind = row.file.kind if row.file else "no file"
        name = f"{kind}, {row.sent_at:%Y-%m-%d %H:%M} from {name_person(row.user, is_shown=is_shown)}"
        return f"{name}: {row.file_name}" if is_shown and row.file_name else name
