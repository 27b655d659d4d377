"""Lookup: missing things and other people's things get one and the same answer, whatever the id looks like."""

from collections.abc import Callable
from typing import Any

import pytest

from chat import api
from chat.access import changes, reads
from chat.access.lookup import key
from chat.models import Room
from chat.services import memberships, messages, reactions, read_pointers, rooms
from chat.wire.errors import ChatError, CommandInvalid, MessageNotFound, RoomNotFound
from tests.cast import said

ODD_IDS = [
    "",
    "0",
    "-1",
    "1e5",
    "٣",
    "²",
    "+1",
    " 1",
    "1_0",
    "9" * 19,
    "9" * 30,
    "9" * 5_000,
    "1.0",
    "0x1",
    "null",
    "3505aae6-4e85-4a4b-a307-470f74f248a5",
]
"""Ids that no row has, in every wrong form."""

Act = Callable[[Any, str], Any]
ON_ROOMS: dict[str, Act] = {
    "post": lambda who, room: messages.post(by=who, room_id=key(room), body="hi"),
    "join": lambda who, room: memberships.join(by=who, room_id=key(room)),
    "leave": lambda who, room: memberships.leave(by=who, room_id=key(room)),
    "add": lambda who, room: memberships.add(by=who, room_id=key(room), user_id=str(who.pk)),
    "remove": lambda who, room: memberships.remove(by=who, room_id=key(room), user_id=str(who.pk)),
    "role": lambda who, room: memberships.change_role(by=who, room_id=key(room), user_id=str(who.pk), role="owner"),
    "update": lambda who, room: rooms.update(by=who, room_id=key(room), name="Mine"),
    "read": lambda who, room: read_pointers.move(by=who, room_id=key(room), number=1),
    "room_state": lambda who, room: reads.room_state(who, key(room)),
    "history": lambda who, room: reads.history(who, key(room)),
    "member.list": lambda who, room: reads.members(who, key(room)),
}
ON_MESSAGES: dict[str, Act] = {
    "edit": lambda who, message: messages.edit(by=who, message_id=key(message), body="x"),
    "delete": lambda who, message: messages.delete(by=who, message_id=key(message)),
    "react": lambda who, message: reactions.add(by=who, message_id=key(message), emoji="👍"),
    "unreact": lambda who, message: reactions.remove(by=who, message_id=key(message), emoji="👍"),
}


def refusal(act: Act, who: Any, wire_id: str) -> tuple[Any, ...]:
    """Everything that a caller learns from the refusal."""
    with pytest.raises(ChatError) as refused:
        act(who, wire_id)
    error = refused.value
    return type(error), error.code, error.message, error.field, error.retry, error.retry_after_ms, error.args


@pytest.mark.parametrize("name", ON_ROOMS)
def test_a_room_that_is_missing_and_one_that_is_not_yours_are_told_alike(eve: Any, staff: Room, name: str) -> None:
    answers = {refusal(ON_ROOMS[name], eve, wire_id) for wire_id in (str(staff.pk), "987654321", *ODD_IDS)}
    assert len(answers) == 1
    assert next(iter(answers))[0] is RoomNotFound


@pytest.mark.parametrize("name", ON_ROOMS)
def test_a_direct_room_of_others_is_no_room(eve: Any, ana_and_ben: Room, name: str) -> None:
    assert refusal(ON_ROOMS[name], eve, str(ana_and_ben.pk)) == refusal(ON_ROOMS[name], eve, "987654321")


@pytest.mark.parametrize("name", ON_MESSAGES)
def test_a_message_that_is_missing_and_one_that_is_not_yours_are_told_alike(
    ana: Any, eve: Any, staff: Room, name: str
) -> None:
    message = said(ana, staff)
    answers = {refusal(ON_MESSAGES[name], eve, wire_id) for wire_id in (str(message.pk), "987654321", *ODD_IDS)}
    assert len(answers) == 1
    assert next(iter(answers))[0] is MessageNotFound


@pytest.mark.parametrize("name", ON_ROOMS)
def test_the_lookup_succeeds_for_members(ana: Any, staff: Room, name: str) -> None:
    """The premise of the tests above: the same calls on the same room reach it."""
    said(ana, staff)
    try:
        ON_ROOMS[name](ana, str(staff.pk))
    except RoomNotFound:
        pytest.fail("the room was not found")
    except ChatError:
        pass  # found, and refused for another reason


def test_a_removed_member_is_an_outsider_again(ana: Any, ben: Any, staff: Room) -> None:
    message = said(ben, staff)
    memberships.remove(by=ana, room_id=staff.pk, user_id=str(ben.pk))
    for act in (name for name in ON_ROOMS if name != "leave"):
        assert refusal(ON_ROOMS[act], ben, str(staff.pk))[0] is RoomNotFound
    for act in ON_MESSAGES:
        assert refusal(ON_MESSAGES[act], ben, str(message.pk))[0] is MessageNotFound
    assert changes.page(ben, staff.pk, 0) is None
    assert changes.reset_states(ben, [staff.pk]) == {}
    assert changes.standings(ben, {str(staff.pk): None}) == {}


def test_a_reply_to_a_message_elsewhere_tells_nothing(ana: Any, eve: Any, lobby: Room, staff: Room) -> None:
    memberships.join(by=eve, room_id=lobby.pk)
    secret = said(ana, staff)
    answers = {
        refusal(
            lambda who, reply_to: messages.post(by=who, room_id=lobby.pk, body="hi", reply_to=key(reply_to)),
            eve,
            wire_id,
        )
        for wire_id in (str(secret.pk), "987654321", *(each for each in ODD_IDS if each))
    }
    assert len(answers) == 1


def test_an_open_room_may_be_read_by_people_outside_it(eve: Any, ana: Any, lobby: Room) -> None:
    said(ana, lobby)
    assert len(reads.history(eve, lobby.pk).messages) == 1
    assert reads.room_state(eve, lobby.pk).role is None
    assert changes.page(eve, lobby.pk, 0)


def test_a_sync_leaves_out_ids_that_name_no_room(ana: Any, eve: Any, lobby: Room, staff: Room) -> None:
    asked = [str(lobby.pk), str(staff.pk), "987654321", *ODD_IDS]
    assert set(changes.standings(eve, dict.fromkeys(asked))) == {str(lobby.pk)}
    assert set(changes.standings(ana, dict.fromkeys(asked))) == {str(lobby.pk), str(staff.pk)}


def test_a_list_goes_on_after_an_id_that_can_be_one(ana: Any, lobby: Room) -> None:
    for odd in ODD_IDS:
        for pages in (reads.own_rooms, reads.open_rooms):
            if not key(odd):
                with pytest.raises(CommandInvalid):
                    pages(ana, after=odd)
        assert reads.members(ana, lobby.pk, after=odd[:64])


@pytest.mark.parametrize("room", ODD_IDS)
def test_the_sites_own_code_gets_the_same_answer(ana: Any, room: str) -> None:
    for act in (
        lambda: api.post(room, ana, "hi"),
        lambda: api.add_member(room, ana),
        lambda: api.remove_member(room, ana),
        lambda: api.archive_room(room),
    ):
        with pytest.raises(RoomNotFound):
            act()


def test_a_key_is_a_positive_number_in_plain_digits() -> None:
    assert [key(each) for each in ("1", 1, str(2**63 - 1))] == [1, 1, 2**63 - 1]
    assert {key(each) for each in (*ODD_IDS, 0, -1, 2**63, "1\n", "01")} == {0}
