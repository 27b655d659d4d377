"""Presence: who of the people in the rooms that a connection follows is connected, anywhere.

Each process tells the others whom it has (``PresenceBook``) through one group of the channel layer. A connection is
told of the people in small rooms by name, and of large rooms how many are there: one event a second at most.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from chat.access import headcounts, lookup, reads
from chat.conf import conf
from chat.live.connection import Connection
from chat.live.hints import PresenceAsked, PresenceChanged, PresenceState
from chat.live.hub import Hub
from chat.live.presence_book import PresenceBook, Shown, Status
from chat.live.publisher import publish_elsewhere, reaches_other_processes
from chat.runtime import pools
from chat.runtime.safe_logging import describe
from chat.wire import protocol

logger = logging.getLogger(__name__)

NAMED_AT_MOST = 100
"""Members of a room whose presence is told by name; of a larger room it is told how many are connected."""
WATCHED_AT_MOST = 200
"""People of whom one connection is told by name. Those of its smaller rooms come first."""
COUNTED_AT_MOST = 50_000
"""Members of a room that are counted; of a larger room it is not known how many are connected."""
ROOMS_PER_SECOND = 500
"""Rooms whose members are read in one second, and connections whose rights are."""
ASKED_ALONE = 20
"""People who are asked about one by one in a second, where the question for many has failed."""
SILENT_S = 12.0
"""A layer that carries messages is heard more often than this: the subscriber probes it. It is also heard with each
state of this process, which comes back; so its silence is noticed before what others have told expires."""
EXPIRES_IN_STATES = 3
"""What another process has told counts until so many of its states should have come."""


@dataclass
class _Room:
    people: frozenset[str]
    online: int

    @property
    def is_named(self) -> bool:
        return len(self.people) <= NAMED_AT_MOST


@dataclass
class _Watch:
    """What one connection sees of others' presence, and what it has been told."""

    rooms: set[int] = field(default_factory=set)
    """Those of its rooms in which it may see who is there."""
    told: dict[str, Shown | None] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)
    due_rooms: set[int] = field(default_factory=set)


