"""What becomes of a command that the server refuses because of its limit."""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from chat.client.core.requests import Request, Requests
from chat.conf import ChatSettings
from chat.runtime.rates import RateLimit
from chat.wire import protocol

LIMITED = protocol.ErrorBody("rate.limited", "Slow.", True, 700)


class Talk:
    """Requests of a client, and the replies they have had."""

    def __init__(self, rng: float | Callable[[], float] = 0.0, limit: int = 32):
        self.requests = Requests(rng if callable(rng) else lambda: rng, limit)
        self.replies: list[bool | None] = []

    def add(self, *commands: protocol.Command) -> None:
        for each in commands:
            self.requests.add(Request(each, lambda reply, now: self.replies.append(reply.ok), "keep"))

    def sent(self, now: float) -> list[int]:
        return [each.ref for each in self.requests.sendable(now)]  # type: ignore[union-attr]

    def answer(self, ref: int, now: float, **fields: Any) -> None:
        request = self.requests.take(ref)
        assert request
        self.requests.answer(request, protocol.ReplyEvent(ref=ref, **fields), now)

    def refuse(self, ref: int, now: float) -> None:
        self.answer(ref, now, ok=False, error=LIMITED)

    def accept(self, ref: int, now: float) -> None:
        self.answer(ref, now, ok=True, result={})


def history(room: int) -> protocol.History:
    return protocol.History(ref=1, room=str(room))


@pytest.mark.parametrize(
    "command",
    [protocol.History(ref=1, room="1"), protocol.ListMembers(ref=1, room="1"), protocol.ListRooms(ref=1, scope="mine")],
)
def test_what_only_reads_is_sent_again_when_the_server_says_so(command: protocol.Command) -> None:
    talk = Talk()
    talk.add(command)
    assert talk.sent(0.0) == [1]
    talk.refuse(1, 10.0)
    assert talk.requests.send_at == 10.7
    assert talk.sent(10.6) == []
    assert talk.sent(10.7) == [2]
    assert talk.requests.send_at is None
    talk.accept(2, 11.0)
    assert talk.replies == [True]


def test_a_change_is_its_callers_to_repeat() -> None:
    talk = Talk()
    talk.add(protocol.JoinRoom(ref=1, room="1"))
    talk.sent(0.0)
    talk.refuse(1, 10.0)
    assert talk.replies == [False]
    assert talk.requests.send_at is None


def test_after_a_refusal_all_reads_wait_and_go_one_at_a_time_in_order() -> None:
    talk = Talk(limit=2)
    talk.add(*map(history, range(4)))
    assert talk.sent(0.0) == [1, 2]
    talk.refuse(1, 1.0)
    assert talk.sent(1.0) == [], "the third read goes behind the refused ones"
    talk.refuse(2, 1.0)
    talk.add(protocol.JoinRoom(ref=1, room="9"))
    assert talk.sent(1.0) == [3], "a change passes them"
    talk.accept(3, 1.0)
    order = []
    for ref in (4, 5, 6, 7):
        (command,) = talk.requests.sendable(ref)
        assert isinstance(command, protocol.History)
        assert (command.ref, talk.sent(ref)) == (ref, [])
        order.append(command.room)
        talk.accept(ref, ref)
    assert order == ["0", "1", "2", "3"]
    talk.add(*map(history, range(2)))
    assert talk.sent(10.0) == [8, 9], "afterwards as before"


def test_the_wait_is_spread_bounded_and_never_nothing() -> None:
    waits = {}
    for asked, rng in ((700, 0.0), (700, 0.5), (0, 0.0), (-5, 0.0), (10**12, 0.0), (None, 0.0)):
        talk = Talk(rng)
        talk.add(history(1))
        talk.sent(0.0)
        talk.answer(1, 0.0, ok=False, error=protocol.ErrorBody("rate.limited", "Slow.", True, asked))
        waits[asked, rng] = talk.requests.send_at
    assert [*waits.values()] == pytest.approx([0.7, 1.05, 0.1, 0.1, 60.0, 1.0])


