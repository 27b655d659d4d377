"""The window: a client that takes in what it is sent is never held up, one that does not is told from it in time."""

from hypothesis import given
from hypothesis import strategies as st

from chat.live.flow import HARD_LIMIT, MOVED_BYTES, SeenWindow, Window


def test_a_window_fills_by_frames():
    window = Window(frames=2, size=10_000)
    window.sending(1, 0.0)
    assert window.has_room
    window.sending(1, 0.0)
    assert not window.has_room


def test_a_window_fills_by_bytes():
    window = Window(frames=100, size=1_000)
    window.sending(1_000, 0.0)
    assert not window.has_room


def test_an_acknowledgement_makes_room():
    window = Window(frames=2, size=10_000)
    window.sending(1, 0.0)
    window.sending(1, 0.0)
    assert window.received(1, 1.0)
    assert window.has_room


def test_a_client_cannot_acknowledge_frames_that_were_not_sent():
    window = Window()
    window.sending(1, 0.0)
    assert not window.received(2, 0.0)
    assert window.taken == 0


def test_an_older_acknowledgement_changes_nothing():
    window = Window()
    for _ in range(3):
        window.sending(10, 0.0)
    window.received(3, 0.0)
    assert window.received(1, 0.0)
    assert (window.taken, window.unacknowledged_bytes) == (3, 0)


def test_a_full_window_is_stalled_once_a_due_acknowledgement_is_overdue():
    window = Window(frames=100, size=1 << 30, ack_frames=10, ack_s=10.0, stall_s=10.0)
    for _ in range(100):
        window.sending(1, 5.0)
    assert not window.is_stalled(15.0)
    assert window.is_stalled(15.1)


def test_few_large_frames_are_given_the_time_that_the_client_was_promised():
    window = Window(frames=100, size=1_000, ack_frames=10, ack_s=10.0, stall_s=10.0)
    window.sending(2_000, 0.0)
    assert not window.is_stalled(20.0), "the client may acknowledge 10 s after the frame"
    assert window.is_stalled(20.1)


def test_progress_restarts_the_clock():
    window = Window(frames=100, size=1 << 30, ack_frames=10, stall_s=10.0)
    for _ in range(100):
        window.sending(1, 0.0)
    window.received(5, 9.0)
    assert not window.is_stalled(18.9)
    assert window.is_stalled(19.1)


def test_a_quiet_client_with_room_is_never_stalled():
    window = Window()
    window.sending(100, 0.0)
    assert not window.is_stalled(1e6)


def test_a_client_that_only_asks_is_flooded():
    window = Window(frames=2, size=1 << 30)
    for _ in range(2 * HARD_LIMIT):
        window.sending(1, 0.0)
    assert window.is_flooded


@given(st.lists(st.one_of(st.integers(1, 5_000), st.tuples(st.integers(0, 60))), max_size=80))
def test_bytes_and_frames_are_those_sent_and_not_taken(steps: list[int | tuple[int]]):
    window = Window(frames=20, size=20_000)
    sent: list[int] = []
    taken = 0
    for step in steps:
        if isinstance(step, int):
            window.sending(step, 0.0)
            sent.append(step)
        else:
            (claim,) = step
            assert window.received(claim, 0.0) == (claim <= len(sent))
            if claim <= len(sent):
                taken = max(taken, claim)
        outstanding = sent[taken:]
        assert window.unacknowledged_bytes == sum(outstanding)
        assert window.has_room == (len(outstanding) < 20 and sum(outstanding) < 20_000)


class Sent:
    """A ``SeenWindow`` of 1,000 bytes, and what of it the kernel has not taken."""

    def __init__(self) -> None:
        self.unsent = 0
        self.window = SeenWindow(lambda: self.unsent, size=1_000, stall_s=10.0)

    def send(self, size: int, now: float = 0.0) -> None:
        self.window.sending(size, now)
        self.unsent += size


def test_a_seen_window_is_as_full_as_what_is_unsent():
    sent = Sent()
    sent.send(500)
    assert sent.window.is_half_empty
    sent.send(499)
    assert not sent.window.is_half_empty
    assert sent.window.has_room
    sent.send(1)
    assert not sent.window.has_room
    assert not sent.window.is_flooded
    sent.send((HARD_LIMIT - 1) * 1_000)
    assert sent.window.is_flooded
    sent.unsent = 0
    assert sent.window.has_room


def test_a_seen_window_takes_no_claim_for_frames_that_were_not_sent():
    sent = Sent()
    sent.send(1)
    assert sent.window.received(1, 0.0)
    assert not sent.window.received(2, 0.0)


def test_a_seen_window_is_stalled_when_nothing_moves_and_only_while_it_is_half_full():
    sent = Sent()
    sent.send(501)
    assert not sent.window.is_stalled(0.0)
    assert not sent.window.is_stalled(10.0)
    assert sent.window.is_stalled(10.1)
    sent.unsent = 500
    assert not sent.window.is_stalled(10.2)


def test_a_client_that_reads_a_byte_now_and_then_is_stalled_and_one_that_reads_slowly_is_not():
    trickling, slow = Sent(), Sent()
    for sent in (trickling, slow):
        sent.send(1_000_000)
        assert not sent.window.is_stalled(0.0)
    for second in range(1, 11):
        trickling.unsent -= 1
        slow.unsent -= MOVED_BYTES
        assert not trickling.window.is_stalled(float(second))
        assert not slow.window.is_stalled(float(second))
    assert trickling.window.is_stalled(11.0)
    assert not slow.window.is_stalled(11.0)
