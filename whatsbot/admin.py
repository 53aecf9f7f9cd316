"""The admin theme comes in here and nowhere else, so that it can be exchanged in one file."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin, TabularInline

ADMIN_POLICY = {"script-src": ["'self'", "'unsafe-eval'"], "style-src": ["'self'", "'unsafe-inline'"]}
__all__ = ["ModelAdmin", "ReadOnlyAdmin", "TabularInline", "relax_content_security_policy"]


class ReadOnlyAdmin(ModelAdmin):
    """Rows people look at and never edit by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Nobody deletes here: deleting has its own services."""
        return False


def relax_content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Let the admin theme have what it needs and no more: Alpine evaluates expressions and sets styles."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path.startswith("/admin/"):
            # django-csp's own way to change the policy of one response (its decorators do the same).
            response._csp_update = ADMIN_POLICY  # type: ignore[attr-defined]
        return response

    return middleware
