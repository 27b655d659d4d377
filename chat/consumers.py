"""The two consumers: ``ChatConsumer``, one for each socket, and ``RelayConsumer``, one for each process.

No domain rule lives here: frames become commands (chat/wire), commands become one service call each (chat/commands),
and what is sent is the hub's business (chat/live).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from asgiref.typing import WebSocketScope
from channels.consumer import AsyncConsumer, get_handler_name
from channels.exceptions import StopConsumer
from django.conf import settings
from django.http.cookie import parse_cookie

from chat import offload
from chat.access import identity, queries, shapes
from chat.access.identity import Identity
from chat.commands import timeline
from chat.commands.context import Context
from chat.commands.registry import READS, WRITES
from chat.conf import conf
from chat.live import process
from chat.live.connection import Connection
from chat.relay import start_relay
from chat.services import rooms
from chat.services.writer import writer
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
        """Differs from Channels' own in three ways, each measured (shared facts C1, C4, C6, D3).

        It opens no channel in the layer, for the hub has one for all; it takes what the server has received without
        giving up its turn, so that a flood is seen; and it cleans up whatever ends the socket.
        """
        self.scope = scope
        self.base_send = send
        self._process = process.current(renew_epoch=rooms.renew_epoch, on_start=start_relay)
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
        headers = dict(self.scope["headers"])
        offered = self.scope.get("subprotocols") or []
        origin = headers.get(b"origin", b"").decode("latin1")
        # A wrong Origin is refused before anything else, and never falls through to waiting for a token.
        if origin and not identity.origin_allowed(origin, host=_host(headers), secure=_is_secure(self.scope, headers)):
            await self._refuse(403)
            return
        who: Identity | None = None
        if (token := _bearer(headers, self.scope)) is not None:
            who = await offload.auth.run(identity.from_token, token)
            if who is None:
                await self._refuse(401)
                return
        echoed = protocol.SUBPROTOCOL if protocol.SUBPROTOCOL in offered else None
        await self.base_send({"type": "websocket.accept", "subprotocol": echoed})
        if echoed is None and any(each.startswith("chat.") for each in offered):
            self._close_soon(Close.UNSUPPORTED_PROTOCOL)
            return
        # The cookie counts only beside a checked Origin: without one, any site could ride on it.
        session_key = _cookie(headers).get(settings.SESSION_COOKIE_NAME) if origin else None
        self._worker = self._loop.create_task(self._begin(who, session_key))

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
        await self.base_send({"type": "websocket.close", "code": int(code)})

    async def _refuse(self, status: int) -> None:
        """End the handshake. A server that can't send a status of our choice sends 403."""
        if "websocket.http.response" in (self.scope.get("extensions") or {}):
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
                who = await offload.auth.run(identity.from_session, session_key)
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

    async def _welcome(self, who: Identity) -> None:
        """Sign the connection in and say hello."""
        is_new = self._connection.identity is None
        states, more, version = await offload.readers.run(queries.hello, who.user)
        if self._is_closing:
            return
        self._connection.sign_in(who)
        if is_new:
            self._hub.open(self._connection, version)
            self._process.keeper.keep(self._connection)
        hello = protocol.Hello(
            protocol=protocol.VERSION,
            user=shapes.user(who.user),
            server=self._hub.incarnation,
            heartbeat_s=conf.heartbeat_s,
            limits=protocol.Limits(
                frame_bytes=conf.frame_bytes,
                body_chars=conf.body_chars,
                sync_rooms=conf.sync_rooms,
                history=conf.history_messages,
                catch_up=conf.catch_up,
                unanswered=conf.unanswered,
            ),
            flow=protocol.Flow(frames=conf.received_frames, seconds=conf.received_s),
            rooms=states,
            rooms_version=version,
            more=more,
        )
        self._hub.send(self._connection, protocol.encode(hello))

    async def _authenticate(self, command: protocol.Auth) -> None:
        known = self._connection.identity
        if known is None:
            who = await offload.auth.run(identity.from_token, command.token)
            if who is None:
                self._connection.close(Close.NOT_SIGNED_IN)
                return
        elif command.token is None:
            # "With what I have shown already": the session or token is looked at again.
            if (code := (await offload.auth.run(identity.ended, [known])).get(known)) is not None:
                self._connection.close(code)
                return
            who = known
        else:
            who = await offload.auth.run(identity.from_token, command.token)
            if who is None or who.user.pk != known.user.pk:
                raise AuthInvalid
        if self._no_token is not None:
            self._no_token.cancel()
        self._answer(command.ref, {"user": shapes.user(who.user)})
        await self._welcome(who)

    # Commands ----------------------------------------------------------------------------------------------------

    def _read_inbox(self) -> None:
        """Turn the frames that have come into commands, in order, and answer those that can't be read."""
        while self._inbox and not self._is_closing:
            for item in protocol.decode(self._inbox.popleft(), max_bytes=conf.frame_bytes):
                self._take(item)

    def _take(self, item: Any) -> None:
        if isinstance(item, protocol.Rejected):
            self._refuse_command(item)
        elif isinstance(item, protocol.Received):
            if not self._connection.received(item.frames, self._loop.time()):
                self._refuse_command(protocol.Rejected(None, CommandInvalid("So many were not sent.", field="frames")))
        elif not isinstance(item, protocol.Typing) and self._unanswered >= conf.unanswered:
            self._reply(item.ref, error=ServerBusy())
        elif len(self._commands) < 2 * conf.unanswered:  # typing has no ref: past this it is shed
            self._unanswered += not isinstance(item, protocol.Typing)
            self._commands.append(item)
            if self._worker is not None and self._worker.done():
                self._worker = self._loop.create_task(self._work())

    def _refuse_command(self, rejected: protocol.Rejected) -> None:
        if rejected.ref is not None:
            self._reply(rejected.ref, error=rejected.error)
        else:
            told = protocol.ErrorEvent(error=protocol.error_body(rejected.error))
            self._hub.send(self._connection, protocol.encode(told))
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
            change = await prepare(self._context, command)
            stored = writer.submit(change)
            self._writes.add(stored)
            stored.add_done_callback(lambda done: self._stored(command.ref, done))
        elif isinstance(command, protocol.Typing):
            await timeline.typing(self._context, command)
        else:
            # What this connection has changed must show in what it reads next.
            if self._writes:
                await asyncio.wait(self._writes)
            if isinstance(command, protocol.Sync):
                self._start(self._sync(command))
            else:
                self._answer(command.ref, await READS[type(command)](self._context, command))

    async def _sync(self, command: protocol.Sync) -> None:
        try:
            self._answer(command.ref, await timeline.sync(self._context, command))
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
            if isinstance(result, ChatError):
                self._answer(ref, error=result)
            else:
                self._answer(ref, result)
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
            logger.error("connection %s: %s", self._connection.id, type(error).__name__, exc_info=error)


def _host(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"host", b"").decode("latin1")


def _is_secure(scope: WebSocketScope, headers: dict[bytes, bytes]) -> bool:
    if settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        given = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower().encode())
        if given is not None:
            return given.decode("latin1").split(",")[0].strip() == value
    return scope.get("scheme") == "wss"


def _bearer(headers: dict[bytes, bytes], scope: WebSocketScope) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin1").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if conf.query_token:
        return next(iter(parse_qs(scope["query_string"].decode("latin1")).get("token", [])), None)
    return None


def _cookie(headers: dict[bytes, bytes]) -> dict[str, str]:
    return parse_cookie(headers.get(b"cookie", b"").decode("latin1"))
