"""What was said and answered: memories by the message they are from, and the turns of a conversation."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Scope
from api.base import ApiView, find_person, read_body, read_query
from api.memory_requests import PageFields
from api.paging import Page, get_page, make_cursor
from api.representations import InteractionSerializer, MemorySerializer, MessageSerializer
from memories.models import Memory
from messaging.models import Interaction, RawMessage

KEPT_MEDIA = ("media__file",)


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
        rows = Memory.objects.filter(user=find_person(given))
        page = get_page(
            rows.select_related("user", "raw_message", "corrected_by").prefetch_related(
                *(f"{by}__{each}" for by in ("raw_message", "corrected_by") for each in KEPT_MEDIA)
            ),
            newest_by="happened_at",
            cursor=given.get("cursor"),
            limit=given["limit"],
        )
        groups, cursor = _keep_whole([*_group(page.rows)], page)
        results = GroupSerializer(
            ({"message": message, "memories": memories} for message, memories in groups), many=True
        )
        return Response({"results": results.data, "next_cursor": cursor})


Group = tuple[RawMessage | None, list[Memory]]


def _get_source(memory: Memory) -> RawMessage | None:
    """The message the present text is from."""
    return memory.corrected_by or memory.raw_message


def _group(memories: Iterable[Memory]) -> Iterator[Group]:
    """Neighbours of one message together; what is from no message stands by itself."""

    def name(memory: Memory) -> tuple[str, int]:
        source = _get_source(memory)
        return ("message", source.id) if source else ("memory", memory.id)

    for _, group in groupby(memories, key=name):
        together = list(group)
        yield _get_source(together[0]), together


def _keep_whole(groups: list[Group], page: Page[Memory]) -> tuple[list[Group], str | None]:
    """Leave a message whose memories may go on behind the page to the next one, unless it fills this one alone."""
    if page.next_cursor is None or len(groups) == 1 or groups[-1][0] is None:
        return groups, page.next_cursor
    kept = groups[:-1]
    return kept, make_cursor(kept[-1][1][-1], "happened_at")


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
            get_turns().filter(raw_message__user=person, answered_at__isnull=False),
            newest_by="raw_message__received_at",
            cursor=given.get("cursor"),
            limit=given["limit"],
        )
        rows = InteractionSerializer(page.rows, many=True).data
        return Response({"results": rows, "next_cursor": page.next_cursor})


def get_turns() -> QuerySet[Interaction]:
    """Turns with all that is shown of them, in a fixed number of statements."""
    return Interaction.objects.select_related("raw_message__user").prefetch_related(
        "messages__memories",
        "messages__media__file",
        "raw_message__memories",
        "raw_message__media__file",
        "citations__memory",
        "outbound_messages",
    )
