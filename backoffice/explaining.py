"""The page of one message: what became of it and why, with buttons to do again what failed and to replay it.

Whoever may open people sees all of it, for a reason. Operators see the stages, which quote nobody.
"""

import json
import re
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts import audit
from backoffice.gate import MAY_OPEN, name_person, require_reason
from messaging.content import read_text
from messaging.message_facts import Facts
from messaging.models import RawMessage
from messaging.replay import CannotReplay, Replayed, can_be_compared, compare, replay
from messaging.retrying import NothingToRetry, retry
from messaging.stages import Explanation, explain
from whatsbot.integrations.twilio_error_texts import describe_error

MAY_LOOK = "messaging.view_rawmessage"
MAY_RETRY = "accounts.retry_work"
# Whoever has such a link can download everything (messaging/export.py); it is blanked once it is sent.
_KEY = re.compile(r"/export/[^/\s]+\.zip")


class ExplainedMessages:
    """For the list of messages: the page of each is `show_message`."""

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one message."""
        return show_message(request, object_id)

    def get_urls(self) -> list[URLPattern]:
        """The page's own posts, before what Django has."""
        own = [
            path(
                f"<path:object_id>/{name}/",
                admin.site.admin_view(view),
                name=f"messaging_rawmessage_{name}",
            )
            for name, view in (("retry", post_retry), ("replay", post_replay))
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]  # of ModelAdmin


def show_message(request: HttpRequest, object_id: str) -> HttpResponse:
    """``/admin/messaging/rawmessage/<id>/change/``. Raises PermissionDenied and Http404."""
    raw = _get_message(request, object_id)
    return _gate(request, raw) or _render(request, raw)


def post_retry(request: HttpRequest, object_id: str) -> HttpResponse:
    """Have a failed stage, named in ``stage``, done again. Shows nothing of anybody, so it needs no reason."""
    raw = _get_message(request, object_id, MAY_RETRY)
    if request.method != "POST":
        return HttpResponseRedirect(_get_address(raw))
    try:
        retry(raw.id, stage=request.POST.get("stage", ""), staff=request.user)
    except NothingToRetry as error:
        messages.error(request, f"Nothing was retried. {error}")
    else:
        messages.success(request, "A worker does it now. Reload the page to see how far it is.")
    return HttpResponseRedirect(_get_address(raw))


def post_replay(request: HttpRequest, object_id: str) -> HttpResponse:
    """Answer the message once more, without any effect, and show the difference."""
    raw = _get_message(request, object_id)
    if way := require_reason(request, raw.user_id):
        return way
    if request.method != "POST":  # behind the gate
        return HttpResponseRedirect(_get_address(raw))
    audit.record(audit.Action.REPLAYED, staff=request.user, person_id=raw.user_id, subject=raw)
    try:
        replayed = replay(raw.id)
    except CannotReplay as error:
        return _render(request, raw, cannot_replay=str(error))
    return _render(request, raw, replayed=replayed)


def _get_message(request: HttpRequest, object_id: str, *permissions: str) -> RawMessage:
    if not request.user.has_perms((MAY_LOOK, *permissions)):
        raise PermissionDenied
    is_number = object_id.isascii() and object_id.isdigit() and len(object_id) < 19
    raw = RawMessage.objects.select_related("user").filter(id=object_id).first() if is_number else None
    if raw is None:
        raise Http404("There is no such message.")
    return raw


def _get_address(raw: RawMessage) -> str:
    return reverse("admin:messaging_rawmessage_change", args=[raw.id])


def _may_read(request: HttpRequest) -> bool:
    return request.user.has_perm(MAY_OPEN)


def _gate(request: HttpRequest, raw: RawMessage) -> HttpResponse | None:
    """The way to the gate for those who may pass it; the others see no texts."""
    return require_reason(request, raw.user_id) if _may_read(request) else None


def _render(
    request: HttpRequest, raw: RawMessage, *, replayed: Replayed | None = None, cannot_replay: str = ""
) -> HttpResponse:
    explanation = explain(raw.id)
    if explanation is None:
        raise Http404("There is no such message.")
    reads = _may_read(request)
    name = name_person(raw.user, is_shown=reads)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": f"Message of {name}, {raw.received_at:%d %b %Y %H:%M} UTC",
        "person": raw.user,
        "name": name,
        "raw": raw,
        "turn": explanation.facts.turn,
        "facts": explanation.facts,
        "reads": reads,
        "may_retry": request.user.has_perm(MAY_RETRY),
        "stages": _list_stages(explanation),
        "steps": _list_steps(explanation.facts, reads=reads),
        "parts": _list_parts(explanation.facts),
        "others": [each for each in explanation.facts.messages if each.id != raw.id],
        "cannot_replay": cannot_replay,
    }
    if reads:
        turn = explanation.facts.turn
        context |= {
            "text": read_text(raw),
            "answer": _KEY.sub("/export/•••.zip", turn.answer) if turn else "",
            "payload": _as_json(raw.payload),
            "transcript": _as_json(turn.transcript) if turn and turn.transcript else "",
        }
        if replayed is not None:
            context |= _show_replayed(explanation.facts, replayed)
    return TemplateResponse(request, "backoffice/message.html", context)


def _list_stages(explanation: Explanation) -> list[dict[str, Any]]:
    return [
        {"stage": stage, "took": say_duration(stage.took) if stage.took is not None else ""}
        for stage in explanation.stages
    ]


def _list_steps(facts: Facts, *, reads: bool) -> list[dict[str, Any]]:
    """What was asked of the model and of its tools, in order; arguments and outcomes quote people."""
    steps: list[dict[str, Any]] = []
    for step in facts.turn.transcript if facts.turn else ():
        if isinstance(model := step.get("model"), dict):
            spent = model.get("tokens") or (0, 0)
            steps.append(
                {"ending": model.get("ending", ""), "reason": model.get("reason", ""), "tokens": spent}
            )
        elif isinstance(tool := step.get("tool"), dict):
            shown = {name: _as_json(tool.get(name)) for name in ("args", "outcome")} if reads else {}
            steps.append({"tool": tool.get("name", ""), **shown})
    return steps


def _list_parts(facts: Facts) -> list[dict[str, Any]]:
    return [
        {
            "part": part,
            "error": describe_error(part.error_code),
            "events": [
                {"event": event, "error": describe_error(event.error_code)}
                for event in facts.events
                if event.outbound_message_id == part.id
            ],
        }
        for part in facts.parts
    ]


def _show_replayed(facts: Facts, replayed: Replayed) -> dict[str, Any]:
    turn = facts.turn
    pieces = None
    if turn is not None and can_be_compared(turn):
        pieces = compare(turn.answer, replayed.answer)
    return {
        "replayed": replayed,
        "seconds": say_duration(timedelta(seconds=replayed.seconds)),
        "pieces": pieces,
        "is_same": pieces is not None and all(piece.kind == "same" for piece in pieces),
        "replayed_tools": [
            {"tool": tool.name, "args": _as_json(tool.arguments), "outcome": _as_json(tool.result)}
            for tool in replayed.tools
        ],
    }


def _as_json(value: Any) -> str:
    return _KEY.sub("/export/•••.zip", json.dumps(value, indent=2, ensure_ascii=False))


def say_duration(duration: timedelta) -> str:
    """A duration as people read it: 0.04 s, 3.2 s, 2 min 5 s, 1 h 3 min."""
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
