"""One WebSocket: opening it with the right credentials, and writing to it in the background."""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from chat.wire import protocol

log = logging.getLogger("chat.client")

DEFAULT_PATH = "/ws/chat/"
FRAME_BYTES = 4 * 1024 * 1024
"""Largest frame accepted. No server frame exceeds 900 KiB; the limit only bounds what a broken server could send."""
OPEN_WITHIN_S = 20.0
CLOSE_WITHIN_S = 2.0
UNSENT_AT_MOST = 1000
"""Commands that may wait for the network. The server's limit on unanswered commands keeps them below 40; more than
this means that the server has stopped reading."""

TokenSource = str | Callable[[], str | Awaitable[str]]


def socket_url(url: str) -> str:
    """Return the socket's URL for a site's: ``http://host`` becomes ``ws://host/ws/chat/``; any other path is kept."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.netloc:
        raise ValueError(f"Not the address of a chat site: {url!r}")
    path = DEFAULT_PATH if parts.path in ("", "/") else parts.path
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


def origin_of(url: str) -> str:
    """Return the site's origin, which the server requires beside a session cookie."""
    parts = urlsplit(url)
    return f"{ {'ws': 'http', 'wss': 'https'}.get(parts.scheme, parts.scheme) }://{parts.netloc}"


@dataclass(kw_only=True)
class Target:
    """Where to connect, and as whom.

    Args:
        token: A bearer token, or a function that returns one; it is called again when the server refuses the last.
        auth: ``header`` sends the token with the handshake, ``frame`` in the first frame.
        cookies: Cookies of a signed-in session, instead of a token; ``origin`` then defaults to the site's own.
    """

    url: str
    token: TokenSource | None = None
    auth: Literal["header", "frame"] = "header"
    cookies: Mapping[str, str] | None = None
    origin: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    ssl: SSLContext | None = None
    proxy: str | Literal[True] | None = True
    _fresh: str | None = None

    @property
    def can_refresh(self) -> bool:
        return callable(self.token)

    async def token_now(self, *, fresh: bool) -> str | None:
        """Return the token to use. ``fresh`` means that the last one was refused."""
        if not callable(self.token):
            return self.token
        if self._fresh is None or fresh:
            answer = self.token()
            self._fresh = await answer if inspect.isawaitable(answer) else answer
        return self._fresh

    async def open(self, token: str | None) -> ClientConnection:
        """Return a connected WebSocket.

        Raises:
            OSError, TimeoutError, websockets.exceptions.WebSocketException: The connection could not be made.
        """
        headers = dict(self.headers)
        origin = self.origin
        if token is not None and self.auth == "header":
            headers["Authorization"] = f"Bearer {token}"
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            origin = origin or origin_of(self.url)
        options: dict[str, Any] = {"ssl": self.ssl} if self.ssl is not None else {}
        return await connect(
            self.url,
            additional_headers=headers,
            origin=Origin(origin) if origin else None,
            subprotocols=[Subprotocol(protocol.SUBPROTOCOL)],
            compression=None,
            proxy=self.proxy,
            # The protocol's own heartbeat finds dead connections; a second one would only cost frames.
            ping_interval=None,
            open_timeout=OPEN_WITHIN_S,
            close_timeout=CLOSE_WITHIN_S,
            max_size=FRAME_BYTES,
            **options,
        )


class Writer:
    """Sends in the background, in order, so that callers never wait for the network."""

    def __init__(self, socket: ClientConnection):
        self._socket = socket
        self._unsent: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._write())

    def send(self, command: protocol.Command) -> None:
        if isinstance(command, protocol.Typing) and self._unsent:
            return  # typing is worthless once it is late
        self._unsent.append(protocol.encode(command))
        self._wake.set()
        if len(self._unsent) > UNSENT_AT_MOST:
            self._socket.transport.abort()

    def stop(self) -> None:
        self._task.cancel()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._unsent:
                    await self._socket.send(self._unsent.popleft(), text=True)
        except ConnectionClosed:
            pass  # the reader sees it too, and tells the core
