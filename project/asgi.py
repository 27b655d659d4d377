"""What daphne serves. A site that can't work says so here, in one line, before anybody can connect."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
http = get_asgi_application()

# These import models, so they come after Django's set-up.
from chat.routing import websocket_urlpatterns
from project import startup

startup.verify()
# Imports all views now: on the first request it would hold up the event loop.
_ = get_resolver().url_patterns

application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns)})
