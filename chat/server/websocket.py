"""WebSockets as daphne serves them, with what it leaves out: statuses of refusals, close codes instead of resets, and
frames that are written straight to the socket.
"""

from typing import Any

from autobahn.websocket.types import ConnectionDeny
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor
from twisted.web.http import RESPONSES

from chat.server.frames import Frames
from chat.wire.errors import Close

REFUSALS: dict[str, Any] = {"websocket.http.response": {}}
"""The extension by which an application chooses the status of a refusal (ASGI, "WebSocket Denial Response")."""
CLOSES_WITHIN_S: dict[int | None, float] = {Close.TOO_SLOW: 10.0, Close.DRAINING: 5.0}
"""How long a client may take for its part of the closing handshake, by the code that it is closed with. One that reads
slowly must come as far as the close frame; and after a crowd was sent away, its machine or a proxy may be busy."""
OTHERS_WITHIN_S = 2.0
"""The same after any other code."""


FLUSHED_S = 10.0
"""How long a client may take to read what was sent to it before the end of the connection."""
EARLY_BYTES = 64 * 1024
"""What is read of a client before its handshake is answered."""


class Protocol(WebSocketProtocol):
    """One socket."""

    frames: Frames | None = None
    """Where everything goes out; None until an application is asked."""

    def onConnect(self, request: Any) -> Any:
        self._response: dict[str, Any] | None = None
        self._early = b""
        self.server = self.factory.server_class
        self.server.handshakes.add(self)
        self.frames = Frames(self.transport)
        self.transport.unregisterProducer()  # that was the HTTP channel
        self.transport.registerProducer(self.frames, True)
        return super().onConnect(request)

    def onOpen(self) -> None:
        self.server.handshakes.discard(self)
        super().onOpen()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if not hasattr(self, "server"):
            return  # no application was asked: daphne's own would fail
        self.server.handshakes.discard(self)
        super().onClose(wasClean, code, reason)

    def dataReceived(self, data: bytes) -> None:
        # Autobahn would look for a second handshake in what comes before the first is answered, from the beginning each
        # time, and answer it.
        if self.state == self.STATE_CONNECTING and self.frames is not None:
            self._early += data
            if len(self._early) > EARLY_BYTES:
                self.transport.pauseProducing()
        else:
            super().dataReceived(data)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.state == self.STATE_OPEN:
            super().onMessage(payload, isBinary)

    def send_frame(self, frame: bytes) -> None:
        """Send a whole frame, with its header; nothing once the socket is closing."""
        if self.state == self.STATE_OPEN and self.frames is not None:
            self.frames.write(frame)

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        if self.frames is None:
            super().sendData(data, sync, chopsize)
        else:
            self.frames.write(data)

    # Handshakes --------------------------------------------------------------------------------------------------

    def handle_reply(self, message: Any) -> None:
        if message["type"] == "websocket.accept":
            self._accept(message)
        elif message["type"] == "websocket.http.response.start":
            self._response = message
        elif message["type"] == "websocket.http.response.body":
            self._deny(message.get("body", b""))
        elif message["type"] == "websocket.close" and self.state != self.STATE_OPEN:
            if self.state == self.STATE_CONNECTING and hasattr(self, "handshake_deferred"):
                self.serverReject()
        else:
            super().handle_reply(message)

    def _accept(self, message: Any) -> None:
        # daphne's own drops the application's headers (django/daphne#374).
        headers = [(name.decode("latin1"), value.decode("latin1")) for name, value in message.get("headers") or ()]
        chosen: dict[str, Any] = {}
        for name, value in [*self.server.handshake_headers, *headers]:
            chosen.setdefault(name, []).append(value)
        # daphne offers applications what Autobahn has not: subprotocols that were percent-encoded.
        subprotocol = message.get("subprotocol")
        self._answer((subprotocol if subprotocol in self.websocket_protocols else None, chosen))

    def _deny(self, body: bytes) -> None:
        response = self._response or {"status": 403}
        self._answer(ConnectionDeny(code=response["status"], reason=body.decode("utf-8", "replace")))
        self.server.protocol_disconnected(self)

    def _answer(self, answer: Any) -> None:
        if not hasattr(self, "handshake_deferred"):
            return  # the client has gone, or was answered
        deferred = self.handshake_deferred
        del self.handshake_deferred
        self.server.handshakes.discard(self)
        if self.state != self.STATE_CONNECTING:
            return
        if isinstance(answer, ConnectionDeny):
            deferred.errback(answer)
            return
        early, self._early = self._early, b""
        self.data += early
        if len(early) > EARLY_BYTES:
            self.transport.resumeProducing()
        deferred.callback(answer)
        if self.state == self.STATE_CONNECTING:
            self.failHandshake("Internal server error", 500)

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: Any = None) -> None:
        # Autobahn's own puts any text into the status line and has no length.
        phrase = RESPONSES.get(code, b"Refused").decode()
        body = (reason or phrase).encode()
        lines = [
            f"HTTP/1.1 {code} {phrase}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *([f"Server: {self.factory.server}"] if self.factory.server else []),
        ]
        self.sendData("\r\n".join([*lines, "", ""]).encode("latin1", "replace") + body)

    # Ends --------------------------------------------------------------------------------------------------------

    def handle_exception(self, exception: BaseException) -> None:
        # daphne's own sends 1011, and fails where the handshake was answered already.
        self.fail(Close.FAILED)

    def application_ended(self, error: BaseException | None) -> None:
        """End the socket of an application that is no more."""
        self.fail(Close.FAILED if error else Close.NORMAL)

    def fail(self, code: int) -> None:
        """Close with ``code``, or answer 500 if the handshake is not over."""
        if self.state == self.STATE_CONNECTING:
            self._answer(ConnectionDeny(code=500, reason="Internal server error"))
        else:
            self.sendCloseFrame(code=code)

    def _fail_connection(self, code: int = 0, reason: str = "") -> None:
        # A frame that is too long or no frame. Autobahn would reset the connection, or send a code of 10xx.
        self.failedByMe = True
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=Close.FLOODING)
        self.data = b""
        self.transport.pauseProducing()

    def _closeConnection(self, abort: bool = False) -> None:
        super()._closeConnection(abort)
        if not abort:
            reactor.callLater(FLUSHED_S, self.transport.abortConnection)

    def _sendAutoPing(self) -> None:
        if self.autoPingTimeoutCall is None:  # Autobahn would forget the time-out of the one that is on its way
            super()._sendAutoPing()

    def onAutoPingTimeout(self) -> None:
        self.autoPingTimeoutCall = None
        self.sendCloseFrame(code=Close.HEARTBEAT_MISSED)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        if self.state == self.STATE_OPEN and self.frames is not None and code == Close.TOO_SLOW:
            self.frames.drop_unsent()
        self.closeHandshakeTimeout = CLOSES_WITHIN_S.get(code, OTHERS_WITHIN_S)
        super().sendCloseFrame(code=code, reasonUtf8=reasonUtf8, isReply=isReply)


class Factory(WebSocketFactory):
    """Makes a ``Protocol`` for each socket."""

    protocol = Protocol
