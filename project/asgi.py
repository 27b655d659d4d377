"""The ASGI application that daphne serves. A site that can't work ends here with one line, before anybody connects."""

import gc
import os

from chat.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = get_asgi_application()

# Import this only now: it needs Django to be set up.
from project import startup

startup.verify()

# What is loaded by now stays. Without freeze(), each full collection walks all of it and blocks the event loop for
# 50 ms.
gc.collect()
gc.freeze()
