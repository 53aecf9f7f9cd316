"""Included under ``/simulator``; the page has no trailing slash."""

from django.urls import path

from messaging.simulator import media_views, twilio_api, twilio_media, views

app_name = "simulator"
MESSAGE = "/twilio/2010-04-01/Accounts/<account>/Messages/<message>"
urlpatterns = [
    path("", views.show_page, name="page"),
    path("/messages", views.get_messages, name="messages"),
    path("/send", views.send, name="send"),
    path("/seen", views.mark_seen, name="seen"),
    path("/media/<sid>", media_views.show_media, name="media"),
    path("/twilio/2010-04-01/Accounts/<account>/Messages.json", twilio_api.messages, name="twilio-messages"),
    path(
        "/twilio/2010-04-01/Accounts/<account>/Messages/<sid>.json", twilio_api.message, name="twilio-message"
    ),
    path(f"{MESSAGE}/Media.json", twilio_media.media_list, name="twilio-media-list"),
    path(f"{MESSAGE}/Media/<sid>.json", twilio_media.media_resource, name="twilio-media"),
    path(f"{MESSAGE}/Media/<sid>", twilio_media.media_content, name="twilio-media-content"),
    path("/twilio/cdn/<token>", twilio_media.cdn, name="twilio-cdn"),
    path("/twilio/v2/Indicators/Typing.json", twilio_api.typing, name="twilio-typing"),
]
