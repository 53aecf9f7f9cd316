"""What is logged, and how: of requests what Django says, without what people said and who they are."""

import logging
import traceback
from typing import Any

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"impersonal": {"()": "whatsbot.logs.Impersonal"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django.request": {"filters": ["impersonal"]},
        # These print addresses, texts or job arguments at INFO.
        "twilio.http_client": {"level": "WARNING"},
        "mem0": {"level": "WARNING"},
        "mem0.client.utils": {
            "level": "CRITICAL"
        },  # an error for every refusal, though it be an ordinary 404
        "mem0.utils.spacy_models": {"level": "ERROR"},  # warns that an optional package is not there
        "axes": {"level": "WARNING"},
        "procrastinate": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        "google_genai": {"level": "ERROR"},  # warns of a variable that we make it ignore
        "psycopg.pool": {
            "level": "ERROR"
        },  # a line for each attempt while PostgreSQL is away; ours says it once
        # Scanners knock with foreign host names all day; a 400 is answer enough.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}


class Impersonal(logging.Filter):
    """Names an address by its pattern, and an exception by its kind and where it was raised.

    Addresses have numbers and signed links in them; the text of an exception may quote a row or a request.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        request: Any = getattr(record, "request", None)
        path = getattr(request, "path", None)
        if path and isinstance(record.args, tuple):
            name = _name_address(request)
            record.args = tuple(name if argument == path else argument for argument in record.args)
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            frames = "".join(traceback.format_tb(error.__traceback__))
            record.exc_text = f"{frames}{type(error).__module__}.{type(error).__qualname__}"
            record.exc_info = None
        return True


def _name_address(request: Any) -> str:
    """The pattern an address fits; of one that fits none, as much as cannot be anybody's."""
    if match := getattr(request, "resolver_match", None):
        return f"/{match.route}"
    first = request.path.split("/")[1]
    return f"/{first}/…" if first.isascii() and first.isalpha() and len(first) < 20 else "/…"
