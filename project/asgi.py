"""The ASGI application that daphne serves. If the site can't work, the process ends here with one line."""

import gc
import os

from chat.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
site = get_asgi_application()

# Import these only now: they need Django to be set up.
from chat.web.fair_pages import FairPages
from project import health, housekeeping, startup

application = FairPages(site, at_once=health.PATHS)

startup.verify()
housekeeping.start()

# The objects loaded so far live as long as the process. Without freeze(), each full collection walks all of them and
# blocks the event loop for 50 ms.
gc.collect()
gc.freeze()
