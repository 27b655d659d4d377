"""Compares the hub's feeds with the database and repairs them.

Hints may be lost, so a feed is never trusted for long: every few seconds its head is compared with ``Room.head``, and
what it lacks is read from the tables. None of this needs a channel layer, which is why the layer may lose hints.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from chat.access import changes
from chat.conf import conf
from chat.live.background import BackgroundTasks
from chat.live.catch_up import CatchUp
from chat.live.hub import Hub
from chat.live.rooms import LiveRoom
from chat.runtime import pools
from chat.wire import protocol
from chat.wire.feed_event import FeedEvent
from chat.wire.position import Position

logger = logging.getLogger(__name__)

ROOMS_PER_QUERY = 500
RETRY_S = 1.0
"""How long to wait after a failed read: the database is away, and every process asks."""


class Reconciler:
    """Keeps the feeds of one hub equal to the database.

    Args:
        renew_epoch: The service that gives a room a new epoch if it still has the one named. It is called when a
            room's numbers went back.
    """

    def __init__(
        self, hub: Hub, catch_up: CatchUp, background: BackgroundTasks, renew_epoch: Callable[[int, str], None]
    ):
        self._hub = hub
        self._catch_up = catch_up
        self._background = background
        self._renew_epoch = renew_epoch
        self._asked: dict[int, None] = {}
        self._is_comparing = False

    # Heads -------------------------------------------------------------------------------------------------------

    def compare_soon(self, room_ids: list[int]) -> None:
        """Compare these rooms with the database now: one of their hints is missing, or speaks of another epoch."""
        self._asked.update(dict.fromkeys(room_ids))
        if self._asked and not self._is_comparing:
            self._is_comparing = True
            self._background.start(self._compare_asked())

    async def _compare_asked(self) -> None:
        """One query after the other. What is asked for during a query is looked at after it: the query may be older."""
        try:
            while self._asked:
                room_ids = list(self._asked)[:ROOMS_PER_QUERY]
                for each in room_ids:
                    del self._asked[each]
                try:
                    await self._compare(room_ids)
                except Exception as error:
                    logger.warning("comparing heads: %s", type(error).__name__)  # the next poll compares them again
        finally:
            self._is_comparing = False

    async def compare_all(self) -> None:
        """Compare every room that has a feed, 500 rooms in one query; drop the feeds that nobody came back to."""
        now = self._hub.loop.time()
        for room in list(self._hub.rooms.values()):
            if room.idle_since is not None and now - room.idle_since > conf.idle_feed_s:
                self._hub.drop_room(room)
        live = list(self._hub.rooms)
        for start in range(0, len(live), ROOMS_PER_QUERY):
            await self._compare(live[start : start + ROOMS_PER_QUERY])

    async def _compare(self, room_ids: list[int]) -> None:
        # Taken before the query: the database must know whatever a feed had delivered, or been told of, by then.
        feeds = {each: self._hub.rooms[each].feed for each in room_ids if each in self._hub.rooms}
        known = {room_id: feed.known_head for room_id, feed in feeds.items()}
        held = {room_id: (feed.head, feed.run) for room_id, feed in feeds.items()}
        for feed in feeds.values():
            feed.is_in_doubt = False  # a doubt that arises during the query needs another one
        found = await pools.readers.run(changes.positions, held)
        for room_id, feed in feeds.items():
            room = self._hub.rooms.get(room_id)
            if room is None or room.feed is not feed:
                continue
            at, is_kept = found.get(room_id, (Position("", 0), False))
            if at.epoch != feed.epoch:
                self._start_over(room)
            elif not is_kept:
                logger.error("room %s: the database has lost changes since seq %s or before", room_id, at.run_seq)
                self._start_over(room)
            elif at.seq < known[room_id]:
                logger.error("room %s: numbers went back from %s to %s", room_id, known[room_id], at.seq)
                try:
                    await pools.site.run(self._renew_epoch, room_id, at.epoch)
                except Exception as error:
                    # Nothing can be written yet. The next poll tries again; the other rooms must not wait for it.
                    logger.warning("room %s: no new epoch: %s", room_id, type(error).__name__)
                else:
                    self._start_over(room)
            else:
                feed.expect(at.seq, self._hub.loop.time())
                self.repair_soon(room)

    def _start_over(self, room: LiveRoom, seen: Position | None = None) -> None:
        """Drop a feed whose history has ended. Its followers get a reset before any event of the one that stands.

        Args:
            seen: Where the room stood when what they were told last was read, if that was not all there was to read.
        """
        at = seen or room.feed.position
        cursor = protocol.Cursor(epoch=room.feed.epoch, seq=at.seq, run=at.run)
        self._catch_up.resync(self._hub.drop_room(room), room.room_id, cursor)

    # Repair ------------------------------------------------------------------------------------------------------

    def repair_soon(self, room: LiveRoom) -> None:
        """Read what a feed lacks once its hold time is over, unless hints bring it first. One read serves everybody."""
        if room.feed.repair_at is not None and not room.is_repairing:
            room.is_repairing = True
            self._background.start(self._repair(room))

    async def _repair(self, room: LiveRoom) -> None:
        seen: Position | None = None
        try:
            while (at := room.feed.repair_at) is not None and self._hub.rooms.get(room.room_id) is room:
                if (wait_s := at - self._hub.loop.time()) > 0:
                    await asyncio.sleep(wait_s)
                    continue
                before = room.feed.head
                try:
                    seen = await self._read_missing(room, seen)
                    if room.feed.head == before:
                        await asyncio.sleep(RETRY_S)  # the database does not have it (yet); _compare finds out why
                except Exception as error:
                    logger.warning("repair of room %s: %s", room.room_id, type(error).__name__)
                    await asyncio.sleep(RETRY_S)
        finally:
            room.is_repairing = False

    async def _read_missing(self, room: LiveRoom, seen: Position | None) -> Position | None:
        """Read a page of what the feed lacks, and return where the room stood then, if there is more to read.

        Args:
            seen: The same of the page before. What that has left for this one may go back into the part that it
                covered, if the database has lost something since.
        """
        before = room.feed.position
        found = await pools.readers.run(_missing, room.room_id, before.seq, seen)
        if found is None or found.reached.epoch != before.epoch or found.run_before != before.run or not found.is_kept:
            self._start_over(room, seen)
            return None
        cut = self._hub.deliver(room, room.feed.repaired(found.events, found.reached, self._hub.loop.time()))
        for user_id in {each.user_id for each in cut}:
            self._hub.owner.room_lost(user_id, room.room_id)
        return found.at if found.reached.seq < found.at.seq else None


@dataclass(frozen=True)
class _Missing:
    """What a feed lacks, as events in order: each thing once, at the seq of its last change."""

    run_before: str | None
    is_kept: bool
    """Whether the database still has what the page before was read from."""
    at: Position
    reached: Position
    events: list[FeedEvent]


def _missing(room_id: int, cursor: int, seen: Position | None) -> _Missing | None:
    page = changes.for_feed(room_id, cursor)
    if page is None:
        return None
    is_kept = seen is None or seen.seq < cursor or page.holds(seen.seq, seen.run)
    return _Missing(page.run_at(cursor), is_kept, page.at, page.reached, changes.as_events(page, cursor))
