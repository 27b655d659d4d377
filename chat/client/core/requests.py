"""A client's unanswered commands: their refs, the limit on them, and what becomes of them when the connection breaks.

Sans I/O. Times are seconds of any monotonic clock, passed in.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import random
from typing import Literal

import msgspec

from chat.wire import protocol

WAITING_AT_MOST = 10_000
"""Commands that may wait to be sent. An application that queues more must be told to stop."""
REPLY_WITHIN_S = 60.0
"""A command that has no answer after this time will not get one, so the client reconnects and repeats what it may.
``sync`` is exempt: its answer follows a catch-up that goes as fast as the client reads."""

READS = (protocol.History, protocol.ListMembers, protocol.ListRooms, protocol.SetPresence)
"""Commands that only read, which have one limit together. One that is over it is sent again when the server says so.
``sync`` has a limit and a back-off of its own (``sync.py``); to repeat a change is for its caller to decide."""
LEAST_WAIT_S = 0.1
"""A shorter ``retry_after_ms`` counts as this, because the client would ask in a tight loop."""
MOST_WAIT_S = 60.0
MOST_PAUSE_S = 10.0
"""How long many connections of one person, which share the limit, make each other wait at most."""
DEFAULT_WAIT_S = 1.0
"""The wait after a refusal that names none."""

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
    place: int = 0
    """Its place in the order in which requests were added."""


@dataclass(slots=True)
class HeldReads:
    """Reads that wait because the server has refused one for its rate.

    They are sent one at a time, in the order in which they were added, and none before the time that the server named.
    If each were repeated by itself, the refusals alone would be a flood, for which the server closes connections. The
    limit is one for all connections of a person: so the pause doubles with each refusal and halves with each answer,
    and is spread, until together they ask hardly more often than they are answered.
    """

    rng: Callable[[], float]
    _requests: list[tuple[int, Request]] = field(default_factory=list)
    _until: float = 0.0
    """None is sent before; kept when the connection is lost."""
    _pause_s: float = 0.0
    _asked: Request | None = None
    """The one that is unanswered."""

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def wake_at(self) -> float | None:
        """When the next read may be sent; None if none waits, or while one is unanswered."""
        return self._until if self._requests and self._asked is None else None

    def must_wait(self, now: float) -> bool:
        """Whether a further read has to wait, behind these or for the server's limit."""
        return bool(self._requests) or self._asked is not None or now < self._until

    def hold(self, request: Request) -> None:
        heapq.heappush(self._requests, (request.place, request))

    def refused(self, request: Request, retry_after_ms: object, now: float) -> None:
        """Hold a read that was refused, and the others with it."""
        asked_s = retry_after_ms / 1000 if isinstance(retry_after_ms, int) else DEFAULT_WAIT_S
        asked_s = min(MOST_WAIT_S, max(LEAST_WAIT_S, asked_s))
        if not self.must_wait(now):
            self._pause_s = asked_s
        elif request is self._asked:  # others were sent before the first refusal, and theirs says nothing new
            self._pause_s = max(asked_s, min(MOST_PAUSE_S, 2 * self._pause_s))
        self._until = max(self._until, now + max(asked_s, self._pause_s) * (1 + self.rng()))
        self._settle(request)
        self.hold(request)

    def answered(self, request: Request, now: float) -> None:
        if request is self._asked:
            self._pause_s /= 2
            if self._pause_s < LEAST_WAIT_S:
                self._pause_s = 0.0
            self._until = now + self._pause_s * (1 + self.rng())
        self._settle(request)

    def _settle(self, request: Request) -> None:
        if request is self._asked:
            self._asked = None

    def next(self, now: float) -> Request | None:
        """Return the read to send now, if any; it counts as unanswered from here on."""
        if not self._requests or self._asked is not None or now < self._until:
            return None
        self._asked = heapq.heappop(self._requests)[1]
        return self._asked

    def clear(self) -> list[Request]:
        """Hold nothing any more, and wait for no answer; return what was held, in order."""
        held = [request for _, request in sorted(self._requests)]
        self._requests.clear()
        self._asked = None
        return held


@dataclass(slots=True)
class Requests:
    rng: Callable[[], float] = random
    limit: int = 32
    _last_ref: int = 0
    _last_place: int = 0
    _unanswered: dict[int, Request] = field(default_factory=dict)
    _waiting: deque[Request] = field(default_factory=deque)
    _reads: HeldReads = field(init=False)

    def __post_init__(self) -> None:
        self._reads = HeldReads(self.rng)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) + len(self._reads) >= WAITING_AT_MOST

    @property
    def oldest_at(self) -> float | None:
        """When the oldest unanswered command was sent; None if all are answered."""
        return next((each.sent_at for each in self._unanswered.values()), None)

    @property
    def overdue_at(self) -> float | None:
        """When the oldest unanswered command is overdue."""
        # Entries are in the order of sending, so the first one that counts is the oldest.
        oldest = next((each for each in self._unanswered.values() if not isinstance(each.command, protocol.Sync)), None)
        return None if oldest is None else oldest.sent_at + REPLY_WITHIN_S

    @property
    def send_at(self) -> float | None:
        """When the next command may be sent that the server's limit holds back; None if there is none."""
        return self._reads.wake_at if len(self._unanswered) < self.limit else None

    def add(self, request: Request) -> None:
        self._last_place += 1
        request.place = self._last_place
        self._waiting.append(request)

    def answer(self, request: Request, reply: protocol.ReplyEvent, now: float) -> None:
        """Hand a reply to its request, unless it is a read that has to be sent again."""
        if isinstance(request.command, READS):
            error = reply.error
            if isinstance(error, protocol.ErrorBody) and error.code == "rate.limited":
                self._reads.refused(request, error.retry_after_ms, now)
                return
            self._reads.answered(request, now)
        request.on_reply(reply, now)

    def next_ref(self) -> int:
        """Return a ref that this client has never used before."""
        self._last_ref += 1
        return self._last_ref

    def sendable(self, now: float) -> list[protocol.Command]:
        """Return the commands that may be sent now, in order, with their refs."""
        out: list[protocol.Command] = []
        while len(self._unanswered) < self.limit and (request := self._next(now)):
            ref = self.next_ref()
            request.command = msgspec.structs.replace(request.command, ref=ref)
            request.sent_at = now
            self._unanswered[ref] = request
            out.append(request.command)
        return out

    def _next(self, now: float) -> Request | None:
        if held := self._reads.next(now):
            return held
        while self._waiting:
            request = self._waiting.popleft()
            if not (isinstance(request.command, READS) and self._reads.must_wait(now)):
                return request
            self._reads.hold(request)
        return None

    def take(self, ref: int) -> Request | None:
        """Return the request that a reply answers, or None for an unexpected reply, which is ignored."""
        return self._unanswered.pop(ref, None)

    def connection_lost(self) -> None:
        """Keep the requests to send again, drop those that their owners repeat, and give up the rest."""
        sent = list(self._unanswered.values())
        waiting = sorted((*self._reads.clear(), *self._waiting), key=lambda each: each.place)
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
