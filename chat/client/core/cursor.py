"""How far a client has come in one room, and what to do when something is missing. Sans I/O.

See docs/protocol.md, section 4, points 2-4: an event that follows the cursor is applied, an older one is dropped, and
one that is ahead is held. What does not come by itself is fetched with ``sync``. Times are seconds of any monotonic
clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import UNSET

from chat.wire.protocol import Cursor, HistoryPage, MemberPage, RoomEvent

PATIENCE_S = 2.0
JITTER_S = 3.0
"""Syncs are spread over this time, so that a thousand clients that miss the same event do not ask at one moment."""
AHEAD_S = PATIENCE_S + JITTER_S
"""How long a page may be ahead of the events: the room is synced by then, if one of them was lost."""
HELD_AT_MOST = 500
"""Events held. A sync brings all of them anyway; holding more would only cost memory."""


def differ_in_run(one: Cursor | HistoryPage | MemberPage, other: Cursor | HistoryPage | MemberPage) -> bool:
    """Whether the two are of different runs of the database: at most one of them is of the history that stands."""
    return UNSET not in (one.run, other.run) and one.run != other.run


def is_past(page: HistoryPage | MemberPage, position: Cursor) -> bool:
    """Whether the client's events have yet to come as far as the page. A page of a server that names no run counts as
    it always did."""
    return page.run is not UNSET and page.epoch == position.epoch and page.seq > position.seq


def prev_of(event: RoomEvent) -> int:
    """The seq that the event follows."""
    return event.prev if isinstance(event.prev, int) else event.seq - 1


@dataclass(slots=True)
class RoomCursor:
    rng: Callable[[], float]
    position: Cursor | None = None
    is_syncing: bool = False
    _held: dict[int, RoomEvent] = field(default_factory=dict)
    _head: int = 0
    _whole: Cursor | None = None
    """The position before the first event of a reading of which more is to come."""
    _upto: int = 0
    """The seq that this reading reaches to."""
    _missing_at: float | None = None
    _waited_from: int = -1
    _demanded_at: float | None = None

    @property
    def sync_from(self) -> Cursor | None:
        """The cursor to send with ``sync``, and to keep: what lies before it has come whole.

        It is behind the position while events come that were read from the room's later state: a change that is not
        among them stands in one that is still to come, and would be missed if the database lost that one.
        """
        return self._whole or self.position

    @property
    def sync_at(self) -> float | None:
        """When to send ``sync``; None while nothing is missing, or one is under way: never two at once."""
        if self.is_syncing:
            return None
        due = [at for at in (self._missing_at, self._demanded_at) if at is not None]
        return min(due) if due else None

    def take(self, event: RoomEvent, now: float) -> list[RoomEvent]:
        """Take a numbered event, and return the events to apply now, in order."""
        if self.position is not None and event.seq <= self.position.seq:
            if event.run not in (UNSET, self.position.run):
                self.want_sync(now)  # the room has gone on from before what was applied here: the server knows
            return []
        if not self._follows(event):
            self._hold(event)
            self._watch(now)
            return []
        return [self._advance(event), *self._release(now)]

    def heard(self, head: int, now: float) -> None:
        """``heads`` says that this connection has been sent everything up to ``head``."""
        self._head = max(self._head, head)
        self._watch(now)

    def synced(self, position: Cursor, now: float) -> list[RoomEvent]:
        """End a catch-up, and return the held events to apply now. Live events may have come further meanwhile."""
        here = self.position
        if here is None or here.epoch != position.epoch or here.seq <= position.seq:
            self.position, self._whole, self._upto = position, None, 0
        return self._release(now)

    def reset(self, position: Cursor) -> None:
        """Start the room over at ``position``: nothing that was seen of it before counts."""
        self.position, self._whole, self._upto = position, None, 0
        self._forget()

    def want_sync(self, at: float) -> None:
        """Ask for a sync at ``at`` even if nothing is known to be missing. A sync that is under way ends first."""
        self._demanded_at = at

    def sync_started(self) -> None:
        self.is_syncing, self._missing_at, self._demanded_at, self._waited_from = True, None, None, -1

    def sync_ended(self, now: float) -> None:
        """The reply to ``sync`` came."""
        self.is_syncing = False
        self._watch(now)

    def disconnected(self) -> None:
        """Forget what the connection held and announced, and keep the position."""
        self.is_syncing = False
        self._forget()

    def _follows(self, event: RoomEvent) -> bool:
        return self.position is not None and prev_of(event) <= self.position.seq < event.seq

    def _advance(self, event: RoomEvent) -> RoomEvent:
        assert self.position is not None
        run = self.position.run if event.run is UNSET else event.run
        if isinstance(event.upto, int) and event.upto > event.seq:
            self._whole = self._whole or self.position
            self._upto = max(self._upto, event.upto)
        self.position = Cursor(self.position.epoch, event.seq, run)
        if event.seq >= self._upto:
            self._whole, self._upto = None, 0
        return event

    def _hold(self, event: RoomEvent) -> None:
        self._head = max(self._head, event.seq)
        held = self._held.get(event.seq)
        # A repair may bring the same event again with a lower `prev`.
        if held is None or prev_of(event) < prev_of(held):
            self._held[event.seq] = event
        if len(self._held) > HELD_AT_MOST:
            del self._held[max(self._held)]

    def _release(self, now: float) -> list[RoomEvent]:
        out: list[RoomEvent] = []
        for seq in sorted(self._held):
            if self._follows(self._held[seq]):
                out.append(self._advance(self._held[seq]))
        if self._held:
            here = self.position.seq if self.position else -1
            self._held = {seq: event for seq, event in self._held.items() if seq > here}
        self._watch(now)
        return out

    def _watch(self, now: float) -> None:
        """Start the wait for what is missing, or end it."""
        if self.is_syncing:
            return
        if self.position is None or self._head <= self.position.seq:
            self._missing_at, self._waited_from = None, -1
        elif self._waited_from != self.position.seq:
            # What was missing has come, and something else is missing now: that gets the full wait of its own.
            self._waited_from = self.position.seq
            self._missing_at = now + PATIENCE_S + JITTER_S * self.rng()

    def _forget(self) -> None:
        self._held.clear()
        self._head, self._waited_from, self._missing_at, self._demanded_at = 0, -1, None, None
