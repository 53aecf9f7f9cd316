"""``/memories``: search, list, store, correct and delete what people have told."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.audit import Action
from accounts.models import Scope, WhatsAppUser
from accounts.people import get_person, make_person
from accounts.phone_numbers import may_exist
from api import idempotency
from api.base import NOBODY, ApiView, Given, find_person, read_body, read_query
from api.errors import Unprocessable
from api.fields import StrictSerializer
from api.listing import list_memories
from api.memory_requests import MemoriesQuery, MemoryChanges, NewMemory, PageQuery, check_event
from api.paging import get_page
from api.reading import note_deed, note_reading
from api.representations import (
    FoundMemorySerializer,
    HistorySerializer,
    MemorySerializer,
    show_found,
    show_history,
    show_memory,
    show_rows,
)
from memories.changes import amend_memory, forget_memory
from memories.dates import LocalDays, UtcRange, get_next_day
from memories.models import Memory, MemoryHistory
from memories.search import get_memories, search_memories
from memories.store import Outcome, store_memory_direct


class FoundMemories(serializers.Serializer[Any]):
    """Memories, newest or best first."""

    results = FoundMemorySerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="For the next page; null on the last one.")
    degraded = serializers.BooleanField(help_text="The semantic store was away: only words were looked at.")


class HistoryPage(serializers.Serializer[Any]):
    """The history of a memory, newest first."""

    results = HistorySerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


def find_memory(memory_id: int) -> Memory:
    """The memory with this id. Raises NotFound."""
    memory = (
        Memory.objects.select_related("user", "raw_message")
        .defer("raw_message__payload")
        .filter(id=memory_id)
        .first()
    )
    if memory is None:
        raise NotFound("There is no such memory.")
    return memory


class MemoryCollection(ApiView):
    """Memories of one person."""

    scopes = {"GET": Scope.READ, "POST": Scope.WRITE}

    @extend_schema(
        operation_id="memories_search",
        parameters=[MemoriesQuery],
        responses=FoundMemories,
        summary="Search memories, or list the newest",
    )
    def get(self, request: Request) -> Response:
        """With `query` the best come first, and `matched` says why; without it the newest."""
        given = read_query(request, MemoriesQuery)
        person = find_person(given)
        note_reading(request, person)
        narrowing: dict[str, Any] = {
            "user_id": person.id,
            "within": get_range(person, given.get("start_date"), given.get("end_date")),
            "types": given.get("type"),
            "sources": given.get("source"),
        }
        narrowing = {name: value for name, value in narrowing.items() if value}
        if "query" in given:
            found = search_memories(query=given["query"], limit=given["limit"], **narrowing)
            for hit in found.hits:
                hit.memory.user = person
            return Response(
                {"results": show_found(found.hits), "next_cursor": None, "degraded": found.degraded}
            )
        place = {"cursor": given.get("cursor"), "limit": given["limit"]}
        if narrowing.keys() == {"user_id"}:
            newest = list_memories(user_id=person.id, **place)
            results, cursor = show_rows(newest.rows, person), newest.next_cursor
        else:
            rows = get_memories(**narrowing).select_related("user")
            page = get_page(rows, newest_by="happened_at", **place)
            results, cursor = show_found(page.rows), page.next_cursor
        return Response({"results": results, "next_cursor": cursor, "degraded": False})

    @extend_schema(
        operation_id="memories_store",
        parameters=[
            OpenApiParameter(
                idempotency.HEADER,
                location=OpenApiParameter.HEADER,
                description="A name of your own for this request: a repeat within 7 days makes nothing new.",
                type={"type": "string", "pattern": idempotency.KEY.pattern},
            )
        ],
        request=NewMemory,
        responses={200: MemorySerializer, 201: MemorySerializer},
        summary="Store a memory",
    )
    def post(self, request: Request) -> Response:
        """201 with the new memory; 200 with the one that is known already, or was made by the first such request."""
        key = idempotency.read_key(request)
        number = read_body(request, NewMemory)["whatsapp_number"]
        person, is_new = get_person(number), False
        zone = person and ZoneInfo(person.timezone)
        given = read_body(request, NewMemory, zone=zone)
        if person is None:
            person, is_new = _create_person(number, given), True
        try:
            memory, is_made = _store(person, given, key=key, body=request.data)
        except IntegrityError:
            raise NotFound(NOBODY) from None  # erased at this moment
        except BaseException:
            if is_new:
                _withdraw(person)
            raise
        answer = show_memory(find_memory(memory.id))
        code = status.HTTP_201_CREATED if is_made else status.HTTP_200_OK
        return Response(answer, status=code, headers={"Location": f"/memories/{memory.id}"})


def get_range(person: WhatsAppUser, first: date | None, last: date | None) -> UtcRange | None:
    """The instants of days on the person's calendar, both included, None leaving a side open; None for all days."""
    if first is None and last is None:
        return None
    end = last and get_next_day(last)
    return LocalDays(start=first, end=end).to_utc(ZoneInfo(person.timezone))


