"""Notices a server that hangs: its connection stays open, and commands stay unanswered. Sans I/O.

A slow database alone is no reason to reconnect, and a server answers ``ping`` past everything that waits for it
(docs/protocol.md, section 5).
"""

from dataclasses import dataclass

UNANSWERED_S = 10.0
"""How long a command, or the last proof of life, may be ago before the server is asked."""
ANSWER_S = 5.0
"""How long the server may take to say anything then."""


@dataclass(slots=True)
class Probe:
    """Times are seconds of any monotonic clock."""

    _asked_at: float | None = None
    _alive_at: float = 0.0

    def wake_at(self, oldest: float | None) -> float | None:
        """When to look again. ``oldest``: when the oldest unanswered command was sent; None if there is none."""
        if self._asked_at is not None:
            return self._asked_at + ANSWER_S
        return None if oldest is None else max(oldest, self._alive_at) + UNANSWERED_S

    def asks(self, oldest: float | None, now: float) -> bool:
        """Whether to send a ``ping`` now."""
        if self._asked_at is not None or oldest is None or now < max(oldest, self._alive_at) + UNANSWERED_S:
            return False
        self._asked_at = now
        return True

    def heard(self, now: float) -> None:
        """A frame came."""
        self._asked_at, self._alive_at = None, now

    def is_hung(self, now: float) -> bool:
        """Whether the server has said nothing since it was asked."""
        return self._asked_at is not None and now >= self._asked_at + ANSWER_S