def frames_of(connections: int, reads: int, trip_s: float) -> int:
    """How many frames a person's connections send until all of their reads are answered, by the server's own limits.

    Raises:
        AssertionError: The server would have closed a connection for flooding.
    """
    limits = ChatSettings()
    limit, flood = RateLimit(limits.read_rate, limits.read_burst), RateLimit(limits.frame_rate, limits.frame_burst)
    rng, now, frames = Random(7).random, 0.0, 0
    talks = [Talk(rng) for _ in range(connections)]
    on_the_way: list[tuple[float, int, int]] = []
    for talk in talks:
        talk.add(*map(history, range(reads)))
    while any(len(talk.replies) < reads for talk in talks):
        for place, talk in enumerate(talks):
            for ref in talk.sent(now):
                frames += 1
                assert not flood.wait_s("ana", now), f"closed for flooding after {now:.1f} s"
                heapq.heappush(on_the_way, (now + trip_s, place, ref))
        due = [at for talk in talks if (at := talk.requests.send_at) is not None]
        if on_the_way and on_the_way[0][0] <= min(due, default=on_the_way[0][0]):
            now, place, ref = heapq.heappop(on_the_way)
            if wait := limit.wait_s("ana", now):
                error = protocol.ErrorBody("rate.limited", "Slow.", True, round(wait * 1000) + 1)
                talks[place].answer(ref, now, ok=False, error=error)
            else:
                talks[place].accept(ref, now)
        else:
            now = max(now, min(due))
    assert all(talk.replies == [True] * reads for talk in talks)
    ideal_s = (connections * reads - limits.read_burst) / limits.read_rate
    assert now <= 2 * ideal_s, f"took {now:.0f} s instead of {ideal_s:.0f}"
    return frames


@pytest.mark.parametrize(
    ("connections", "reads", "trip_s"),
    [(1, 400, 0.02), (15, 40, 0.005), (20, 20, 0.005), (20, 60, 0.05), (20, 60, 0.005)],
)
def test_connections_of_one_person_that_want_more_than_the_limit_ask_at_most_thrice_for_each_answer(
    connections: int, reads: int, trip_s: float
) -> None:
    assert frames_of(connections, reads, trip_s) <= 3 * connections * reads


def test_only_the_read_that_was_asked_alone_lets_the_next_go() -> None:
    talk = Talk(limit=32)
    talk.add(*map(history, range(5)))
    assert talk.sent(0.0) == [1, 2, 3, 4, 5]
    talk.refuse(1, 0.0)
    assert talk.sent(1.0) == [6]
    for late in (2, 3):
        talk.accept(late, 1.0)
        assert talk.sent(1.0) == []
    talk.refuse(4, 1.0)
    assert talk.sent(1.8) == [], "the one that was asked alone is still unanswered"
    talk.accept(6, 1.8)
    assert talk.sent(5.0) == [7]


def test_a_connection_that_is_lost_while_a_held_read_is_unanswered_holds_up_nothing_later() -> None:
    talk = Talk()
    talk.add(*map(history, range(3)))
    assert talk.sent(0.0) == [1, 2, 3]
    for ref in (1, 2, 3):
        talk.refuse(ref, 0.0)
    assert talk.sent(0.7) == [4]
    talk.requests.connection_lost()
    for ref in (5, 6, 7):
        assert talk.sent(10.0 * ref) == ([5, 6, 7] if ref == 5 else [])
        talk.accept(ref, 10.0 * ref)
    assert len(talk.replies) == 3


def test_a_new_connection_waits_as_the_old_one_was_told() -> None:
    talk = Talk()
    talk.add(*map(history, range(3)))
    talk.sent(0.0)
    talk.refuse(1, 0.0)
    talk.requests.connection_lost()
    assert talk.sent(0.1) == []
    assert talk.requests.send_at == 0.7
    assert len(talk.sent(0.7)) == 1


def test_held_reads_count_as_commands_that_wait() -> None:
    talk = Talk()
    talk.add(*map(history, range(32)))
    talk.sent(0.0)
    talk.refuse(1, 0.0)
    talk.add(*map(history, range(9_999)))
    talk.sent(0.0)
    assert talk.requests.is_full
