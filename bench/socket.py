"""The load generator's WebSocket: it does little more than count events, so that one core can load another.

A full client would spend several times the CPU that a delivery costs the server. This one splits frames by their
headers, and in counting mode counts events by searching the raw bytes for their mark.
"""

import asyncio
import base64
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

CONNECT_S = 60.0
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Closed(Exception):
    """The server refused the handshake or a command, or closed a socket that should have stayed open."""


class Tally:
    """Count the events of many sockets, and wake the coroutine that waits for a total.

    Args:
        mark: Bytes that occur once in each event.
    """

    def __init__(self, mark: bytes):
        self.mark = mark
        self.count = 0
        self.on_change: Callable[[], None] = lambda: None
        self._target = 0
        self._reached: asyncio.Future[None] | None = None

    def add(self, number: int) -> None:
        self.count += number
        if self._reached and self.count >= self._target:
            if not self._reached.done():
                self._reached.set_result(None)
            self._reached = None
        self.on_change()

    def fail(self, error: Exception) -> None:
        if self._reached and not self._reached.done():
            self._reached.set_exception(error)

    async def reaches(self, target: int, within_s: float = 30.0) -> None:
        """Return once the count is at least ``target``."""
        if self.count < target:
            self._target, self._reached = target, asyncio.get_running_loop().create_future()
            await asyncio.wait_for(self._reached, within_s)


class Socket(asyncio.Protocol):
    """One WebSocket client. It parses what it receives until ``count`` is called, and then only counts.

    It sends ``received`` as ``hello.flow`` asks, so that the server never takes it for a slow client.
    """

    def __init__(self) -> None:
        self.hello: dict[str, Any] | None = None
        self.is_closed = False
        self.close_code = 0
        self._tally: Tally | None = None
        self._on_count: Callable[[Socket, int], None] | None = None
        self._transport: asyncio.Transport
        self._rest = b""
        self._upgraded = False
        self._frames = self._acknowledged = 0
        self._flow = 0
        self._ref = 0
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._greeted: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, port: int, path: str, headers: Mapping[str, str] | None = None) -> "Socket":
        """Connect and upgrade.

        Raises:
            Closed: The server answered with a status other than 101.
        """
        _, socket = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        lines = {
            "Host": f"127.0.0.1:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        socket._transport.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        await asyncio.wait_for(socket._opened, CONNECT_S)
        return socket

    async def greeted(self) -> dict[str, Any]:
        """Wait for the server's ``hello`` and return it."""
        return await asyncio.wait_for(asyncio.shield(self._greeted), CONNECT_S)

    async def request(self, command: str, **fields: Any) -> dict[str, Any]:
        """Send a command and return its result. Replies are not parsed any more once ``count`` has been called.

        Raises:
            Closed: The command was refused, or the socket closed.
        """
        self._ref += 1
        self._replies[self._ref] = asyncio.get_running_loop().create_future()
        self.send(json.dumps({"type": command, "ref": self._ref, **fields}).encode())
        reply = await asyncio.wait_for(self._replies[self._ref], CONNECT_S)
        if not reply["ok"]:
            raise Closed(f"{command}: {reply['error']}")
        return reply.get("result") or {}

    def next_ref(self) -> int:
        self._ref += 1
        return self._ref

    def count(self, tally: Tally, on_count: "Callable[[Socket, int], None] | None" = None) -> None:
        """From now on, only count ``tally.mark``. ``on_count`` is called with its number in each chunk that has it."""
        self._tally, self._on_count = tally, on_count

    def send(self, text: bytes, opcode: int = TEXT) -> None:
        # A client must mask its frames; a mask of zeros costs nothing.
        size = len(text)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self._transport.write(bytes((0x80 | opcode,)) + length + b"\0\0\0\0" + text)

    def close(self) -> None:
        self.is_closed = True
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        start = 0
        if not self._upgraded:
            start = self._upgrade(data)
            if not start:
                self._rest = data
                return
        place, end = start, len(data)
        while end - place >= 2:
            size, body = data[place + 1], place + 2
            if size == 126:
                size, body = int.from_bytes(data[place + 2 : place + 4], "big"), place + 4
            elif size == 127:
                size, body = int.from_bytes(data[place + 2 : place + 10], "big"), place + 10
            if body > end or body + size > end:
                break
            opcode = data[place] & 15
            if opcode == TEXT:
                self._frames += 1
                if self._tally is None:
                    self._read(data[body : body + size])
            elif opcode == PING:
                self.send(data[body : body + size], PONG)
            elif opcode == CLOSE:
                self.close_code = int.from_bytes(data[body : body + 2], "big")
            place = body + size
        self._rest = data[place:]
        if self._flow and self._frames - self._acknowledged >= self._flow:
            self._acknowledged = self._frames
            self.send(b'{"type":"received","frames":%d}' % self._frames)
        if self._tally is not None and (number := data.count(self._tally.mark, start, place)):
            self._tally.add(number)
            if self._on_count:
                self._on_count(self, number)

    def connection_lost(self, error: Exception | None) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        lost = Closed(f"The server closed a socket: {self.close_code or error or 'no close frame'}")
        for future in (self._opened, self._greeted, *self._replies.values()):
            if not future.done():
                future.set_exception(lost)
                future.exception()  # mark it as retrieved, or asyncio logs it if nobody awaits this future
        if self._tally is not None:
            self._tally.fail(lost)

    # Internal

    def _upgrade(self, data: bytes) -> int:
        """Read the handshake response and return where the frames begin, or 0 while it is incomplete."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        self._upgraded = True
        if data.startswith(b"HTTP/1.1 101"):
            self._opened.set_result(None)
        else:
            self._opened.set_exception(Closed(data[:60].split(b"\r\n")[0].decode(errors="replace")))
        return end + 4

    def _read(self, frame: bytes) -> None:
        events = json.loads(frame)
        for event in events if isinstance(events, list) else [events]:
            if event.get("type") == "hello":
                self.hello = event
                self._flow = (event["flow"] or {}).get("frames", 0)
                if not self._greeted.done():
                    self._greeted.set_result(event)
            elif event.get("type") == "reply" and event["ref"] in self._replies:
                future = self._replies.pop(event["ref"])
                if not future.done():
                    future.set_result(event)
