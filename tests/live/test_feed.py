"""The feed: whatever the channel layer does to hints, events come out in order, each once, all in the end."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from chat.live.feed import HELD_AT_MOST, Feed, FeedEvent
from chat.wire.position import Position


def event(seq: int, prev: int | None = None, leaver: str | None = None) -> FeedEvent:
    return FeedEvent(seq, seq - 1 if prev is None else prev, f"e{seq}".encode(), leaver)


def seqs(events: list[FeedEvent]) -> list[int]:
    return [each.seq for each in events]


def of_run(seq: int, run: str, run_before: str | None = None) -> FeedEvent:
    return FeedEvent(seq, seq - 1, b"", None, run, run if run_before is None else run_before)


def test_a_run_that_begins_after_the_feeds_own_is_followed():
    feed = Feed("a", 4, "r1", 2)
    assert seqs(feed.offer(of_run(5, "r1"), 0)) == [5]
    assert seqs(feed.offer(of_run(6, "r2", "r1"), 0)) == [6]
    assert feed.position == Position("a", 6, "r2", 6)
    assert not feed.offer(of_run(5, "r1"), 0)
    assert not feed.is_in_doubt, "a repeat of what came before the run"


def test_an_event_that_follows_another_run_is_not_delivered_and_puts_the_feed_in_doubt():
    feed = Feed("a", 4, "r1", 2)
    assert not feed.offer(of_run(5, "r2", "r0"), 0)
    assert feed.is_in_doubt


def test_a_seq_that_was_given_out_again_puts_the_feed_in_doubt():
    feed = Feed("a", 6, "r1", 2)
    assert not feed.offer(of_run(5, "r2", "r1"), 0)
    assert feed.is_in_doubt


def test_an_event_that_was_held_is_looked_at_when_its_turn_comes():
    feed = Feed("a", 4, "r1", 2)
    assert not feed.offer(of_run(6, "r1"), 0)
    assert not feed.is_in_doubt
    assert seqs(feed.offer(of_run(5, "r2", "r1"), 0)) == [5]
    assert feed.is_in_doubt, "6 followed a 5 of the run before"


def test_a_repair_takes_the_feed_to_the_run_that_it_read():
    feed = Feed("a", 4, "r1", 2)
    feed.expect(7, 0)
    events = [FeedEvent(6, 4, b"", None, "r2", "r1")]
    assert seqs(feed.repaired(events, Position("a", 7, "r3", 7), 0)) == [6]
    assert feed.position == Position("a", 7, "r3", 7)


def test_an_event_in_turn_is_delivered_at_once():
    feed = Feed("a", 4)
    assert seqs(feed.offer(event(5), 0.0)) == [5]
    assert feed.repair_at is None


def test_an_event_ahead_is_held_until_the_one_before_it_comes():
    feed = Feed("a", 4, hold_s=0.1)
    assert feed.offer(event(6), 1.0) == []
    assert feed.repair_at == 1.1
    assert seqs(feed.offer(event(5), 1.05)) == [5, 6]
    assert feed.repair_at is None


def test_an_event_behind_is_dropped():
    feed = Feed("a", 4)
    assert feed.offer(event(4), 0.0) == []
    assert feed.head == 4


def test_an_event_whose_prev_lies_behind_is_delivered():
    feed = Feed("a", 4)
    assert seqs(feed.offer(event(9, prev=2), 0.0)) == [9]


def test_a_head_seen_in_the_database_makes_a_repair_due_after_the_hold_time():
    feed = Feed("a", 4, hold_s=0.1)
    feed.expect(7, 2.0)
    assert feed.repair_at == 2.1


def test_a_repair_delivers_what_was_missing_and_what_was_held():
    feed = Feed("a", 4)
    feed.offer(event(9), 0.0)
    assert seqs(feed.repaired([event(6, 4), event(8, 6)], Position("a", 8), 0.2)) == [6, 8, 9]
    assert feed.repair_at is None


def test_hints_that_came_during_a_repair_are_not_delivered_twice():
    feed = Feed("a", 4)
    feed.offer(event(5), 0.0)
    assert seqs(feed.repaired([event(5, 4), event(7, 5)], Position("a", 7), 0.2)) == [7]


def test_a_repair_that_finds_nothing_in_between_moves_the_head():
    feed = Feed("a", 4)
    feed.expect(6, 0.0)
    assert feed.repaired([], Position("a", 6), 0.2) == []
    assert (feed.head, feed.repair_at) == (6, None)


def test_the_ring_replays_from_any_cursor_it_reaches():
    feed = Feed("a", 4)
    for seq in (5, 6, 7):
        feed.offer(event(seq), 0.0)
    assert seqs(feed.since(4) or []) == [5, 6, 7]
    assert seqs(feed.since(6) or []) == [7]
    assert feed.since(7) == []


def test_the_ring_says_when_it_does_not_reach_back():
    feed = Feed("a", 4, ring_events=2)
    for seq in (5, 6, 7):
        feed.offer(event(seq), 0.0)
    assert feed.since(4) is None
    assert feed.since(8) is None


def test_a_hole_in_the_ring_is_not_replayed_over():
    feed = Feed("a", 4)
    feed.offer(event(5), 0.0)
    feed.repaired([], Position("a", 7), 0.0)
    feed.offer(event(8), 0.0)
    assert feed.since(4) is None
    assert seqs(feed.since(7) or []) == [8]


def test_held_events_are_bounded():
    feed = Feed("a", 0)
    for seq in range(2, 2 * HELD_AT_MOST):
        feed.offer(event(seq), 0.0)
    assert len(feed._held) <= HELD_AT_MOST
    assert feed.is_behind


@dataclass
class Layer:
    """A channel layer that loses, doubles and reorders the hints of a log of ``length`` events."""

    length: int
    losses: set[int]
    order: list[int] = field(default_factory=list)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    length = draw(st.integers(1, 25))
    hints = draw(st.lists(st.integers(1, length), max_size=60))
    return Layer(length, set(range(1, length + 1)) - set(hints), hints)


@settings(max_examples=500, deadline=None)
@given(layers(), st.integers(0, 25), st.lists(st.integers(0, 60), max_size=4))
def test_whatever_the_layer_does_every_event_comes_once_and_in_order(layer: Layer, start: int, repairs: list[int]):
    start = min(start, layer.length)
    feed = Feed("a", start, ring_events=8)
    shown: list[int] = []
    now = 0.0
    for step, seq in enumerate(layer.order):
        now += 0.01
        before = feed.head
        shown += seqs(feed.offer(event(seq), now))
        if step in repairs:
            # The database was read at an older head: hints have come since.
            read_from = min(before, feed.head)
            upto = max(read_from, seq)
            shown += seqs(
                feed.repaired([event(each) for each in range(read_from + 1, upto + 1)], Position("a", upto), now)
            )
        assert shown == list(range(start + 1, feed.head + 1))
    feed.expect(layer.length, now)
    if feed.head < layer.length:
        assert feed.repair_at is not None, "a feed that is behind must say when to read the database"
        missing = [event(each) for each in range(feed.head + 1, layer.length + 1)]
        shown += seqs(feed.repaired(missing, Position("a", layer.length), now + 1))
    assert shown == list(range(start + 1, layer.length + 1))
    assert feed.repair_at is None
    for cursor in range(start, layer.length + 1):
        replay = feed.since(cursor)
        assert replay is None or seqs(replay) == list(range(cursor + 1, layer.length + 1))


def test_events_read_for_one_client_serve_the_next():
    feed = Feed("a", 7)
    feed.remember([event(5, 3), event(7, 5)])
    assert seqs(feed.since(3) or []) == [5, 7]
    assert feed.since(2) is None
    assert seqs(feed.offer(event(8), 0.0)) == [8]
    assert seqs(feed.since(4) or []) == [5, 7, 8]


def test_a_feed_with_a_memory_of_its_own_keeps_it():
    feed = Feed("a", 4)
    feed.offer(event(5), 0.0)
    feed.remember([event(3, 1), event(5, 3)])
    assert feed.since(1) is None


def test_events_that_do_not_lead_up_to_the_head_are_not_remembered():
    feed = Feed("a", 9)
    feed.remember([event(5, 3), event(7, 5)])
    assert not feed.has_memory
