"""Presence: who of the people in the rooms that a connection follows is connected, anywhere.

Each process tells the others whom it has (``PresenceBook``) through one group of the channel layer. A connection is
told of the people in small rooms by name, and of large rooms how many are there: one event a second at most.

``second`` waits for nothing but its turn in the loop, so that a slow database makes nobody look absent elsewhere.
``read`` asks the database who is in the rooms, and who may see it.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from chat.access import headcounts, lookup, reads
from chat.conf import conf
from chat.live.connection import Connection
from chat.live.hints import PresenceAsked, PresenceChanged, PresenceState
from chat.live.hub import Hub
from chat.live.presence_book import ANSWER_S, PresenceBook, Shown, Status
from chat.live.publisher import publish_elsewhere, reaches_other_processes
from chat.live.rooms import LiveRoom
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
KEPT_AT_MOST = 1_000_000
"""Members of all large rooms together whose ids are kept (about 80 MB). Of rooms beyond, no count is known."""
KEYS_PER_READ = 50_000
"""Members that are read at once, of as many rooms as have no more together, or of one."""
ASKED_PER_READ = 50
"""Connections whose rights are read at once."""
ASKED_ALONE = 20
"""People who are asked about one by one, where the question for many has failed."""
COUNT_S = 5.0
"""How often the count of a large room is told, because everybody in it is told."""
TURN_S = 0.005
"""How long one step of the event loop may take. What is left goes on in the next one."""
LOST_ROOMS_S = 10.0
"""How often it is looked whether connections have let go of rooms. They know it themselves; but the word that they were
told of people must not stand for ever."""
EXPIRES_IN_STATES = 3
"""What another process has told counts until so many of its states should have come."""


@dataclass(slots=True)
class _Room:
    live: LiveRoom
    people: frozenset[str]
    online: int
    """How many of ``people`` are in ``Presence._connected``."""
    read_at: float
    changed: set[str] = field(default_factory=set)
    """People of whom something is to be told by name."""
    is_count_due: bool = True
    counted_at: float = 0.0

    @property
    def is_named(self) -> bool:
        return len(self.people) <= NAMED_AT_MOST

    @property
    def pause_s(self) -> float:
        """How long to wait before the members are read again: somebody may come and go all the time."""
        return min(30.0, len(self.people) / 100)


@dataclass(slots=True)
class _Watch:
    """What one connection sees of others' presence, and what it has been told."""

    rooms: set[int] = field(default_factory=set)
    """Those of its rooms in which it may see who is there."""
    told: dict[str, Shown] = field(default_factory=dict)
    counted: set[int] = field(default_factory=set)
    """The rooms of which it was told how many are connected."""
    due: set[str] = field(default_factory=set)
    due_rooms: set[int] = field(default_factory=set)


