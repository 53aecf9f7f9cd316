"""What a page may load and run: our own files, and under /admin/ what the theme's scripts need besides."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

BASE = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
# The theme's Alpine.js evaluates expressions and sets styles; it brings no inline scripts.
ADMIN = f"{BASE}; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"

# Pages of the API, which packages bring with styles in them.
STYLED = f"{BASE}; style-src 'self' 'unsafe-inline'"


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that puts the policy on every answer that has none of its own, as files people have sent do."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        policy = ADMIN if request.path.startswith("/admin/") else BASE
        response.headers.setdefault("Content-Security-Policy", policy)
        return response

    return middleware
