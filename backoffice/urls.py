"""Pages of the back-office that belong to no list."""

from django.contrib import admin
from django.urls import path

from backoffice.exporting import export_person
from backoffice.gate import ask_reason
from backoffice.settings_page import show_settings

urlpatterns = [
    path("reason/<int:person_id>/", admin.site.admin_view(ask_reason), name="backoffice-reason"),
    path("settings/", admin.site.admin_view(show_settings), name="backoffice-settings"),
    path("export/<int:person_id>/", admin.site.admin_view(export_person), name="backoffice-export"),
]
