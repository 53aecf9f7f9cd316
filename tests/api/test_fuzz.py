"""Schemathesis finds nothing in a short run; ``python -m tests.api.fuzz`` is the long one."""

from pathlib import Path

import pytest

from tests.api.fuzz import run

SEED = 20261126


@pytest.mark.timeout(300)
def test_no_request_that_a_fuzzer_thinks_of_breaks_the_api_or_its_description(tmp_path: Path) -> None:
    status, cases, said = run(examples=3, seed=SEED, folder=tmp_path)
    assert status == 0, said
    assert cases >= 400, said
