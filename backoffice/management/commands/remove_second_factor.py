"""``manage.py remove_second_factor``: for the login that is locked out with nobody left to help."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import StaffUser
from backoffice.second_factor import remove_second_factor


class Command(BaseCommand):
    """Let a login sign in with its password alone."""

    help = "Remove the second factor of a login whose phone and recovery codes are lost."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        """Remove it. All sessions of the login end."""
        staff = StaffUser.objects.filter(username=options["username"]).first()
        if staff is None or staff.second_factor_at is None:
            raise CommandError("There is no such login with a second factor.")
        remove_second_factor(staff, by=staff, program="manage.py")
        self.stdout.write("Removed: this login signs in with its password alone.")
