"""Pages of the back-office that belong to no list."""

from django.contrib import admin
from django.urls import path

from backoffice import conversation, writing
from backoffice.exporting import export_person
from backoffice.gate import ask_reason
from backoffice.login import sign_in
from backoffice.second_factor import show_second_factor
from backoffice.settings_page import show_settings

_CONVERSATION = "accounts/whatsappuser/<int:person_id>/conversation/"

urlpatterns = [
    path(
        _CONVERSATION, admin.site.admin_view(conversation.show_conversation), name="backoffice-conversation"
    ),
    *(
        path(f"{_CONVERSATION}{way}/", admin.site.admin_view(view), name=f"backoffice-conversation-{way}")
        for way, view in (
            ("newest", conversation.show_newest),
            ("take-over", writing.take_over),
            ("write", writing.write),
            ("hand-back", writing.hand_back),
        )
    ),
    path("reason/<int:person_id>/", admin.site.admin_view(ask_reason), name="backoffice-reason"),
    path("settings/", admin.site.admin_view(show_settings), name="backoffice-settings"),
    path("export/<int:person_id>/", admin.site.admin_view(export_person), name="backoffice-export"),
    path("login/", sign_in),
    path("second-factor/", admin.site.admin_view(show_second_factor), name="backoffice-second-factor"),
]
