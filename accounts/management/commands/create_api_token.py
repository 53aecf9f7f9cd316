"""``manage.py create_api_token NAME --scopes …``: make an API token and print it, once."""

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import ApiToken, Scope, StaffUser

MOST_DAYS = 3650


class Command(BaseCommand):
    """The token is printed and stored as a digest only."""

    help = "Make an API token for a program and print it; it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which program, and on whose behalf."""
        parser.add_argument("name", help="which program will use it")
        parser.add_argument(
            "--scopes",
            type=read_scopes,
            default=[Scope.READ],
            metavar="SCOPE,…",
            help=f"what it may do: {', '.join(Scope)} (default: {Scope.READ})",
        )
        parser.add_argument("--days", type=int, help="how long it is valid (default: until it is revoked)")
        parser.add_argument("--user", default="admin", help="the staff login it acts for (default: admin)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token alone, so that a script can read it."""
        user = StaffUser.objects.filter(username=options["user"], is_staff=True, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active staff login {options['user']!r}.")
        days = options["days"]
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise CommandError(f"--days is a number from 1 to {MOST_DAYS}.")
        _, token = ApiToken.objects.create(
            user=user,
            name=options["name"],
            scopes=options["scopes"],
            expiry=None if days is None else timedelta(days=days),
        )
        self.stdout.write(token)


def read_scopes(text: str) -> list[Scope]:
    """Scopes with commas between, each once. Raises ArgumentTypeError."""
    try:
        return [*dict.fromkeys(Scope(name.strip()) for name in text.split(",") if name.strip())]
    except ValueError:
        raise ArgumentTypeError(f"there are these scopes: {', '.join(Scope)}") from None
