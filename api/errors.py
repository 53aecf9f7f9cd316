"""Errors as RFC 9457 has them: one JSON shape for all, with a status that means what it says and no exception text."""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.response import Response

from whatsbot.database import discard_broken_connections
from whatsbot.exceptions import ProviderError

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
STORE_RETRY_SECONDS = 10


class InvalidQuery(exceptions.ValidationError):
    """Parameters of an address that are not what they should be: 400."""


class Unprocessable(exceptions.APIException):
    """What could be read and cannot be done: fields of a body, or what does not fit together. By field."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, errors: Any) -> None:
        super().__init__()
        self.detail = errors


class Conflict(exceptions.APIException):
    """The request does not fit what has happened."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "The request does not fit what has happened."


class TooLarge(exceptions.APIException):
    """More bytes than a request may have."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."


class Unavailable(exceptions.APIException):
    """Something this needs is away; nothing was done."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Something this needs is away. Nothing was done; try again."
    wait = STORE_RETRY_SECONDS


def describe_problem(
    code: int, detail: str = "", *, errors: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """The members of a problem; ``errors`` has what is wrong with each field."""
    problem: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(code).phrase, "status": code}
    if detail:
        problem["detail"] = detail
    if errors:
        problem["errors"] = errors
    return problem


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """What a view has raised, as a problem; None for what nobody expected, which Django logs and answers with 500."""
    known = _translate(error)
    if known is None:
        return None
    headers = {}
    if challenge := getattr(known, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(known, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, int(wait + 0.999)))
    if isinstance(known, exceptions.ValidationError | Unprocessable):
        errors = dict(_list_errors(known.detail))
        problem = describe_problem(known.status_code, "Some fields are not as they should be.", errors=errors)
    else:
        problem = describe_problem(known.status_code, str(known.detail))
    return Response(problem, status=known.status_code, headers=headers)


def _translate(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, Http404 | ObjectDoesNotExist):  # gone in between
        return exceptions.NotFound("There is nothing here.")
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):
        return TooLarge()
    if isinstance(error, SuspiciousOperation):
        return exceptions.ParseError("The request is malformed.")
    if isinstance(error, ProviderError):
        log.warning("the memory store did not answer the API: %s", type(error).__name__)
        return Unavailable("The memory store does not answer. Nothing was done; try again.")
    if isinstance(error, OperationalError | InterfaceError):
        log.error("the database did not answer the API: %s", type(error).__name__)
        discard_broken_connections()
        return Unavailable("The database does not answer. Nothing was done; try again.")
    return None


def _list_errors(detail: Any) -> Iterator[tuple[str, list[str]]]:
    """Field and messages; what concerns no single field stands under ``request``."""
    if isinstance(detail, Mapping):
        for field, messages in detail.items():
            name = "request" if field == "non_field_errors" else str(field)
            yield name, [*_flatten(messages)]
    else:
        yield "request", [*_flatten(detail)]


def _flatten(messages: Any) -> Iterator[str]:
    if isinstance(messages, Mapping):
        for message in messages.values():
            yield from _flatten(message)
    elif isinstance(messages, list | tuple):
        for message in messages:
            yield from _flatten(message)
    else:
        yield str(messages)


def _answer(request: HttpRequest, code: int, detail: str) -> HttpResponse | None:
    """A problem for a program; None for a browser, which gets a page."""
    if request.accepts("text/html") and "html" in request.headers.get("Accept", ""):
        return None
    return JsonResponse(describe_problem(code, detail), status=code, content_type=PROBLEM)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 for an address that nothing answers."""
    return _answer(request, 404, "There is nothing here.") or defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 for what Django refuses before a view is asked."""
    return _answer(request, 400, "The request is malformed.") or defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: the reason is in the log and nowhere else."""
    return _answer(request, 500, "Something went wrong here.") or defaults.server_error(request)
