"""Sending the clients of a process elsewhere before it ends: a few at a time, each once its commands are answered."""

import asyncio
import math
import random

from chat.live.connection import Connection
from chat.live.hub import Hub
from chat.wire import protocol
from chat.wire.errors import Close

PER_S = 200.0
"""Clients that leave in a second: about as many as another process can sign in."""
RECONNECT_MS = 500, 1_500
"""How soon clients are told to connect again: soon, because the closes are spread; but a busy client must read the
close frame first, or it counts the connection as lost."""
PATIENCE_S, ANSWERED_S = 2.0, 5.0
"""How long a connection with unanswered commands goes on, and how long it is kept in all; in between it gets no others.
Of what is unanswered then, nobody knows the outcome; clients send messages again elsewhere."""
STEP_S = 0.05


class Draining:
    """Sends every connection of ``hub`` a ``drain`` event, and closes it with 4012.

    Args:
        spread_s: Over how long the connections are spread at most.
    """

    def __init__(self, hub: Hub, *, spread_s: float):
        self._hub = hub
        self._spread_s = spread_s
        self._leaving: dict[Connection, float] = {}

    async def run(self) -> None:
        """Return when no connection is left."""
        now = self._hub.loop.time()
        ends_at = now + min(self._spread_s, len(self._hub.connections) / PER_S)
        while self._hub.connections:
            now = self._hub.loop.time()
            staying = [each for each in self._hub.connections if each not in self._leaving]
            steps = max(1.0, (ends_at - now) / STEP_S)
            self._leaving |= dict.fromkeys(random.sample(staying, math.ceil(len(staying) / steps)), now)
            self._close_answered(now)
            await asyncio.sleep(STEP_S)

    def _close_answered(self, now: float) -> None:
        for connection, since in list(self._leaving.items()):
            waits_s = now - since
            if connection.is_closed:
                del self._leaving[connection]
            elif (connection.unanswered <= 0 and waits_s) or waits_s > ANSWERED_S:
                self._send_away(connection, now)
            elif waits_s > PATIENCE_S:
                connection.is_leaving = True

    def _send_away(self, connection: Connection, now: float) -> None:
        told = protocol.Drain(reconnect_in_ms=random.randrange(*RECONNECT_MS))  # noqa: S311
        self._hub.send(connection, protocol.encode(told))
        connection.flush(now)
        connection.close(Close.DRAINING)
