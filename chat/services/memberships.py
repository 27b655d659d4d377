"""Joining and leaving, adding and removing: every change of a room's people is a durable change of the room.

This module asks who may; ``services.membership_rows`` changes the rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chat.access import lookup
from chat.access.policy import active_people, person_of, policy, rules_for
from chat.live.publisher import publish_on_commit
from chat.models import Membership, Room
from chat.models.database import write
from chat.services import membership_rows, people
from chat.wire import protocol
from chat.wire.errors import CommandInvalid, MemberNotFound, RoomArchived, RoomForbidden, RoomNotFound

Role = Membership.Role


def join(*, by: Any, room_id: int) -> Room:
    """Make the person a member of an open room; nothing happens if they are one.

    Raises:
        RoomNotFound: Missing, or hidden from ``by``.
        RoomArchived: It takes no new members.
        RoomForbidden: Policy does not let them in.
    """
    with write():
        entry = lookup.room(by, room_id, lock=True)
        if entry.membership is None:
            if entry.room.archived:
                raise RoomArchived
            if not policy().can_join(by, entry.room):
                raise RoomForbidden
            people.lock_accounts(by, gone=RoomNotFound)
            publish_on_commit(membership_rows.add(entry.room, [by]))
        return entry.room


def leave(*, by: Any, room_id: int) -> None:
    """End the person's membership; nothing happens if there is none. A direct room is hidden until its next message.

    If they are the last owner, the longest-standing moderator, or else member, becomes owner.

    Raises:
        RoomNotFound: Missing, or hidden from ``by``.
    """
    with write():
        try:
            entry = lookup.room(by, room_id, lock=True)
        except RoomNotFound:
            if Membership.objects.of(by).filter(room=room_id, left_at__isnull=False).exists():
                return  # they left before, so they may know of the room
            raise
        if entry.membership is None:
            return
        if entry.room.is_direct:
            publish_on_commit(membership_rows.hide(entry.room, entry.membership))
            return
        publish_on_commit(
            membership_rows.promote_successor(entry.room, entry.membership)
            + membership_rows.end(entry.room, entry.membership, declined=not entry.room.is_open)
        )


def add(*, by: Any, room_id: int, user_id: str, role: str = Role.MEMBER) -> Membership:
    """Make somebody a member of a room and return the membership; nothing happens if they are one.

    Raises what ``add_all`` does.
    """
    with write():
        room = add_all(by=by, room_id=room_id, user_ids=[user_id], role=role)
        return _membership(room, user_id)


def add_all(*, by: Any, room_id: int, user_ids: Iterable[str], role: str = Role.MEMBER) -> Room:
    """Make people members of a room, all of them or none; those who are members already stay as they are.

    Raises:
        CommandInvalid: There is no such role.
        RoomNotFound: Missing, or hidden from ``by``.
        RoomForbidden: ``by`` may not add people, or not with this role; it is a direct room; or it is private, and one
            of them has left it by themselves (see ``accept``).
        RoomArchived: It takes no new members.
        UserNotFound: One is unknown, or not welcome.
    """
    _check_role(role)
    with write():
        entry = _moderated(by, room_id)
        rules = rules_for(by)
        if entry.room.archived and not rules.can_administer(by, entry.room):
            raise RoomArchived
        if role != Role.MEMBER and not rules.can_own(by, entry.room, entry.membership):
            raise RoomForbidden
        wanted = people.welcome(user_ids, by=by)
        keys = [str(each.pk) for each in wanted]
        here = set(membership_rows.present(entry.room).filter(user_key__in=keys).values_list("user_key", flat=True))
        if not rules.can_administer(by, entry.room) and (gone := declined(entry.room, keys)):
            names = ", ".join(policy().name_of(each.user) for each in gone)
            raise RoomForbidden(
                "{users} left this room. Only an invitation can bring them back.", values={"users": names}
            )
        if new := [each for each in wanted if str(each.pk) not in here]:
            publish_on_commit(membership_rows.add(entry.room, new, role=role, by=person_of(by)))
        return entry.room


def declined(room: Room, user_ids: Iterable[str]) -> list[Membership]:
    """The past memberships of those of the people who have left the private room by themselves."""
    if room.is_open:
        return []
    past = Membership.objects.filter(room=room, declined=True, user__isnull=False).select_related("user")
    return list(past.filter(user_key__in=[each for each in user_ids if protocol.is_storable(each)]).order_by("pk"))


@dataclass(frozen=True)
class Invitation:
    room: Room
    inviter: Any


def invitation(*, by: Any, room_id: int, inviter_id: str) -> Invitation:
    """What a person who has left a private room would accept.

    Raises:
        RoomNotFound: The room is gone or open, they are in it or were removed, or whoever invites them may not.
        RoomArchived: It takes no new members.
    """
    room = Room.objects.filter(pk=room_id).first()
    inviter = active_people().filter(pk=inviter_id).first()
    if room is None or inviter is None or not declined(room, [str(by.pk)]) or not policy().is_welcome(by):
        raise RoomNotFound
    if not policy().can_moderate(inviter, room, lookup.membership_of(inviter, room)):
        raise RoomNotFound
    if room.archived:
        raise RoomArchived
    return Invitation(room, inviter)


def accept(*, by: Any, room_id: int, inviter_id: str) -> Room:
    """Take a person back into the private room that they had left, because somebody who moderates it invites them.

    Nothing happens if they are in it. Raises what ``invitation`` does.
    """
    with write():
        room = Room.objects.select_for_update().filter(pk=room_id).first()
        if room is not None and lookup.membership_of(by, room) is not None:
            return room
        found = invitation(by=by, room_id=room_id, inviter_id=inviter_id)
        assert room is not None
        people.lock_accounts(by, gone=RoomNotFound)
        publish_on_commit(membership_rows.add(room, [by], by=found.inviter))
        return room


def remove(*, by: Any, room_id: int, user_id: str) -> None:
    """End somebody's membership: they get nothing of the room from this seq on. Harmless when repeated.

    Raises:
        RoomNotFound: Missing, or hidden from ``by``.
        RoomForbidden: ``by`` may not remove people, or not this one; or it is a direct room.
        MemberNotFound: That person never was here.
        LastOwner: It would leave the room without an owner. Whoever administers the room may; the longest-standing
            moderator, or else member, becomes owner then.
    """
    with write():
        entry = _moderated(by, room_id)
        rules = rules_for(by)
        membership = _membership(entry.room, user_id)
        if not membership.is_present:
            return
        if membership.role != Role.MEMBER and not rules.can_own(by, entry.room, entry.membership):
            raise RoomForbidden
        hints = []
        if rules.can_administer(by, entry.room):
            hints = membership_rows.promote_successor(entry.room, membership)
        else:
            membership_rows.keep_an_owner(entry.room, membership)
        publish_on_commit(hints + membership_rows.end(entry.room, membership, by=person_of(by)))


def change_role(*, by: Any, room_id: int, user_id: str, role: str) -> None:
    """Give a member another role; nothing happens if they have it.

    Raises:
        CommandInvalid: There is no such role.
        RoomNotFound: Missing, or hidden from ``by``.
        RoomForbidden: ``by`` is no owner; or it is a direct room, where nobody has a role.
        MemberNotFound: That person is not in the room.
        LastOwner: It would leave the room without an owner.
    """
    _check_role(role)
    with write():
        entry = lookup.room(by, room_id, lock=True)
        mine = entry.membership
        if mine is not None and (mine.user_key, mine.role) == (user_id, role):
            return  # a repeat is harmless, even when the first one took away the right to do it
        if entry.room.is_direct or not rules_for(by).can_own(by, entry.room, mine):
            raise RoomForbidden
        membership = _membership(entry.room, user_id)
        if not membership.is_present:
            raise MemberNotFound
        if membership.role != role:
            membership_rows.keep_an_owner(entry.room, membership)
            publish_on_commit(membership_rows.change_role(entry.room, membership, role, by=person_of(by)))


def end_all(*, user: Any) -> None:
    """End every membership of ``user``, whose account is about to be deleted. The rows stay, as tombstones.

    Direct rooms are included: the people who stay there are told what the room is called now, and whether they may
    still write in it. A last owner is succeeded as in ``leave``.
    """
    with write():
        wanted = Membership.objects.present().of(user).values("room")
        # In id order, as the writer locks rooms.
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


def _moderated(by: Any, room_id: int) -> lookup.Entry:
    entry = lookup.room(by, room_id, lock=True)
    if entry.room.is_direct or not rules_for(by).can_moderate(by, entry.room, entry.membership):
        raise RoomForbidden
    if (person := person_of(by)) is not None:
        people.lock_accounts(person, gone=RoomNotFound)
    return entry


def _membership(room: Room, user_id: str) -> Membership:
    membership = None
    if protocol.is_storable(user_id):  # else PostgreSQL would refuse to look
        membership = Membership.objects.filter(room=room, user_key=user_id).with_people().first()
    if membership is None:
        raise MemberNotFound
    return membership
