"""Files and their sendings in the back-office, read-only."""

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html

from media.models import MediaFile, MessageMedia
from whatsbot.admin import ReadOnlyAdmin


@admin.register(MediaFile)
class MediaFileAdmin(ReadOnlyAdmin):
    """What is kept, each content once."""

    list_display = ("__str__", "thumbnail", "kind", "readable_size", "links", "understood", "created_at")
    list_filter = ("kind", ("described_at", admin.EmptyFieldListFilter))
    search_fields = ("^file_hash",)
    ordering = ("-id",)
    date_hierarchy = "created_at"
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

    @admin.display(description="Picture", empty_value="")
    def thumbnail(self, file: MediaFile) -> str | None:
        """The small picture, if there is one."""
        if not file.thumbnail_name or file.stored_at is None:
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


@admin.register(MessageMedia)
class MessageMediaAdmin(ReadOnlyAdmin):
    """Who sent what when, and what was refused."""

    list_display = ("__str__", "user", "kind", "file_name", "sent_at", "refusal")
    list_filter = ("refusal", "file__kind")
    list_select_related = ("user", "file")
    search_fields = ("user__phone_number", "^file__file_hash")
    ordering = ("-id",)
    date_hierarchy = "sent_at"

    @admin.display(description="Kind", empty_value="", ordering="file__kind")
    def kind(self, media: MessageMedia) -> str | None:
        """What it is, by content."""
        return media.file.kind if media.file else None
