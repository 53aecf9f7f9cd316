"""Signing in: name and password, and the code where a login has a second factor; all at once or not at all.

The code is asked for where passwords are checked, in the authentication backend, so that no session of such a login can
begin without it, and none that began before outlives the set-up (`StaffUser.get_session_auth_hash`).
"""

import threading
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import authenticate
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from accounts.models import StaffUser
from accounts.second_factor import verify
from backoffice.lockout import remember_browser
from backoffice.sessions import lacks_second_factor
from whatsbot import database
from whatsbot.admin import AuthenticationForm, TextInput

MOST_WAITING = 8  # logins in each process; the last one waits some four seconds
WRONG = "Name, password or code is not right. A code counts once; after a wrong one wait a little."
BUSY = "Too many are signing in at this moment. Try again in a few seconds."
_places = threading.BoundedSemaphore(MOST_WAITING)
_turn = threading.Lock()
CODE_ATTRIBUTES = {"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}


class PasswordAndCode(ModelBackend):
    """Django's own check of a password, and of the code where a login has a second factor."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        *,
        token: str = "",
        **kwargs: Any,
    ) -> StaffUser | None:
        """Whose credentials these are, if all are right. Raises PermissionDenied if only the code is not.

        Either failure counts the same, and looks the same from outside. ``token`` is the code, under a name that Django
        blanks in what it tells of a failure.
        """
        staff = super().authenticate(request, username=username, password=password, **kwargs)
        if staff is not None and staff.second_factor_at and not verify(staff, code=token):
            raise PermissionDenied
        return staff


class Busy(Exception):
    """Too many wait for their password to be checked."""


def check_credentials(
    request: HttpRequest | None, *, username: str, password: str, token: str
) -> StaffUser | None:
    """Whose credentials these are, or None, which counts as a failure; one at a time in each process.

    Hashing takes a core for half a second, and the webhook needs it too, and the thread and the connection. And guesses
    sent at once are counted one after the other. Raises Busy where more than a few wait.
    """
    if not _places.acquire(blocking=False):
        raise Busy
    try:
        database.release_connection()
        with _turn:
            return authenticate(request, username=username, password=password, token=token)
    finally:
        _places.release()


class LoginForm(AuthenticationForm):
    """Name, password and code. One answer to whatever is wrong tells a guesser nothing."""

    code = forms.CharField(
        required=False,
        max_length=40,
        widget=TextInput(attrs=CODE_ATTRIBUTES),
        help_text="Of your authenticator app, or a recovery code. Leave it empty if you have no second factor.",
    )
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": WRONG,
    }

    def clean(self) -> dict[str, Any]:
        """Find out who it is. Raises ValidationError."""
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username and password and "code" in self.cleaned_data:
            try:
                self.user_cache = check_credentials(
                    self.request, username=username, password=password, token=self.cleaned_data["code"]
                )
            except Busy:
                raise forms.ValidationError(BUSY) from None
            if self.user_cache is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data


def sign_in(request: HttpRequest) -> HttpResponseBase:
    """``/admin/login/``: Django's own view; a browser that has signed in is known again."""
    if lacks_second_factor(request.user):
        return redirect("backoffice-second-factor")
    response = admin.site.login(request)
    if request.method == "POST" and response.status_code == 302:
        remember_browser(request, response, username=request.user.get_username())
    return response


def show_lock(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    """What django-axes answers while a login is locked: 429, and when to come again."""
    minutes = settings.LOGIN_LOCK_MINUTES
    context = {**admin.site.each_context(request), "title": "Too many failed logins", "minutes": minutes}
    headers = {"Retry-After": str(minutes * 60), "Cache-Control": "no-store"}
    answer = render(request, "backoffice/locked.html", context, status=429)
    for name, value in headers.items():
        answer[name] = value
    return answer
