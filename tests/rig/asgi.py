"""The site as tests run it: project.asgi with the watchdog."""

from project.asgi import application
from tests.rig.watchdog import Watchdog

Watchdog().install()

__all__ = ["application"]
