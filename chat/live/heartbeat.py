"""The heartbeat of every connection: ``heads`` at a steady interval, and an end for connections that have stalled."""

import asyncio
import logging

from django.utils import timezone

from chat.access import reads
from chat.conf import conf
from chat.live.connection import Connection
from chat.live.hub import Hub
from chat.runtime import pools
from chat.wire import protocol
from chat.wire.errors import Close

logger = logging.getLogger(__name__)

VERSIONS_S = 1.0
"""How long a heartbeat waits for fresh ``rooms_version``s. A slower database must not hold it up."""


class Heartbeat:
    """Sends ``heads`` to each connection every ``heartbeat_s``. Call ``second`` once a second."""

    def __init__(self, hub: Hub):
        self._hub = hub
        # One group of connections for each second of the interval, so that they are not all due in the same turn.
        self._groups: list[dict[Connection, None]] = [{} for _ in range(max(1, round(conf.heartbeat_s)))]
        self._turn = 0

    def add(self, connection: Connection) -> None:
        """Send this connection its heartbeats from now on."""
        min(self._groups, key=len)[connection] = None

    def remove(self, connection: Connection) -> None:
        """Stop the heartbeats of a connection. Harmless when repeated."""
        for group in self._groups:
            group.pop(connection, None)

    async def second(self) -> None:
        """Close connections that have stalled, wake those with room, and send ``heads`` to those whose turn it is."""
        now = self._hub.loop.time()
        for connection in list(self._hub.connections):
            if connection.window.is_stalled(now):
                connection.close(Close.TOO_SLOW)
            else:
                connection.look_for_room()
        self._turn = (self._turn + 1) % len(self._groups)
        due = list(self._groups[self._turn])
        if due:
            await self._refresh_versions(due)
            for connection in due:
                self._send_heads(connection)

    async def _refresh_versions(self, connections: list[Connection]) -> None:
        people = {each.user_id for each in connections}
        try:
            async with asyncio.timeout(VERSIONS_S):
                versions = await pools.readers.run(reads.rooms_versions, people)
        except Exception as error:
            logger.warning("rooms_version: %s", type(error).__name__)  # the heartbeat goes out with the known ones
            return
        for user_id in people:
            self._hub.learn_version(user_id, versions.get(user_id, 0))

    def _send_heads(self, connection: Connection) -> None:
        since, connection.heads_at = connection.heads_at, self._hub.loop.time()
        moved = {str(each.room_id): each.head for each in connection.rooms.values() if each.moved_at >= since}
        heads = protocol.Heads(
            rooms=moved,
            rooms_version=self._hub.versions.get(connection.user_id, 0),
            server_time=protocol.rfc3339(timezone.now()),
        )
        self._hub.send(connection, protocol.encode(heads))
