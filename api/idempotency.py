"""Requests with an ``Idempotency-Key``: what was done once is not done again (draft-ietf-httpapi-idempotency-key)."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Subquery
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from accounts.models import ApiToken
from api.errors import Conflict, Unprocessable
from api.models import IdempotentRequest
from memories.models import Memory
from memories.sameness import identify_key

KEPT = timedelta(days=7)
KEY = re.compile("^[!-~]{1,255}$")
HEADER = "Idempotency-Key"


def read_key(request: Request) -> str | None:
    """The client's key, made its own: two clients may use the same. Raises ParseError."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not KEY.fullmatch(key):
        raise ParseError(f"{HEADER}: 1 to 255 visible ASCII characters without spaces.")
    client = request.auth.pk if isinstance(request.auth, ApiToken) else f"login {request.user.pk}"
    return f"api:{client}:{key}"


def claim(*, user_id: int, key: str, body: Any) -> IdempotentRequest:
    """The request of this key, whether it is new, was cut off, or is done.

    Raises Unprocessable if the key came with another body before, Conflict if what it made has been deleted since.
    """
    fingerprint = _take_fingerprint(body)
    request, _ = IdempotentRequest.objects.get_or_create(
        user_id=user_id, identity=identify_key(key), defaults={"fingerprint": fingerprint}
    )
    if request.fingerprint != fingerprint:
        raise Unprocessable({"request": [f"This {HEADER} came with another body before."]})
    if request.is_done and request.memory_id is None:
        raise Conflict("What this request has made was deleted since.")
    return request


def finish(request: IdempotentRequest, *, memory_id: int) -> None:
    """Note what the request has made, unless that is gone already."""
    memory = Memory.objects.filter(id=memory_id).values("id")
    IdempotentRequest.objects.filter(id=request.id, is_done=False).update(
        is_done=True, memory=Subquery(memory)
    )


def forget_old() -> int:
    """Delete requests nobody repeats any more; returns how many."""
    return IdempotentRequest.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def _take_fingerprint(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True)
    return salted_hmac("api.idempotency", text, algorithm="sha256").hexdigest()
