"""The frames that have come and not been read yet, bounded, and what becomes of those that cannot be read."""

import asyncio
from collections import deque
from typing import Any

from chat.conf import conf
from chat.live.connection import Connection
from chat.runtime.switching import give_way_for
from chat.services import limits
from chat.sockets.dispatch import Dispatch
from chat.wire import protocol
from chat.wire.errors import ChatError, Close

FLOOD_S = 1.0
"""How long after a socket had to be paused for its many frames the writer's thread is not kept waiting for the loop."""
BAD_FRAMES_S = 10.0
"""The span of time in which a socket may send ``bad_frames`` frames that cannot be read."""


class Inbox:
    """Turns frames into commands and hands them to ``commands``. Runs on the event loop alone.

    Args:
        network: Where the socket comes from. Before the sign-in, all sockets from there count as one sender; where it
            is not known, each counts by itself.
    """

    __slots__ = ("_are_counted", "_bad_at", "_commands", "_connection", "_frames", "_loop", "_stranger")

    def __init__(self, connection: Connection, commands: Dispatch, loop: asyncio.AbstractEventLoop, network: str):
        self._connection = connection
        self._stranger = f"network {network}" if network else connection.id
        self._commands = commands
        self._loop = loop
        self._frames: deque[str] = deque()
        self._bad_at: deque[float] = deque()
        self._are_counted = connection.transport.count_frames(self._count)

    def put(self, frame: str, size: int) -> None:
        """Keep a frame until its turn in the loop; a flood of frames closes the connection (4029).

        Args:
            size: What was read for it, in characters or bytes.
        """
        if self._connection.is_closed:
            return
        if not self._frames:
            self._loop.call_soon(self._read)
        self._frames.append(frame)
        if len(self._frames) > conf.queued_frames:
            self._connection.close(Close.FLOODING)
        elif pause_s := limits.pause_s(self._sender(), size):
            self._connection.transport.pause_reading(pause_s)
        if not self._are_counted:
            self._count()

    def clear(self) -> None:
        self._frames.clear()

    def _count(self) -> None:
        if self._connection.is_closed:
            return
        if not limits.may_send(self._sender()):
            self._connection.close(Close.FLOODING)
        elif pause_s := limits.pace_s(self._sender()):
            self._connection.transport.pause_reading(pause_s)
            give_way_for(FLOOD_S)

    def _sender(self) -> str:
        """Who a frame counts for."""
        return self._connection.user_id or self._stranger

    def _read(self) -> None:
        while self._frames and not self._connection.is_closed:
            items = protocol.decode(self._frames.popleft(), max_bytes=conf.frame_bytes)
            were_good = [self._take(each) for each in items]
            if not all(were_good):
                self._count_bad_frame()

    def _take(self, item: Any) -> bool:
        """Hand on or answer one thing that a frame held; False if it was no good."""
        if isinstance(item, protocol.Rejected):
            self._commands.refuse(item.ref, item.error)
            return False
        try:
            self._commands.put(item)
        except ChatError as error:
            self._commands.refuse(None, error)
            return False
        return True

    def _count_bad_frame(self) -> None:
        now = self._loop.time()
        self._bad_at.append(now)
        while now - self._bad_at[0] > BAD_FRAMES_S:
            self._bad_at.popleft()
        if len(self._bad_at) >= conf.bad_frames:
            self._connection.close(Close.FLOODING)
