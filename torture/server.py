"""The site as a run serves it: ``project.asgi``, with the seeded bug, crash points and clock that the run asks for."""

from torture import clock, failpoints, seeded_bugs

clock.install()
from project.asgi import application  # noqa: E402

seeded_bugs.install_in_server()
failpoints.install()

__all__ = ["application"]
