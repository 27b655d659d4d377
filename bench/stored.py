"""Measure how many posts a second one process stores and acknowledges, from 200 senders with one in flight each."""

import asyncio
import time
from dataclasses import dataclass

from bench import crowd
from bench.servers import Ours, Server, Stand
from bench.socket import Closed, Socket, Tally
from bench.table import figure, show

SENDERS = 200
WARM_UP_S = 0.7
LAST_ACKS_S = 2.0


@dataclass
class Speed:
    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


async def table(stand: Stand, seconds: float) -> str:
    rows: list[tuple[str, str, Speed]] = []
    for database, label in (("sqlite", "SQLite FULL"), ("postgresql", "PostgreSQL fsync")):
        for opening in (
            stand.channels_peer("one transaction a post", "one_transaction", database=database),
            stand.ours(database, people=SENDERS),
        ):
            with opening as server:
                rows.append((server.name, label, await measure(server, seconds)))
    peers = {label: speed for name, label, speed in rows if name != "ours"}
    return show(
        f"2. Stored and acknowledged posts: {SENDERS} senders, one process",
        ["server", "database", "posts/s", "x peer", "CPU us/post", "ack p50 ms", "ack p99 ms"],
        [
            [
                name,
                label,
                figure(speed.per_s),
                f"{speed.per_s / peers[label].per_s:.1f}",
                figure(speed.cpu_us),
                figure(speed.p50_ms),
                figure(speed.p99_ms),
            ]
            for name, label, speed in rows
        ],
        "Aim: >= 8,000 on each. CPU is the server process's; PostgreSQL runs on the generator's core.",
    )


async def measure(server: Server, seconds: float) -> Speed:
    sockets = await crowd.open_sockets(server, SENDERS)
    room = None
    if isinstance(server, Ours):
        (room,) = await crowd.make_rooms(sockets, 1)
    good = Tally(b'"ok":true' if room else b'"ok": true')
    sent_at: dict[Socket, float] = {}
    waits: list[float] = []
    ending = False

    def send(socket: Socket) -> None:
        sent_at[socket] = time.perf_counter()
        socket.send(crowd.post_frame(server, socket, room))

    def answered(socket: Socket, _: int) -> None:
        waits.append(time.perf_counter() - sent_at.pop(socket))
        if not ending:
            send(socket)

    for socket in sockets:
        socket.count(good, answered)
        send(socket)
    await asyncio.sleep(WARM_UP_S)
    waits.clear()
    cpu, count, at = server.cpu_s, good.count, time.perf_counter()
    await asyncio.sleep(seconds)
    cpu, count, took = server.cpu_s - cpu, good.count - count, time.perf_counter() - at
    ending = True
    during = sorted(waits)
    await asyncio.sleep(LAST_ACKS_S)
    if sent_at:
        raise Closed(f"{server.name}: {len(sent_at)} posts were refused or never answered; see {server.log}")
    crowd.close(sockets)
    p50, p99 = (1000 * during[len(during) * part // 100] for part in (50, 99))
    return Speed(count / took, cpu / count * 1e6, p50, p99)
