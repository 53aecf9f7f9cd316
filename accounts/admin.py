"""Staff logins and API tokens in the back-office."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.models import ApiToken, StaffUser
from whatsbot.admin import ModelAdmin, ReadOnlyAdmin

admin.site.unregister(Group)


@admin.register(StaffUser)
class StaffUserAdmin(UserAdmin, ModelAdmin):
    """Logins, with the theme's forms."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Tokens are made by `manage.py create_api_token` and revoked by deleting them here."""

    list_display = ("name", "token_key", "scopes_named", "user", "last_used_at", "created", "expiry")
    fields = ("name", "token_key", "scopes_named", "user", "last_used_at", "created", "expiry")
    list_select_related = ("user",)
    ordering = ("-created",)

    @admin.display(description="scopes")
    def scopes_named(self, token: ApiToken) -> str:
        """What it may do."""
        return ", ".join(token.scopes) or "none"

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Deleting is revoking."""
        return request.user.has_perm("accounts.delete_apitoken")
