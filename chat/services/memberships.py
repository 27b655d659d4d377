"""Coming and going, by whom it is allowed: every change of a room's people is a durable change of the room.

What then happens to the places in the room, ``services.places`` does."""

from collections.abc import Iterable
from typing import Any

from chat.access import lookup
from chat.access.policy import policy
from chat.live.publisher import publish_on_commit
from chat.models import Membership, Room
from chat.models.database import write
from chat.services import membership_rows, people
from chat.wire import protocol
from chat.wire.errors import CommandInvalid, MemberNotFound, RoomArchived, RoomForbidden, RoomNotFound

Role = Membership.Role


def join(*, user: Any, room_id: str | int) -> Room:
    """Make ``user`` a member of an open room; nothing happens if they are one.

    Raises:
        RoomNotFound: Missing, or hidden from ``user``.
        RoomArchived: It takes nobody any more.
        RoomForbidden: Policy does not let ``user`` in.
    """
    with write():
        entry = lookup.room(user, room_id, lock=True)
        if entry.membership is None:
            if entry.room.archived:
                raise RoomArchived
            if not policy().can_join(user, entry.room):
                raise RoomForbidden
            people.lock_accounts(user, gone=RoomNotFound)
            publish_on_commit(membership_rows.add(entry.room, [user]))
        return entry.room


def leave(*, user: Any, room_id: str | int) -> None:
    """End ``user``'s membership; nothing happens if there is none. A direct room is only hidden till its next message.

    The last owner's place goes to the longest-standing moderator, or else member.

    Raises:
        RoomNotFound: Missing, or hidden from ``user``.
    """
    with write():
        try:
            entry = lookup.room(user, room_id, lock=True)
        except RoomNotFound:
            if Membership.objects.of(user).filter(room=lookup.key(room_id) or 0, left_at__isnull=False).exists():
                return  # left before; who was here may know
            raise
        if entry.membership is None:
            return
        if entry.room.is_direct:
            publish_on_commit(membership_rows.hide(entry.room, entry.membership))
            return
        publish_on_commit(
            membership_rows.promote_successor(entry.room, entry.membership)
            + membership_rows.end(entry.room, entry.membership)
        )


def add(*, actor: Any, room_id: str | int, user_id: str, role: str = Role.MEMBER) -> None:
    """Make somebody a member of a room; nothing happens if they are one. Raises what ``add_all`` does."""
    add_all(actor=actor, room_id=room_id, user_ids=[user_id], role=role)


def add_all(*, actor: Any, room_id: str | int, user_ids: Iterable[str], role: str = Role.MEMBER) -> None:
    """Make people members of a room, all or none of them; who is one already stays as they are.

    Raises:
        RoomNotFound: Missing, or hidden from ``actor``.
        RoomForbidden: ``actor`` may not add people, or not with this role; or it is a direct room.
        RoomArchived: It takes nobody any more.
        UserNotFound: One is unknown, or not welcome.
    """
    with write():
        entry = _moderated(actor, room_id)
        if entry.room.archived:
            raise RoomArchived
        if role != Role.MEMBER and not policy().can_own(actor, entry.room, entry.membership):
            raise RoomForbidden
        wanted = people.welcome(set(user_ids), by=actor)
        keys = [str(each.pk) for each in wanted]
        here = set(membership_rows.present(entry.room).filter(user_key__in=keys).values_list("user_key", flat=True))
        if new := [each for each in wanted if str(each.pk) not in here]:
            publish_on_commit(membership_rows.add(entry.room, new, role=role, by=actor))


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
        membership_rows.keep_an_owner(entry.room, membership)
        publish_on_commit(membership_rows.end(entry.room, membership, by=actor))


def change_role(*, actor: Any, room_id: str | int, user_id: str, role: str) -> None:
    """Give a member another role; nothing happens if they have it.

    Raises:
        RoomNotFound: Missing, or hidden from ``actor``.
        RoomForbidden: ``actor`` is no owner.
        MemberNotFound: That person is not in the room.
        LastOwner: It would leave the room without an owner.
    """
    with write():
        entry = lookup.room(actor, room_id, lock=True)
        mine = entry.membership
        if mine is not None and (mine.user_key, mine.role) == (user_id, role):
            return  # also when giving up the role took the right to do it: a repeat is harmless
        if entry.room.is_direct or not policy().can_own(actor, entry.room, mine):
            raise RoomForbidden
        membership = _membership(entry.room, user_id)
        if not membership.is_present:
            raise MemberNotFound
        if membership.role != role:
            membership_rows.keep_an_owner(entry.room, membership)
            publish_on_commit(membership_rows.change_role(entry.room, membership, role, by=actor))


def place(*, room_id: str | int, user: Any, role: str = Role.MEMBER) -> Membership:
    """Make ``user`` a member on behalf of the site; nothing happens if they are one. In an archived room too.

    Raises:
        CommandInvalid: There is no such role.
        RoomNotFound: Missing.
        RoomForbidden: A direct room's people never change.
        UserNotFound: ``user`` has no account any more.
    """
    _check_role(role)
    with write():
        room = _changeable(room_id)
        if lookup.membership_of(user, room) is None:
            publish_on_commit(membership_rows.add(room, [user], role=role))
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
        membership = lookup.membership_of(user, room)
        if membership is None:
            raise MemberNotFound
        if membership.role != role:
            membership_rows.keep_an_owner(room, membership)
            publish_on_commit(membership_rows.change_role(room, membership, role, by=None))


def withdraw(*, room_id: str | int, user: Any) -> None:
    """End ``user``'s membership on behalf of the site; nothing happens if there is none.

    The last owner's place goes on as in ``leave``.

    Raises:
        RoomNotFound: Missing.
        RoomForbidden: A direct room's people never change.
    """
    with write():
        room = _changeable(room_id)
        if (membership := lookup.membership_of(user, room)) is not None:
            publish_on_commit(
                membership_rows.promote_successor(room, membership) + membership_rows.end(room, membership)
            )


def end_all(*, user: Any) -> None:
    """End every membership of ``user``, whose account is about to be deleted: what stays of them are tombstones.

    Direct rooms too; who stays there is told what the room is called now, and whether one may still write in it. The
    last owner's place goes on as in ``leave``.
    """
    with write():
        wanted = Membership.objects.present().of(user).values("room")
        # In id order, as the writer locks them.
        for room in Room.objects.select_for_update().filter(pk__in=wanted).order_by("pk"):
            if (membership := lookup.membership_of(user, room)) is not None:
                publish_on_commit(
                    membership_rows.promote_successor(room, membership) + membership_rows.end(room, membership)
                )
                if room.is_direct:
                    publish_on_commit(membership_rows.rename(room))


def _check_role(role: str) -> None:
    if role not in Role.values:
        raise CommandInvalid("role is owner, moderator or member.", field="role")


def _changeable(room_id: str | int) -> Room:
    room = lookup.locked_room(room_id)
    if room.is_direct:
        raise RoomForbidden
    return room


def _moderated(actor: Any, room_id: str | int) -> lookup.Entry:
    entry = lookup.room(actor, room_id, lock=True)
    if entry.room.is_direct or not policy().can_moderate(actor, entry.room, entry.membership):
        raise RoomForbidden
    people.lock_accounts(actor, gone=RoomNotFound)
    return entry


def _membership(room: Room, user_id: str) -> Membership:
    membership = None
    if protocol.is_storable(user_id):  # else PostgreSQL would refuse to look
        membership = Membership.objects.filter(room=room, user_key=user_id).with_people().first()
    if membership is None:
        raise MemberNotFound
    return membership
