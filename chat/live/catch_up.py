"""From a cursor of any age to live: what changed, page by page at the client's pace, then the feed, without a hole.

The feed is joined only with the seq of a page that reached the head, in the same turn of the loop in which the feed's
own head is looked at; feed events up to that seq don't concern the connection (docs/architecture.md, "Catching up").
"""

import asyncio
import logging
import time
from typing import Any, Literal

from chat.access import changes, lookup, reads
from chat.conf import conf
from chat.live.background import BackgroundTasks
from chat.live.connection import Connection
from chat.live.hub import Hub
from chat.runtime import pools
from chat.wire import protocol
from chat.wire.errors import ServerBusy
from chat.wire.feed_event import FeedEvent

logger = logging.getLogger(__name__)

Outcome = Literal["live", "reset", "denied"]
Reason = Literal["new", "too_far", "epoch"]
STANDING_S = 1.0
"""How long an answer to "may they?" is good for. A sync waits for its client, and rights may be taken meanwhile."""
JOINS_AT_MOST = 20
"""Pages read because the feed had moved on past the last one. More means the room outruns the database."""


class CatchUp:
    """Brings connections from their cursors to the hub's feeds."""

    def __init__(self, hub: Hub, background: BackgroundTasks):
        self._hub = hub
        self._background = background
        self._first_reads: dict[int, asyncio.Future[None]] = {}

    async def sync(self, connection: Connection, cursors: dict[str, protocol.Cursor | None]) -> dict[str, Outcome]:
        """Bring the rooms to life one after the other, and say how each went.

        Raises:
            ServerBusy: The database or the room gave no chance to catch up; rooms done so far are live.
        """
        await connection.room_for_page()
        standings = await pools.readers.run(changes.standings, connection.user, list(cursors))
        outcomes: dict[str, Outcome] = {}
        for wire_id, cursor in cursors.items():
            standing = standings.get(wire_id)
            outcomes[wire_id] = await self._bring(connection, standing, cursor) if standing else "denied"
            if outcomes[wire_id] == "denied" and (room_id := lookup.key(wire_id)) is not None:
                self._hub.detach(connection, room_id)
        return outcomes

    def resync(self, connections: list[Connection], room_id: int, cursor: protocol.Cursor) -> None:
        """Start over for connections that followed a feed which is no more: each gets what it missed, or a reset."""
        for connection in connections:
            if not connection.is_closed:
                self._background.start(self._resync(connection, room_id, cursor))

    async def _resync(self, connection: Connection, room_id: int, cursor: protocol.Cursor) -> None:
        try:
            outcomes = await self.sync(connection, {str(room_id): cursor})
            if outcomes[str(room_id)] == "denied":
                self._hub.owner.room_lost(connection.user_id, room_id)
        except Exception as error:
            # Its heads stop naming the room: tell the client to ask for it itself.
            logger.warning("resync of room %s: %s", room_id, type(error).__name__)
            self._hub.send(connection, protocol.encode(protocol.Lagging(rooms=[str(room_id)])))

    async def _bring(
        self, connection: Connection, standing: changes.Standing, cursor: protocol.Cursor | None
    ) -> Outcome:
        room_id = standing.room_id
        await connection.room_for_page()
        if cursor is None:
            return await self._reset(connection, room_id, "new")
        if cursor.epoch != standing.epoch or cursor.seq > standing.head:
            return await self._reset(connection, room_id, "epoch")
        if self._join(connection, room_id, standing, cursor.seq):
            return "live"
        # So many seqs back, there can't be more things than that to deliver.
        is_far = standing.head - cursor.seq > conf.catch_up
        if is_far and await pools.readers.run(changes.is_more_than, room_id, cursor.seq, conf.catch_up):
            return await self._reset(connection, room_id, "too_far")
        if (reading := self._first_reads.get(room_id)) is not None:
            # After a restart all clients come at once, from about the same place: what is read for one serves them all.
            await asyncio.wait([reading])
            if self._join(connection, room_id, standing, cursor.seq):
                return "live"
        return await self._pages(connection, room_id, cursor)

    def _join(self, connection: Connection, room_id: int, standing: changes.Standing, seq: int) -> bool:
        """Join without reading: the cursor is the head already, or the feed's ring holds all that is missing.

        The ring serves only a feed that has come as far as the access check saw: a feed behind it may yet deliver a
        leaving that a later return has made void.
        """
        room = self._hub.rooms.get(room_id)
        if time.monotonic() - standing.read_at > STANDING_S:
            return False
        if seq == standing.head:
            return self._hub.attach(connection, room_id, standing.epoch, seq, _synced(room_id, standing.epoch, seq))
        if room is None or room.feed.epoch != standing.epoch or room.feed.head < standing.head:
            return False
        missing = room.feed.since(seq)
        if missing is None or sum(len(event.encoded) for event in missing) > reads.PAGE_BYTES:
            return False
        if any(event.leaver == connection.user_id for event in missing if event.seq > standing.head):
            return False
        head = room.feed.head
        # The events first, then `synced`: only that moves the cursor to the head.
        self._hub.send(connection, *[event.encoded for event in missing])
        return self._hub.attach(connection, room_id, standing.epoch, head, _synced(room_id, standing.epoch, head))

    async def _pages(self, connection: Connection, room_id: int, cursor: protocol.Cursor) -> Outcome:
        seq = cursor.seq
        joins = 0
        while joins < JOINS_AT_MOST:
            await connection.room_for_page()
            if connection.is_closed:
                return "denied"
            read = await self._read(connection.user, room_id, seq)
            if read is None:
                return "denied"
            page, encoded, events = read
            if page.epoch != cursor.epoch:
                return await self._reset(connection, room_id, "epoch")
            if not page.is_empty:
                self._hub.send(connection, encoded)
            seq = page.upto
            if page.upto < page.head:
                continue
            joins += 1
            announcement = _synced(room_id, page.epoch, page.head)
            if self._hub.attach(connection, room_id, page.epoch, page.head, announcement, past=events):
                return "live"
        raise ServerBusy

    async def _read(self, user: Any, room_id: int, seq: int) -> "_Read | None":
        """A page; the first one of a room whose feed has no memory yet also as events for it."""
        room = self._hub.rooms.get(room_id)
        if room_id in self._first_reads or (room is not None and room.feed.has_memory):
            return await pools.readers.run(_read_page, user, room_id, seq, for_memory=False)
        done = self._first_reads[room_id] = self._hub.loop.create_future()
        try:
            return await pools.readers.run(_read_page, user, room_id, seq, for_memory=True)
        finally:
            del self._first_reads[room_id]
            # Who waits goes on in a later turn of the loop, after this page's own attachment.
            self._hub.loop.call_soon(done.set_result, None)

    async def _reset(self, connection: Connection, room_id: int, reason: Reason) -> Outcome:
        for _ in range(JOINS_AT_MOST):
            await connection.room_for_page()
            state = await pools.readers.run(changes.reset_state, connection.user, room_id)
            if state is None:
                return "denied"
            told = protocol.Reset(room=str(room_id), epoch=state.epoch, seq=state.seq, reason=reason, state=state)
            if self._hub.attach(connection, room_id, state.epoch, state.seq, protocol.encode(told)):
                return "reset"
        raise ServerBusy


_Read = tuple[changes.Page, bytes, list[FeedEvent]]


def _read_page(user: Any, room_id: int, seq: int, *, for_memory: bool) -> _Read | None:
    """A page, its encoding for the client, and, if asked, its events; all made off the event loop."""
    page = changes.page(user, room_id, seq)
    if page is None:
        return None
    # A feed's memory serves whoever may follow it, so it must not lead them past the point where some lost the room.
    for_memory = for_memory and page.private_seq <= seq
    return page, protocol.encode(page.as_event(str(room_id))), changes.as_events(page, seq) if for_memory else []


def _synced(room_id: int, epoch: str, seq: int) -> bytes:
    return protocol.encode(protocol.Synced(room=str(room_id), epoch=epoch, seq=seq))