class Presence:
    """Call ``second`` once a second. It is the ``headcounts.Source`` of its process.

    Args:
        layer_heard_at: When the channel layer last delivered anything here, by the hub's clock; None: never.
    """

    def __init__(self, hub: Hub, layer_heard_at: Callable[[], float | None]):
        self._hub = hub
        self._now: Callable[[], float] = hub.loop.time
        self._layer_heard_at = layer_heard_at
        self._silent_s = min(SILENT_S, 2 * conf.presence_s)
        self._book = PresenceBook(is_shared=reaches_other_processes(), expires_s=EXPIRES_IN_STATES * conf.presence_s)
        self._rooms: dict[int, _Room] = {}
        self._rooms_of: defaultdict[str, set[int]] = defaultdict(set)
        """The rooms whose members are told by name, by member."""
        self._counted: set[str] = set()
        """The people who are in the counts of rooms."""
        self._watches: dict[Connection, _Watch] = {}
        self._unread_rooms: dict[int, None] = {}
        self._unread_rights: dict[Connection, set[int]] = {}
        self._due: set[Connection] = set()
        self._state_at = 0.0
        self._hears_all = False
        headcounts.use(self)

    # What has happened -------------------------------------------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        self._watches[connection] = _Watch()
        self.own_changed(connection.user_id)

    def disconnected(self, connection: Connection) -> None:
        if self._watches.pop(connection, None) is not None:
            self._unread_rights.pop(connection, None)
            self._due.discard(connection)
            self.own_changed(connection.user_id)

    def own_changed(self, user_id: str) -> None:
        """The connections of a person here, or what one of them has set, are others than before."""
        statuses: set[Status] = {each.status for each in self._hub.users.get(user_id, ())}
        status: Status | None = "online" if "online" in statuses else "away" if statuses else None
        self._book.set_own(user_id, status, self._now())

    def followed(self, connection: Connection, room_id: int) -> None:
        """A connection follows a room from now on, or its person's rights in the room may be others than before."""
        if connection in self._watches:
            self._unread_rights.setdefault(connection, set()).add(room_id)
            if room_id not in self._rooms:
                self._unread_rooms[room_id] = None

    def people_moved(self, room_id: int) -> None:
        """Somebody has joined or left a room."""
        if room_id in self._rooms:
            self._unread_rooms[room_id] = None

    def read_rights_soon(self, user_id: str) -> None:
        """A person has joined or left a room."""
        for connection in self._hub.users.get(user_id, ()):
            for room_id in connection.rooms:
                self.followed(connection, room_id)

    def rights_read(self, user_id: str, rights: dict[int, bool]) -> None:
        """Whether a person may see who is there, in rooms that they follow."""
        for connection in self._hub.users.get(user_id, ()):
            if (watch := self._watches.get(connection)) is not None:
                seen = {room_id for room_id, may in rights.items() if may and room_id in connection.rooms}
                new = seen - watch.rooms
                watch.rooms = (watch.rooms - rights.keys()) | seen
                self._show(connection, watch, new & self._rooms.keys())

    def heard(self, hint: PresenceChanged | PresenceState | PresenceAsked) -> None:
        """Act on what another process has told or asked."""
        now = self._now()
        match hint:
            case PresenceChanged():
                self._book.changed(hint.process, hint.people, now)
            case PresenceState():
                self._book.state(hint.process, hint.part, hint.parts, hint.people, now)
            case PresenceAsked(self._hub.incarnation):
                self._hears_all = True
            case PresenceAsked():
                self._state_at = 0.0

    # What is known, for any thread -------------------------------------------------------------------------------

    @property
    def is_certain(self) -> bool:
        return self._book.is_certain

    def is_connected(self, user_id: str) -> bool:
        return self._book.is_connected(user_id)

    def count(self, room_id: int) -> int | None:
        room = self._rooms.get(room_id)
        return room.online if room is not None and self._book.is_certain else None

    # Each second -------------------------------------------------------------------------------------------------

    async def second(self) -> None:
        """Exchange news with the other processes, and tell the connections here what is new for them."""
        self._exchange(self._now())
        is_news = self._book.settle(self._now())
        self._note_changes(self._counted | self._rooms_of.keys() if is_news else set())
        if is_news:
            for room_id in self._rooms:
                self._tell_count(room_id)
        if self._unread_rooms:
            await self._read_rooms()
        if self._unread_rights:
            await self._read_rights()
        self._forget_rooms()
        for connection in list(self._due):
            self._tell(connection)

    def _exchange(self, now: float) -> None:
        news = self._book.news(now)
        if not reaches_other_processes():
            return
        heard_at = self._layer_heard_at()
        # Without connections, the process is not in the group that all are told in.
        if not self._hub.connections or heard_at is None or now - heard_at > self._silent_s:
            self._hears_all = False
        if self._book.layer_is(self._hears_all, now):
            self._state_at = 0.0
        process = self._hub.incarnation
        if self._hub.connections and not self._hears_all:
            publish_elsewhere([PresenceAsked(process)])
        if now >= self._state_at:
            parts = self._book.parts()
            publish_elsewhere([PresenceState(process, at, len(parts), each) for at, each in enumerate(parts)])
            self._state_at = now + conf.presence_s
        elif news:
            publish_elsewhere([PresenceChanged(process, news)])

    def _note_changes(self, also: set[str]) -> None:
        for user_id in self._book.take_changed() | also:
            rooms = self._rooms_of.get(user_id, set())
            is_counted = self._book.is_connected(user_id)
            if is_counted != (user_id in self._counted):
                (self._counted.add if is_counted else self._counted.discard)(user_id)
                large = (each for each, room in self._rooms.items() if not room.is_named and user_id in room.people)
                for room_id in (*rooms, *large):
                    self._rooms[room_id].online += 1 if is_counted else -1
                    self._tell_count(room_id)
            for room_id in rooms:
                for connection, watch in self._watchers(room_id):
                    self._watch(connection, watch, user_id)

    async def _read_rooms(self) -> None:
        """Read who the members are of rooms that somebody follows here since a moment ago, or that have changed."""
        wanted = [each for each in self._unread_rooms if each in self._hub.rooms][:ROOMS_PER_SECOND]
        self._unread_rooms = dict.fromkeys(list(self._unread_rooms)[ROOMS_PER_SECOND:])
        try:
            people = await pools.readers.run(reads.people_of, wanted, COUNTED_AT_MOST)
        except Exception as error:
            logger.info("presence: %s", describe(error))
            self._unread_rooms |= dict.fromkeys(wanted)
            return
        for room_id, keys in people.items():
            before = self._drop_room(room_id)
            room = self._rooms[room_id] = _Room(keys, sum(map(self._book.is_connected, keys)))
            self._counted |= {each for each in keys if self._book.is_connected(each)}
            if room.is_named:
                for user_id in keys:
                    self._rooms_of[user_id].add(room_id)
            if before is not None:
                self._tell_count(room_id)
                known = before.people if before.is_named else frozenset()
                for user_id in keys - known if room.is_named else ():
                    for connection, watch in self._watchers(room_id):
                        self._watch(connection, watch, user_id)

    async def _read_rights(self) -> None:
        """Find out in which of the rooms that they follow people may see who is there, and tell them."""
        asked = {each: self._unread_rights.pop(each) for each in list(self._unread_rights)[:ROOMS_PER_SECOND]}
        for connection, rooms in asked.items():
            self._watches[connection].rooms -= rooms  # until the answer is there, and if there is none
        try:
            await self._ask_rights(asked)
        except Exception as error:
            # The database is away, or a host's policy fails on one of them. The others are asked about all the same.
            logger.info("presence: %s", describe(error))
            for connection, rooms in list(asked.items())[:ASKED_ALONE]:
                with suppress(Exception):
                    await self._ask_rights({connection: rooms})
            self._unread_rights |= {
                each: rooms for each, rooms in list(asked.items())[ASKED_ALONE:] if each in self._watches
            }

    async def _ask_rights(self, asked: dict[Connection, set[int]]) -> None:
        wanted = [(connection.user, rooms) for connection, rooms in asked.items()]
        granted = await pools.readers.run(lookup.watched_by_each, wanted)
        for (connection, rooms), rights in zip(asked.items(), granted, strict=True):
            if (watch := self._watches.get(connection)) is not None:
                seen = {each for each in rooms if rights.get(each)}
                watch.rooms |= seen
                self._show(connection, watch, seen & self._rooms.keys())

    def _show(self, connection: Connection, watch: _Watch, room_ids: set[int]) -> None:
        """Tell a connection all there is to tell of rooms that it now follows."""
        for room_id in sorted(room_ids, key=lambda each: len(self._rooms[each].people)):
            room = self._rooms[room_id]
            watch.due_rooms.add(room_id)
            self._due.add(connection)
            if room.is_named:
                for user_id in room.people:
                    watch.told.pop(user_id, None)
                    self._watch(connection, watch, user_id)

    def _forget_rooms(self) -> None:
        for room_id in [each for each in self._rooms if each not in self._hub.rooms]:
            self._drop_room(room_id)

    def _drop_room(self, room_id: int) -> _Room | None:
        room = self._rooms.pop(room_id, None)
        if room is not None and room.is_named:
            for user_id in room.people:
                self._rooms_of[user_id].discard(room_id)
                if not self._rooms_of[user_id]:
                    del self._rooms_of[user_id]
        return room

    # To the connections ------------------------------------------------------------------------------------------

    def _watchers(self, room_id: int) -> list[tuple[Connection, _Watch]]:
        live = self._hub.rooms.get(room_id)
        if live is None:
            return []
        found = ((each, self._watches.get(each)) for each in (*live.members, *live.waiting))
        return [(each, watch) for each, watch in found if watch is not None and room_id in watch.rooms]

    def _tell_count(self, room_id: int) -> None:
        for connection, watch in self._watchers(room_id):
            watch.due_rooms.add(room_id)
            self._due.add(connection)

    def _watch(self, connection: Connection, watch: _Watch, user_id: str) -> None:
        if user_id not in watch.told:
            if len(watch.told) >= WATCHED_AT_MOST:
                watch.told = {each: told for each, told in watch.told.items() if self._sees(connection, watch, each)}
                if len(watch.told) >= WATCHED_AT_MOST:
                    return
            watch.told[user_id] = None
        watch.due.add(user_id)
        self._due.add(connection)

    def _sees(self, connection: Connection, watch: _Watch, user_id: str) -> bool:
        return any(each in watch.rooms and each in connection.rooms for each in self._rooms_of.get(user_id, ()))

    def _tell(self, connection: Connection) -> None:
        """Send what is due, in one event. A connection that lags gets it when it has caught up, as it is then."""
        if not connection.window.has_room:
            return
        self._due.discard(connection)
        watch = self._watches[connection]
        # Looked at only now: the person may have lost a room since.
        statuses = {each: self._book.status_of(each) for each in watch.due if self._sees(connection, watch, each)}
        rooms = [each for each in watch.due_rooms if each in watch.rooms and each in connection.rooms]
        watch.due, watch.due_rooms = set(), set()
        news: dict[str, Shown] = {each: status for each, status in statuses.items() if watch.told.get(each) != status}
        watch.told.update(news)
        counts = {str(each): self.count(each) for each in rooms}
        if news or counts:
            self._hub.send(connection, protocol.encode(protocol.PresenceTold(users={**news}, online=counts)))
