"""What keeps a hub honest: compares its feeds with the database, repairs them, beats its connections' hearts,
closes who stalls, and checks again who is still welcome.

Everything here works without a channel layer, and is why the layer may lose what it likes.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from django.utils import timezone

from chat.access import changes, identity, reads
from chat.conf import conf
from chat.live.catch_up import CatchUp
from chat.live.connection import Connection
from chat.live.feed import FeedEvent
from chat.live.hub import Hub
from chat.live.rooms import LiveRoom
from chat.runtime import pools
from chat.runtime.safe_logging import describe
from chat.wire import protocol
from chat.wire.errors import Close

logger = logging.getLogger(__name__)

ROOMS_PER_QUERY = 500
PEOPLE_PER_QUERY = 50
VERSIONS_S = 1.0
"""A database that takes longer must not hold up the heartbeat."""
AGAIN_S = 1.0
"""Wait after a failed read: the database is away, and every process asks."""


class Keeper:
    """Runs beside a hub on its loop.

    Args:
        renew_epoch: Service that gives a room a new epoch if it still has the one named; for numbers that went back.
    """

    def __init__(self, hub: Hub, catch_up: CatchUp, renew_epoch: Callable[[int, str], None]):
        self._hub = hub
        self._catch_up = catch_up
        self._renew_epoch = renew_epoch
        self._tasks: set[asyncio.Task[Any]] = set()
        self._checking: set[int] = set()
        self._beats: list[dict[Connection, None]] = [{} for _ in range(max(1, round(conf.heartbeat_s)))]
        self._beat = 0
        hub.on_behind = self.repair_soon
        hub.on_compare = self.compare_soon
        hub.on_recheck = lambda user_ids: self._start(self._recheck(list(user_ids)))
        hub.on_cut = lambda user_id, room_id: self._start(self._say_removed(user_id, room_id))

    def start(self) -> None:
        self._start(self._every(lambda: conf.poll_s, self._compare_all))
        self._start(self._every(lambda: 1.0, self._second))
        self._start(self._every(lambda: conf.revalidate_s, self._revalidate_all))

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._hub.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _every(self, pause_s: Callable[[], float], work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        due = self._hub.loop.time()
        while True:
            # Counted from when it was due, so that work that takes its time does not make the beat slower.
            due = max(due + pause_s(), self._hub.loop.time())
            await asyncio.sleep(due - self._hub.loop.time())
            try:
                await work()
            except Exception as error:
                logger.warning("%s: %s", work.__name__, describe(error))

    # Heads -------------------------------------------------------------------------------------------------------

    def compare_soon(self, room_ids: list[int]) -> None:
        """Compare rooms with the database now: a hint of theirs may be missing, or speaks of another epoch."""
        asked = [each for each in room_ids if each not in self._checking]
        if asked:
            self._checking.update(asked)
            self._start(self._compare_these(asked))

    async def _compare_these(self, room_ids: list[int]) -> None:
        try:
            for start in range(0, len(room_ids), ROOMS_PER_QUERY):
                await self._compare(room_ids[start : start + ROOMS_PER_QUERY])
        except Exception as error:
            logger.warning("comparing heads: %s", type(error).__name__)  # the next poll does it
        finally:
            self._checking.difference_update(room_ids)

    async def _compare_all(self) -> None:
        """Every room with a feed, in one query for each 500; and forget feeds that nobody came back to."""
        now = self._hub.loop.time()
        for room in list(self._hub.rooms.values()):
            if room.idle_since is not None and now - room.idle_since > conf.idle_feed_s:
                self._hub.drop_room(room)
        live = list(self._hub.rooms)
        for start in range(0, len(live), ROOMS_PER_QUERY):
            await self._compare(live[start : start + ROOMS_PER_QUERY])

    async def _compare(self, room_ids: list[int]) -> None:
        # What a feed had delivered, or been told of, before the query began, the database must know.
        before = {each: self._hub.rooms[each].feed.known_head for each in room_ids if each in self._hub.rooms}
        heads = await pools.readers.run(changes.heads, list(before))
        for room_id, known in before.items():
            room = self._hub.rooms.get(room_id)
            if room is None:
                continue
            epoch, head = heads.get(room_id, ("", 0))
            if epoch != room.feed.epoch:
                self._start_over(room)
            elif head < known:
                logger.error("room %s: numbers went back from %s to %s; renewing its epoch", room_id, known, head)
                await pools.site.run(self._renew_epoch, room_id, epoch)
                self._start_over(room)
            else:
                room.feed.expect(head, self._hub.loop.time())
                self.repair_soon(room)

    def _start_over(self, room: LiveRoom) -> None:
        """The feed is of a run of numbers that is no more: nothing of the new one reaches anybody before a reset."""
        cursor = protocol.Cursor(epoch=room.feed.epoch, seq=room.feed.head)
        self._catch_up.resync(self._hub.drop_room(room), room.room_id, cursor)

    # Repair ------------------------------------------------------------------------------------------------------

    def repair_soon(self, room: LiveRoom) -> None:
        """Read what a feed lacks when its hold time is over, unless hints bring it before. Once for all clients."""
        if room.feed.repair_at is not None and not room.is_repairing:
            room.is_repairing = True
            self._start(self._repair(room))

    async def _repair(self, room: LiveRoom) -> None:
        try:
            while (at := room.feed.repair_at) is not None and self._hub.rooms.get(room.room_id) is room:
                if (wait_s := at - self._hub.loop.time()) > 0:
                    await asyncio.sleep(wait_s)
                    continue
                before = room.feed.head
                try:
                    await self._read_missing(room)
                    if room.feed.head == before:
                        await asyncio.sleep(AGAIN_S)  # the database does not have it (yet): _compare finds out why
                except Exception as error:
                    logger.warning("repair of room %s: %s", room.room_id, type(error).__name__)
                    await asyncio.sleep(AGAIN_S)
        finally:
            room.is_repairing = False

    async def _read_missing(self, room: LiveRoom) -> None:
        start = room.feed.head
        page = await pools.readers.run(_repair_page, room.room_id, start)
        if page is None or page[0] != room.feed.epoch:
            self._start_over(room)
            return
        _, upto, events = page
        cut = self._hub.deliver(room, room.feed.repaired(events, upto, self._hub.loop.time()))
        for user_id in {each.user_id for each in cut}:
            self._start(self._say_removed(user_id, room.room_id))

    async def _say_removed(self, user_id: str, room_id: int) -> None:
        """Tell a person's connections that they lost a room, where no hint did; who is back in it is asked to sync."""
        is_member, version = await pools.readers.run(_standing_of, user_id, room_id)
        told: protocol.Lagging | protocol.RoomRemoved
        if is_member:
            told = protocol.Lagging(rooms=[str(room_id)])
        else:
            told = protocol.RoomRemoved(room=str(room_id), rooms_version=version)
        encoded = protocol.encode(told)
        for connection in self._hub.users.get(user_id, ()):
            if room_id not in connection.rooms:
                self._hub.send(connection, encoded)

    # Hearts ------------------------------------------------------------------------------------------------------

    def keep(self, connection: Connection) -> None:
        """Beat this connection's heart from now on. Beats are spread, so that they don't come all in one turn."""
        min(self._beats, key=len)[connection] = None

    def forget(self, connection: Connection) -> None:
        for beat in self._beats:
            beat.pop(connection, None)

    async def _second(self) -> None:
        now = self._hub.loop.time()
        for connection in list(self._hub.connections):
            if connection.window.is_stalled(now):
                connection.close(Close.TOO_SLOW)
        self._beat = (self._beat + 1) % len(self._beats)
        due = list(self._beats[self._beat])
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
            logger.warning("rooms_version: %s", type(error).__name__)  # the hearts beat on with what is known
            return
        for user_id in people & self._hub.users.keys():
            self._hub.versions[user_id] = max(self._hub.versions.get(user_id, 0), versions.get(user_id, 0))

    def _send_heads(self, connection: Connection) -> None:
        since, connection.heads_at = connection.heads_at, self._hub.loop.time()
        moved = {str(each.room_id): each.feed.head for each in connection.rooms.values() if each.moved_at >= since}
        self._hub.send(
            connection,
            protocol.encode(
                protocol.Heads(
                    rooms=moved,
                    rooms_version=self._hub.versions.get(connection.user_id, 0),
                    server_time=protocol.rfc3339(timezone.now()),
                )
            ),
        )

    # Who is still welcome ----------------------------------------------------------------------------------------

    async def _revalidate_all(self) -> None:
        await self._revalidate(list(self._hub.users))

    async def _recheck(self, user_ids: list[str]) -> None:
        syncing = {each: _syncs_of(self._hub.users.get(each, ())) for each in user_ids}
        await self._revalidate(user_ids)
        for user_id, under_way in syncing.items():
            if under_way:
                self._start(self._review_after(under_way, user_id))

    async def _review_after(self, under_way: set[asyncio.Future[None]], user_id: str) -> None:
        """A room that is being caught up was granted before, and is followed only when that is done."""
        await asyncio.wait(under_way)
        await self._try_review(user_id)

    async def _revalidate(self, user_ids: list[str]) -> None:
        for start in range(0, len(user_ids), PEOPLE_PER_QUERY):
            try:
                await self._revalidate_some(user_ids[start : start + PEOPLE_PER_QUERY])
            except Exception as error:
                # The others are looked at all the same; these are again within a minute.
                logger.warning("re-validation: %s", describe(error))

    async def _revalidate_some(self, user_ids: list[str]) -> None:
        """Close whose session, token or account has ended; take away live rooms that policy no longer grants."""
        connections = [each for user_id in user_ids for each in self._hub.users.get(user_id, ())]
        identities = [each.identity for each in connections if each.identity]
        check = await pools.auth.run(identity.check, identities)
        for connection in connections:
            if connection.identity is None:
                continue
            if (code := check.ended.get(connection.identity)) is not None:
                connection.close(code)
            else:
                fresh = check.people.get(connection.identity.user.pk, connection.identity.user)
                connection.identity = replace(connection.identity, user=fresh)
        for user_id in user_ids:
            await self._try_review(user_id)

    async def _try_review(self, user_id: str) -> None:
        try:
            await self._review_rooms(user_id)
        except Exception as error:
            logger.warning("rooms of user %s: %s", user_id, type(error).__name__)

    async def _review_rooms(self, user_id: str) -> None:
        mine = [each for each in self._hub.users.get(user_id, ()) if not each.is_closed]
        live = {room_id for each in mine for room_id in each.rooms}
        if not live:
            return
        granted = await pools.auth.run(changes.standings, mine[0].user, [str(each) for each in live])
        for room_id in live - {each.room_id for each in granted.values()}:
            for connection in mine:
                self._hub.detach(connection, room_id)
            await self._say_removed(user_id, room_id)


def _syncs_of(connections: Iterable[Connection]) -> set[asyncio.Future[None]]:
    return {done for each in connections for done in each.syncing.values()}


def _standing_of(user_id: str, room_id: int) -> tuple[bool, int]:
    """Whether the person is a member now, and their ``rooms_version``."""
    return reads.is_member(user_id, room_id), reads.rooms_versions([user_id]).get(user_id, 0)


def _repair_page(room_id: int, cursor: int) -> tuple[str, int, list[FeedEvent]] | None:
    """What a feed lacks, as events in order: each thing once, at the seq of its last change."""
    page = changes.for_feed(room_id, cursor)
    return (page.epoch, page.upto, changes.as_events(page, cursor)) if page else None
