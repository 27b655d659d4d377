"""A host's policy that goes by something else than membership: what it says of writing reaches pages and clients."""

from typing import Any

import msgspec
import pytest

from chat import api
from chat.access import queries
from chat.access.policy import Policy
from chat.models import Membership, Room
from chat.wire import protocol
from chat.wire.errors import RoomForbidden
from tests.cast import say


class TurnedAround(Policy):
    """Who is no member writes, and members may not."""

    def can_post(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return membership is None


@pytest.fixture
def turned_around(settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.TurnedAround"}


def on_the_wire(user: Any, room: Room) -> dict[str, Any]:
    return msgspec.to_builtins(queries.room_state(user, room.pk))  # type: ignore[no-any-return]


def test_roles_decide_by_default_and_nothing_more_is_said(lobby: Room, ben: Any, eve: Any) -> None:
    assert "may_post" not in on_the_wire(ben, lobby)
    assert "may_post" not in on_the_wire(eve, lobby)
    assert queries.room_state(ben, lobby.pk).may_write
    assert not queries.room_state(eve, lobby.pk).may_write


@pytest.mark.usefixtures("turned_around")
def test_a_policy_that_says_otherwise_is_heard(lobby: Room, ben: Any, eve: Any) -> None:
    assert on_the_wire(ben, lobby)["may_post"] is False
    assert on_the_wire(eve, lobby)["may_post"] is True
    (of_ben,), _more, _version = queries.hello(ben)
    assert of_ben.may_post is False
    assert say(eve, lobby).number == 1
    with pytest.raises(RoomForbidden):
        say(ben, lobby)


@pytest.mark.usefixtures("turned_around")
def test_an_archived_room_takes_nothing_from_anybody(lobby: Room, eve: Any) -> None:
    api.archive_room(lobby)
    state = queries.room_state(eve, lobby.pk)
    assert state.may_post is True
    assert not state.may_write


def test_an_older_server_that_says_nothing_is_understood(lobby: Room, ben: Any) -> None:
    raw = on_the_wire(ben, lobby)
    assert msgspec.convert(raw, protocol.RoomState).may_post is msgspec.UNSET
