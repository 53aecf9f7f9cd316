"""The door to what the page asks for."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse

View = Callable[..., HttpResponseBase]


def for_staff(view: View) -> View:
    """A view for staff: 403 when the session has ended, where a page would redirect to the login."""

    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if not (request.user.is_active and request.user.is_staff):
            return JsonResponse({"error": "Your session has ended. Please sign in again."}, status=403)
        return view(request, **kwargs)

    return wrapped
