"""A small model of a server for tests of the client core: one connection at a time, and every fault on demand.

What the server commits is certain (``ModelRoom``). Its live events go through ``channel``, where tests lose, double and
reorder them. Replies to commands stay in order, as on a TCP connection.
"""

import copy
from dataclasses import dataclass
from typing import Any

import msgspec

from chat.wire import protocol
from chat.wire.protocol import Cursor, Message
from tests.client.core.model_room import LIMITS, ME, T0, ModelRoom

PAGE = 3
"""Messages in one page of history: a timeline has to ask more than once."""


@dataclass
class SyncJob:
    ref: int
    room: str
    epoch: str
    seq: int
    run: str
    seen: tuple[int, str] | None = None
    """Where the room stood when the last page was read, and the run of that seq."""


class ModelServer:
    """``outgoing`` is what the connection carries, in order. ``channel`` is what may still be lost on the way to it."""

    def __init__(self, *, catch_up: int = 1000, page: int = 2, rooms: tuple[str, ...] = ("1",)):
        self.rooms = {room: ModelRoom(room) for room in rooms}
        self.catch_up = catch_up
        self.page = page
        self.outgoing: list[protocol.Event] = []
        self.channel: list[protocol.RoomEvent] = []
        self.attached: dict[str, int] = {}
        """By room, the seq after which live events go to the connection."""
        self.greeted: dict[str, Cursor] = {}
        """What ``hello`` spoke of: a server watches over it until the room is synced."""
        self.jobs: list[SyncJob] = []
        self.is_connected = False
        self.reads: list[protocol.ReplyEvent] = []
        """Replies to reads whose snapshot is taken but which are not sent yet. Live events may overtake them."""
        self.replica: dict[str, ModelRoom] | None = None
        """A lagging replica that serves the reads, or None."""
        self.posted: list[str] = []
        self.fails_next: protocol.ErrorBody | None = None

    # Connections

    def connect(self) -> None:
        self.disconnect()
        self.is_connected = True
        self.greeted = {room.id: room.position() for room in self.rooms.values()}
        self.outgoing.append(
            protocol.Hello(
                protocol=1, user=ME, server="s", heartbeat_s=20, limits=LIMITS, flow=None,
                rooms=[room.state() for room in self.rooms.values()], rooms_version=1,
            )
        )  # fmt: skip

    def disconnect(self) -> None:
        self.is_connected = False
        self.outgoing.clear()
        self.channel.clear()
        self.attached.clear()
        self.jobs.clear()
        self.reads.clear()

    # What happens in rooms

    def publish(self, event: protocol.RoomEvent | None) -> None:
        if event is not None and event.room in self.attached and event.seq > self.attached[event.room]:
            self.channel.append(event)

    def repair(self, room_id: str) -> None:
        """Replace a room's events in the channel by the present state of what they changed, with ``prev``."""
        held = [event for event in self.channel if event.room == room_id]
        if not held:
            return
        room = self.rooms[room_id]
        self.channel = [event for event in self.channel if event.room != room_id]
        prev = min(event.seq for event in held) - 1
        for seq, thing in room.changed_after(prev):
            link = room.link(prev, seq, room.head)
            if isinstance(thing, Message):
                self.channel.append(protocol.MessageChanged(message=thing, **link))
            else:
                self.channel.append(protocol.MemberChanged(member=thing, **link))
            prev = seq

    def lag(self, room_id: str) -> None:
        if self.attached.pop(room_id, None) is not None:
            self.channel = [event for event in self.channel if event.room != room_id]
            self.outgoing.append(protocol.Lagging(rooms=[room_id]))

    def restore(self, room_id: str, *, unnoticed: bool = False) -> None:
        room = self.rooms[room_id]
        if not room.backups:
            return
        (room.fail_over if unnoticed else room.restore)()
        self.channel = [event for event in self.channel if event.room != room_id]
        if room_id in self.attached:
            self._reset(room, "epoch")

    def beat(self) -> None:
        heads = {room: self.rooms[room].head for room in self.attached}
        self.outgoing.append(protocol.Heads(rooms=heads, rooms_version=1, server_time=T0))

    # Commands

    def take(self, command: protocol.Command) -> None:
        if isinstance(command, protocol.Sync):
            for room, cursor in command.rooms.items():
                assert all(job.room != room for job in self.jobs), "two syncs at once for one room"
                self._begin_sync(command.ref, self.rooms[room], cursor)
            return
        if not hasattr(command, "ref"):
            return
        if self.fails_next is not None:
            error, self.fails_next = self.fails_next, None
            self.outgoing.append(protocol.ReplyEvent(ref=command.ref, ok=False, error=error))
            return
        if isinstance(command, protocol.History | protocol.ListMembers):
            result = msgspec.to_builtins(self._answer(command))
            self.reads.append(protocol.ReplyEvent(ref=command.ref, ok=True, result=result))
        else:
            self._reply(command.ref, self._answer(command))

    def freeze_replica(self) -> None:
        self.replica = copy.deepcopy(self.rooms)

    def finish_read(self, place: int) -> None:
        self.outgoing.append(self.reads.pop(place))

    def _answer(self, command: protocol.Command) -> Any:
        if isinstance(command, protocol.PostMessage):
            return self._post(command)
        rooms = self.replica or self.rooms
        if isinstance(command, protocol.History):
            return rooms[command.room].history(command, PAGE)
        if isinstance(command, protocol.ListMembers):
            return rooms[command.room].member_page()
        return {}

    def _post(self, command: protocol.PostMessage) -> protocol.PostResult:
        room = self.rooms[command.room]
        message, event = room.post(ME, str(command.client_id), command.body)
        self.publish(event)
        if event is not None:
            self.posted.append(command.body)
        return room.stored(message, duplicate=event is None)

    def _begin_sync(self, ref: int, room: ModelRoom, cursor: Cursor | None) -> None:
        reason = room.reset_reason(cursor, self.catch_up)
        if reason is None and room.is_of_another(self.greeted[room.id]):
            reason = "epoch"
        if reason is not None:
            self._reset(room, reason)
            self._reply(ref, {"rooms": {room.id: "reset"}})
            return
        assert cursor is not None, "without one there is a reset"
        self.jobs.append(SyncJob(ref, room.id, room.epoch, cursor.seq, room.run_at(cursor.seq)))

    def step(self) -> None:
        """Send the next page of the catch-up in progress."""
        job = self.jobs[0]
        room = self.rooms[job.room]
        known = [Cursor(job.epoch, job.seq, job.run), self.greeted[room.id]]
        if job.seen is not None:
            known.append(Cursor(job.epoch, *job.seen))
        if any(map(room.is_of_another, known)):
            self.jobs.pop(0)
            self._reset(room, "epoch")
            self._reply(job.ref, {"rooms": {room.id: "reset"}})
            return
        changed = room.changed_after(job.seq)
        page = changed[: self.page]
        if page:
            self.outgoing.append(room.changes(page))
            job.seq = page[-1][0]
            job.run = room.run_at(job.seq)
            job.seen = (room.head, room.run_at(room.head))
        if len(changed) > len(page):
            return
        self.jobs.pop(0)
        self.attached[room.id] = room.head
        self.outgoing.append(room.synced())
        self._reply(job.ref, {"rooms": {room.id: "live"}})

    def _reset(self, room: ModelRoom, reason: Any) -> None:
        self.attached[room.id] = room.head
        self.outgoing.append(room.reset(reason))

    def _reply(self, ref: int, result: Any) -> None:
        self.outgoing.append(protocol.ReplyEvent(ref=ref, ok=True, result=msgspec.to_builtins(result)))


def half() -> float:
    """A constant in place of a random number."""
    return 0.5
