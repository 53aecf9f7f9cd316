"""Endpoints, and the deliveries and jobs that are queued for them."""

import secrets
from typing import Any

from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import WhatsAppUser
from api.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from api.webhooks import DELIVER_WEBHOOK


def make_endpoint(*events: str, **fields: Any) -> WebhookEndpoint:
    """An endpoint that asks for these events, or for all."""
    usual = {"name": "Automation", "url": "https://hooks.example.com/x"}
    return WebhookEndpoint.objects.create(events=list(events or WebhookEvent.values), **usual | fields)


def make_numbered_person() -> WhatsAppUser:
    """Somebody with a number."""
    number = f"+1202555{secrets.randbelow(10**4):04}"
    return WhatsAppUser.objects.create(whatsapp_id=f"whatsapp:{number}", phone_number=number)


def get_deliveries(endpoint: WebhookEndpoint | None = None) -> list[tuple[str, int]]:
    """Event and object of what is queued, in the order of events and ids; each has one job, and no job lacks one."""
    rows = WebhookDelivery.objects.all()
    jobs = ProcrastinateJob.objects.filter(task_name=DELIVER_WEBHOOK)
    assert sorted(str(row.id) for row in rows) == sorted(job.args["delivery_id"] for job in jobs)
    assert {(job.queue_name, job.priority, job.lock) for job in jobs} <= {("webhooks", -10, None)}
    if endpoint:
        rows = rows.filter(endpoint=endpoint)
    return sorted(rows.values_list("event", "object_id"))
