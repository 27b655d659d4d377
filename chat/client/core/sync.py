"""Sending ``sync`` for the rooms that need it: many rooms in one command, never two at once for one room. Sans I/O."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from chat.client.core.requests import Request, Requests
from chat.client.core.room import RoomCore
from chat.wire import protocol
from chat.wire.protocol import Cursor, ReplyEvent

RETRY_S = 2.0
RETRY_CAP_S = 30.0
LEAST_WAIT_MS = 100
"""A shorter ``retry_after_ms`` is ignored, because the client would ask in a tight loop."""
ENVELOPE_BYTES = 64
"""Space for ``type``, ``ref`` and the braces around the rooms."""


def chunks(rooms: dict[str, Cursor | None], limits: protocol.Limits) -> list[dict[str, Cursor | None]]:
    """Split ``rooms`` into parts that each fit into one command."""
    out: list[dict[str, Cursor | None]] = []
    size = limits.frame_bytes
    for room, cursor in rooms.items():
        entry = len(protocol.encode({room: cursor}))
        if not out or size + entry > limits.frame_bytes or len(out[-1]) >= limits.sync_rooms:
            out.append({})
            size = ENVELOPE_BYTES
        out[-1][room] = cursor
        size += entry
    return out


@dataclass(slots=True)
class Syncs:
    """Watch the rooms' cursors, and send ``sync`` when one is due.

    Args:
        on_answer: Called with each room once the answer for it has come.
    """

    rng: Callable[[], float]
    requests: Requests
    on_answer: Callable[[RoomCore], None]
    _alarms: dict[RoomCore, float] = field(default_factory=dict)
    _alone: set[str] = field(default_factory=set)
    """Rooms that are synced one by one, because a command with several of them was refused as a whole."""
    _refusals: int = 0

    @property
    def wake_at(self) -> float | None:
        return min(self._alarms.values(), default=None)

    def watch(self, room: RoomCore) -> None:
        """Note when the room's cursor next needs a sync, if it does."""
        at = room.cursor.sync_at if room.is_followed else None
        if at is not None:
            self._alarms[room] = at
        elif self._alarms:
            self._alarms.pop(room, None)

    def run(self, limits: protocol.Limits, now: float) -> None:
        """Request a sync of the rooms that are due."""
        due = {room.id: room for room, at in self._alarms.items() if at <= now}
        if not due:
            return
        for room in due.values():
            del self._alarms[room]
            room.cursor.sync_started()
        together = {each.id: each.cursor.sync_from for each in due.values() if each.id not in self._alone}
        parts = chunks(together, limits)
        parts += [{each.id: each.cursor.sync_from} for each in due.values() if each.id in self._alone]
        for part in parts:
            command = protocol.Sync(ref=1, rooms=part)
            self.requests.add(Request(command, partial(self._answered, [due[room] for room in part])))

    def connection_lost(self) -> None:
        self._alarms.clear()
        self._refusals = 0

    def _answered(self, rooms: list[RoomCore], reply: ReplyEvent, now: float) -> None:
        if reply.ok:
            self._refusals = 0
            outcomes = reply.result.rooms
            for room in rooms:
                room.sync_ended(outcomes.get(room.id, "denied"), now)
        else:
            self._refused(rooms, reply, now)
        for room in rooms:
            self.watch(room)
            self.on_answer(room)

    def _refused(self, rooms: list[RoomCore], reply: ReplyEvent, now: float) -> None:
        error = reply.error
        if isinstance(error, protocol.ErrorBody) and not error.retry:
            # One room whose id the server can't read would otherwise keep all others from being synced.
            if len(rooms) == 1:
                rooms[0].sync_ended("denied", now)
                return
            self._alone |= {room.id for room in rooms}
            wait = 0.0
        else:
            asked = error.retry_after_ms if isinstance(error, protocol.ErrorBody) else None
            ceiling = min(RETRY_CAP_S, RETRY_S * 2 ** min(self._refusals, 4))
            wait = ceiling * (0.5 + self.rng() / 2)
            if isinstance(asked, int) and asked >= LEAST_WAIT_MS:
                wait = asked / 1000
            self._refusals += 1
        for room in rooms:
            room.cursor.sync_ended(now)
            room.cursor.want_sync(now + wait)
