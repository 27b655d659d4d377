"""The hub: one per process. Every room with a local audience has one feed; every event is encoded once, and the
events of one tick leave in one frame to each socket (docs/architecture.md, "The hub").

Lives on the event loop alone. Hints come in through ``take``; what they miss, chat/live/keeper.py repairs.
"""

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

from chat.access import identity
from chat.conf import conf
from chat.core.feed import Feed, FeedEvent
from chat.live.connection import Chunk, Connection
from chat.live.hints import (
    ALL,
    CompareHeads,
    Hint,
    Recheck,
    RoomEvents,
    RoomsMoved,
    RoomTransient,
    SessionEnded,
    ToEverybody,
    ToUser,
    room_group,
    user_group,
)
from chat.live.rooms import LiveRoom
from chat.wire import protocol
from chat.wire.errors import Close

logger = logging.getLogger(__name__)


class Relay(Protocol):
    """The process's seat in the channel layer. Both return at once; joining may take effect later, or never."""

    def join(self, group: str) -> None: ...

    def leave(self, group: str) -> None: ...


class NoRelay:
    """Stands in until the relay runs, and where nothing leads out of the process."""

    def join(self, group: str) -> None:
        pass

    def leave(self, group: str) -> None:
        pass


class Hub:
    """Connections, live rooms, and the way from one to the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.loop = loop
        self.incarnation = secrets.token_hex(8)
        self.connections: dict[Connection, None] = {}
        self.users: dict[str, dict[Connection, None]] = defaultdict(dict)
        self.rooms: dict[int, LiveRoom] = {}
        self.versions: dict[str, int] = {}
        self.relay: Relay = NoRelay()
        self.on_behind: Callable[[LiveRoom], None] = lambda room: None
        self.on_compare: Callable[[list[int]], None] = lambda room_ids: None
        self.on_recheck: Callable[[str], None] = lambda user_id: None
        self.on_cut: Callable[[str, int], None] = lambda user_id, room_id: None
        self._touched: dict[Connection, None] = {}
        self._dirty: dict[LiveRoom, None] = {}
        self._urgent: dict[Connection, None] = {}
        self._tick: asyncio.TimerHandle | None = None
        self._flushed_at = 0.0

    # Connections -------------------------------------------------------------------------------------------------

    def open(self, connection: Connection, rooms_version: int) -> None:
        """Add a signed-in connection. Past ``sockets_per_user`` the person's oldest one is closed."""
        self.versions[connection.user_id] = max(self.versions.get(connection.user_id, 0), rooms_version)
        if not self.connections:
            self.relay.join(ALL)
        mine = self.users[connection.user_id]
        if not mine:
            self.relay.join(user_group(connection.user_id))
        while len(mine) >= conf.sockets_per_user:
            oldest = next(iter(mine))
            self.close(oldest)
            oldest.close(Close.FLOODING)
            mine = self.users[connection.user_id]
        self.connections[connection] = None
        mine[connection] = None

    def close(self, connection: Connection) -> None:
        """Forget a connection. Harmless when repeated."""
        connection.is_closed = True
        self.connections.pop(connection, None)
        self._touched.pop(connection, None)
        self._urgent.pop(connection, None)
        now = self.loop.time()
        for room in list(connection.rooms.values()):
            room.detach(connection, now)
        mine = self.users.get(connection.user_id)
        if mine is not None:
            mine.pop(connection, None)
            if not mine:
                del self.users[connection.user_id]
                self.versions.pop(connection.user_id, None)
                self.relay.leave(user_group(connection.user_id))

    def send(self, connection: Connection, encoded: bytes) -> None:
        """Queue one event or reply for one connection; it leaves in this turn of the loop."""
        if not connection.is_closed:
            connection.out.append(Chunk([encoded]))
            if not self._urgent:
                self.loop.call_soon(self._flush_urgent)
            self._urgent[connection] = None

    # Following a room --------------------------------------------------------------------------------------------

    def attach(self, connection: Connection, room_id: int, epoch: str, seq: int, announcement: bytes) -> bool:
        """Let a connection that has a room's state of ``seq`` follow it from there, after ``announcement``.

        False, with nothing sent: the feed is past ``seq`` and no longer has what lies between, or it is of another
        epoch. The caller reads once more.
        """
        room = self.rooms.get(room_id)
        if room is None:
            room = self.rooms[room_id] = LiveRoom(room_id, self._new_feed(epoch, seq), self.loop.time())
            self.relay.join(room_group(room_id))
        if room.feed.epoch != epoch:
            self.on_compare([room_id])
            return False
        missing = room.feed.since(seq) if seq < room.feed.head else []
        if missing is None:
            return False
        if room_id in connection.rooms:
            room.detach(connection, self.loop.time())
        room.hand_out(self._touched)
        self.send(connection, announcement)
        if not room.attach(connection, seq, missing, self._touched):
            self.on_cut(connection.user_id, room_id)
        if self._touched:
            self._flush_at_tick()
        if seq > room.feed.head:
            room.feed.expect(seq, self.loop.time())
            self.on_behind(room)
        return True

    def detach(self, connection: Connection, room_id: int) -> None:
        if (room := connection.rooms.get(room_id)) is not None:
            room.detach(connection, self.loop.time())

    def drop_room(self, room: LiveRoom) -> list[Connection]:
        """Forget a feed; the connections that followed it."""
        followers = [*room.members, *room.waiting]
        for connection in followers:
            room.detach(connection, self.loop.time())
        self._dirty.pop(room, None)
        if self.rooms.get(room.room_id) is room:
            del self.rooms[room.room_id]
            self.relay.leave(room_group(room.room_id))
        return followers

    def _new_feed(self, epoch: str, head: int) -> Feed:
        return Feed(epoch, head, hold_s=conf.hold_s, ring_events=conf.ring_events)

    # Hints -------------------------------------------------------------------------------------------------------

    def take(self, hints: list[Hint]) -> None:
        """Act on hints, from this process or another. Any may be late, doubled, or the only one of its kind."""
        for hint in hints:
            match hint:
                case RoomEvents():
                    self._take_events(hint)
                case RoomTransient():
                    if (room := self.rooms.get(hint.room_id)) is not None:
                        self._shed(room, hint)
                case ToUser():
                    for connection in self.users.get(hint.user_id, ()):
                        if connection.id != hint.except_connection:
                            self.send(connection, hint.encoded)
                case RoomsMoved():
                    if hint.user_id in self.users:
                        known = self.versions.get(hint.user_id, 0)
                        self.versions[hint.user_id] = max(known, hint.rooms_version)
                    for connection in self.users.get(hint.user_id, ()):
                        self.send(connection, hint.encoded)
                case Recheck():
                    if hint.user_id in self.users:
                        self.on_recheck(hint.user_id)
                case SessionEnded():
                    self._end_session(hint)
                case CompareHeads():
                    self.on_compare(list(self.rooms))
                case ToEverybody():
                    for connection in self.connections:
                        self.send(connection, hint.encoded)

    def _take_events(self, hint: RoomEvents) -> None:
        room = self.rooms.get(hint.room_id)
        if room is None:
            return
        if room.feed.epoch != hint.epoch:
            self.on_compare([hint.room_id])
            return
        now = self.loop.time()
        ready: list[FeedEvent] = []
        for event in hint.events:
            ready += room.feed.offer(event, now)
        self.deliver(room, ready)
        if room.feed.repair_at is not None:
            self.on_behind(room)

    def deliver(self, room: LiveRoom, events: list[FeedEvent]) -> list[Connection]:
        """Queue events that are next in the room's order; the connections that lost the room with them."""
        cut = room.take(events, self._touched, self.loop.time())
        if room.pending:
            self._dirty[room] = None
        if room.pending or self._touched:
            self._flush_at_tick()
        return cut

    def _end_session(self, hint: SessionEnded) -> None:
        for connection in list(self.users.get(hint.user_id, ())):
            key = connection.identity.session_key if connection.identity else None
            if key is not None and identity.digest(key) == hint.session:
                connection.close(Close.SESSION_ENDED)

    def _shed(self, room: LiveRoom, hint: RoomTransient) -> None:
        """Typing and notices go to who has room for them; nobody falls behind because of one."""
        for connection in room.members:
            if connection.user_id != hint.except_user and connection.window.has_room:
                connection.out.append(Chunk([hint.encoded], shared=True))
                self._touched[connection] = None
        self._flush_at_tick()

    # Sending -----------------------------------------------------------------------------------------------------

    def _flush_at_tick(self) -> None:
        """Flush a tick after the last flush: at once when that is longer ago, so an idle feed does not wait."""
        if self._tick is None:
            self._tick = self.loop.call_at(max(self.loop.time(), self._flushed_at + conf.tick_s), self._flush)

    def _flush(self) -> None:
        self._tick = None
        self._flushed_at = self.loop.time()
        for room in self._dirty:
            room.hand_out(self._touched)
        self._dirty.clear()
        touched, self._touched = self._touched, {}
        self._flush_each(touched)

    def _flush_urgent(self) -> None:
        """Send to who waits for a reply; what only feeds have queued keeps to the tick."""
        urgent, self._urgent = self._urgent, {}
        self._flush_each(urgent)

    def _flush_each(self, connections: dict[Connection, None]) -> None:
        now = self.loop.time()
        for connection in connections:
            if not connection.window.has_room and connection.rooms:
                self._lag(connection)
            connection.flush(now)
            if connection.window.is_flooded:
                connection.close(Close.TOO_SLOW)

    def _lag(self, connection: Connection) -> None:
        """Stop pushing to a connection that does not keep up; it syncs when it is ready."""
        connection.is_lagging = True
        rooms = list(connection.rooms)
        connection.out = [chunk for chunk in connection.out if not chunk.shared]
        for room_id in rooms:
            self.detach(connection, room_id)
        told = protocol.encode(protocol.Lagging(rooms=[str(each) for each in rooms]))
        connection.out.append(Chunk([told]))
