"""One socket as the hub sees it: its person, its rooms, its window, and the frames on their way out."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import CoroutineType, coroutine
from typing import Any, Literal, Protocol

from chat.access.identity import Identity
from chat.conf import conf
from chat.live.flow import SeenWindow, Window
from chat.runtime.rates import RateLimit
from chat.runtime.safe_logging import describe
from chat.wire import protocol
from chat.wire.position import Position

logger = logging.getLogger(__name__)

FRAME_BYTES = 256 * 1024
"""Server frames stay below this size unless a single event is larger (docs/protocol.md, section 1)."""
WARNINGS = RateLimit(rate=1 / 60, burst=10)
"""How often the process logs failed sends of the same cause as warnings: a thousand sockets may die at once."""
FAILURES = (Exception, asyncio.CancelledError)
"""The ways in which a send may fail. A server may also cancel it, and an exception that escaped here would keep the
other sockets from their turn."""


class Chunk:
    """Encoded events that leave together, and the ASGI message that sends them as a frame, built once for all members.

    A ``shared`` chunk came from a feed and is dropped when the connection lags; replies are never dropped.
    """

    __slots__ = ("_frame", "_message", "parts", "shared", "size")

    def __init__(self, parts: list[bytes], *, shared: bool = False):
        self.parts = parts
        self.shared = shared
        self.size = sum(map(len, parts)) + len(parts) + 1
        self._message: dict[str, Any] | None = None
        self._frame: bytes | None = None

    def message(self) -> dict[str, Any]:
        if self._message is None:
            self._message = {"type": "websocket.send", "text": protocol.frame_of(self.parts).decode()}
        return self._message

    def frame(self) -> bytes:
        """The whole WebSocket frame, for a transport that takes frames."""
        if self._frame is None:
            text = protocol.frame_of(self.parts)
            self._frame = _header(len(text)) + text
        return self._frame


def _header(size: int) -> bytes:
    """What precedes ``size`` bytes of text in an unmasked, unfragmented frame (RFC 6455, section 5.2)."""
    if size < 126:
        return bytes((0x81, size))
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


class FollowedRoom(Protocol):
    """A room as its followers see it (``live/rooms.py``)."""

    room_id: int
    moved_at: float

    @property
    def head(self) -> int: ...

    def detach(self, connection: "Connection", now: float) -> None: ...


TRANSPORT = "chat.transport"
"""The extension of an ASGI scope that holds the socket's ``Transport``."""


class Transport(Protocol):
    """What lies below the ASGI server's ``send``, where the server shows it."""

    def count_frames(self, count: Callable[[], None]) -> bool:
        """Call ``count`` before each frame is read: for pings, pongs and parts of a message as well, of which an
        application is told nothing. Return False where the server does not show them."""

    def unsent_bytes(self) -> int:
        """What the server has been given and the kernel has not taken yet."""

    @property
    def takes_frames(self) -> bool:
        """Whether ``send_frame`` may be called in place of the server's ``send``, and whether what is unsent is told
        exactly, by ``unsent_bytes`` and ``on_sent``."""

    def send_frame(self, frame: bytes) -> None:
        """Send a frame that is ready for the wire, with its header. Never waits, never fails."""

    def on_sent(self, call: Callable[[], None]) -> None:
        """Call ``call`` whenever everything has been sent, after some kilobytes had to wait."""

    def pause_reading(self, seconds: float) -> None:
        """Take nothing from the client for a while: what they send waits on their side."""

    def stop_reading(self) -> None:
        """Take nothing more from the client, and nothing of what has come and was not read."""


class UnknownTransport:
    """The transport of a server that does not show it."""

    takes_frames = False

    def send_frame(self, frame: bytes) -> None:
        raise NotImplementedError

    def on_sent(self, call: Callable[[], None]) -> None:
        raise NotImplementedError

    def count_frames(self, count: Callable[[], None]) -> bool:
        return False

    def unsent_bytes(self) -> int:
        return 0

    def pause_reading(self, seconds: float) -> None:
        pass

    def stop_reading(self) -> None:
        pass


