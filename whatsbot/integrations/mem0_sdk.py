"""Mem0's SDK, imported without what its import does to the process (contracts/mem0.md, part A)."""

import logging
import os
import threading
import warnings

from django.conf import settings

_lock = threading.Lock()


def prepare_sdk() -> None:
    """Import ``mem0`` if this has not been done: a second and 80 MB, so only where it is about to be used.

    No telemetry, no notices, its files under ``DATA_DIR``; loggers and warning filters are left as they were.
    """
    with _lock:  # a second thread must not take the levels it meets in the middle for those to go back to
        # Both are read once, at import.
        os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": str(settings.DATA_DIR / "mem0")}
        levels = {logger: logger.level for logger in map(logging.getLogger, ("posthog", "urllib3"))}
        with warnings.catch_warnings():
            import mem0  # noqa: F401
        for logger, level in levels.items():
            logger.setLevel(level)
