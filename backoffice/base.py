"""What all lists and pages of the back-office share: quick lists, and personal rows behind the gate."""

from typing import Any

from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst

from accounts.models import WhatsAppUser
from backoffice.counting import EstimatingPaginator
from backoffice.finding import find_rows
from backoffice.gate import HIDDEN, MAY_OPEN, get_shown_people, mask_number, name_person, require_reason
from messaging.answers import shorten
from whatsbot.admin import ChangeList, ModelAdmin, ReadOnlyAdmin

MOST_SHOWN = 90  # characters of a text in a list


class BrowseList(ChangeList):
    """A page of a list that is counted once."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows of the page. Nothing is said of how many there would be without filters."""
        super().get_results(request)
        self.full_result_count = self.result_count


class Titled(ModelAdmin):
    """Pages with titles that say what they are: ``title`` is what the list is called."""

    title = ""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        """The list, under its name."""
        return super().changelist_view(request, {"title": self.title, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The row, under its name."""
        obj = self.get_object(request, unquote(object_id))
        title = f"{capfirst(self.opts.verbose_name)} {obj}" if obj is not None else ""
        return super().change_view(
            request, object_id, form_url, {"title": title, "subtitle": None, **(extra_context or {})}
        )


class BrowseAdmin(Titled, ReadOnlyAdmin):
    """A list over a table of any size: newest first by key, counted or estimated, sorted by nothing else.

    ``search_help_text`` says what is searched; what there is to search stands in
    ``searches`` (backoffice/finding.py).
    """

    paginator = EstimatingPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    sortable_by = ()
    ordering: tuple[str, ...] = ("-pk",)
    actions: Any = ()
    searches: tuple[str, ...] = ()
    worded = Q()  # which rows a search by words looks at: those the index has
    may_repeat = False  # whether a search finds a row more than once

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list that is counted once."""
        return BrowseList

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Something, where there is a search: Django shows its field then."""
        return self.searches

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        """By whichever index fits what was typed."""
        if not search_term.strip():
            return queryset, False
        found = find_rows(
            queryset, search_term, searches=self.searches, staff=request.user, worded=self.worded
        )
        return found, self.may_repeat


class PersonalList(BrowseList):
    """A page of rows that know whether this login may read them: ``is_shown``."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows of the page."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]
        owners = {row.pk: self.model_admin.get_person_ids(row) for row in rows}
        shown = get_shown_people(request, (person for people in owners.values() for person in people))
        may_open = request.user.has_perm(MAY_OPEN)
        for row in rows:
            row.is_shown = bool(shown & owners[row.pk])
            row.may_open = may_open
        self.result_list = rows


class PersonalAdmin(BrowseAdmin):
    """Rows that belong to a person: masked in lists, opened for a reason."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list that masks."""
        return PersonalList

    def get_person_ids(self, obj: Any) -> set[int]:
        """Whose a row is."""
        return {obj.user_id}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The row, once the login has said why."""
        return self._gate(request, object_id) or super().change_view(
            request, object_id, form_url, extra_context
        )

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Django's own log of a row, behind the same gate."""
        return self._gate(request, object_id) or super().history_view(request, object_id, extra_context)

    def _gate(self, request: HttpRequest, object_id: str) -> HttpResponse | None:
        """The way to the gate while there is no reason yet. Nobody gets past it to a row it has not seen."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            nowhere: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return nowhere
        return require_reason(request, *self.get_person_ids(obj))


def show_person(row: Any, person: WhatsAppUser) -> str:
    """What to call somebody in a list."""
    return name_person(person, is_shown=row.is_shown)


def link_person(row: Any, person: WhatsAppUser) -> str:
    """Whom a row of a list is about, with the way to the conversation for those who may go there."""
    name = show_person(row, person)
    address = reverse("backoffice-conversation", args=[person.pk])
    return format_html('<a href="{}">{}</a>', address, name) if row.may_open else name


def show_number(row: Any, number: str | None) -> str:
    """A number in a list."""
    if not number:
        return ""
    return number.removeprefix("whatsapp:") if row.is_shown else mask_number(number)


def show_text(row: Any, text: str) -> str:
    """The beginning of a text in a list."""
    if not text:
        return ""
    return shorten(text, limit=MOST_SHOWN) if row.is_shown else HIDDEN
