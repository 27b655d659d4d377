"""When a client connects, when it gives a connection up, and when it stops for good. Sans I/O.

Times are seconds of any monotonic clock, passed in; ``rng`` gives numbers in [0, 1) (docs/protocol.md, section 5).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from chat.client.core.actions import ConnectionState, StopReason
from chat.wire.errors import Close, may_reconnect

FIRST_RETRY_S = 1.0
RETRY_CAP_S = 30.0
LIVE_FOR_S = 10.0
"""A connection that was live for this long shows that the server is healthy, so the back-off starts over."""
SILENT_HEARTBEATS = 2.5
OPENING_S = 30.0
"""Longest silence from the attempt to ``hello``. A server that thousands of clients return to at once needs a while."""
HTTP_REFUSALS = (401, 403)
"""The handshake's answers to a wrong token or origin. Repeating the same credentials would not help."""

Step = Literal["connect", "give_up"]

_REASONS: dict[int, StopReason] = {
    Close.NOT_SIGNED_IN: "not_signed_in",
    Close.BANNED: "banned",
    Close.SESSION_ENDED: "session_ended",
    Close.UNSUPPORTED_PROTOCOL: "unsupported_protocol",
}


@dataclass(slots=True)
class Backoff:
    """Full jitter: 0-1 s at first, then 0-2 s, 0-4 s … up to 0-30 s."""

    rng: Callable[[], float]
    attempts: int = 0

    def next_s(self) -> float:
        # 2 ** 5 reaches the cap; without a limit, the power would overflow after a long night without a network.
        ceiling = min(RETRY_CAP_S, FIRST_RETRY_S * 2.0 ** min(self.attempts, 5))
        self.attempts += 1
        return self.rng() * ceiling

    def reset(self) -> None:
        self.attempts = 0


@dataclass(slots=True)
class Link:
    """Decide what happens to the connection.

    Args:
        can_refresh: Whether fresh credentials can be had. If so, they are tried once when the present ones are refused.
    """

    rng: Callable[[], float]
    can_refresh: bool = False
    state: ConnectionState = "waiting"
    reason: StopReason | None = None
    needs_fresh: bool = False
    wake_at: float | None = None
    """When to call ``tick``; None: nothing to wait for."""
    _backoff: Backoff | None = None
    _refreshed: bool = False
    _live_since: float | None = None
    _silence_s: float = OPENING_S
    _heard_at: float = 0.0
    _drain_at: float | None = None

    def __post_init__(self) -> None:
        self._backoff = Backoff(self.rng)

    @property
    def is_up(self) -> bool:
        """Whether there is a connection, live or becoming so."""
        return self.state in ("connecting", "live")

    def start(self, now: float) -> None:
        """Connect at once."""
        self.wake_at = now

    def tick(self, now: float) -> Step | None:
        """Return the step that is due: connect, or give up the present connection, which counts as ``lost`` already."""
        if self.wake_at is None or now < self.wake_at:
            return None
        if self.state == "waiting":
            self.state = "connecting"
            self._silence_s, self._heard_at, self._drain_at = OPENING_S, now, None
            self._expect()
            return "connect"
        if self._dead_at > now and not self._is_drained(now):
            self._expect()  # something was heard since the alarm was set
            return None
        self.lost(now)
        return "give_up"

    def heard(self, now: float) -> None:
        """A frame came. The alarm is not reset for each frame: when it goes off, it looks at what was heard since."""
        self._heard_at = now

    def greeted(self, heartbeat_s: float, now: float) -> None:
        """``hello`` came."""
        if self._live_since is None:
            self._live_since = now
        self.state = "live"
        self._silence_s = SILENT_HEARTBEATS * heartbeat_s
        self._refreshed = self.needs_fresh = False
        self._heard_at = now
        self._expect()

    def drain(self, reconnect_in_ms: int, now: float) -> None:
        """The server says when to reconnect. If it has not closed the connection by then, the client does."""
        self._drain_at = now + reconnect_in_ms / 1000
        self._expect()

    def lost(self, now: float, code: int = 1006) -> None:
        """The connection has ended, or the attempt failed."""
        assert self._backoff is not None
        if self._live_since is not None and now - self._live_since >= LIVE_FOR_S:
            self._backoff.reset()
        self._live_since = None
        if code == Close.NOT_SIGNED_IN and self._may_refresh():
            self._retry_fresh(now)
        elif not may_reconnect(code):
            self.stop(_REASONS.get(code, "refused"))
        else:
            # A drain time that has passed means at once: the server has already spread its clients over time.
            self.state = "waiting"
            self.wake_at = self._drain_at if self._drain_at is not None else now + self._backoff.next_s()
        self._drain_at = None

    def refused(self, status: int, now: float) -> None:
        """The handshake was answered with an HTTP status other than 101."""
        if status not in HTTP_REFUSALS:
            self.lost(now)
        elif self._may_refresh():
            self._retry_fresh(now)
        else:
            self.stop("not_signed_in")

    def stop(self, reason: StopReason) -> None:
        """End for good."""
        self.state, self.reason, self.wake_at, self._live_since = "stopped", reason, None, None

    @property
    def _dead_at(self) -> float:
        return self._heard_at + self._silence_s

    def _is_drained(self, now: float) -> bool:
        return self._drain_at is not None and self._drain_at <= now

    def _expect(self) -> None:
        self.wake_at = self._dead_at if self._drain_at is None else min(self._dead_at, self._drain_at)

    def _may_refresh(self) -> bool:
        return self.can_refresh and not self._refreshed

    def _retry_fresh(self, now: float) -> None:
        assert self._backoff is not None
        self._refreshed = self.needs_fresh = True
        self.state = "waiting"
        self.wake_at = now + self._backoff.next_s()
