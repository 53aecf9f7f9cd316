from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "messaging"

    def ready(self) -> None:
        """Connect what blanks messages when memories are forgotten."""
        from messaging import forgetting  # noqa: F401
