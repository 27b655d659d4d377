"""Coming and going: every change of a room's people is a durable change of the room."""

from collections.abc import Iterable
from typing import Any

from django.db.models import F, QuerySet
from django.utils import timezone
from msgspec import UNSET

from chat.access import doors, queries, shapes
from chat.access.policy import policy
from chat.events import tell_on_commit
from chat.live.hints import Hint, RoomsMoved
from chat.live.publisher import publish_on_commit
from chat.models import Membership, Room
from chat.models.database import write
from chat.services import ledger, people
from chat.wire import protocol
from chat.wire.errors import CommandInvalid, LastOwner, MemberNotFound, RoomArchived, RoomForbidden, RoomNotFound

Role = Membership.Role
PEOPLE_PER_QUERY = 200


def join(*, user: Any, room_id: str | int) -> Room:
    """Make ``user`` a member of an open room; nothing happens if they are one.

    Raises:
        RoomNotFound: Missing, or hidden from ``user``.
        RoomArchived: It takes nobody any more.
        RoomForbidden: Policy does not let ``user`` in.
    """
    with write():
        entry = doors.room(user, room_id, lock=True)
        if entry.membership is None:
            if entry.room.archived:
                raise RoomArchived
            if not policy().can_join(user, entry.room):
                raise RoomForbidden
            publish_on_commit(enter(entry.room, [user]))
        return entry.room


def leave(*, user: Any, room_id: str | int) -> None:
    """End ``user``'s membership; nothing happens if there is none. A direct room is only hidden till its next message.

    The last owner's place goes to the longest-standing moderator, or else member.

    Raises:
        RoomNotFound: Missing, or hidden from ``user``.
    """
    with write():
        try:
            entry = doors.room(user, room_id, lock=True)
        except RoomNotFound:
            if Membership.objects.of(user).filter(room=doors.key(room_id) or 0, left_at__isnull=False).exists():
                return  # left before; who was here may know
            raise
        if entry.membership is None:
            return
        if entry.room.is_direct:
            publish_on_commit(_hide(entry.room, entry.membership))
            return
        publish_on_commit(_pass_on(entry.room, entry.membership) + _go(entry.room, entry.membership))


def add(*, actor: Any, room_id: str | int, user_id: str, role: str = Role.MEMBER) -> None:
    """Make somebody a member of a room; nothing happens if they are one.

    Raises:
        RoomNotFound: Missing, or hidden from ``actor``.
        RoomForbidden: ``actor`` may not add people, or not with this role; or it is a direct room.
        RoomArchived: It takes nobody any more.
        UserNotFound: Unknown, or not welcome.
    """
    with write():
        entry = _moderated(actor, room_id)
        if entry.room.archived:
            raise RoomArchived
        if role != Role.MEMBER and not policy().can_own(actor, entry.room, entry.membership):
            raise RoomForbidden
        person = people.welcome({user_id}, by=actor)[0]
        if doors.membership_of(person, entry.room) is None:
            publish_on_commit(enter(entry.room, [person], role=role, by=actor))


def remove(*, actor: Any, room_id: str | int, user_id: str) -> None:
    """End somebody's membership: they get nothing of the room from this seq on. Harmless when repeated.

    Raises:
        RoomNotFound: Missing, or hidden from ``actor``.
        RoomForbidden: ``actor`` may not remove people, or not this one; or it is a direct room.
        MemberNotFound: That person never was here.
    """
    with write():
        entry = _moderated(actor, room_id)
        membership = _membership(entry.room, user_id)
        if not membership.is_present:
            return
        if membership.role != Role.MEMBER and not policy().can_own(actor, entry.room, entry.membership):
            raise RoomForbidden
        _keep_an_owner(entry.room, membership)
        publish_on_commit(_go(entry.room, membership, by=actor))


def change_role(*, actor: Any, room_id: str | int, user_id: str, role: str) -> None:
    """Give a member another role; nothing happens if they have it.

    Raises:
        RoomNotFound: Missing, or hidden from ``actor``.
        RoomForbidden: ``actor`` is no owner.
        MemberNotFound: That person is not in the room.
        LastOwner: It would leave the room without an owner.
    """
    with write():
        entry = doors.room(actor, room_id, lock=True)
        mine = entry.membership
        if mine is not None and (mine.user_key, mine.role) == (user_id, role):
            return  # also when giving up the role took the right to do it: a repeat is harmless
        if entry.room.is_direct or not policy().can_own(actor, entry.room, mine):
            raise RoomForbidden
        membership = _membership(entry.room, user_id)
        if not membership.is_present:
            raise MemberNotFound
        if membership.role != role:
            _keep_an_owner(entry.room, membership)
            publish_on_commit(_change_role(entry.room, membership, role, by=actor))


