"""The only way from a person and an id to a room or a message. "Missing" and "not yours" raise the same error."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chat.access.policy import policy
from chat.models import Membership, Message, Room
from chat.models.database import snapshot
from chat.wire.errors import MessageNotFound, RoomNotFound
from chat.wire.protocol import is_storable

MAX_PK = 2**63 - 1


@dataclass(frozen=True)
class Entry:
    """A room that a person may see, with their present membership or None."""

    room: Room
    membership: Membership | None


def key(wire_id: str | int) -> int | None:
    """The primary key that an id from the wire means; None when it can't be one."""
    text = str(wire_id)
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and text[0] != "0"):
        return None
    number = int(text)
    return number if 0 < number <= MAX_PK else None


def keys(wire_ids: Iterable[str]) -> dict[str, int]:
    """The ids that can be primary keys, with these."""
    return {each: number for each in wire_ids if (number := key(each)) is not None}


def named(name: str) -> str:
    """The id of the room that an address or a page names by its id or its short name; "" when none is called so.

    A short name may consist of digits only; an id wins over it. Says nothing of who may see the room.
    """
    if key(name) is not None:
        return name
    if not is_storable(name):  # nothing is called what no database can hold
        return ""
    return str(Room.objects.filter(slug=name).values_list("pk", flat=True).first() or "")


def room(user: Any, room_id: str | int, *, lock: bool = False) -> Entry:
    """The room, if ``user`` may see it.

    Args:
        lock: Also lock the room's row until the transaction ends, so that the answer still holds at commit and the
            room's numbers can be raised.

    Raises:
        RoomNotFound: Missing, or hidden from ``user``.
    """
    entry = _entry(user, room_id, lock=lock)
    if not policy().can_see(user, entry.room, entry.membership):
        raise RoomNotFound
    return entry


def _entry(user: Any, room_id: str | int, *, lock: bool) -> Entry:
    rooms = Room.objects.select_for_update() if lock else Room.objects.all()
    row = rooms.filter(pk=key(room_id) or 0).first()
    if row is None:
        raise RoomNotFound
    return Entry(row, membership_of(user, row))


def seen(user: Any, rows: list[Room]) -> list[Entry]:
    """Those of the rooms that ``user`` may see, in their order. One query."""
    mine = _memberships(user, {each.pk: each for each in rows})
    entries = [Entry(each, mine.get(each.pk)) for each in rows]
    return [each for each in entries if policy().can_see(user, each.room, each.membership)]


def locked_room(room_id: str | int) -> Room:
    """The room with its row locked, for the site's own code, which no policy binds.

    Raises:
        RoomNotFound: Missing.
    """
    row = Room.objects.select_for_update().filter(pk=key(room_id) or 0).first()
    if row is None:
        raise RoomNotFound
    return row


def locked_message(message_id: str | int) -> tuple[Message, Room]:
    """The message with its room locked, for the site's own code, which no policy binds.

    Raises:
        MessageNotFound: Missing.
    """
    pk = key(message_id) or 0
    room_id = Message.objects.filter(pk=pk).values_list("room_id", flat=True).first()
    try:
        row = locked_room(room_id or 0)
    except RoomNotFound:
        raise MessageNotFound from None
    return _message(pk), row


def may_watch(user: Any, entry: Entry) -> bool:
    """Whether ``user`` may read the room, its history included, and follow it live: one rule for all three.

    Who may watch a room that they may not see has a policy at odds with itself; the answer is no.
    """
    rules = policy()
    return rules.can_see(user, entry.room, entry.membership) and rules.can_watch(user, entry.room, entry.membership)


def watched_room(user: Any, room_id: str | int, *, lock: bool = False) -> Entry:
    """The room, if ``user`` may read it. ``lock`` as in ``room``.

    Raises:
        RoomNotFound: Missing, hidden, or not readable.
    """
    entry = _entry(user, room_id, lock=lock)
    if not may_watch(user, entry):
        raise RoomNotFound
    return entry


def watched_rooms(user: Any, room_ids: Iterable[str]) -> dict[str, Entry]:
    """Those of the rooms that ``user`` may read, by the ids given, in two queries; the others are left out."""
    wanted = keys(room_ids)
    with snapshot():
        rooms = Room.objects.in_bulk(wanted.values())
        mine = _memberships(user, rooms)
    entries = {wire_id: Entry(rooms[pk], mine.get(pk)) for wire_id, pk in wanted.items() if pk in rooms}
    return {wire_id: entry for wire_id, entry in entries.items() if may_watch(user, entry)}


def message(user: Any, message_id: str | int, *, lock: bool = False) -> tuple[Message, Entry]:
    """The message and its room, if ``user`` may read that room. With ``lock``, the room's row is locked first.

    Raises:
        MessageNotFound: Missing, or in a room that ``user`` may not read.
    """
    pk = key(message_id) or 0  # no row has the key 0
    room_id = Message.objects.filter(pk=pk).values_list("room_id", flat=True).first()
    if room_id is None:
        raise MessageNotFound
    try:
        entry = watched_room(user, room_id, lock=lock)
    except RoomNotFound:
        raise MessageNotFound from None
    # Read after the lock: the message as it is now, not as it was before somebody else's change.
    return _message(pk), entry


def _message(pk: int) -> Message:
    row = Message.objects.select_related("author").filter(pk=pk).first()
    if row is None:  # gone with its room a moment ago
        raise MessageNotFound
    return row


def membership_of(user: Any, row: Room) -> Membership | None:
    """The person's present membership of the room, or None."""
    if user is None or user.pk is None:
        return None
    membership = Membership.objects.present().of(user).filter(room=row).first()
    if membership is not None:
        membership.room = row
    return membership


def _memberships(user: Any, rooms: dict[int, Room]) -> dict[int, Membership]:
    """The person's present memberships of the rooms, by room."""
    found = {each.room_id: each for each in Membership.objects.present().of(user).filter(room__in=list(rooms))}
    for pk, each in found.items():
        each.room = rooms[pk]
    return found
