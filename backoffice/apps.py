from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_migrate


class BackofficeConfig(AppConfig):
    name = "backoffice"
    verbose_name = "Back-office"

    def ready(self) -> None:
        """Bring the roles in line after every migration; watch who signs in, and who is locked out."""
        post_migrate.connect(_bring_roles_in_line, sender=self, dispatch_uid="backoffice.roles")

        from axes.signals import user_locked_out

        from backoffice.lockout import note_lock
        from backoffice.sessions import begin_session

        user_logged_in.connect(begin_session)
        user_locked_out.connect(note_lock)
        admin.site.login_template = "backoffice/login.html"


def _bring_roles_in_line(using: str, **kwargs: Any) -> None:
    from backoffice.roles import bring_roles_in_line

    bring_roles_in_line(using=using)
