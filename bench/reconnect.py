"""Measure a mass reconnect: the server is killed and restarted, and all signed-in clients resume their rooms."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench import crowd
from bench.servers import Ours, Stand
from bench.socket import Socket
from bench.table import figure, show

ROOMS, MISSED, AT_ONCE = 10, 20, 200


async def table(stand: Stand, clients: int) -> str:
    with stand.ours("sqlite", people=clients) as server:
        wall_s, cpu_s = await _resume(server, clients)
    return show(
        f"5. Reconnect after SIGKILL: {clients} signed-in clients with {ROOMS} rooms each and {MISSED} messages missed",
        ["server", "clients", "s until all are live", "CPU s", "clients per CPU s"],
        [["ours", str(clients), figure(wall_s), figure(cpu_s), figure(clients / cpu_s)]],
        "Aim: >= 800 a second. From the first handshake after the restart; start-up not counted.",
    )


async def _resume(server: Ours, clients: int) -> tuple[float, float]:
    first = await crowd.open_sockets(server, clients)
    rooms = await crowd.make_rooms(first, ROOMS)
    cursors: dict[str, dict[str, Any]] = {
        state["id"]: {"epoch": state["epoch"], "seq": state["seq"]} for state in await _states(server)
    }
    for _ in range(MISSED):
        post = {"client_id": str(crowd.uuid4()), "body": crowd.BODY}
        await first[0].request("message.post", room=rooms[0], **post)
    server.kill()
    crowd.close(first)
    server.start()

    def client(person: str) -> Callable[[], Awaitable[Socket]]:
        async def call() -> Socket:
            socket = await Socket.open(server.port, server.path, server.headers(person))
            await socket.greeted()
            answer = await socket.request("sync", rooms=cursors)
            assert set(answer["rooms"].values()) == {"live"}, answer
            return socket

        return call

    cpu, at = server.cpu_s, time.perf_counter()
    again = await crowd.each((client(f"p{index}") for index in range(clients)), AT_ONCE)
    wall_s, cpu_s = time.perf_counter() - at, server.cpu_s - cpu
    crowd.close(again)
    await asyncio.sleep(0)
    return wall_s, cpu_s


async def _states(server: Ours) -> list[dict[str, Any]]:
    """The rooms in the ``hello`` of a new connection."""
    socket = await Socket.open(server.port, server.path, server.headers("p0"))
    rooms = (await socket.greeted())["rooms"]
    socket.close()
    return list(rooms)
