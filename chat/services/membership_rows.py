"""The rows of a room's members: added, changed, ended. ``services.memberships`` has asked who may do so.

Everything here happens to a locked room, inside the caller's transaction. Each function returns the hints to publish
once that transaction has committed.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db.models import F, QuerySet
from django.utils import timezone
from msgspec import UNSET

from chat.access import reads, serializers
from chat.live.hints import Hint, RoomsMoved
from chat.models import Membership, Room
from chat.models.database import connection
from chat.services import people, profiles, sequence
from chat.signals import tell_on_commit
from chat.wire import protocol
from chat.wire.errors import LastOwner, RoomNotFound

_E = TypeVar("_E", protocol.MemberJoined, protocol.MemberChanged, protocol.MemberLeft)
Role = Membership.Role
PEOPLE_PER_QUERY = 200


def add(
    room: Room, persons: list[Any], *, role: str = Role.MEMBER, by: Any = None, hidden_for: Iterable[Any] = ()
) -> list[Hint]:
    """Make ``persons`` members of a locked room. People who left before get their old row back.

    Reading starts at the newest message. The people of ``hidden_for`` do not see the room yet.

    Raises:
        UserNotFound: One of them has no account any more.
    """
    people.lock_accounts(*persons)
    profiles.keep(persons)
    now = timezone.now()
    past = {
        each.user_key: each
        for each in Membership.objects.filter(room=room, user_key__in=[str(each.pk) for each in persons])
    }
    hidden = {str(each.pk) for each in hidden_for}
    events: list[protocol.RoomEvent] = []
    entered: list[tuple[Any, Membership]] = []
    for person in persons:
        key = str(person.pk)
        membership = past.get(key) or Membership(room=room, user_key=key, rev=-1, moves=0)
        seq = sequence.next_seq(room)
        membership.user = person
        membership.role = role
        membership.joined_at, membership.left_at = now, None
        membership.joined_seq = membership.changed_seq = seq
        membership.read_number = room.last_number
        membership.rev += 1
        membership.moves += 1
        membership.moved_by = _mover(by, membership)
        membership.hidden = key in hidden
        membership.declined = False
        membership.save()
        room.member_count += 1
        events.append(_event(protocol.MemberJoined, room, membership, by))
        entered.append((person, membership))
    sequence.save_numbers(room, "member_count")
    hints: list[Hint] = [sequence.events_of(room, events)]
    for person, membership in entered:
        if not membership.hidden:
            hints += _added(room, person)
    return hints


def end(room: Room, membership: Membership, *, by: Any = None, declined: bool = False) -> list[Hint]:
    """End a membership. ``by`` removed the person; None if they left by themselves, or the site removed them."""
    membership.left_at = timezone.now()
    membership.declined = declined
    membership.changed_seq = sequence.next_seq(room)
    membership.moves += 1
    membership.moved_by = _mover(by, membership)
    membership.save(update_fields=["left_at", "changed_seq", "moves", "moved_by", "declined"])
    room.member_count -= 1
    sequence.save_numbers(room, "member_count")
    left = _event(protocol.MemberLeft, room, membership, by)
    return [sequence.events_of(room, [left], leaver=membership.user_key), _removed(room, membership)]


def change_role(room: Room, membership: Membership, role: str, *, by: Any) -> list[Hint]:
    """Give a member another role."""
    membership.role = role
    membership.changed_seq = sequence.next_seq(room)
    membership.save(update_fields=["role", "changed_seq"])
    sequence.save_numbers(room)
    return [sequence.events_of(room, [_event(protocol.MemberChanged, room, membership, by)])]


def promote_successor(room: Room, membership: Membership) -> list[Hint]:
    """Make another member owner if this membership is the last owner's. Call it before the membership ends."""
    if membership.role != Role.OWNER or (heir := _successor(room, membership)) is None:
        return []
    return change_role(room, heir, Role.OWNER, by=membership.user)


def keep_an_owner(room: Room, membership: Membership) -> None:
    """Check that the room has an owner besides this membership.

    Raises:
        LastOwner: It has none.
    """
    if membership.role == Role.OWNER and not present(room).filter(role=Role.OWNER).exclude(pk=membership.pk).exists():
        raise LastOwner


def _successor(room: Room, leaving: Membership) -> Membership | None:
    """The member who becomes owner when ``leaving`` ends; None if there is another owner, or no other member."""
    others = present(room).exclude(pk=leaving.pk).select_related("user").order_by("joined_seq")
    if others.filter(role=Role.OWNER).exists():
        return None
    return others.filter(role=Role.MODERATOR).first() or others.first()


