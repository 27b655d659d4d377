"""What daphne serves. A site that can't work says so here, in one line, before anybody can connect."""

import gc
import os

from chat.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = get_asgi_application()

# Needs Django's set-up, as the line above leaves it.
from project import startup

startup.verify()

# What is loaded now stays. Without this, each full collection walks through all of it, and the event loop waits: 50 ms.
gc.collect()
gc.freeze()
