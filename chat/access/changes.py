"""Catching up: which rooms a sync may have, and page by page what changed past a cursor.

"What changed" is state, not a replay: each thing with ``changed_seq`` past the cursor, in its present form
(docs/architecture.md, "Catching up"). One page is one snapshot of access, epoch, head and all kinds of rows.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from chat.access import lookup, reads, serializers
from chat.models import Membership, Message, Room, RoomRun
from chat.models.database import snapshot
from chat.wire import protocol
from chat.wire.errors import RoomNotFound
from chat.wire.feed_event import FeedEvent
from chat.wire.position import Position

PAGE_THINGS = 200


@dataclass(frozen=True)
class Standing:
    """The position of a room that the person may watch."""

    room_id: int
    at: Position
    is_superseded: bool
    """Whether the database no longer has what the client's cursor stands for."""
    read_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Page:
    """The changes in ``(cursor, upto]``. ``upto == at.seq`` means that the page reaches the room's present state."""

    at: Position
    runs: list[tuple[int, str]]
    """The first seq of each run that reaches past the cursor, and its id, in order."""
    upto: int
    messages: list[Message]
    members: list[Membership]
    room: Room
    """As it is now."""
    is_room_changed: bool
    mine: dict[str, list[str]]

    @property
    def private_seq(self) -> int:
        """When the room last became private. Anybody who reads past it must have been checked individually."""
        return self.room.private_seq

    def as_event(self, room_id: str) -> protocol.Changes:
        return protocol.Changes(
            room=room_id,
            epoch=self.at.epoch,
            messages=[serializers.message(each) for each in self.messages],
            mine=self.mine,
            members=[serializers.member(each) for each in self.members],
            # With the number of its members too, which cannot be worked out from the ones who changed.
            state=serializers.room(self.room) if self.is_room_changed or self.members else None,
        )

    @property
    def is_empty(self) -> bool:
        return not (self.messages or self.members or self.is_room_changed)

    @property
    def reached(self) -> Position:
        """The position that a reader of this page comes to."""
        first, run = next(each for each in reversed(self.runs) if each[0] <= self.upto)
        return Position(self.at.epoch, self.upto, run, first)

    def holds(self, seq: int, run: str) -> bool:
        """Whether the room was given this seq in this run. The seq is not before the cursor."""
        return seq <= self.at.seq and self.run_at(seq) == run

    def run_at(self, seq: int) -> str | None:
        """The run of a seq from the cursor on; None of a cursor that is too old to tell."""
        return next((run for first, run in reversed(self.runs) if first <= seq), None if seq else "")


def standings(
    user: Any, cursors: Mapping[str, protocol.Cursor | None], greeted: Mapping[int, Position] = MappingProxyType({})
) -> dict[str, Standing]:
    """Where the rooms stand that ``user`` may watch, in two queries, or three if a cursor is of an earlier run.

    Other rooms are left out.

    Args:
        greeted: What the client was told of the rooms before it sent the cursors.
    """
    watched = lookup.watched_rooms(user, cursors)
    held: list[_Held] = []
    for wire_id, entry in watched.items():
        at = entry.room.position
        if (cursor := cursors[wire_id]) is not None and cursor.run is not UNSET and cursor.epoch == at.epoch:
            held.append(_Held(entry.room.pk, at, cursor.seq, cursor.run))
        if (told := greeted.get(entry.room.pk)) is not None:
            held.append(_Held(entry.room.pk, at, told.seq, told.run))
    superseded = _superseded(held) | {each.room_id for each in held if each.seq > each.at.seq}
    return {
        wire_id: Standing(each.room.pk, each.room.position, each.room.pk in superseded)
        for wire_id, each in watched.items()
    }


class _Held(NamedTuple):
    """A seq that somebody holds of a room, the run that it was given in, and where the room stands."""

    room_id: int
    at: Position
    seq: int
    run: str


def _superseded(held: list[_Held]) -> set[int]:
    """Those rooms of which somebody holds a seq of a run that ended below it, or that is not known any more."""
    found = {each.room_id for each in held if each.seq >= each.at.run_seq and each.run != each.at.run}
    earlier = [each for each in held if 0 < each.seq < each.at.run_seq]
    if earlier:
        runs = RoomRun.objects.filter(
            room__in={each.room_id for each in earlier}, run__in={each.run for each in earlier}
        )
        ended = list(runs.values_list("room_id", "run", "first_seq", "last_seq"))
        found |= {each.room_id for each in earlier if not any(_is_within(each, *stretch) for stretch in ended)}
    return found


def _is_within(held: _Held, room_id: int, run: str, first_seq: int, last_seq: int) -> bool:
    return (held.room_id, held.run) == (room_id, run) and first_seq <= held.seq <= last_seq


def is_more_than(room_id: int, cursor: int, most: int) -> bool:
    """Whether more than ``most`` things of the room changed past ``cursor``. Reads at most ``most`` index entries."""
    messages = Message.objects.filter(room=room_id, changed_seq__gt=cursor).order_by("changed_seq")
    members = Membership.objects.filter(room=room_id, changed_seq__gt=cursor).order_by("changed_seq")
    count = messages.values("pk")[: most + 1].count()
    return count > most or count + members.values("pk")[: most + 1].count() > most


def page(user: Any, room_id: int, cursor: int) -> Page | None:
    """The next page of what changed past ``cursor``, bounded in things and bytes; None if ``user`` may not watch."""
    with snapshot():
        try:
            entry = lookup.watched_room(user, room_id)
        except RoomNotFound:
            return None
        found = _read(entry.room, cursor)
        return Page(**{**found.__dict__, "mine": reads.own_reactions(user, found.messages)})


