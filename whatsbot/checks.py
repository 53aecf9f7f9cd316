"""System checks: settings that contradict each other are said at the start, with the setting's name."""

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from whatsbot.integrations.embedder import EMBEDDERS
from whatsbot.integrations.guarded_http import AddressRefused, split_url

MOST_BURST_SECONDS = 30
MOST_DEADLINE_SECONDS = 600
# A name or IPv4 address, or an IPv6 address in brackets; perhaps a port.
HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


@register
def check_twilio(**kwargs: Any) -> list[CheckMessage]:
    """With real Twilio, everything it needs is set; the simulator never runs beside it."""
    if settings.SIMULATOR:
        generated = settings.GENERATED["SIMULATOR_ACCOUNT_SID"]
        if generated != settings.TWILIO_ACCOUNT_SID:
            return [
                Error(
                    "SIMULATOR is on together with Twilio credentials.",
                    hint="Set SIMULATOR=false for the real bot, or unset TWILIO_ACCOUNT_SID for the simulator.",
                    id="whatsbot.E001",
                )
            ]
        return []
    needed = {
        "TWILIO_ACCOUNT_SID": settings.TWILIO_ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": settings.TWILIO_AUTH_TOKENS,
        "TWILIO_WHATSAPP_NUMBER": settings.TWILIO_WHATSAPP_NUMBER,
    }
    missing = [name for name, value in needed.items() if not value]
    found: list[CheckMessage] = []
    if missing:
        found.append(
            Error(
                f"SIMULATOR is off, and these settings are missing: {', '.join(missing)}.", id="whatsbot.E002"
            )
        )
    if settings.TWILIO_WHATSAPP_NUMBER and not settings.TWILIO_WHATSAPP_NUMBER.startswith("whatsapp:"):
        found.append(
            Error(
                "TWILIO_WHATSAPP_NUMBER is not a channel address.",
                hint="It looks like whatsapp:+12025550199.",
                id="whatsbot.E003",
            )
        )
    if not settings.PUBLIC_BASE_URL.startswith("https://") and not settings.TWILIO_API_BASE_URL:
        found.append(
            Warning(
                "PUBLIC_BASE_URL is not an https address, so Twilio cannot reach this bot safely.",
                hint="Set it to the address configured at Twilio, without a path.",
                id="whatsbot.W004",
            )
        )
    return found


@register
def check_embedder(**kwargs: Any) -> list[CheckMessage]:
    """The embedder exists and has what it needs; Mem0's platform has one of its own."""
    if settings.MEMORY_EMBEDDER not in EMBEDDERS:
        text = f"MEMORY_EMBEDDER is not one of: {', '.join(EMBEDDERS)}."
    elif settings.MEMORY_EMBEDDER == "gemini" and not settings.GEMINI_API_KEY and not settings.MEM0_API_KEY:
        text = "MEMORY_EMBEDDER is gemini, and GEMINI_API_KEY is not set."
    else:
        return []
    return [Error(text, hint="The embedder that needs nothing is MEMORY_EMBEDDER=local.", id="whatsbot.E005")]


@register
def check_conversation(**kwargs: Any) -> list[CheckMessage]:
    """A language model has a name, and nobody waits for a burst longer than for an answer."""
    wrong = []
    if settings.GEMINI_API_KEY and not settings.GEMINI_MODEL:
        wrong.append(Error("GEMINI_API_KEY is set, and GEMINI_MODEL is empty.", id="whatsbot.E006"))
    if not 0 <= settings.BURST_SECONDS <= MOST_BURST_SECONDS:
        text = f"BURST_SECONDS is not between 0 and {MOST_BURST_SECONDS}."
        wrong.append(
            Error(text, hint="The default is 3; 0 answers each message by itself.", id="whatsbot.E007")
        )
    return [*wrong]


@register
def check_media(**kwargs: Any) -> list[CheckMessage]:
    """Files have a place, a size and a time, and come from hosts."""
    wrong = []
    if settings.AWS_STORAGE_BUCKET_NAME and bool(settings.AWS_ACCESS_KEY_ID) != bool(
        settings.AWS_SECRET_ACCESS_KEY
    ):
        wrong.append(
            Error(
                "Of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY one is set and the other is not.",
                hint="Set both, or neither for a role of the machine.",
                id="whatsbot.E008",
            )
        )
    if settings.MEDIA_MAX_BYTES < 1:
        hint = "The default is 67108864, which is 64 MB."
        wrong.append(Error("MEDIA_MAX_BYTES is not more than 0.", hint=hint, id="whatsbot.E009"))
    if not 1 <= settings.MEDIA_DEADLINE_SECONDS <= MOST_DEADLINE_SECONDS:
        text = f"MEDIA_DEADLINE_SECONDS is not between 1 and {MOST_DEADLINE_SECONDS}."
        wrong.append(Error(text, hint="The default is 60.", id="whatsbot.E009"))
    if strange := [host for host in settings.TWILIO_MEDIA_HOSTS if not HOST.fullmatch(host)]:
        text = f"TWILIO_MEDIA_HOSTS has what is no host: {', '.join(strange)}."
        wrong.append(
            Error(text, hint="It looks like media.example.com or 127.0.0.1:8000.", id="whatsbot.E009")
        )
    return [*wrong]


@register
def check_api(**kwargs: Any) -> list[CheckMessage]:
    """A limit is a number of requests."""
    if settings.API_REQUESTS_PER_MINUTE >= 0:
        return []
    hint = "The default is 600; 0 means no limit."
    return [Error("API_REQUESTS_PER_MINUTE is less than 0.", hint=hint, id="whatsbot.E011")]


@register
def check_logins(**kwargs: Any) -> list[CheckMessage]:
    """Limits of logins and sessions limit, and let somebody in."""
    least = {
        "LOGIN_FAILURES": 1,
        "LOGIN_FAILURES_ANYWHERE": settings.LOGIN_FAILURES,
        "LOGIN_LOCK_MINUTES": 1,
        "TRUSTED_PROXIES": 0,
        "STAFF_SESSION_HOURS": 0.1,
        "STAFF_IDLE_MINUTES": 2,  # a use is written down once a minute
    }
    return [
        Error(f"{name} is less than {number}.", hint="Its default is in .env.example.", id="whatsbot.E020")
        for name, number in least.items()
        if getattr(settings, name) < number
    ]


@register
def check_webhooks(**kwargs: Any) -> list[CheckMessage]:
    """What webhooks may be sent to besides the public internet are hosts."""
    strange = [host for host in settings.WEBHOOK_LOCAL_HOSTS if not _is_host(host)]
    if not strange:
        return []
    text = f"WEBHOOK_LOCAL_HOSTS has what is no host: {', '.join(strange)}."
    return [Error(text, hint="It looks like automation.example or 127.0.0.1:5678.", id="whatsbot.E010")]


def _is_host(text: str) -> bool:
    try:
        return bool(HOST.fullmatch(text) and split_url(f"https://{text}"))
    except AddressRefused:
        return False
