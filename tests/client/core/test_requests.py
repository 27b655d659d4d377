"""What becomes of a command that the server refuses because of its limit."""

from typing import Any

import pytest

from chat.client.core.requests import Request, Requests
from chat.wire import protocol

LIMITED = protocol.ErrorBody("rate.limited", "Slow.", True, 700)


class Asked:
    """A command of which the answers are kept."""

    def __init__(self, requests: Requests, command: protocol.Command):
        self.replies: list[protocol.ReplyEvent] = []
        self._requests = requests
        requests.add(Request(command, lambda reply, now: self.replies.append(reply), "keep"))

    def sent(self, now: float) -> list[int]:
        return [each.ref for each in self._requests.sendable(now)]  # type: ignore[union-attr]

    def answer(self, ref: int, now: float, **fields: Any) -> None:
        request = self._requests.take(ref)
        assert request
        self._requests.answered(request, protocol.ReplyEvent(ref=ref, **fields), now)


@pytest.mark.parametrize(
    "command",
    [protocol.History(ref=1, room="1"), protocol.ListMembers(ref=1, room="1"), protocol.ListRooms(ref=1, scope="mine")],
)
def test_what_only_reads_is_asked_again_when_the_server_says_so(command: protocol.Command) -> None:
    requests = Requests()
    asked = Asked(requests, command)
    assert asked.sent(0.0) == [1]
    asked.answer(1, 10.0, ok=False, error=LIMITED)
    assert requests.again_at == 10.7
    assert asked.sent(10.6) == []
    assert asked.sent(10.7) == [2]
    assert requests.again_at is None
    asked.answer(2, 11.0, ok=True, result={})
    assert [each.ok for each in asked.replies] == [True]


def test_a_change_is_its_callers_to_repeat() -> None:
    requests = Requests()
    asked = Asked(requests, protocol.JoinRoom(ref=1, room="1"))
    asked.sent(0.0)
    asked.answer(1, 10.0, ok=False, error=LIMITED)
    assert [each.error for each in asked.replies] == [LIMITED]
    assert requests.again_at is None


def test_what_waits_to_be_asked_again_is_asked_on_the_next_connection() -> None:
    requests = Requests()
    asked = Asked(requests, protocol.History(ref=1, room="1"))
    asked.sent(0.0)
    asked.answer(1, 10.0, ok=False, error=LIMITED)
    requests.connection_lost()
    assert requests.again_at is None
    assert asked.sent(10.1) == [2]
