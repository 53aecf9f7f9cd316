"""Imports go one way: api → messaging → {memories, media} → accounts → whatsbot (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ("whatsbot", "accounts", "memories", "media", "messaging", "api", "backoffice")
MAY_IMPORT = {
    "whatsbot": {"whatsbot"},
    "accounts": {"accounts", "whatsbot"},
    "memories": {"memories", "accounts", "whatsbot"},
    "media": {"media", "accounts", "whatsbot"},
    "messaging": {"messaging", "memories", "media", "accounts", "whatsbot"},
    "api": {"api", "messaging", "memories", "media", "accounts", "whatsbot"},
    "backoffice": {"backoffice", "api", "messaging", "memories", "media", "accounts", "whatsbot"},
}
# The composition root looks up at the apps; the worker command starts their jobs.
LOOKS_UP = {"whatsbot/urls.py", "whatsbot/management/commands/runworker.py"}


def source_files() -> list[Path]:
    return [
        path
        for name in APPS
        for path in sorted((ROOT / name).rglob("*.py"))
        if "migrations" not in path.parts
    ]


def imported_apps(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return {module.split(".")[0] for module in modules} & set(APPS)


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if name in LOOKS_UP:
        return
    app = path.relative_to(ROOT).parts[0]
    assert imported_apps(path) <= MAY_IMPORT[app]


def test_only_the_edge_knows_twilios_field_names() -> None:
    allowed = {
        *("messaging/inbound.py", "messaging/content.py", "messaging/delivery.py"),
        "whatsbot/integrations/twilio.py",
    }
    fields = ("MessageSid", "MediaUrl", "ProfileName", "NumMedia", "OptOutType", "MessageStatus")
    knowing = {
        str(path.relative_to(ROOT))
        for path in source_files()
        if "simulator" not in path.parts and any(f'"{field}' in path.read_text() for field in fields)
    }
    assert knowing <= allowed


def test_no_source_file_is_much_over_300_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in source_files()
        if (count := len(path.read_text().splitlines())) > 330
    }
    assert long == {}
