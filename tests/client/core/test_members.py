"""The members of a room, whatever the order in which changes arrive."""

from chat.client.core.members import Members
from tests.client.core.model_room import BEN, ModelRoom


def test_the_later_of_two_states_of_a_member_wins() -> None:
    room = ModelRoom("1")
    joined, left = room.move(BEN), room.move(BEN)
    members = Members()
    assert members.put(left.member, left.seq)
    assert not members.put(joined.member, joined.seq)
    assert len(members) == 0
