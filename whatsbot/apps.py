from django.apps import AppConfig


class WhatsbotConfig(AppConfig):
    name = "whatsbot"

    def ready(self) -> None:
        from whatsbot import checks, database  # noqa: F401  (registers checks and a signal receiver)
