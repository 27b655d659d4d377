"""A small model of a server, for tests of the client core: one connection at a time, and every fault on demand.

What the server commits is certain (``ModelRoom``). What it tells a client live goes through ``channel``, where tests
lose, double and reorder it; answers to commands stay in order, as they do on a TCP connection.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from chat.wire import protocol
from chat.wire.protocol import Cursor, Member, Message, User

ME = User("1", "ana")
BEN = User("2", "ben")
T0 = "2026-11-20T09:30:00.000Z"
LIMITS = protocol.Limits(
    frame_bytes=64 * 1024, body_chars=10_000, sync_rooms=500, history=100, catch_up=1000, unanswered=32
)


@dataclass
class ModelRoom:
    """One room's log: each thing in its present state, with the seq of its last change."""

    id: str
    epoch: str = "e1"
    head: int = 0
    messages: list[Message] = field(default_factory=list)
    members: dict[str, tuple[Member, int]] = field(default_factory=dict)
    backups: list[tuple[int, list[Message], dict[str, tuple[Member, int]]]] = field(default_factory=list)
    clock: int = 0

    def post(self, author: User, client_id: str, body: str) -> tuple[Message, protocol.RoomEvent | None]:
        for message in self.messages:
            if message.client_id == client_id and message.author == author:
                return message, None
        self.head += 1
        self.clock += 1
        message = Message(
            id=str(len(self.messages) + 1), room=self.id, number=len(self.messages) + 1, seq=self.head,
            changed_seq=self.head, author=author, client_id=client_id, body=body, html=body, kind="text",
            reply_to=None, attachments=[], reactions=[], mentions=[], created_at=str(self.clock), edited_at=None,
            deleted_at=None,
        )  # fmt: skip
        self.messages.append(message)
        return message, protocol.MessagePosted(room=self.id, seq=self.head, message=message)

    def edit(self, number: int) -> protocol.RoomEvent:
        self.head += 1
        changed = msgspec.structs.replace(self.messages[number - 1], body=f"edit {self.head}", changed_seq=self.head)
        self.messages[number - 1] = changed
        return protocol.MessageChanged(room=self.id, seq=self.head, message=changed)

    def move(self, user: User) -> protocol.RoomEvent:
        """The user joins, or leaves."""
        self.head += 1
        held = self.members.get(user.id)
        is_present = held is not None and held[0].left_at is None
        member = Member(user, "member", str(self.head), str(self.head) if is_present else None)
        self.members[user.id] = (member, self.head)
        kind = protocol.MemberLeft if is_present else protocol.MemberJoined
        return kind(room=self.id, seq=self.head, member=member)

    def back_up(self) -> None:
        self.backups.append((self.head, list(self.messages), dict(self.members)))

    def restore(self) -> None:
        """Numbers go back to the last backup: the epoch is another one."""
        self.head, self.messages, self.members = self.backups.pop()
        self.messages, self.members = list(self.messages), dict(self.members)
        self.epoch = f"e{int(self.epoch[1:]) + 1}"

    def changed_after(self, seq: int) -> list[tuple[int, Message | Member]]:
        things: list[tuple[int, Message | Member]] = [
            (each.changed_seq, each) for each in self.messages if each.changed_seq > seq
        ]
        things += [(changed, member) for member, changed in self.members.values() if changed > seq]
        return sorted(things, key=lambda each: each[0])

    def state(self) -> protocol.RoomState:
        return protocol.RoomState(
            id=self.id, slug=self.id, name=self.id, kind="open", topic="", archived=False, member_count=1,
            last_message_at=None, epoch=self.epoch, seq=self.head, last_number=len(self.messages), read=0,
            unread=len(self.messages), mentions=0, rev=0, role="member", notify="all", online=None,
        )  # fmt: skip


@dataclass
class SyncJob:
    ref: int
    room: str
    epoch: str
    seq: int


