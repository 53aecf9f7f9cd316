"""What was said and answered: memories by the message they are from, and the turns of a conversation."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Scope, WhatsAppUser
from api.base import ApiView, find_person, read_body, read_query
from api.memory_requests import PageFields
from api.paging import Page, get_page, make_cursor
from api.representations import (
    COLUMNS,
    InteractionSerializer,
    Json,
    MemorySerializer,
    MessageSerializer,
    show_message,
    show_row,
)
from api.turns import show_turns
from memories.models import Memory
from messaging.media_search import get_media_by_message
from messaging.models import Interaction

# What is shown of the message a text is from, in the order of `Source`.
OF_MESSAGE = (
    *("raw_message_id", "raw_message__message_sid"),
    *("raw_message__received_at", "raw_message__body"),
)
OF_CORRECTION = (
    *("corrected_by_id", "corrected_by__message_sid"),
    *("corrected_by__received_at", "corrected_by__body"),
)


class GroupSerializer(serializers.Serializer[Any]):
    """Memories of one message; of no message, where they came by the API, an import or the back-office."""

    message = MessageSerializer(allow_null=True)
    memories = MemorySerializer(many=True)


class Groups(serializers.Serializer[Any]):
    """A page of memories by message, newest first."""

    results = GroupSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="For the next page; null on the last one.")


class Interactions(serializers.Serializer[Any]):
    """A page of turns, newest first."""

    results = InteractionSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="For the next page; null on the last one.")


class MemoryList(ApiView):
    """All memories of a person."""

    scopes = {"POST": Scope.READ}

    @extend_schema(
        operation_id="memories_list",
        request=PageFields,
        responses=Groups,
        summary="All memories, by the message they are from",
    )
    def post(self, request: Request) -> Response:
        """Newest first. `limit` counts memories; a message is not divided unless it alone is more than a page."""
        given = read_body(request, PageFields)
        person = find_person(given)
        page = get_page(
            get_listed(person),
            newest_by="happened_at",
            cursor=given.get("cursor"),
            limit=given["limit"],
        )
        groups, cursor = _keep_whole([*_group(page.rows)], page)
        return Response({"results": show_groups(groups, person), "next_cursor": cursor})


def get_listed(person: WhatsAppUser) -> "QuerySet[Memory, Any]":
    """The memories of a person with what is shown of their messages, as flat rows."""
    columns = dict.fromkeys((*COLUMNS, *OF_MESSAGE, *OF_CORRECTION))
    return Memory.objects.filter(user=person).values_list(*columns, named=True)


class Source(NamedTuple):
    """What is shown of the message a text is from."""

    id: int
    message_sid: str
    received_at: datetime
    body: str


Group = tuple[Source | None, list[Any]]


def _get_source(row: Any) -> Source | None:
    """The message the present text is from."""
    columns = OF_CORRECTION if row.corrected_by_id else OF_MESSAGE
    source = Source(*(getattr(row, name) for name in columns))
    return source if source.id else None


def _group(rows: Iterable[Any]) -> Iterator[Group]:
    """Neighbours of one message together; what is from no message stands by itself."""

    def name(row: Any) -> tuple[str, int]:
        source = row.corrected_by_id or row.raw_message_id
        return ("message", source) if source else ("memory", row.id)

    for _, group in groupby(rows, key=name):
        together = list(group)
        yield _get_source(together[0]), together


def _keep_whole(groups: list[Group], page: Page[Any]) -> tuple[list[Group], str | None]:
    """Leave a message whose memories may go on behind the page to the next one, unless it fills this one alone."""
    if page.next_cursor is None or len(groups) == 1 or groups[-1][0] is None:
        return groups, page.next_cursor
    kept = groups[:-1]
    return kept, make_cursor(kept[-1][1][-1], "happened_at")


def show_groups(groups: list[Group], person: WhatsAppUser) -> list[Json]:
    """Messages of the person with their files, each with its memories."""
    media = get_media_by_message({message.id for message, _ in groups if message})
    number = person.phone_number
    return [
        {
            "message": message and show_message(message, media),
            "memories": [
                show_row(row, whatsapp_number=number, message_sid=row.raw_message__message_sid)
                for row in rows
            ],
        }
        for message, rows in groups
    ]


class RecentInteractions(ApiView):
    """The conversation with a person."""

    scopes = {"GET": Scope.READ}

    @extend_schema(
        operation_id="interactions_recent",
        parameters=[PageFields],
        responses=Interactions,
        summary="Questions and answers",
    )
    def get(self, request: Request) -> Response:
        """Turns that were answered, newest first, with the memories they made and used."""
        given = read_query(request, PageFields)
        person = find_person(given)
        page = get_page(
            get_answered(person),
            newest_by="raw_message__received_at",
            cursor=given.get("cursor"),
            limit=given["limit"],
        )
        for turn in page.rows:
            turn.raw_message.user = person
        return Response({"results": show_turns(page.rows), "next_cursor": page.next_cursor})


def get_answered(person: WhatsAppUser) -> QuerySet[Interaction]:
    """The turns of a person that were answered, without what the list does not show."""
    rows = Interaction.objects.filter(raw_message__user=person, answered_at__isnull=False)
    shown = ("kind", "answer", "model", "answered_at", "raw_message__received_at", "raw_message__user")
    return rows.select_related("raw_message").only(*shown)
