"""The simulator is on the other side of the line: the bot does not know it, and it does not know the bot."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR = ROOT / "messaging" / "simulator"
APPS = ("whatsbot", "accounts", "memories", "media", "messaging")
MAY_KNOW = (
    "messaging.simulator",
    "accounts.timezones",
    "whatsbot.exceptions",
    "whatsbot.integrations.twilio",
)


def modules_of(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("path", sorted(SIMULATOR.glob("*.py")), ids=lambda path: path.name)
def test_the_simulator_knows_nothing_of_the_bot(path: Path) -> None:
    ours = {module for module in modules_of(path) if module.split(".")[0] in APPS}
    assert {module for module in ours if not module.startswith(MAY_KNOW)} == set()


def test_the_bot_knows_nothing_of_the_simulator() -> None:
    others = [path for app in APPS for path in (ROOT / app).rglob("*.py") if SIMULATOR not in path.parents]
    knowing = [str(path) for path in others if any("simulator" in module for module in modules_of(path))]
    assert knowing == []
