"""How Django REST framework behaves here: errors as JSON for programs, as TwiML comments for Twilio."""

import re
from typing import Any
from xml.sax.saxutils import escape

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import HttpResponse
from rest_framework import status
from rest_framework.exceptions import APIException

from whatsbot.exceptions import DatabaseUnavailable, WhatsbotError

EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


def twiml(*, reason: str = "", status_code: int = 200) -> HttpResponse:
    """An answer to Twilio that never becomes a message to the person (contracts/twilio-whatsapp.md §2).

    ``reason`` is for whoever reads Twilio's debugger; it travels in an XML comment.
    """
    if not reason:
        return HttpResponse(EMPTY_TWIML, content_type="text/xml", status=status_code)
    comment = re.sub("-+", "-", escape(reason))  # two of them would end the comment
    body = f'<?xml version="1.0" encoding="UTF-8"?><Response><!-- {comment} --></Response>'
    return HttpResponse(body, content_type="text/xml", status=status_code)


def twiml_exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Turn what a webhook view raises into a status and a reason Twilio can show. Anything else is a real 500."""
    if isinstance(error, DatabaseUnavailable):
        return twiml(reason=str(error), status_code=status.HTTP_503_SERVICE_UNAVAILABLE)
    if isinstance(error, PermissionDenied):
        return twiml(reason=_reason(error, "Forbidden."), status_code=status.HTTP_403_FORBIDDEN)
    if isinstance(error, RequestDataTooBig):
        return twiml(reason="The request is too large.", status_code=status.HTTP_413_REQUEST_ENTITY_TOO_LARGE)
    if isinstance(error, BadRequest | SuspiciousOperation):
        return twiml(reason=_reason(error, "Bad request."), status_code=status.HTTP_400_BAD_REQUEST)
    if isinstance(error, APIException):
        return twiml(reason=str(error.default_detail), status_code=error.status_code)
    return None


def _reason(error: Exception, fallback: str) -> str:
    """Our own errors explain themselves; others may quote what was sent."""
    return str(error) if isinstance(error, WhatsbotError) else fallback
