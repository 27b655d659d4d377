"""The load generator counts what a server sends, however TCP splits it; otherwise its figures would mean nothing."""

import asyncio
import json

import pytest
from websockets.asyncio.server import serve

from bench.socket import Closed, Socket, Tally
from bench.table import figure, show

EVENT = b'{"type":"message.posted","room":"1"}'


def frame(text: bytes) -> bytes:
    """A frame as a server sends it, unmasked."""
    size = len(text)
    if size < 126:
        return b"\x81" + bytes((size,)) + text
    return b"\x81" + (b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")) + text


class Wire(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.written = []

    def write(self, data):
        self.written.append(bytes(data))


async def counting(tally: Tally) -> tuple[Socket, Wire]:
    socket, wire = Socket(), Wire()
    socket.connection_made(wire)
    socket.data_received(b"HTTP/1.1 101 Switching Protocols\r\nX: y\r\n\r\n")
    socket.count(tally)
    return socket, wire


@pytest.mark.parametrize("step", [2, 3, 7, 50, 10_000, 1_000_000])
async def test_events_are_counted_wherever_the_stream_is_cut(step):
    many = b"[" + b",".join([EVENT] * 2000) + b"]"
    stream = frame(EVENT) + frame(b'{"type":"heads"}') + frame(b"[" + EVENT + b"," + EVENT + b"]") + frame(many)
    tally = Tally(b'"type":"message.posted"')
    socket, _ = await counting(tally)
    for start in range(0, len(stream), step):
        socket.data_received(stream[start : start + step])
    assert tally.count == 2003


async def test_received_is_sent_as_hello_asks():
    socket, wire = Socket(), Wire()
    socket.connection_made(wire)
    hello = frame(json.dumps({"type": "hello", "flow": {"frames": 3, "seconds": 10}}).encode())
    socket.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + hello)
    assert (await socket.greeted())["flow"]["frames"] == 3
    socket.count(Tally(b"posted"))
    socket.data_received(frame(EVENT))
    assert wire.written == []
    socket.data_received(frame(EVENT))
    assert wire.written == [b"\x81" + bytes((0x80 | 30,)) + b"\0\0\0\0" + b'{"type":"received","frames":3}']


async def test_a_lost_socket_ends_the_wait_for_events():
    tally = Tally(b"x")
    socket, _ = await counting(tally)
    waiting = asyncio.ensure_future(tally.reaches(1))
    await asyncio.sleep(0)
    socket.connection_lost(None)
    with pytest.raises(Closed):
        await waiting


async def test_it_talks_to_a_real_server():
    async def echo(client):
        async for message in client:
            await client.send(message)

    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        socket = await Socket.open(port, "/")
        tally = Tally(b'"message"')
        socket.count(tally)
        for size in (10, 200, 70_000):
            socket.send(b'{"message":"' + b"x" * size + b'"}' if size < 60_000 else b'{"message":"long"}')
        await tally.reaches(3)
        socket.close()


async def test_a_refused_handshake_says_so():
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    with pytest.raises(Closed, match="403"):
        await Socket.open(server.sockets[0].getsockname()[1], "/")
    server.close()


def test_a_table_lines_up():
    lines = show("T", ["server", "us"], [["ours", figure(9.876)], ["the other one", figure(1234.5)]]).splitlines()
    assert lines[2:] == ["server            us", "-------------  -----", "ours            9.88", "the other one  1,234"]
