"""How failed logins are counted (django-axes keeps the rows): nobody guesses on, and no stranger keeps staff out.

- With a name from an address: `LOGIN_FAILURES`, then both are refused.
- With a name from all addresses: `LOGIN_FAILURES_ANYWHERE`, against guessing from many. Strangers could keep a login
  locked by that, so it does not count for browsers that have signed in as this login: they show a signed cookie.
- In such a browser, by itself and at whatever address: `LOGIN_FAILURES`. A stolen cookie is worth no more than that.

A count ends `LOGIN_LOCK_MINUTES` after its last failure, and attempts during a lock are not counted.
"""

import ipaddress
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.audit import Action, record
from accounts.models import StaffUser

KNOWN_FOR = timedelta(days=90)  # a browser, after it signed in
STRANGER = ""  # stands in the rows where a known browser has its number


class Handler(AxesDatabaseHandler):
    """Counts failures as the module says; `AccessAttempt.user_agent` holds the browser's number, and no user agent."""

    def filter_user_attempts(
        self, request: Any, credentials: dict[str, Any] | None = None
    ) -> "list[QuerySet[AccessAttempt]]":
        """Those that count like this one: read for the lock, deleted after a login."""
        username = get_client_username(request, credentials)
        browser = identify_browser(request, username=username)
        alike = AccessAttempt.objects.filter(username=username, user_agent=browser)
        return [alike if browser else alike.filter(ip_address=request.axes_ip_address)]

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """The failures that count, where the many of all addresses weigh as much less as more of them are allowed."""
        count: int = super().get_failures(request, credentials)
        username = get_client_username(request, credentials)
        if identify_browser(request, username=username):
            return count
        recent = AccessAttempt.objects.filter(
            username=username, user_agent=STRANGER, attempt_time__gte=get_threshold()
        )
        anywhere = recent.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
        return max(count, anywhere * settings.AXES_FAILURE_LIMIT // settings.LOGIN_FAILURES_ANYWHERE)

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any
    ) -> None:
        """Write the failure down."""
        if request is not None:
            username = get_client_username(request, credentials)
            request.axes_user_agent = identify_browser(request, username=username)
        super().user_login_failed(sender, credentials, request, **kwargs)


def get_threshold() -> Any:
    """Failures since then count."""
    return timezone.now() - settings.AXES_COOLOFF_TIME


def get_client_address(request: HttpRequest) -> str | None:
    """Where a request comes from, of IPv6 the network of 64 bits, which a single customer has.

    Behind proxies of ours (`TRUSTED_PROXIES`) it is the address that the outermost of them has appended.
    """
    told = request.META.get("REMOTE_ADDR", "")
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if 0 < settings.TRUSTED_PROXIES <= len(hops):
        told = hops[-settings.TRUSTED_PROXIES]
    try:
        address = ipaddress.ip_address(told.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False).network_address)


def identify_browser(request: HttpRequest, *, username: str | None) -> str:
    """The number of a browser that has signed in as ``username`` not long ago; `STRANGER` for every other."""
    name, salt = _name_cookie(username or "")
    return request.get_signed_cookie(name, default=STRANGER, salt=salt, max_age=KNOWN_FOR) or STRANGER


def remember_browser(request: HttpRequest, response: HttpResponse, *, username: str) -> None:
    """Let `identify_browser` know it again."""
    name, salt = _name_cookie(username)
    response.set_signed_cookie(
        name,
        identify_browser(request, username=username) or secrets.token_urlsafe(12),
        salt=salt,
        max_age=KNOWN_FOR,
        path="/admin/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _name_cookie(username: str) -> tuple[str, str]:
    """Its name, which does not tell whose it is, and its salt, which keeps it theirs."""
    return f"browser-{salted_hmac('backoffice.lockout', username).hexdigest()[:12]}", f"browser {username}"


def note_lock(request: Any, username: str | None, **kwargs: Any) -> None:
    """Write down in the audit log that a login was locked out. A name nobody has may be anything, and is not kept."""
    if request.axes_failures_since_start is None:
        return  # an attempt during the lock
    staff = StaffUser.objects.filter(username=username).first()
    if staff is not None:
        recent = AccessAttempt.objects.filter(username=username, attempt_time__gte=get_threshold())
        addresses = recent.values("ip_address").distinct().count()
        record(Action.LOCKED_OUT, staff=staff, subject=staff, detail={"addresses": addresses})


def with_failures(logins: "QuerySet[StaffUser]") -> "QuerySet[StaffUser]":
    """Logins with ``failures``, the most that count for an address or a browser, and ``failures_anywhere``, or None."""
    recent = AccessAttempt.objects.filter(username=OuterRef("username"), attempt_time__gte=get_threshold())
    by_name = recent.order_by().values("username")
    strangers = by_name.filter(user_agent=STRANGER)
    return logins.annotate(
        failures=Subquery(by_name.annotate(most=Max("failures_since_start")).values("most")),
        failures_anywhere=Subquery(strangers.annotate(sum=Sum("failures_since_start")).values("sum")),
    )


def describe_lock(login: Any) -> str:
    """In words, whether a login `with_failures` is locked; empty if not."""
    if (login.failures_anywhere or 0) >= settings.LOGIN_FAILURES_ANYWHERE:
        return "for all browsers it has not signed in with"
    return "for an address or a browser" if (login.failures or 0) >= settings.AXES_FAILURE_LIMIT else ""


def unlock(usernames: Collection[str]) -> None:
    """Forget the failures of these logins."""
    AccessAttempt.objects.filter(username__in=usernames).delete()
