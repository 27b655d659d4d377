"""The ASGI application that daphne serves. If the site can't work, the process ends here with one line."""

import gc
import os

from chat.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = get_asgi_application()

# Import this only now: it needs Django to be set up.
from project import startup

startup.verify()

# The objects loaded so far live as long as the process. Without freeze(), each full collection walks all of them and
# blocks the event loop for 50 ms.
gc.collect()
gc.freeze()
