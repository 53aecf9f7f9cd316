"""Who may ask what, and how often: tokens with scopes, and staff logins with permissions."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from accounts.models import ApiToken, Scope, StaffUser

# What a staff login needs for what a scope allows, with a token or without.
PERMISSIONS: Mapping[Scope, tuple[str, ...]] = {
    Scope.READ: ("memories.view_memory", "messaging.view_interaction"),
    Scope.WRITE: ("memories.add_memory", "memories.change_memory", "memories.delete_memory"),
    Scope.PEOPLE: tuple(f"accounts.{verb}_whatsappuser" for verb in ("view", "change", "delete")),
    Scope.ANALYTICS: ("messaging.view_interaction",),
}
# In a browser these would go round the back-office, which masks, and asks for a reason.
PERSONAL = frozenset({Scope.READ, Scope.WRITE, Scope.PEOPLE})
NOTED_EVERY = timedelta(minutes=1)


class TokenAuthentication(KnoxAuthentication):
    """``Authorization: Bearer TOKEN``: knox's tokens, found by their digest with one look-up."""

    def authenticate_credentials(self, token: bytes) -> tuple[StaffUser, ApiToken]:
        """The login a token belongs to, and the token. Raises AuthenticationFailed."""
        now = timezone.now()
        # One condition and no order: every request pays for the statement to be put together.
        rows = ApiToken.objects.select_related("user").filter(
            digest=hash_token(token.decode(errors="replace"))
        )
        found = next(iter(rows), None)
        is_good = found is not None and (found.expiry is None or found.expiry > now)
        if found is None or not is_good or not (found.user.is_active and found.user.is_staff):
            raise AuthenticationFailed("This token is not valid, or no longer.")
        if found.last_used_at is None or now - found.last_used_at > NOTED_EVERY:
            ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
        return found.user, found


class HasScope(BasePermission):
    """A view says in ``scopes``, for each of its methods, which scope it asks for; None: any login of staff."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether to let somebody in. Raises PermissionDenied with a reason for those who are known."""
        staff = request.user
        if not staff.is_authenticated:
            return False
        if not (staff.is_active and staff.is_staff):
            raise PermissionDenied("This login is not one of staff.")
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method == "OPTIONS" or method not in view.allowed_methods:
            return True  # says what the documentation says, or 405
        scope: Scope | None = view.scopes[method]  # type: ignore[attr-defined]
        if scope is None:
            return True
        if isinstance(request.auth, ApiToken) and scope not in request.auth.scopes:
            raise PermissionDenied(f"This token lacks the scope {scope}.")
        needed = PERMISSIONS[scope]
        if scope in PERSONAL and not isinstance(request.auth, ApiToken):
            needed = (*needed, "accounts.see_personal_data")
        if not staff.has_perms(needed):
            raise PermissionDenied(f"This login lacks the permissions for {scope}.")
        return True


class PerToken(SimpleRateThrottle):
    """At most `API_REQUESTS_PER_MINUTE` for each token, or login without one; 0: as many as they like."""

    scope = "api"

    def get_rate(self) -> str | None:
        """The rate as DRF has it."""
        limit = settings.API_REQUESTS_PER_MINUTE
        return f"{limit}/min" if limit else None

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """The login with a part of the token's digest, which tells tokens apart; the whole never leaves its table."""
        auth: Any = request.auth
        part = f"{request.user.pk}:{auth.pk[:32] if isinstance(auth, ApiToken) else 'session'}"
        return self.cache_format % {"scope": self.scope, "ident": part}
