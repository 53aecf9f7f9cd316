"""Counting rows by day and by what they are: the figures of the API and of the back-office."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, F, QuerySet, Sum
from django.db.models.functions import TruncDay

from media.models import MediaFile

Span = tuple[datetime, datetime]  # half-open


def within(rows: "QuerySet[Any]", field: str, span: Span) -> "QuerySet[Any]":
    """The rows whose time in ``field`` lies in the span."""
    return rows.filter(**{f"{field}__gte": span[0], f"{field}__lt": span[1]})


def count_by(rows: "QuerySet[Any]", field: str) -> dict[str, int]:
    """How many rows have each value of ``field``; no value is ``unknown``."""
    counted = rows.order_by().values_list(field).annotate(count=Count("pk")).order_by(field)
    return {str("unknown" if value in (None, "") else value): count for value, count in counted}


def count_by_day(rows: "QuerySet[Any]", time: str, *, by: str | None = None) -> Mapping[date, Counter[Any]]:
    """How many rows have their time in each day in UTC, and of these each value of ``by``, if it is named."""
    named = (by,) if by else ()
    groups = rows.order_by().annotate(day=TruncDay(time, tzinfo=UTC)).values_list("day", *named)
    days: dict[date, Counter[Any]] = {}
    for day, *value, count in groups.annotate(count=Count("pk")):
        days.setdefault(day.date(), Counter())[value[0] if value else ""] += count
    return days


def count_kept_files() -> dict[str, int]:
    """Files in the store now, and what keeping each content once saves: ``files_stored``, ``bytes_stored``,
    ``bytes_saved``."""
    kept = MediaFile.objects.filter(stored_at__isnull=False).aggregate(
        files_stored=Count("pk"), bytes_stored=Sum("size"), bytes_saved=Sum(F("size") * F("forwarded_count"))
    )
    return {name: value or 0 for name, value in kept.items()}
