"""The site as a run serves it: ``project.asgi``, with the seeded bug and the crash points that the run asks for."""

from project.asgi import application
from torture import failpoints, seeded_bugs

seeded_bugs.install_in_server()
failpoints.install()

__all__ = ["application"]
