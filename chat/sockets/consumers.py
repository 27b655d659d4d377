"""``ChatConsumer``, one for each socket. The other consumer, one for each process, is in chat/live/layer_subscriber.py.

No domain rule lives here: frames become commands (chat/wire), commands become one service call each (chat/commands),
and what is sent is the hub's business (chat/live).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.typing import WebSocketScope
from channels.consumer import AsyncConsumer, get_handler_name
from channels.exceptions import StopConsumer

from chat import process
from chat.access import identity
from chat.access.identity import Identity
from chat.conf import conf
from chat.live.connection import Connection
from chat.live.layer_subscriber import start_subscriber
from chat.runtime import pools
from chat.runtime.safe_logging import describe
from chat.services import limits, rooms
from chat.services.writer import writer
from chat.sockets.commands import timeline
from chat.sockets.commands.context import Context
from chat.sockets.commands.registry import READS, WRITES
from chat.sockets.handshake import Handshake
from chat.sockets.hello import hello
from chat.wire import protocol
from chat.wire.errors import (
    AuthInvalid,
    AuthRequired,
    ChatError,
    Close,
    CommandInvalid,
    ServerBusy,
    ServerError,
)

logger = logging.getLogger(__name__)

BAD_FRAMES_S = 10.0
NORMAL_CLOSE = 1000


class ChatConsumer(AsyncConsumer):
    """One socket. Frames are read at once and bounded; commands run one after the other in the order sent."""

    def __init__(self) -> None:
        self._inbox: deque[str] = deque()
        self._commands: deque[Any] = deque()
        self._unanswered = 0
        self._worker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writes: set[asyncio.Future[Any]] = set()
        self._bad_at: deque[float] = deque()
        self._no_token: asyncio.TimerHandle | None = None
        self._is_closing = False

    async def __call__(
        self, scope: WebSocketScope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Differs from Channels' own in three ways.

        It opens no channel in the layer: with Redis down, Channels answers every handshake with a 500 for want of one.
        It takes what the server has received without giving up its turn: daphne's queue has no bound, so a flood must
        be seen. And it cleans up whatever ends the socket: after an exception, Channels calls no ``disconnect``.
        """
        self.scope = scope
        self.base_send = send
        self._process = process.current(renew_epoch=rooms.renew_epoch, on_start=start_subscriber)
        self._hub = self._process.hub
        self._loop = self._hub.loop
        self._connection = Connection(send)
        self._connection.on_close = self._close_soon
        self._context = Context(self._connection, self._process)
        try:
            while True:
                await self.dispatch(await receive())
        except StopConsumer:
            pass
        finally:
            self._end()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Channels' own dispatch closes stale database connections in a thread first: no handler here has one.
        await getattr(self, get_handler_name(message))(message)

    # Lifecycle ---------------------------------------------------------------------------------------------------

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        handshake = Handshake(self.scope)
        if handshake.has_wrong_origin:
            await self._refuse(handshake, 403)
            return
        who: Identity | None = None
        if handshake.token is not None:
            who = await pools.auth.run(identity.from_token, handshake.token)
            if who is None:
                await self._refuse(handshake, 401)
                return
        await self.base_send({"type": "websocket.accept", "subprotocol": handshake.subprotocol})
        if handshake.wants_another_version:
            self._connection.close(Close.UNSUPPORTED_PROTOCOL)
            return
        self._worker = self._loop.create_task(self._begin(who, handshake.session_key))

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        if self._is_closing:
            return
        if not self._inbox:
            self._loop.call_soon(self._read_inbox)
        # A binary frame is no JSON text; the empty string says so when its turn comes.
        self._inbox.append(message.get("text") or "")
        if len(self._inbox) > conf.queued_frames:
            self._inbox.clear()
            self._connection.close(Close.FLOODING)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        raise StopConsumer

    def _end(self) -> None:
        self._is_closing = True
        self._connection.on_close = lambda code: None
        self._hub.close(self._connection)
        self._process.keeper.forget(self._connection)
        if self._no_token is not None:
            self._no_token.cancel()
        if self._worker is not None:
            self._worker.cancel()
        for task in self._tasks:
            task.cancel()

    def _close_soon(self, code: int) -> None:
        self._is_closing = True
        self._commands.clear()
        self._hub.close(self._connection)
        self._start(self._send_close(code))

    async def _send_close(self, code: int) -> None:
        try:
            await self.base_send({"type": "websocket.close", "code": int(code)})
        except Exception as error:
            self._connection.send_failed(error)

    async def _refuse(self, handshake: Handshake, status: int) -> None:
        """End the handshake, with ``status`` where the server can send it."""
        if handshake.can_refuse_with_status:
            await self.base_send({"type": "websocket.http.response.start", "status": status, "headers": []})
            await self.base_send({"type": "websocket.http.response.body", "body": b""})
        else:
            await self.base_send({"type": "websocket.close"})
        self._is_closing = True

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Signing in --------------------------------------------------------------------------------------------------

    async def _begin(self, who: Identity | None, session_key: str | None) -> None:
        """Find out who is calling, then run what they sent meanwhile."""
        try:
            if who is None and session_key:
                who = await pools.auth.run(identity.from_session, session_key)
            if who is not None:
                await self._welcome(who)
            else:
                self._no_token = self._loop.call_later(conf.auth_s, self._connection.close, Close.NO_TOKEN)
        except Exception as error:
            self._log(error)
            # The database is away: come back after your back-off.
            self._connection.close(NORMAL_CLOSE)
            return
        await self._work()

    async def _welcome(self, who: Identity, reply_to: int | None = None) -> None:
        """Sign the connection in, answer its ``auth`` command if that did it, and say hello."""
        is_new = self._connection.identity is None
        self._connection.sign_in(who)
        if is_new:
            # In the hub first: what happens to this person while hello is read must not pass the connection by.
            if not self._hub.open(self._connection):
                self._connection.close(Close.FLOODING)
                return
            self._process.keeper.keep(self._connection)
        encoded, person, version = await hello(self._process, who.user)
        self._hub.learn_version(who.user_id, version)
        first = [encoded]
        if reply_to is not None:
            self._unanswered -= 1
            first.insert(0, protocol.encode(protocol.ReplyEvent(ref=reply_to, ok=True, result={"user": person})))
        self._hub.greet(self._connection, first)

    async def _authenticate(self, command: protocol.Auth) -> None:
        if self._no_token is not None:
            self._no_token.cancel()  # the frame came in time, however long the look-up takes
        try:
            who = await self._who(command.token)
            if who is not None:
                await self._welcome(who, reply_to=command.ref)
        except AuthInvalid:
            raise
        except Exception:
            # Nothing limits an unsigned socket any more, and the database is away: come back after your back-off.
            self._connection.close(NORMAL_CLOSE)
            raise

    async def _who(self, token: str | None) -> Identity | None:
        """Whom a token stands for; None: the connection was closed for it.

        Raises:
            AuthInvalid: A live connection keeps who it has.
        """
        known = self._connection.identity
        if known is None:
            who = await pools.auth.run(identity.from_token, token)
            if who is None:
                self._connection.close(Close.NOT_SIGNED_IN)
            return who
        if token is None:
            # "With what I have shown already": the session or token is looked at again.
            check = await pools.auth.run(identity.check, [known])
            if (code := check.ended.get(known)) is not None:
                self._connection.close(code)
                return None
            return known
        who = await pools.auth.run(identity.from_token, token)
        if who is None or who.user.pk != known.user.pk:
            raise AuthInvalid
        return who

    # Commands ----------------------------------------------------------------------------------------------------

    def _read_inbox(self) -> None:
        """Turn the frames that have come into commands, in order, and answer those that can't be read."""
        while self._inbox and not self._is_closing:
            items = protocol.decode(self._inbox.popleft(), max_bytes=conf.frame_bytes)
            was_good = [self._take(each) for each in items]
            if not all(was_good):
                self._count_bad_frame()

    def _take(self, item: Any) -> bool:
        """Queue or answer what a frame held; False if it was no good."""
        if isinstance(item, protocol.Received) and not self._connection.received(item.frames, self._loop.time()):
            item = protocol.Rejected(None, CommandInvalid("So many were not sent.", field="frames"))
        if isinstance(item, protocol.Rejected):
            self._refuse_command(item)
            return False
        if isinstance(item, protocol.Received):
            pass
        elif isinstance(item, protocol.Typing):
            if len(self._commands) < conf.unanswered:  # nobody waits for it: it is shed first
                self._enqueue(item)
        elif self._unanswered >= conf.unanswered:
            self._reply(item.ref, error=ServerBusy())
        else:
            self._unanswered += 1
            self._enqueue(item)
        return True

    def _enqueue(self, command: Any) -> None:
        self._commands.append(command)
        if self._worker is not None and self._worker.done():
            self._worker = self._loop.create_task(self._work())

    def _refuse_command(self, rejected: protocol.Rejected) -> None:
        if rejected.ref is not None:
            self._reply(rejected.ref, error=rejected.error)
        else:
            told = protocol.ErrorEvent(error=protocol.error_body(rejected.error))
            self._hub.send(self._connection, protocol.encode(told))

    def _count_bad_frame(self) -> None:
        now = self._loop.time()
        self._bad_at.append(now)
        while now - self._bad_at[0] > BAD_FRAMES_S:
            self._bad_at.popleft()
        if len(self._bad_at) >= conf.bad_frames:
            self._connection.close(Close.FLOODING)

    async def _work(self) -> None:
        while self._commands and not self._is_closing:
            command = self._commands.popleft()
            try:
                await self._run(command)
            except ChatError as error:
                self._answer(command.ref, error=error)
            except Exception as error:
                self._log(error)
                if not isinstance(command, protocol.Typing):
                    self._answer(command.ref, error=ServerError())

    async def _run(self, command: Any) -> None:
        if isinstance(command, protocol.Auth):
            await self._authenticate(command)
        elif self._connection.identity is None:
            if not isinstance(command, protocol.Typing):
                raise AuthRequired
        elif (prepare := WRITES.get(type(command))) is not None:
            limits.ask(self._connection.user_id, command)
            change = await prepare(self._context, command)
            stored = writer.submit(change, per_person=conf.waiting_changes)
            self._writes.add(stored)
            stored.add_done_callback(lambda done: self._stored(command.ref, done))
        elif isinstance(command, protocol.Typing):
            await timeline.typing(self._context, command)
        else:
            # What this connection has changed must show in what it reads next.
            if self._writes:
                await asyncio.wait(self._writes)
            if isinstance(command, protocol.Sync):
                self._start(self._sync(command, timeline.claim(self._connection, command)))
            else:
                await self._connection.room_for_page()
                self._answer(command.ref, await READS[type(command)](self._context, command))

    async def _sync(self, command: protocol.Sync, done: "asyncio.Future[None]") -> None:
        try:
            self._answer(command.ref, await timeline.sync(self._context, command, done))
        except ChatError as error:
            self._answer(command.ref, error=error)
        except Exception as error:
            self._log(error)
            self._answer(command.ref, error=ServerError())

    def _stored(self, ref: int, done: "asyncio.Future[Any]") -> None:
        self._writes.discard(done)
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            result = done.result()
            self._answer(ref, {} if result is None else result)
        else:
            self._log(error)
            self._answer(ref, error=error if isinstance(error, ChatError) else ServerError())

    def _answer(self, ref: int, result: Any = None, *, error: ChatError | None = None) -> None:
        self._unanswered -= 1
        self._reply(ref, result, error=error)

    def _reply(self, ref: int, result: Any = None, *, error: ChatError | None = None) -> None:
        if error is not None:
            told = protocol.ReplyEvent(ref=ref, ok=False, error=protocol.error_body(error))
        else:
            told = protocol.ReplyEvent(ref=ref, ok=True, result=result)
        self._hub.send(self._connection, protocol.encode(told))

    def _log(self, error: BaseException) -> None:
        if not isinstance(error, ChatError):
            logger.error("connection %s: %s", self._connection.id, describe(error))
