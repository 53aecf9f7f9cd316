from django.apps import AppConfig


class SimulatorConfig(AppConfig):
    name = "messaging.simulator"
    label = "simulator"
