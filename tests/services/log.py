"""What must hold of a room's log at any moment (docs/architecture.md, "One sequence per room"), and clients that
follow it in the ways there are. Used by the state machine, and after anything that could tear a hole."""

from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from chat.access import changes, reads
from chat.models import Membership, Message, Room, RoomRun
from chat.wire import protocol
from chat.wire.feed_event import FeedEvent


def check_log(room: Room) -> None:
    """Numbers are 1..n, birth seqs and last changes are distinct and at most the head, and counters agree."""
    row = Room.with_deleted.get(pk=room.pk)
    messages = list(Message.objects.filter(room=row).order_by("number"))
    members = list(Membership.objects.filter(room=row))
    if row.deleted_at is not None:
        assert not messages, "what was said in a deleted room is gone"
        assert not any(each.is_present for each in members)
    else:
        assert [each.number for each in messages] == list(range(1, row.last_number + 1))
    births = [each.seq for each in messages]
    assert births == sorted(set(births)), "birth seqs rise with the numbers"
    assert all(each.seq <= each.changed_seq <= row.head for each in messages)
    changed = [each.changed_seq for each in (*messages, *members)] + [row.changed_seq] * bool(row.changed_seq)
    assert len(set(changed)) == len(changed), "no two things changed with one seq"
    assert max(changed, default=0) == row.head, "the head is the seq of the last change"
    assert row.member_count == sum(each.is_present for each in members)
    assert all(each.read_number <= row.last_number for each in members)
    check_runs(row)
    assert all(set(each.reactions[0]) == {"emoji", "count", "users"} for each in messages if each.reactions)


def check_runs(room: Room) -> None:
    """Every seq belongs to one run."""
    ended = RoomRun.objects.filter(room=room).order_by("first_seq").values_list("first_seq", "last_seq")
    stretches = [*ended, (room.run_seq, room.head)]
    assert all(first <= last for first, last in stretches)
    assert [first for first, _ in stretches[1:]] == [last + 1 for _, last in stretches[:-1]], stretches
    assert stretches[0][0] <= 1 and room.run, "every change has taken its seq in a run"


@dataclass
class State:
    """A room as a client holds it."""

    messages: dict[str, protocol.Message] = field(default_factory=dict)
    members: dict[str, protocol.Member] = field(default_factory=dict)
    room: protocol.Room | None = None
    seq: int = 0

    def put(self, *things: protocol.Message | protocol.Member | protocol.Room) -> None:
        for thing in things:
            if isinstance(thing, protocol.Message):
                self.messages[thing.id] = thing
            elif isinstance(thing, protocol.Room):
                self.room = thing
            elif thing.left_at is None:
                self.members[thing.user.id] = thing
            else:
                self.members.pop(thing.user.id, None)

    def put_event(self, event: Any) -> None:
        """A numbered event, which must be the next in the chain."""
        prev = event.seq - 1 if event.prev is UNSET else event.prev
        assert prev == self.seq, f"event {event.seq} follows {prev}, the client is at {self.seq}"
        self.seq = event.seq
        named = (getattr(event, name, None) for name in ("message", "member", "state"))
        self.put(*(thing for thing in named if thing is not None))

    @property
    def comparable(self) -> tuple[Any, ...]:
        """Without what goes on the wire as of sending."""
        room = self.room and (self.room.name, self.room.topic, self.room.archived, self.room.kind)
        return self.messages, self.members, room, self.seq


def fresh_state(user: Any, room: Room) -> State:
    """What a client has that loads the room from nothing: its state, its history, its members."""
    state = State(room=reads.room_state(user, room.pk), seq=Room.objects.get(pk=room.pk).head)
    after, more = 0, True
    while more:
        page = reads.history(user, room.pk, after=after, limit=7)
        state.put(*page.messages)
        assert page.seq == state.seq
        more, after = page.more_after, after + len(page.messages)
    last: str | None = None
    more = True
    while more:
        members = reads.members(user, room.pk, after=last, limit=3)
        state.put(*members.members)
        more, last = members.more, members.members[-1].user.id if members.members else last
    return state


def catch_up(user: Any, room: Room, state: State) -> None:
    """Bring ``state`` to the present by pages of ``changes``, as ``sync`` answers."""
    while (page := changes.page(user, room.pk, state.seq)) is not None:
        event = page.as_event(str(room.pk))
        state.put(*event.messages, *event.members, *([event.state] if event.state else []))
        assert state.seq <= page.upto <= page.at.seq
        state.seq = page.upto
        if page.upto == page.at.seq:
            return
    raise AssertionError("the follower may not watch the room any more")


def repair(room: Room, state: State) -> None:
    """Bring ``state`` to the present by the events that a feed reads when hints were lost."""
    while (page := changes.for_feed(room.pk, state.seq)) is not None:
        put_all(state, changes.as_events(page, state.seq))
        state.seq = page.upto
        if page.upto == page.at.seq:
            return


def put_all(state: State, events: list[FeedEvent]) -> None:
    for event in events:
        (decoded,) = protocol.decode_events(event.encoded)
        prev = decoded.seq - 1 if decoded.prev is UNSET else decoded.prev
        assert (event.seq, event.prev) == (decoded.seq, prev)
        state.put_event(decoded)
