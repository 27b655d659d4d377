"""When queued events leave: replies in this turn of the loop, events of feeds at the tick, and events of a large room
in slices (docs/architecture.md, "The hub").
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice

from chat.conf import conf
from chat.live.connection import Connection
from chat.live.rooms import LiveRoom
from chat.runtime.safe_logging import describe
from chat.wire.errors import Close

logger = logging.getLogger(__name__)

SOCKETS_PER_STEP = 200
"""Sockets that are written to before other work gets its turn on the loop: about 5 ms."""


class Sender:
    """Empties the connections' queues. Runs on the hub's loop alone.

    Args:
        on_full: Called before a connection that follows rooms is sent more than its window has room for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_full: Callable[[Connection], None]):
        self.touched: dict[Connection, None] = {}
        """Connections for which a feed has queued something. Code that adds one then calls ``at_tick``."""
        self._loop = loop
        self._on_full = on_full
        self._dirty: dict[LiveRoom, None] = {}
        self._urgent: dict[Connection, None] = {}
        self._sending: dict[Connection, None] = {}
        self._tick: asyncio.TimerHandle | None = None
        self._flushed_at = 0.0

    def at_once(self, connection: Connection) -> None:
        """Send the connection's queue in this turn of the loop, because a client waits for the reply."""
        if not self._urgent:
            self._loop.call_soon(self._flush_urgent)
        self._urgent[connection] = None

    def at_tick(self, room: LiveRoom | None = None) -> None:
        """Send the queues of ``touched`` and the pending events of ``room`` one tick after the last flush, or at once
        if that is longer ago: an event in a quiet room does not wait."""
        if room is not None:
            self._dirty[room] = None
        if self._tick is None:
            self._tick = self._loop.call_at(max(self._loop.time(), self._flushed_at + conf.tick_s), self._flush)

    def forget(self, connection: Connection) -> None:
        for each in (self.touched, self._urgent, self._sending):
            each.pop(connection, None)

    def forget_room(self, room: LiveRoom) -> None:
        self._dirty.pop(room, None)

    def _flush(self) -> None:
        self._tick = None
        self._flushed_at = self._loop.time()
        for room in self._dirty:
            room.hand_out(self.touched)
        self._dirty.clear()
        touched, self.touched = self.touched, {}
        self._send_to(touched)

    def _flush_urgent(self) -> None:
        urgent, self._urgent = self._urgent, {}
        self._send_to(urgent)

    def _send_to(self, connections: dict[Connection, None]) -> None:
        if not self._sending:
            self._sending = connections
            self._send_some()
        else:
            self._sending |= connections

    def _send_some(self) -> None:
        """Send to one slice of the connections, then let the loop run: a large room must not hold it up."""
        for connection in list(islice(self._sending, SOCKETS_PER_STEP)):
            self._sending.pop(connection, None)
            try:
                self._send_out(connection)
            except Exception as error:
                # One socket's queue must not keep the others from getting theirs.
                logger.error("connection %s: its queue can't be sent: %s", connection.id, describe(error))
                connection.close(Close.TOO_SLOW)
        if self._sending:
            self._loop.call_soon(self._send_some)

    def _send_out(self, connection: Connection) -> None:
        if not connection.window.has_room and connection.rooms:
            self._on_full(connection)
        connection.flush(self._loop.time())
        if connection.is_flooded:
            connection.close(Close.TOO_SLOW)
