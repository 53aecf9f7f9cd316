"""What was said and answered: memories by the message they are from, and the turns of a conversation."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Scope, WhatsAppUser
from api.base import ApiView, find_person, read_body, read_query
from api.listing import get_place, list_memories
from api.memory_requests import PageFields
from api.paging import Page, get_page, make_cursor
from api.reading import note_reading
from api.representations import (
    InteractionSerializer,
    Json,
    MemorySerializer,
    MessageSerializer,
    show_media,
    show_row,
)
from api.turns import show_turns
from media.models import MessageMedia
from messaging.media_search import get_media_by_message
from messaging.models import Interaction

Row = dict[str, Any]
Group = list[Row]  # of one message, or a single one of none


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
        note_reading(request, person)
        page = list_memories(user_id=person.id, cursor=given.get("cursor"), limit=given["limit"])
        groups, cursor = _keep_whole([*_group(page.rows)], page)
        return Response({"results": show_groups(groups, person), "next_cursor": cursor})


def _group(rows: Iterable[Row]) -> Iterator[Group]:
    """Neighbours whose present text is from one message together; what is from no message stands by itself."""

    def name(row: Row) -> tuple[str, int]:
        return ("message", row["origin_id"]) if row["origin_id"] else ("memory", row["id"])

    return (list(group) for _, group in groupby(rows, key=name))


def _keep_whole(groups: list[Group], page: Page[Row]) -> tuple[list[Group], str | None]:
    """Leave a message whose memories may go on behind the page to the next one, unless it fills this one alone."""
    if page.next_cursor is None or len(groups) == 1 or groups[-1][0]["origin_id"] is None:
        return groups, page.next_cursor
    kept = groups[:-1]
    return kept, make_cursor(get_place(kept[-1][-1]))


def show_groups(groups: list[Group], person: WhatsAppUser) -> list[Json]:
    """Messages of the person with their files, each with its memories."""
    media = get_media_by_message({group[0]["origin_id"] for group in groups if group[0]["origin_id"]})
    return [
        {
            "message": _show_origin(group[0], media.get(group[0]["origin_id"], ())),
            "memories": [show_row(row, person) for row in group],
        }
        for group in groups
    ]


def _show_origin(row: Row, media: Sequence[MessageMedia]) -> Json | None:
    if row["origin_id"] is None:
        return None
    return {
        "message_sid": row["origin_sid"],
        "received_at": row["origin_received_at"],
        "text": row["origin_body"],
        "media": show_media(media),
    }


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
        note_reading(request, person)
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
