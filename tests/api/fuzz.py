"""Requests nobody would think of, against a real bot: ``python -m tests.api.fuzz [--examples 60] [--seed 1]``.

Schemathesis reads ``/schema`` and runs all of its checks over it: no 5xx, no answer that is not described, nothing
accepted that the schema forbids or refused that it allows, no way in without a token. The web process, worker and
database are those of `tests.processes.Stack`. Exits with 1 if a check fails or there were fewer than ``--cases`` cases.
"""

import argparse
import json
import os
import random
import re
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.processes import ROOT, SCRIPTS, Stack, running_stack

CONFIG = """
[checks.positive_data_acceptance]
# 422: each field is as the schema has it, and they do not fit together, or cannot be kept. 409: docs/api.md.
expected-statuses = ["2xx", 401, 403, 404, 409, 422]
"""
TEXTS = (
    "The gate code is 4711",
    "The landlord promised to mend the boiler",
    "Ana likes mushrooms",
    "Pay the rent",
)


def fill(stack: Stack, token: str) -> dict[str, list[object]]:
    """People with memories; what a request may name."""
    import requests

    numbers = [f"+1202555{number:04d}" for number in range(100, 112)]
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    memories = []
    for number in numbers:
        for text in TEXTS:
            body = {"whatsapp_number": number, "memory_text": text, "create_user": True}
            answer = session.post(f"{stack.base_url}/memories", json=body, timeout=30)
            assert answer.status_code == 201, answer.text
            memories.append(answer.json()["id"])
    page = session.post(
        f"{stack.base_url}/memories/list", json={"whatsapp_number": numbers[0], "limit": 1}, timeout=30
    ).json()
    spelled = ["whatsapp:+12025550100", "+1 (202) 555-0101", "+12025550999"]
    return {"numbers": [*numbers, *spelled], "memories": memories, "cursors": [page["next_cursor"]]}


def run(*, examples: int, seed: int, folder: Path) -> tuple[int, int, str]:
    """Fuzz; returns the exit status of the fuzzer, how many cases there were, and what it said."""
    with running_stack(
        data_dir=folder, environment={"SIMULATOR": "true", "API_REQUESTS_PER_MINUTE": "0"}
    ) as stack:
        token = stack.credentials["API token"]
        config = folder / "schemathesis.toml"
        config.write_text(CONFIG)
        environment = os.environ | {
            "SCHEMATHESIS_HOOKS": "tests.api.fuzz_hooks",
            "PYTHONPATH": str(ROOT),
            "FUZZ_ROWS": json.dumps(fill(stack, token)),
        }
        command = [
            *(str(SCRIPTS / "schemathesis"), "--config-file", str(config), "run", f"{stack.base_url}/schema"),
            *(
                "--header",
                f"Authorization: Bearer {token}",
                "--checks",
                "all",
                "--phases",
                "coverage,fuzzing",
            ),
            *("--max-examples", str(examples), "--seed", str(seed), "--request-timeout", "20"),
            *("--continue-on-failure", "--warnings", "off", "--no-color"),
        ]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500
        )
    said = done.stdout + done.stderr
    cases = sum(int(number) for number in re.findall(r"(\d+) generated", said))
    return done.returncode, cases, said


def main() -> None:
    """Fuzz and say how it went."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--examples", type=int, default=150, help="for each operation, besides those made by rule"
    )
    parser.add_argument("--cases", type=int, default=2000, help="how many there are to be at least")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=f"whatsbot-fuzz-{secrets.token_hex(2)}-") as folder:
        status, cases, said = run(examples=options.examples, seed=options.seed, folder=Path(folder))
    print(said)
    print(f"seed {options.seed}: {cases} cases, Schemathesis ended with {status}")
    sys.exit(status or cases < options.cases)


if __name__ == "__main__":
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    main()
