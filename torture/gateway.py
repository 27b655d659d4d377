"""The network between clients and servers: one port in front of all server processes, as a load balancer would be.

It breaks, holds and loses what passes. It knows frames of WebSocket, so that it can lose single ones: the protocol
promises that a client notices this, although TCP never does it.
"""

import asyncio
import json
import random
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

CHUNK = 64 * 1024
LOSABLE = {"message.posted", "message.changed", "room.changed", "member.joined", "member.changed", "member.left"}
"""The numbered events: a client finds out that one of them is missing."""


@dataclass(eq=False)
class Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    port: int
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    is_deaf: bool = False

    def abort(self) -> None:
        for writer in (self.client, self.server):
            # A linger time of 0 makes this a reset; without it, closing would look like a regular end.
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Gateway:
    """Forwards connections to the ports of ``targets`` in turn, leaving out those that refuse."""

    def __init__(self, targets: Callable[[], Sequence[int]]):
        self.port = 0
        self.links: set[Link] = set()
        self.lost_frames = 0
        self.avoided: set[int] = set()
        """Ports that get no new connections, as behind a load balancer that has noticed that they do not answer."""
        self._targets = targets
        self._turn = 0
        self._to_lose = 0
        self._holding = ""
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        while self._serving:
            self.cut()
            await asyncio.wait(self._serving, timeout=0.1)

    # Faults ----------------------------------------------------------------------------------------------------

    def cut(self, links: Sequence[Link] | None = None) -> int:
        """Break connections with a reset; all of them unless ``links`` says which."""
        chosen = list(self.links) if links is None else links
        for link in chosen:
            link.flows.set()
            link.abort()
        return len(chosen)

    def some(self, share: float, rng: random.Random) -> list[Link]:
        return [link for link in sorted(self.links, key=id) if rng.random() < share]

    def hold(self, links: Sequence[Link]) -> None:
        """Let nothing through in either direction, while the connections stay open."""
        for link in links:
            link.flows.clear()

    def release(self, links: Sequence[Link]) -> None:
        for link in links:
            link.flows.set()

    def lose_answers(self, links: Sequence[Link]) -> None:
        """Let requests through and drop whatever servers say, until the connections are cut."""
        for link in links:
            link.is_deaf = True

    def half_close(self, links: Sequence[Link]) -> None:
        """End what clients send, while servers may go on sending."""
        for link in links:
            with suppress(OSError, RuntimeError):
                link.server.write_eof()

    def lose_frames(self, count: int, *, holding: str = "") -> None:
        """Lose the next ``count`` frames that hold nothing but numbered events, and one of the type ``holding``."""
        self._to_lose, self._holding = count, holding

    # Forwarding ------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        opened = await self._open()
        if opened is None:
            writer.transport.abort()
            return
        port, server_reader, server_writer = opened
        link = Link(writer, server_writer, port)
        link.flows.set()
        self.links.add(link)
        pumps = [
            asyncio.ensure_future(self._pump_requests(link, reader)),
            asyncio.ensure_future(self._pump_answers(link, server_reader)),
        ]
        try:
            await asyncio.wait(pumps)
        finally:
            self.links.discard(link)
            for pump in pumps:
                pump.cancel()
            link.client.close()
            link.server.close()

    async def _open(self) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter] | None:
        targets = [port for port in self._targets() if port not in self.avoided]
        for _ in targets:
            self._turn += 1
            port = targets[self._turn % len(targets)]
            with suppress(OSError):
                return (port, *await asyncio.open_connection("127.0.0.1", port))
        return None

    async def _pump_requests(self, link: Link, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, RuntimeError):
            while chunk := await reader.read(CHUNK):
                await link.flows.wait()
                link.server.write(chunk)
                await link.server.drain()
        link.server.close()

    async def _pump_answers(self, link: Link, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, RuntimeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            link.client.write(head)
            if b" 101 " in head.split(b"\r\n", 1)[0]:
                await self._pump_frames(link, reader)
            else:
                while chunk := await reader.read(CHUNK):
                    link.client.write(chunk)
                    await link.client.drain()
        link.client.close()

    async def _pump_frames(self, link: Link, reader: asyncio.StreamReader) -> None:
        held = b""
        while chunk := await reader.read(CHUNK):
            await link.flows.wait()
            if link.is_deaf:
                continue
            held += chunk
            passed = []
            while (length := _frame_length(held)) is not None and length <= len(held):
                frame, held = held[:length], held[length:]
                if self._to_lose and _is_losable(frame, self._holding):
                    self._to_lose -= 1
                    self.lost_frames += 1
                else:
                    passed.append(frame)
            link.client.write(b"".join(passed))
            await link.client.drain()


def _frame_length(data: bytes) -> int | None:
    """The length of the frame that ``data`` begins with, as a server sends it (unmasked); None: not known yet."""
    if len(data) < 2:
        return None
    size = data[1] & 0x7F
    if size < 126:
        return 2 + size
    if size == 126:
        return 4 + int.from_bytes(data[2:4]) if len(data) >= 4 else None
    return 10 + int.from_bytes(data[2:10]) if len(data) >= 10 else None


def _is_losable(frame: bytes, holding: str) -> bool:
    if frame[0] != 0x81:  # a whole text message
        return False
    size = frame[1] & 0x7F
    payload = json.loads(frame[2 if size < 126 else 4 if size == 126 else 10 :])
    events = payload if isinstance(payload, list) else [payload]
    kinds = {event["type"] for event in events}
    return kinds <= LOSABLE and (not holding or holding in kinds)
