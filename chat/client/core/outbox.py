"""The order in which a client sends its messages: per room as written, one unanswered at a time. Sans I/O.

The program around it stores the messages meanwhile (``chat.client.outbox_store``): each goes there before it comes
here, and is removed from there only once its answer has come (docs/protocol.md, section 4, point 5).
"""

import math
from collections import deque
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from chat.wire import protocol
from chat.wire.errors import ChatError, FrameTooLarge, MessageEmpty, MessageInvalidText, MessageTooLong, ServerError
from chat.wire.features import needed_by

FIRST_RETRY_S = 0.5
RETRY_CAP_S = 30.0
TROUBLES_AT_MOST = 5
"""A message that has met so many ``server.error``s is not tried again, if the server stores other messages."""


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
            ref=protocol.MAX_INT,  # the longest ref, so that the command sent is no larger than the one measured
            room=self.room,
            client_id=UUID(self.client_id),
            body=self.body,
            reply_to=self.reply_to,
            attachments=list(self.attachments),
        )


def check(item: OutboxItem, limits: protocol.Limits | None) -> None:
    """Refuse a message that the server would refuse, before the application believes that it is on its way.

    Args:
        limits: As the server announced them; None before the first ``hello``, when only the server can tell.

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
class _Trouble:
    """The ``server.error``s that a message has met. ``acknowledged``: how many others had been stored at the first."""

    acknowledged: int
    errors: int = 0


@dataclass(slots=True)
class _RoomQueue:
    """One room's messages, oldest first."""

    items: deque[OutboxItem] = field(default_factory=deque)
    is_unanswered: bool = False
    retry_at: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class Outbox:
    """
    Args:
        rng: Gives numbers in [0, 1).
        deadline_s: The server stores a message within this time or never (``hello.limits``); 0: it does not say.
    """

    rng: Callable[[], float]
    deadline_s: float = 0.0
    _queues: dict[str, _RoomQueue] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)
    _doubts: dict[str, float] = field(default_factory=dict)
    """Until when an earlier sending of a message may have reached a server: when its answer was given up."""
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _acknowledged: int = 0

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[OutboxItem]:
        for queue in self._queues.values():
            yield from queue.items

    def __contains__(self, client_id: object) -> bool:
        return client_id in self._ids

    def pending(self, room: str) -> tuple[OutboxItem, ...]:
        """The messages that wait for the room, in the order of sending."""
        queue = self._queues.get(room)
        return tuple(queue.items) if queue else ()

    def add(self, item: OutboxItem, *, sent_before: float | None = None) -> None:
        """Put a message last in its room. One that is there already stays where it is.

        Args:
            sent_before: An earlier run of the program may have sent it, before this time; None: nobody has.
        """
        if item.client_id in self._ids:
            return
        self._ids.add(item.client_id)
        if sent_before is not None:
            self._doubts[item.client_id] = sent_before
        self._queues.setdefault(item.room, _RoomQueue()).items.append(item)

    def ready(self, user: str, features: Container[str], now: float) -> list[OutboxItem]:
        """Return the messages to send now, at most one for each room; each counts as unanswered from here on.

        A message that needs a feature which the server does not name waits, and so do those behind it in its room.
        """
        out = []
        for queue in self._queues.values():
            if queue.is_unanswered or queue.retry_at > now or queue.items[0].user != user:
                continue
            if not all(each in features for each in needed_by(queue.items[0].as_command())):
                continue
            queue.is_unanswered = True
            out.append(queue.items[0])
        return out

    def wake_at(self, now: float) -> float | None:
        """When the next refused message may be tried again."""
        due = [queue.retry_at for queue in self._queues.values() if queue.retry_at > now and not queue.is_unanswered]
        return min(due, default=None)

    def remove(self, item: OutboxItem) -> None:
        """Remove a message that is answered or never will be, so that the next one can be sent."""
        queue = self._queues.get(item.room)
        if queue is None or item not in queue.items:
            return
        queue.items.remove(item)
        queue.is_unanswered, queue.retry_at, queue.attempts = False, 0.0, 0
        self._ids.discard(item.client_id)
        self._doubts.pop(item.client_id, None)
        self._troubles.pop(item.client_id, None)
        if not queue.items:
            del self._queues[item.room]

    def stored(self, item: OutboxItem) -> None:
        """Remove a message that is acknowledged."""
        self._acknowledged += 1
        self.remove(item)

    def refused(self, item: OutboxItem, error: ChatError, now: float) -> bool:
        """Take the server's refusal. True: the message stays first and is sent again later. False: it is removed."""
        if not error.retry and (settled_at := self._settled_at(item)) > now:
            self._again_at(item, settled_at)
            return True
        if not error.retry or self._is_hopeless(item, error):
            self.remove(item)
            return False
        if isinstance(error, ServerError):
            self._doubts[item.client_id] = now  # it may have been stored or not
        wait = error.retry_after_ms / 1000 if error.retry_after_ms is not None else 0.0
        # Some jitter on top, so that clients that were told the same wait do not come back at the same moment.
        ceiling = min(RETRY_CAP_S, FIRST_RETRY_S * 2 ** min(self._queues[item.room].attempts, 6))
        self._again_at(item, now + wait + self.rng() * (ceiling if not wait else min(ceiling, wait / 4)))
        return True

    def disconnected(self, now: float) -> None:
        """No more answers will come: the first message of each room is sent again on the next connection."""
        for queue in self._queues.values():
            if queue.is_unanswered:
                self._doubts[queue.items[0].client_id] = now
            queue.is_unanswered, queue.retry_at, queue.attempts = False, 0.0, 0

    def _again_at(self, item: OutboxItem, at: float) -> None:
        queue = self._queues[item.room]
        queue.is_unanswered = False
        queue.attempts += 1
        queue.retry_at = at

    def _settled_at(self, item: OutboxItem) -> float:
        """From when on a refusal for good is the last word: no earlier sending can be stored after that."""
        return self._doubts.get(item.client_id, -math.inf) + self.deadline_s if self.deadline_s else -math.inf

    def _is_hopeless(self, item: OutboxItem, error: ChatError) -> bool:
        """Whether it is this message that the server fails on, and not the server that is in trouble."""
        if not isinstance(error, ServerError):
            return False
        trouble = self._troubles.setdefault(item.client_id, _Trouble(self._acknowledged))
        trouble.errors += 1
        return trouble.errors >= TROUBLES_AT_MOST and self._acknowledged > trouble.acknowledged
