"""One room as one process sees it: its events in order, each once, whatever the channel layer does to them.

Sans I/O: hints go in, events that are next in order come out, and it says when to read the database instead of
waiting on. Times are seconds of any monotonic clock, passed in (docs/architecture.md, "Feeds").
"""

from collections import deque
from dataclasses import dataclass, field

from chat.wire.feed_event import FeedEvent

HELD_AT_MOST = 1_000
"""Events held ahead of their turn. More means that much was lost: they are dropped, and the database tells."""


@dataclass(slots=True)
class Feed:
    """Deliver the events of one run of numbers in order.

    Args:
        epoch: The run of numbers. Another one needs another feed.
        head: The seq that the feed starts after.
        hold_s: How long what is missing may take to come by itself.
        ring_events: Recent events kept for clients that come back.
    """

    epoch: str
    head: int
    hold_s: float = 0.1
    ring_events: int = 256
    _held: dict[int, FeedEvent] = field(default_factory=dict)
    _known_head: int = 0
    _behind_since: float | None = None
    _ring: deque[FeedEvent] = field(init=False)

    def __post_init__(self) -> None:
        self._ring = deque(maxlen=self.ring_events)

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
        """When to read the database, unless what is missing comes before; None when nothing is missing."""
        return None if self._behind_since is None else self._behind_since + self.hold_s

    def offer(self, event: FeedEvent, now: float) -> list[FeedEvent]:
        """Take one hint, in any order and any number of times; the events that are to be delivered now."""
        if event.seq <= self.head:
            return []
        if event.prev > self.head:
            if len(self._held) >= HELD_AT_MOST:
                self._held.clear()
            self._held[event.seq] = event
            self.expect(event.seq, now)
            return []
        return self._deliver(event, now)

    def expect(self, head: int, now: float) -> None:
        """Learn that the room has come as far as ``head``. Events up to it are due within the hold time."""
        self._known_head = max(self._known_head, head)
        if self.is_behind and self._behind_since is None:
            self._behind_since = now

    def repaired(self, events: list[FeedEvent], upto: int, now: float) -> list[FeedEvent]:
        """Take what the database says of ``(head, upto]``; the events to deliver now, later held ones included.

        ``events`` may have begun before the feed's present head: hints may have come during the read.
        """
        out: list[FeedEvent] = []
        for event in events:
            if event.seq > self.head:
                # What came by hint meanwhile is not missing any more, so the event follows the feed's own head.
                out += self._deliver(event, now)
        if upto > self.head:
            # Nothing of the room's present state lies between: only the number moves.
            self.head = upto
            out += self._release(now)
        return out

    @property
    def has_memory(self) -> bool:
        """Whether there are recent events to replay."""
        return bool(self._ring)

    def remember(self, events: list[FeedEvent]) -> None:
        """Let an empty ring reach back over ``events``, which lead up to the head: read for one client, they serve
        all who come back from the same place."""
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

    def _deliver(self, event: FeedEvent, now: float) -> list[FeedEvent]:
        self._append(event)
        return [event, *self._release(now)]

    def _append(self, event: FeedEvent) -> None:
        if self._ring and self._ring[-1].seq < event.prev:
            self._ring.clear()  # a hole: what lies before it can't be replayed
        self._ring.append(event)
        self.head = event.seq

    def _release(self, now: float) -> list[FeedEvent]:
        """Held events whose turn has come; and set, or clear, the alarm for what is still missing."""
        out: list[FeedEvent] = []
        while self._held:
            seq = min(self._held)
            if seq > self.head and self._held[seq].prev > self.head:
                break
            event = self._held.pop(seq)
            if event.seq > self.head:
                self._append(event)
                out.append(event)
        # Progress restarts the hold time: hints are arriving, only out of order.
        self._behind_since = now if self.is_behind else None
        return out