def for_feed(room_id: int, cursor: int) -> Page | None:
    """The next page for a process's feed, which stands for all of its clients.

    None if the room is gone, or has become private since: then each client must be asked about.
    """
    with snapshot():
        room = Room.objects.filter(pk=room_id).first()
        return _read(room, cursor) if room and room.private_seq <= cursor else None


def reset_states(user: Any, room_ids: Collection[int]) -> dict[int, tuple[protocol.RoomState, Position]]:
    """The rooms' present states, for resets, and their positions. Those that ``user`` may not watch are left out."""
    with snapshot():
        entries = list(lookup.watched_rooms(user, map(str, room_ids)).values())
        states = reads.states_of(user, entries)
    return {each.room.pk: (state, each.room.position) for each, state in zip(entries, states, strict=True)}


def positions(held: Mapping[int, tuple[int, str]]) -> dict[int, tuple[Position, bool]]:
    """Where each room stands that exists, and whether the database still has what is held of it. One or two queries.

    Args:
        held: By room: a seq, and the run that it was given in.
    """
    with snapshot():
        rows = Room.objects.filter(pk__in=list(held)).values_list("pk", "epoch", "head", "run", "run_seq")
        found = {pk: Position(epoch, head, run, run_seq) for pk, epoch, head, run, run_seq in rows}
        superseded = _superseded([_Held(pk, at, *held[pk]) for pk, at in found.items()])
    return {pk: (at, pk not in superseded) for pk, at in found.items()}


def _read(room: Room, cursor: int) -> Page:
    changed = {"room": room, "changed_seq__gt": cursor}
    rows = Message.objects.filter(**changed).select_related("author").order_by("changed_seq")
    messages = list(rows[: reads.SLICE])
    if len(messages) == reads.SLICE and sum(map(reads.size_of, messages)) <= reads.PAGE_BYTES:
        messages += rows[reads.SLICE : PAGE_THINGS + 1]  # otherwise the page ends before these
    members = list(Membership.objects.filter(**changed).with_people().order_by("changed_seq")[: PAGE_THINGS + 1])
    upto = _cut(room.head, messages, members)
    return Page(
        at=room.position,
        runs=_runs(room, cursor),
        upto=upto,
        messages=[each for each in messages if each.changed_seq <= upto],
        members=[each for each in members if each.changed_seq <= upto],
        room=room,
        is_room_changed=cursor < room.changed_seq <= upto,
        mine={},
    )


def _runs(room: Room, cursor: int) -> list[tuple[int, str]]:
    ended: list[tuple[int, str]] = []
    if cursor < room.run_seq:
        rows = RoomRun.objects.filter(room=room, last_seq__gte=cursor).order_by("first_seq")
        ended = list(rows.values_list("first_seq", "run"))
    return [*ended, (room.run_seq, room.run)]


def _cut(head: int, messages: list[Message], members: list[Membership]) -> int:
    """The seq up to which the things of all kinds fit into one page together."""
    sizes = sorted(
        [(each.changed_seq, reads.size_of(each)) for each in messages] + [(each.changed_seq, 300) for each in members]
    )
    total = 0
    for place, (_seq, size) in enumerate(sizes):
        total += size
        if place and (place >= PAGE_THINGS or total > reads.PAGE_BYTES):
            return sizes[place - 1][0]
    return head


def as_events(page: Page, cursor: int) -> list[FeedEvent]:
    """The page as numbered events in order: each thing once, at its last change, with ``prev`` as the chain.

    A message that was posted and edited meanwhile comes as one ``message.changed``: state, not a replay.
    """
    things: list[Message | Membership | Room] = [*page.messages, *page.members]
    if page.is_room_changed:
        things.append(page.room)
    events = []
    things.sort(key=lambda each: each.changed_seq)
    # Past the last thing of a page that reaches the head, there is nothing.
    last = things[-1].changed_seq if things and page.upto == page.at.seq else page.at.seq
    for thing in things:
        seq = thing.changed_seq
        run, run_before = page.run_at(seq) or "", page.run_at(cursor) or ""
        upto = last if seq < last else UNSET
        event = _event(thing, cursor, page.room, run=UNSET if run == run_before else run, upto=upto)
        leaver = thing.user_key if isinstance(thing, Membership) and not thing.is_present else None
        events.append(FeedEvent(seq, cursor, protocol.encode(event), leaver, run, run_before))
        cursor = seq
    return events


def _event(
    thing: Message | Membership | Room, prev: int, room: Room, *, run: str | UnsetType, upto: int | UnsetType
) -> protocol.RoomEvent:
    seq = thing.changed_seq
    link: Any = {"seq": seq, "prev": UNSET if prev == seq - 1 else prev, "run": run, "upto": upto}
    if isinstance(thing, Message):
        posted = protocol.MessagePosted if thing.seq == seq else protocol.MessageChanged
        return posted(room=str(thing.room_id), message=serializers.message(thing), **link)
    if isinstance(thing, Room):
        return protocol.RoomChanged(room=str(thing.pk), state=serializers.room(thing), **link)
    moved: type[protocol.MemberJoined | protocol.MemberChanged | protocol.MemberLeft] = protocol.MemberChanged
    if not thing.is_present:
        moved = protocol.MemberLeft
    elif thing.joined_seq == seq:
        moved = protocol.MemberJoined
    member = serializers.member(thing)
    by = UNSET if moved is protocol.MemberChanged else member.by
    return moved(room=str(room.pk), member=member, member_count=room.member_count, by=by, **link)
