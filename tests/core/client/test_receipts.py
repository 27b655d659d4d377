"""How often a client says what it has taken in."""

from chat.core.client.receipts import Receipts
from chat.wire import protocol


def greeted() -> Receipts:
    receipts = Receipts()
    receipts.took(100, 0.0)
    receipts.greeted(protocol.Flow(frames=4, seconds=10), 0.0)
    return receipts


def test_after_so_many_frames_the_first_ones_included() -> None:
    receipts = greeted()
    assert [receipts.took(100, 1.0) for _ in range(7)] == [None, None, 4, None, None, None, 8]


def test_so_long_after_an_unacknowledged_one() -> None:
    receipts = greeted()
    assert receipts.due_at == 10
    assert receipts.tick(9.9) is None
    assert receipts.tick(10.0) == 1
    assert receipts.due_at is None
    receipts.took(100, 12.0)
    assert receipts.due_at == 22


def test_after_256_kib_whatever_the_frames() -> None:
    receipts = greeted()
    assert receipts.took(256 * 1024 - 101, 1.0) is None
    assert receipts.took(1, 1.0) == 3


def test_not_at_all_if_it_is_not_wanted() -> None:
    receipts = Receipts()
    receipts.greeted(None, 0.0)
    assert [receipts.took(1 << 20, 0.0) for _ in range(100)] == [None] * 100
    assert receipts.due_at is None
