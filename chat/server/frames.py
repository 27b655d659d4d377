"""Frames on their way out of one socket: straight to the kernel while it takes them, and countable where it does not.

Autobahn and Twisted copy each frame into two buffers and ask the event loop to wait for the socket, which takes three
times as long as handing it over.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from chat.server.transport import unsent_bytes


@implementer(IPushProducer)
class Frames:
    """Writes whole frames to a Twisted connection (``twisted.internet.abstract.FileDescriptor``) that has no TLS.

    It is the connection's producer, because that is what Twisted tells when the kernel has taken everything.
    """

    __slots__ = ("_ends", "_tcp", "_written", "on_sent")

    def __init__(self, tcp: Any):
        self._tcp = tcp
        self._written = 0
        """Bytes given to Twisted since everything had been sent."""
        self._ends: deque[int] = deque()
        """Where frames end, counted like ``_written``."""
        self.on_sent: Callable[[], None] | None = None
        """Called when everything has been sent, after more than ``tcp.bufferSize`` had to wait."""

    def write(self, frame: bytes) -> None:
        """Send a frame, or keep what the kernel does not take."""
        tcp = self._tcp
        if not tcp.connected or tcp.disconnecting:
            return
        if not (tcp.dataBuffer or tcp._tempDataBuffer):
            if self._ends:
                self._ends.clear()
            self._written = 0
            try:
                sent = tcp.socket.send(frame)
            except OSError:
                sent = 0  # if it is more than a full buffer, Twisted finds out with its next write
            if sent == len(frame):
                return
            frame = memoryview(frame)[sent:].tobytes()
        else:
            sent = self._written - unsent_bytes(tcp)
            while self._ends and self._ends[0] <= sent:
                self._ends.popleft()
        self._written += len(frame)
        self._ends.append(self._written)
        tcp.write(frame)

    def drop_unsent(self) -> None:
        """Forget the frames of which nothing has been sent: a client that reads slowly would have to read all of them
        before what follows."""
        tcp, unsent = self._tcp, unsent_bytes(self._tcp)
        if not unsent:
            return
        sent = self._written - unsent
        end = next(each for each in self._ends if each >= sent)
        rest = (tcp.dataBuffer[tcp.offset :] + b"".join(tcp._tempDataBuffer))[: end - sent]
        tcp.dataBuffer, tcp.offset, tcp._tempDataBuffer, tcp._tempDataLen = rest, 0, [], 0
        self._written = end
        while self._ends[-1] > end:
            self._ends.pop()

    # What Twisted asks of a producer -----------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Much waits. The connection's window sees it by itself."""

    def resumeProducing(self) -> None:
        if self.on_sent is not None:
            self.on_sent()

    def stopProducing(self) -> None:
        self.on_sent = None
