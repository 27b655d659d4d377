"""One room that somebody here follows: its feed, its followers, and the events that wait to be sent to them."""

from chat.live.connection import FRAME_BYTES, Chunk, Connection
from chat.live.feed import Feed
from chat.wire.feed_event import FeedEvent


class LiveRoom:
    """``members`` follow the feed; ``waiting`` connections hold a state that the feed has yet to reach.

    Every method that adds or removes followers first hands out what is pending, so that each follower gets exactly
    the events that come after it was attached.
    """

    def __init__(self, room_id: int, feed: Feed, now: float):
        self.room_id = room_id
        self.feed = feed
        self.members: dict[Connection, None] = {}
        self.waiting: dict[Connection, int] = {}
        self.pending: list[bytes] = []
        self.moved_at = now
        self.idle_since: float | None = now
        self.is_repairing = False

    @property
    def head(self) -> int:
        """The seq of the last event that the feed has delivered."""
        return self.feed.head

    def take(self, events: list[FeedEvent], touched: dict[Connection, None], now: float) -> list[Connection]:
        """Queue ``events`` for the followers; return the connections that lost the room with one of them."""
        cut: list[Connection] = []
        for event in events:
            if self.waiting:
                self._admit(event.seq - 1, touched)
            self.pending.append(event.encoded)
            if event.leaver is not None:
                self.hand_out(touched)
                leaving = [each for each in self.members if each.user_id == event.leaver]
                for connection in leaving:
                    self.detach(connection, now)
                cut += leaving
        if events:
            self.moved_at = now
        if self.waiting:
            self._admit(self.feed.head, touched)
        return cut

    def attach(
        self, connection: Connection, seq: int, missing: list[FeedEvent], touched: dict[Connection, None]
    ) -> bool:
        """Add a follower that holds the state at ``seq``; ``missing`` are the feed's events after that.

        False if one of these events takes the room from the person: they get the events up to it and none after.
        """
        self.hand_out(touched)
        for event in missing:
            connection.out.append(Chunk([event.encoded], shared=True))
            touched[connection] = None
            if event.leaver == connection.user_id:
                return False
        self.idle_since = None
        connection.rooms[self.room_id] = self
        if seq > self.feed.head:
            self.waiting[connection] = seq
        else:
            self.members[connection] = None
        return True

    def detach(self, connection: Connection, now: float) -> None:
        self.members.pop(connection, None)
        self.waiting.pop(connection, None)
        connection.rooms.pop(self.room_id, None)
        if not self.members and not self.waiting:
            self.idle_since = now
            self.pending.clear()

    def hand_out(self, touched: dict[Connection, None]) -> None:
        """Move pending events to the members' queues, in chunks that all members share."""
        if not self.pending:
            return
        for chunk in _chunks(self.pending):
            for connection in self.members:
                connection.out.append(chunk)
        touched.update(self.members)
        self.pending = []

    def _admit(self, seq: int, touched: dict[Connection, None]) -> None:
        ready = [each for each, at in self.waiting.items() if at <= seq]
        if ready:
            self.hand_out(touched)
            for connection in ready:
                del self.waiting[connection]
                self.members[connection] = None


def _chunks(parts: list[bytes]) -> list[Chunk]:
    chunks: list[list[bytes]] = [[]]
    size = 0
    for part in parts:
        if chunks[-1] and size + len(part) > FRAME_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(part)
        size += len(part) + 1
    return [Chunk(each, shared=True) for each in chunks]
