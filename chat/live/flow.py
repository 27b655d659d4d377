"""One connection's window: how much has been sent and not yet acknowledged (docs/architecture.md, "Flow").

Sans I/O; times are seconds of any monotonic clock, passed in.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

HARD_LIMIT = 4
"""A client this many windows behind reads nothing and goes on asking: it is closed at once."""


MOVED_BYTES = 8 * 1024
"""What a client must take in within ``stall_s`` for its connection not to count as stalled."""


class SeenWindow:
    """The window of a connection whose server shows what it has not sent yet. Clients need not acknowledge anything.

    Args:
        unsent: Returns how many bytes wait in this process.
        size: How many may, before the connection is full.
        stall_s: How long a connection that is more than half full may not move.
    """

    __slots__ = ("_given", "_gone", "_moved_at", "_unsent", "sent", "size", "stall_s")

    def __init__(self, unsent: Callable[[], int], *, size: int, stall_s: float):
        self._unsent = unsent
        self.size = size
        self.stall_s = stall_s
        self.sent = 0
        self._given = 0
        self._gone = 0
        self._moved_at: float | None = None

    def sending(self, size: int, now: float) -> None:
        """A frame of ``size`` bytes leaves."""
        self.sent += 1
        self._given += size

    def received(self, frames: int, now: float) -> bool:
        """False if a client claims more frames than were sent."""
        return frames <= self.sent

    @property
    def has_room(self) -> bool:
        """Whether another frame may leave."""
        return self._unsent() < self.size

    @property
    def is_half_empty(self) -> bool:
        """Whether half of the window is free."""
        return self._unsent() <= self.size // 2

    @property
    def is_flooded(self) -> bool:
        """Whether far more waits than the window holds."""
        return self._unsent() >= self.hard_size

    @property
    def hard_size(self) -> int:
        """How many bytes may be on their way out before the connection is closed."""
        return HARD_LIMIT * self.size

    def is_stalled(self, now: float) -> bool:
        """Whether the client has stopped reading. Ask once a second."""
        unsent = self._unsent()
        gone = self._given - unsent
        if self._moved_at is None or unsent <= self.size // 2 or gone - self._gone >= MOVED_BYTES:
            self._gone, self._moved_at = gone, now
        return now - self._moved_at > self.stall_s


@dataclass(slots=True)
class Window:
    """Count frames out and acknowledgements in.

    Args:
        frames, size: How many frames and bytes may be unacknowledged before the connection is full.
        ack_frames, ack_s: What the client was told in ``hello.flow``: acknowledge after so many frames, or so many
            seconds after an unacknowledged one.
        stall_s: How long a full connection may owe an acknowledgement that was due.
    """

    frames: int = 256
    size: int = 1024 * 1024
    ack_frames: int = 64
    ack_s: float = 10.0
    stall_s: float = 10.0
    sent: int = 0
    taken: int = 0
    unacknowledged_bytes: int = 0
    _sizes: deque[int] = field(default_factory=deque)
    _due_at: float | None = None

    def sending(self, size: int, now: float) -> None:
        """A frame of ``size`` bytes leaves."""
        if not self._sizes:
            self._due_at = now + self.ack_s
        self._sizes.append(size)
        self.sent += 1
        self.unacknowledged_bytes += size
        if len(self._sizes) == self.ack_frames and self._due_at is not None:
            self._due_at = min(self._due_at, now)

    def received(self, frames: int, now: float) -> bool:
        """Take the number of frames that the client has read since it connected; False if more than were sent.

        An older count than before changes nothing.
        """
        if frames > self.sent:
            return False
        if frames > self.taken:
            for _ in range(frames - self.taken):
                self.unacknowledged_bytes -= self._sizes.popleft()
            self.taken = frames
            # The client reads: its next acknowledgement is due as the contract says, counted from now.
            self._due_at = (
                None if not self._sizes else now + (0.0 if len(self._sizes) >= self.ack_frames else self.ack_s)
            )
        return True

    @property
    def has_room(self) -> bool:
        """Whether another frame may leave."""
        return len(self._sizes) < self.frames and self.unacknowledged_bytes < self.size

    @property
    def is_half_empty(self) -> bool:
        """Whether half of the window is free."""
        return len(self._sizes) <= self.frames // 2 and self.unacknowledged_bytes <= self.size // 2

    @property
    def is_flooded(self) -> bool:
        """Whether far more is unacknowledged than the window holds."""
        return len(self._sizes) >= HARD_LIMIT * self.frames or self.unacknowledged_bytes >= self.hard_size

    @property
    def hard_size(self) -> int:
        """How many bytes may be on their way out before the connection is closed."""
        return HARD_LIMIT * self.size

    def is_stalled(self, now: float) -> bool:
        """Whether the client has stopped reading: an acknowledgement is ``stall_s`` overdue, and less than half of
        the window is free."""
        return not self.is_half_empty and self._due_at is not None and now - self._due_at > self.stall_s
