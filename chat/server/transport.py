"""daphne's TCP connections, for the chat to look at and to stop. On other servers the chat works without them."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from chat.live.connection import TRANSPORT

_REQUESTS = "daphne.http_protocol"
READ_BYTES = 16 * 1024
"""What is read of one socket before it is the next one's turn. daphne reads four times as much, so one round of 20 full
sockets took a tenth of a second."""


class DaphneTransport:
    """The TCP connection of one of daphne's WebSockets (``twisted.internet.abstract.FileDescriptor``)."""

    def __init__(self, protocol: Any):
        self._protocol = protocol
        protocol.transport.bufferSize = READ_BYTES
        self._resumes: asyncio.TimerHandle | None = None
        self._resumes_at = 0.0
        self._kept = b""
        self._is_stopped = False

    def count_frames(self, count: Callable[[], None]) -> bool:
        # The server answers pings and joins parts by itself. It is asked here because a read may hold 2,700 frames,
        # which it takes one after the other before anybody else has a turn.
        take = self._protocol.onFrameBegin

        def count_and_take() -> None:
            count()
            take()

        self._protocol.onFrameBegin = count_and_take
        return True

    @property
    def takes_frames(self) -> bool:
        return hasattr(self._protocol, "send_frame")

    def send_frame(self, frame: bytes) -> None:
        self._protocol.send_frame(frame)

    def on_sent(self, call: Callable[[], None]) -> None:
        self._protocol.frames.on_sent = call

    def release(self) -> None:
        """Forget the application; otherwise the two would keep each other in memory."""
        self._protocol.__dict__.pop("onFrameBegin", None)
        if self.takes_frames:
            self._protocol.frames.on_sent = None

    def unsent_bytes(self) -> int:
        """What was handed to daphne and not yet taken by the kernel; 0 where TLS ends in daphne itself."""
        try:
            return unsent_bytes(self._protocol.transport)
        except AttributeError:
            return 0

    def pause_reading(self, seconds: float) -> None:
        """Read nothing from the client for a while, and nothing of what has come and was not parsed. A pause that is on
        already ends with the later of both."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if self._is_stopped or (self._resumes is not None and self._resumes_at >= until):
            return
        if self._resumes is not None:
            self._resumes.cancel()
        # Noted, because what uvloop gives for a time that has come does not know it.
        self._resumes, self._resumes_at = loop.call_at(until, self._resume), until
        self._protocol.transport.pauseProducing()
        self._keep()

    def stop_reading(self) -> None:
        """Read nothing more from the client, and nothing of what has come. Otherwise daphne waits a second for the
        closing handshake, and unmasks and parses everything that comes in that time."""
        self._is_stopped = True
        if self._resumes is not None:
            self._resumes.cancel()
        self._protocol.transport.pauseProducing()
        self._keep()
        self._kept = b""

    def _keep(self) -> None:
        self._kept += self._protocol.data
        self._protocol.data = b""

    def _resume(self) -> None:
        self._resumes = None
        kept, self._kept = self._kept, b""
        if kept:
            self._protocol.dataReceived(kept)
        if self._resumes is None and not self._is_stopped:
            self._protocol.transport.resumeProducing()


def unsent_bytes(tcp: Any) -> int:
    """What a Twisted connection was given and the kernel has not taken."""
    return int(len(tcp.dataBuffer) - tcp.offset + tcp._tempDataLen)


def with_transport(application: Any) -> Any:
    """Wrap an ASGI application: the scopes of sockets that daphne serves carry their ``live.connection.Transport``."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if (transport := _transport_of(send)) is None:
            await application(scope, receive, send)
            return
        try:
            extensions = {**(scope.get("extensions") or {}), TRANSPORT: transport}
            await application({**scope, "extensions": extensions}, receive, send)
        finally:
            transport.release()

    return wrapped


def _transport_of(send: Any) -> DaphneTransport | None:
    """The transport below daphne's ``send``, which is ``partial(server.handle_reply, protocol)``."""
    if not isinstance(send, partial) or len(send.args) != 1:
        return None
    (protocol,) = send.args
    return DaphneTransport(protocol) if hasattr(getattr(protocol, "transport", None), "pauseProducing") else None


def _received(request: Any, command: bytes, path: bytes, version: bytes) -> None:
    """Pass a request on without having read the form in it.

    Twisted's own ``Request.requestReceived`` parses forms, for an attribute that daphne does not use, and on the event
    loop: a megabyte of ``%41`` takes it 0.3 s.
    """
    request.content.seek(0)
    request.args = {}
    request.method, request.uri, request.clientproto = command, path, version
    request.path = path.partition(b"?")[0]
    request.client, request.host = request.channel.getPeer(), request.channel.getHost()
    request.process()


if _REQUESTS in sys.modules:  # daphne serves this process: it has loaded its protocols before the application
    sys.modules[_REQUESTS].WebRequest.requestReceived = _received
