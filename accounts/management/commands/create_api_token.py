"""``manage.py create_api_token NAME``: make an API token and print it, once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import ApiToken, StaffUser


class Command(BaseCommand):
    """The token is printed and stored as a digest only."""

    help = "Make an API token for a program and print it; it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which program, and on whose behalf."""
        parser.add_argument("name", help="which program will use it")
        parser.add_argument("--user", default="admin", help="the staff login it acts for (default: admin)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token alone, so that a script can read it."""
        user = StaffUser.objects.filter(username=options["user"], is_staff=True, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active staff login {options['user']!r}.")
        _, token = ApiToken.objects.create(user=user, name=options["name"])
        self.stdout.write(token)
