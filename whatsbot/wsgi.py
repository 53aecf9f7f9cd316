"""The web process, as an HTTP server loads it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsbot.settings")
application = get_wsgi_application()
