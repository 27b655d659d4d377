"""HTTP as daphne serves it, with bounds: for headers and bodies, in size and time, and for handshakes in progress.

daphne itself takes bodies of any size and at any speed (django/daphne#170 is the same for responses), and answers some
requests never: what its applications leave unanswered, and what it cannot read, is answered here.
"""

import asyncio
import logging
import time
from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest
from twisted.web import http

from chat.server.bounds import Bounds
from chat.server.transport import READ_BYTES, unsent_bytes

logger = logging.getLogger(__name__)

FLUSHED_S = 10.0
"""How long a client may take to read the end of its answer once the connection is being closed."""
STUCK_S = 60.0
"""How long a client may read nothing of an answer before the connection is ended."""
NEW_S = 1.0
"""How long a server that ends waits for the first request of a connection that has just been accepted."""
LINGER_S = 2.0
"""How long what a refused client still sends is thrown away. Closing at once would reset the connection, and take the
answer with it (RFC 9112, section 9.6)."""
LINGER_BYTES = 1024 * 1024
"""How much of it; after that, nothing more is read."""
SMALL_PARTS, PART_BYTES = 1_000, 64
"""Parts of a chunked body that may be smaller than ``PART_BYTES`` on average. Each costs the event loop as much as a
large one."""
FORWARDED = (
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-real-ip",
)
"""What only proxies may say of a client."""
ROOT_PATH = b"daphne-root-path"


class _Refused(Exception):
    """The request was answered, and nothing more of it is read."""


class Request(WebRequest):
    """One request, and the answer to it."""

    channel: "Channel"

    def gotLength(self, length: int | None) -> None:
        if length is not None and length > self.channel.bounds.body_bytes:
            raise self.channel.refusal(413, "This body is larger than the server accepts.")
        super().gotLength(length)
        self._size = self._parts = 0

    def handleContentChunk(self, data: bytes) -> None:
        self._size += len(data)
        self._parts += 1
        if self._size > self.channel.bounds.body_bytes:
            raise self.channel.refusal(413, "This body is larger than the server accepts.")
        if self._parts > SMALL_PARTS + self._size // PART_BYTES:
            raise self.channel.refusal(400, "The parts of this body are too small.")
        super().handleContentChunk(data)

    def parseCookies(self) -> None:
        """Nothing: daphne does not use what Twisted makes of them."""

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        # Twisted's own parses forms, for an attribute that daphne does not use, and on the event loop.
        self.content.seek(0)
        self.args: dict[bytes, list[bytes]] = {}
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self._forget_what_strangers_say()
        upgrade = self.requestHeaders.getRawHeaders(b"upgrade", [b""])[0].lower()
        if upgrade != b"websocket":
            self.process()
        elif not self.server.takes_handshakes:
            self.setHeader(b"retry-after", b"1")
            self.basic_error(503, b"Service Unavailable", "Too many connections are being opened.")
        else:
            channel = self.channel
            self.process()
            if channel.transport.protocol is not channel:
                channel.upgraded()

    def handle_reply(self, message: Any) -> None:
        if message["type"] == "http.response.body" and (self.method == b"HEAD" or self.code in http.NO_BODY_CODES):
            # Twisted drops the first part only, for daphne goes round the method that would.
            message = {**message, "body": b""}
        if message["type"] == "http.response.start" and self.server.is_draining and self.channel is not None:
            self.channel.persistent = False
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        super().handle_reply(message)

    def application_ended(self, error: BaseException | None) -> None:
        """Answer for an application that did not."""
        if self.finished or self.channel is None:
            return
        if not self._response_started:
            self.basic_error(500, b"Internal Server Error", "The application has not answered.")
        else:  # what was sent is no whole response, and the client must see that
            self.channel.transport.abortConnection()

    def _forget_what_strangers_say(self) -> None:
        self.requestHeaders.removeHeader(ROOT_PATH)
        if not self.channel.bounds.is_proxy(getattr(self.client, "host", None)):
            for name in FORWARDED:
                self.requestHeaders.removeHeader(name)