def place(*, room_id: str | int, user: Any, role: str = Role.MEMBER) -> Membership:
    """Make ``user`` a member on behalf of the site; nothing happens if they are one. In an archived room too.

    Raises:
        CommandInvalid: There is no such role.
        RoomNotFound: Missing.
        RoomForbidden: A direct room's people never change.
    """
    _check_role(role)
    with write():
        room = _changeable(room_id)
        if doors.membership_of(user, room) is None:
            publish_on_commit(enter(room, [user], role=role))
        return _membership(room, str(user.pk))


def assign_role(*, room_id: str | int, user: Any, role: str) -> None:
    """Give a member another role on behalf of the site; nothing happens if they have it.

    Raises:
        CommandInvalid: There is no such role.
        RoomNotFound: Missing.
        RoomForbidden: The people of a direct room have no roles.
        MemberNotFound: ``user`` is not in the room.
        LastOwner: It would leave the room without an owner.
    """
    _check_role(role)
    with write():
        room = _changeable(room_id)
        membership = doors.membership_of(user, room)
        if membership is None:
            raise MemberNotFound
        if membership.role != role:
            _keep_an_owner(room, membership)
            publish_on_commit(_change_role(room, membership, role, by=None))


def withdraw(*, room_id: str | int, user: Any) -> None:
    """End ``user``'s membership on behalf of the site; nothing happens if there is none.

    The last owner's place goes on as in ``leave``.

    Raises:
        RoomNotFound: Missing.
        RoomForbidden: A direct room's people never change.
    """
    with write():
        room = _changeable(room_id)
        if (membership := doors.membership_of(user, room)) is not None:
            publish_on_commit(_pass_on(room, membership) + _go(room, membership))


def end_all(*, user: Any) -> None:
    """End every membership of ``user``, whose account is about to be deleted: what stays of them are tombstones.

    Direct rooms too: nobody is left to see them. The last owner's place goes on as in ``leave``.
    """
    with write():
        wanted = Membership.objects.present().of(user).values("room")
        # In id order, as the writer locks them.
        for room in Room.objects.select_for_update().filter(pk__in=wanted).order_by("pk"):
            if (membership := doors.membership_of(user, room)) is not None:
                publish_on_commit(_pass_on(room, membership) + _go(room, membership))


def dissolve(room: Room) -> list[Hint]:
    """End every membership of a locked room that is being deleted; the hints to publish.

    A few queries, however many people: nobody is left to be told one by one of the others.
    """
    now = timezone.now()
    present = list(Membership.objects.present().filter(room=room).select_related("user").order_by("pk"))
    for each in present:
        each.left_at, each.changed_seq = now, ledger.next_seq(room)
        each.moves += 1
    tell_on_commit(
        room,
        [protocol.MemberLeft(room=str(room.pk), seq=each.changed_seq, member=shapes.member(each)) for each in present],
    )
    Membership.objects.bulk_update(present, ["left_at", "changed_seq", "moves"], batch_size=PEOPLE_PER_QUERY)
    room.member_count = 0
    hints: list[Hint] = []
    for start in range(0, len(present), PEOPLE_PER_QUERY):
        keys = [each.user_key for each in present[start : start + PEOPLE_PER_QUERY]]
        hints += [_told_removed(room, key, version) for key, version in queries.rooms_versions(keys).items()]
    return hints


def _check_role(role: str) -> None:
    if role not in Role.values:
        raise CommandInvalid("role is owner, moderator or member.", field="role")


def _changeable(room_id: str | int) -> Room:
    room = doors.locked_room(room_id)
    if room.is_direct:
        raise RoomForbidden
    return room


def enter(
    room: Room, persons: list[Any], *, role: str = Role.MEMBER, by: Any = None, hidden_for: Iterable[Any] = ()
) -> list[Hint]:
    """Make ``persons`` members of a locked room; the hints to publish. Who left before gets their old place back.

    Reading starts at the newest message. ``hidden_for`` don't see the room yet.
    """
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
        seq = ledger.next_seq(room)
        membership.user = person
        membership.role = role
        membership.joined_at, membership.left_at = now, None
        membership.joined_seq = membership.changed_seq = seq
        membership.read_number = room.last_number
        membership.rev += 1
        membership.moves += 1
        membership.hidden = key in hidden
        membership.save()
        room.member_count += 1
        member = shapes.member(membership, person)
        events.append(protocol.MemberJoined(room=str(room.pk), seq=seq, member=member, by=_by(by)))
        entered.append((person, membership))
    ledger.save_numbers(room, "member_count")
    hints: list[Hint] = [ledger.events_of(room, events)]
    for person, membership in entered:
        if not membership.hidden:
            hints += _added(room, person)
    return hints


