"""The admin theme comes in here and nowhere else, so that it can be exchanged in one file."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet
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
    "DayFilter",
    "DropdownFilter",
    "ModelAdmin",
    "PasswordInput",
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "TabularInline",
    "TextInput",
    "UserChangeForm",
    "UserCreationForm",
]


class DayFilter(RangeDateFilter):
    """From a day to a day, both whole, in UTC. What is no day filters nothing."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """The rows of these days."""
        first, last = (self._read_day(f"{self.parameter_name}_{end}") for end in ("from", "to"))
        if first is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": first})
        if last is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": last + timedelta(days=1)})
        return queryset

    def _read_day(self, name: str) -> datetime | None:
        try:
            return datetime.strptime(self.used_parameters.get(name) or "", "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            return None


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
