"""``manage.py prepare_server``: everything between an installed project and a running one; safe to repeat."""

import os
import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction
from knox.models import get_token_model


class Command(BaseCommand):
    """What script/server runs before web and worker; a release step of production may run it too."""

    help = "Migrate, collect static files, and at the first time make a staff login and an API token."

    def handle(self, *args: Any, **options: Any) -> None:
        """Say in a line each what was done. The secrets go to a file of DATA_DIR, never to the output."""
        self.stdout.write("Bringing the database up to date")
        call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)
        self.stdout.write("Collecting static files")
        call_command("collectstatic", interactive=False, verbosity=0)
        self._create_first_access()

    @transaction.atomic
    def _create_first_access(self) -> None:
        users = get_user_model().objects
        if users.exists():
            return
        password = secrets.token_urlsafe(12)
        staff = users.create_superuser("admin", password=password)
        tokens = get_token_model()
        scopes = [scope for scope, _ in tokens._meta.get_field("scopes").base_field.choices]
        _, token = tokens.objects.create(user=staff, name="first token", scopes=scopes)
        path = settings.DATA_DIR / "credentials.txt"
        path.unlink(missing_ok=True)  # of a database that is gone
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"Staff login   admin\nPassword      {password}\nAPI token     {token}\n")
        self.stdout.write("Made a staff login and an API token")
