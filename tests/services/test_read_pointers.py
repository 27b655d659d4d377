"""A read pointer that is overtaken while it waits is not moved twice, and ends where each move by itself would end."""

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.models import Membership, Room
from chat.services import read_pointers, writer
from chat.services.read_pointers import Move
from chat.services.writer import Change
from chat.wire.errors import RoomForbidden
from tests.cast import numbers, post_of, say


class Reader:
    def __init__(self, pk: int):
        self.pk = pk


MOVES = st.builds(
    Move,
    actor=st.sampled_from([Reader(1), Reader(2)]),
    room_id=st.sampled_from(["1", "2"]),
    number=st.integers(0, 9),
    force=st.booleans(),
)
POSTS = st.tuples(st.sampled_from([1, 2]), st.sampled_from(["1", "2"]), st.integers(1, 9))
"""Somebody's own post takes their pointer of the room forward to its number."""


def pointers_after(changes: list[Any], left_out: frozenset[int] = frozenset()) -> dict[tuple[int, str], int]:
    pointers: dict[tuple[int, str], int] = {}
    for place, each in enumerate(changes):
        if place in left_out:
            continue
        person, room, number = (each.actor.pk, each.room_id, each.number) if isinstance(each, Move) else each
        is_forced = isinstance(each, Move) and each.force
        pointers[person, room] = number if is_forced else max(number, pointers.get((person, room), 0))
    return pointers


@given(st.lists(st.one_of(MOVES, POSTS), max_size=14))
def test_what_is_left_out_changes_no_pointer(changes: list[Any]) -> None:
    overtaken = read_pointers.overtaken(changes)
    assert pointers_after(changes, frozenset(overtaken)) == pointers_after(changes)
    assert not overtaken.keys() & set(overtaken.values()), "who stands for others is moved itself"
    for place, other in overtaken.items():
        assert changes[place].actor is changes[other].actor
        assert changes[place].room_id == changes[other].room_id


@given(st.lists(MOVES, min_size=1, max_size=40))
def test_at_most_two_moves_of_a_pointer_are_made_in_one_batch(moves: list[Move]) -> None:
    overtaken = read_pointers.overtaken(moves)
    for pointer in {(each.actor.pk, each.room_id) for each in moves}:
        made = [n for n, each in enumerate(moves) if (each.actor.pk, each.room_id) == pointer and n not in overtaken]
        assert 1 <= len(made) <= 2


@pytest.mark.django_db(transaction=True)
def test_fifty_moves_that_wait_cost_one_and_are_all_answered(ana: Any, ben: Any, eve: Any, lobby: Room) -> None:
    for n in range(50):
        say(ana, lobby, f"{n}")
    changes: list[Change] = [Move(ben, str(lobby.pk), number) for number in range(1, 51)]
    changes += [post_of(ana, lobby, "between"), Move(ben, str(lobby.pk), 7), Move(eve, str(lobby.pk), 3)]
    with patch.object(read_pointers, "move", wraps=read_pointers.move) as moved:
        *answers, post, low, refused = writer.outcomes_of(changes)
    assert [each.kwargs["number"] for each in moved.call_args_list] == [50, 3]
    assert {each.read for each in answers} == {50}
    assert (post.number, low.read) == (51, 50)
    assert isinstance(refused, RoomForbidden)
    assert Membership.objects.get(room=lobby, user=ben).rev == 1
    assert numbers(lobby) == list(range(1, 52))


@pytest.mark.django_db(transaction=True)
def test_marking_unread_is_not_lost_among_moves_that_go_forward(ana: Any, ben: Any, lobby: Room) -> None:
    for n in range(9):
        say(ana, lobby, f"{n}")
    room = str(lobby.pk)
    moves: list[Change] = [Move(ben, room, 9), Move(ben, room, 2, force=True), Move(ben, room, 4)]
    assert [each.read for each in writer.outcomes_of(moves)] == [2, 2, 4]
    assert Membership.objects.get(room=lobby, user=ben).read_number == 4
