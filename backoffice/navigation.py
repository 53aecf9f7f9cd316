"""The sidebar: what there is, by what one comes for."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

# Title, icon of the theme's font, and the model whose list it is or the name of the page with its permission.
_GROUPS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "People",
        (
            ("People", "person", "accounts.WhatsAppUser"),
            ("Memories", "neurology", "memories.Memory"),
            ("Files", "perm_media", "media.MediaFile"),
            ("Sendings of files", "attach_file", "media.MessageMedia"),
        ),
    ),
    (
        "Messages",
        (
            ("Messages", "chat_bubble", "messaging.RawMessage"),
            ("Answers", "forum", "messaging.Interaction"),
            ("Outbox", "outbox", "messaging.OutboundMessage"),
        ),
    ),
    (
        "Privacy",
        (
            ("Deletions", "delete_sweep", "backoffice.Deletion"),
            ("Erasure receipts", "receipt_long", "messaging.ErasureReceipt"),
            ("Who looked and did what", "visibility", "accounts.AuditEvent"),
        ),
    ),
    (
        "Programs",
        (
            ("API tokens", "key", "accounts.ApiToken"),
            ("Webhook endpoints", "webhook", "api.WebhookEndpoint"),
            ("Webhook deliveries", "sync_alt", "api.WebhookDelivery"),
        ),
    ),
    (
        "Running",
        (
            ("Jobs", "schedule", "procrastinate.ProcrastinateJob"),
            ("Staff", "badge", "accounts.StaffUser"),
            ("Settings", "settings", "page:backoffice-settings:accounts.view_settings"),
        ),
    ),
)


def get_navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """What this login may see."""
    groups: list[dict[str, Any]] = [
        {"items": [{"title": "Figures", "icon": "monitoring", "link": reverse("admin:index")}]}
    ]
    for title, entries in _GROUPS:
        items = [
            {"title": name, "icon": icon, "link": address}
            for name, icon, place in entries
            if (address := _find_address(request, place))
        ]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def _find_address(request: HttpRequest, place: str) -> str | None:
    """Where something is, or None if it is not for this login."""
    if place.startswith("page:"):
        _, name, permission = place.split(":")
        return reverse(name) if request.user.has_perm(permission) else None
    model = apps.get_model(place)
    may_view = admin.site.get_model_admin(model).has_view_permission(request)
    label = f"{model._meta.app_label}_{model._meta.model_name}"
    return reverse(f"admin:{label}_changelist") if may_view else None
