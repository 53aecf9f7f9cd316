"""``/admin/second-factor/``: where staff set up their own second factor, renew its recovery codes, or turn it off."""

from base64 import b32encode
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import update_session_auth_hash
from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import second_factor
from accounts.audit import Action, record
from accounts.models import StaffUser
from backoffice.login import BUSY, CODE_ATTRIBUTES, WRONG, Busy, check_credentials
from backoffice.sessions import lacks_second_factor
from whatsbot.admin import PasswordInput, TextInput

SET_UP_SECONDS = 1800
_SALT = "backoffice.second_factor"


class CodeForm(forms.Form):
    """Password and code: whoever finds a browser signed in can neither add nor remove the second factor."""

    password = forms.CharField(
        label="Your password", strip=False, widget=PasswordInput(attrs={"autocomplete": "current-password"})
    )
    code = forms.CharField(max_length=40, label="Code", widget=TextInput(attrs=CODE_ATTRIBUTES))


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def show_second_factor(request: HttpRequest) -> HttpResponse:
    """The page for the login that is signed in. The key of a set-up travels with the form, signed, until it is used."""
    staff: Any = request.user
    form = CodeForm(request.POST or None)
    if staff.second_factor_at is None:
        return _set_up(request, staff, form)
    form.fields["code"].help_text = "Of your authenticator app, or a recovery code."
    if form.is_valid() and _check(request, staff, form, token=form.cleaned_data["code"]):
        if request.POST.get("do") == "off":
            remove_second_factor(staff, by=staff)
            update_session_auth_hash(request, staff)
            messages.success(request, "Your second factor is turned off.")
            return redirect(request.path)
        with transaction.atomic():
            codes = second_factor.make_recovery_codes(staff)
            record(Action.CHANGED, staff=staff, subject=staff, detail={"fields": ["recovery codes"]})
        return _show(request, codes=codes)
    return _show(request, form=form, left=second_factor.count_recovery_codes(staff))


def remove_second_factor(staff: StaffUser, *, by: Any, program: str = "") -> None:
    """Turn a login's second factor off, and write down who did."""
    with transaction.atomic():
        second_factor.remove(staff)
        record(Action.CHANGED, staff=by, subject=staff, program=program, detail={"fields": ["second factor"]})


def _set_up(request: HttpRequest, staff: StaffUser, form: CodeForm) -> HttpResponse:
    key = _read_key(request.POST.get("key", ""), staff=staff)
    form.fields["code"].help_text = "The one your app shows now."
    if key is None:
        key = second_factor.make_key()
        if request.method == "POST":
            form.add_error(None, "That took too long. Scan the new code, please.")
    elif form.is_valid() and _check(request, staff, form, token=""):
        try:
            with transaction.atomic():
                codes = second_factor.set_up(staff, key=key, code=form.cleaned_data["code"])
                record(Action.CHANGED, staff=staff, subject=staff, detail={"fields": ["second factor"]})
            update_session_auth_hash(request, staff)
            return _show(request, codes=codes, is_new=True)
        except ValueError:  # set up in another window meanwhile
            return redirect(request.path)
        except second_factor.WrongCode:
            form.add_error(
                "code", "This code does not belong to the picture. Is the clock of your phone right?"
            )
    device = second_factor.make_device(staff=staff, key=key)
    secret = b32encode(device.bin_key).decode()
    return _show(
        request,
        form=form,
        picture=draw_qr_code(device.config_url),
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        key=signing.dumps([staff.pk, key], salt=_SALT),
    )


def _read_key(signed: str, *, staff: StaffUser) -> str | None:
    try:
        owner, key = signing.loads(signed, salt=_SALT, max_age=SET_UP_SECONDS)
    except signing.BadSignature:
        return None
    return key if owner == staff.pk else None


def _check(request: HttpRequest, staff: StaffUser, form: CodeForm, *, token: str) -> bool:
    """Whether these are the credentials of ``staff``, by the door of logins, where failures are counted."""
    try:
        found = check_credentials(
            request, username=staff.get_username(), password=form.cleaned_data["password"], token=token
        )
    except Busy:
        form.add_error(None, BUSY)
        return False
    if found is None:
        form.add_error(None, WRONG)
    return found is not None


def draw_qr_code(text: str) -> SafeString:
    """A picture of ``text`` as inline SVG."""
    import qrcode  # brings Pillow, for one page that is opened once
    from qrcode.image.svg import SvgPathFillImage

    picture = qrcode.make(text, image_factory=SvgPathFillImage)
    return mark_safe(picture.to_string(encoding="unicode"))  # made of squares alone


def _show(request: HttpRequest, **context: Any) -> HttpResponse:
    is_missing = lacks_second_factor(request.user)
    context = {
        **admin.site.each_context(request),
        "title": "Your second factor",
        "is_missing": is_missing,
        **({"is_nav_sidebar_enabled": False} if is_missing else {}),
        **context,
    }
    is_wrong = "form" in context and context["form"].errors
    return render(request, "backoffice/second_factor.html", context, status=422 if is_wrong else 200)