def unhide(room: Room, user_keys: Iterable[str] | None = None) -> list[Hint]:
    """Let a locked direct room come back for who closed it (all of them, or those named); the hints to publish."""
    hidden = Membership.objects.present().filter(room=room, hidden=True).select_related("user")
    if user_keys is not None:
        hidden = hidden.filter(user_key__in=list(user_keys))
    back = [each for each in hidden if each.user is not None]
    if back:
        Membership.objects.filter(pk__in=[each.pk for each in back]).update(hidden=False, moves=F("moves") + 1)
    return [hint for each in back for hint in _added(room, each.user)]


def _hide(room: Room, membership: Membership) -> list[Hint]:
    if membership.hidden:
        return []
    membership.hidden = True
    membership.moves += 1
    membership.save(update_fields=["hidden", "moves"])
    return [_removed(room, membership)]


def _go(room: Room, membership: Membership, *, by: Any = None) -> list[Hint]:
    membership.left_at = timezone.now()
    membership.changed_seq = ledger.next_seq(room)
    membership.moves += 1
    membership.save(update_fields=["left_at", "changed_seq", "moves"])
    room.member_count -= 1
    ledger.save_numbers(room, "member_count")
    left = protocol.MemberLeft(
        room=str(room.pk), seq=membership.changed_seq, member=shapes.member(membership), by=_by(by)
    )
    return [ledger.events_of(room, [left], leaver=membership.user_key), _removed(room, membership)]


def _change_role(room: Room, membership: Membership, role: str, *, by: Any) -> list[Hint]:
    membership.role = role
    membership.changed_seq = ledger.next_seq(room)
    membership.save(update_fields=["role", "changed_seq"])
    ledger.save_numbers(room)
    changed = protocol.MemberChanged(
        room=str(room.pk), seq=membership.changed_seq, member=shapes.member(membership), by=_by(by)
    )
    return [ledger.events_of(room, [changed])]


def _moderated(actor: Any, room_id: str | int) -> doors.Entry:
    entry = doors.room(actor, room_id, lock=True)
    if entry.room.is_direct or not policy().can_moderate(actor, entry.room, entry.membership):
        raise RoomForbidden
    return entry


def _membership(room: Room, user_id: str) -> Membership:
    membership = None
    if protocol.is_storable(user_id):  # else PostgreSQL would refuse to look
        membership = Membership.objects.filter(room=room, user_key=user_id).select_related("user").first()
    if membership is None:
        raise MemberNotFound
    return membership


def _keep_an_owner(room: Room, membership: Membership) -> None:
    if membership.role == Role.OWNER and not _present(room).filter(role=Role.OWNER).exclude(pk=membership.pk).exists():
        raise LastOwner


def _pass_on(room: Room, membership: Membership) -> list[Hint]:
    """Make somebody else an owner if the membership is the last owner's and about to end."""
    if membership.role != Role.OWNER or (heir := _heir(room, membership)) is None:
        return []
    return _change_role(room, heir, Role.OWNER, by=membership.user)


def _heir(room: Room, leaving: Membership) -> Membership | None:
    """Who becomes owner when ``leaving`` goes; None if there is another owner, or nobody left."""
    others = _present(room).exclude(pk=leaving.pk).select_related("user").order_by("joined_seq")
    if others.filter(role=Role.OWNER).exists():
        return None
    return others.filter(role=Role.MODERATOR).first() or others.first()


def _present(room: Room) -> QuerySet[Membership]:
    return Membership.objects.present().filter(room=room)


def _added(room: Room, person: Any) -> list[Hint]:
    try:
        state = queries.room_state(person, room.pk)
    except RoomNotFound:
        return []  # a member whom policy shows nothing now, such as a deactivated one, has nobody to tell
    version = queries.rooms_version(person)
    told = protocol.RoomAdded(state=state, rooms_version=version)
    return [RoomsMoved(str(person.pk), protocol.encode(told), version)]


def _removed(room: Room, membership: Membership) -> RoomsMoved:
    version = queries.rooms_versions([membership.user_key])[membership.user_key]
    return _told_removed(room, membership.user_key, version)


def _told_removed(room: Room, user_key: str, version: int) -> RoomsMoved:
    told = protocol.RoomRemoved(room=str(room.pk), rooms_version=version)
    return RoomsMoved(user_key, protocol.encode(told), version)


def _by(person: Any) -> Any:
    return shapes.user(person) if person is not None else UNSET
