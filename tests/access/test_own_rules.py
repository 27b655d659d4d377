"""A host's policy that does not go by membership: its answers about writing reach pages and clients."""

from typing import Any

import msgspec
import pytest

from chat import api
from chat.access import lobby as listing
from chat.access import reads
from chat.access.policy import Policy
from chat.models import Membership, Room
from chat.services import memberships, rooms
from chat.wire import protocol
from chat.wire.errors import MessageForbidden, RoomForbidden
from tests.cast import say


class TurnedAround(Policy):
    """People outside the room may write, and members may not."""

    def can_post(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return membership is None


@pytest.fixture
def turned_around(settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.TurnedAround"}


def on_the_wire(user: Any, room: Room) -> dict[str, Any]:
    return msgspec.to_builtins(reads.room_state(user, room.pk))  # type: ignore[no-any-return]


def test_roles_decide_by_default_and_nothing_more_is_said(lobby: Room, ben: Any, eve: Any) -> None:
    assert "may_post" not in on_the_wire(ben, lobby)
    assert "may_post" not in on_the_wire(eve, lobby)
    assert reads.room_state(ben, lobby.pk).may_write
    assert not reads.room_state(eve, lobby.pk).may_write


@pytest.mark.usefixtures("turned_around")
def test_a_policy_that_says_otherwise_is_heard(lobby: Room, ben: Any, eve: Any) -> None:
    assert on_the_wire(ben, lobby)["may_post"] is False
    assert on_the_wire(eve, lobby)["may_post"] is True
    (of_ben,), _more, _version = reads.hello(ben)
    assert of_ben.may_post is False
    assert say(eve, lobby).number == 1
    with pytest.raises(RoomForbidden):
        say(ben, lobby)


@pytest.mark.usefixtures("turned_around")
def test_an_archived_room_takes_nothing_from_anybody(lobby: Room, eve: Any) -> None:
    api.archive_room(lobby)
    state = reads.room_state(eve, lobby.pk)
    assert state.may_post is True
    assert not state.may_write


def test_an_older_server_that_says_nothing_is_understood(lobby: Room, ben: Any) -> None:
    raw = on_the_wire(ben, lobby)
    assert msgspec.convert(raw, protocol.RoomState).may_post is msgspec.UNSET


class MembersOnly(Policy):
    """An open room can be seen by its members alone, like a room that is full."""

    def can_see(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return super().can_see(user, room, membership) and (membership is not None or room.name.startswith("Hall"))


def test_open_rooms_that_are_hidden_from_others_are_listed_for_their_members(
    lobby: Room, ben: Any, eve: Any, settings: Any
) -> None:
    """And a page that a program reads is full, although most rooms are skipped."""
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.MembersOnly"}
    for name in ("Attic", "Hall 1", "Cellar", "Shed", "Hall 2", "Barn"):
        rooms.create(by=ben, name=name)

    def listed(user: Any, **page: Any) -> tuple[list[str], bool]:
        found, more = reads.open_rooms(user, **page)
        return [each.name for each in found], more

    assert listed(ben)[0] == ["Lobby", "Attic", "Hall 1", "Cellar", "Shed", "Hall 2", "Barn"]
    assert {each.room.name for each in lobby_page(ben)} == set(listed(ben)[0])
    assert listed(eve) == (["Hall 1", "Hall 2"], False)
    assert {each.room.name for each in lobby_page(eve)} == {"Hall 1", "Hall 2"}
    assert listed(eve, limit=1) == (["Hall 1"], True)
    first = reads.open_rooms(eve, limit=1)[0][0]
    assert listed(eve, limit=1, after=first.id) == (["Hall 2"], False)


def test_one_page_of_rooms_does_not_look_through_all_that_are_hidden(
    lobby: Room, ben: Any, eve: Any, settings: Any, monkeypatch: Any, django_assert_max_num_queries: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.MembersOnly"}
    monkeypatch.setattr(listing, "SCANNED", 2)
    monkeypatch.setattr(listing, "SCANS", 2)
    for name in ("Hall 1", *("Shed",) * 30, "Hall 2"):
        rooms.create(by=ben, name=name)
    with django_assert_max_num_queries(8):
        found, more = reads.open_rooms(eve, limit=3)
    assert ([each.name for each in found], more) == (["Hall 1"], True)
    assert reads.open_rooms(eve, limit=3, after=found[-1].id) == ([], False)


def lobby_page(user: Any) -> list[Any]:
    return listing.open_rooms(user)[0]


@pytest.mark.parametrize("full_name", ["\u200b", "\u2800 \u00ad", " ", ""])
def test_an_invisible_name_counts_as_no_name(make_person: Any, full_name: str) -> None:
    assert Policy().name_of(make_person("ada", first_name=full_name)) == "ada"
    assert Policy().name_of(make_person("bea", first_name="Bea\u202e\u200b")) == "Bea"


def test_a_host_whose_people_have_no_full_name_may_say_none(make_person: Any, monkeypatch: Any) -> None:
    ada = make_person("ada")
    monkeypatch.setattr(ada, "get_full_name", lambda: None)
    assert Policy().name_of(ada) == "ada"


class HidesTheLobby(Policy):
    """A host's rule that hides a room even from its members, as when a subscription has ended."""

    def can_see(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return room.slug != "lobby" and super().can_see(user, room, membership)


def test_a_room_that_the_policy_hides_from_a_member_is_in_no_list(
    lobby: Room, staff: Room, ben: Any, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.HidesTheLobby"}
    assert [each.id for each in reads.hello(ben)[0]] == [str(staff.pk)]
    assert [each.id for each in reads.own_rooms(ben)[0]] == [str(staff.pk)]
    page, more = reads.own_rooms(ben, limit=1)
    assert ([each.id for each in page], more) == ([str(staff.pk)], False), "a page that is hidden whole is passed over"


def test_a_deleted_persons_messages_are_not_edited_by_the_next_person_with_the_same_key(
    lobby: Room, ben: Any, eve: Any
) -> None:
    posted = say(ben, lobby, "mine")
    key = ben.pk
    ben.delete()
    again = type(ben)._default_manager.create(pk=key, username="another ben")
    memberships.join(by=again, room_id=lobby.pk)
    with pytest.raises(MessageForbidden):
        api.edit(posted.id, again, "not mine")
    with pytest.raises(MessageForbidden):
        api.delete(posted.id, again)
