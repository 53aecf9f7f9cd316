"""All that is kept of a person, for staff who answer "what do you know of me"."""

from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import permission_required
from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.audit import Action, record
from accounts.models import WhatsAppUser
from backoffice.gate import require_reason
from messaging.export import write_export


@require_POST
@permission_required("accounts.export_whatsappuser", raise_exception=True)
def export_person(request: HttpRequest, person_id: int) -> HttpResponseBase:
    """``POST /admin/export/<person>/``: the zip that the person gets by /export; who took it is written down first."""
    person = get_object_or_404(WhatsAppUser, id=person_id)
    if way := require_reason(request, person.id):
        return way
    record(Action.EXPORTED, staff=request.user, person_id=person.id, subject=person)
    day = timezone.now().astimezone(ZoneInfo(person.timezone)).date()
    file = write_export(person)
    return FileResponse(
        file,
        content_type="application/zip",
        as_attachment=True,
        filename=f"whatsbot-{day}.zip",
        headers={"Cache-Control": "no-store"},
    )
