"""docs/api.md says the truth: its examples run, and the description is valid and complete."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.processes import ROOT, RunningServer

DOCUMENT = (ROOT / "docs" / "api.md").read_text()
EXAMPLES = re.findall(r"^```bash\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
# Prints the status of each call behind its answer, and ends with the first that is not as said.
SHELL = r"""
set -eu
curl() {
    command curl -w '\n%{stderr}%{http_code} %{method} %{url}\n' "$@"
}
"""


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_example_runs(running_server: RunningServer, tmp_path: Path) -> None:
    assert len(EXAMPLES) >= 12
    script = SHELL + "\n".join(f"echo '== {number}' >&2\n{text}" for number, text in enumerate(EXAMPLES))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"BASE": running_server.base_url, "TOKEN": running_server.api_token},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for number, text in enumerate(EXAMPLES):
        told = done.stderr.split(f"== {number}\n")[1].split("== ")[0]
        codes = [line.split()[0] for line in told.splitlines() if re.match(r"\d{3} [A-Z]+ http", line)]
        assert len(codes) == len(re.findall(r"\bcurl\b", text)), told
        assert all(code.startswith("2") or code in text for code in codes), told
    assert (tmp_path / "export.zip").read_bytes().startswith(b"PK")
    assert "The landlord promised to mend the boiler on Monday" in done.stdout


def test_the_error_shown_is_the_error_given(running_server: RunningServer) -> None:
    import requests

    shown = json.loads(re.search(r"^```json\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)[1])  # type: ignore[index]
    given = requests.get(
        f"{running_server.base_url}/memories",
        {"whatsapp_number": "+12025550142", "limit": 1000},
        headers={"Authorization": f"Bearer {running_server.api_token}"},
        timeout=20,
    )
    assert given.json() == shown


def test_the_description_is_valid_and_nothing_in_it_had_to_be_guessed() -> None:
    GENERATOR_STATS.reset()
    schema = SchemaGenerator().get_schema(request=None, public=True)
    validate_schema(schema)
    assert not GENERATOR_STATS
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert "Scope: " in operation["description"] or "Any token." in operation["description"]


@pytest.mark.django_db
def test_the_page_of_the_description_loads_nothing_from_elsewhere(admin_client: Client) -> None:
    page: Any = admin_client.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert sources
    assert all(source.startswith("/") and not source.startswith("//") for source in sources)
    assert "<script>" not in page.content.decode()
