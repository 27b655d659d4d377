"""An application is handed every message once, by number, without gaps."""

from hypothesis import given
from hypothesis import strategies as st

from chat.client.core.inbox import Inbox
from chat.wire import protocol
from chat.wire.protocol import HistoryPage
from tests.client.core.model_room import events


def test_messages_come_by_number_whatever_the_order_of_arrival() -> None:
    room, _ = events(3)
    inbox = Inbox("1", 0)
    inbox.offer(room.messages[2])
    assert inbox.take() is None
    inbox.offer(room.messages[0])
    inbox.offer(room.messages[1])
    assert [inbox.take().message.number for _ in range(3)] == [1, 2, 3]  # type: ignore[union-attr]
    assert inbox.take() is None


@given(st.permutations(range(12)), st.integers(1, 12))
def test_no_order_of_arrival_and_taking_makes_a_hole(order: list[int], every: int) -> None:
    room, _ = events(12)
    inbox = Inbox("1", 0)
    taken = []
    for turn, place in enumerate(order):
        inbox.offer(room.messages[place])
        if turn % every == 0 and (news := inbox.take()) is not None:
            taken.append(news)
    while (news := inbox.take()) is not None:
        taken.append(news)
    assert [each.message.number for each in taken] == list(range(1, 13))  # type: ignore[union-attr]


def test_messages_that_will_not_come_as_events_are_fetched() -> None:
    room, _ = events(400)
    inbox = Inbox("1", 0)
    inbox.expect(400)
    taken = []
    while len(taken) < 400:
        if (news := inbox.take()) is not None:
            taken.append(news.message.number)  # type: ignore[union-attr]
            continue
        after = inbox.fetch_after
        assert after is not None
        page = room.messages[after : after + 100]
        inbox.offer_page(HistoryPage(page, {}, after > 0, after + 100 < 400, "e1", 400))
    assert taken == list(range(1, 401))
    assert inbox.fetch_after is None


def test_a_change_is_told_once() -> None:
    room, _ = events(1)
    inbox = Inbox("1", 0)
    inbox.is_open = True
    inbox.offer(room.messages[0])
    inbox.take()
    room.edit(1)
    for _ in range(2):
        inbox.offer(room.messages[0])
    assert isinstance(inbox.take(), protocol.MessageChanged)
    assert inbox.take() is None


def test_an_edit_before_its_message_is_taken_is_part_of_it() -> None:
    room, _ = events(1)
    inbox = Inbox("1", 0)
    inbox.is_open = True
    inbox.offer(room.messages[0])
    room.edit(1)
    inbox.offer(room.messages[0])
    assert inbox.take().message.body.startswith("edit")  # type: ignore[union-attr]
    assert inbox.take() is None
