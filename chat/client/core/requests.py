"""A client's unanswered commands: their refs, the limit on them, and what becomes of them when the connection breaks.

Sans I/O. Times are seconds of any monotonic clock, passed in.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from chat.wire import protocol

WAITING_AT_MOST = 10_000
"""Commands that may wait to be sent. An application that queues more must be told to stop."""
REPLY_WITHIN_S = 60.0
"""A command that has no answer after this time will not get one, so the client reconnects and repeats what it may.
``sync`` is exempt: its answer follows a catch-up that goes as fast as the client reads."""

READS = (protocol.History, protocol.ListMembers, protocol.ListRooms)
"""Commands that only read. One that the server refuses because of its limit is asked again when the server says so.
``sync`` has a rhythm of its own; to repeat a change is for its caller to decide."""
LEAST_WAIT_S = 0.1

OnReply = Callable[[protocol.ReplyEvent, float], None]
"""Takes a reply with its result in typed form, or with an error (see ``results.usable``), and the time."""
AfterLoss = Literal["drop", "keep", "keep_unsent"]


@dataclass(slots=True)
class Request:
    """A command on its way. ``after_loss`` says what becomes of it if the connection breaks before its answer.

    ``drop``: its owner will ask again. ``keep``: repeating it is harmless, so it is sent again. ``keep_unsent``: if it
    was sent, the server may have carried it out, so it is given up and ``on_lost`` is called; if not, it is kept.
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
    _later: list[tuple[float, Request]] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= WAITING_AT_MOST

    @property
    def oldest_at(self) -> float | None:
        """When the oldest unanswered command was sent; None if all are answered."""
        return next((each.sent_at for each in self._unanswered.values()), None)

    @property
    def wake_at(self) -> float | None:
        """When the oldest unanswered command is overdue."""
        # Entries are in the order of sending, so the first one that counts is the oldest.
        oldest = next((each for each in self._unanswered.values() if not isinstance(each.command, protocol.Sync)), None)
        return None if oldest is None else oldest.sent_at + REPLY_WITHIN_S

    @property
    def again_at(self) -> float | None:
        """When the next command is due that the server wanted to be asked later."""
        return min((at for at, _ in self._later), default=None)

    def add(self, request: Request) -> None:
        self._waiting.append(request)

    def answered(self, request: Request, reply: protocol.ReplyEvent, now: float) -> None:
        """Hand a reply to its request, or ask again later."""
        error = reply.error
        if (
            isinstance(error, protocol.ErrorBody)
            and error.code == "rate.limited"
            and isinstance(request.command, READS)
        ):
            asked = error.retry_after_ms if isinstance(error.retry_after_ms, int) else 1000
            self._later.append((now + max(LEAST_WAIT_S, asked / 1000), request))
        else:
            request.on_reply(reply, now)

    def next_ref(self) -> int:
        """Return a ref that this client has never used before."""
        self._last_ref += 1
        return self._last_ref

    def sendable(self, now: float) -> list[protocol.Command]:
        """Return the commands that may be sent now, in order, with their refs."""
        out: list[protocol.Command] = []
        self._waiting.extend(request for at, request in self._later if at <= now)
        self._later = [(at, request) for at, request in self._later if at > now]
        while self._waiting and len(self._unanswered) < self.limit:
            request = self._waiting.popleft()
            ref = self.next_ref()
            request.command = msgspec.structs.replace(request.command, ref=ref)
            request.sent_at = now
            self._unanswered[ref] = request
            out.append(request.command)
        return out

    def take(self, ref: int) -> Request | None:
        """Return the request that a reply answers, or None for an unexpected reply, which is ignored."""
        return self._unanswered.pop(ref, None)

    def connection_lost(self) -> None:
        """Keep the requests to send again, drop those that their owners repeat, and give up the rest."""
        sent = [*self._unanswered.values(), *(request for _, request in self._later)]
        waiting = list(self._waiting)
        self._unanswered.clear()
        self._later.clear()
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
