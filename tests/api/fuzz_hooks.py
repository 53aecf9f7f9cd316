"""What the fuzzer cannot know: which strings are numbers, cursors and zones, and which rows there are.

Loaded by Schemathesis (``SCHEMATHESIS_HOOKS``), with the rows of `tests/api/fuzz.py` in ``FUZZ_ROWS``.
"""

import json
import os
from typing import Any

import schemathesis
from hypothesis import strategies as st

ROWS: dict[str, list[Any]] = json.loads(os.environ["FUZZ_ROWS"])

schemathesis.openapi.format("phone-number", st.sampled_from(ROWS["numbers"]))
schemathesis.openapi.format("cursor", st.sampled_from(ROWS["cursors"]))
schemathesis.openapi.format(
    "iana-time-zone", st.sampled_from(["Europe/Berlin", "America/New_York", "asia/calcutta", "UTC"])
)


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """Two of three whole numbers name a memory that was there at the beginning."""
    value = path_parameters and path_parameters.get("memory_id")
    if type(value) is int and value % 3 and ROWS["memories"]:
        path_parameters["memory_id"] = ROWS["memories"][value % len(ROWS["memories"])]
    return path_parameters
