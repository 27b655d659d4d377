"""Runs a client core with a WebSocket, a timer and an outbox. The public API is ``chat.client.client``."""

import asyncio
import logging
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from chat.client.core.actions import (
    Action,
    Answered,
    ClientNews,
    Connect,
    Disconnect,
    Failed,
    Overflowed,
    RoomNewsReady,
    Send,
    SignedIn,
    Stopped,
    Stored,
    Tell,
)
from chat.client.core.client import ClientCore
from chat.client.outbox_store import OutboxStore
from chat.client.room import Room
from chat.client.websocket import Target, Writer
from chat.wire import protocol

log = logging.getLogger("chat.client")

NEWS_AT_MOST = 1000
ABNORMAL = 1006
"""The close code that stands for "no close frame came"."""


class Engine:
    """Carry out the core's actions, and tell it what happens. Bound to one event loop, and not thread-safe."""

    def __init__(self, core: ClientCore, target: Target, outbox: OutboxStore):
        self.core = core
        self.is_closed = False
        self._target = target
        self._outbox = outbox
        self._handles: dict[str, Room] = {}
        self._posts: dict[str, list[asyncio.Future[protocol.PostResult]]] = {}
        """Client id → the callers that wait for the answer, some of which may have given up."""
        self._restored: asyncio.Future[str] | None = None
        self._news: deque[ClientNews | Failed] = deque(maxlen=NEWS_AT_MOST)
        self._news_ready = asyncio.Event()
        self._state_waiters: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._connection: asyncio.Task[None] | None = None
        self._writer: Writer | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._acknowledged: list[str] = []
        self._is_forgetting = False

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._restored = self._loop.create_future()
        await self._outbox.open(self._target.url)
        self._do(self.core.start(self._now()))

    async def _end(self) -> None:
        self.is_closed = True
        self._do(self.core.stop())
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._outbox.close()

    def stopped(self) -> Stopped:
        """Return the error for callers that wait for something that will never come."""
        return Stopped(f"The client has ended its connection for good: {self.core.reason}.")

    # The core's actions ----------------------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            self._do_one(action)
        self._set_timer()

    def _do_one(self, action: Action) -> None:
        if isinstance(action, Send):
            if self._writer is not None:
                self._writer.send(action.command)
        elif isinstance(action, RoomNewsReady):
            if (handle := self._handles.get(action.room)) is not None:
                handle.wake()
        elif isinstance(action, Answered):
            _settle(action.tag, action.result, action.error)
        elif isinstance(action, Stored):
            self._forget(action.client_id)
            self._answer_posts(action.client_id, action.result, None)
        elif isinstance(action, Failed):
            self._failed(action)
        elif isinstance(action, Tell):
            self._tell(action.news)
        elif isinstance(action, Connect):
            self._connection = self._spawn(self._hold_connection(action.fresh_credentials))
        elif isinstance(action, Disconnect):
            self._writer = None
            if self._connection is not None:
                self._connection.cancel()
        elif isinstance(action, SignedIn) and self._restored is not None and not self._restored.done():
            self._spawn(self._restore(action.user.id))

    def _failed(self, failed: Failed) -> None:
        self._forget(failed.client_id)
        if not self._answer_posts(failed.client_id, None, failed.error):
            self._tell(failed)  # no caller waits for this message

    def _answer_posts(self, client_id: str, result: Any, error: Exception | None) -> bool:
        """Answer the callers that wait for a message, and return whether there were any."""
        waiting = [each for each in self._posts.pop(client_id, ()) if not each.done()]
        for each in waiting:
            _settle(each, result, error)
        return bool(waiting)

    def _tell(self, news: ClientNews | Failed) -> None:
        if len(self._news) == NEWS_AT_MOST:
            self._news.clear()
            self._news.append(Overflowed(None))
        self._news.append(news)
        self._news_ready.set()
        waiters, self._state_waiters = self._state_waiters, []
        for waiter in waiters:
            _settle(waiter, None, None)
        if self.core.state == "stopped":
            self._nobody_waits_in_vain()

    def _nobody_waits_in_vain(self) -> None:
        for client_id in list(self._posts):
            self._answer_posts(client_id, None, self.stopped())
        if self._restored is not None and not self._restored.done():
            self._restored.set_exception(self.stopped())
            self._restored.exception()  # asyncio would log it as never retrieved if nothing is posted
        for handle in self._handles.values():
            handle.wake()

    def _set_timer(self) -> None:
        if self.is_closed:
            return
        at = self.core.wake_at(self._now())
        if at is None or (self._timer is not None and not self._timer.cancelled() and self._timer_at <= at):
            return  # a timer that fires too early sets the next one
        if self._timer is not None:
            self._timer.cancel()
        # The time is noted, because what uvloop gives for one that has come does not know it.
        self._timer, self._timer_at = self._require_loop().call_at(at, self._tick), at

    def _tick(self) -> None:
        self._timer = None
        self._do(self.core.tick(self._now()))

    # The connection --------------------------------------------------------------------------------------------

    async def _hold_connection(self, fresh: bool) -> None:
        """Hold one connection, from the attempt to its end. Cancelled when the core gives the connection up."""
        try:
            token = await self._target.token_now(fresh=fresh)
            socket = await self._target.open(token)
        except InvalidStatus as error:
            log.warning("The server answered the handshake with %s.", error.response.status_code)
            self._do(self.core.refused(error.response.status_code, self._now()))
        except (OSError, TimeoutError, WebSocketException) as error:
            log.info("There is no connection: %s", error)
            self._do(self.core.closed(ABNORMAL, self._now()))
        except Exception:
            # Most likely the application's token function failed. It may work the next time.
            log.exception("The connection could not be made.")
            self._do(self.core.closed(ABNORMAL, self._now()))
        else:
            await self._use(socket, token)

    async def _use(self, socket: ClientConnection, token: str | None) -> None:
        writer = self._writer = Writer(socket)
        code: int | None = None
        try:
            first_frame = token if self._target.auth == "frame" else None
            by_cookie = token is None and bool(self._target.cookies)
            self._do(self.core.opened(self._now(), token=first_frame, by_cookie=by_cookie))
            code = await self._read(socket)
        finally:
            writer.stop()
            # Not awaited: a dead connection takes a while to close, and nothing more is read from it.
            self._spawn(socket.close())
            if self._writer is writer:
                self._writer = None
        self._do(self.core.closed(code, self._now()))

    async def _read(self, socket: ClientConnection) -> int:
        """Give frames to the core until the connection ends, and return its close code."""
        while True:
            try:
                frame = await socket.recv(decode=False)
            except ConnectionClosed as error:
                return error.rcvd.code if error.rcvd else ABNORMAL
            try:
                events = protocol.decode_events(bytes(frame))
                self._do(self.core.frame(events, len(frame), self._now()))
            except Exception:
                # Whatever failed, the events of this frame are lost, and only a new connection, which syncs and repeats
                # commands, is certain to recover them. If the error propagated, this task would end without `closed`,
                # and the core would go on as if it were connected.
                log.exception("A frame of the server can't be read.")
                return ABNORMAL
            await asyncio.sleep(0)  # many frames may be there already, and the application must get its turn

    # The outbox ---------------------------------------------------------------------------------------------

    async def _restore(self, user: str) -> None:
        """Send what an earlier run left in the outbox, before anything new."""
        assert self._restored is not None
        try:
            items = await self._outbox.load(user)
        except Exception as error:
            log.exception("The outbox can't be read.")
            if not self._restored.done():
                self._restored.set_exception(error)
            return
        if not self._restored.done():
            self._do(self.core.restore(items, self._now()))
            self._restored.set_result(user)

    def _forget(self, client_id: str) -> None:
        """Remove an answered message from the outbox. A crash before that only repeats it, which is harmless."""
        self._acknowledged.append(client_id)
        if not self._is_forgetting:
            self._is_forgetting = True
            self._spawn(self._forget_acknowledged())

    async def _forget_acknowledged(self) -> None:
        try:
            while self._acknowledged:
                batch = list(self._acknowledged)
                await self._outbox.remove(batch)
                del self._acknowledged[: len(batch)]
        except Exception:
            # The next acknowledgement tries again, with these.
            log.exception("The outbox can't be written.")
        finally:
            self._is_forgetting = False

    # Internal --------------------------------------------------------------------------------------------------

    async def _changed(self) -> None:
        """Return when the connection's state has changed, or may have."""
        waiter = self._require_loop().create_future()
        self._state_waiters.append(waiter)
        await waiter

    def _now(self) -> float:
        return self._require_loop().time()

    def _require_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "use `async with ChatClient(…)`"
        return self._loop

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = self._require_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _settle(waiting: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    """Set a future's result or error, unless it is done or cancelled already."""
    if waiting.done():
        return
    if error is not None:
        waiting.set_exception(error)
    else:
        waiting.set_result(result)
