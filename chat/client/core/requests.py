"""Commands of one client that have no answer yet: refs, the limit of unanswered ones, what a lost connection means.

Sans I/O. Times are seconds of any monotonic clock, passed in.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from chat.wire import protocol

WAITING_AT_MOST = 10_000
"""Commands that may wait for their turn; an application that asks for more has lost count."""
REPLY_WITHIN_S = 60.0
"""Each command gets one answer. One that has none after so long will get none: only a new connection, with its
repeats, brings certainty. A ``sync`` is excepted: its answer follows a catch-up that is paced by reading."""

OnReply = Callable[[protocol.ReplyEvent, float], None]
"""Gets a result in its typed form, or an error: see ``results.usable``."""
AfterLoss = Literal["drop", "keep", "keep_unsent"]


@dataclass(slots=True)
class Request:
    """A command on its way. ``after_loss``: what becomes of it when the connection breaks before its answer.

    ``drop``: who asked will ask anew. ``keep``: it is harmless to repeat, so it is sent again. ``keep_unsent``: it may
    have been carried out, so it is given up, and ``on_lost`` called, unless it had not left yet.
    """

    command: protocol.Command
    on_reply: OnReply
    after_loss: AfterLoss = "drop"
    on_lost: Callable[[], None] | None = None
    on_stop: Callable[[], None] | None = None
    """Called when there will never be another connection."""
    sent_at: float = 0.0


@dataclass(slots=True)
class Requests:
    limit: int = 32
    _last_ref: int = 0
    _unanswered: dict[int, Request] = field(default_factory=dict)
    _waiting: deque[Request] = field(default_factory=deque)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= WAITING_AT_MOST

    @property
    def wake_at(self) -> float | None:
        """When the oldest unanswered command is overdue."""
        # Refs rise, and so does the time of sending: the first entry that counts is the oldest.
        oldest = next((each for each in self._unanswered.values() if not isinstance(each.command, protocol.Sync)), None)
        return None if oldest is None else oldest.sent_at + REPLY_WITHIN_S

    def add(self, request: Request) -> None:
        self._waiting.append(request)

    def next_ref(self) -> int:
        """A ref that was never used before."""
        self._last_ref += 1
        return self._last_ref

    def sendable(self, now: float) -> list[protocol.Command]:
        """The commands that may leave now, in order, with their refs."""
        out: list[protocol.Command] = []
        while self._waiting and len(self._unanswered) < self.limit:
            request = self._waiting.popleft()
            ref = self.next_ref()
            request.command = msgspec.structs.replace(request.command, ref=ref)
            request.sent_at = now
            self._unanswered[ref] = request
            out.append(request.command)
        return out

    def take(self, ref: int) -> Request | None:
        """The request that a reply answers; None for an answer to nothing, which is ignored."""
        return self._unanswered.pop(ref, None)

    def connection_lost(self) -> None:
        """Sort the requests under way: those to send again, those that their owners repeat, those to give up."""
        sent, waiting = list(self._unanswered.values()), list(self._waiting)
        self._unanswered.clear()
        self._waiting = deque(each for each in sent if each.after_loss == "keep")
        self._waiting.extend(each for each in waiting if each.after_loss != "drop")
        for each in sent:
            if each.after_loss == "keep_unsent" and each.on_lost:
                each.on_lost()

    def stop(self) -> None:
        """Give up everything: there will never be another connection."""
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            if each.on_stop:
                each.on_stop()
