"""Open many sockets, ``AT_ONCE`` at a time, and bring them into rooms together."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar
from uuid import uuid4

from bench.servers import Ours, Server
from bench.socket import Socket

AT_ONCE = 50
T = TypeVar("T")
BODY = "Sounds good to me: let's meet at ten, and bring the notes!"
"""The text of every message: an ordinary line of 58 characters."""


async def each(work: Iterable[Callable[[], Awaitable[T]]], at_once: int = AT_ONCE) -> list[T]:
    """Run all calls, at most ``at_once`` at a time, and return their results in order."""
    gate = asyncio.Semaphore(at_once)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await call()

    return list(await asyncio.gather(*(one(call) for call in work)))


async def open_sockets(server: Server, number: int, *, after: int = 0) -> list[Socket]:
    """Open ``number`` sockets. On our server each is signed in as its own person, from ``p<after>`` on, and greeted."""

    def opener(person: str) -> Callable[[], Awaitable[Socket]]:
        async def call() -> Socket:
            socket = await Socket.open(server.port, server.path, server.headers(person))
            if isinstance(server, Ours):
                await socket.greeted()
            return socket

        return call

    return await each(opener(f"p{index}") for index in range(after, after + number))


async def make_rooms(sockets: Sequence[Socket], number: int) -> list[str]:
    """Let the first socket create ``number`` rooms and the others join them; return the room ids."""
    rooms = [
        (await sockets[0].request("room.create", name=f"Room {index}", kind="open"))["room"]["id"]
        for index in range(number)
    ]

    def joiner(socket: Socket) -> Callable[[], Awaitable[None]]:
        async def call() -> None:
            for room in rooms:
                await socket.request("room.join", room=room)

        return call

    await each(joiner(socket) for socket in sockets[1:])
    return rooms


async def sync(sockets: Sequence[Socket], rooms: Sequence[str]) -> None:
    """Sync every socket with these rooms, so that it receives their events."""
    wanted: dict[str, None] = dict.fromkeys(rooms)

    def syncer(socket: Socket) -> Callable[[], Awaitable[object]]:
        return lambda: socket.request("sync", rooms=wanted)

    await each(syncer(socket) for socket in sockets)


def post_frame(server: Server, socket: Socket, room: str | None) -> bytes:
    """One message in the format of this server."""
    if room is None:
        return json.dumps({"author": "p", "message": BODY}).encode()
    command = {"type": "message.post", "ref": socket.next_ref(), "room": room, "client_id": str(uuid4()), "body": BODY}
    return json.dumps(command).encode()


def close(sockets: Iterable[Socket]) -> None:
    for socket in sockets:
        socket.close()