def _create_person(number: str, given: Given) -> WhatsAppUser:
    """Somebody new, if that was asked for. Raises NotFound, Unprocessable."""
    if not given["create_user"]:
        raise NotFound(f"{NOBODY} create_user=true makes this person.")
    if not number.startswith("+") or not may_exist(number):
        raise Unprocessable({"whatsapp_number": ["No phone can have this number."]})
    person = make_person(number)
    fields = {name: getattr(person, name) for name in ("phone_number", "timezone", "timezone_source")}
    made, _ = WhatsAppUser.objects.get_or_create(
        whatsapp_id=person.whatsapp_id, defaults=fields | {"last_inbound_at": person.last_inbound_at}
    )
    return made


@transaction.atomic
def _withdraw(person: WhatsAppUser) -> None:
    """Delete somebody just made for a memory that could not be stored, unless something else has come meanwhile."""
    row = WhatsAppUser.objects.select_for_update().filter(id=person.id).first()
    if row is not None and not row.memories.exists() and not row.raw_messages.exists():
        row.delete()


def _store(person: WhatsAppUser, given: Given, *, key: str | None, body: Any) -> tuple[Memory, bool]:
    """The memory, and whether this request has made it; ``body`` is what was sent, before it was read."""
    fields: dict[str, Any] = {
        "user_id": person.id,
        "text": given["memory_text"],
        "source": Memory.Source.API,
        "type": given["memory_type"],
        "metadata": given["metadata"],
        "happened_at": given.get("happened_at"),
        "event_start": given.get("event_start"),
        "event_end": given.get("event_end"),
    }
    if key is None:
        stored = store_memory_direct(**fields)
        return stored.memory, stored.outcome is Outcome.SAVED
    claimed = idempotency.claim(user_id=person.id, key=key, body=body)
    if claimed.memory_id is not None:
        return find_memory(claimed.memory_id), False
    fields["happened_at"] = fields["happened_at"] or claimed.created_at
    stored = store_memory_direct(**fields, key=key)
    idempotency.finish(claimed, memory_id=stored.memory.id)
    return stored.memory, stored.outcome is Outcome.SAVED


class MemoryDetail(ApiView):
    """One memory."""

    scopes = {"GET": Scope.READ, "PATCH": Scope.WRITE, "DELETE": Scope.WRITE}

    @extend_schema(operation_id="memories_get", responses=FoundMemorySerializer, summary="One memory")
    def get(self, request: Request, memory_id: int) -> Response:
        """The memory with its files."""
        read_query(request, StrictSerializer)
        memory = find_memory(memory_id)
        note_reading(request, memory.user)
        return Response(show_found([memory])[0])

    @extend_schema(
        operation_id="memories_correct",
        request=MemoryChanges,
        responses=MemorySerializer,
        summary="Correct a memory",
    )
    def patch(self, request: Request, memory_id: int) -> Response:
        """Fields that are not given stay. A new text or time goes the way of a correction in the chat."""
        memory = find_memory(memory_id)
        changes = read_body(request, MemoryChanges, zone=ZoneInfo(memory.user.timezone))
        names = {"memory_text": "text", "memory_type": "type"}
        renamed = {names.get(name, name): value for name, value in changes.items()}
        start, end = (renamed.get(name, getattr(memory, name)) for name in ("event_start", "event_end"))
        check_event(start, end)
        with transaction.atomic():
            if amend_memory(user_id=memory.user_id, number=memory.number, changes=renamed) is None:
                raise NotFound("There is no such memory.")
            detail = {"fields": sorted(changes)}
            note_deed(request, Action.CHANGED, memory.user_id, subject=memory, detail=detail)
        return Response(show_memory(find_memory(memory_id)))

    @extend_schema(operation_id="memories_delete", responses={204: None}, summary="Forget a memory")
    def delete(self, request: Request, memory_id: int) -> Response:
        """For good: with its history, its files, and what was said of it in the conversation."""
        memory = find_memory(memory_id)
        with transaction.atomic():
            if forget_memory(user_id=memory.user_id, number=memory.number) is None:
                raise NotFound("There is no such memory.")
            note_deed(request, Action.DELETED, memory.user_id, subject=memory)
        return Response(status=status.HTTP_204_NO_CONTENT)


class MemoryHistoryList(ApiView):
    """What a memory has said."""

    scopes = {"GET": Scope.READ}

    @extend_schema(
        operation_id="memories_history",
        parameters=[PageQuery],
        responses=HistoryPage,
        summary="The history of a memory",
    )
    def get(self, request: Request, memory_id: int) -> Response:
        """Texts that were corrected, and repeats, newest first; the present text is with the memory."""
        given = read_query(request, PageQuery)
        memory = find_memory(memory_id)
        note_reading(request, memory.user)
        page = get_page(
            MemoryHistory.objects.filter(memory=memory)
            .select_related("raw_message")
            .defer("raw_message__payload", "raw_message__body"),
            newest_by="created_at",
            cursor=given.get("cursor"),
            limit=given["limit"],
        )
        rows = [show_history(row) for row in page.rows]
        return Response({"results": rows, "next_cursor": page.next_cursor})
