"""What lies between clients and servers loses what it is told to lose, and nothing else."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from torture.gateway import Gateway

LARGE = "x" * 200_000


@pytest.fixture
async def ports() -> AsyncIterator[list[int]]:
    """Two servers that send back what they get. The first word of an answer says which of them it was."""

    async def echo(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for frame in connection:
                await connection.send(frame)

    async with serve(echo, "127.0.0.1", 0) as one, serve(echo, "127.0.0.1", 0) as two:
        yield [server.sockets[0].getsockname()[1] for server in (one, two)]


async def through(gateway: Gateway) -> ClientConnection:
    return await connect(f"ws://127.0.0.1:{gateway.port}", proxy=None, compression=None, max_size=None)


async def test_frames_of_all_sizes_pass_whole(ports: list[int]) -> None:
    async with Gateway(lambda: ports) as gateway, await through(gateway) as client:
        for frame in ("a", "b" * 200, "c" * 70_000, LARGE):
            await client.send(frame)
            assert await client.recv() == frame


async def test_only_frames_of_numbered_events_are_lost(ports: list[int]) -> None:
    posted, reply = json.dumps([{"type": "message.posted"}]), json.dumps({"type": "reply", "ref": 1})
    mixed = json.dumps([{"type": "message.posted"}, {"type": "reply", "ref": 2}])
    async with Gateway(lambda: ports) as gateway, await through(gateway) as client:
        gateway.lose_frames(1)
        for frame in (reply, mixed, posted, posted):
            await client.send(frame)
        assert [await client.recv() for _ in range(3)] == [reply, mixed, posted]
        assert gateway.lost_frames == 1


async def test_what_is_held_comes_later(ports: list[int]) -> None:
    async with Gateway(lambda: ports) as gateway, await through(gateway) as client:
        links = list(gateway.links)
        gateway.hold(links)
        await client.send("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.1)
        gateway.release(links)
        assert await client.recv() == "a"


async def test_answers_are_lost_until_the_connection_is_cut(ports: list[int]) -> None:
    async with Gateway(lambda: ports) as gateway, await through(gateway) as client:
        links = list(gateway.links)
        gateway.lose_answers(links)
        await client.send("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.1)
        assert gateway.cut(links) == 1
        with pytest.raises(ConnectionClosed):
            await client.recv()


async def test_connections_go_to_all_servers_in_turn_but_those_that_refuse_or_are_avoided(ports: list[int]) -> None:
    nobody = 9
    async with Gateway(lambda: [*ports, nobody]) as gateway:
        clients = [await through(gateway) for _ in range(6)]
        assert {link.port for link in gateway.links} == set(ports)
        for client in clients:
            await client.close()
        gateway.avoided.add(ports[0])
        async with await through(gateway) as client:
            await client.send("a")
            assert await client.recv() == "a"
            assert ports[1] in {link.port for link in gateway.links}


async def test_some_links_are_chosen_by_the_dice(ports: list[int]) -> None:
    async with Gateway(lambda: ports) as gateway:
        clients = [await through(gateway) for _ in range(8)]
        assert gateway.some(0.0, random.Random(1)) == []
        assert len(gateway.some(1.0, random.Random(1))) == 8
        for client in clients:
            await client.close()
