"""``GET /health/ready`` for whoever watches the bot."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import ApiView
from whatsbot.health import run_checks


class CheckSerializer(serializers.Serializer[Any]):
    """One part of the bot."""

    ok = serializers.BooleanField()
    ms = serializers.FloatField(help_text="Milliseconds it took to ask.")


class Checks(serializers.Serializer[Any]):
    """All parts."""

    database = CheckSerializer()
    worker = CheckSerializer(help_text="Whether one has been heard of lately.")
    storage = CheckSerializer(help_text="A small object was written, read and deleted.")
    mem0 = CheckSerializer()


class Readiness(ApiView):
    """Whether the bot can do its work."""

    scopes = {"GET": None}
    can_be_missing = False

    @extend_schema(
        operation_id="health_ready", responses={200: Checks, 503: Checks}, summary="Can the bot do its work?"
    )
    def get(self, request: Request) -> Response:
        """503 if one of the parts is not ok; each was asked just now."""
        checks = run_checks()
        return Response(checks, status=200 if all(check["ok"] for check in checks.values()) else 503)
