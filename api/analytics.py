"""``GET /analytics/summary``: figures of a span of days, without a word anybody has said."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Extract
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Scope, WhatsAppUser
from api.base import ApiView, Given, read_query
from api.errors import Unprocessable
from api.fields import StrictSerializer
from media.models import MessageMedia
from memories.models import Memory, MemoryHistory
from messaging.daily_counts import Span, count_by, count_by_day, count_kept_files, within
from messaging.models import Interaction, OutboundMessage, RawMessage

USUAL_DAYS, MOST_DAYS = 30, 366
DAY = timedelta(days=1)


class SummaryQuery(StrictSerializer):
    """Which days; the last 30 if nothing is said."""

    start_date = serializers.DateField(required=False, help_text="The first day, in UTC.")
    end_date = serializers.DateField(
        required=False, help_text="The last day, included, in UTC. Default: today."
    )

    def validate(self, attrs: Given) -> Given:
        """Days in order, and not too many."""
        today = timezone.now().astimezone(UTC).date()
        last = attrs.get("end_date") or max(today, attrs.get("start_date") or today)
        first = attrs.get("start_date") or date.fromordinal(max(1, last.toordinal() - USUAL_DAYS + 1))
        if first > last:
            raise Unprocessable({"end_date": ["It lies before start_date."]})
        if (last - first).days >= MOST_DAYS:
            raise Unprocessable({"start_date": [f"At most {MOST_DAYS} days at a time."]})
        if last.year > 9000:
            raise Unprocessable({"end_date": ["Nothing is that far away."]})
        return {"start_date": first, "end_date": last}


class Counts(serializers.DictField):
    """How many of each."""

    child = serializers.IntegerField()


class DaySerializer(serializers.Serializer[Any]):
    """One day in UTC."""

    day = serializers.DateField()
    messages = serializers.IntegerField()
    answers = serializers.IntegerField()
    memories = serializers.IntegerField()


class PeopleFigures(serializers.Serializer[Any]):
    """People; ``total`` and ``opted_out`` are of now."""

    total = serializers.IntegerField()
    new = serializers.IntegerField()
    active = serializers.IntegerField(help_text="Who wrote.")
    opted_out = serializers.IntegerField()


class MemoryFigures(serializers.Serializer[Any]):
    """Memories stored in these days, as far as they are still there."""

    stored = serializers.IntegerField()
    corrections = serializers.IntegerField()
    repeats = serializers.IntegerField(help_text="What was known already.")
    by_type = Counts()
    by_source = Counts()


class MediaFigures(serializers.Serializer[Any]):
    """Files: those of these days, and what storing each content once saves altogether."""

    received = serializers.IntegerField()
    refused = Counts()
    by_kind = Counts()
    files_stored = serializers.IntegerField(help_text="Now.")
    bytes_stored = serializers.IntegerField(help_text="Now.")
    bytes_saved = serializers.IntegerField(help_text="By storing what was sent again only once.")


class ResponseFigures(serializers.Serializer[Any]):
    """From a message's arrival to its committed answer, waiting for the burst included."""

    answered = serializers.IntegerField()
    mean_seconds = serializers.FloatField(allow_null=True)
    p50_seconds = serializers.FloatField(allow_null=True)
    p95_seconds = serializers.FloatField(allow_null=True)


class FailureFigures(serializers.Serializer[Any]):
    """What did not go well."""

    apologies = serializers.IntegerField(help_text="Messages that could not be answered.")
    unanswered = serializers.IntegerField(help_text="Messages that wait for an answer.")
    undelivered_by_code = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Twilio's error code, and how often; `unknown` without one.",
    )


class Summary(serializers.Serializer[Any]):
    """The figures."""

    start_date = serializers.DateField()
    end_date = serializers.DateField()
    people = PeopleFigures()
    messages = serializers.IntegerField()
    answers_by_kind = Counts()
    days = DaySerializer(many=True)
    memories = MemoryFigures()
    media = MediaFigures()
    response_times = ResponseFigures()
    failures = FailureFigures()


class AnalyticsSummary(ApiView):
    """Figures for operators."""

    scopes = {"GET": Scope.ANALYTICS}
    can_be_missing = False

    @extend_schema(
        operation_id="analytics_summary", parameters=[SummaryQuery], responses=Summary, summary="Figures"
    )
    def get(self, request: Request) -> Response:
        """Counts, activity by day, kinds of memories, response times, failures; nobody's words or numbers."""
        given = read_query(request, SummaryQuery)
        return Response(Summary(summarize(**given)).data)


