"""One room as tests of clients know it, and what a server says of it: for the model of a connection (model_server.py)
and for the server over real WebSockets (tests/client/fake_server.py)."""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from chat.wire import protocol
from chat.wire.protocol import Cursor, Member, Message, User

Reason = Literal["new", "too_far", "epoch"]

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
    stretches: list[tuple[int, str]] = field(default_factory=lambda: [(0, "r1")])
    """The runs of the database: the first seq of each, and its id."""
    runs: int = 1

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
        return message, protocol.MessagePosted(message=message, **self.link(self.head - 1, self.head))

    def edit(self, number: int) -> protocol.RoomEvent:
        self.head += 1
        changed = msgspec.structs.replace(self.messages[number - 1], body=f"edit {self.head}", changed_seq=self.head)
        self.messages[number - 1] = changed
        return protocol.MessageChanged(message=changed, **self.link(self.head - 1, self.head))

    def move(self, user: User) -> protocol.RoomEvent:
        """The user joins, or leaves."""
        self.head += 1
        held = self.members.get(user.id)
        is_present = held is not None and held[0].left_at is None
        member = Member(user, "member", str(self.head), str(self.head) if is_present else None)
        self.members[user.id] = (member, self.head)
        kind = protocol.MemberLeft if is_present else protocol.MemberJoined
        return kind(member=member, **self.link(self.head - 1, self.head))

    def link(self, prev: int, seq: int, upto: int = 0) -> dict[str, Any]:
        """What a numbered event says of its place. ``upto``: the last one of the reading that it comes from."""
        fields: dict[str, Any] = {"room": self.id, "seq": seq}
        if upto > seq:
            fields["upto"] = upto
        if prev != seq - 1:
            fields["prev"] = prev
        if self.run_at(prev) != self.run_at(seq):
            fields["run"] = self.run_at(seq)
        return fields

    def run_at(self, seq: int) -> str:
        return next(run for first, run in reversed(self.stretches) if first <= seq)

    def begin_run(self) -> None:
        """The server reconnects to its database, so a new run begins; nothing is lost."""
        self.runs += 1
        self.stretches.append((self.head + 1, f"r{self.runs}"))

    def fail_over(self) -> None:
        """Numbers go back to the last backup, and nobody notices: the epoch stays, and so a new run begins."""
        epoch = self.epoch
        self.restore()
        self.epoch = epoch
        self.stretches = [each for each in self.stretches if each[0] <= self.head]
        self.begin_run()

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
            run=self.run_at(self.head),
        )  # fmt: skip

    # What a server says of the room

    def reset_reason(self, cursor: Cursor | None, catch_up: int) -> Reason | None:
        """Why a client with this cursor can't be told what it missed; None if it can."""
        if cursor is None:
            return "new"
        if self.is_of_another(cursor):
            return "epoch"
        if len(self.changed_after(cursor.seq)) > catch_up:
            return "too_far"
        return None

    def is_of_another(self, cursor: Cursor) -> bool:
        """Whether the cursor stands for what this log does not hold, or not any more."""
        is_superseded = cursor.run is not UNSET and cursor.run != self.run_at(cursor.seq)
        return cursor.epoch != self.epoch or cursor.seq > self.head or is_superseded

    def position(self) -> Cursor:
        return Cursor(self.epoch, self.head, self.run_at(self.head))

    def reset(self, reason: Reason) -> protocol.Reset:
        run = self.run_at(self.head)
        return protocol.Reset(room=self.id, epoch=self.epoch, seq=self.head, reason=reason, state=self.state(), run=run)

    def changes(self, things: list[tuple[int, Message | Member]]) -> protocol.Changes:
        return protocol.Changes(
            room=self.id, epoch=self.epoch, mine={}, state=None,
            messages=[thing for _, thing in things if isinstance(thing, Message)],
            members=[thing for _, thing in things if isinstance(thing, Member)],
        )  # fmt: skip

    def synced(self) -> protocol.Synced:
        return protocol.Synced(room=self.id, epoch=self.epoch, seq=self.head, run=self.run_at(self.head))

    def stored(self, message: Message, *, duplicate: bool) -> protocol.PostResult:
        return protocol.PostResult(message.id, message.number, message.seq, self.epoch, T0, duplicate)

    def history(self, command: protocol.History, most: int) -> protocol.HistoryPage:
        size = min(command.limit or 50, most)
        if command.after is not None:
            page = self.messages[command.after :][:size]
        else:
            end = len(self.messages) if command.before is None else command.before - 1
            page = self.messages[max(0, end - size) : end]
        first, last = (page[0].number, page[-1].number) if page else (1, len(self.messages))
        more = {"more_before": first > 1, "more_after": last < len(self.messages)}
        return protocol.HistoryPage(page, {}, **more, epoch=self.epoch, seq=self.head, run=self.run_at(self.head))

    def member_page(self) -> protocol.MemberPage:
        present = [member for member, _ in self.members.values() if member.left_at is None]
        return protocol.MemberPage(present, more=False, epoch=self.epoch, seq=self.head, run=self.run_at(self.head))


def events(count: int) -> tuple[ModelRoom, list[Any]]:
    """A room with ``count`` messages of Ben's, and the events that told them."""
    room = ModelRoom("1")
    return room, [room.post(BEN, str(each), f"m{each}")[1] for each in range(1, count + 1)]
