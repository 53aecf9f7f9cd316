"""The phone page and the JSON it polls. Staff only: a phone sees everything that was said on it."""

from dataclasses import asdict
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import RegexValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from messaging.simulator.attachments import Attachment, clean_content_type, infer_message_type
from messaging.simulator.exchange import Status, looking_at, store_inbound
from messaging.simulator.models import SimulatedMessage, SimulatedPhone
from messaging.simulator.phones import PHONES, PHONES_BY_ADDRESS
from messaging.simulator.shown import describe, describe_phones
from messaging.simulator.staff import for_staff
from messaging.simulator.tasks import defer_delivery, defer_report

PAGE_SIZE = 40
# A page that is further behind gets the newest messages afresh instead of every change it missed.
MAX_CHANGES = 200
MAX_SID = 34
PHONE_CHOICES = [(key, key) for key in PHONES]


class MessagesForm(forms.Form):
    """Which messages a page asks for: the newest, those changed after a change, or those before a message."""

    phone = forms.ChoiceField(choices=PHONE_CHOICES)
    after = forms.IntegerField(min_value=0, max_value=2**62, required=False)
    before = forms.IntegerField(min_value=1, max_value=2**62, required=False)


class SeenForm(forms.Form):
    phone = forms.ChoiceField(choices=PHONE_CHOICES)


class SendForm(forms.Form):
    """A text, a file or a place a phone sends.

    The page chooses ``sid``, so that a repeat is no second message; it begins with MM for a file. ``recorded`` says
    that the file is a recording of the phone's own, which has no name.
    """

    phone = forms.ChoiceField(choices=PHONE_CHOICES)
    sid = forms.CharField(validators=[RegexValidator(r"\A[SM]M[0-9a-f]{32}\Z")])
    body = forms.CharField(max_length=4096, strip=False, required=False)
    file = forms.FileField(allow_empty_file=True, required=False)
    recorded = forms.BooleanField(required=False)
    replied_to = forms.CharField(max_length=MAX_SID, required=False)
    deliver_twice = forms.BooleanField(required=False)
    lose_reply = forms.BooleanField(required=False)
    latitude = forms.FloatField(min_value=-90, max_value=90, required=False)
    longitude = forms.FloatField(min_value=-180, max_value=180, required=False)
    label = forms.CharField(max_length=200, required=False)
    address = forms.CharField(max_length=400, required=False)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and file.size > settings.MEDIA_MAX_BYTES:
            sizes = filesizeformat(file.size), filesizeformat(settings.MEDIA_MAX_BYTES)
            raise forms.ValidationError("This file has {}. At most {} can be sent.".format(*sizes))
        return file

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        coordinates = [data.get("latitude"), data.get("longitude")]
        if set(self.errors) & {"latitude", "longitude", "body", "file", "sid"}:
            return data
        if coordinates.count(None) == 1:
            raise forms.ValidationError("A place needs a latitude and a longitude.")
        if data["sid"].startswith("MM"):
            self._clean_attachment(data)
        elif data["file"]:
            raise forms.ValidationError("The SID of a message with a file begins with MM.")
        elif None not in coordinates:
            names = ("latitude", "longitude", "label", "address")
            data["place"], data["body"] = {name: data.get(name) for name in names}, ""
        elif not data["body"].strip():
            raise forms.ValidationError("Write something first.")
        return data

    def _clean_attachment(self, data: dict[str, Any]) -> None:
        file: UploadedFile | None = data["file"]
        if file is None:
            # Sent again after the webhook refused it: the file is here already.
            if not SimulatedMessage.objects.filter(sid=data["sid"]).exists():
                raise forms.ValidationError("Choose a file first.")
            return
        content_type = clean_content_type(file.content_type)
        name = "" if data["recorded"] else file.name or ""
        data["attachment"] = Attachment(file=file, content_type=content_type, file_name=name)
        if infer_message_type(content_type) == "document" and not data["body"].strip():
            data["body"] = name  # WhatsApp does so (contracts/twilio-whatsapp.md §1.1)


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
    context = {
        "phones": phones,
        "bot_number": settings.TWILIO_WHATSAPP_NUMBER.removeprefix("whatsapp:"),
        "most_bytes": settings.MEDIA_MAX_BYTES,
    }
    return render(request, "simulator/page.html", context)


@require_GET
@for_staff
@never_cache
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
            "last_message__media"
        )
    }
    changes = known[address].changes if address in known else 0
    rows = SimulatedMessage.objects.filter(phone=address).select_related("replied_to__media", "media")
    reset = before is None and (after is None or not 0 <= changes - after <= MAX_CHANGES)
    answer: dict[str, Any] = {"change": changes, "phones": describe_phones(known), "reset": reset}
    if reset or before is not None:
        older = rows.filter(id__lt=before) if before is not None else rows
        found = list(older.order_by("-id")[: PAGE_SIZE + 1])
        answer["has_older"] = len(found) > PAGE_SIZE
        answer["messages"] = [describe(row) for row in reversed(found[:PAGE_SIZE])]
    else:
        # What commits after `changes` was read comes with the next poll, or twice: both are harmless.
        answer["messages"] = [describe(row) for row in rows.filter(change__gt=after).order_by("id")]
    return JsonResponse(answer)


@require_POST
@for_staff
@never_cache
def send(request: HttpRequest) -> HttpResponse:
    """``POST /simulator/send``: store a message of a phone's and bring it to the webhook; safe to repeat."""
    form = SendForm(request.POST, request.FILES)
    if not form.is_valid():
        return refuse(form)
    data = form.cleaned_data
    with transaction.atomic():
        message, is_due = store_inbound(
            address=PHONES[data["phone"]].address,
            sid=data["sid"],
            body=data["body"],
            place=data.get("place"),
            attachment=data.get("attachment"),
            replied_to_sid=data["replied_to"],
            deliver_twice=data["deliver_twice"],
            lose_reply=data["lose_reply"],
        )
        if is_due:
            defer_delivery(message)
    return JsonResponse({"message": describe(message)}, status=201)


@require_POST
@for_staff
@never_cache
def mark_seen(request: HttpRequest) -> HttpResponse:
    """``POST /simulator/seen``: somebody looks at a chat, so the bot hears that its messages were read."""
    form = SeenForm(request.POST)
    if not form.is_valid():
        return refuse(form)
    with looking_at(PHONES[form.cleaned_data["phone"]].address) as delivered:
        for message in delivered:
            defer_report(message, status=Status.READ)
    return JsonResponse({})