def summarize(*, start_date: date, end_date: date) -> Given:
    """The figures of these days in UTC, both included."""
    span = (_get_midnight(start_date), _get_midnight(end_date) + DAY)
    messages = within(RawMessage.objects.all(), "received_at", span)
    answers = within(Interaction.objects.all(), "answered_at", span)
    stored = within(Memory.objects.all(), "created_at", span)
    days = _count_by_day(messages, answers, stored, start_date=start_date, end_date=end_date)
    answers_by_kind = count_by(answers, "kind")
    return {
        "start_date": start_date,
        "end_date": end_date,
        "people": _count_people(messages, span),
        "messages": sum(day["messages"] for day in days),
        "answers_by_kind": answers_by_kind,
        "days": days,
        "memories": _count_memories(stored, span),
        "media": _count_media(span),
        "response_times": _measure_responses(answers),
        "failures": {
            "apologies": answers_by_kind.get(Interaction.Kind.APOLOGY, 0),
            **_count_failures(messages, span),
        },
    }


def _get_midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


def _count_people(messages: "QuerySet[Any]", span: Span) -> Given:
    people = WhatsAppUser.objects.aggregate(
        total=Count("pk"),
        new=Count("pk", filter=Q(created_at__gte=span[0], created_at__lt=span[1])),
        opted_out=Count("pk", filter=Q(opted_out_at__isnull=False)),
    )
    return {**people, "active": messages.aggregate(count=Count("user", distinct=True))["count"]}


def _count_by_day(
    messages: "QuerySet[Any]",
    answers: "QuerySet[Any]",
    memories: "QuerySet[Any]",
    *,
    start_date: date,
    end_date: date,
) -> list[Given]:
    counted = {
        name: {day: counts.total() for day, counts in count_by_day(rows, field).items()}
        for name, rows, field in (
            ("messages", messages, "received_at"),
            ("answers", answers, "answered_at"),
            ("memories", memories, "created_at"),
        )
    }
    days = (start_date + number * DAY for number in range((end_date - start_date).days + 1))
    return [{"day": day, **{name: counts.get(day, 0) for name, counts in counted.items()}} for day in days]


def _count_memories(stored: "QuerySet[Any]", span: Span) -> Given:
    changes = count_by(within(MemoryHistory.objects.all(), "created_at", span), "kind")
    by_type = count_by(stored, "type")
    return {
        "stored": sum(by_type.values()),
        "corrections": changes.get(MemoryHistory.Kind.CORRECTED, 0),
        "repeats": changes.get(MemoryHistory.Kind.REPEATED, 0),
        "by_type": by_type,
        "by_source": count_by(stored, "source"),
    }


def _count_media(span: Span) -> Given:
    links = within(MessageMedia.objects.all(), "sent_at", span)
    by_kind = count_by(links.filter(file__isnull=False), "file__kind")
    return {
        "received": sum(by_kind.values()),
        "refused": count_by(links.exclude(refusal=""), "refusal"),
        "by_kind": by_kind,
        **count_kept_files(),
    }


def _measure_responses(answers: "QuerySet[Any]") -> Given:
    took = ExpressionWrapper(F("answered_at") - F("raw_message__received_at"), output_field=DurationField())
    seconds = Extract(took, "epoch")
    statement, parameters = answers.annotate(took=seconds).values("took").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), avg(took)::float8, percentile_cont(0.5) WITHIN GROUP (ORDER BY took),"
            f" percentile_cont(0.95) WITHIN GROUP (ORDER BY took) FROM ({statement}) AS answered",
            parameters,
        )
        row = cursor.fetchone()
    names = ("answered", "mean_seconds", "p50_seconds", "p95_seconds")
    return dict(zip(names, row, strict=True))


def _count_failures(messages: "QuerySet[Any]", span: Span) -> Given:
    failed = OutboundMessage.objects.filter(status=OutboundMessage.Status.FAILED)
    return {
        "unanswered": messages.filter(status=RawMessage.Status.RECEIVED).count(),
        "undelivered_by_code": count_by(within(failed, "created_at", span), "error_code"),
    }
