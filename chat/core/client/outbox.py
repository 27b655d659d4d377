"""The order in which a client sends its messages: per room as written, one unanswered at a time. Sans I/O.

Where the messages are kept meanwhile is up to the program around it (``chat.client.outbox``): each goes there before
it comes here, and leaves only when its answer came (docs/protocol.md, section 4, point 5).
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from chat.wire import protocol
from chat.wire.errors import ChatError, FrameTooLarge, MessageEmpty, MessageInvalidText, MessageTooLong

FIRST_RETRY_S = 0.5
RETRY_CAP_S = 30.0


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A message to be sent. ``user`` is the id of the person who wrote it: it is sent only while they are signed in."""

    client_id: str
    user: str
    room: str
    body: str
    reply_to: str | None = None
    attachments: tuple[str, ...] = ()

    def as_command(self) -> protocol.PostMessage:
        return protocol.PostMessage(
            ref=protocol.MAX_INT,  # the longest there is, so that what was measured is what may leave
            room=self.room,
            client_id=UUID(self.client_id),
            body=self.body,
            reply_to=self.reply_to,
            attachments=list(self.attachments),
        )


def check(item: OutboxItem, limits: protocol.Limits | None) -> None:
    """Refuse what no server would take, before anybody believes that it is on its way.

    Args:
        limits: As the server announced them; None before the first ``hello``: then its answer decides.

    Raises:
        MessageEmpty, MessageInvalidText, MessageTooLong, FrameTooLarge: As the server would say.
    """
    if not item.body.strip() and not item.attachments:
        raise MessageEmpty
    if not protocol.is_storable(item.body):
        raise MessageInvalidText
    if limits is None:
        return
    if len(item.body.strip()) > limits.body_chars:
        raise MessageTooLong(f"A message may have at most {limits.body_chars} characters.")
    if len(protocol.encode(item.as_command())) > limits.frame_bytes:
        raise FrameTooLarge(f"A frame may have at most {limits.frame_bytes} bytes.")


@dataclass(slots=True)
class _Lane:
    """One room's messages, oldest first."""

    items: deque[OutboxItem] = field(default_factory=deque)
    is_unanswered: bool = False
    retry_at: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class Outbox:
    rng: Callable[[], float]
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[OutboxItem]:
        for lane in self._lanes.values():
            yield from lane.items

    def __contains__(self, client_id: object) -> bool:
        return client_id in self._ids

    def pending(self, room: str) -> tuple[OutboxItem, ...]:
        """What waits for the room, in the order of sending."""
        lane = self._lanes.get(room)
        return tuple(lane.items) if lane else ()

    def add(self, item: OutboxItem) -> None:
        """Put a message last. One that is there already stays where it is."""
        if item.client_id in self._ids:
            return
        self._ids.add(item.client_id)
        self._lanes.setdefault(item.room, _Lane()).items.append(item)

    def ready(self, user: str, now: float) -> list[OutboxItem]:
        """The messages to send now, at most one a room; each counts as unanswered from here on."""
        out = []
        for lane in self._lanes.values():
            if lane.is_unanswered or lane.retry_at > now or lane.items[0].user != user:
                continue
            lane.is_unanswered = True
            out.append(lane.items[0])
        return out

    def wake_at(self, now: float) -> float | None:
        """When the next refused message may be tried again."""
        due = [lane.retry_at for lane in self._lanes.values() if lane.retry_at > now and not lane.is_unanswered]
        return min(due, default=None)

    def remove(self, item: OutboxItem) -> None:
        """It is answered, or will never be: the next one's turn has come."""
        lane = self._lanes.get(item.room)
        if lane is None or item not in lane.items:
            return
        lane.items.remove(item)
        lane.is_unanswered, lane.retry_at, lane.attempts = False, 0.0, 0
        self._ids.discard(item.client_id)
        if not lane.items:
            del self._lanes[item.room]

    def refused(self, item: OutboxItem, error: ChatError, now: float) -> bool:
        """The server refused it: it stays at the head and goes again later, or it is out and False."""
        if not error.retry:
            self.remove(item)
            return False
        lane = self._lanes[item.room]
        lane.is_unanswered = False
        lane.attempts += 1
        wait = error.retry_after_ms / 1000 if error.retry_after_ms is not None else 0.0
        # A little on top, so that everybody who was told the same does not come back in the same moment.
        ceiling = min(RETRY_CAP_S, FIRST_RETRY_S * 2 ** min(lane.attempts - 1, 6))
        lane.retry_at = now + wait + self.rng() * (ceiling if not wait else min(ceiling, wait / 4))
        return True

    def disconnected(self) -> None:
        """Answers will not come any more: every head goes again on the next connection."""
        for lane in self._lanes.values():
            lane.is_unanswered, lane.retry_at, lane.attempts = False, 0.0, 0
