"""The list of the user's rooms, and when it is requested again."""

from chat.client.core.rooms import RoomList
from chat.wire import protocol
from tests.client.core.model_room import LIMITS, ME, ModelRoom
from tests.client.core.model_server import half


def hello(version: int, *rooms: str, more: bool = False) -> protocol.Hello:
    states = [ModelRoom(room).state() for room in rooms]
    return protocol.Hello(
        protocol=1, user=ME, server="s", heartbeat_s=20, limits=LIMITS, flow=None, rooms=states,
        rooms_version=version, more=more,
    )  # fmt: skip


def test_events_in_order_keep_it_right() -> None:
    rooms = RoomList(half)
    rooms.greeted(hello(3, "1"), 0.0, wants_all=False)
    assert rooms.added(protocol.RoomAdded(state=ModelRoom("2").state(), rooms_version=4), 0.0)
    assert rooms.removed(protocol.RoomRemoved(room="1", rooms_version=5), 0.0)
    rooms.heard(5, 1.0)
    assert list(rooms.states) == ["2"]
    assert rooms.list_at is None


def test_a_version_that_is_ahead_is_listed_after_a_while() -> None:
    rooms = RoomList(half)
    rooms.greeted(hello(3, "1"), 0.0, wants_all=False)
    rooms.heard(4, 1.0)
    assert rooms.list_at == 4.5
    rooms.listing_started()
    assert rooms.listed([ModelRoom("2").state()], False, 6.0) == ([ModelRoom("2").state()], ["1"])
    assert rooms.list_at is None


def test_rooms_that_change_during_a_listing_are_listed_again() -> None:
    rooms = RoomList(half)
    rooms.greeted(hello(3, "1"), 0.0, wants_all=False)
    rooms.heard(4, 1.0)
    rooms.listing_started()
    assert rooms.removed(protocol.RoomRemoved(room="1", rooms_version=5), 2.0)
    rooms.heard(6, 2.0)
    assert rooms.listed([ModelRoom("1").state()], False, 6.0) is None or rooms.list_at is not None


def test_a_room_that_a_complete_hello_leaves_out_is_gone() -> None:
    rooms = RoomList(half)
    rooms.greeted(hello(3, "1", "2"), 0.0, wants_all=False)
    added, gone = rooms.greeted(hello(5, "2", "3"), 0.0, wants_all=False)
    assert ([each.id for each in added], gone) == (["3"], ["1"])


def test_a_room_that_a_truncated_hello_leaves_out_may_still_exist() -> None:
    rooms = RoomList(half)
    rooms.greeted(hello(3, "1", "2"), 0.0, wants_all=True)
    assert rooms.greeted(hello(3, "2", more=True), 7.0, wants_all=True) == ([], [])
    assert rooms.list_at == 7.0


def test_a_room_that_is_lost_without_a_membership_is_gone_although_the_version_stays() -> None:
    """An open room that becomes private, or a host's policy that denies it."""
    rooms = RoomList(half)
    rooms.greeted(hello(3, "1", "2"), 0.0, wants_all=False)
    assert rooms.removed(protocol.RoomRemoved(room="1", rooms_version=3), 0.0)
    assert list(rooms.states) == ["2"]
    assert not rooms.removed(protocol.RoomRemoved(room="2", rooms_version=2), 0.0), "from before the greeting"
    assert rooms.list_at is None
