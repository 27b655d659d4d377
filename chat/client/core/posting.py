"""Sends the messages that the outbox hands out, and gives it the answers. Sans I/O."""

from collections.abc import Callable, Container
from dataclasses import dataclass

from msgspec import UNSET

from chat.client.core import outbox
from chat.client.core.actions import Failed, Stored
from chat.client.core.errors import error_from
from chat.client.core.outbox import Outbox, OutboxItem
from chat.client.core.requests import Request, Requests
from chat.wire import protocol
from chat.wire.errors import ChatError
from chat.wire.protocol import ReplyEvent


@dataclass(slots=True)
class Posting:
    outbox: Outbox
    requests: Requests
    answer: Callable[[Stored | Failed], None]

    def run(self, me: str, limits: protocol.Limits, features: Container[str], now: float) -> None:
        """Send each room's next message. Messages that the server would refuse fail here."""
        self.outbox.deadline_s = 0.0 if limits.deadline_s is UNSET else limits.deadline_s
        while items := self.outbox.ready(me, features, now):
            for item in items:
                try:
                    # Checked again, because it may come from an earlier run, and a frame that is too large is answered
                    # by an error without a ref.
                    outbox.check(item, limits)
                except ChatError as error:
                    self._refused(item, error, now)
                else:
                    self._send(item)

    def _send(self, item: OutboxItem) -> None:
        def answered(reply: ReplyEvent, now: float) -> None:
            self._answered(item, reply, now)

        self.requests.add(Request(item.as_command(), answered))

    def _answered(self, item: OutboxItem, reply: ReplyEvent, now: float) -> None:
        if not isinstance(reply.error, protocol.ErrorBody):
            self.outbox.stored(item)
            self.answer(Stored(item.client_id, item.room, reply.result))
            return
        self._refused(item, error_from(reply.error), now)

    def _refused(self, item: OutboxItem, error: ChatError, now: float) -> None:
        if not self.outbox.refused(item, error, now):
            self.answer(Failed(item, error))
