"""When a refusal is the last word on a message, and when it is one more reason to try again."""

import uuid

import pytest

from chat.client.core.outbox import TROUBLES_AT_MOST, Outbox, OutboxItem
from chat.wire import errors
from tests.client.core.model_server import half

DEADLINE_S = 15.0


def item(room: str = "1") -> OutboxItem:
    return OutboxItem(str(uuid.uuid4()), "1", room, "x")


def outbox_with(*items: OutboxItem, deadline_s: float = DEADLINE_S) -> Outbox:
    outbox = Outbox(half, deadline_s)
    for each in items:
        outbox.add(each)
    return outbox


def is_kept(outbox: Outbox, message: OutboxItem, error: errors.ChatError, now: float) -> bool:
    """Send the message, which is refused; whether it stays in the outbox."""
    assert message in outbox.ready("1", (), now), "the premise"
    return outbox.refused(message, error, now)


# Final means final -----------------------------------------------------------------------------------------------


def test_a_message_that_was_sent_for_the_first_time_is_refused_for_good_at_once() -> None:
    message = item()
    assert not is_kept(outbox_with(message), message, errors.RoomForbidden(), 0.0)


def test_a_message_that_an_earlier_connection_sent_is_refused_for_good_once_the_deadline_has_passed() -> None:
    """Until then, the server that the earlier connection led to may still store it."""
    message = item()
    outbox = outbox_with(message)
    outbox.ready("1", (), 0.0)
    outbox.disconnected(10.0)
    assert is_kept(outbox, message, errors.RoomForbidden(), 12.0)
    assert outbox.wake_at(12.0) == 10.0 + DEADLINE_S
    assert outbox.ready("1", (), 24.9) == []
    assert not is_kept(outbox, message, errors.RoomForbidden(), 25.0)


def test_a_message_that_was_not_sent_before_its_connection_ended_is_refused_at_once() -> None:
    first, behind = item(), item()
    outbox = outbox_with(first, behind)
    outbox.ready("1", (), 0.0)
    outbox.disconnected(10.0)
    outbox.ready("1", (), 11.0)
    outbox.stored(first)
    assert not is_kept(outbox, behind, errors.RoomForbidden(), 12.0)


def test_a_message_of_an_earlier_run_counts_as_sent_before() -> None:
    message = item()
    outbox = Outbox(half, DEADLINE_S)
    outbox.add(message, sent_before=100.0)
    assert is_kept(outbox, message, errors.MessageTooLong(), 101.0)
    assert not is_kept(outbox, message, errors.MessageTooLong(), 115.0)


def test_a_server_error_leaves_open_whether_the_message_is_stored() -> None:
    message = item()
    outbox = outbox_with(message)
    assert is_kept(outbox, message, errors.ServerError(), 0.0)
    assert is_kept(outbox, message, errors.RoomForbidden(), 5.0)
    assert not is_kept(outbox, message, errors.RoomForbidden(), 15.0)


def test_a_server_that_announces_no_deadline_is_believed_at_once() -> None:
    message = item()
    outbox = outbox_with(message, deadline_s=0.0)
    outbox.ready("1", (), 0.0)
    outbox.disconnected(10.0)
    assert not is_kept(outbox, message, errors.RoomForbidden(), 12.0)


# Nothing blocks an outbox for ever -------------------------------------------------------------------------------


def refuse(outbox: Outbox, message: OutboxItem, times: int, error: errors.ChatError) -> bool:
    """Whether the message is still there."""
    return all(is_kept(outbox, message, error, outbox.wake_at(0.0) or 0.0) for _ in range(times))


def test_a_message_that_only_the_server_fails_on_is_given_up_when_others_go_through() -> None:
    poison, behind, other = item("1"), item("1"), item("2")
    outbox = outbox_with(poison, behind, other)
    assert refuse(outbox, poison, TROUBLES_AT_MOST - 1, errors.ServerError())
    outbox.stored(other)
    assert not refuse(outbox, poison, 1, errors.ServerError())
    assert behind in outbox.ready("1", (), 1000.0)


def test_a_server_that_stores_nothing_at_all_makes_nobody_give_up() -> None:
    message, other = item("1"), item("2")
    outbox = outbox_with(message, other)
    outbox.stored(other)  # before the trouble began
    assert refuse(outbox, message, 50, errors.ServerError())


@pytest.mark.parametrize("error", [errors.ServerBusy(), errors.RateLimited(retry_after_ms=10)])
def test_a_server_that_is_busy_makes_nobody_give_up(error: errors.ChatError) -> None:
    message, other = item("1"), item("2")
    outbox = outbox_with(message, other)
    assert refuse(outbox, message, 2, error)
    outbox.stored(other)
    assert refuse(outbox, message, 20, error)


def test_the_errors_of_a_message_count_over_all_connections() -> None:
    message, other = item("1"), item("2")
    outbox = outbox_with(message, other)
    for _ in range(TROUBLES_AT_MOST - 1):
        assert refuse(outbox, message, 1, errors.ServerError())
        outbox.disconnected(0.0)
    outbox.stored(other)
    assert not refuse(outbox, message, 1, errors.ServerError())
