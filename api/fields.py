"""Fields of requests, which refuse what cannot be kept."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.phone_numbers import read_phone_number

EARLIEST, LATEST = datetime(1000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)
MOST_METADATA_BYTES = 8 * 1024
MOST_METADATA_DEPTH = 8
MOST_CURSOR = 200  # characters
# People who hide their number have such an address instead (contracts/twilio-whatsapp.md §1.2).
SCOPED_ADDRESS = re.compile(r"whatsapp:[A-Z]{2}\.[A-Za-z0-9]{1,128}")

NUMBER_SCHEMA = {"type": "string", "format": "phone-number", "minLength": 1, "maxLength": 160}


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know, as a typing error is no wish; in a body also values of another JSON type."""

    def to_internal_value(self, data: Any) -> Any:
        """The fields as given. Raises ValidationError."""
        if isinstance(data, Mapping):
            known = {name: field for name, field in self.fields.items() if not field.read_only}
            wrong = {name: ["There is no such field."] for name in data if name not in known}
            if self.context.get("is_body"):
                for name in data.keys() & known.keys():
                    if expected := _find_other_type(known[name], data[name]):
                        wrong[name] = [f"This is to be {expected}."]
            if wrong:
                raise serializers.ValidationError({name: wrong[name] for name in sorted(wrong)})
        return super().to_internal_value(data)


def _find_other_type(field: serializers.Field, value: Any) -> str | None:
    """What a JSON value should be for this field, if it is something else."""
    if value is None:
        return None  # said better by the field itself
    if isinstance(field, serializers.CharField | serializers.DateTimeField) and not isinstance(value, str):
        return "a string"
    if isinstance(field, serializers.BooleanField) and not isinstance(value, bool):
        return "true or false"
    if isinstance(field, serializers.IntegerField) and type(value) is not int:
        return "a whole number"
    return None


@extend_schema_field({"type": "string", "format": "cursor", "maxLength": MOST_CURSOR})
class CursorField(serializers.CharField):
    """Where a page begins."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "`next_cursor` of the page before.")
        super().__init__(required=False, max_length=MOST_CURSOR, **kwargs)


@extend_schema_field(NUMBER_SCHEMA)
class NumberField(serializers.CharField):
    """A phone number in any spelling, or the address of somebody who hides theirs."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault(
            "help_text",
            "In any spelling with its country (+1 202-555-0123, whatsapp:+12025550123), or national with `country`.",
        )
        super().__init__(max_length=160, trim_whitespace=False, **kwargs)

    @staticmethod
    def read(text: str, *, country: str | None) -> str:
        """The number as E.164, or the address. Raises ValueError with a message for whoever gave it."""
        if SCOPED_ADDRESS.fullmatch(text.strip()):
            return text.strip()
        # A plus that was not encoded in an address arrives as a space.
        text = re.sub(r"^(whatsapp:)? (?=[0-9])", r"\1+", text) if country is None else text
        return read_phone_number(text, country=country and country.upper())


class MomentField(serializers.DateTimeField):
    """ISO 8601; without an offset it is on the person's own clocks (`zone` in the serializer's context)."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "ISO 8601; without an offset on the person's own clocks.")
        bounds = [
            MinValueValidator(EARLIEST, "Nothing is that long ago."),
            MaxValueValidator(LATEST, "Nothing is that far away."),
        ]
        super().__init__(validators=bounds, **kwargs)

    def enforce_timezone(self, value: datetime) -> datetime:
        """The instant in UTC."""
        if value.tzinfo is None:
            self.timezone = self.context.get("zone") or UTC  # where clocks are put back, the first of two
        else:
            self.timezone = UTC
        return super().enforce_timezone(value).astimezone(UTC)


class MetadataField(serializers.JSONField):
    """An object of a program's own, which PostgreSQL can keep."""

    def __init__(self, **kwargs: Any) -> None:
        help_text = f"An object of your own, up to {MOST_METADATA_BYTES // 1024} KB; it is never searched."
        super().__init__(**{"help_text": help_text, **kwargs})

    def to_internal_value(self, data: Any) -> Any:
        """The object. Raises ValidationError."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("An object is needed.")
        try:
            text = json.dumps(data, ensure_ascii=False, allow_nan=False)
            size = len(text.encode())
        except (ValueError, RecursionError):  # infinite numbers, halves of characters
            raise serializers.ValidationError("This cannot be kept as JSON.") from None
        if size > MOST_METADATA_BYTES:
            raise serializers.ValidationError(f"More than {MOST_METADATA_BYTES} bytes.")
        for depth, value in _walk(data, 0):
            if depth > MOST_METADATA_DEPTH:
                raise serializers.ValidationError(f"Nested more than {MOST_METADATA_DEPTH} levels deep.")
            if isinstance(value, str) and "\0" in value:
                raise serializers.ValidationError("NUL characters cannot be kept.")
        return data


def _walk(value: Any, depth: int) -> Iterator[tuple[int, Any]]:
    """Every value in a value, and every key, with how deep it lies."""
    yield depth, value
    if isinstance(value, dict):
        yield from ((depth + 1, key) for key in value)
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            yield from _walk(child, depth + 1)
