"""Catching up: which rooms a sync may have, and page by page what changed past a cursor.

"What changed" is state, not a replay: each thing with ``changed_seq`` past the cursor, in its present form
(docs/architecture.md, "Catching up"). One page is one snapshot of access, epoch, head and all kinds of rows.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from chat.access import lookup, reads, serializers
from chat.models import Membership, Message, Room
from chat.models.database import snapshot
from chat.wire import protocol
from chat.wire.errors import RoomNotFound
from chat.wire.feed_event import FeedEvent

PAGE_THINGS = 200


@dataclass(frozen=True)
class Standing:
    """The position of a room that the person may watch."""

    room_id: int
    epoch: str
    head: int
    read_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Page:
    """The changes in ``(cursor, upto]``. ``upto == head`` means that the page reaches the room's present state."""

    epoch: str
    head: int
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
            epoch=self.epoch,
            messages=[serializers.message(each) for each in self.messages],
            mine=self.mine,
            members=[serializers.member(each) for each in self.members],
            # With the number of its members too, which cannot be worked out from the ones who changed.
            state=serializers.room(self.room) if self.is_room_changed or self.members else None,
        )

    @property
    def is_empty(self) -> bool:
        return not (self.messages or self.members or self.is_room_changed)


def standings(user: Any, room_ids: Iterable[str]) -> dict[str, Standing]:
    """Epoch and head of the rooms that ``user`` may watch, in two queries. Other rooms are left out."""
    watched = lookup.watched_rooms(user, room_ids)
    return {wire_id: Standing(each.room.pk, each.room.epoch, each.room.head) for wire_id, each in watched.items()}


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


def reset_state(user: Any, room_id: int) -> protocol.RoomState | None:
    """The room's present state, for a reset; None if ``user`` may not watch it."""
    with snapshot():
        try:
            return reads.state_of(user, lookup.watched_room(user, room_id))
        except RoomNotFound:
            return None


def heads(room_ids: Iterable[int]) -> dict[int, tuple[str, int]]:
    """Epoch and head of each room that exists, in one query."""
    rows = Room.objects.filter(pk__in=list(room_ids)).values_list("pk", "epoch", "head")
    return {pk: (epoch, head) for pk, epoch, head in rows}


def _read(room: Room, cursor: int) -> Page:
    changed = {"room": room, "changed_seq__gt": cursor}
    messages = list(
        Message.objects.filter(**changed).select_related("author").order_by("changed_seq")[: PAGE_THINGS + 1]
    )
    members = list(Membership.objects.filter(**changed).with_people().order_by("changed_seq")[: PAGE_THINGS + 1])
    upto = _cut(room.head, messages, members)
    return Page(
        epoch=room.epoch,
        head=room.head,
        upto=upto,
        messages=[each for each in messages if each.changed_seq <= upto],
        members=[each for each in members if each.changed_seq <= upto],
        room=room,
        is_room_changed=cursor < room.changed_seq <= upto,
        mine={},
    )


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
    for thing in sorted(things, key=lambda each: each.changed_seq):
        event = _event(thing, cursor, page.room)
        leaver = thing.user_key if isinstance(thing, Membership) and not thing.is_present else None
        events.append(FeedEvent(thing.changed_seq, cursor, protocol.encode(event), leaver))
        cursor = thing.changed_seq
    return events


def _event(thing: Message | Membership | Room, prev: int, room: Room) -> protocol.RoomEvent:
    seq = thing.changed_seq
    link: Any = {"seq": seq} if prev == seq - 1 else {"seq": seq, "prev": prev}
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
