"""From a cursor of any age to live: pages of changes at the client's pace, then the feed, with no gap between them.

The feed is joined only with the seq of a page that reached the head, in the same turn of the loop in which the feed's
own head is looked at; feed events up to that seq don't concern the connection (docs/architecture.md, "Catching up").
"""

import asyncio
import logging
import time
from collections import deque
from typing import Any, Literal

from msgspec import UNSET

from chat.access import changes, lookup, reads
from chat.conf import conf
from chat.live.background import BackgroundTasks
from chat.live.connection import Connection
from chat.live.hub import Hub
from chat.runtime import pools
from chat.wire import protocol
from chat.wire.errors import ServerBusy
from chat.wire.feed_event import FeedEvent
from chat.wire.position import Position

logger = logging.getLogger(__name__)

Outcome = Literal["live", "reset", "denied"]
Reason = Literal["new", "too_far", "epoch"]
STANDING_S = 1.0
"""How long an answer to "may they?" is good for. A sync waits for its client, and
rights may be revoked meanwhile."""
STATES_AT_ONCE = 20
"""Rooms of which the states are read together."""
JOINS_AT_MOST = 20
"""How often a page is read again because the feed has moved past it. A room that needs more outruns the database."""


class CatchUp:
    """Brings connections from their cursors to the hub's feeds."""

    def __init__(self, hub: Hub, background: BackgroundTasks):
        self._hub = hub
        self._background = background
        self._first_reads: dict[int, asyncio.Future[None]] = {}

    async def sync(self, connection: Connection, cursors: dict[str, protocol.Cursor | None]) -> dict[str, Outcome]:
        """Bring the rooms live one after the other, and return the outcome of each.

        Raises:
            ServerBusy: A room changes faster than it can be read. The rooms before it are live.
        """
        await connection.room_for_page()
        greeted, connection.greeted = connection.greeted, {}
        standings = await pools.readers.run_for(
            connection.user_id, changes.standings, connection.user, cursors, greeted
        )
        new = [standings[each].room_id for each, cursor in cursors.items() if cursor is None and each in standings]
        states = _States(connection, new)
        outcomes: dict[str, Outcome] = {}
        for wire_id, cursor in cursors.items():
            standing = standings.get(wire_id)
            outcomes[wire_id] = "denied"
            if standing:
                told = greeted.get(standing.room_id)
                outcomes[wire_id] = await self._bring(connection, standing, cursor, told, states)
            if outcomes[wire_id] == "denied" and (room_id := lookup.key(wire_id)):
                self._hub.detach(connection, room_id)
        return outcomes

    def resync(self, connections: list[Connection], room_id: int, cursor: protocol.Cursor) -> None:
        """Catch up again for connections whose feed was dropped: each gets what it missed, or a reset."""
        for connection in connections:
            if not connection.is_closed:
                self._background.start(self._resync(connection, room_id, cursor))

    async def _resync(self, connection: Connection, room_id: int, cursor: protocol.Cursor) -> None:
        try:
            outcomes = await self.sync(connection, {str(room_id): cursor})
            if outcomes[str(room_id)] == "denied":
                self._hub.owner.room_lost(connection.user_id, room_id)
        except Exception as error:
            # Its heartbeats no longer name the room, so the client must be told to ask for it.
            logger.warning("resync of room %s: %s", room_id, type(error).__name__)
            self._hub.send(connection, protocol.encode(protocol.Lagging(rooms=[str(room_id)])))

    async def _bring(
        self,
        connection: Connection,
        standing: changes.Standing,
        cursor: protocol.Cursor | None,
        told: Position | None,
        states: "_States",
    ) -> Outcome:
        room_id = standing.room_id
        await connection.room_for_page()
        if cursor is None:
            return await self._reset(connection, room_id, "new", states)
        if cursor.epoch != standing.at.epoch or cursor.seq > standing.at.seq or standing.is_superseded:
            return await self._reset(connection, room_id, "epoch", states)
        if self._join(connection, room_id, standing, cursor.seq):
            return "live"
        # There are at most as many changed things as seqs between the cursor and the head.
        is_far = standing.at.seq - cursor.seq > conf.catch_up
        if is_far and await pools.readers.run_for(
            connection.user_id, changes.is_more_than, room_id, cursor.seq, conf.catch_up
        ):
            return await self._reset(connection, room_id, "too_far", states)
        if (reading := self._first_reads.get(room_id)) is not None:
            # After a restart all clients come at once, from about the same place: one read serves them all.
            await asyncio.wait([reading])
            if self._join(connection, room_id, standing, cursor.seq):
                return "live"
        return await self._pages(connection, room_id, cursor, told, states)

    def _join(self, connection: Connection, room_id: int, standing: changes.Standing, seq: int) -> bool:
        """Join without reading, if the cursor is the head already or the feed's ring holds all that is missing.

        The ring is used only when the feed has come as far as the access check saw. A feed that is behind may yet
        deliver a leaving that a later return has made void.
        """
        room = self._hub.rooms.get(room_id)
        if time.monotonic() - standing.read_at > STANDING_S:
            return False
        if seq == standing.at.seq:
            return self._hub.attach(connection, room_id, standing.at, _synced(room_id, standing.at))
        if room is None or not room.feed.is_on(standing.at) or room.feed.head < standing.at.seq:
            return False
        missing = room.feed.since(seq)
        if missing is None or sum(len(event.encoded) for event in missing) > reads.PAGE_BYTES:
            return False
        if any(event.leaver == connection.user_id for event in missing if event.seq > standing.at.seq):
            return False
        # The events first, then `synced`: only that moves the cursor to the head.
        self._hub.send(connection, *[event.encoded for event in missing])
        return self._hub.attach(connection, room_id, room.feed.position, _synced(room_id, room.feed.position))

    async def _pages(
        self,
        connection: Connection,
        room_id: int,
        cursor: protocol.Cursor,
        told: Position | None,
        states: "_States",
    ) -> Outcome:
        seq, run = cursor.seq, cursor.run
        seen: Position | None = None
        joins = 0
        while joins < JOINS_AT_MOST:
            await connection.room_for_page()
            if connection.is_closed:
                return "denied"
            read = await self._read(connection, room_id, seq)
            if read is None:
                return "denied"
            page, encoded, events = read
            is_kept = run is UNSET or page.holds(seq, run)
            # What a page leaves for the next one may go back into the part that it covered: a message whose last edit
            # was lost has the state of the one before.
            for known in (told, seen):
                if known is not None and known.seq >= seq:
                    is_kept = is_kept and page.holds(known.seq, known.run)
            seen = page.at
            if page.at.epoch != cursor.epoch or page.at.seq < seq or not is_kept:
                return await self._reset(connection, room_id, "epoch", states)
            if not page.is_empty:
                self._hub.send(connection, encoded)
            seq, run = page.upto, page.run_at(page.upto) or UNSET
            if page.upto < page.at.seq:
                continue
            joins += 1
            if self._hub.attach(connection, room_id, page.at, _synced(room_id, page.at), past=events):
                return "live"
        raise ServerBusy

    async def _read(self, connection: Connection, room_id: int, seq: int) -> "_Read | None":
        """A page of changes, and the events to fill the feed's ring with if this is the first read of the room."""
        read = _read_page, connection.user, room_id, seq
        room = self._hub.rooms.get(room_id)
        if room_id in self._first_reads or (room is not None and room.feed.has_memory):
            return await pools.readers.run_for(connection.user_id, *read, for_memory=False)
        done = self._first_reads[room_id] = self._hub.loop.create_future()
        try:
            # Apart from what this person reads besides: others wait for it.
            return await pools.readers.run_for(("first", connection.user_id), *read, for_memory=True)
        finally:
            del self._first_reads[room_id]
            # The connections that wait go on in a later turn of the loop, after this page's own attachment.
            self._hub.loop.call_soon(done.set_result, None)

    async def _reset(self, connection: Connection, room_id: int, reason: Reason, states: "_States") -> Outcome:
        for _ in range(JOINS_AT_MOST):
            await connection.room_for_page()
            read = await states.take(room_id)
            if read is None:
                return "denied"
            state, at = read
            told = protocol.Reset(
                room=str(room_id), epoch=at.epoch, seq=at.seq, reason=reason, state=state, run=at.run or UNSET
            )
            if self._hub.attach(connection, room_id, at, protocol.encode(told)):
                return "reset"
        raise ServerBusy


