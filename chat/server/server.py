"""daphne's server with bounds, an end that nobody notices, and an answer to every request."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import daphne.server
from twisted.internet import defer, reactor
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogBeginner,
)

from chat.server import http, websocket
from chat.server.accepting import Acceptor
from chat.server.bounds import Bounds
from chat.wire.errors import Close

logger = logging.getLogger(__name__)

PING_S, PONG_S = 20, 30
"""After how long a silent client is pinged, and how long its answer may take."""
HANDSHAKE_S = 60
"""How long a handshake may take: after a restart everybody comes at once. With daphne's 5 s, most of 3,000 handshakes
at once were reset (django/daphne#67)."""
REQUESTS_S = 10.0
"""How long a server that ends waits for the requests in hand."""
GONE_S = 14.0
"""After how long, with the usual settings, a server that ends waits for nothing any more."""
CANCELLED_S = 1.0
"""How long it then waits for the applications that it cancels."""
STEP_S = 0.05


class Server(daphne.server.Server):
    """Serves one application on sockets that listen already.

    Args:
        drain: Sends the application's own sockets away, each with a close frame, and returns when it has.
        are_shared: Whether other processes accept on the same sockets.
        drained_s: How long that may take.
        on_ready: Called once connections are accepted.
        handshake_headers: Sent with the answer to each WebSocket handshake.
        frame_bytes: The longest frame that is read; a longer one closes the socket with 4029.
    """

    def __init__(
        self,
        application: Any,
        *,
        sockets: list[socket.socket],
        bounds: Bounds,
        are_shared: bool,
        drain: Callable[[], Awaitable[None]],
        drained_s: float,
        on_ready: Callable[[], None],
        frame_bytes: int,
        server_name: str = "",
        handshake_headers: tuple[tuple[str, str], ...] = (),
        action_logger: Any = None,
    ):
        super().__init__(
            application,
            endpoints=["sockets that listen already"],
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            websocket_timeout=-1,
            websocket_connect_timeout=HANDSHAKE_S,
            websocket_handshake_timeout=HANDSHAKE_S,
            websocket_max_message_size=frame_bytes,
            websocket_max_frame_size=frame_bytes,
            server_name=server_name,
            action_logger=action_logger,
        )
        self.bounds = bounds
        self.handshake_headers = handshake_headers
        self.handshakes: set[websocket.Protocol] = set()
        self.is_draining = False
        self.connections: dict[Any, dict[str, Any]] = {}
        self.http_factory = http.Factory(self)
        self.ws_factory = websocket.Factory(self, server=self.server_name)
        self._are_shared = are_shared
        self._drain_sockets = drain
        self._drained_s = drained_s
        self._on_ready = on_ready
        self._acceptors = [Acceptor(each, self.http_factory, reactor) for each in sockets]
        self._draining: asyncio.Task[None] | None = None

    @property
    def takes_handshakes(self) -> bool:
        return not self.is_draining and len(self.handshakes) < self.bounds.handshakes

    def run(self) -> None:
        """Serve until ``drain`` or ``stop`` has been called, and all is over."""
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout,
            allowNullOrigin=True,
            openHandshakeTimeout=self.websocket_handshake_timeout,
            closeHandshakeTimeout=websocket.OTHERS_WITHIN_S,
            maxMessagePayloadSize=self.websocket_max_message_size,
            maxFramePayloadSize=self.websocket_max_frame_size,
        )
        # daphne drops Twisted's whole log, and with it what went wrong in a callback.
        errors = FilteringLogObserver(STDLibLogObserver("twisted"), [LogLevelFilterPredicate(LogLevel.error)])
        globalLogBeginner.beginLoggingTo([errors], redirectStandardIO=False, discardBuffer=True)
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)
        reactor.callLater(1, self._second)
        reactor.addSystemEventTrigger("before", "shutdown", self.kill_all_applications)
        # Not by reactor.callWhenRunning: that is before uvloop takes signals, and Ctrl-C would be lost.
        reactor._asyncioEventloop.call_soon(self._begin)
        reactor.run(installSignalHandlers=False)

    def _begin(self) -> None:
        try:
            self.accept(True)
        except OSError as error:
            logger.critical("The server can't listen: %s", error.strerror)
            self.abort_start = True
            self.stop()
        else:
            self._on_ready()

    def _second(self) -> None:
        try:
            self.http_factory.close_slow()
        finally:
            reactor.callLater(1, self._second)

    # daphne's own checks end for ever with the first exception of one protocol.

    def timeout_checker(self) -> None:
        for each in list(self.connections):
            try:
                each.check_timeouts()
            except Exception:
                logger.exception("A connection can't be checked, and is ended")
                if each.transport is not None:
                    each.transport.abortConnection()
        reactor.callLater(2, self.timeout_checker)

    def application_checker(self) -> None:
        now = time.time()
        for protocol, details in list(self.connections.items()):
            gone, task = details.get("disconnected"), details.get("application_instance")
            if gone and (task is None or task.done()):
                self.connections.pop(protocol, None)
            elif gone and task is not None and now - gone > self.application_close_timeout:
                logger.warning("An application has not ended within %s s of its client", self.application_close_timeout)
                task.cancel()
        reactor.callLater(1, self.application_checker)

    def protocol_disconnected(self, protocol: Any) -> None:
        if protocol in self.connections:  # it may have been refused, and forgotten, before
            super().protocol_disconnected(protocol)

    # The end -----------------------------------------------------------------------------------------------------

    def accept(self, does: bool) -> None:
        """Accept connections, or keep those that are there and accept no others."""
        if not self.is_draining:
            for each in self._acceptors:
                each.start() if does else each.stop()

    def drain(self) -> None:
        """End without anybody noticing: listen no more, finish the requests in hand, send the sockets away, and stop.
        Harmless when repeated."""
        if self._draining is None:
            self._draining = reactor._asyncioEventloop.create_task(self._drain())

    def drain_or_stop(self) -> None:
        """``drain``; called a second time, end at once."""
        if self._draining is None:
            self.drain()
        else:
            self.stop()

    async def _drain(self) -> None:
        began = time.monotonic()
        for each in self._acceptors:
            # What waits would be reset. Where others listen, it is theirs.
            each.close(accepts_what_waits=not self._are_shared)
        self.is_draining = True
        self.http_factory.close_idle()
        try:
            async with asyncio.timeout(self._drained_s):
                await asyncio.gather(self._finish_requests(), self._drain_sockets())
        except Exception:
            logger.exception("The server ends, but not as it should")
        for each in list(self.connections):
            if isinstance(each, websocket.Protocol):
                each.fail(Close.DRAINING)
        await self._finish_handshakes(began + GONE_S)
        self.stop()

    async def _finish_requests(self) -> None:
        ends_at = time.monotonic() + REQUESTS_S
        while self.http_factory.is_busy and time.monotonic() < ends_at:
            await asyncio.sleep(STEP_S)
            self.http_factory.close_idle()

    async def _finish_handshakes(self, at_most_until: float) -> None:
        """Wait until the close frames have come where they go: what is on its way is lost with the process."""
        ends_at = min(at_most_until, time.monotonic() + websocket.CLOSES_WITHIN_S[Close.DRAINING])
        while time.monotonic() < ends_at and any(
            isinstance(each, websocket.Protocol) and "disconnected" not in details
            for each, details in self.connections.items()
        ):
            await asyncio.sleep(STEP_S)

    def kill_all_applications(self) -> Any:
        # daphne's own fails when a request has just become a socket, cancels nothing then, and waits for the first
        # application only.
        running = [
            task
            for details in self.connections.values()
            if (task := details.get("application_instance")) is not None and not task.done()
        ]
        for each in running:
            each.cancel()
        if not running:
            return None
        return defer.Deferred.fromFuture(asyncio.ensure_future(asyncio.wait(running, timeout=CANCELLED_S)))

    # Applications ------------------------------------------------------------------------------------------------

    def create_application(self, protocol: Any, scope: Any) -> Any:
        if scope["type"] == "websocket":
            scope["extensions"] = {**(scope.get("extensions") or {}), **websocket.REFUSALS}
        queue = super().create_application(protocol, scope)
        if queue is not None:
            task = self.connections[protocol]["application_instance"]
            task.add_done_callback(partial(self._application_ended, protocol))
        return queue

    def _application_ended(self, protocol: Any, task: "asyncio.Task[None]") -> None:
        # daphne looks once a second, and leaves a request without an answer whose application has given none.
        details = self.connections.get(protocol)
        if details is None or details.pop("application_instance", None) is None:
            return
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("Exception inside application: %s", error, exc_info=error)
        if "disconnected" in details:
            del self.connections[protocol]
        else:
            protocol.application_ended(error)

    async def handle_reply(self, protocol: Any, message: Any) -> None:
        await super().handle_reply(protocol, message)
        # daphne keeps in memory what a slow client has not read (django/daphne#170).
        if message.get("more_body") and isinstance(protocol, http.Request) and protocol.channel is not None:
            await protocol.channel.has_room()
