"""Who looked at whose data, why, and what they did: written once, never changed (`AuditEvent`)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import AuditEvent, StaffUser

Action = AuditEvent.Action
NOBODY = "whatsbot"  # who did what no login asked for
SHORTEST_REASON = 5  # characters; fewer say nothing


def record(
    action: AuditEvent.Action,
    *,
    staff: Any,
    person_id: int | None = None,
    subject: models.Model | None = None,
    reason: str = "",
    program: str = "",
    detail: dict[str, Any] | None = None,
) -> AuditEvent:
    """Write down what ``staff``, a login, did to ``subject`` or to a person. Call in the transaction of the deed.

    ``staff`` is None for what the bot does in nobody's name.
    ``detail`` is kept for ever: counts and names of fields, never what anybody wrote.
    """
    return AuditEvent.objects.create(
        action=action,
        staff_id=staff.pk if staff else None,
        staff_name=staff.get_username() if staff else NOBODY,
        program=program,
        person_id=person_id,
        object_type=subject._meta.label_lower if subject else "",
        object_id=str(getattr(subject, "audit_key", subject.pk)) if subject else "",
        reason=reason,
        detail=detail or {},
    )


def open_person(*, staff: StaffUser, person_id: int, reason: str) -> AuditEvent:
    """Let a login look at a person's data for `REASON_MINUTES`, for this reason. Raises ValueError without one."""
    reason = " ".join(reason.split())
    if len(reason) < SHORTEST_REASON:
        raise ValueError("A reason says why, in a few words.")
    return record(Action.OPENED, staff=staff, person_id=person_id, reason=reason[:500])


def get_open_reasons(
    staff: Any, *, person_ids: "Collection[int] | QuerySet[Any, int]"
) -> dict[int, datetime]:
    """Which of these people a login may look at now, and until when. One statement."""
    valid = timedelta(minutes=settings.REASON_MINUTES)
    opened = AuditEvent.objects.filter(
        staff_id=staff.pk, action=Action.OPENED, at__gt=timezone.now() - valid, person_id__in=person_ids
    )
    return {
        event.person_id: event.at + valid
        for event in opened.order_by("at").only("person_id", "at")
        if event.person_id is not None
    }


def has_open_reason(staff: Any, *, person_ids: "Collection[int] | QuerySet[Any, int]") -> bool:
    """Whether a login has given a reason, not long ago, to look at one of these people."""
    return bool(get_open_reasons(staff, person_ids=person_ids))