class ModelServer:
    """``outgoing`` is what the connection carries, in order; ``channel`` what may still be lost on its way there."""

    def __init__(self, *, catch_up: int = 1000, page: int = 2, rooms: tuple[str, ...] = ("1",)):
        self.rooms = {room: ModelRoom(room) for room in rooms}
        self.catch_up = catch_up
        self.page = page
        self.outgoing: list[protocol.Event] = []
        self.channel: list[protocol.RoomEvent] = []
        self.attached: dict[str, int] = {}
        """Room → the seq after which live events go to the connection."""
        self.jobs: list[SyncJob] = []
        self.is_connected = False
        self.reads: list[protocol.ReplyEvent] = []
        """Answers to reads: their snapshot is taken, they have not left yet, and live events overtake them."""
        self.replica: dict[str, ModelRoom] | None = None
        """Where reads are served from, if it is behind."""
        self.posted: list[str] = []
        self.fails_next: protocol.ErrorBody | None = None

    # Connections

    def connect(self) -> None:
        self.disconnect()
        self.is_connected = True
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
        """What the channel holds of a room comes as its present state instead, with ``prev``."""
        held = [event for event in self.channel if event.room == room_id]
        if not held:
            return
        room = self.rooms[room_id]
        self.channel = [event for event in self.channel if event.room != room_id]
        prev = min(event.seq for event in held) - 1
        for seq, thing in room.changed_after(prev):
            link: dict[str, Any] = {"room": room_id, "seq": seq, "prev": prev}
            if isinstance(thing, Message):
                self.channel.append(protocol.MessageChanged(message=thing, **link))
            else:
                self.channel.append(protocol.MemberChanged(member=thing, **link))
            prev = seq

    def lag(self, room_id: str) -> None:
        if self.attached.pop(room_id, None) is not None:
            self.channel = [event for event in self.channel if event.room != room_id]
            self.outgoing.append(protocol.Lagging(rooms=[room_id]))

    def restore(self, room_id: str) -> None:
        room = self.rooms[room_id]
        if not room.backups:
            return
        room.restore()
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
            return self._history(rooms[command.room], command)
        if isinstance(command, protocol.ListMembers):
            room = rooms[command.room]
            present = [member for member, _ in room.members.values() if member.left_at is None]
            return protocol.MemberPage(present, more=False, epoch=room.epoch, seq=room.head)
        return {}

    def _post(self, command: protocol.PostMessage) -> protocol.PostResult:
        room = self.rooms[command.room]
        message, event = room.post(ME, str(command.client_id), command.body)
        self.publish(event)
        if event is not None:
            self.posted.append(command.body)
        return protocol.PostResult(message.id, message.number, message.seq, room.epoch, T0, event is None)

    def _history(self, room: ModelRoom, command: protocol.History) -> protocol.HistoryPage:
        size = min(command.limit or 50, 3)
        if command.after is not None:
            page = room.messages[command.after :][:size]
        else:
            end = len(room.messages) if command.before is None else command.before - 1
            page = room.messages[max(0, end - size) : end]
        first, last = (page[0].number, page[-1].number) if page else (1, len(room.messages))
        return protocol.HistoryPage(page, {}, first > 1, last < len(room.messages), room.epoch, room.head)

    def _begin_sync(self, ref: int, room: ModelRoom, cursor: Cursor | None) -> None:
        if cursor is None:
            self._reset(room, "new")
        elif cursor.epoch != room.epoch:
            self._reset(room, "epoch")
        elif cursor.seq > room.head or len(room.changed_after(cursor.seq)) > self.catch_up:
            self._reset(room, "too_far")
        else:
            self.jobs.append(SyncJob(ref, room.id, room.epoch, cursor.seq))
            return
        self._reply(ref, {"rooms": {room.id: "reset"}})

    def step(self) -> None:
        """The next page of a catch-up under way."""
        job = self.jobs[0]
        room = self.rooms[job.room]
        if room.epoch != job.epoch:
            self.jobs.pop(0)
            self._reset(room, "epoch")
            self._reply(job.ref, {"rooms": {room.id: "reset"}})
            return
        changed = room.changed_after(job.seq)
        page = changed[: self.page]
        if page:
            self.outgoing.append(
                protocol.Changes(
                    room=room.id, epoch=room.epoch, mine={}, state=None,
                    messages=[thing for _, thing in page if isinstance(thing, Message)],
                    members=[thing for _, thing in page if isinstance(thing, Member)],
                )
            )  # fmt: skip
            job.seq = page[-1][0]
        if len(changed) > len(page):
            return
        self.jobs.pop(0)
        self.attached[room.id] = room.head
        self.outgoing.append(protocol.Synced(room=room.id, epoch=room.epoch, seq=room.head))
        self._reply(job.ref, {"rooms": {room.id: "live"}})

    def _reset(self, room: ModelRoom, reason: Any) -> None:
        self.attached[room.id] = room.head
        self.outgoing.append(
            protocol.Reset(room=room.id, epoch=room.epoch, seq=room.head, reason=reason, state=room.state())
        )

    def _reply(self, ref: int, result: Any) -> None:
        self.outgoing.append(protocol.ReplyEvent(ref=ref, ok=True, result=msgspec.to_builtins(result)))


def half() -> float:
    """Chance, without chance."""
    return 0.5


def events(count: int) -> tuple[ModelRoom, list[Any]]:
    """A room with ``count`` messages of Ben's, and the events that told them."""
    room = ModelRoom("1")
    return room, [room.post(BEN, str(each), f"m{each}")[1] for each in range(1, count + 1)]
