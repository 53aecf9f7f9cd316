#!/usr/bin/env python
"""Run a management command; starts the embedded PostgreSQL for its duration where no DATABASE_URL is set."""

import os
import sys
from contextlib import nullcontext

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsbot.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from whatsbot import embedded_postgres

    with embedded_postgres.running(settings.DATA_DIR) if settings.EMBEDDED_POSTGRES else nullcontext():
        execute_from_command_line(sys.argv)
