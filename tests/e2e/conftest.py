"""A whole bot with its simulator, as `script/server` runs it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.processes import Stack, running_stack


@dataclass(frozen=True)
class RunningServer:
    """Where the bot is and how to sign in."""

    base_url: str
    staff_username: str
    staff_password: str
    stack: Stack


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Web, worker and simulator on a database of their own."""
    environment = {"SIMULATOR": "true", "SEND_GRACE_SECONDS": "3"}
    with running_stack(data_dir=tmp_path_factory.mktemp("server"), environment=environment) as stack:
        yield RunningServer(
            base_url=stack.base_url,
            staff_username=stack.credentials["Staff login"],
            staff_password=stack.credentials["Password"],
            stack=stack,
        )
