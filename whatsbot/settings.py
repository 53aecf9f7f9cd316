"""Settings, read from the environment and `.env`. Every one is listed with a comment in `.env.example`."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
from django.urls import reverse_lazy

from whatsbot import embedded_postgres
from whatsbot.logs import LOGGING as LOGGING
from whatsbot.secrets import load_or_create_secrets

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))

DATA_DIR = Path(env.str("DATA_DIR", default="") or BASE_DIR / "var").resolve()
GENERATED = load_or_create_secrets(DATA_DIR)

# Web
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or GENERATED["SECRET_KEY"]
PUBLIC_BASE_URL = (env.str("PUBLIC_BASE_URL", default="") or f"http://127.0.0.1:{PORT}").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[]) or [
    "127.0.0.1",
    "localhost",
    "[::1]",
    HOST,
    urlsplit(PUBLIC_BASE_URL).hostname,
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL] if PUBLIC_BASE_URL.startswith("https://") else []
ROOT_URLCONF = "whatsbot.urls"
WSGI_APPLICATION = "whatsbot.wsgi.application"
APPEND_SLASH = False  # a redirected webhook no longer matches the URL Twilio signed
DATA_UPLOAD_MAX_MEMORY_SIZE = 512 * 1024  # no webhook, form or API body of ours comes near it

# Twilio. Without credentials the simulator plays Twilio, with credentials of its own making.
TWILIO_ACCOUNT_SID = env.str("TWILIO_ACCOUNT_SID", default="")
SIMULATOR = env.bool("SIMULATOR", default=not TWILIO_ACCOUNT_SID)
TWILIO_AUTH_TOKENS = env.list("TWILIO_AUTH_TOKEN", default=[])
TWILIO_WHATSAPP_NUMBER = env.str("TWILIO_WHATSAPP_NUMBER", default="")
TWILIO_API_BASE_URL = env.str("TWILIO_API_BASE_URL", default="").rstrip("/")
if SIMULATOR:
    TWILIO_ACCOUNT_SID = TWILIO_ACCOUNT_SID or GENERATED["SIMULATOR_ACCOUNT_SID"]
    TWILIO_AUTH_TOKENS = TWILIO_AUTH_TOKENS or [GENERATED["SIMULATOR_AUTH_TOKEN"]]
    TWILIO_WHATSAPP_NUMBER = TWILIO_WHATSAPP_NUMBER or "whatsapp:+12025550199"
    TWILIO_API_BASE_URL = TWILIO_API_BASE_URL or f"http://127.0.0.1:{PORT}/simulator/twilio"
# How long a send whose outcome is unknown waits for a status callback before Twilio's list is asked (seconds).
SEND_GRACE_SECONDS = env.float("SEND_GRACE_SECONDS", default=30.0)

# Media. Twilio's own hosts are known (contracts/twilio-whatsapp.md §6); these come on top, as host[:port].
TWILIO_MEDIA_HOSTS = env.list("TWILIO_MEDIA_HOSTS", default=[])
MEDIA_MAX_BYTES = env.int("MEDIA_MAX_BYTES", default=64 * 1024 * 1024)
MEDIA_DEADLINE_SECONDS = env.float(
    "MEDIA_DEADLINE_SECONDS", default=60.0
)  # of one download, redirects included
UPLOADS_DIR = DATA_DIR / "uploads"

# Memory. With a key of Mem0's platform the entries are kept there, else in tables of our own database.
MEM0_API_KEY = env.str("MEM0_API_KEY", default="")
MEM0_HOST = env.str("MEM0_HOST", default="").rstrip("/")
MEMORY_EMBEDDER = env.str("MEMORY_EMBEDDER", default="local")

# Gemini
GEMINI_API_KEY = env.str("GEMINI_API_KEY", default="")
GEMINI_MODEL = env.str("GEMINI_MODEL", default="gemini-3.8-flash")
GEMINI_BASE_URL = env.str("GEMINI_BASE_URL", default="").rstrip("/")
GEMINI_EMBEDDING_MODEL = env.str("GEMINI_EMBEDDING_MODEL", default="gemini-embedding-001")

# Conversation
BURST_SECONDS = env.float("BURST_SECONDS", default=3.0)
MESSAGES_PER_MINUTE = env.int("MESSAGES_PER_MINUTE", default=20)
TOKENS_PER_DAY = env.int("TOKENS_PER_DAY", default=500_000)
# How long a conversation that a member of staff has taken over, and writes nothing in, stays without the bot.
TAKEOVER_HOURS = env.float("TAKEOVER_HOURS", default=12.0)

# Webhooks out. These hosts, as host[:port], may be http and private addresses.
WEBHOOK_LOCAL_HOSTS = env.list("WEBHOOK_LOCAL_HOSTS", default=[])

# Database. The embedded PostgreSQL is started by whoever runs the process: script/server, manage.py, the tests.
EMBEDDED_POSTGRES = not env.str("DATABASE_URL", default="")
DATABASES = {
    "default": env.db_url_config(
        env.str("DATABASE_URL", default="") or embedded_postgres.database_url(DATA_DIR)
    )
}
DATABASES["default"] |= {
    "HOST": unquote(DATABASES["default"]["HOST"]),  # a socket's directory stands percent-encoded in the URL
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": 0,
    # No question to the database before each use of a connection: the webhook and every job try again by themselves,
    # and the first failure after a restart of PostgreSQL clears the pool (whatsbot/database.py).
    "CONN_HEALTH_CHECKS": False,
    "OPTIONS": {
        **DATABASES["default"].get("OPTIONS", {}),
        "connect_timeout": 5,
        "prepare_threshold": 5,  # only statements run through psycopg's own cursor are prepared: messaging/inbound.py
        "pool": {
            "min_size": 2,
            # Few, because they are given back before every wait: on two cores four serve webhooks faster than eight.
            "max_size": env.int("DATABASE_POOL_SIZE", default=4),
            "timeout": 5,
            # After an outage a request tries anew at once, instead of waiting for a pool that doubles its pauses.
            "reconnect_timeout": 2,
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=32)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",  # for indexes with an operator class
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "procrastinate.contrib.django",
    "whatsbot",
    "accounts",
    "messaging",
    "memories",
    "media",
    "api",
    "axes",
    *("django_otp", "django_otp.plugins.otp_totp", "django_otp.plugins.otp_static"),
    "backoffice",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    *(["messaging.simulator"] if SIMULATOR else []),
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "whatsbot.content_security.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "backoffice.sessions.limit_sessions",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # looks at the request only to answer a login that was locked out
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
# Files people have sent: a folder, or private objects of an S3-compatible store.
AWS_STORAGE_BUCKET_NAME = env.str("AWS_STORAGE_BUCKET_NAME", default="")
AWS_S3_ENDPOINT_URL = env.str("AWS_S3_ENDPOINT_URL", default="")
AWS_S3_REGION_NAME = env.str("AWS_S3_REGION_NAME", default="")
AWS_ACCESS_KEY_ID = env.str("AWS_ACCESS_KEY_ID", default="")
AWS_SECRET_ACCESS_KEY = env.str("AWS_SECRET_ACCESS_KEY", default="")
MEDIA_ROOT = UPLOADS_DIR / "files"  # has no URL: media/serving.py is the only door
if AWS_STORAGE_BUCKET_NAME:
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    FILES = {
        "BACKEND": "whatsbot.storages.S3Storage",
        "OPTIONS": {
            "bucket_name": AWS_STORAGE_BUCKET_NAME,
            "endpoint_url": AWS_S3_ENDPOINT_URL or None,
            "region_name": AWS_S3_REGION_NAME or None,
            # Without keys boto3 looks for a role of the machine.
            "access_key": AWS_ACCESS_KEY_ID or None,
            "secret_key": AWS_SECRET_ACCESS_KEY or None,
            "default_acl": None,  # the bucket's owner alone
            "querystring_auth": True,
            "querystring_expire": 300,  # seconds
            "file_overwrite": True,
            # Whoever opens a signed link to an object gets a download, whatever is in it.
            "object_parameters": {
                "CacheControl": "private, no-store",
                "ContentDisposition": "attachment",
                "ContentType": "application/octet-stream",
            },
            # An object read as a file: so many bytes of it stay in memory, more go to a temporary file.
            "max_memory_size": 1024 * 1024,
            # One request streams a file from disk. Parts, which S3 wants for more than 5 GB, are held in memory.
            "transfer_config": TransferConfig(use_threads=False, multipart_threshold=5 * 1024**3),
            "client_config": Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if AWS_S3_ENDPOINT_URL else "auto"},
                connect_timeout=5,
                read_timeout=30,
                retries={"total_max_attempts": 3, "mode": "standard"},
                max_pool_connections=WORKER_CONCURRENCY,
                # The signature covers a SHA-256 of the content. Not every S3-compatible store knows AWS's newer sums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        },
    }
else:
    FILES = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "allow_overwrite": True,
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    }
STORAGES = {
    "default": FILES,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Doors
AUTH_USER_MODEL = "accounts.StaffUser"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
# Whoever knows a password still needs the code of the second factor, where there is one (backoffice/login.py).
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "backoffice.login.PasswordAndCode"]
STAFF_SECOND_FACTOR_REQUIRED = env.bool("STAFF_SECOND_FACTOR_REQUIRED", default=False)
OTP_TOTP_ISSUER = "Whatsbot"
STAFF_SESSION_HOURS = env.float("STAFF_SESSION_HOURS", default=12.0)
STAFF_IDLE_MINUTES = env.float("STAFF_IDLE_MINUTES", default=120.0)
SESSION_COOKIE_AGE = int(STAFF_SESSION_HOURS * 3600)
# Failed logins, counted by django-axes in the way of backoffice/lockout.py.
LOGIN_FAILURES = env.int("LOGIN_FAILURES", default=5)
LOGIN_FAILURES_ANYWHERE = env.int("LOGIN_FAILURES_ANYWHERE", default=50)
LOGIN_LOCK_MINUTES = env.int("LOGIN_LOCK_MINUTES", default=15)
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
AXES_HANDLER = "backoffice.lockout.Handler"
AXES_FAILURE_LIMIT = LOGIN_FAILURES
AXES_COOLOFF_TIME = timedelta(minutes=LOGIN_LOCK_MINUTES)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or whoever keeps trying would keep the lock for ever
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "backoffice.login.show_lock"
AXES_CLIENT_IP_CALLABLE = "backoffice.lockout.get_client_address"
AXES_RESET_ON_SUCCESS = AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = AXES_VERBOSE = False
# Never in a row or a line of the log.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "code", "next", "csrfmiddlewaretoken"]
# How long a login may look at a person's data after it has said why.
REASON_MINUTES = env.int("REASON_MINUTES", default=60)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_BASE_URL.startswith("https://")
SESSION_COOKIE_HTTPONLY = True
# Closed unless a view says otherwise; what the API's own views share is in api/base.py.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "api.schema.Schema",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Whatsbot",
    "DESCRIPTION": "Memories people told on WhatsApp, for programs. docs/api.md has examples.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAdminUser"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/favicon.ico",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False, "validatorUrl": None},
    "AUTHENTICATION_WHITELIST": ["api.access.TokenAuthentication"],
    "PREPROCESSING_HOOKS": ["api.docs.keep_api"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "api.docs.close_requests"],
    "ENUM_NAME_OVERRIDES": {
        "MemoryType": "memories.models.Memory.Type",
        "WritableMemoryType": "api.memory_requests.WRITABLE_TYPES",
    },
}
# Counts requests of every process in one place; made by prepare_server.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "whatsbot_cache",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=600)
KNOX_TOKEN_MODEL = "accounts.ApiToken"
MIGRATION_MODULES = {"knox": None}  # its own token table would stand empty beside ours
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Bearer"}

# Time and language. Everything inside is UTC; a user's own zone is applied at the edges.
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = "whatsbot.formats"

UNFOLD = {
    "SITE_TITLE": "Whatsbot",
    "SITE_HEADER": "Whatsbot",
    "SITE_SYMBOL": "chat",
    "SHOW_HISTORY": False,  # who did what stands in the log of our own
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "backoffice.dashboard.add_figures",
    "SIDEBAR": {"show_search": False, "navigation": "backoffice.navigation.get_navigation"},
    "COLORS": {
        "primary": {"500": "oklch(71.4% .203 305.504)"}
    },  # text in dark mode, where theirs is too dark
    "LOGIN": {"form": "backoffice.login.LoginForm"},
    "ACCOUNT": {
        "navigation": [{"title": "Your second factor", "link": reverse_lazy("backoffice-second-factor")}]
    },
}