class Connection:
    """One socket. It belongs to nobody until ``sign_in``.

    Args:
        send: The socket's ASGI send.
        close: Closes the socket with a code. It is called once at most, and must return at once.
        transport: What the server shows of the socket; None if it shows nothing.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], Awaitable[None]],
        close: Callable[[int], None],
        transport: Transport | None = None,
    ):
        self.id = secrets.token_hex(8)  # unique among all processes
        self.identity: Identity | None = None
        self.user_id = ""
        self.rooms: dict[int, FollowedRoom] = {}
        self.greeted: dict[int, Position] = {}
        """What ``hello`` said of the rooms, until the first sync."""
        self.told = 0
        """How many events for its person alone have come to this process."""
        self.syncing: dict[str, asyncio.Future[None]] = {}
        self.status: Literal["online", "away"] = "online"
        """What the client has last said of its person."""
        self.out: list[Chunk] = []
        self.is_closed = False
        self.is_greeted = True
        self.is_leaving = False
        """Whether its process is ending, and new commands are refused."""
        self.unanswered = 0
        """Commands that wait for their reply."""
        self.heads_at = 0.0
        self.transport: Transport = transport or UnknownTransport()
        self._takes_frames = self.transport.takes_frames
        self.window = self._seen_window() if self._takes_frames else _window()
        self._send = send
        self._close = close
        self._blocked: asyncio.Task[None] | None = None
        self._backlog: list[dict[str, Any]] = []
        self._room_waiters: list[asyncio.Future[None]] = []

    def _seen_window(self) -> SeenWindow:
        self.transport.on_sent(self._wake)
        return SeenWindow(self.transport.unsent_bytes, size=conf.window_bytes, stall_s=conf.stall_s)

    @property
    def asks_for_received(self) -> bool:
        """Whether the client must say what it has ``received``, because nothing else shows whether it reads."""
        return not self._takes_frames

    @property
    def user(self) -> Any:
        """The signed-in person; None before the sign-in."""
        return self.identity.user if self.identity else None

    def sign_in(self, identity: Identity) -> None:
        """Give the connection to a person. A first sign-in holds everything back until the hub's ``greet``."""
        self.is_greeted = self.identity is not None
        self.identity = identity
        self.user_id = identity.user_id

    # Out ---------------------------------------------------------------------------------------------------------

    def flush(self, now: float) -> None:
        """Send the queue in as few frames as the size limit allows. Nothing is sent before the greeting."""
        if not self.is_greeted:
            return
        out, self.out = self.out, []
        if self.is_closed or not out:
            return
        if len(out) == 1:
            self._transmit(out[0], now)
            return
        parts: list[bytes] = []
        size = 0
        for chunk in out:
            if parts and size + chunk.size > FRAME_BYTES:
                self._transmit(Chunk(parts), now)
                parts, size = [], 0
            parts.extend(chunk.parts)
            size += chunk.size
        self._transmit(Chunk(parts), now)

    def _transmit(self, chunk: Chunk, now: float) -> None:
        self.window.sending(chunk.size, now)
        if self._takes_frames:
            self.transport.send_frame(chunk.frame())
            return
        if self._blocked is not None:
            self._backlog.append(chunk.message())  # bounded, because the window counts it
            return
        try:
            sending = self._send(chunk.message())
            # daphne's send is a coroutine that never waits: driving it here saves a task for each member and frame.
            # Other servers may return any awaitable, which is all that ASGI promises.
            steps = sending if type(sending) is CoroutineType else _coroutine_of(sending)
            waiting_for = steps.send(None)
        except StopIteration:
            return
        except FAILURES as error:
            self.send_failed(error)
            return
        self._blocked = asyncio.get_running_loop().create_task(self._finish(_rest_of(steps, waiting_for)))

    async def _finish(self, rest: Awaitable[None]) -> None:
        try:
            await rest
            while self._backlog and not self.is_closed:
                await self._send(self._backlog.pop(0))
        except FAILURES as error:
            if not self.is_closed:  # after a close, a failed send is no news
                self.send_failed(error)
        finally:
            self._blocked = None

    def send_failed(self, error: BaseException) -> None:
        """Log the cause and send nothing more. The consumer then waits for the server's disconnect message."""
        cause = describe(error)
        level = logging.DEBUG if WARNINGS.wait_s(cause, time.monotonic()) else logging.WARNING
        logger.log(level, "connection %s: a send failed: %s", self.id, cause)
        self.end()

    # Window ------------------------------------------------------------------------------------------------------

    def received(self, frames: int, now: float) -> bool:
        """Take the client's acknowledgement; False if it names frames that were never sent."""
        honest = self.window.received(frames, now)
        if self.window.is_half_empty:
            self._wake()
        return honest

    @property
    def is_flooded(self) -> bool:
        """Whether far more than a window is unacknowledged, or is still in this process, whatever the client claims."""
        return self.window.is_flooded or self.transport.unsent_bytes() >= self.window.hard_size

    async def room_for_page(self) -> None:
        """Return when half of the window is free. Catching up leaves the other half to live events.

        The heartbeat closes a connection whose client never makes room.
        """
        while not self.window.is_half_empty and not self.is_closed:
            waiter = asyncio.get_running_loop().create_future()
            self._room_waiters.append(waiter)
            await waiter

    def look_for_room(self) -> None:
        """Let go on what waits for room, if there is some. Nobody tells when half of what waited has been sent."""
        if self._room_waiters and self.window.is_half_empty:
            self._wake()

    def _wake(self) -> None:
        waiters, self._room_waiters = self._room_waiters, []
        for each in waiters:
            if not each.done():
                each.set_result(None)

    def close(self, code: int) -> None:
        """Close the socket with ``code``. Nothing is sent afterwards."""
        if not self.is_closed:
            self.end()
            self._close(code)

    def end(self) -> None:
        """Send nothing more, and wake everybody who waits for the window, or for a sync that will never run."""
        self.is_closed = True
        self.out.clear()
        self._wake()
        for done in self.syncing.values():
            if not done.done():
                done.set_result(None)


def _window() -> Window:
    return Window(
        frames=conf.window_frames,
        size=conf.window_bytes,
        ack_frames=conf.received_frames,
        ack_s=conf.received_s,
        stall_s=conf.stall_s,
    )


async def _coroutine_of(awaitable: Awaitable[None]) -> None:
    await awaitable


@coroutine
def _rest_of(steps: Coroutine[Any, Any, None], waiting_for: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that was driven by hand up to ``waiting_for``."""
    try:
        while True:
            try:
                came = yield waiting_for
            except BaseException as error:
                waiting_for = steps.throw(error)  # the coroutine may handle the failure of what it waits for
            else:
                waiting_for = steps.send(came)
    except StopIteration:
        return
