"""The only way from a person, or ``SITE``, and an id to a room or a message.

"Missing" and "not yours" raise the same error. Ids are whole numbers here. ``key`` makes them of what comes
from outside: once, where it comes in.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from chat.access.policy import policy, rules_for
from chat.models import Membership, Message, Room
from chat.models.database import snapshot
from chat.models.prepared import Prepared
from chat.wire.errors import MessageNotFound, RoomNotFound
from chat.wire.protocol import is_storable

MAX_PK = 2**63 - 1

_rooms = Prepared(lambda pks: Room.objects.filter(pk__in=pks), [int])
_locked_rooms = Prepared(lambda pks: Room.objects.select_for_update().filter(pk__in=pks), [int])
_present = Prepared(
    lambda user_key, room_ids: Membership.objects.present().filter(user_key=user_key, room__in=room_ids), str, [int]
)


@dataclass(frozen=True)
class Entry:
    """A room that somebody may see, with their present membership or None."""

    room: Room
    membership: Membership | None


def key(wire_id: str | int) -> int:
    """The primary key that an id from outside means; 0, which no row has, when it cannot be one."""
    text = str(wire_id)
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and text[0] != "0"):
        return 0
    number = int(text)
    return number if number <= MAX_PK else 0


def keys(wire_ids: Iterable[str]) -> dict[str, int]:
    """The ids that can be primary keys, with these."""
    return {each: number for each in wire_ids if (number := key(each))}


def named(name: str) -> int:
    """The key of the room that an address or a page names by its id or its short name; 0 when none is called so.

    A short name may consist of digits only; an id wins over it. This says nothing of who may see the room.
    """
    if found := key(name):
        return found
    if not is_storable(name):  # no room has a name that no database can hold
        return 0
    return Room.objects.filter(slug=name).values_list("pk", flat=True).first() or 0


def room(by: Any, room_id: int, *, lock: bool = False) -> Entry:
    """The room, if ``by`` may see it.

    Args:
        lock: Also lock the room's row until the transaction ends, so that the answer still holds at commit and the
            room's numbers can be raised.

    Raises:
        RoomNotFound: Missing, or hidden from ``by``.
    """
    entry = _entry(by, room_id, lock=lock)
    if not rules_for(by).can_see(by, entry.room, entry.membership):
        raise RoomNotFound
    return entry


def watched_room(by: Any, room_id: int, *, lock: bool = False) -> Entry:
    """The room, if ``by`` may read it. ``lock`` as in ``room``.

    Raises:
        RoomNotFound: Missing, hidden, or not readable.
    """
    entry = _entry(by, room_id, lock=lock)
    if not may_watch(by, entry):
        raise RoomNotFound
    return entry


def _entry(by: Any, room_id: int, *, lock: bool) -> Entry:
    found = (_locked_rooms if lock else _rooms)([room_id])
    membership = _membership(by, room_id)  # of a missing room too, so that a hidden one does not take longer
    if not found:
        raise RoomNotFound
    return _entry_of(found[0], membership)


def _entry_of(row: Room, membership: Membership | None) -> Entry:
    if membership is not None:
        membership.room = row
    return Entry(row, membership)


def may_watch(by: Any, entry: Entry) -> bool:
    """Whether ``by`` may read the room, its history included, and follow it live: one rule for all three.

    A policy that lets somebody watch a room that they may not see contradicts itself; the answer is no.
    """
    rules = rules_for(by)
    return rules.can_see(by, entry.room, entry.membership) and rules.can_watch(by, entry.room, entry.membership)


def may_see_presence(user: Any, entry: Entry) -> bool:
    """Whether ``user`` may see which members of the room are connected. Who may not read it may not see this either."""
    return may_watch(user, entry) and policy().can_see_presence(user, entry.room, entry.membership)


def seen(user: Any, rows: list[Room]) -> list[Entry]:
    """Those of the rooms that ``user`` may see, in their order. One query."""
    mine = _memberships(user, {each.pk: each for each in rows})
    entries = [Entry(each, mine.get(each.pk)) for each in rows]
    return [each for each in entries if policy().can_see(user, each.room, each.membership)]


def watched_rooms(user: Any, room_ids: Iterable[str]) -> dict[str, Entry]:
    """Those of the rooms that ``user`` may read, by the wire ids given, in two queries; the others are left out."""
    wanted = keys(room_ids)
    with snapshot():
        rooms = {each.pk: each for each in _rooms(list(wanted.values()))}
        mine = _memberships(user, rooms)
    entries = {wire_id: Entry(rooms[pk], mine.get(pk)) for wire_id, pk in wanted.items() if pk in rooms}
    return {wire_id: entry for wire_id, entry in entries.items() if may_watch(user, entry)}


def watched_by_each(wanted: Sequence[tuple[Any, Collection[int]]]) -> list[dict[int, bool]]:
    """For many people and some rooms of each: the rooms that the person may read, and whether they may see there who
    is connected. Two queries for all."""
    people = {str(user.pk) for user, _ in wanted}
    with snapshot():
        rooms = Room.objects.in_bulk({room_id for _, room_ids in wanted for room_id in room_ids})
        rows = list(Membership.objects.present().filter(user_key__in=people, room__in=list(rooms)))
    memberships = {(each.user_key, each.room_id): each for each in rows}
    for each in rows:
        each.room = rooms[each.room_id]

    def rights(user: Any, room_ids: Collection[int]) -> dict[int, bool]:
        found = (Entry(rooms[each], memberships.get((str(user.pk), each))) for each in room_ids if each in rooms)
        watched = (each for each in found if may_watch(user, each))
        return {each.room.pk: policy().can_see_presence(user, each.room, each.membership) for each in watched}

    return [rights(user, room_ids) for user, room_ids in wanted]


def message(by: Any, message_id: int, *, lock: bool = False) -> tuple[Message, Entry]:
    """The message and its room, if ``by`` may read that room. With ``lock``, the room's row is locked first.

    Raises:
        MessageNotFound: Missing, or in a room that ``by`` may not read.
    """
    room_id = Message.objects.filter(pk=message_id).values_list("room_id", flat=True).first() or 0
    try:
        entry = watched_room(by, room_id, lock=lock)
    except RoomNotFound:
        raise MessageNotFound from None
    # Read after the lock: the message as it is now, not as it was before somebody else's change.
    row = Message.objects.select_related("author").filter(pk=message_id).first()
    if row is None:  # deleted with its room a moment ago
        raise MessageNotFound
    return row, entry


def membership_of(by: Any, row: Room) -> Membership | None:
    """The present membership of the one who acts, or None: ``SITE`` and visitors have none."""
    return _entry_of(row, _membership(by, row.pk)).membership


def _membership(by: Any, room_id: int) -> Membership | None:
    if by is None or by.pk is None:
        return None
    return next(iter(_present(str(by.pk), [room_id])), None)


def _memberships(user: Any, rooms: dict[int, Room]) -> dict[int, Membership]:
    """The person's present memberships of the rooms, by room."""
    found = {each.room_id: each for each in _present(str(user.pk), list(rooms))}
    for pk, each in found.items():
        each.room = rooms[pk]
    return found
