"""Knows when this process has stood still: it was stopped, or its machine was suspended."""

from collections.abc import Callable

STALL_S = 3.0
"""A beat that comes this long after the last one, in place of one second, ends a stall."""
AFTERMATH_S = 1.0
"""How long after a stall frames may still be those that came during it."""


class Stalls:
    """Tells since when a frame may have waited for this process.

    A frame that came while the process stood still lay in the kernel. Its sender has long given the connection up, and
    may have been answered by another process. Counted from when it was read, it would look new.
    """

    def __init__(self, now: Callable[[], float]):
        self._now = now
        self._beat_at = now()
        self._began_at = 0.0
        self._over_at = 0.0

    async def beat(self) -> None:
        """Call this once a second."""
        now = self._now()
        if now - self._beat_at >= STALL_S:
            self._began_at, self._over_at = self._beat_at, now + AFTERMATH_S
        self._beat_at = now

    def arrived_at(self) -> float:
        """The earliest moment at which a frame that is read now may have come."""
        now = self._now()
        if now - self._beat_at >= STALL_S:
            return self._beat_at
        return self._began_at if now < self._over_at else now
