"""The project's own settings on a PostgreSQL of the tests' own, with Twilio's credentials of the recorded payloads.

pytest-django needs the database's address before any conftest runs, so the server is started here.
"""

import atexit
import os
import tempfile
from pathlib import Path

ACCOUNT_SID = "AC0123456789abcdef0123456789abcdef"
AUTH_TOKEN = "12345"
SENDER = "whatsapp:+12025550199"

# Nothing of the developer's own environment or .env reaches a test.
for name in list(os.environ):
    if name.startswith(("TWILIO_", "MEM0_", "GEMINI_", "AWS_", "WEBHOOK_")):
        del os.environ[name]
os.environ |= {
    "DATA_DIR": os.environ.get("TEST_DATA_DIR")
    or str(Path(__file__).resolve().parent.parent / "var" / "test"),
    "ENV_FILE": os.devnull,
    "DATABASE_URL": "",
    "SECRET_KEY": "a key for tests only",
    "DEBUG": "false",
    "HOST": "127.0.0.1",
    "PORT": "8000",
    "ALLOWED_HOSTS": "",
    "PUBLIC_BASE_URL": "https://bot.example.com",
    "SIMULATOR": "true",
    "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
    "TWILIO_WHATSAPP_NUMBER": SENDER,
    "TWILIO_API_BASE_URL": "http://127.0.0.1:9",  # nothing listens there: a test that needs Twilio says so
    "TMPDIR": os.environ.get("TMPDIR", tempfile.gettempdir()),
}

from whatsbot import embedded_postgres  # noqa: E402
from whatsbot.settings import *  # noqa: E402, F403
from whatsbot.settings import DATA_DIR, STATIC_ROOT, STORAGES  # noqa: E402

_running = embedded_postgres.running(DATA_DIR)
_running.__enter__()
atexit.register(_running.__exit__, None, None, None)

STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
SILENCED_SYSTEM_CHECKS = ["whatsbot.E001"]  # both the simulator and the payloads of a real account are tested
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SEND_GRACE_SECONDS = 0.2
BURST_SECONDS = 0.0  # tests of bursts set it
MESSAGES_PER_MINUTE = 0
