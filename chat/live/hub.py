"""The hub: one per process. Every room with a local audience has one feed; every event is encoded once, and the
events of one tick leave in one frame to each socket (docs/architecture.md, "The hub").

The hub lives on the event loop alone. Hints come in through ``take``; live/reconciler.py repairs what they miss.
"""

import asyncio
import secrets
from collections import defaultdict
from typing import Protocol

from chat.access import identity
from chat.conf import conf
from chat.live.connection import Chunk, Connection
from chat.live.feed import Feed
from chat.live.hints import (
    ALL,
    CompareHeads,
    CompareRoom,
    Hint,
    PresenceAsked,
    PresenceChanged,
    PresenceState,
    RatesTaken,
    Recheck,
    RecheckRoom,
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
from chat.live.sending import Sender
from chat.wire import protocol
from chat.wire.errors import Close
from chat.wire.feed_event import FeedEvent
from chat.wire.position import Position

ENDING_S = 10.0
"""How long a sign-in may take from the check of its session or token until it is in the hub."""
PEOPLE_AT_MOST = 10_000
"""People whose endings or floods are remembered. The oldest are forgotten first; revalidation finds the sockets of an
ending later."""


class Groups(Protocol):
    """The groups of the channel layer that this process is in. Both methods return at once; the layer follows later."""

    def join(self, group: str) -> None: ...

    def leave(self, group: str) -> None: ...


class HubOwner(Protocol):
    """What the hub needs and cannot do itself. Every method returns at once."""

    def repair_soon(self, room: LiveRoom) -> None:
        """The room's feed lacks events."""

    def compare_soon(self, room_ids: list[int]) -> None:
        """Feeds of these rooms may have missed hints, or may be of an epoch that has ended."""

    def recheck_soon(self, user_ids: set[str]) -> None:
        """These people may have lost their session, their account or a room."""

    def room_lost(self, user_id: str, room_id: int) -> None:
        """The person's connections no longer follow the room, and no event of the room has told them."""

    def rates_taken(self, taken: list[tuple[str, str, float]]) -> None:
        """People have used this of their limits in another process."""

    def connected(self, connection: Connection) -> None: ...

    def disconnected(self, connection: Connection) -> None:
        """May be repeated."""

    def followed(self, connection: Connection, room_id: int) -> None:
        """The connection follows the room from now on."""

    def people_moved(self, room_id: int) -> None:
        """Somebody has joined or left a room that somebody follows here."""

    def moved(self, user_id: str, room_id: int) -> None:
        """This person has joined or left the room."""

    def rights_read(self, user_id: str, rights: dict[int, bool]) -> None:
        """The rooms that this person may watch, of those that they follow, and whether they may see who is there."""

    def presence_heard(self, hint: PresenceChanged | PresenceState | PresenceAsked) -> None:
        """Another process tells whom it has, or asks."""


class Hub:
    """Connections, live rooms, and the events on their way from one to the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, owner: HubOwner, groups: Groups):
        self.loop = loop
        self.owner = owner
        self.incarnation = secrets.token_hex(8)
        self.connections: dict[Connection, None] = {}
        self.users: dict[str, dict[Connection, None]] = defaultdict(dict)
        self.rooms: dict[int, LiveRoom] = {}
        self.versions: dict[str, int] = {}
        self._groups = groups
        self._sender = Sender(loop, on_full=self._lag)
        self._endings: dict[str, float] = {}
        self._kept_out: dict[str, float] = {}

    # Connections -------------------------------------------------------------------------------------------------

    def open(self, connection: Connection) -> bool:
        """Add a signed-in connection; False if the person has ``sockets_per_user`` already, or flooded the process less
        than ``flood_pause_s`` ago.

        Nothing is sent to it before ``greet``.

        The newest is refused: closing an older one would make two tabs replace each other for ever.
        """
        if len(self.users.get(connection.user_id, ())) >= conf.sockets_per_user:
            return False
        if self.loop.time() < self._kept_out.get(connection.user_id, 0.0):
            return False
        if not self.connections:
            self._groups.join(ALL)
        mine = self.users[connection.user_id]
        if not mine:
            self._groups.join(user_group(connection.user_id))
        self.connections[connection] = None
        mine[connection] = None
        self.owner.connected(connection)
        if self._ended_lately(connection.user_id):
            self.owner.recheck_soon({connection.user_id})
        return True

    def keep_out(self, connection: Connection) -> None:
        """Refuse new sockets of this connection's person for a while. It is being closed for flooding."""
        if connection in self.connections:
            _remember(self._kept_out, connection.user_id, self.loop.time() + conf.flood_pause_s)

    def greet(self, connection: Connection, first: list[bytes]) -> None:
        """Send ``first``, then whatever was queued since ``open``, and from then on everything."""
        if not connection.is_closed:
            connection.out.insert(0, Chunk(first))
            connection.is_greeted = True
            self.send(connection)

    def learn_version(self, user_id: str, rooms_version: int) -> None:
        if user_id in self.users:
            self.versions[user_id] = max(self.versions.get(user_id, 0), rooms_version)

    def close(self, connection: Connection) -> None:
        """Forget a connection. Harmless when repeated."""
        connection.end()
        self.connections.pop(connection, None)
        self._sender.forget(connection)
        now = self.loop.time()
        for room in list(connection.rooms.values()):
            room.detach(connection, now)
        mine = self.users.get(connection.user_id)
        if mine is not None:
            mine.pop(connection, None)
            if not mine:
                del self.users[connection.user_id]
                self.versions.pop(connection.user_id, None)
                self._groups.leave(user_group(connection.user_id))
        self.owner.disconnected(connection)

    def send(self, connection: Connection, *encoded: bytes) -> None:
        """Queue events or replies for one connection. They leave in this turn of the loop."""
        if not connection.is_closed:
            if encoded:
                connection.out.append(Chunk(list(encoded)))
            self._sender.at_once(connection)

    # Following a room --------------------------------------------------------------------------------------------

    def attach(
        self,
        connection: Connection,
        room_id: int,
        at: Position,
        announcement: bytes,
        past: list[FeedEvent] | None = None,
    ) -> bool:
        """Let a connection that holds a room's state at a position follow the room from there, after ``announcement``.

        False, with nothing sent, if the feed is past the position and no longer has what lies between, or is of another
        epoch or run: the caller reads again. A connection that has closed meanwhile is left alone.

        Args:
            past: Events that lead up to the position, for a feed whose ring is empty.
        """
        if connection.is_closed:
            return True
        room = self.rooms.get(room_id)
        if room is None:
            room = self.rooms[room_id] = LiveRoom(room_id, self._new_feed(at), self.loop.time())
            self._groups.join(room_group(room_id))
            # A hint that came after the position was read found no feed to go to.
            self.owner.compare_soon([room_id])
        # A feed that is behind may yet come to the run of the position. One that is not has left it, or never saw it.
        if room.feed.epoch != at.epoch or (at.seq <= room.feed.head and not room.feed.is_on(at)):
            self.owner.compare_soon([room_id])
            return False
        if past:
            room.feed.remember(past)
        missing = room.feed.since(at.seq) if at.seq < room.feed.head else []
        if missing is None:
            return False
        if room_id in connection.rooms:
            room.detach(connection, self.loop.time())
        room.hand_out(self._sender.touched)
        self.send(connection, announcement)
        if not room.attach(connection, at.seq, missing, self._sender.touched):
            self.owner.room_lost(connection.user_id, room_id)
        else:
            self.owner.followed(connection, room_id)
        if self._sender.touched:
            self._sender.at_tick()
        if at.seq > room.feed.head:
            room.feed.expect(at.seq, self.loop.time())
            self.owner.repair_soon(room)
        return True

    def detach(self, connection: Connection, room_id: int) -> None:
        if (room := connection.rooms.get(room_id)) is not None:
            room.detach(connection, self.loop.time())

    def drop_room(self, room: LiveRoom) -> list[Connection]:
        """Forget a feed, and return the connections that followed it."""
        followers = [*room.members, *room.waiting]
        for connection in followers:
            room.detach(connection, self.loop.time())
        self._sender.forget_room(room)
        if self.rooms.get(room.room_id) is room:
            del self.rooms[room.room_id]
            self._groups.leave(room_group(room.room_id))
        return followers

    def _new_feed(self, at: Position) -> Feed:
        return Feed(at.epoch, at.seq, at.run, at.run_seq, hold_s=conf.hold_s, ring_events=conf.ring_events)

    # Hints -------------------------------------------------------------------------------------------------------

    def take(self, hints: list[Hint]) -> None:
        """Act on hints from this process or another. Each may be late or doubled, and earlier ones lost."""
        for hint in hints:
            match hint:
                case RoomEvents():
                    self._take_events(hint)
                case RoomTransient():
                    if (room := self.rooms.get(hint.room_id)) is not None:
                        self._shed(room, hint)
                case CompareRoom():
                    if hint.room_id in self.rooms:
                        self.owner.compare_soon([hint.room_id])
                case RecheckRoom():
                    audience = self._audience(hint.room_id)
                    self.owner.recheck_soon(audience if hint.user_ids is None else audience.intersection(hint.user_ids))
                case ToUser():
                    for connection in self.users.get(hint.user_id, ()):
                        connection.told += 1
                        if connection.id != hint.except_connection:
                            self.send(connection, hint.encoded)
                case RoomsMoved():
                    self.learn_version(hint.user_id, hint.rooms_version)
                    self.owner.moved(hint.user_id, hint.room_id)
                    for connection in self.users.get(hint.user_id, ()):
                        self.send(connection, hint.encoded)
                case Recheck():
                    self._note_ending(hint.user_id)
                    if hint.user_id in self.users:
                        self.owner.recheck_soon({hint.user_id})
                case SessionEnded():
                    self._end_session(hint)
                case CompareHeads():
                    self.owner.compare_soon(list(self.rooms))
                case RatesTaken():
                    self.owner.rates_taken(hint.taken)
                case PresenceChanged() | PresenceState() | PresenceAsked():
                    self.owner.presence_heard(hint)
                case ToEverybody():
                    for connection in self.connections:
                        self.send(connection, hint.encoded)

    def _audience(self, room_id: int) -> set[str]:
        """The people who follow the room here or are about to."""
        wire_id = str(room_id)
        return {each.user_id for each in self.connections if room_id in each.rooms or wire_id in each.syncing}

    def _take_events(self, hint: RoomEvents) -> None:
        room = self.rooms.get(hint.room_id)
        if room is None:
            return
        if room.feed.epoch != hint.epoch:
            self.owner.compare_soon([hint.room_id])
            return
        now = self.loop.time()
        ready: list[FeedEvent] = []
        for event in hint.events:
            ready += room.feed.offer(event, now)
        self.deliver(room, ready)
        if room.feed.is_in_doubt:
            self.owner.compare_soon([hint.room_id])
        if room.feed.repair_at is not None:
            self.owner.repair_soon(room)

    def deliver(self, room: LiveRoom, events: list[FeedEvent]) -> list[Connection]:
        """Queue events that are next in the room's order; return the connections that lost the room with them."""
        cut = room.take(events, self._sender.touched, self.loop.time())
        if any(each.moves_people for each in events):
            self.owner.people_moved(room.room_id)
        if room.pending:
            self._sender.at_tick(room)
        elif self._sender.touched:
            self._sender.at_tick()
        return cut

    def _note_ending(self, user_id: str) -> None:
        """Remember for a while that a session, token or right of this person ended: a socket that is signing in now may
        have been checked before that, and enters the hub after it."""
        _remember(self._endings, user_id, self.loop.time())

    def _ended_lately(self, user_id: str) -> bool:
        return self.loop.time() - self._endings.get(user_id, -ENDING_S) < ENDING_S

    def _end_session(self, hint: SessionEnded) -> None:
        self._note_ending(hint.user_id)
        for connection in list(self.users.get(hint.user_id, ())):
            key = connection.identity.session_key if connection.identity else None
            if key is not None and identity.digest(key) == hint.session:
                connection.close(Close.SESSION_ENDED)

    def _shed(self, room: LiveRoom, hint: RoomTransient) -> None:
        """Send a passing event to the members whose window has room. Nobody falls behind because of one."""
        for connection in room.members:
            if connection.user_id != hint.except_user and connection.window.has_room:
                connection.out.append(Chunk([hint.encoded], shared=True))
                self._sender.touched[connection] = None
        self._sender.at_tick()

    def _lag(self, connection: Connection) -> None:
        """Stop feeding a connection whose client does not keep up. The client syncs when it is ready."""
        rooms = list(connection.rooms)
        connection.out = [chunk for chunk in connection.out if not chunk.shared]
        for room_id in rooms:
            self.detach(connection, room_id)
        told = protocol.encode(protocol.Lagging(rooms=[str(each) for each in rooms]))
        connection.out.append(Chunk([told]))


def _remember(times: dict[str, float], user_id: str, time: float) -> None:
    times.pop(user_id, None)
    times[user_id] = time
    while len(times) > PEOPLE_AT_MOST:
        times.pop(next(iter(times)))
