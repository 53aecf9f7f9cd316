"""The phone page and the JSON it polls. Staff only: a phone sees everything that was said on it."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import wraps
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.core.validators import RegexValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from messaging.simulator.exchange import Direction, Status, is_typing, looking_at, store_inbound
from messaging.simulator.models import SimulatedMessage, SimulatedPhone
from messaging.simulator.phones import PHONES, PHONES_BY_ADDRESS
from messaging.simulator.posts import WEBHOOK_UNREACHABLE
from messaging.simulator.tasks import defer_delivery, defer_report

View = Callable[..., HttpResponse]

PAGE_SIZE = 40
# A page that is further behind gets the newest messages afresh instead of every change it missed.
MAX_CHANGES = 200
PREVIEW_LENGTH = 120
MAX_SID = 34
PHONE_CHOICES = [(key, key) for key in PHONES]


def staff_json(view: View) -> View:
    """A JSON view for staff: 403 when the session has ended, where a page would redirect to the login."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        if not (request.user.is_active and request.user.is_staff):
            return JsonResponse({"error": "Your session has ended. Please sign in again."}, status=403)
        return never_cache(view)(request)

    return wrapped


class MessagesForm(forms.Form):
    """Which messages a page asks for: the newest, those changed after a change, or those before a message."""

    phone = forms.ChoiceField(choices=PHONE_CHOICES)
    after = forms.IntegerField(min_value=0, max_value=2**62, required=False)
    before = forms.IntegerField(min_value=1, max_value=2**62, required=False)


class SeenForm(forms.Form):
    phone = forms.ChoiceField(choices=PHONE_CHOICES)


class SendForm(forms.Form):
    """A text or a place a phone sends. The page chooses ``sid``, so that a repeat is no second message."""

    phone = forms.ChoiceField(choices=PHONE_CHOICES)
    sid = forms.CharField(validators=[RegexValidator(r"\ASM[0-9a-f]{32}\Z")])
    body = forms.CharField(max_length=4096, strip=False, required=False)
    replied_to = forms.CharField(max_length=MAX_SID, required=False)
    deliver_twice = forms.BooleanField(required=False)
    lose_reply = forms.BooleanField(required=False)
    latitude = forms.FloatField(min_value=-90, max_value=90, required=False)
    longitude = forms.FloatField(min_value=-180, max_value=180, required=False)
    label = forms.CharField(max_length=200, required=False)
    address = forms.CharField(max_length=400, required=False)

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        coordinates = [data.get("latitude"), data.get("longitude")]
        if "latitude" in self.errors or "longitude" in self.errors or "body" in self.errors:
            return data
        if coordinates.count(None) == 1:
            raise forms.ValidationError("A place needs a latitude and a longitude.")
        if None in coordinates and not data.get("body", "").strip():
            raise forms.ValidationError("Write something first.")
        if None not in coordinates:
            names = ("latitude", "longitude", "label", "address")
            data["place"], data["body"] = {name: data.get(name) for name in names}, ""
        return data


def refuse(form: forms.Form) -> JsonResponse:
    """400 with what is wrong in words."""
    faults = [
        str(text) if name == "__all__" else f"{name}: {text}"
        for name, texts in form.errors.items()
        for text in texts
    ]
    return JsonResponse({"error": " ".join(faults)}, status=400)


@never_cache
@staff_member_required
@require_GET
def show_page(request: HttpRequest) -> HttpResponse:
    """``GET /simulator``."""
    phones = []
    for phone in PHONES.values():
        zone, certain = phone.time_zone
        phones.append(
            {
                "key": phone.key,
                "name": phone.name,
                "badge": phone.badge,
                "number": phone.number or "shows an ID instead",
                "zone": zone,
                "certain": certain,
                "nearby": asdict(phone.nearby),
            }
        )
    bot_number = settings.TWILIO_WHATSAPP_NUMBER.removeprefix("whatsapp:")
    return render(request, "simulator/page.html", {"phones": phones, "bot_number": bot_number})