class Presence:
    """Call ``second`` and ``read`` once a second each. It is the ``headcounts.Source`` of its process.

    Args:
        layer_heard_at: When this process last heard what all are told, by the hub's clock; None: never.
    """

    def __init__(self, hub: Hub, layer_heard_at: Callable[[], float | None]):
        self._hub = hub
        self._now: Callable[[], float] = hub.loop.time
        self._layer_heard_at = layer_heard_at
        # It is heard with each state of this process, which comes back; so its silence is noticed before what others
        # have told expires.
        self._silent_s = min(conf.presence_s + 5, 2 * conf.presence_s)
        self._book = PresenceBook(is_shared=reaches_other_processes(), expires_s=EXPIRES_IN_STATES * conf.presence_s)
        self._rooms: dict[int, _Room] = {}
        self._rooms_of: defaultdict[str, set[int]] = defaultdict(set)
        """The rooms whose members are told by name, by member."""
        self._large: set[int] = set()
        self._connected: set[str] = set()
        """The people whom the book had as connected when its changes were last applied to the rooms."""
        self._watches: dict[Connection, _Watch] = {}
        self._unread_rooms: dict[int, None] = {}
        self._unread_rights: dict[Connection, set[int]] = {}
        self._news: set[int] = set()
        """Rooms of which something is to be told."""
        self._late: set[Connection] = set()
        """Connections that were not told what was due, or of which only their own rooms or rights have changed."""
        self._state_at = 0.0
        self._told_state_at = 0.0
        self._hears_all = False
        self._lost_rooms_at = 0.0
        self._turn_ends = 0.0
        headcounts.use(self)

    # What has happened -------------------------------------------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        self._watches[connection] = _Watch()
        self.own_changed(connection.user_id)

    def disconnected(self, connection: Connection) -> None:
        if self._watches.pop(connection, None) is not None:
            self._unread_rights.pop(connection, None)
            self._late.discard(connection)
            self.own_changed(connection.user_id)

    def own_changed(self, user_id: str) -> None:
        """The connections of a person here, or what one of them has set, are others than before."""
        statuses: set[Status] = {each.status for each in self._hub.users.get(user_id, ())}
        status: Status | None = "online" if "online" in statuses else "away" if statuses else None
        self._book.set_own(user_id, status, self._now())

    def followed(self, connection: Connection, room_id: int) -> None:
        """A connection follows a room from now on, or its person's rights in the room may be others than before."""
        if (watch := self._watches.get(connection)) is None:
            return
        watch.rooms.discard(room_id)  # until the answer is there, and if there is none
        self._unread_rights.setdefault(connection, set()).add(room_id)
        room = self._rooms.get(room_id)
        if room is None or room.live is not self._hub.rooms.get(room_id):
            self._unread_rooms[room_id] = None

    def people_moved(self, room_id: int) -> None:
        """Somebody has joined or left a room."""
        if room_id in self._hub.rooms:
            self._unread_rooms[room_id] = None

    def moved(self, user_id: str, room_id: int) -> None:
        """A person has joined or left a room, and may have another right in it."""
        for connection in self._hub.users.get(user_id, ()):
            if room_id in connection.rooms:
                self.followed(connection, room_id)

    def rights_read(self, user_id: str, rights: dict[int, bool]) -> None:
        """Whether a person may see who is there, in rooms that they follow."""
        for connection in self._hub.users.get(user_id, ()):
            if (watch := self._watches.get(connection)) is not None:
                seen = {room_id for room_id, may in rights.items() if may and room_id in connection.rooms}
                self._lose(connection, watch, watch.rooms & (rights.keys() - seen))
                self._gain(connection, watch, seen - watch.rooms)

    def heard(self, hint: PresenceChanged | PresenceState | PresenceAsked) -> None:
        """Act on what another process has told or asked, or on this one's own question, which comes back."""
        now = self._now()
        match hint:
            case PresenceChanged():
                self._book.changed(hint.process, hint.people, now)
            case PresenceState():
                self._book.state(hint.process, hint.part, hint.parts, hint.people, now)
            case PresenceAsked(self._hub.incarnation):
                self._hears_all = True
                self._book.layer_is(True, now)  # the answers come next
                self._state_at = now
            case PresenceAsked():
                self._state_at = min(self._state_at, self._told_state_at + ANSWER_S)

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
        now = self._now()
        self._exchange(now)
        changed = self._book.take_changed()
        if self._book.settle(now):
            changed |= self._book.take_changed()
            for room_id, room in self._rooms.items():
                room.is_count_due = True
                room.changed |= room.people if room.is_named else frozenset()
                self._news.add(room_id)
        self._apply(changed)
        await self._tell_all(now)

    def _exchange(self, now: float) -> None:
        news = self._book.news(now)
        if not reaches_other_processes():
            return
        heard_at = self._layer_heard_at()
        # Without connections, the process is not in the group that all are told in.
        if not self._hub.connections or heard_at is None or now - heard_at > self._silent_s:
            self._hears_all = False
        self._book.layer_is(self._hears_all, now)
        process = self._hub.incarnation
        if self._hub.connections and not self._hears_all:
            publish_elsewhere([PresenceAsked(process)])
        if now >= self._state_at:
            parts = self._book.parts()
            publish_elsewhere([PresenceState(process, at, len(parts), each) for at, each in enumerate(parts)])
            self._state_at, self._told_state_at = now + conf.presence_s, now
        elif news:
            publish_elsewhere([PresenceChanged(process, news)])

    def _apply(self, changed: set[str]) -> None:
        """Bring what the book says of these people into the rooms."""
        here = {each for each in changed if self._book.is_connected(each)}
        came, gone = here - self._connected, (changed - here) & self._connected
        self._connected |= came
        self._connected -= gone
        for user_id in changed:
            for room_id in self._rooms_of.get(user_id, ()):
                self._rooms[room_id].changed.add(user_id)
                self._news.add(room_id)
        moved = came | gone
        for room_id in {each for user_id in moved for each in self._rooms_of.get(user_id, ())} | self._large:
            room = self._rooms[room_id]
            difference = len(room.people & came) - len(room.people & gone)
            if difference:
                room.online += difference
                room.is_count_due = True
                self._news.add(room_id)

    # Reading -----------------------------------------------------------------------------------------------------

    async def read(self) -> None:
        """Read who the members are of rooms that are followed here since a moment ago, or have changed; and in which
        of their rooms people may see it."""
        for room_id in [each for each, room in self._rooms.items() if self._hub.rooms.get(each) is not room.live]:
            self._drop(room_id)
        try:
            await self._read_rooms()
        except Exception as error:
            logger.info("presence: %s", describe(error))
        while self._unread_rights:
            await self._read_rights()
        if (now := self._now()) >= self._lost_rooms_at:
            self._lost_rooms_at = now + LOST_ROOMS_S
            await self._find_lost_rooms()

    async def _breathe(self) -> None:
        """Let others have their turn of the loop if this one has lasted for some milliseconds."""
        if time.perf_counter() >= self._turn_ends:
            await asyncio.sleep(0)
            self._turn_ends = time.perf_counter() + TURN_S

    async def _read_rooms(self) -> None:
        now = self._now()
        due = [each for each in self._unread_rooms if self._is_due(each, now)]
        self._unread_rooms = {each: None for each in self._unread_rooms if each in self._hub.rooms}
        while due:
            lives = {each: self._hub.rooms[each] for each in due if each in self._hub.rooms}
            for each in lives:
                self._unread_rooms.pop(each, None)  # whoever moves during the read is read again
            try:
                found, left = await pools.readers.run(reads.people_of, list(lives), COUNTED_AT_MOST, KEYS_PER_READ)
            except Exception:
                self._unread_rooms |= dict.fromkeys(lives)
                raise
            for room_id in lives.keys() - set(left):
                self._put(room_id, lives[room_id], found.get(room_id), now)
                await self._breathe()
            due = left

    def _is_due(self, room_id: int, now: float) -> bool:
        room = self._rooms.get(room_id)
        live = self._hub.rooms.get(room_id)
        return live is not None and (room is None or room.live is not live or now - room.read_at >= room.pause_s)

    def _put(self, room_id: int, live: LiveRoom, people: frozenset[str] | None, now: float) -> None:
        """Take in who the members of a room are; None: they are too many, or the room is gone."""
        kept = sum(len(self._rooms[each].people) for each in self._large - {room_id})
        if people is not None and len(people) > NAMED_AT_MOST and kept + len(people) > KEPT_AT_MOST:
            people = None
        if people is None:
            for connection, watch in self._watches.items():
                if room_id in watch.rooms:
                    self._lose(connection, watch, {room_id})
        before = self._drop(room_id)
        if people is None or self._hub.rooms.get(room_id) is not live:
            return
        room = self._rooms[room_id] = _Room(live, people, len(people & self._connected), now)
        if room.is_named:
            for user_id in people:
                self._rooms_of[user_id].add(room_id)
            room.changed |= people
        else:
            self._large.add(room_id)
        if before is not None and before.is_named:
            room.changed |= before.people  # of those who are not seen any more, it is said that they are unknown
        self._news.add(room_id)

    def _drop(self, room_id: int) -> _Room | None:
        room = self._rooms.pop(room_id, None)
        self._large.discard(room_id)
        if room is not None and room.is_named:
            for user_id in room.people:
                self._rooms_of[user_id].discard(room_id)
                if not self._rooms_of[user_id]:
                    del self._rooms_of[user_id]
        return room

    async def _read_rights(self) -> None:
        asked = {each: self._unread_rights.pop(each) for each in list(self._unread_rights)[:ASKED_PER_READ]}
        try:
            await self._ask_rights(asked)
        except Exception as error:
            # The database is away, or a host's policy fails on one of them. The others are asked about all the same.
            logger.info("presence: %s", describe(error))
            for place, (connection, rooms) in enumerate(asked.items()):
                if place < ASKED_ALONE:
                    with suppress(Exception):
                        await self._ask_rights({connection: rooms})
                elif connection in self._watches:
                    self._unread_rights.setdefault(connection, set()).update(rooms)
            await asyncio.sleep(1.0)

    async def _ask_rights(self, asked: dict[Connection, set[int]]) -> None:
        wanted = [(connection.user, rooms) for connection, rooms in asked.items()]
        granted = await pools.readers.run(lookup.watched_by_each, wanted)
        for (connection, rooms), rights in zip(asked.items(), granted, strict=True):
            again = self._unread_rights.get(connection, set())  # followed once more meanwhile
            if (watch := self._watches.get(connection)) is not None:
                seen = {each for each in rooms - again if rights.get(each) and each in connection.rooms}
                self._lose(connection, watch, rooms - seen - again)
                self._gain(connection, watch, seen)
            await self._breathe()

    async def _find_lost_rooms(self) -> None:
        for connection, watch in list(self._watches.items()):
            if lost := watch.rooms - connection.rooms.keys():
                self._lose(connection, watch, lost)
            await self._breathe()

    def _gain(self, connection: Connection, watch: _Watch, room_ids: set[int]) -> None:
        """Tell a connection all there is to tell of rooms."""
        watch.rooms |= room_ids
        for room_id in room_ids & self._rooms.keys():
            watch.due_rooms.add(room_id)
            if (room := self._rooms[room_id]).is_named:
                watch.due |= room.people
            self._late.add(connection)

    def _lose(self, connection: Connection, watch: _Watch, room_ids: set[int]) -> None:
        """Tell a connection that it sees no more who is in rooms: what it was told must not stand for ever."""
        watch.rooms -= room_ids
        watch.due_rooms |= room_ids & watch.counted
        for room_id in room_ids & self._rooms.keys():
            watch.due |= self._rooms[room_id].people & watch.told.keys()
        if watch.due or watch.due_rooms:
            self._late.add(connection)

    # To the connections ------------------------------------------------------------------------------------------

    async def _tell_all(self, now: float) -> None:
        rooms: dict[int, _Room] = {}
        for room_id in list(self._news):
            room = self._rooms.get(room_id)
            if room is None:
                self._news.discard(room_id)
            elif room.is_named or room.changed or now - room.counted_at >= COUNT_S:
                self._news.discard(room_id)
                rooms[room_id] = room
        news = {room_id: (room.changed, room.is_count_due) for room_id, room in rooms.items()}
        due, self._late = self._late, set()
        for room in rooms.values():
            due.update(room.live.members, room.live.waiting)
            room.changed, room.is_count_due, room.counted_at = set(), False, now
        statuses: dict[str, Shown] = {}
        counts: dict[tuple[int, ...], bytes] = {}
        for connection in due:
            await self._breathe()
            if (watch := self._watches.get(connection)) is None:
                continue
            for room_id in watch.rooms & news.keys() & connection.rooms.keys():
                changed, is_count_due = news[room_id]
                watch.due |= changed
                if is_count_due:
                    watch.due_rooms.add(room_id)
            if connection.window.has_room:
                self._tell(connection, watch, statuses, counts)
            elif watch.due or watch.due_rooms:
                self._late.add(connection)  # it gets it once it has caught up, as it is then

    def _tell(
        self,
        connection: Connection,
        watch: _Watch,
        statuses: dict[str, Shown],
        counts: dict[tuple[int, ...], bytes],
    ) -> None:
        """Send what is due, in one event.

        Args:
            statuses: Those looked up for earlier connections.
            counts: Events encoded for earlier connections, which name nobody, by their rooms.
        """
        news = self._names(connection, watch, statuses) if watch.due else {}
        rooms = tuple(sorted(watch.due_rooms))
        watch.due, watch.due_rooms = set(), set()
        seen = {each for each in rooms if each in watch.rooms and each in connection.rooms}
        rooms = tuple(each for each in rooms if each in seen or each in watch.counted)
        watch.counted = (watch.counted - set(rooms)) | seen
        if not news and not rooms:
            return
        if news or len(seen) < len(rooms):
            online = {str(each): self.count(each) if each in seen else None for each in rooms}
            encoded = protocol.encode(protocol.PresenceTold(users={**news}, online=online))
        elif (encoded := counts.get(rooms, b"")) == b"":
            online = {str(each): self.count(each) for each in rooms}
            encoded = counts[rooms] = protocol.encode(protocol.PresenceTold(users={}, online=online))
        self._hub.send(connection, encoded)

    def _names(self, connection: Connection, watch: _Watch, statuses: dict[str, Shown]) -> dict[str, Shown]:
        """What is new for a connection, of the people that are due. It may have lost a room since they became so."""
        rooms = [self._rooms[each] for each in watch.rooms & connection.rooms.keys() & self._rooms.keys()]
        visible: set[str] = set().union(*(each.people for each in rooms if each.is_named))
        unseen = watch.due.intersection(watch.told) - visible
        news: dict[str, Shown] = dict.fromkeys(unseen, "unknown")
        for user_id in news:
            del watch.told[user_id]
        due: Iterable[str] = watch.due & visible
        if len(watch.told.keys() | due) > WATCHED_AT_MOST:
            watch.told = {each: told for each, told in watch.told.items() if each in visible}
            smallest_first = sorted((each for each in rooms if each.is_named), key=lambda each: len(each.people))
            due = dict.fromkeys(each for room in smallest_first for each in room.people if each in watch.due)
        for user_id in due:
            if user_id not in watch.told and len(watch.told) >= WATCHED_AT_MOST:
                continue
            if (status := statuses.get(user_id)) is None:
                status = statuses[user_id] = self._book.status_of(user_id)
            if watch.told.get(user_id) != status:
                watch.told[user_id] = news[user_id] = status
        return news
