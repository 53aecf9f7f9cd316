"""Who reads whom, written down (`AuditEvent`): once a day for each token or login and person.

Programs read all day: what this process has written down already costs no statement (bench/api), and what another one
has is kept one by a unique index.
"""

from datetime import UTC, date
from typing import Any

from django.utils import timezone
from rest_framework.request import Request

from accounts.audit import Action, record
from accounts.models import ApiToken, AuditEvent, WhatsAppUser

MOST_NOTED = 100_000
Reading = tuple[int | None, str, int, date]  # login, program, person, day

_noted: set[Reading] = set()


def get_program(request: Request) -> str:
    """The name of the token that asks; blank for a login in a browser."""
    return str(request.auth)[:100] if isinstance(request.auth, ApiToken) else ""


def note_reading(request: Request, person: WhatsAppUser) -> None:
    """Write down that somebody reads what is kept of this person. Call before anything is answered."""
    program = get_program(request)
    reading = (request.user.pk, program, person.pk, timezone.now().astimezone(UTC).date())
    if reading in _noted:
        return
    event = AuditEvent(
        action=Action.READ,
        staff_id=request.user.pk,
        staff_name=request.user.get_username(),
        program=program,
        person_id=person.pk,
    )
    AuditEvent.objects.bulk_create([event], ignore_conflicts=True)
    if len(_noted) >= MOST_NOTED:
        _noted.clear()
    _noted.add(reading)


def note_deed(request: Request, action: AuditEvent.Action, person_id: int, **said: Any) -> None:
    """Write down what a request does to a person or their things, as `accounts.audit.record` does."""
    record(action, staff=request.user, program=get_program(request), person_id=person_id, **said)
