"""``ChatConsumer``: one socket from its handshake to its end."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.typing import WebSocketScope
from channels.consumer import AsyncConsumer, get_handler_name
from channels.exceptions import StopConsumer

from chat import process
from chat.access.client_address import network_of
from chat.live.background import BackgroundTasks
from chat.live.connection import TRANSPORT, Connection
from chat.sockets.commands.context import Context
from chat.sockets.dispatch import Dispatch
from chat.sockets.handshake import Handshake, refuse
from chat.sockets.inbox import Inbox
from chat.sockets.sign_in import SignIn, welcomes
from chat.wire.errors import Close


class ChatConsumer(AsyncConsumer):
    """One socket. Frames are read at once and bounded; commands run one after the other, in the order sent."""

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
        self._process = process.current()
        transport: Any = (scope.get("extensions") or {}).get(TRANSPORT)
        self._connection = Connection(send, close=self._close_soon, transport=transport)
        self._tasks = BackgroundTasks(self._process.hub.loop)
        self._network = network = network_of(scope)
        self._sign_in = SignIn(self._connection, self._process, network)
        self._commands = Dispatch(Context(self._connection, self._process, self._sign_in), self._tasks)
        self._inbox = Inbox(self._connection, self._commands, self._process.hub.loop, network)
        try:
            while True:
                await self.dispatch(await receive())
        except StopConsumer:
            pass
        finally:
            self._end()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Channels' own dispatch first closes stale database connections in a thread. No handler here uses one.
        await getattr(self, get_handler_name(message))(message)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        handshake = Handshake(self.scope)
        is_welcome = await welcomes(self._network)
        if handshake.has_wrong_origin:
            await self._refuse(403)
            return
        if not is_welcome:
            await self.base_send({"type": "websocket.accept", "subprotocol": handshake.subprotocol})
            self._connection.close(Close.FLOODING)
            return
        is_known = handshake.token is None or await self._sign_in.has_token(handshake.token)
        if is_known is False:
            await self._refuse(401)
            return
        await self.base_send({"type": "websocket.accept", "subprotocol": handshake.subprotocol})
        if handshake.wants_another_version:
            self._connection.close(Close.UNSUPPORTED_PROTOCOL)
        elif is_known is None:
            self._connection.close(Close.NORMAL)
        else:
            self._tasks.start(self._begin(handshake.session_key))

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        # A binary frame is no JSON text; the empty string is refused as such when its turn comes.
        text = message.get("text") or ""
        self._inbox.put(text, len(text or message.get("bytes") or ""))

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        raise StopConsumer

    async def _begin(self, session_key: str | None) -> None:
        """Find out who is calling, then run the commands that came meanwhile."""
        if await self._sign_in.begin(session_key):
            self._commands.start()

    async def _refuse(self, status: int) -> None:
        await refuse(self.scope, self.base_send, status)
        self._connection.end()

    def _close_soon(self, code: int) -> None:
        if code == Close.FLOODING:
            self._connection.transport.stop_reading()
            self._process.hub.keep_out(self._connection)
        self._stop()
        self._tasks.start(self._send_close(code))

    async def _send_close(self, code: int) -> None:
        try:
            await self.base_send({"type": "websocket.close", "code": int(code)})
        except Exception as error:
            self._connection.send_failed(error)

    def _end(self) -> None:
        self._stop()
        self._process.heartbeat.remove(self._connection)
        self._sign_in.cancel()
        self._tasks.cancel()

    def _stop(self) -> None:
        """Take no more frames, run no more commands, and leave the hub. Harmless when repeated."""
        self._inbox.clear()
        self._commands.clear()
        self._process.hub.close(self._connection)
