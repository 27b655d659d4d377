"""Who has left a private room comes back by their own consent alone."""

from typing import Any

import pytest

from chat.access.policy import SITE
from chat.models import Membership, Room
from chat.services import memberships, rooms
from chat.wire.errors import RoomArchived, RoomForbidden, RoomNotFound
from tests.cast import events_in, published
from tests.services.log import check_log

pytestmark = pytest.mark.django_db


@pytest.fixture
def left(staff: Room, ben: Any) -> Room:
    """A private room of ana's that ben has left."""
    memberships.leave(by=ben, room_id=staff.pk)
    return staff


def is_in(person: Any, room: Room) -> bool:
    return Membership.objects.present().of(person).filter(room=room).exists()


def accept(person: Any, room: Room, inviter: Any) -> None:
    memberships.accept(by=person, room_id=room.pk, inviter_id=str(inviter.pk))


def test_nobody_adds_a_person_who_has_left_and_all_are_told_who_it_is(
    left: Room, ana: Any, ben: Any, cleo: Any
) -> None:
    with published() as hints, pytest.raises(RoomForbidden, match="ben left this room"):
        memberships.add_all(by=ana, room_id=left.pk, user_ids=[str(cleo.pk), str(ben.pk)])
    assert not is_in(ben, left) and not is_in(cleo, left)
    assert hints == []


def test_who_was_removed_or_had_left_an_open_room_may_be_added(staff: Room, lobby: Room, ana: Any, ben: Any) -> None:
    memberships.remove(by=ana, room_id=staff.pk, user_id=str(ben.pk))
    memberships.leave(by=ben, room_id=lobby.pk)
    for room in (staff, lobby):
        memberships.add(by=ana, room_id=room.pk, user_id=str(ben.pk))
        assert is_in(ben, room)


def test_an_invitation_that_is_accepted_brings_them_back_once(left: Room, ana: Any, ben: Any) -> None:
    with published() as hints:
        accept(ben, left, ana)
        accept(ben, left, ana)  # a second click
    (event,) = events_in(hints, left)
    assert (event.member.user.name, event.by.name, event.member.role) == ("ben", "ana", "member")
    assert is_in(ben, left)
    check_log(left)
    memberships.remove(by=ana, room_id=left.pk, user_id=str(ben.pk))
    with pytest.raises(RoomNotFound):
        accept(ben, left, ana)
    assert not is_in(ben, left)


def test_an_invitation_is_worth_what_its_inviter_may_do_at_that_moment(
    left: Room, ana: Any, ben: Any, cleo: Any, eve: Any
) -> None:
    for person, inviter in ((ben, eve), (ben, cleo), (ben, ben), (eve, ana), (cleo, ana)):
        with pytest.raises(RoomNotFound):
            accept(person, left, inviter)
    memberships.add(by=ana, room_id=left.pk, user_id=str(cleo.pk), role="moderator")
    memberships.change_role(by=ana, room_id=left.pk, user_id=str(cleo.pk), role="member")
    with pytest.raises(RoomNotFound):
        accept(ben, left, cleo)
    ana.is_active = False
    ana.save()
    with pytest.raises(RoomNotFound):
        accept(ben, left, ana)
    with pytest.raises(RoomNotFound):
        memberships.accept(by=ben, room_id=987654, inviter_id=str(ana.pk))
    assert not is_in(ben, left)


def test_nobody_comes_into_an_archived_room(left: Room, ana: Any, ben: Any) -> None:
    rooms.update(by=ana, room_id=left.pk, archived=True)
    with pytest.raises(RoomArchived):
        accept(ben, left, ana)


def test_the_site_brings_back_whom_it_likes_and_an_opened_room_lets_them_in(left: Room, ana: Any, ben: Any) -> None:
    memberships.add(by=SITE, room_id=left.pk, user_id=str(ben.pk))
    assert is_in(ben, left)
    memberships.leave(by=ben, room_id=left.pk)
    rooms.update(by=ana, room_id=left.pk, kind="open")
    memberships.join(by=ben, room_id=left.pk)
    rooms.update(by=ana, room_id=left.pk, kind="private")
    memberships.remove(by=ana, room_id=left.pk, user_id=str(ben.pk))
    memberships.add(by=ana, room_id=left.pk, user_id=str(ben.pk))
    assert is_in(ben, left), "what was declined once is forgotten with the next joining"
