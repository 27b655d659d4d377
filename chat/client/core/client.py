"""A complete client without its socket: docs/protocol.md, sections 4 and 5, as a state machine.

Sans I/O: whatever happens is reported by a method call, with the time, which returns the actions to carry out
(``actions``). ``wake_at`` says when to call ``tick``. Times are seconds of any monotonic clock; ``rng`` gives numbers
in [0, 1). The program around it is ``chat.client``; tests drive it with a model of a server.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from chat.client.core import outbox
from chat.client.core.actions import (
    Action,
    Answered,
    OutboxFull,
    OutcomeUnknown,
    RoomNews,
    Send,
    Stopped,
    TooManyRequests,
)
from chat.client.core.connection import ClientConnection
from chat.client.core.errors import error_from
from chat.client.core.outbox import OutboxItem
from chat.client.core.page_loads import PAGE
from chat.client.core.presence import Status
from chat.client.core.requests import Request
from chat.client.core.results import after_loss
from chat.client.core.room import Load, RoomCore
from chat.wire import protocol
from chat.wire.errors import FrameTooLarge
from chat.wire.protocol import Cursor, ReplyEvent


class ClientCore(ClientConnection):
    """One signed-in client: its connection, rooms, requests and outbox. This class adds what the application asks for.

    Args:
        follow_all: Follow every room of the user; otherwise those that ``follow`` names.
        can_refresh: Whether the program can obtain the credentials of ``Connect(fresh_credentials=True)``.
        keep: Messages kept in memory for each room.
        news_at_most: News other than messages that may wait for the application in each room.
        outbox_at_most: Messages that may wait to be sent.
    """

    def __init__(
        self,
        *,
        rng: Callable[[], float],
        follow_all: bool = False,
        can_refresh: bool = False,
        keep: int = 1000,
        news_at_most: int = 1000,
        outbox_at_most: int = 10_000,
    ):
        super().__init__(rng=rng, follow_all=follow_all, can_refresh=can_refresh, keep=keep, news_at_most=news_at_most)
        self._outbox_at_most = outbox_at_most

    def follow(
        self, room_id: str, now: float, *, cursor: Cursor | None = None, number: int | None = None
    ) -> list[Action]:
        """Keep the room in sync from now on.

        Args:
            cursor, number: Where an earlier run of the application stopped: everything since then is handed out.
                Without them, only what comes from now on.
        """
        room = self.followed.get(room_id) or self._new_room(room_id, cursor, number)
        if not room.is_followed or room.access in ("denied", "removed"):
            room.is_followed, room.access = True, "unknown"
            if self.is_live:
                self._sync(room, now)
        return self._flush(now)

    def unfollow(self, room_id: str, now: float) -> list[Action]:
        """Stop keeping the room in sync, and forget it."""
        room = self.followed.pop(room_id, None)
        if room is not None:
            room.is_followed = False
            self._syncs.watch(room)
            room.give_up_loads(Stopped("The room is not followed any more."))
            if self.is_live:
                self._request(protocol.Unsync(ref=1, rooms=[room_id]))
        return self._flush(now)

    def take(self, room_id: str, now: float) -> tuple[RoomNews | None, list[Action]]:
        """Return the next news of a followed room, or None, and fetch messages that are known to be missing."""
        room = self.followed[room_id]
        room.inbox.is_open = True
        news = room.inbox.take()
        after = room.inbox.fetch_after
        if after is None or room.is_fetching or not room.is_live:
            return news, []
        room.is_fetching = True
        command = protocol.History(ref=1, room=room_id, after=after, limit=self._page_size())
        load = Load(command, partial(self._fetched, room), partial(self._fetch_failed, room))
        self._loads.start(room, load, is_live=self.is_live)
        return news, self._flush(now)

    def load(
        self, room_id: str, command: protocol.History | protocol.ListMembers, tag: Any, now: float
    ) -> list[Action]:
        """Load a page into a followed room's state. ``Answered`` carries the page, once one came that is not stale."""
        room = self.followed[room_id]

        def answered(result: Any = None, error: Exception | None = None) -> None:
            self._actions.append(Answered(tag, result, error))

        self._loads.start(room, Load(command, answered, lambda error: answered(error=error)), is_live=self.is_live)
        return self._flush(now)

    def call(self, command: protocol.Command, tag: Any, now: float) -> list[Action]:
        """Send a command that has a reply; ``Answered`` carries the result. ``ref`` is set here.

        Raises:
            FrameTooLarge: The server would refuse its size.
            TooManyRequests, Stopped: It was not sent.
        """
        if self._link.state == "stopped":
            raise Stopped
        if self._requests.is_full:
            raise TooManyRequests
        if self.limits and len(protocol.encode(command)) > self.limits.frame_bytes:
            raise FrameTooLarge
        lost = Answered(tag, error=OutcomeUnknown())
        self._requests.add(
            Request(
                command,
                partial(self._answered, command, tag),
                after_loss(command),
                on_lost=lambda: self._actions.append(lost),
                on_stop=lambda: self._actions.append(Answered(tag, error=Stopped())),
            )
        )
        return self._flush(now)

    def set_presence(self, status: Status, now: float) -> list[Action]:
        """Set the user's status. It is sent now, and again after each reconnect, until it changes."""
        self.presence.own = status
        if self.is_live:
            self._tell_presence()
        return self._flush(now)

    def tell(self, command: protocol.Typing) -> list[Action]:
        """Send a command that has no reply and is worthless later; without a connection it is dropped."""
        return [Send(command)] if self.is_live else []

    def post(self, item: OutboxItem, now: float) -> list[Action]:
        """Put a message into the outbox and send it in its turn. ``Stored`` or ``Failed`` follows, however late.

        Raises:
            MessageEmpty, MessageInvalidText, MessageTooLong, FrameTooLarge: The server would refuse it.
            OutboxFull: The outbox holds ``outbox_at_most`` messages.
        """
        self.check(item)
        self.outbox.add(item)
        self._pending_changed(item.room)
        return self._flush(now)

    def check(self, item: OutboxItem) -> None:
        """Raise what ``post`` would raise for this message."""
        outbox.check(item, self.limits)
        if len(self.outbox) >= self._outbox_at_most:
            raise OutboxFull

    def restore(self, items: Iterable[OutboxItem], now: float) -> list[Action]:
        """Send what an earlier run of the application left in the outbox."""
        for item in items:
            self.outbox.add(item, sent_before=now)
        return self._flush(now)

    def _answered(self, command: protocol.Command, tag: Any, reply: ReplyEvent, now: float) -> None:
        if isinstance(reply.error, protocol.ErrorBody):
            self._actions.append(Answered(tag, error=error_from(reply.error)))
            return
        if isinstance(command, protocol.Read) and command.room in self.followed:
            self.followed[command.room].moved_read(reply.result)
        self._actions.append(Answered(tag, reply.result))

    def _fetched(self, room: RoomCore, page: protocol.HistoryPage) -> None:
        room.is_fetching = False
        room.inbox.offer_page(page)
        self._changed[room.id] = None

    def _fetch_failed(self, room: RoomCore, error: Exception) -> None:
        # The room is not readable any more; its removal, or a denied sync, tells the application.
        room.is_fetching = False

    def _page_size(self) -> int:
        return min(PAGE, self.limits.history) if self.limits else PAGE
