"""Measure what one delivery costs in a room of 500 subscribers, with 1 message in flight and with 50."""

import asyncio
import time
from dataclasses import dataclass

from bench import crowd
from bench.servers import Ours, Server, Stand
from bench.socket import Socket, Tally
from bench.table import figure, show

SUBSCRIBERS, IN_FLIGHT = 500, 50
WARM_UP_S = 0.7


@dataclass
class Cost:
    """What deliveries cost one server with a given number of messages in flight."""

    cpu_us: float
    per_s: float
    posts: int


async def table(stand: Stand, seconds: float) -> str:
    servers = [
        stand.channels_peer("Channels tutorial", "tutorial", redis=True),
        stand.broadcast_peer("websockets broadcast"),
        stand.ours("sqlite", redis=True, people=SUBSCRIBERS),
    ]
    rows: list[tuple[str, Cost, Cost]] = []
    for opening in servers:
        with opening as server:
            rows.append((server.name, *await measure(server, seconds)))
    tutorial, broadcast = rows[0], rows[1]
    return show(
        f"1. Fan-out: one room, {SUBSCRIBERS} subscribers, Redis pub/sub layer",
        ["server", "in flight", "CPU us/delivery", "x tutorial", "x websockets", "deliveries/s", "posts/s"],
        [
            [
                name,
                str(in_flight),
                figure(cost.cpu_us),
                f"{cost.cpu_us / first.cpu_us:.2f}",
                f"{cost.cpu_us / second.cpu_us:.2f}",
                figure(cost.per_s),
                figure(cost.per_s / SUBSCRIBERS),
            ]
            for name, *costs in rows
            for in_flight, cost, first, second in zip((1, IN_FLIGHT), costs, tutorial[1:], broadcast[1:], strict=True)
        ],
        "Aims, stock daphne: <= 28 us with 1 in flight; >= 300,000 deliveries/s with 50.\n"
        "Ours stores each message (SQLite, synchronous=FULL) and acknowledges it; the peers store nothing.",
    )


async def measure(server: Server, seconds: float) -> tuple[Cost, Cost]:
    """Measure the cost with 1 and with ``IN_FLIGHT`` messages in flight."""
    sockets = await crowd.open_sockets(server, SUBSCRIBERS)
    room = None
    if isinstance(server, Ours):
        (room,) = await crowd.make_rooms(sockets, 1)
        await crowd.sync(sockets, [room])
    tally = Tally(b'"type":"message.posted"' if room else b'"message"')
    for socket in sockets:
        socket.count(tally)
    costs = [await _run(server, sockets, room, tally, in_flight, seconds) for in_flight in (1, IN_FLIGHT)]
    crowd.close(sockets)
    return costs[0], costs[1]


async def _run(
    server: Server, sockets: list[Socket], room: str | None, tally: Tally, in_flight: int, seconds: float
) -> Cost:
    """Keep ``in_flight`` messages in flight, from as many senders, until the time is over; then wait for the last."""
    begun = tally.count
    posts = 0
    ending = False
    done = asyncio.get_running_loop().create_future()

    def go_on() -> None:
        nonlocal posts
        arrived = (tally.count - begun) // len(sockets)
        while not ending and posts - arrived < in_flight:
            sender = sockets[posts % in_flight]
            posts += 1
            sender.send(crowd.post_frame(server, sender, room))
        if ending and arrived >= posts and not done.done():
            done.set_result(None)

    tally.on_change = go_on
    go_on()
    await asyncio.sleep(WARM_UP_S)
    cpu, count, at = server.cpu_s, tally.count, time.perf_counter()
    await asyncio.sleep(seconds)
    cpu, count, took = server.cpu_s - cpu, tally.count - count, time.perf_counter() - at
    ending = True
    go_on()
    # Every message must arrive: the figures of a server that loses messages would mean nothing.
    await asyncio.wait_for(done, 30)
    tally.on_change = lambda: None
    return Cost(cpu / count * 1e6, count / took, posts)
