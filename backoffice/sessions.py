"""How long a session of staff lasts, and what it may do before the second factor is set up where one is required."""

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse

BEGAN, SEEN = "signed_in_at", "seen_at"  # in the session, seconds since 1970
WRITE_SECONDS = 60  # a use is written down no more often; the session may end so much earlier than said
# What a session may reach without the second factor that is required: setting it up, and going away.
OPEN_PAGES = frozenset({"/admin/second-factor/", "/admin/login/", "/admin/logout/"})


def limit_sessions(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware behind Django's authentication. Requests without the cookie cost nothing.

    Ends sessions that are older than `STAFF_SESSION_HOURS`; Django itself ends those that were not used for
    `STAFF_IDLE_MINUTES`, because their expiry is put off only here.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and SESSION_KEY in request.session:
            now = int(time.time())
            if now >= request.session.get(BEGAN, 0) + settings.STAFF_SESSION_HOURS * 3600:
                request.session.flush()
            elif now >= request.session[SEEN] + WRITE_SECONDS:
                _note_use(request.session, now=now)
            if request.path not in OPEN_PAGES and lacks_second_factor(request.user):
                request.user = AnonymousUser()
        return get_response(request)

    return middleware


def begin_session(request: HttpRequest, **kwargs: Any) -> None:
    """Receiver of Django's signal that somebody has signed in."""
    now = int(time.time())
    request.session[BEGAN] = now
    _note_use(request.session, now=now)


def lacks_second_factor(user: Any) -> bool:
    """Whether somebody is signed in who has to set up the second factor first."""
    return bool(
        settings.STAFF_SECOND_FACTOR_REQUIRED and user.is_authenticated and user.second_factor_at is None
    )


def _note_use(session: SessionBase, *, now: int) -> None:
    left = session[BEGAN] + settings.STAFF_SESSION_HOURS * 3600 - now
    session[SEEN] = now
    # Not 0, which would be "until the browser is closed".
    session.set_expiry(max(1, int(min(left, settings.STAFF_IDLE_MINUTES * 60))))
