"""The two doors Twilio knocks at. Each request proves itself by its signature before anything is read or written."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from rest_framework.exceptions import MethodNotAllowed, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.views import APIView

from messaging.delivery import record_delivery_event
from messaging.inbound import InboundMessage, receive_message
from whatsbot.drf import twiml, twiml_exception_handler
from whatsbot.exceptions import InvalidTwilioSignature
from whatsbot.integrations.twilio import is_signed_by_twilio

FORM = "application/x-www-form-urlencoded"


class TwilioWebhook(APIView):
    """Something Twilio posted: 405, 415 or 403 unless it is a signed form; then whatever the subclass does."""

    http_method_names = ("post",)
    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        post = request._request
        if post.method != "POST":
            raise MethodNotAllowed(post.method or "none")
        if post.content_type != FORM:
            raise UnsupportedMediaType(post.content_type or "none")
        if not is_signed_by_twilio(
            url=settings.PUBLIC_BASE_URL + post.get_full_path(),
            params=post.POST,
            signature=post.META.get("HTTP_X_TWILIO_SIGNATURE"),
            settings_header=post.META.get("HTTP_X_TWILIO_WEBHOOKS_SIGNATURE_SETTINGS"),
            tokens=settings.TWILIO_AUTH_TOKENS,
        ):
            raise InvalidTwilioSignature

    def get_exception_handler(self) -> Any:
        return twiml_exception_handler


class MessageWebhook(TwilioWebhook):
    """``POST /webhook``: an inbound message, or a repeat of one."""

    def post(self, request: Request) -> HttpResponse:
        receive_message(InboundMessage.from_post(request._request.POST))
        return twiml()


class StatusWebhook(TwilioWebhook):
    """``POST /webhook/status``: what became of a message we sent; any order, any number of times."""

    def post(self, request: Request) -> HttpResponse:
        record_delivery_event(post=request._request.POST, tag=request._request.GET.get("o"))
        return twiml()
