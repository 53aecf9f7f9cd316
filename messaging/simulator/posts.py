"""Signed form posts to the bot's webhooks: the fields Twilio sends, and the way they travel.

The URL is signed as Twilio sees it (``PUBLIC_BASE_URL``) and carried over loopback to the address the web
process listens on, as a reverse proxy would: nothing leaves the machine. Facts: contracts/twilio-whatsapp.md
§1, §4 and §5.
"""

import json
from urllib.parse import urlsplit

from django.conf import settings

from messaging.simulator.models import SimulatedMessage
from messaging.simulator.phones import PHONES_BY_ADDRESS
from whatsbot.exceptions import WhatsbotError
from whatsbot.integrations.twilio import sign

API_VERSION = "2010-04-01"
TIMEOUT = (2.0, 8.0)  # seconds to connect, and between bytes of the answer
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
# Twilio's own words for the two ways a message of ours can fail here.
NO_SUCH_PHONE = 63003
WEBHOOK_REFUSED, WEBHOOK_UNREACHABLE = 11200, 11205


class NoAnswer(WhatsbotError):
    """The web process did not answer."""


def is_ours(url: str) -> bool:
    """Whether a callback URL leads to this installation; the simulator calls no other."""
    return url.startswith(f"{settings.PUBLIC_BASE_URL}/")


def post_signed(*, url: str, fields: dict[str, str], token: str) -> int:
    """Post ``fields`` to a URL of ours and return the HTTP status. Hold no database connection while calling.

    ``token`` is the idempotency token that Twilio keeps the same when it repeats a request. Raises NoAnswer
    when no answer came.
    """
    import requests  # not needed by a web process that only shows the page

    path = url.removeprefix(settings.PUBLIC_BASE_URL)
    local = f"http://{ANY_ADDRESS.get(settings.HOST, settings.HOST)}:{settings.PORT}{path}"
    headers = {
        "Host": urlsplit(settings.PUBLIC_BASE_URL).netloc,
        "X-Twilio-Signature": sign(url=url, params=fields, token=settings.TWILIO_AUTH_TOKENS[0]),
        "I-Twilio-Idempotency-Token": token,
        "User-Agent": "TwilioProxy/1.1",
    }
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the environment has no business between us and ourselves
        try:
            answer = session.post(local, data=fields, headers=headers, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise NoAnswer from error
    return answer.status_code


def get_inbound_fields(message: SimulatedMessage) -> dict[str, str]:
    """Everything a real webhook carries for this message (examples 0, 5, 12 and 24 of the contract)."""
    phone = PHONES_BY_ADDRESS[message.from_address]
    profile = {"ProfileName": f"{phone.name} (simulated)"}
    if phone.number:
        profile["WaId"] = message.from_address.removeprefix("whatsapp:+")
    fields = {
        "SmsMessageSid": message.sid,
        "NumMedia": "0",
        "MessageType": "location" if message.place else "text",
        "SmsSid": message.sid,
        "SmsStatus": "received",
        "Body": message.body,
        "To": message.to_address,
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "MessageSid": message.sid,
        "AccountSid": settings.TWILIO_ACCOUNT_SID,
        "From": message.from_address,
        "ApiVersion": API_VERSION,
        "ChannelMetadata": json.dumps(
            {"type": "whatsapp", "data": {"context": profile}}, ensure_ascii=False, separators=(",", ":")
        ),
        **profile,
    }
    if not phone.number:
        fields["ExternalUserId"] = message.from_address
    if message.place:
        fields["Latitude"] = f"{message.place['latitude']:.12f}"
        fields["Longitude"] = f"{message.place['longitude']:.12f}"
        fields |= {name.title(): text for name in ("address", "label") if (text := message.place[name])}
    if message.replied_to:
        fields["OriginalRepliedMessageSid"] = message.replied_to.sid
        fields["OriginalRepliedMessageSender"] = message.replied_to.from_address
    return fields


def get_callback_fields(message: SimulatedMessage, *, status: str) -> dict[str, str]:
    """Everything a status callback carries when a message of the bot's has reached ``status``."""
    fields = {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "MessageStatus": status,
        "SmsStatus": status,
        "AccountSid": settings.TWILIO_ACCOUNT_SID,
        "From": message.from_address,
        "To": message.to_address,
        "ApiVersion": API_VERSION,
        "ChannelPrefix": "whatsapp",
        "ChannelInstallSid": f"XE{settings.TWILIO_ACCOUNT_SID.removeprefix('AC')}",
    }
    if status == SimulatedMessage.Status.READ:
        fields["EventType"] = "READ"
    if message.error_code:
        fields["ErrorCode"] = str(message.error_code)
        fields["ChannelStatusMessage"] = "The recipient is not on WhatsApp."
    return fields
