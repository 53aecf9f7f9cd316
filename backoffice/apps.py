from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class BackofficeConfig(AppConfig):
    name = "backoffice"
    verbose_name = "Back-office"

    def ready(self) -> None:
        """Bring the roles in line after every migration."""
        post_migrate.connect(_bring_roles_in_line, sender=self, dispatch_uid="backoffice.roles")


def _bring_roles_in_line(using: str, **kwargs: Any) -> None:
    from backoffice.roles import bring_roles_in_line

    bring_roles_in_line(using=using)
