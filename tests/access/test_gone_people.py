"""Direct rooms of people with deleted accounts: their names, and that they can be read but not written to."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest
from django.utils.translation import override

from chat.access import reads
from chat.access.policy import SITE
from chat.models import Room
from chat.services import memberships, messages, reactions, rooms
from chat.wire import protocol
from chat.wire.errors import MessageForbidden, RoomForbidden
from tests.cast import fresh, published, said, say

GONE = "Deleted account"


def states_of(user: Any, room: Room) -> list[protocol.RoomState]:
    """The room's state from each place that sends it."""
    (greeted,) = [each for each in reads.hello(user)[0] if each.id == str(room.pk)]
    (listed,) = [each for each in reads.own_rooms(user)[0] if each.id == str(room.pk)]
    return [greeted, listed, reads.room_state(user, room.pk)]


def test_a_direct_room_with_a_deleted_person_is_named_and_takes_no_posts(ana: Any, ben: Any, ana_and_ben: Room) -> None:
    theirs = said(ben, ana_and_ben, "bye")
    mine = say(ana, ana_and_ben, "stay")
    ben.delete()
    for state in states_of(ana, ana_and_ben):
        assert (state.name, state.gone, state.may_post, state.may_write) == (GONE, 1, False, False)
    assert [each.body for each in reads.history(ana, ana_and_ben.pk).messages] == ["bye", "stay"]
    head = fresh(ana_and_ben).head
    with pytest.raises(RoomForbidden):
        say(ana, ana_and_ben)
    with pytest.raises(MessageForbidden):
        reactions.add(by=ana, message_id=theirs.pk, emoji="👍")
    with pytest.raises(MessageForbidden):
        messages.edit(by=ana, message_id=mine.id, body="go")
    assert fresh(ana_and_ben).head == head


def test_a_repeat_of_a_stored_post_is_still_answered(ana: Any, ben: Any, ana_and_ben: Room) -> None:
    client_id = uuid4()
    first = say(ana, ana_and_ben, client_id=client_id)
    ben.delete()
    assert say(ana, ana_and_ben, client_id=client_id).id == first.id


def test_a_group_keeps_a_name_for_everybody_and_goes_on(ana: Any, ben: Any, cleo: Any) -> None:
    room = rooms.open_direct(by=ana, user_ids=[str(ben.pk), str(cleo.pk)], invited_by=SITE)
    ben.delete()
    for state in states_of(ana, room):
        assert (state.name, state.gone, state.may_write) == (f"cleo, {GONE}", 1, True)
    say(cleo, room)
    cleo.delete()
    for state in states_of(ana, room):
        assert (state.name, state.gone, state.may_write) == (f"{GONE}, {GONE}", 2, False)


def test_a_direct_room_with_only_oneself_still_takes_posts(ana: Any) -> None:
    room = rooms.open_direct(by=ana)
    for state in states_of(ana, room):
        assert (state.name, state.gone, state.may_write) == ("ana", msgspec.UNSET, True)
    assert say(ana, room).number == 1


def test_the_remaining_members_hear_of_a_deleted_account_at_once(ana: Any, ben: Any, cleo: Any) -> None:
    room = rooms.open_direct(by=ana, user_ids=[str(ben.pk), str(cleo.pk)], invited_by=SITE)
    say(ana, room)
    memberships.leave(by=cleo, room_id=room.pk)
    before = {each.pk: reads.rooms_version(each) for each in (ana, cleo)}
    with published() as hints:
        ben.delete()
    told = [event for hint in hints if (event := getattr(hint, "encoded", None))]
    (added,) = [each for one in told for each in protocol.decode_events(one) if isinstance(each, protocol.RoomAdded)]
    assert (added.state.name, added.state.gone) == (f"cleo, {GONE}", 1)
    assert added.rooms_version == reads.rooms_version(ana) == before[ana.pk] + 1
    assert reads.rooms_version(cleo) == before[cleo.pk], "who hid the room does not see it"


def test_no_translation_contains_the_separator_of_the_names() -> None:
    """Scripts replace the last ``gone`` names with their own words, and so split the names at this text."""
    for language in ("en", "de"):
        with override(language):
            assert ", " not in reads.display_names.DELETED_ACCOUNT
