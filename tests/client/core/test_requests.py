"""What becomes of a command that the server refuses because of its limit."""

from typing import Any

import pytest

from chat.client.core.requests import Request, Requests
from chat.runtime.rates import RateLimit
from chat.wire import protocol

LIMITED = protocol.ErrorBody("rate.limited", "Slow.", True, 700)


class Talk:
    """Requests of a client, and the replies they have had."""

    def __init__(self, rng: float = 0.0, limit: int = 32):
        self.requests = Requests(lambda: rng, limit)
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
        (command,) = talk.requests.sendable(2.0)
        assert isinstance(command, protocol.History)
        assert (command.ref, talk.sent(2.0)) == (ref, [])
        order.append(command.room)
        talk.accept(ref, 2.0)
    assert order == ["0", "1", "2", "3"]
    talk.add(*map(history, range(2)))
    assert talk.sent(2.0) == [8, 9], "afterwards as before"


def test_the_wait_is_spread_bounded_and_never_nothing() -> None:
    waits = {}
    for asked, rng in ((700, 0.0), (700, 1.0), (0, 0.0), (-5, 0.0), (10**12, 0.0), (None, 0.0)):
        talk = Talk(rng)
        talk.add(history(1))
        talk.sent(0.0)
        talk.answer(1, 0.0, ok=False, error=protocol.ErrorBody("rate.limited", "Slow.", True, asked))
        waits[asked, rng] = talk.requests.send_at
    assert [*waits.values()] == [0.7, 0.875, 0.1, 0.1, 60.0, 1.0]


def test_a_client_that_wants_more_than_its_limit_asks_hardly_more_often_than_it_is_answered() -> None:
    """A limit as the server's own, and a network that answers after 20 ms."""
    limit, talk, now, frames = RateLimit(rate=10, burst=100), Talk(rng=0.5), 0.0, 0
    talk.add(*map(history, range(400)))
    answers: list[tuple[float, int]] = []
    while True:
        for ref in talk.sent(now):
            frames += 1
            answers.append((now + 0.02, ref))
        if answers:
            now, ref = answers.pop(0)
            wait = limit.wait_s("ana", now)
            error = protocol.ErrorBody("rate.limited", "Slow.", True, round(wait * 1000) + 1)
            talk.answer(ref, now, **({"ok": False, "error": error} if wait else {"ok": True, "result": {}}))
        elif (at := talk.requests.send_at) is not None:
            now = at
        else:
            break
    assert talk.replies == [True] * 400
    assert frames <= 2 * 400
    assert 30 <= now <= 45


def test_held_reads_count_as_commands_that_wait() -> None:
    talk = Talk()
    talk.add(*map(history, range(32)))
    talk.sent(0.0)
    talk.refuse(1, 0.0)
    talk.add(*map(history, range(9_999)))
    talk.sent(0.0)
    assert talk.requests.is_full


def test_what_is_held_is_sent_on_the_next_connection() -> None:
    talk = Talk()
    talk.add(history(1), history(2))
    assert talk.sent(0.0) == [1, 2]
    talk.refuse(2, 10.0)
    talk.requests.connection_lost()
    assert talk.requests.send_at is None
    assert talk.sent(10.1) == [3, 4]
