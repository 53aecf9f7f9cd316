"""The admin theme comes in here and nowhere else, so that it can be exchanged in one file."""

from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter
from unfold.forms import AdminPasswordChangeForm, AuthenticationForm, UserChangeForm, UserCreationForm
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as CheckboxSelectMultiple
from unfold.widgets import UnfoldAdminPasswordWidget as PasswordInput
from unfold.widgets import UnfoldAdminTextInputWidget as TextInput

__all__ = [
    "AdminPasswordChangeForm",
    "AuthenticationForm",
    "ChangeList",
    "CheckboxSelectMultiple",
    "DropdownFilter",
    "ModelAdmin",
    "PasswordInput",
    "RangeDateFilter",
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "TabularInline",
    "TextInput",
    "UserChangeForm",
    "UserCreationForm",
]


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


class ReadOnlyInline(TabularInline):
    """Rows below the row they belong to, to be looked at."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Nobody changes."""
        return False
