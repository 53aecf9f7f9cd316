"""Every address of Whatsbot. Only this module looks up at the apps."""

from django.conf import settings
from django.contrib import admin
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from media.serving import serve_file, serve_link, serve_thumbnail
from messaging.export import download_export
from messaging.webhooks import MessageWebhook, StatusWebhook
from whatsbot.health import is_live

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(url="/simulator" if settings.SIMULATOR else "/admin/")),
    path("favicon.ico", lambda request: redirect(static("whatsbot/icon.svg"))),
    path("webhook", MessageWebhook.as_view()),
    path("webhook/status", StatusWebhook.as_view()),
    path("export/<str:token>.zip", download_export),
    path("media/files/<int:file_id>", serve_file, name="media-file"),
    path("media/files/<int:file_id>/thumbnail", serve_thumbnail, name="media-thumbnail"),
    path("media/<str:token>/<str:name>", serve_link),
    path("health/live", is_live),
    path("admin/", include("backoffice.urls")),
    path("admin/", admin.site.urls),
    path("", include("api.urls")),
]
handler400, handler404, handler500 = (
    f"api.errors.{name}" for name in ("bad_request", "page_not_found", "server_error")
)
if settings.SIMULATOR:
    urlpatterns.append(path("simulator", include("messaging.simulator.urls")))
