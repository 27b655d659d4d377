"""How far each person has read. A pointer moves without a seq: it is nobody else's business."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chat.access import lookup, reads
from chat.access.policy import policy
from chat.live.hints import ToUser
from chat.live.publisher import publish_on_commit
from chat.models import Membership
from chat.models.database import connection, write
from chat.wire import protocol
from chat.wire.errors import RoomForbidden, RoomNotFound


@dataclass(frozen=True, slots=True)
class Move:
    """A pointer that waits to be moved; the fields are the arguments of ``move``."""

    by: Any
    room_id: int
    number: int
    force: bool = False
    connection_id: str | None = None

    def run(self) -> protocol.ReadResult:
        return move(
            by=self.by,
            room_id=self.room_id,
            number=self.number,
            force=self.force,
            connection_id=self.connection_id,
        )


def overtaken(waiting: Sequence[Any]) -> dict[int, int]:
    """Which of the moves among ``waiting`` need not be made: their place, and the place of the move that stands for
    them and whose result is theirs too.

    A move that may go back (``force``) stands for those before it; of those that only go forward, the farthest stands
    for the others. No move stands for one with another change of the same room between them: a post, a joining or a
    leaving decides how far a pointer may go.
    """
    stands_for: dict[int, int] = {}
    # By room and person, the places of moves that nothing has overtaken: a forced one, one that goes forward, or both.
    standing: dict[int, dict[str, list[int]]] = {}
    for place, each in enumerate(waiting):
        if not isinstance(each, Move):
            standing.pop(each.room_id or 0, None)
            continue
        before = standing.setdefault(each.room_id, {}).setdefault(str(each.by.pk), [])
        if each.force:
            stands_for.update(dict.fromkeys(before, place))
            before[:] = [place]
        elif not before or waiting[before[-1]].force:
            before.append(place)
        elif each.number >= waiting[before[-1]].number:
            stands_for[before[-1]] = place
            before[-1] = place
        else:
            stands_for[place] = before[-1]
    return {place: _end_of(place, stands_for) for place in stands_for}


def _end_of(place: int, stands_for: dict[int, int]) -> int:
    while place in stands_for:
        place = stands_for[place]
    return place


def move(
    *, by: Any, room_id: int, number: int, force: bool = False, connection_id: str | None = None
) -> protocol.ReadResult:
    """Set the person's pointer to message ``number`` of the room, and tell their other devices.

    Args:
        number: Past the newest message it means that one.
        force: Also move back ("mark unread").
        connection_id: The connection that asks, which is not told.

    Raises:
        RoomNotFound: Missing, or hidden from ``by``.
        RoomForbidden: ``by`` only watches: there is no pointer to move.
    """
    with write():
        room = lookup.room(by, room_id).room
        membership = Membership.objects.present().of(by).select_for_update().filter(room=room).first()
        if membership is None:
            raise RoomForbidden
        if not policy().can_watch(by, room, membership):
            raise RoomNotFound
        number = min(number, room.last_number)
        moved = number > membership.read_number or (force and number != membership.read_number)
        if moved:
            membership.read_number = number
            membership.rev += 1
            membership.save(update_fields=["read_number", "rev"])
        state = reads.read_state(membership, room.last_number)
        if moved:
            told = protocol.ReadChanged(
                room=str(room.pk), read=state.read, unread=state.unread, mentions=state.mentions, rev=state.rev
            )
            publish_on_commit([ToUser(str(by.pk), protocol.encode(told), except_connection=connection_id)])
        return state


def follow_own_posts(numbers: dict[int, int]) -> None:
    """Move pointers up to their owners' own newest messages: membership key → message number.

    Called in the transaction of the posts. Clients see their own message and need no event.
    """
    table = Membership._meta.db_table
    with connection().cursor() as cursor:
        # One prepared statement for all: the ORM's bulk update spells out each row twice, at ten times the cost.
        cursor.executemany(
            f"UPDATE {table} SET read_number = %s, rev = rev + 1 WHERE id = %s AND read_number < %s",  # noqa: S608
            [(number, key, number) for key, number in sorted(numbers.items())],
        )