def hide(room: Room, membership: Membership) -> list[Hint]:
    """Hide a direct room from one person until its next message; nothing happens if it is hidden."""
    if membership.hidden:
        return []
    membership.hidden = True
    membership.moves += 1
    membership.save(update_fields=["hidden", "moves"])
    return [_removed(room, membership)]


def unhide(room: Room, user_keys: Iterable[str] | None = None) -> list[Hint]:
    """Show a locked direct room again to the people who hid it (all, or those named); return the hints to publish."""
    hidden = Membership.objects.present().filter(room=room, hidden=True).select_related("user")
    if user_keys is not None:
        hidden = hidden.filter(user_key__in=list(user_keys))
    back = [each for each in hidden if each.user is not None]
    if back:
        Membership.objects.filter(pk__in=[each.pk for each in back]).update(hidden=False, moves=F("moves") + 1)
    return [hint for each in back for hint in _added(room, each.user)]


def rename(room: Room) -> list[Hint]:
    """Tell the people who see a locked direct room its new state, because it is named after them."""
    there = list(present(room).filter(hidden=False, user__isnull=False).select_related("user"))
    Membership.objects.filter(pk__in=[each.pk for each in there]).update(moves=F("moves") + 1)
    return [hint for each in there for hint in _added(room, each.user)]


def end_all(room: Room) -> list[Hint]:
    """End every membership of a locked room that is being deleted.

    It takes a few queries, however many people there are: nobody stays who would have to be told of each of the others.
    """
    now = timezone.now()
    here = list(present(room).select_related("user").order_by("pk"))
    for each in here:
        each.left_at, each.changed_seq, each.moved_by = now, sequence.next_seq(room), None
        each.moves += 1
    room.member_count = 0
    tell_on_commit(room, [_event(protocol.MemberLeft, room, each) for each in here])
    _save_all(here, "left_at", "changed_seq", "moves", "moved_by")
    hints: list[Hint] = []
    for start in range(0, len(here), PEOPLE_PER_QUERY):
        keys = [each.user_key for each in here[start : start + PEOPLE_PER_QUERY]]
        hints += [_told_removed(room, key, version) for key, version in reads.rooms_versions(keys).items()]
    return hints


def _save_all(memberships: list[Membership], *names: str) -> None:
    """Store these fields with one prepared statement; ``bulk_update`` would write out every row once for each field."""
    db, meta = connection(), Membership._meta
    fields: list[Any] = [*map(meta.get_field, names), meta.pk]
    *columns, key = (db.ops.quote_name(each.column) for each in fields)
    changes = ", ".join(f"{column} = %s" for column in columns)
    with db.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {db.ops.quote_name(meta.db_table)} SET {changes} WHERE {key} = %s",  # noqa: S608
            [[field.get_db_prep_save(getattr(each, field.attname), db) for field in fields] for each in memberships],
        )


def present(room: Room) -> QuerySet[Membership]:
    """The room's present members."""
    return Membership.objects.present().filter(room=room)


def _added(room: Room, person: Any) -> list[Hint]:
    try:
        state = reads.room_state(person, room.pk)
    except RoomNotFound:
        return []  # policy shows the room to them no longer: a deactivated member, for example, has no client to tell
    version = reads.rooms_version(person)
    told = protocol.RoomAdded(state=state, rooms_version=version)
    return [RoomsMoved(str(person.pk), protocol.encode(told), version)]


def _removed(room: Room, membership: Membership) -> RoomsMoved:
    version = reads.rooms_versions([membership.user_key])[membership.user_key]
    return _told_removed(room, membership.user_key, version)


def _told_removed(room: Room, user_key: str, version: int) -> RoomsMoved:
    told = protocol.RoomRemoved(room=str(room.pk), rooms_version=version)
    return RoomsMoved(user_key, protocol.encode(told), version)


def _mover(by: Any, membership: Membership) -> Any:
    """The person to be named as having moved a member; None where members did it themselves."""
    return by if by is not None and str(by.pk) != membership.user_key else None


def _event(kind: type[_E], room: Room, membership: Membership, by: Any = None) -> _E:
    return kind(
        room=str(room.pk),
        seq=membership.changed_seq,
        member=serializers.member(membership),
        member_count=room.member_count,
        by=serializers.user(mover) if (mover := _mover(by, membership)) is not None else UNSET,
    )
