"""One room, as the application uses it."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

from chat.client.core.actions import ConnectionState, RoomNews, Stopped
from chat.client.core.client import ClientCore
from chat.client.core.members import Members
from chat.client.core.outbox import OutboxItem
from chat.client.core.room import RoomCore
from chat.client.core.timeline import Timeline
from chat.wire import protocol
from chat.wire.errors import RoomNotFound


class Owner(Protocol):
    """What a room needs of the client that made it (``chat.client.client``)."""

    core: ClientCore
    is_closed: bool

    @property
    def state(self) -> ConnectionState: ...

    def stopped(self) -> Stopped: ...

    def take(self, room_id: str) -> RoomNews | None: ...

    def tell(self, command: protocol.Typing) -> None: ...

    async def call(self, command: protocol.Command) -> Any: ...

    async def load(self, room_id: str, command: protocol.History | protocol.ListMembers) -> Any: ...

    async def post(
        self, room_id: str, body: str, *, reply_to: str | None = None, client_id: UUID | str | None = None
    ) -> protocol.PostResult: ...


class Room:
    """Read and write one room. ``ChatClient.room`` makes it; it stays current until the client is closed."""

    def __init__(self, client: Owner, core: RoomCore):
        self._client = client
        self._core = core
        self._waiters: set[asyncio.Future[None]] = set()
        self.is_read = False
        """Whether a task waits for the next event."""

    def __repr__(self) -> str:
        return f"<Room {self.id} {self.access}>"

    # State -----------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._core.id

    @property
    def state(self) -> protocol.RoomState | None:
        """Name, topic, unread count and so on. None in a room that the user only watches, until the server sends it."""
        return self._core.state

    @property
    def access(self) -> str:
        """``live``, ``denied``, ``removed``, or ``unknown`` until the present connection has synced the room."""
        return self._core.access

    @property
    def timeline(self) -> Timeline:
        """The messages in memory, up to the newest: ``at(number)``, ``mine(number)``."""
        return self._core.timeline

    @property
    def messages(self) -> list[protocol.Message]:
        """The messages in memory, in order, each in its present state."""
        return list(self._core.timeline)

    @property
    def members(self) -> Members:
        """The room's members as far as they are known: all of them once ``load_members`` has returned."""
        return self._core.members

    @property
    def pending(self) -> tuple[OutboxItem, ...]:
        """The messages for this room that wait in the outbox."""
        return self._client.core.outbox.pending(self.id)

    # News ------------------------------------------------------------------------------------------------------

    def events(self) -> "RoomEvents":
        """Iterate over what happens in the room: every message once, in order and without gaps, and other changes.

        ``async for event in room.events()`` starts after the last event that the application has taken: at first,
        after the newest message or where ``cursors`` say. A new loop continues where the last one stopped. The loop
        survives lost connections, and ends when the client is closed or the user loses the room. A slow application
        loses no message; see ``Overflowed``.
        """
        return RoomEvents(self, self._client)

    async def changed(self) -> None:
        """Return when something about the room has changed, or may have."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    async def until(self, condition: Callable[["Room"], bool]) -> None:
        """Return once ``condition(room)`` holds.

        Raises:
            RoomNotFound: The user may not follow the room, or not any more.
            Stopped: The client has ended its connection for good.
        """
        while not condition(self):
            if self._client.state == "stopped":
                raise self._client.stopped()
            if self.access in ("denied", "removed"):
                raise RoomNotFound
            await self.changed()

    # Reading ---------------------------------------------------------------------------------------------------

    async def history(
        self,
        *,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
        limit: int | None = None,
    ) -> protocol.HistoryPage:
        """Return a page of messages, oldest first; without arguments, the newest page.

        A page that overlaps or adjoins ``messages`` is added to them.

        Raises:
            RoomNotFound: The user may not read the room.
        """
        command = protocol.History(ref=1, room=self.id, before=before, after=after, around=around, limit=limit)
        page: protocol.HistoryPage = await self._client.load(self.id, command)
        return page

    async def load_members(self) -> Members:
        """Load all members of the room. From then on events keep them current."""
        after = None
        while True:
            page = await self._client.load(self.id, protocol.ListMembers(ref=1, room=self.id, after=after))
            if not page.more or not page.members:
                return self.members
            after = page.members[-1].user.id

    async def read(self, number: int, *, force: bool = False) -> protocol.ReadResult:
        """Move the read pointer. It moves back only with ``force``."""
        result: protocol.ReadResult = await self._call(protocol.Read(ref=1, room=self.id, number=number, force=force))
        return result

    # Writing ---------------------------------------------------------------------------------------------------

    async def post(
        self, body: str, *, reply_to: str | None = None, client_id: UUID | str | None = None
    ) -> protocol.PostResult:
        """Send a message, and return once the server has stored it, however many connections that takes.

        The message goes to the outbox first. Cancelling the call does not remove it from there.

        Args:
            reply_to: Id of the message that it answers.
            client_id: Identifies repeats of the same message; made here unless given.

        Raises:
            ChatError: It will not be stored: ``MessageTooLong``, ``RoomForbidden`` … (``retry`` is False).
            OutboxFull: Too many messages wait. Try later.
            Stopped: The connection ended for good. If the message is in a durable outbox, the next run sends it.
        """
        return await self._client.post(self.id, body, reply_to=reply_to, client_id=client_id)

    async def edit(self, message: str, body: str) -> protocol.SeqResult:
        result: protocol.SeqResult = await self._call(protocol.EditMessage(ref=1, message=message, body=body))
        return result

    async def delete(self, message: str) -> protocol.SeqResult:
        result: protocol.SeqResult = await self._call(protocol.DeleteMessage(ref=1, message=message))
        return result

    async def react(self, message: str, emoji: str) -> protocol.ReactionResult:
        result: protocol.ReactionResult = await self._call(protocol.AddReaction(ref=1, message=message, emoji=emoji))
        return result

    async def unreact(self, message: str, emoji: str) -> protocol.ReactionResult:
        result: protocol.ReactionResult = await self._call(protocol.RemoveReaction(ref=1, message=message, emoji=emoji))
        return result

    async def join(self) -> protocol.RoomState:
        """Become a member of an open room."""
        result: protocol.RoomResult = await self._call(protocol.JoinRoom(ref=1, room=self.id))
        return result.room

    async def leave(self) -> None:
        await self._call(protocol.LeaveRoom(ref=1, room=self.id))

    def typing(self, active: bool = True) -> None:
        """Show the others that the user is typing, or has stopped. It expires after 6 s."""
        self._client.tell(protocol.Typing(room=self.id, active=active))

    async def _call(self, command: protocol.Command) -> Any:
        return await self._client.call(command)

    # Called by the client --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Wake the tasks in ``changed``, because something has changed, or may have."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class RoomEvents:
    """Iterator over the events of one room. Only one task at a time may use it."""

    def __init__(self, room: Room, client: Owner):
        self._room = room
        self._client = client

    def __aiter__(self) -> "RoomEvents":
        return self

    async def __anext__(self) -> RoomNews:
        """Return the next event.

        Raises:
            Stopped: The server refuses this client for good.
            RuntimeError: Another task waits for the same room's events.
        """
        room = self._room
        if room.is_read:
            raise RuntimeError("Another task reads this room's events.")
        room.is_read = True
        try:
            while (news := self._client.take(room.id)) is None:
                if self._client.is_closed or room.access in ("removed", "denied"):
                    raise StopAsyncIteration
                if self._client.state == "stopped":
                    raise self._client.stopped()
                await room.changed()
            return news
        finally:
            room.is_read = False