@require_GET
@staff_json
def get_messages(request: HttpRequest) -> HttpResponse:
    """``GET /simulator/messages?phone=us``: the newest; ``&after=17``: what changed; ``&before=123``: older.

    Every answer also lists the phones. ``reset`` says that the page must start over from these messages.
    """
    form = MessagesForm(request.GET)
    if not form.is_valid():
        return refuse(form)
    after, before = form.cleaned_data["after"], form.cleaned_data["before"]
    address = PHONES[form.cleaned_data["phone"]].address
    known = {
        phone.address: phone
        for phone in SimulatedPhone.objects.filter(address__in=PHONES_BY_ADDRESS).select_related(
            "last_message"
        )
    }
    changes = known[address].changes if address in known else 0
    rows = SimulatedMessage.objects.filter(phone=address).select_related("replied_to")
    reset = before is None and (after is None or not 0 <= changes - after <= MAX_CHANGES)
    answer: dict[str, Any] = {"change": changes, "phones": _describe_phones(known), "reset": reset}
    if reset or before is not None:
        older = rows.filter(id__lt=before) if before is not None else rows
        found = list(older.order_by("-id")[: PAGE_SIZE + 1])
        answer["has_older"] = len(found) > PAGE_SIZE
        answer["messages"] = [_describe(row) for row in reversed(found[:PAGE_SIZE])]
    else:
        # What commits after `changes` was read comes with the next poll, or twice: both are harmless.
        answer["messages"] = [_describe(row) for row in rows.filter(change__gt=after).order_by("id")]
    return JsonResponse(answer)


@require_POST
@staff_json
def send(request: HttpRequest) -> HttpResponse:
    """``POST /simulator/send``: store a message of a phone's and bring it to the webhook; safe to repeat."""
    form = SendForm(request.POST)
    if not form.is_valid():
        return refuse(form)
    data = form.cleaned_data
    with transaction.atomic():
        message, is_due = store_inbound(
            address=PHONES[data["phone"]].address,
            sid=data["sid"],
            body=data["body"],
            place=data.get("place"),
            replied_to_sid=data["replied_to"],
            deliver_twice=data["deliver_twice"],
            lose_reply=data["lose_reply"],
        )
        if is_due:
            defer_delivery(message)
    return JsonResponse({"message": _describe(message)}, status=201)


@require_POST
@staff_json
def mark_seen(request: HttpRequest) -> HttpResponse:
    """``POST /simulator/seen``: somebody looks at a chat, so the bot hears that its messages were read."""
    form = SeenForm(request.POST)
    if not form.is_valid():
        return refuse(form)
    with looking_at(PHONES[form.cleaned_data["phone"]].address) as delivered:
        for message in delivered:
            defer_report(message, status=Status.READ)
    return JsonResponse({})


def _describe_phones(known: dict[str, SimulatedPhone]) -> list[dict[str, Any]]:
    now = timezone.now()
    described = []
    for phone in PHONES.values():
        row = known.get(phone.address, SimulatedPhone(address=phone.address))
        last = row.last_message
        described.append(
            {
                "key": phone.key,
                "unread": row.unread,
                "typing": is_typing(row, now=now),
                "last": {**_preview(last), "status": last.status, "at": _as_milliseconds(last.created_at)}
                if last
                else None,
            }
        )
    return described


def _describe(message: SimulatedMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "sid": message.sid,
        "mine": message.direction == Direction.INBOUND,
        "body": message.body,
        "place": message.place,
        "quote": {**_preview(message.replied_to), "sid": message.replied_to.sid}
        if message.replied_to
        else None,
        "status": message.status,
        "error": _explain_failure(message),
        "webhook_status": message.webhook_status,
        "deliver_twice": message.deliver_twice,
        "lose_reply": message.lose_reply,
        "created": _as_milliseconds(message.created_at),
        "sent": _as_milliseconds(message.sent_at),
        "delivered": _as_milliseconds(message.delivered_at),
        "read": _as_milliseconds(message.read_at),
    }


def _preview(message: SimulatedMessage) -> dict[str, Any]:
    text = message.body or (message.place["label"] or "Place" if message.place else "")
    return {"mine": message.direction == Direction.INBOUND, "text": text[:PREVIEW_LENGTH]}


def _explain_failure(message: SimulatedMessage) -> str:
    if message.status != Status.FAILED:
        return ""
    if message.error_code == WEBHOOK_UNREACHABLE:
        return "Nobody answered at the webhook."
    return f"The webhook answered {message.webhook_status}."


def _as_milliseconds(moment: datetime | None) -> int | None:
    return int(moment.timestamp() * 1000) if moment else None
