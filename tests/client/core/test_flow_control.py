"""How often a client acknowledges what it has received."""

from chat.client.core.flow_control import FlowControl
from chat.wire import protocol


def greeted() -> FlowControl:
    flow = FlowControl()
    flow.took(100, 0.0)
    flow.greeted(protocol.Flow(frames=4, seconds=10), 0.0)
    return flow


def test_received_is_sent_after_so_many_frames_including_the_first_ones() -> None:
    flow = greeted()
    assert [flow.took(100, 1.0) for _ in range(7)] == [None, None, 4, None, None, None, 8]


def test_so_long_after_an_unacknowledged_one() -> None:
    flow = greeted()
    assert flow.due_at == 10
    assert flow.tick(9.9) is None
    assert flow.tick(10.0) == 1
    assert flow.due_at is None
    flow.took(100, 12.0)
    assert flow.due_at == 22


def test_after_256_kib_whatever_the_frames() -> None:
    flow = greeted()
    assert flow.took(256 * 1024 - 101, 1.0) is None
    assert flow.took(1, 1.0) == 3


def test_not_at_all_if_it_is_not_wanted() -> None:
    flow = FlowControl()
    flow.greeted(None, 0.0)
    assert [flow.took(1 << 20, 0.0) for _ in range(100)] == [None] * 100
    assert flow.due_at is None


def test_after_as_many_bytes_as_the_server_asks_for() -> None:
    flow = FlowControl()
    flow.greeted(protocol.Flow(frames=1_000, seconds=10, bytes=1_000), 0.0)
    assert [flow.took(499, 1.0), flow.took(499, 1.0), flow.took(2, 1.0), flow.took(999, 1.0)] == [None, None, 3, None]
