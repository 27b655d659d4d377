"""One room as one process sees it: its events in order, each once, whatever the channel layer does to its hints.

Sans I/O: hints go in, events that are next in order come out, and it says when to read the database instead of
waiting on. Times are seconds of any monotonic clock, passed in (docs/architecture.md, "Feeds").
"""

from collections import deque
from dataclasses import dataclass, field

from chat.wire.feed_event import FeedEvent
from chat.wire.position import Position

HELD_AT_MOST = 1_000
"""Events held ahead of their turn. If there are more, they are dropped and read from the database."""


@dataclass(slots=True)
class Feed:
    """Deliver the events of one numbering in order.

    Args:
        epoch: The numbering. Another one needs another feed.
        head: The seq that the feed starts after.
        run: The run of the database that ``head`` was given in, and in which the feed stands from then on.
        run_seq: A seq from which on the room has been in this run.
        hold_s: How long what is missing may take to come by itself.
        ring_events: Recent events kept for clients that come back.
    """

    epoch: str
    head: int
    run: str = ""
    run_seq: int = 0
    hold_s: float = 0.1
    ring_events: int = 256
    is_in_doubt: bool = False
    """Whether an event contradicted what this feed has delivered: it, or the feed, is of a history that the database
    has lost. Whoever looks at the database clears this."""
    _held: dict[int, FeedEvent] = field(default_factory=dict)
    _known_head: int = 0
    _behind_since: float | None = None
    _ring: deque[FeedEvent] = field(init=False)

    def __post_init__(self) -> None:
        self._ring = deque(maxlen=self.ring_events)

    @property
    def position(self) -> Position:
        """The position that the feed has come to."""
        return Position(self.epoch, self.head, self.run, self.run_seq)

    def is_on(self, at: Position) -> bool:
        """Whether the feed stands in the same numbering and the same run."""
        return (self.epoch, self.run) == (at.epoch, at.run)

    @property
    def known_head(self) -> int:
        """The highest seq that this feed has delivered or been told of."""
        return max(self.head, self._known_head)

    @property
    def is_behind(self) -> bool:
        """Whether the room is known to have moved on past what this feed has delivered."""
        return self._known_head > self.head

    @property
    def repair_at(self) -> float | None:
        """When to read the database unless what is missing arrives first; None when nothing is missing."""
        return None if self._behind_since is None else self._behind_since + self.hold_s

    def offer(self, event: FeedEvent, now: float) -> list[FeedEvent]:
        """Take an event, in any order and any number of times; return the events to deliver now."""
        if event.seq <= self.head:
            # Before `run_seq` lie earlier runs, and it may well be a repeat out of one of them.
            self.is_in_doubt |= event.run != self.run and event.seq >= self.run_seq
            return []
        if event.prev > self.head:
            if len(self._held) >= HELD_AT_MOST:
                self._held.clear()
            self._held[event.seq] = event
            self.expect(event.seq, now)
            return []
        if not self._continues(event):
            return []
        return self._deliver(event, now)

    def expect(self, head: int, now: float) -> None:
        """Learn that the room has reached ``head``. Events up to it are due within the hold time."""
        self._known_head = max(self._known_head, head)
        if self.is_behind and self._behind_since is None:
            self._behind_since = now

    def repaired(self, events: list[FeedEvent], upto: Position, now: float) -> list[FeedEvent]:
        """Take the database's events of ``(head, upto.seq]``; return those to deliver now, later held ones included.

        ``events`` may have begun before the feed's present head: hints may have come during the read.
        """
        out: list[FeedEvent] = []
        for event in events:
            if event.seq > self.head:
                # Hints may have filled part of the gap meanwhile, so the event follows the feed's own head.
                out += self._deliver(event, now)
        if upto.seq > self.head:
            # The room's present state has nothing between here and ``upto``: only the number moves.
            self.head, self.run, self.run_seq = upto.seq, upto.run, upto.run_seq
            out += self._release(now)
        return out

    @property
    def has_memory(self) -> bool:
        """Whether the ring holds recent events to replay."""
        return bool(self._ring)

    def remember(self, events: list[FeedEvent]) -> None:
        """Fill an empty ring with ``events`` that lead up to the head. Read for one client, they serve every client
        that comes back from the same place."""
        if not self._ring and events and events[-1].seq == self.head:
            for event in events:
                self._append(event)

    def since(self, cursor: int) -> list[FeedEvent] | None:
        """The events past ``cursor`` up to the head; None if the ring does not reach back that far."""
        if cursor == self.head:
            return []
        if cursor > self.head or not self._ring or self._ring[0].prev > cursor or self._ring[-1].seq != self.head:
            return None
        return [event for event in self._ring if event.seq > cursor]

    def _continues(self, event: FeedEvent) -> bool:
        """Whether a hint's event, next by its number, follows what was delivered: two histories with the same run are
        the same up to where that run ended. Otherwise there is a doubt."""
        self.is_in_doubt |= event.run_before != self.run
        return event.run_before == self.run

    def _deliver(self, event: FeedEvent, now: float) -> list[FeedEvent]:
        self._append(event)
        return [event, *self._release(now)]

    def _append(self, event: FeedEvent) -> None:
        if self._ring and self._ring[-1].seq < event.prev:
            self._ring.clear()  # a gap: the events before it cannot be replayed
        self._ring.append(event)
        self.head = event.seq
        if event.run != self.run:
            self.run, self.run_seq = event.run, event.seq

    def _release(self, now: float) -> list[FeedEvent]:
        """Take out the held events whose turn has come, and set or clear the alarm for what is still missing."""
        out: list[FeedEvent] = []
        while self._held:
            seq = min(self._held)
            if seq > self.head and self._held[seq].prev > self.head:
                break
            event = self._held.pop(seq)
            if event.seq > self.head and self._continues(event):
                self._append(event)
                out.append(event)
        # Progress restarts the hold time: hints are arriving, if out of order.
        self._behind_since = now if self.is_behind else None
        return out
