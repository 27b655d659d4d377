"""Redis hangs, restarts, forgets, or loses what it sends: chat goes on."""

import asyncio

from torture import faults
from torture.stage import Scenario, Stage, percentile
from torture.workload import POSTS_ONLY

RATE = 50.0


async def _crowd_on_each_process(stage: Stage, clients: int) -> list[set[str]]:
    """Clients with connections to one process each, which they keep. Returns their names by process."""
    people = await stage.people(stage.scaled(clients))
    await stage.make_rooms(open=2, private=1)
    names: list[set[str]] = [set() for _ in stage.site.processes]
    for place, person in enumerate(people):
        at = place % len(stage.site.processes)
        await stage.python_client(person, url=stage.site.processes[at].url)
        names[at].add(person.name)
    await stage.until_live()
    stage.watch()
    return names


async def redis_hung(stage: Stage) -> None:
    names = await _crowd_on_each_process(stage, 10)
    hung_s = stage.seconds(26) - 6
    load = asyncio.create_task(stage.workload(RATE, POSTS_ONLY).run(hung_s + 6))
    await asyncio.sleep(3)
    began = stage.recorder.now()
    await faults.freeze_redis(stage, seconds=hung_s)
    ended = stage.recorder.now()
    await load
    stage.expect("everybody is up to date", await stage.settle(30), at_most=10, unit="s")
    before, during = percentile(stage.acks(until=began), 0.99), percentile(stage.acks(began, ended), 0.99)
    # On a machine that is slow anyway, what counts is that a hung Redis makes it no slower.
    limit = max(150.0, 2000 * (before or 0))
    stage.expect("acknowledgement while Redis hangs, p99", during and 1000 * during, at_most=limit, unit="ms")
    same, other = _slowest(stage, names, began, ended)
    stage.expect("shown in the sender's process, slowest", same, at_most=1, unit="s")
    stage.expect("shown in the other process, slowest", other, at_most=10, unit="s")
    stage.expect("messages that failed", stage.count("fail"), at_most=0)


def _slowest(stage: Stage, names: list[set[str]], since: float, until: float) -> tuple[float, float]:
    """The longest time from an acknowledgement to its showing: in the process that gave it, and in any other."""
    place = {name: at for at, group in enumerate(names) for name in group}
    acknowledged = {
        (each["user"], each["room"], each["id"]): each for each in stage.recorder.events if each["e"] == "ok"
    }
    same, other = 0.0, 0.0
    for show in stage.recorder.events:
        if show["e"] != "show":
            continue
        ok = acknowledged.get((show["author"], show["room"], show["id"]))
        if ok is None or not since <= ok["t"] < until:
            continue
        late = show["t"] - ok["t"]
        if place[ok["client"]] == place[show["client"]]:
            same = max(same, late)
        else:
            other = max(other, late)
    return same, other


async def redis_losses(stage: Stage) -> None:
    """Nothing is said aloud: sockets stay up, and feeds find out."""
    names = await _crowd_on_each_process(stage, 10)
    half_open_s = 60.0 * min(1.0, stage.options.size)
    load = asyncio.create_task(stage.workload(RATE / 2, POSTS_ONLY).run(25 + half_open_s))
    await asyncio.sleep(3)
    syncs = stage.count("sync")
    began = stage.recorder.now()
    await faults.restart_redis(stage, away_s=3)
    await asyncio.sleep(5)
    await faults.flush_redis(stage)
    await faults.end_subscriptions(stage)
    await asyncio.sleep(5)
    await faults.deafen_redis(stage, seconds=half_open_s)
    ended = stage.recorder.now()
    await load
    stage.expect("everybody is up to date", await stage.settle(30), at_most=10, unit="s")
    closed = sum(sum(each.player.closed_with.values()) for each in stage.clients)
    stage.expect("sockets that were closed", closed, at_most=0)
    same, other = _slowest(stage, names, began, ended)
    stage.expect("shown in the sender's process, slowest", same, at_most=1, unit="s")
    stage.expect("shown in the other process, slowest", other, at_most=10, unit="s")
    most = len(stage.rooms) * len(stage.site.processes) * 2
    stage.expect("catch-ups that clients asked for", stage.count("sync") - syncs, at_most=most)


SCENARIOS = [
    Scenario("redis-hung", "T4: Redis is frozen for 20 s while 50 messages a second are posted", redis_hung),
    Scenario(
        "redis-losses", "T5: Redis restarts empty, is flushed, and loses what it sends for a minute", redis_losses
    ),
]
