"""People take turns, each with a bounded number under way, and nothing is lost or held for ever."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chat.runtime.turns import Turns


def test_people_take_turns_and_each_keeps_their_order() -> None:
    turns: Turns[int] = Turns(lambda person: 9)
    for person, item in [("ana", 1), ("ana", 2), ("ana", 3), ("ben", 1), ("cleo", 1)]:
        turns.put(person, item)
    taken = [turns.take() for _ in range(6)]
    assert taken == [("ana", 1), ("ben", 1), ("cleo", 1), ("ana", 2), ("ana", 3), None]


def test_who_has_enough_under_way_waits_until_one_is_finished() -> None:
    turns: Turns[int] = Turns(lambda person: 2 if person == "ana" else 1)
    for person in ("ana", "ben"):
        for item in range(3):
            turns.put(person, item)
    assert [turns.take() for _ in range(4)] == [("ana", 0), ("ben", 0), ("ana", 1), None]
    assert (len(turns), turns.waiting_of("ana"), turns.waiting_of("ben"), turns.waiting_of("eve")) == (3, 1, 2, 0)
    turns.finish("ben")
    assert turns.take() == ("ben", 1)
    turns.finish("ana")
    turns.finish("ana")
    assert turns.take() == ("ana", 2)


@given(
    st.lists(st.sampled_from(["put", "take", "finish"]).flatmap(lambda act: st.tuples(st.just(act), st.integers(0, 3))))
)
def test_whatever_is_put_is_taken_once_and_in_order_and_no_more_is_under_way_than_allowed(
    acts: list[tuple[str, int]],
) -> None:
    turns: Turns[int] = Turns(lambda person: int(str(person)) % 2 + 1)
    put: dict[int, list[int]] = {person: [] for person in range(4)}
    taken: dict[int, list[int]] = {person: [] for person in range(4)}
    under_way: Counter[int] = Counter()
    for act, person in acts:
        if act == "put":
            put[person].append(len(put[person]))
            turns.put(person, put[person][-1])
        elif act == "finish" and under_way[person]:
            under_way[person] -= 1
            turns.finish(person)
        elif act == "take":
            waits = any(len(put[each]) > len(taken[each]) and under_way[each] <= each % 2 for each in range(4))
            got = turns.take()
            assert (got is not None) == waits
            if got is not None:
                who = int(str(got[0]))
                taken[who].append(got[1])
                under_way[who] += 1
                assert under_way[who] <= who % 2 + 1
    assert all(taken[person] == put[person][: len(taken[person])] for person in range(4))
    assert len(turns) == sum(len(put[person]) - len(taken[person]) for person in range(4))
