"""The Python client: ``chat.client.core`` with a WebSocket, a clock and an outbox around it (docs/python-client.md)."""

import asyncio
import logging
import random
import uuid
from collections.abc import AsyncIterator, Mapping
from ssl import SSLContext
from typing import Any, Literal

from chat.client.core.actions import ClientNews, ConnectionState, Failed, OutboxFull, RoomNews
from chat.client.core.client import ClientCore
from chat.client.core.outbox import OutboxItem
from chat.client.cursor_store import CursorStore, Positions, RoomPosition
from chat.client.engine import NEWS_AT_MOST, Engine
from chat.client.outbox_store import MemoryOutbox, OutboxStore
from chat.client.room import Room
from chat.client.websocket import Target, TokenSource, socket_url
from chat.wire import protocol

log = logging.getLogger("chat.client")

SAVE_CURSORS_S = 1.0


class ChatClient(Engine):
    """One signed-in user's connection to a chat site. It reconnects until it is closed or refused for good.

    ::

        async with ChatClient("https://chat.example.com", token="…") as client:
            room = await client.room("42")
            await room.post("hello")

    Args:
        url: The site's URL, or the full URL of its socket if that is not at ``/ws/chat/``.
        token: A bearer token, or a function (plain or ``async``) that returns one. The function is called again when
            the server refuses its last token. ``auth="frame"`` sends the token in the first frame instead of a header.
        cookies: Cookies of a signed-in session, instead of a token. ``origin`` then defaults to the site's own.
        outbox: Where messages wait until they are acknowledged; by default in memory. ``SqliteOutbox(path)`` outlives
            the process.
        cursors: Where the last run stopped: a ``CursorStore``, which the client also saves to, or the value of
            ``cursors`` in that run.
        follow_all: Follow every room of the user, not only those that ``room`` names.
        keep: Messages kept in memory for each room.
    """

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource | None = None,
        auth: Literal["header", "frame"] = "header",
        cookies: Mapping[str, str] | None = None,
        origin: str | None = None,
        headers: Mapping[str, str] | None = None,
        ssl: SSLContext | None = None,
        proxy: str | Literal[True] | None = True,
        outbox: OutboxStore | None = None,
        cursors: CursorStore | Positions | None = None,
        follow_all: bool = False,
        keep: int = 1000,
    ):
        target = Target(
            url=socket_url(url), token=token, auth=auth, cookies=cookies, origin=origin, headers=headers or {},
            ssl=ssl, proxy=proxy,
        )  # fmt: skip
        core = ClientCore(
            # Jitter, not secrets.
            rng=random.Random().random,  # noqa: S311
            follow_all=follow_all,
            can_refresh=target.can_refresh,
            keep=keep,
            news_at_most=NEWS_AT_MOST,
        )
        super().__init__(core, target, outbox or MemoryOutbox())
        self._cursor_store = None if isinstance(cursors, dict) else cursors
        self._positions: Positions = dict(cursors) if isinstance(cursors, dict) else {}
        self._saver: asyncio.Task[None] | None = None

    # Lifecycle -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> "ChatClient":
        """Start the client without waiting for a connection: calls that need one wait for it.

        Raises:
            OutboxInUse: Another process uses the same outbox.
        """
        if self._cursor_store is not None:
            self._positions = self._cursor_store.load()
        await self._start()
        if self._cursor_store is not None:
            self._saver = asyncio.create_task(self._save_cursors(self._cursor_store))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection. Messages that the server has not acknowledged stay in a durable outbox."""
        if self.is_closed or self._loop is None:
            return
        if self._saver is not None and self._cursor_store is not None:
            self._saver.cancel()
            await self._save(self._cursor_store, self.cursors)
        await self._end()

    # State -----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> ConnectionState:
        """``waiting`` (for the next attempt), ``connecting``, ``live`` or ``stopped``."""
        return self.core.state

    @property
    def me(self) -> protocol.User | None:
        """The signed-in user; None before the first connection."""
        return self.core.me

    @property
    def rooms(self) -> dict[str, protocol.RoomState]:
        """The user's rooms by id: all of them with ``follow_all``, otherwise at least the 200 most recently active."""
        return self.core.rooms

    def status_of(self, user_id: str) -> str:
        """Whether somebody in the rooms that the client follows is connected: ``online``, ``away``, ``offline`` or
        ``unknown``. A later server may know other words."""
        return self.core.presence.status_of(user_id)

    def online(self, room_id: str) -> int | None:
        """How many members of a room that the client follows are connected; None if it is not known."""
        return self.core.presence.online(room_id)

    def set_presence(self, status: Literal["online", "away"]) -> None:
        """Set the user's status on this client. It survives reconnects.

        Without a connection it is sent on the next one, and never to a server without presence.
        """
        self._do(self.core.set_presence(status, self._now()))

    @property
    def cursors(self) -> Positions:
        """How far the application has read in each room. Pass it as ``cursors`` to the client of the next run.

        A message counts as read once ``events`` has returned it. Other changes may be reported again after a restart.
        """
        positions = dict(self._positions)
        for room in self.core.followed.values():
            if (cursor := room.resume_cursor) is not None and room.inbox.position is not None:
                positions[room.id] = RoomPosition(cursor, room.inbox.position)
        return positions

    async def live(self) -> None:
        """Return once the connection is live.

        Raises:
            Stopped: The client was closed, or the server refuses it for good.
        """
        while self.state != "live":
            if self.state == "stopped":
                raise self.stopped()
            await self._changed()

    async def events(self) -> AsyncIterator[ClientNews | Failed]:
        """Yield changes of the connection, rooms added and removed, notices, and refused messages of an earlier run.

        ``Overflowed`` says that the application was too slow and missed some. Only one task at a time may read.
        """
        while True:
            while self._news:
                yield self._news.popleft()
            if self.is_closed:
                return
            self._news_ready.clear()
            await self._news_ready.wait()

    # Rooms -----------------------------------------------------------------------------------------------------

    async def room(self, room_id: str, *, history: int = 0) -> Room:
        """Follow a room, and return it once it is up to date.

        Args:
            history: How many of the newest messages to load now, and again after each reset; one page at most.

        Raises:
            RoomNotFound: There is no such room, or this user may not follow it.
            Stopped: The client was closed, or the server refuses it for good.
        """
        position = self._positions.get(room_id)
        cursor, number = (position.cursor, position.number) if position else (None, None)
        self._do(self.core.follow(room_id, self._now(), cursor=cursor, number=number))
        room = self._handle(room_id)
        await room.until(lambda each: self.core.followed[each.id].is_live)
        core = self.core.followed[room_id]
        if history > core.window:
            core.window = history
            await room.history(limit=min(history, self.core.limits.history if self.core.limits else history))
        return room

    def unfollow(self, room_id: str) -> None:
        """Stop following the room. Its ``Room`` object can't be used any more."""
        handle = self._handles.pop(room_id, None)
        self._do(self.core.unfollow(room_id, self._now()))
        if handle is not None:
            handle.wake()

    async def create_room(self, name: str, *, kind: Literal["open", "private"] = "open", topic: str = "") -> Room:
        """Make a room that this user owns. It is made once, however often the connection breaks meanwhile."""
        command = protocol.CreateRoom(ref=1, name=name, kind=kind, topic=topic, client_id=uuid.uuid4())
        result: protocol.RoomResult = await self.call(command)
        return await self.room(result.room.id)

    async def direct(self, *users: str) -> Room:
        """Return the one direct room with these people, given by user id; make it if there is none."""
        result: protocol.RoomResult = await self.call(protocol.OpenDirect(ref=1, users=list(users)))
        return await self.room(result.room.id)

    async def list_rooms(self, *, scope: Literal["mine", "open"] = "mine") -> list[Any]:
        """Return all of the user's rooms (``RoomState``), or all open rooms (``Room``)."""
        rooms: list[Any] = []
        while True:
            after = rooms[-1].id if rooms else None
            page: protocol.RoomPage = await self.call(protocol.ListRooms(ref=1, scope=scope, after=after))
            rooms += page.rooms
            if not page.more or not page.rooms:
                return rooms

    # Commands --------------------------------------------------------------------------------------------------

    async def call(self, command: protocol.Command) -> Any:
        """Send a command that has a reply as soon as there is a connection, and return the result. ``ref`` is set here.

        Raises:
            ChatError: The server refused it.
            OutcomeUnknown: The connection broke before the reply came, and repeating the command could do harm.
            TooManyRequests, FrameTooLarge: It was not sent.
            Stopped: The client stopped before a reply came.
        """
        answer = self._require_loop().create_future()
        self._do(self.core.call(command, answer, self._now()))
        return await answer

    async def post(
        self, room_id: str, body: str, *, reply_to: str | None = None, client_id: uuid.UUID | str | None = None
    ) -> protocol.PostResult:
        """``Room.post`` without following the room."""
        user = await self._signed_in()
        item = OutboxItem(str(uuid.UUID(str(client_id)) if client_id else uuid.uuid4()), user, room_id, body, reply_to)
        answer: asyncio.Future[protocol.PostResult] = self._require_loop().create_future()
        if (waiting := self._posts.get(item.client_id)) is not None:
            waiting.append(answer)
        else:
            self.core.check(item)
            self._posts[item.client_id] = [answer]
            # In a task of its own: a caller that gives up waiting does not stop the message.
            self._spawn(self._hand_in(item))
        return await answer

    async def _hand_in(self, item: OutboxItem) -> None:
        """Store a message in the outbox and give it to the core. If that fails, its callers get the error."""
        try:
            if item.client_id not in self.core.outbox:
                await self._outbox.add(item)
            if self.state == "stopped":
                self._answer_posts(item.client_id, None, self.stopped())
                return
            try:
                self._do(self.core.post(item, self._now()))
            except OutboxFull:
                # Others were faster. What the caller is told has failed must not be sent by the next run.
                await self._outbox.remove([item.client_id])
                raise
        except Exception as error:
            # A repeat tries again: nobody may wait for a message that was never handed in.
            if not self._answer_posts(item.client_id, None, error):
                log.warning("A message that no caller waits for was not handed in: %s", error)

    async def _signed_in(self) -> str:
        """Return the user's id once their outbox is loaded, because older messages must be sent first."""
        assert self._restored is not None, "use `async with ChatClient(…)`"
        if self.state == "stopped":
            raise self.stopped()
        return await asyncio.shield(self._restored)

    # Called by Room --------------------------------------------------------------------------------------------

    async def load(self, room_id: str, command: protocol.History | protocol.ListMembers) -> Any:
        """Load a page into the room's state and return it. Ask again if the connection breaks or the page is stale."""
        answer = self._require_loop().create_future()
        if self.state == "stopped":
            raise self.stopped()
        self._do(self.core.load(room_id, command, answer, self._now()))
        return await answer

    def take(self, room_id: str) -> RoomNews | None:
        """Return the next news of a followed room, or None."""
        if room_id not in self.core.followed:
            return None
        news, actions = self.core.take(room_id, self._now())
        self._do(actions)
        return news

    def tell(self, command: protocol.Typing) -> None:
        self._do(self.core.tell(command))

    def _handle(self, room_id: str) -> Room:
        core = self.core.followed[room_id]
        if room_id not in self._handles:
            self._handles[room_id] = Room(self, core)
        return self._handles[room_id]

    # Cursors ---------------------------------------------------------------------------------------------------

    async def _save_cursors(self, store: CursorStore) -> None:
        saved = None
        while True:
            await asyncio.sleep(SAVE_CURSORS_S)
            if (positions := self.cursors) != saved and await self._save(store, positions):
                saved = positions

    async def _save(self, store: CursorStore, positions: Positions) -> bool:
        """Save the cursors, and return whether that worked. A full disk must not end the connection."""
        try:
            await asyncio.to_thread(store.save, positions)
        except OSError as error:
            log.warning("The cursors can't be saved: %s", error)
            return False
        return True
