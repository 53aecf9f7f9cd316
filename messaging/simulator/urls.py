"""Included under ``/simulator``; the page has no trailing slash."""

from django.urls import path

from messaging.simulator import twilio_api, views

app_name = "simulator"
urlpatterns = [
    path("", views.show_page, name="page"),
    path("/messages", views.get_messages, name="messages"),
    path("/send", views.send, name="send"),
    path("/seen", views.mark_seen, name="seen"),
    path("/twilio/2010-04-01/Accounts/<account>/Messages.json", twilio_api.messages, name="twilio-messages"),
    path(
        "/twilio/2010-04-01/Accounts/<account>/Messages/<sid>.json", twilio_api.message, name="twilio-message"
    ),
    path("/twilio/v2/Indicators/Typing.json", twilio_api.typing, name="twilio-typing"),
]
