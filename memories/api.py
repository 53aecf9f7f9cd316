"""Memories for programs: ``GET /memories``. A token or a staff login opens it."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import ListAPIView

from accounts.models import WhatsAppUser
from accounts.phone_numbers import read_phone_number
from memories.models import Memory
from memories.search import get_memories

MAX_LIMIT = 200


class MemorySerializer(serializers.ModelSerializer[Memory]):
    """One memory as the API shows it; times in UTC."""

    class Meta:
        model = Memory
        fields = (
            "id",
            "number",
            "text",
            "type",
            "source",
            "happened_at",
            "event_start",
            "event_end",
            "created_at",
        )


class MemoryList(ListAPIView[Memory]):
    """``GET /memories?whatsapp_number=+12025550123&limit=50``: one person's memories, newest first."""

    serializer_class = MemorySerializer

    def get_queryset(self) -> Any:
        """The person's rows. 400 for a bad number or limit, 404 for somebody the bot has never seen."""
        number = _read_number(self.request.query_params.get("whatsapp_number", ""))
        limit = _read_limit(self.request.query_params.get("limit", "50"))
        user = WhatsAppUser.objects.filter(phone_number=number).first()
        if user is None:
            raise NotFound("The bot has never heard from this number.")
        return get_memories(user_id=user.id)[:limit]


def _read_number(text: str) -> str:
    try:
        return read_phone_number(text)
    except ValueError as error:
        raise ValidationError({"whatsapp_number": [str(error)]}) from None


def _read_limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LIMIT):
        raise ValidationError({"limit": [f"A whole number from 1 to {MAX_LIMIT}."]})
    return int(text)
