"""The OpenAPI description and the page that shows it."""

from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from api.base import ApiView
from whatsbot.content_security import STYLED


class OpenApiSchema(ApiView, SpectacularJSONAPIView):
    """``GET /schema``: OpenAPI 3 as JSON."""

    renderer_classes = SpectacularJSONAPIView.renderer_classes

    scopes = {"GET": None}


class _Docs(SpectacularSwaggerSplitView):
    """Swagger UI on our own files."""

    url_name = "api-schema"
    url_self = "/docs"


_show_docs = staff_member_required(_Docs.as_view())


def show_docs(request: HttpRequest) -> HttpResponse:
    """``GET /docs``: the documentation to try things out in, for a login of staff."""
    response = _show_docs(request)
    response.headers["Content-Security-Policy"] = STYLED
    return response


def keep_api(endpoints: list[Any]) -> list[Any]:
    """What is described: our views, not Twilio's webhooks nor the description itself."""
    return [
        each for each in endpoints if issubclass(each[3].cls, ApiView) and each[3].cls is not OpenApiSchema
    ]


def close_requests(result: Any, generator: Any, request: Any, public: bool) -> Any:
    """Bodies have the fields they have and no others (`api.fields.StrictSerializer`)."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    return result
