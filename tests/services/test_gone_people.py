"""Somebody who acts, or is acted on, in the very moment in which their account is deleted. Runs on PostgreSQL too."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from chat.access.policy import SITE, Policy
from chat.models import Membership, Message, Reaction, Room
from chat.services import memberships, messages, reactions, rooms
from chat.services.changes import Call
from chat.wire.errors import ChatError, MessageNotFound, RoomForbidden, RoomNotFound, UserNotFound
from tests.cast import at_once, fresh, outcomes_of, person, post_of, said
from tests.services.log import check_log

pytestmark = pytest.mark.django_db(transaction=True)


class Square(Policy):
    """Everybody may write in open rooms, whoever is a member; everybody may bring people in."""

    def can_post(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return self.is_welcome(user) and (room.is_open or membership is not None)

    def can_moderate(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return self.is_welcome(user)


@pytest.fixture
def square(settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.Square"}


def act_of(name: str, gone: Any, ana: Any, ben: Any, lobby: Room, message: Message) -> Callable[[], Any]:
    """What somebody does, or is to be done to them."""
    key, room_id = str(gone.pk), lobby.pk
    acts: dict[str, Callable[[], Any]] = {
        "joins": lambda: memberships.join(by=gone, room_id=room_id),
        "is added": lambda: memberships.add(by=ana, room_id=room_id, user_id=key),
        "is placed": lambda: memberships.add(by=SITE, room_id=room_id, user_id=str(gone.pk)),
        "adds": lambda: memberships.add(by=gone, room_id=room_id, user_id=str(ben.pk)),
        "removes": lambda: memberships.remove(by=gone, room_id=room_id, user_id=str(ben.pk)),
        "makes a room": lambda: rooms.create(by=gone, name="Hall", client_id=uuid4()),
        "is in a new room": lambda: rooms.create(by=ana, name="Hall", user_ids=[str(gone.pk)], invited_by=SITE),
        "opens a direct room": lambda: rooms.open_direct(by=gone, user_ids=[str(ana.pk)]),
        "is in a direct room": lambda: rooms.open_direct(by=ana, user_ids=[str(gone.pk)], invited_by=SITE),
        "posts": lambda: messages.post(by=gone, room_id=room_id, body="last words"),
        "reacts": lambda: reactions.add(by=gone, message_id=message.pk, emoji="👍"),
    }
    return acts[name]


REFUSALS: dict[str, type[ChatError]] = {
    "joins": RoomNotFound,
    "is added": UserNotFound,
    "is placed": UserNotFound,
    "adds": RoomNotFound,
    "removes": RoomNotFound,
    "makes a room": RoomForbidden,
    "is in a new room": UserNotFound,
    "opens a direct room": UserNotFound,
    "is in a direct room": UserNotFound,
    "posts": RoomNotFound,
    "reacts": MessageNotFound,
}
"""The same answers as for an account that is switched off; but who opens a direct room finds nobody first."""


def rows() -> list[int]:
    return [each.objects.count() for each in (Room, Membership, Message, Reaction)]


@pytest.mark.parametrize("name", REFUSALS)
def test_a_deleted_account_is_answered_like_one_that_never_existed(
    name: str, square: None, ana: Any, ben: Any, cleo: Any, eve: Any, lobby: Room
) -> None:
    message = said(ana, lobby)
    whom = cleo if name == "adds" else ben
    act = act_of(name, eve, ana, whom, lobby, message)  # eve as her session read her
    fresh(eve).delete()
    before, head = rows(), fresh(lobby).head
    with pytest.raises(REFUSALS[name]):
        act()
    assert (rows(), fresh(lobby).head) == (before, head)


def test_in_a_batch_the_others_lose_nothing(square: None, ana: Any, ben: Any, eve: Any, lobby: Room) -> None:
    said(ana, lobby)
    fresh(eve).delete()
    ghost = post_of(eve, lobby)
    join = Call(ana, lambda: memberships.add(by=SITE, room_id=lobby.pk, user_id=str(eve.pk)), room_id=lobby.pk)
    outcomes = outcomes_of([post_of(ana, lobby), ghost, join, post_of(ben, lobby)])
    assert [type(each).__name__ for each in outcomes] == ["PostResult", "RoomNotFound", "UserNotFound", "PostResult"]
    check_log(fresh(lobby))


@pytest.mark.parametrize("name", ["joins", "is added", "makes a room", "posts"])
def test_whichever_is_first_nobody_is_left_without_an_account_and_nothing_breaks(
    name: str, square: None, ana: Any, ben: Any, lobby: Room
) -> None:
    message = said(ana, lobby)
    for place in range(6):
        eve = person(f"eve-{place}")
        acted, deleted = at_once([act_of(name, eve, ana, ben, lobby, message), fresh(eve).delete])
        assert not isinstance(deleted, Exception), deleted
        assert not isinstance(acted, Exception) or isinstance(acted, REFUSALS[name]), acted
        assert not Membership.objects.present().filter(user=None).exists()
    check_log(fresh(lobby))


def test_opening_a_direct_room_and_deleting_its_person_do_not_deadlock(ana: Any) -> None:
    for place in range(6):
        eve = person(f"eve-{place}")
        room = rooms.open_direct(by=ana, user_ids=[str(eve.pk)], invited_by=SITE)
        acts = [lambda: rooms.open_direct(by=eve, user_ids=[str(ana.pk)]), fresh(eve).delete]  # noqa: B023
        opened, deleted = at_once(acts)
        assert not isinstance(deleted, Exception), deleted
        assert not isinstance(opened, Exception) or isinstance(opened, (RoomForbidden, UserNotFound)), opened
        check_log(fresh(room))
