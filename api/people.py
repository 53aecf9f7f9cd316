"""``/users``: a person, their data as a file, and their end."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.audit import Action
from accounts.models import ApiToken, Scope, WhatsAppUser
from accounts.places import get_canonical_zone
from api.base import ApiView, PersonFields, find_person, read_body, read_query
from api.errors import InvalidQuery
from api.fields import NUMBER_SCHEMA, StrictSerializer
from api.reading import note_deed, note_reading
from api.representations import PersonSerializer
from messaging.erasure import Traces, count_traces, erase_wholly
from messaging.export import write_export
from messaging.models import ErasureReceipt

MOST_NAME = 200


class CountryQuery(StrictSerializer):
    """What helps to read the number of an address."""

    country = PersonFields().fields["country"]


NUMBER = OpenApiParameter("number", NUMBER_SCHEMA, OpenApiParameter.PATH, description="In any spelling.")


@extend_schema_field({"type": "string", "format": "iana-time-zone", "maxLength": 64})
class ZoneField(serializers.CharField):
    """The name of a time zone, as it is called now."""

    def to_internal_value(self, data: Any) -> str:
        """The name. Raises ValidationError."""
        zone = get_canonical_zone(super().to_internal_value(data))
        if zone is None:
            raise serializers.ValidationError("No IANA time zone has this name.")
        return zone


class PersonChanges(StrictSerializer):
    """What changes of a person."""

    name = serializers.CharField(
        required=False, allow_blank=True, max_length=MOST_NAME, help_text="Goes before the name they chose."
    )
    timezone = ZoneField(required=False, max_length=64, help_text="IANA name, like Europe/Berlin.")


class TracesSerializer(serializers.Serializer[Traces]):
    """How much there is of a person."""

    memories = serializers.IntegerField()
    earlier_texts = serializers.IntegerField(help_text="Of memories: what was corrected or said again.")
    messages = serializers.IntegerField()
    answers = serializers.IntegerField()
    files = serializers.IntegerField()


class PersonWithTraces(PersonSerializer):
    """A person, and how much is kept of them."""

    kept = TracesSerializer()

    class Meta(PersonSerializer.Meta):
        fields = (*PersonSerializer.Meta.fields, "kept")


class ReceiptSerializer(serializers.ModelSerializer[ErasureReceipt]):
    """That somebody was erased, without saying who."""

    receipt = serializers.UUIDField(source="id")
    erased = TracesSerializer()
    confirmed_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when nothing is left in the memory store and the file store either."
    )

    class Meta:
        model = ErasureReceipt
        fields = ("receipt", "erased", "erased_at", "confirmed_at")


def read_person(request: Request, number: str) -> WhatsAppUser:
    """The person an address names. Raises InvalidQuery, NotFound."""
    given = read_query(request, CountryQuery)
    fields = PersonFields(data={"whatsapp_number": number, **given})
    if not fields.is_valid():
        raise InvalidQuery(fields.errors)
    return find_person(fields.validated_data)


def show_person(person: WhatsAppUser) -> dict[str, Any]:
    """A person with counts."""
    kept = count_traces(user_id=person.id)
    return {**PersonSerializer(person).data, "kept": TracesSerializer(kept).data}


class PersonDetail(ApiView):
    """One person."""

    scopes = dict.fromkeys(("GET", "PATCH", "DELETE"), Scope.PEOPLE)

    @extend_schema(
        operation_id="users_get",
        parameters=[NUMBER, CountryQuery],
        responses=PersonWithTraces,
        summary="A person",
    )
    def get(self, request: Request, number: str) -> Response:
        """Who somebody is, as far as the bot knows, and how much it keeps of them."""
        person = read_person(request, number)
        note_reading(request, person)
        return Response(show_person(person))

    @extend_schema(
        operation_id="users_change",
        parameters=[NUMBER, CountryQuery],
        request=PersonChanges,
        responses=PersonWithTraces,
        summary="Change name or time zone",
    )
    def patch(self, request: Request, number: str) -> Response:
        """Fields that are not given stay."""
        person = read_person(request, number)
        changes: dict[str, Any] = read_body(request, PersonChanges)
        fields = sorted(changes)
        if "timezone" in changes:
            changes["timezone_source"] = WhatsAppUser.TimezoneSource.STAFF
        with transaction.atomic():
            WhatsAppUser.objects.filter(id=person.id).update(**changes)
            detail = {"fields": fields}
            note_deed(request, Action.CHANGED, person.id, subject=person, detail=detail)
        person.refresh_from_db()
        return Response(show_person(person))

    @extend_schema(
        operation_id="users_erase",
        parameters=[NUMBER, CountryQuery],
        responses={200: ReceiptSerializer},
        summary="Erase a person",
    )
    def delete(self, request: Request, number: str) -> Response:
        """Everything that is kept of somebody, at once. The receipt says later that nothing is left elsewhere."""
        person = read_person(request, number)
        by = f"token {request.auth.name}" if isinstance(request.auth, ApiToken) else "login"
        with transaction.atomic():
            receipt = erase_wholly(user_id=person.id, asked_by=f"{by} of {request.user}"[:200])
            note_deed(request, Action.ERASED, person.id, subject=receipt)
        return Response(ReceiptSerializer(receipt).data)


class PersonExport(ApiView):
    """All that is kept of a person."""

    scopes = {"GET": Scope.PEOPLE}

    @extend_schema(
        operation_id="users_export",
        parameters=[NUMBER, CountryQuery],
        responses={
            (200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY, description="The zip archive.")
        },
        summary="Export a person",
    )
    def get(self, request: Request, number: str) -> FileResponse:
        """A zip with profile, memories, messages and media as JSON, and the files."""
        person = read_person(request, number)
        note_deed(request, Action.EXPORTED, person.id)
        day = timezone.now().astimezone(ZoneInfo(person.timezone)).date()
        return FileResponse(
            write_export(person),
            content_type="application/zip",
            as_attachment=True,
            filename=f"whatsbot-{day}.zip",
        )


class ErasureDetail(ApiView):
    """What became of an erasure."""

    scopes = {"GET": Scope.PEOPLE}

    @extend_schema(
        operation_id="erasures_get", responses=ReceiptSerializer, summary="The receipt of an erasure"
    )
    def get(self, request: Request, receipt: UUID) -> Response:
        """`confirmed_at` is set when the memory store and the file store have nothing any more."""
        read_query(request, StrictSerializer)
        row = ErasureReceipt.objects.filter(id=receipt).first()
        if row is None:
            raise NotFound("There is no such receipt.")
        return Response(ReceiptSerializer(row).data)
