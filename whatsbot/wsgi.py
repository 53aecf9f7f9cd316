"""The web process, as an HTTP server loads it."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsbot.settings")
application = get_wsgi_application()

import_module(settings.ROOT_URLCONF)
# What is loaded now stays. Otherwise the collector looks at all of it now and then, and a request waits meanwhile.
gc.collect()
gc.freeze()
