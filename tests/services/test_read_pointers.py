"""A read pointer that is overtaken while it waits is not moved twice, and ends where each move by itself would end."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.models import Membership, Room
from chat.services import read_pointers
from chat.services.changes import Change
from chat.services.read_pointers import Move
from chat.wire.errors import RoomForbidden
from tests.cast import outcomes_of, post_of, say


class Reader:
    def __init__(self, pk: int):
        self.pk = pk


MOVES = st.builds(
    Move,
    by=st.sampled_from([Reader(1), Reader(2)]),
    room_id=st.sampled_from([1, 2]),
    number=st.integers(0, 9),
    force=st.booleans(),
)


@dataclass(frozen=True)
class Posted:
    """Somebody's own post takes the room's newest number up, and their pointer to it."""

    person: int
    room_id: int


@dataclass(frozen=True)
class Left:
    """Whoever has left has no pointer, until they come back."""

    person: int
    room_id: int


CHANGES = st.one_of(
    MOVES,
    st.builds(Posted, st.sampled_from([1, 2]), st.sampled_from([1, 2])),
    st.builds(Left, st.sampled_from([1, 2]), st.sampled_from([1, 2])),
)


def answers_of(changes: list[Any], made: Callable[[int], bool] = lambda place: True) -> dict[int, int | None]:
    """What each move is answered (None: refused), and under -1, -2 … where the pointers end."""
    newest: dict[int, int] = {}
    pointers: dict[tuple[int, str], int | None] = {}
    answers: dict[int, int | None] = {}
    for place, each in enumerate(changes):
        if not made(place):
            continue
        if isinstance(each, Move):
            pointer = (each.by.pk, each.room_id)
            at, number = pointers.get(pointer, 0), min(each.number, newest.get(each.room_id, 3))
            pointers[pointer] = None if at is None else number if each.force else max(at, number)
            answers[place] = pointers[pointer]
        elif isinstance(each, Posted):
            newest[each.room_id] = newest.get(each.room_id, 3) + 1
            if pointers.get((each.person, each.room_id), 0) is not None:
                pointers[each.person, each.room_id] = newest[each.room_id]
        else:
            pointer = (each.person, each.room_id)
            pointers[pointer] = None if pointers.get(pointer, 0) is not None else newest.get(each.room_id, 3)
    return answers | {-1 - n: pointers.get(key, 0) for n, key in enumerate(product([1, 2], ["1", "2"]))}


@given(st.lists(CHANGES, max_size=14))
def test_overtaken_moves_change_no_pointer_and_refuse_nobody(changes: list[Any]) -> None:
    overtaken = read_pointers.overtaken(changes)
    every, some = answers_of(changes), answers_of(changes, lambda place: place not in overtaken)
    assert {place: some[place] for place in range(-4, 0)} == {place: every[place] for place in range(-4, 0)}
    for place, other in overtaken.items():
        assert other not in overtaken, "who stands for others is moved itself"
        assert changes[place].by is changes[other].by
        assert changes[place].room_id == changes[other].room_id
        assert (some[other] is None) == (every[place] is None)


@given(st.lists(MOVES, min_size=1, max_size=40))
def test_at_most_two_moves_of_a_pointer_are_made_in_one_batch(moves: list[Move]) -> None:
    overtaken = read_pointers.overtaken(moves)
    for pointer in {(each.by.pk, each.room_id) for each in moves}:
        made = [n for n, each in enumerate(moves) if (each.by.pk, each.room_id) == pointer and n not in overtaken]
        assert 1 <= len(made) <= 2


@pytest.mark.django_db(transaction=True)
def test_fifty_moves_that_wait_cost_one_and_are_all_answered(ana: Any, ben: Any, eve: Any, lobby: Room) -> None:
    for n in range(50):
        say(ana, lobby, f"{n}")
    changes: list[Change] = [Move(ben, lobby.pk, number) for number in range(1, 51)]
    changes += [Move(ben, lobby.pk, 7), Move(eve, lobby.pk, 3)]
    with patch.object(read_pointers, "move", wraps=read_pointers.move) as moved:
        *answers, refused = outcomes_of(changes)
    assert [each.kwargs["number"] for each in moved.call_args_list] == [50, 3]
    assert {each.read for each in answers} == {50}
    assert isinstance(refused, RoomForbidden)
    assert Membership.objects.get(room=lobby, user=ben).rev == 1


@pytest.mark.django_db(transaction=True)
def test_marking_unread_is_not_lost_among_moves_that_go_forward(ana: Any, ben: Any, lobby: Room) -> None:
    for n in range(9):
        say(ana, lobby, f"{n}")
    room = lobby.pk
    moves: list[Change] = [Move(ben, room, 9), Move(ben, room, 2, force=True), Move(ben, room, 4)]
    assert [each.read for each in outcomes_of(moves)] == [2, 2, 4]
    assert Membership.objects.get(room=lobby, user=ben).read_number == 4


@pytest.mark.django_db(transaction=True)
def test_a_read_number_past_the_newest_does_not_mark_later_messages_as_read(ana: Any, ben: Any, lobby: Room) -> None:
    say(ana, lobby)
    room = lobby.pk
    changes: list[Change] = [Move(ben, room, 10**9), post_of(ana, lobby), Move(ben, room, 2)]
    first, _post, last = outcomes_of(changes)
    assert (first.read, last.read, last.unread) == (1, 2, 0)
