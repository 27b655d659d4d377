"""Measure an idle server: how soon it acknowledges a post, and what idle connections take of memory and CPU."""

import asyncio
import random
import time

from bench import crowd
from bench.servers import Ours, Server, Stand
from bench.socket import Tally
from bench.table import figure, show

ROOMS = 10
SETTLE_S = 1.5
FIRST = 20
"""Sockets opened before memory is first read, so that one-time allocations of the process are not counted."""


async def ack_table(stand: Stand, posts: int) -> str:
    rows = []
    for database, label in (("sqlite", "SQLite FULL"), ("postgresql", "PostgreSQL fsync")):
        with stand.ours(database, people=2) as server:
            waits = await _ack_times(server, posts)
            rows.append([label, figure(1000 * waits[len(waits) // 2]), figure(1000 * waits[len(waits) * 99 // 100])])
    return show(
        f"3. Acknowledgement on an idle server, {posts} posts one after the other",
        ["database", "p50 ms", "p99 ms"],
        rows,
        "Aim: p50 <= 6, p99 <= 25.",
    )


async def _ack_times(server: Ours, posts: int) -> list[float]:
    sockets = await crowd.open_sockets(server, 2)
    (room,) = await crowd.make_rooms(sockets, 1)
    await crowd.sync(sockets, [room])
    good = Tally(b'"ok":true')
    for socket in sockets:
        socket.count(good)
    waits = []
    pauses = random.Random(1)
    for number in range(posts):
        begun = time.perf_counter()
        sockets[0].send(crowd.post_frame(server, sockets[0], room))
        await good.reaches(number + 1)
        waits.append(time.perf_counter() - begun)
        await asyncio.sleep(pauses.uniform(0.005, 0.015))
    crowd.close(sockets)
    return sorted(waits)


async def memory_table(stand: Stand, sockets: int) -> str:
    """Our sockets are signed in and live in ``ROOMS`` rooms; the tutorial's are anonymous and have one room."""
    rows = []
    with stand.channels_peer("Channels tutorial, 1 room, nobody signed in", "tutorial", redis=True) as peer:
        rows.append([peer.name, str(sockets), figure(await _kib_a_socket(peer, sockets))])
    with stand.ours("sqlite", redis=True, people=sockets) as server:
        name = f"ours, {ROOMS} live rooms, signed in"
        rows.append([name, str(sockets), figure(await _kib_a_socket(server, sockets))])
    return show(
        "4. Memory of an idle connection",
        ["server", "sockets", "KiB each"],
        rows,
        f"Aim: <= 45 KiB. Growth of resident memory after the first {FIRST} sockets.",
    )


async def cpu_table(stand: Stand, sockets: int, seconds: float) -> str:
    """The same sockets as in ``memory_table``, over some heartbeats."""
    rows = []
    with stand.channels_peer("Channels tutorial, 1 room, nobody signed in", "tutorial", redis=True) as peer:
        rows.append([peer.name, str(sockets), figure(await _cpu_share(peer, sockets, seconds))])
    with stand.ours("sqlite", redis=True, people=sockets) as server:
        name = f"ours, {ROOMS} live rooms, signed in"
        rows.append([name, str(sockets), figure(await _cpu_share(server, sockets, seconds))])
    return show(
        f"6. CPU of idle connections, over {seconds:g} s",
        ["server", "sockets", "% of a core"],
        rows,
        "Aim: <= 3 % for 1,000 connections. daphne pings each every 20 s.",
    )


async def _cpu_share(server: Server, number: int, seconds: float) -> float:
    sockets = await crowd.open_sockets(server, number)
    if isinstance(server, Ours):
        await crowd.sync(sockets, await crowd.make_rooms(sockets, ROOMS))
    await asyncio.sleep(SETTLE_S)
    before = server.cpu_s
    await asyncio.sleep(seconds)
    used = server.cpu_s - before
    crowd.close(sockets)
    return 100 * used / seconds


async def _kib_a_socket(server: Server, number: int) -> float:
    rooms: list[str] = []
    if isinstance(server, Ours):
        first = await crowd.open_sockets(server, number)
        rooms = await crowd.make_rooms(first, ROOMS)
        crowd.close(first)
        await asyncio.sleep(SETTLE_S)
        server.stop()  # measure a fresh process, without the memory that joining has used
        server.start()
    few = await crowd.open_sockets(server, FIRST)
    if rooms:
        await crowd.sync(few, rooms)
    await asyncio.sleep(SETTLE_S)
    before = server.rss_kib
    rest = await crowd.open_sockets(server, number - FIRST, after=FIRST)
    if rooms:
        await crowd.sync(rest, rooms)
    await asyncio.sleep(SETTLE_S)
    grown = server.rss_kib - before
    crowd.close([*few, *rest])
    return grown / len(rest)
