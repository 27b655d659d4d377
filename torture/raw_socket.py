"""Clients that do not behave: they do not read, claim what is not so, or send without end."""

import asyncio
import json
import socket
import struct
from typing import Any, Self

from tests.rig.site import Person, SiteProcess

SMALL_BUFFER = 4096
ESTABLISHED = 1
"""The first byte of TCP_INFO: the connection is open in both directions."""
HANDSHAKE_WITHIN_S = 60.0


class RawSocket:
    """A WebSocket without a client behind it. What it sends is as it is; what comes is read only when asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader, self._writer = reader, writer
        self._socket = writer.get_extra_info("socket")

    @classmethod
    async def open(cls, process: SiteProcess, person: Person, *, is_slow: bool = False) -> Self:
        """Connect as a person. ``is_slow``: with a small buffer, so that what is not read soon waits at the server."""
        endpoint = socket.socket()
        if is_slow:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        endpoint.setblocking(False)
        async with asyncio.timeout(HANDSHAKE_WITHIN_S):
            await asyncio.get_running_loop().sock_connect(endpoint, ("127.0.0.1", process.port))
            reader, writer = await asyncio.open_connection(sock=endpoint, limit=64 * 1024)
            lines = [
                "GET /ws/chat/ HTTP/1.1",
                f"Host: 127.0.0.1:{process.port}",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
                f"Authorization: Bearer {person.token}",
            ]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def send(self, *commands: dict[str, Any]) -> None:
        for command in commands:
            self.send_text(json.dumps(command).encode())

    def send_text(self, payload: bytes) -> None:
        self._writer.write(frame(payload))

    async def drain(self) -> None:
        await self._writer.drain()

    async def read_some(self) -> bytes:
        """What has come; empty at the end of the connection."""
        return await self._reader.read(64 * 1024)

    @property
    def is_open(self) -> bool:
        """Whether the server has not ended the connection. Nothing needs to be read for this."""
        if self._writer.transport.is_closing():
            return False
        try:
            return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED)
        except OSError:
            return False

    def abort(self) -> None:
        self._writer.transport.abort()


def frame(payload: bytes) -> bytes:
    """A masked text frame, with a mask of zeros."""
    size = len(payload)
    if size < 126:
        head = bytes([0x81, 0x80 | size])
    elif size < 65536:
        head = bytes([0x81, 0x80 | 126]) + struct.pack(">H", size)
    else:
        head = bytes([0x81, 0x80 | 127]) + struct.pack(">Q", size)
    return head + b"\0\0\0\0" + payload
