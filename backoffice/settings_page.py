"""``/admin/settings/``: every setting as it holds in this process, where it comes from, and whether all parts work.

What is secret is never shown, not even in part: only whether it is set. What the settings mean is said by
``.env.example``, which lists them all.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import environ
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from whatsbot import embedded_postgres
from whatsbot.health import run_checks

MAY_VIEW = "accounts.view_settings"
LISTED = ".env.example"
SECRET = {
    *("SECRET_KEY", "TWILIO_AUTH_TOKEN", "MEM0_API_KEY", "GEMINI_API_KEY"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
}
CHECKED = {
    "database": "PostgreSQL answers",
    "worker": "A worker has been heard of in the last seconds",
    "storage": "A file was written, read and deleted",
    "mem0": "The memory store answers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. ``value`` is for people; ``source`` is where it comes from."""

    name: str
    value: str
    source: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A setting as ``.env.example`` lists it."""

    part: str
    name: str
    meaning: str


@require_safe
def show_settings(request: HttpRequest) -> HttpResponse:
    """The page. Raises PermissionDenied for logins without `MAY_VIEW`."""
    if not request.user.has_perm(MAY_VIEW):
        raise PermissionDenied
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Settings",
        "checks": [(name, CHECKED.get(name, ""), check) for name, check in run_checks().items()],
        "parts": _read_parts(),
    }
    return TemplateResponse(request, "backoffice/settings.html", context)


def _read_parts() -> dict[str, list[Setting]]:
    parts: dict[str, list[Setting]] = {}
    in_file = _read_env_file()
    for listed in read_listed(settings.BASE_DIR / LISTED):
        setting = Setting(
            name=listed.name,
            value=write_value(listed.name),
            source=_find_source(listed.name, in_file=in_file),
            meaning=listed.meaning,
        )
        parts.setdefault(listed.part, []).append(setting)
    return parts


def read_listed(path: Path) -> Iterator[Listed]:
    """The settings of ``.env.example``: headings ``# --- Part``, then comments, then ``#NAME=default``."""
    part, meaning = "", list[str]()
    for line in path.read_text().splitlines():
        if line.startswith("# --- "):
            part, meaning = line.removeprefix("# --- "), []
        elif found := re.match(r"#?([A-Z][A-Z0-9_]*)=", line):
            yield Listed(part, found[1], " ".join(meaning))
            meaning = []
        elif line.startswith("# "):
            meaning.append(line.removeprefix("# "))
        else:
            meaning = []


def write_value(name: str) -> str:
    """The value that holds, for people; of a secret only whether it is set."""
    if name == "DATABASE_URL":
        return _describe_database()
    if name == "DATABASE_POOL_SIZE":
        return str(settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"])
    value = _get(name)
    if name in SECRET:
        return "set" if value else "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(dict.fromkeys(str(each) for each in value if each)) or "not set"
    if isinstance(value, float):
        return f"{value:g}"
    return hide_credentials(str(value)) or "not set"


def _get(name: str) -> Any:
    if name == "TWILIO_AUTH_TOKEN":
        return settings.TWILIO_AUTH_TOKENS[0] if settings.TWILIO_AUTH_TOKENS else ""
    return getattr(settings, name, None)


def hide_credentials(value: str) -> str:
    """An address without the name and password that may stand in it, and without its query."""
    if "://" not in value:
        return value
    parts = urlsplit(value)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _describe_database() -> str:
    database = settings.DATABASES["default"]
    if (
        database["HOST"]
        == unquote(urlsplit(embedded_postgres.database_url(settings.DATA_DIR)).netloc).rpartition("@")[2]
    ):
        return "a PostgreSQL of its own, under DATA_DIR"
    return f"{database['NAME']} at {database['HOST'] or 'localhost'}:{database['PORT'] or 5432}"


def _find_source(name: str, *, in_file: dict[str, str]) -> str:
    """The environment has what the file says too, because the file is read into it."""
    if given := os.environ.get(name):
        return "file" if in_file.get(name) == given else "environment"
    return "generated" if _get(name) in settings.GENERATED.values() else "default"


def _read_env_file() -> dict[str, str]:
    class File(environ.Env):
        """Reads a file into nobody's environment."""

        ENVIRON: dict[str, str] = {}

    File.read_env(os.environ.get("ENV_FILE") or str(settings.BASE_DIR / ".env"))
    return File.ENVIRON
