"""Signed form posts to the bot's webhooks: the fields Twilio sends, and the way they travel.

The URL is signed as Twilio sees it (``PUBLIC_BASE_URL``) and carried over loopback to the address the web
process listens on, as a reverse proxy would: nothing leaves the machine. Facts: contracts/twilio-whatsapp.md
§1, §4 and §5.
"""

import json
from urllib.parse import urlsplit

from django.conf import settings

from messaging.simulator.attachments import infer_message_type
from messaging.simulator.models import SimulatedMedia, SimulatedMessage
from messaging.simulator.phones import PHONES_BY_ADDRESS
from whatsbot.exceptions import WhatsbotError
from whatsbot.integrations.twilio import sign

API_VERSION = "2010-04-01"
TIMEOUT = (2.0, 8.0)  # seconds to connect, and between bytes of the answer
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
# Twilio's numbers for the two ways a phone's message can fail.
WEBHOOK_REFUSED, WEBHOOK_UNREACHABLE = 11200, 11205
# What can become of a message to a phone: Twilio's number and words.
NO_SUCH_PHONE, MEDIA_NOT_FETCHED, MEDIA_TOO_BIG = 63003, 63019, 63034
FAULTS = {
    NO_SUCH_PHONE: "Channel could not find To address",
    MEDIA_NOT_FETCHED: "Media failed to download",
    MEDIA_TOO_BIG: "Media exceeds size limit",
}


class NoAnswer(WhatsbotError):
    """The web process did not answer."""


def is_ours(url: str) -> bool:
    """Whether a callback URL leads to this installation; the simulator calls no other."""
    return url.startswith(f"{settings.PUBLIC_BASE_URL}/")


def carry(url: str) -> tuple[str, str]:
    """Where on this machine a public URL of ours is answered, and the ``Host`` to ask there."""
    path = url.removeprefix(settings.PUBLIC_BASE_URL)
    local = f"http://{ANY_ADDRESS.get(settings.HOST, settings.HOST)}:{settings.PORT}{path}"
    return local, urlsplit(settings.PUBLIC_BASE_URL).netloc


def get_media_url(media: SimulatedMedia) -> str:
    """Where the bot gets the media of an inbound message, as Twilio builds it."""
    account = f"{API_VERSION}/Accounts/{settings.TWILIO_ACCOUNT_SID}"
    return f"{settings.TWILIO_API_BASE_URL}/{account}/Messages/{media.message.sid}/Media/{media.sid}"


def post_signed(*, url: str, fields: dict[str, str], token: str) -> int:
    """Post ``fields`` to a URL of ours and return the HTTP status. Hold no database connection while calling.

    ``token`` is the idempotency token that Twilio keeps the same when it repeats a request. Raises NoAnswer
    when no answer came.
    """
    import requests  # not needed by a web process that only shows the page

    local, host = carry(url)
    headers = {
        "Host": host,
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
    """Everything a real webhook carries for this message (examples 0 to 5, 12, 13 and 22 to 24 of the contract)."""
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
    if media := message.attachment:
        fields["NumMedia"] = "1"
        fields["MessageType"] = infer_message_type(media.content_type)
        fields["MediaContentType0"] = media.content_type
        fields["MediaUrl0"] = get_media_url(media)
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
        fields["ChannelStatusMessage"] = FAULTS[message.error_code]
    return fields