class Channel(http.HTTPChannel):
    """One connection, for as long as it speaks HTTP."""

    requestFactory = Request
    bounds: Bounds

    def connectionMade(self) -> None:
        self.bounds = self.factory.server.bounds
        self.totalHeadersSize = self.bounds.header_bytes
        self.MAX_LENGTH = self.bounds.header_bytes
        self.maxHeaders = self.bounds.headers
        self._opened_at = time.monotonic()
        self._is_new = True
        self.reads_since: float | None = None
        self._received = 0
        self._thrown_away: int | None = None
        self.transport.bufferSize = READ_BYTES
        self.factory.channels.add(self)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        if self._thrown_away is not None:
            self._thrown_away += len(data)
            if self._thrown_away > LINGER_BYTES:
                self.transport.stopReading()
            return
        if self.reads_since is None and not self._handlingRequest:
            self._begin_to_read()
        self._received += len(data)
        self._is_new = False
        try:
            super().dataReceived(data)
        except _Refused:
            pass
        except Exception:  # a number of 5,000 digits, for example
            logger.exception("A request can't be read")
            self.refusal(400, "This request can't be read.")

    def _begin_to_read(self) -> None:
        self.reads_since, self._received = time.monotonic(), 0
        self.factory.reading.add(self)

    def _end_to_read(self) -> None:
        self.reads_since = None
        self.factory.reading.discard(self)

    def allHeadersReceived(self) -> None:
        self._has_headers = True
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        self._has_headers = False
        self._end_to_read()
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        super().requestDone(request)
        if self.factory.server.is_draining and not self._handlingRequest and self.reads_since is None:
            self.loseConnection()

    def close_if_idle(self) -> None:
        """Close the connection unless a request is on its way or being answered. Answers given later close it."""
        if not self.is_busy:
            self.loseConnection()

    @property
    def is_busy(self) -> bool:
        """Whether a request is on its way, as with a connection that is new, or being answered."""
        is_awaited = self._is_new and time.monotonic() - self._opened_at < NEW_S
        return bool(self.requests) or is_awaited or self._thrown_away is not None

    def loseConnection(self) -> Any:
        self.callLater(FLUSHED_S, self.transport.abortConnection)
        return super().loseConnection()

    def close_if_slow(self, now: float) -> None:
        """Answer 408 to a client that takes too long to send its headers, or sends its body too slowly."""
        if self.reads_since is None:
            return
        allowed_s = self.bounds.header_s
        if self._has_headers:
            allowed_s += self._received / self.bounds.body_rate
        if now - self.reads_since > allowed_s:
            self.refusal(408, "This request came too slowly.")

    def refusal(self, status: int, text: str) -> _Refused:
        """Answer the request that is being read, stop reading it, and return what ends the reading."""
        self._end_to_read()
        body = text.encode()
        reason = http.RESPONSES.get(status, b"Request Header Fields Too Large")
        head = b"HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n" % (status, reason)
        self.transport.write(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        self._linger()
        return _Refused()

    def _linger(self) -> None:
        self._thrown_away = 0
        self.setTimeout(None)
        self._networkProducer.unregisterProducer()
        self.transport.loseWriteConnection()
        self.transport.resumeProducing()
        self._abortingCall = self.callLater(LINGER_S, self.forceAbortClient)

    def _respondToBadRequestAndDisconnect(self) -> None:
        # Twisted's own answers everything 400, without a body, and closes at once.
        if self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders:
            raise self.refusal(431, "The headers of this request are larger than the server accepts.")
        raise self.refusal(400, "This request can't be read.")

    def lineLengthExceeded(self, line: bytes) -> None:
        if not hasattr(self, "_command"):
            raise self.refusal(414, "This address is longer than the server accepts.")
        raise self.refusal(431, "The headers of this request are larger than the server accepts.")

    def upgraded(self) -> None:
        """Let go of a connection that is a WebSocket's from now on."""
        self._end_to_read()
        self.factory.channels.discard(self)
        self.setTimeout(None)
        self._is_upgraded = True

    def rawDataReceived(self, data: bytes) -> None:
        if self._is_upgraded:  # it came in one piece with the handshake
            self.transport.protocol.dataReceived(data)
        else:
            super().rawDataReceived(data)

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self._wake()

    async def has_room(self) -> None:
        """Wait until the client has taken in what was sent so far, but for some kilobytes, or has gone."""
        left = -1
        while self._waitingForTransport and self.transport.connected:
            self._drained = self._drained or asyncio.get_running_loop().create_future()
            await asyncio.wait([self._drained], timeout=STUCK_S)
            if left == (left := unsent_bytes(self.transport)) and self._waitingForTransport:
                self.transport.abortConnection()
                return

    def _wake(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def connectionLost(self, reason: Any) -> None:
        self._end_to_read()
        self._wake()
        self.factory.channels.discard(self)
        super().connectionLost(reason)

    _has_headers = False
    _is_upgraded = False
    _drained: asyncio.Future[None] | None = None


class Factory(HTTPFactory):
    """Makes a ``Channel`` for each connection, and knows all of them."""

    protocol = Channel

    def __init__(self, server: Any):
        super().__init__(server)
        self.channels: set[Channel] = set()
        self.reading: set[Channel] = set()
        self.timeOut = server.bounds.idle_s

    def buildProtocol(self, addr: Any) -> Channel:
        channel: Channel = super().buildProtocol(addr)
        channel.requestFactory = Request
        return channel

    def close_slow(self) -> None:
        """Call it once a second."""
        now = time.monotonic()
        for each in list(self.reading):
            each.close_if_slow(now)

    def close_idle(self) -> None:
        for each in list(self.channels):
            each.close_if_idle()

    @property
    def is_busy(self) -> bool:
        """Whether a request is on its way or being answered."""
        return any(each.is_busy for each in self.channels)
