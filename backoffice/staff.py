"""Logins of staff and API tokens in the back-office."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db import models, transaction
from django.db.models import QuerySet
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.safestring import mark_safe
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.audit import Action, record
from accounts.models import ApiToken, StaffUser
from backoffice.auditing import Audited
from backoffice.base import BrowseAdmin, Titled
from backoffice.lockout import describe_lock, unlock, with_failures
from backoffice.second_factor import remove_second_factor
from whatsbot.admin import (
    AdminPasswordChangeForm,
    CheckboxSelectMultiple,
    UserChangeForm,
    UserCreationForm,
)

admin.site.unregister([Group, TOTPDevice, StaticDevice])  # roles are code, and the others show secrets


class LoginChangeForm(UserChangeForm):
    """A login, with a link to where its password is set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = mark_safe(
            '<a class="underline font-semibold" href="../password/">Set another password</a>'
        )


@admin.register(StaffUser)
class StaffUserAdmin(Audited, Titled, UserAdmin):  # type: ignore[misc]  # what is logged is returned to nobody
    """Logins. Superusers alone manage them, so that nobody gives anybody more than they have."""

    title = "Staff"
    form = LoginChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "roles",
        "is_superuser",
        "is_active",
        "second_factor_at",
        "locked",
        "last_login",
    )
    list_filter = ("groups", "is_superuser", "is_active", ("second_factor_at", admin.EmptyFieldListFilter))
    readonly_fields = ("second_factor_at", "locked", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Who it is", {"fields": ("first_name", "last_name", "email")}),
        ("What they may do", {"fields": ("groups", "is_superuser", "is_active")}),
        ("Signing in", {"fields": ("second_factor_at", "locked", "last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "groups")}),)
    filter_horizontal = ()
    actions = ("unlock", "remove_second_factor")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[StaffUser]":
        """With what the columns show."""
        return with_failures(super().get_queryset(request)).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, login: StaffUser) -> str:
        """What they may do."""
        return ", ".join(group.name for group in login.groups.all())

    @admin.display(description="locked", empty_value="no")
    def locked(self, login: StaffUser) -> str | None:
        """Whether too many logins have failed."""
        return describe_lock(login) or None

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Superusers alone."""
        return self.has_manage_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Superusers alone."""
        return self.has_manage_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers alone."""
        return self.has_manage_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Superusers alone."""
        return self.has_manage_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Superusers alone, and not the login they use: one has to stay."""
        return self.has_manage_permission(request) and obj != request.user

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may manage logins, whatever permissions they were given besides."""
        return bool(request.user.is_active and request.user.is_superuser)

    def get_readonly_fields(self, request: HttpRequest, obj: StaffUser | None = None) -> tuple[str, ...]:
        """Nobody shuts themselves out."""
        mine = ("is_superuser", "is_active") if obj is not None and obj == request.user else ()
        return (*super().get_readonly_fields(request, obj), *mine)

    def formfield_for_manytomany(
        self, db_field: "models.ManyToManyField[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField | None:
        """Groups are called roles, and are few."""
        if db_field.name == "groups":
            kwargs |= {"widget": CheckboxSelectMultiple, "label": "Roles", "help_text": ""}
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: StaffUser, form: Any, change: bool) -> None:
        """Every login made here is for the back-office."""
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)

    @admin.action(description="Unlock", permissions=["manage"])
    @transaction.atomic
    def unlock(self, request: HttpRequest, queryset: "QuerySet[StaffUser]") -> None:
        """Let logins that were locked out try again."""
        logins = [login for login in queryset if describe_lock(login)]
        unlock([login.username for login in logins])
        for login in logins:
            record(Action.CHANGED, staff=request.user, subject=login, detail={"fields": ["locked"]})
        self._say(request, logins, "unlocked")

    @admin.action(description="Remove the second factor (the phone is lost)", permissions=["manage"])
    def remove_second_factor(self, request: HttpRequest, queryset: "QuerySet[StaffUser]") -> None:
        """Let logins sign in with the password alone; all their sessions end."""
        chosen = list(queryset)
        logins = [login for login in chosen if login.second_factor_at and login != request.user]
        for login in logins:
            remove_second_factor(login, by=request.user)
        if request.user in chosen:
            messages.warning(request, "Your own is turned off at “Your second factor”, with a code of it.")
        self._say(request, logins, "without a second factor now")

    def _say(self, request: HttpRequest, logins: Sequence[StaffUser], what: str) -> None:
        count = len(logins)
        self.message_user(
            request, f"{count} login{'s are' if count != 1 else ' is'} {what}.", messages.SUCCESS
        )


@admin.register(ApiToken)
class ApiTokenAdmin(Audited, BrowseAdmin):
    """Tokens are made by `manage.py create_api_token` and revoked by deleting them here."""

    title = "API tokens"
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
