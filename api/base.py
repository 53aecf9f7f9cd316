"""What every view of the API shares: who is let in, how requests are read, and who is asked about."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAcceptable, NotFound, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Scope, WhatsAppUser
from accounts.people import get_person
from api.access import HasScope, PerToken, TokenAuthentication
from api.errors import PROBLEM, InvalidQuery, TooLarge, Unprocessable, exception_handler
from api.fields import NumberField, StrictSerializer
from whatsbot.content_security import STYLED

NOBODY = "The bot has never heard from this number."
Given = dict[str, Any]


class LimitedJSONParser(JSONParser):
    """JSON of at most `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes, in any depth Python can read."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """What was sent. Raises TooLarge, ParseError."""
        request = (parser_context or {})["request"]
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            raise ParseError("Content-Length is no number.") from None
        if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge
        try:
            return super().parse(stream, media_type, parser_context)
        except (RecursionError, UnicodeError):
            raise ParseError("The body is not JSON we can read.") from None
        except ParseError:
            raise ParseError("The body is not JSON.") from None  # without what was sent


class Negotiation(DefaultContentNegotiation):
    """JSON for whoever asks for something we do not have, as RFC 9110 §12.1 allows: a problem has to be readable."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        """The renderer and its media type."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            return renderers[0], renderers[0].media_type


class Pages(BrowsableAPIRenderer):
    """The API to look at in a browser."""

    template = "api/browsable.html"


class ApiView(APIView):
    """``scopes`` says for each method what a token must be good for; a method without an entry is a mistake."""

    scopes: ClassVar[Mapping[str, Scope | None]]
    can_be_missing = True  # what is asked for may not be there: 404

    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = (HasScope,)
    throttle_classes = (PerToken,)
    parser_classes = (LimitedJSONParser,)
    renderer_classes: Sequence[type[BaseRenderer]] = (JSONRenderer, Pages)
    content_negotiation_class = Negotiation

    def get_exception_handler(self) -> Any:
        """Errors become problems."""
        return exception_handler

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Problems have a media type of their own."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(response, Response):
            if isinstance(getattr(response, "accepted_renderer", None), Pages):
                response.headers["Content-Security-Policy"] = STYLED
            elif response.status_code >= 400:
                response.content_type = PROBLEM
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response


def read_query(request: Request, serializer: type[StrictSerializer]) -> Given:
    """The parameters of the address. Raises InvalidQuery."""
    lists = {name for name, field in serializer().fields.items() if isinstance(field, serializers.ListField)}
    given: Given = {}
    for name, values in request.query_params.lists():
        if name not in lists and len(values) > 1:
            raise InvalidQuery({name: ["Give it once."]})
        given[name] = values if name in lists else values[0]
    return _read(serializer(data=given), InvalidQuery)


def read_body(request: Request, serializer: type[StrictSerializer], **context: Any) -> Given:
    """The fields of the body; ``zone`` is where times without an offset are. Raises Unprocessable."""
    return _read(serializer(data=request.data, context=context | {"is_body": True}), Unprocessable)


def _read(serializer: StrictSerializer, failure: type[InvalidQuery] | type[Unprocessable]) -> Given:
    if not serializer.is_valid():
        raise failure(serializer.errors)
    return dict(serializer.validated_data)


class PersonFields(StrictSerializer):
    """Whom a request is about."""

    whatsapp_number = NumberField()
    country = serializers.RegexField(
        "^[A-Za-z]{2}$",
        required=False,
        help_text="ISO 3166 code of the country a national number is of.",
    )

    def validate(self, attrs: Given) -> Given:
        """The number as E.164."""
        country = attrs.pop("country", None)
        try:
            attrs["whatsapp_number"] = NumberField.read(attrs["whatsapp_number"], country=country)
        except ValueError as error:
            raise serializers.ValidationError({"whatsapp_number": [str(error)]}) from None
        return attrs


def find_person(given: Given) -> WhatsAppUser:
    """The person ``whatsapp_number`` names. Raises NotFound."""
    person = get_person(given["whatsapp_number"])
    if person is None:
        raise NotFound(NOBODY)
    return person