_State = tuple[protocol.RoomState, Position]


class _States:
    """The states of a sync's rooms that begin with a reset, ``STATES_AT_ONCE`` read together: a person who opens the
    chat on many rooms asks for hundreds."""

    def __init__(self, connection: Connection, new: list[int]):
        self._connection = connection
        self._new = deque(new)
        self._read: dict[int, _State] = {}
        self._read_at = 0.0
        self._told = 0

    async def take(self, room_id: int) -> _State | None:
        """The room's state, of a moment ago at most; each time it is asked for, a newer one. None if the person may
        not watch it.

        What was read ahead is read again once the person has been told something of their own, such as where their
        read pointer is now: no position says which of the two is newer.
        """
        if self._told != self._connection.told or time.monotonic() - self._read_at >= STANDING_S:
            self._new.extendleft(self._read)
            self._read.clear()
        if room_id not in self._read:
            wanted = {room_id, *self._read}
            while self._new and len(wanted) < STATES_AT_ONCE:
                wanted.add(self._new.popleft())
            user, self._read_at, self._told = self._connection.user, time.monotonic(), self._connection.told
            self._read = await pools.readers.run_for(self._connection.user_id, changes.reset_states, user, wanted)
        return self._read.pop(room_id, None)


_Read = tuple[changes.Page, bytes, list[FeedEvent]]


def _read_page(user: Any, room_id: int, seq: int, *, for_memory: bool) -> _Read | None:
    """A page, its encoding for the client and, if asked for, its events. Made off the event loop."""
    page = changes.page(user, room_id, seq)
    if page is None:
        return None
    # The ring serves everybody who may follow the room now, so it must not reach back past the moment at which the
    # room became private and some people lost it.
    for_memory = for_memory and page.private_seq <= seq
    return page, protocol.encode(page.as_event(str(room_id))), changes.as_events(page, seq) if for_memory else []


def _synced(room_id: int, at: Position) -> bytes:
    return protocol.encode(protocol.Synced(room=str(room_id), epoch=at.epoch, seq=at.seq, run=at.run or UNSET))
