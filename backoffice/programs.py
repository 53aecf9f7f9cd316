"""Who is told of events, and what became of each telling, in the back-office."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.audit import Action, record
from api.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from api.webhooks import check_url, deliver_again
from backoffice.auditing import Audited
from backoffice.base import BrowseAdmin, Titled
from whatsbot.admin import CheckboxSelectMultiple, DayFilter
from whatsbot.integrations.guarded_http import AddressRefused


class WebhookEndpointForm(forms.ModelForm):
    """An endpoint; the secret is made by us and never typed."""

    events = forms.MultipleChoiceField(choices=WebhookEvent.choices, widget=CheckboxSelectMultiple)

    class Meta:
        model = WebhookEndpoint
        fields = ("name", "url", "events", "is_enabled")

    def clean_url(self) -> str:
        """An address webhooks may be sent to."""
        url: str = self.cleaned_data["url"]
        try:
            check_url(url)
        except AddressRefused:
            raise forms.ValidationError(
                "An https address of the public internet, without a name and password in it. Others have to be named in"
                " WEBHOOK_LOCAL_HOSTS."
            ) from None
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(Audited, Titled):
    """Programs that are told of events."""

    title = "Webhook endpoints"
    form = WebhookEndpointForm
    list_display = ("name", "url", "asked_for", "is_enabled", "disabled_reason", "created_at")
    list_filter = ("is_enabled",)
    search_fields = ("name", "url")
    readonly_fields = ("secret", "disabled_reason", "created_at")

    @admin.display(description="Events")
    def asked_for(self, endpoint: WebhookEndpoint) -> str:
        """The events it asks for."""
        return ", ".join(endpoint.events)

    def get_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> Sequence[str]:
        """The secret is for those who set the receiver up, not for everybody who may look."""
        if obj is None:
            return WebhookEndpointForm.Meta.fields
        secret = ("secret",) if self.has_change_permission(request, obj) else ()
        return (*WebhookEndpointForm.Meta.fields, "disabled_reason", *secret, "created_at")

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        """Whoever switches an endpoint on again has seen why it was off."""
        if obj.is_enabled:
            obj.disabled_reason = ""
        super().save_model(request, obj, form, change)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """The log of an endpoint goes with it, though nobody may delete from the log; it may be too long to list."""
        count = WebhookDelivery.objects.filter(endpoint__in=list(objs)).count()
        counts = {"webhook endpoints": len(objs), "webhook deliveries": count}
        return [str(endpoint) for endpoint in objs], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: WebhookEndpoint) -> None:
        """Delete one."""
        self.delete_queryset(request, WebhookEndpoint.objects.filter(id=obj.id))

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[WebhookEndpoint]") -> None:
        """Delete some. Changes that are just queuing deliveries are waited for, and new ones wait (migration 0002)."""
        ids = [endpoint.id for endpoint in queryset.order_by("id").select_for_update()]
        WebhookEndpoint.objects.filter(id__in=ids).delete()


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(BrowseAdmin):
    """What was sent, or shall be. It has no texts: what a webhook says is looked up when it is sent."""

    list_display = (
        *("created_at", "endpoint", "event", "object_id", "status", "attempts"),
        *("response_status", "error", "attempted_at"),
    )
    title = "Webhook deliveries"
    list_filter = ("status", "event", "endpoint", ("created_at", DayFilter))
    list_select_related = ("endpoint",)
    ordering = ("-created_at",)
    actions = ("deliver_again",)

    def has_deliver_permission(self, request: HttpRequest) -> bool:
        """Looking is not enough to have something sent."""
        return request.user.has_perm("api.change_webhookdelivery")

    @admin.action(description="Deliver again", permissions=["deliver"])
    def deliver_again(self, request: HttpRequest, queryset: "QuerySet[WebhookDelivery]") -> None:
        """Try for another day what has failed or was dropped."""
        count = deliver_again(queryset)
        record(Action.RETRIED, staff=request.user, detail={"webhook deliveries": count})
        word = "delivery is" if count == 1 else "deliveries are"
        self.message_user(request, f"{count} {word} queued again.", messages.SUCCESS)
