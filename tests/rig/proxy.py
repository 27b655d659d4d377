"""A TCP proxy that causes faults: it cuts and stalls connections between two parties of a test, and loses data.

It runs in its own thread, so that it continues while the test blocks, for example to start a server. The test calls its
methods, which take effect before they return.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

CHUNK = 64 * 1024


@dataclass(eq=False)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    pumps: list[asyncio.Task[None]] = field(default_factory=list)
    is_deaf: bool = False


class Proxy:
    """Forwards connections from ``port`` to ``target_port``, both on the loopback address."""

    def __init__(self, target_port: int):
        self.target_port = target_port
        self.port = 0
        self.connections = 0
        """How many connections were accepted so far."""
        self._links: set[_Link] = set()
        self._flows = asyncio.Event()
        self._open = True
        self._cut_at: bytes | None = None
        self._cut_before: bytes | None = None
        self._answers_left: int | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._flows.set()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._do(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Break all connections that are open now (RST). New ones are accepted."""
        self._call(self._cut)

    def refuse(self) -> None:
        """Break all connections, and each new one as soon as it is opened."""
        self._open = False
        self.cut()

    def accept(self) -> None:
        self._open = True

    def pause(self) -> None:
        """Hold all data back while connections stay open, as in a dead network."""
        self._call(self._flows.clear)

    def resume(self) -> None:
        """Pass on what was held back, and everything after it."""
        self._call(self._flows.set)

    def swallow_answers(self) -> None:
        """Drop everything that servers send on the connections open now, which stay open. New connections work."""
        self._call(lambda: [setattr(link, "is_deaf", True) for link in self._links])

    def cut_once_sent(self, pattern: bytes) -> None:
        """Cut a connection once its client has sent ``pattern`` and the server has answered, and lose the answer.

        This happens once. With ``b"COMMIT"`` in front of PostgreSQL, the commit succeeds, but the client can't know it.
        """
        self._cut_at = pattern

    def cut_before(self, pattern: bytes) -> None:
        """Cut a connection when its client sends ``pattern``, which the server never gets. This happens once.

        With ``b"COMMIT"`` in front of PostgreSQL, the transaction is rolled back at the last moment.
        """
        self._cut_before = pattern

    def cut_after(self, answer_bytes: int) -> None:
        """End a connection once the servers have sent this many more bytes, and lose the rest. This happens once."""
        self._answers_left = answer_bytes

    async def _finish(self) -> None:
        self._server.close()
        self._open = False
        self._flows.set()
        while serving := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            self._cut()
            await asyncio.wait(serving, timeout=0.1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if not self._open:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, server_writer)
        lost = asyncio.Event()
        link.pumps = [
            asyncio.ensure_future(self._pump_requests(link, reader, lost)),
            asyncio.ensure_future(self._pump_answers(link, server_reader, lost)),
        ]
        self._links.add(link)
        await asyncio.wait(link.pumps)
        self._links.discard(link)
        link.client.close()
        link.server.close()

    async def _pump_requests(self, link: _Link, reader: asyncio.StreamReader, lost: asyncio.Event) -> None:
        while chunk := await _read(reader):
            await self._flows.wait()
            if self._cut_before and self._cut_before in chunk:
                self._cut_before = None
                self._abort(link)
                return
            if self._cut_at and self._cut_at in chunk:
                self._cut_at = None
                lost.set()
            if not await _write(link.server, chunk):
                break
        link.server.close()

    async def _pump_answers(self, link: _Link, reader: asyncio.StreamReader, lost: asyncio.Event) -> None:
        while chunk := await _read(reader):
            await self._flows.wait()
            if link.is_deaf:
                continue
            if lost.is_set():
                self._abort(link)
                return
            if self._answers_left is not None:
                self._answers_left -= len(chunk)
                if self._answers_left <= 0:
                    await _write(link.client, chunk[: len(chunk) + self._answers_left])
                    self._answers_left = None
                    break
            if not await _write(link.client, chunk):
                break
        link.client.close()

    def _cut(self) -> None:
        for link in list(self._links):
            self._abort(link)

    def _abort(self, link: _Link) -> None:
        for writer in (link.client, link.server):
            # A linger time of 0 makes this a reset; without it, closing would look like a regular end.
            with suppress(OSError):  # closed already
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def _call(self, action: Callable[[], None]) -> None:
        async def run() -> None:
            action()

        self._do(run())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(CHUNK)
    except OSError:
        return b""


async def _write(writer: asyncio.StreamWriter, chunk: bytes) -> bool:
    try:
        writer.write(chunk)
        await writer.drain()
    except OSError:
        return False
    return True
