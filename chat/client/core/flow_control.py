"""When a client acknowledges the frames that it has read, so that the server knows that it still reads. Sans I/O."""

from dataclasses import dataclass

from chat.wire.protocol import Flow

BYTES = 256 * 1024
"""After how many bytes to acknowledge if ``hello`` does not say. The server's window counts bytes too, and large frames
fill it long before their number does."""


@dataclass(slots=True)
class FlowControl:
    """Count the frames of one connection, from its opening."""

    flow: Flow | None = None
    frames: int = 0
    due_at: float | None = None
    _acknowledged: int = 0
    _bytes: int = 0
    _bytes_at_most: int = BYTES

    def greeted(self, flow: Flow | None, now: float) -> None:
        """``hello`` says what the server wants; the frames up to it are acknowledged like all others."""
        self.flow = flow
        self._bytes_at_most = flow.bytes if flow and isinstance(flow.bytes, int) and flow.bytes > 0 else BYTES
        self.due_at = now + flow.seconds if flow and self.frames > self._acknowledged else None

    def took(self, size: int, now: float) -> int | None:
        """Count a frame of ``size`` bytes; return the total to acknowledge now, or None."""
        self.frames += 1
        self._bytes += size
        if self.flow is None:
            return None
        if self.frames - self._acknowledged >= self.flow.frames or self._bytes >= self._bytes_at_most:
            return self._acknowledge()
        if self.due_at is None:
            self.due_at = now + self.flow.seconds
        return None

    def tick(self, now: float) -> int | None:
        """Return the total to acknowledge because frames have waited long enough, or None."""
        return self._acknowledge() if self.due_at is not None and now >= self.due_at else None

    def _acknowledge(self) -> int:
        self._acknowledged, self._bytes, self.due_at = self.frames, 0, None
        return self.frames
