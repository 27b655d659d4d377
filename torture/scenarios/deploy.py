"""A new version goes out: the processes are ended and started again one by one, while people talk."""

import asyncio
import time

from torture.stage import Scenario, Stage, percentile
from torture.workload import POSTS_ONLY

ROUNDS = 3
MEMBERS = 10
"""People of a room; there are twenty rooms."""
RIGHT = 4012
"""The close code of a server that is draining."""
BETWEEN_S = 3.0


async def rolling(stage: Stage) -> None:
    people = await stage.people(MEMBERS * stage.scaled(20))
    count = len(people)
    stage.figures["clients"] = count
    for first in range(0, count, MEMBERS):
        group = people[first : first + MEMBERS]
        await stage.make_rooms(open=0, private=1, members=group)
        for person in group:
            await stage.python_client(person, stage.rooms[-1:])
    await stage.until_live(120)
    stage.watch()
    load = asyncio.create_task(stage.workload(100 * min(1.0, stage.options.size), POSTS_ONLY).run(3600))
    ended_after: list[float] = []
    began = stage.recorder.now()
    with stage.recorder.fault("rolling restart"):
        for _ in range(ROUNDS):
            for process in stage.site.processes:
                asked_at = time.monotonic()
                await asyncio.to_thread(process.terminate)
                ended_after.append(time.monotonic() - asked_at)
                await asyncio.to_thread(process.start)
                await asyncio.sleep(BETWEEN_S)
    load.cancel()
    await asyncio.gather(load, return_exceptions=True)
    settled = await stage.settle(60)
    codes, away = _ends(stage, began)
    right = codes.count(RIGHT)
    stage.figures["connections that ended"] = len(codes)
    stage.expect("closed with 4012, of all that ended", 100 * right / max(1, len(codes)), at_least=99.5, unit="%")
    stage.expect("connections that were sent away", right, at_least=round(ROUNDS * count * 0.9))
    stage.expect("until a client is back, p99", percentile(away, 0.99), at_most=5, unit="s")
    stage.expect("until a process is gone, longest", max(ended_after), at_most=15, unit="s")
    stage.expect("messages that failed", stage.count("fail"), at_most=0)
    stage.expect("everybody is up to date", settled, at_most=15, unit="s")


def _ends(stage: Stage, since: float) -> tuple[list[int], list[float]]:
    """With which codes connections ended that were live, and how long their clients were without one, in seconds,
    sorted."""
    live: set[str] = set()
    gone: dict[str, float] = {}
    codes, away = [], []
    for event in stage.recorder.events:
        match event["e"], event.get("client"):
            case "live", client:
                live.add(client)
                if client in gone:
                    away.append(event["t"] - gone.pop(client))
            case "closed", client if client in live:
                live.discard(client)
                if event["t"] >= since:
                    codes.append(event["code"])
                    gone[client] = event["t"]
    return codes, sorted(away)


SCENARIOS = [
    Scenario("rolling", "T10: the servers are restarted one by one, three times, under load", rolling, has_links=False),
]
