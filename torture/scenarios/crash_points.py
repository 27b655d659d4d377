"""Servers die at the worst places, and nobody says anything afterwards: the message must be found all the same."""

import asyncio
from functools import partial

from chat.client import SqliteOutbox
from torture import failpoints
from torture.python_client import PythonClient
from torture.stage import Scenario, Stage

SHOWN_WITHIN_S = 10.0
GIVE_UP_S = 30.0


async def crash_points(stage: Stage) -> None:
    """A watcher on each process, of which one dies, and senders who may turn to either."""
    people = await stage.people(6)
    await stage.make_rooms(open=1, private=0)
    for place, person in enumerate(people[:4]):
        await stage.python_client(person, url=stage.site.processes[place % 2].url)
    senders = [
        await stage.python_client(person, outbox=partial(SqliteOutbox, stage.site.folder / person.name))
        for person in people[4:]
    ]
    await stage.until_live()
    stage.watch()
    slowest: dict[str, float | None] = dict.fromkeys(failpoints.POINTS, 0.0)
    for _ in range(stage.scaled(15, least=1)):
        for point, known in slowest.items():
            found = await _die_at(stage, point, stage.rng.choice(senders))
            slowest[point] = None if found is None or known is None else max(found, known)
    for point, seconds in slowest.items():
        stage.expect(f"shown to all after a crash at {point}", seconds, at_most=SHOWN_WITHIN_S, unit="s")
    stage.expect("everybody is up to date", await stage.settle(40), at_most=35, unit="s")


async def _die_at(stage: Stage, point: str, sender: PythonClient) -> float | None:
    """Let the process die that gets the next message there. Return how long it took from the message's acknowledgement
    until every client of the other process has shown it; None: longer than ``GIVE_UP_S``."""
    room = stage.rooms[0]
    number = stage.database.heads()[room][2] + 1
    with stage.recorder.fault(f"crash at {point}"):
        # A client that has just started comes back within a second; one that has failed often waits for half a minute.
        await sender.close()
        await sender.start()
        async with asyncio.timeout(GIVE_UP_S):
            while not sender.is_live:
                await asyncio.sleep(0.01)
        failpoints.arm(stage.failpoints, point)
        began = stage.recorder.now()
        sender.post(room)
        while failpoints.is_armed(stage.failpoints, point) and stage.recorder.now() - began < GIVE_UP_S:
            await asyncio.sleep(0.01)
        assert not failpoints.is_armed(stage.failpoints, point), f"no process came to {point}"
        acknowledged = await _acknowledged(stage, sender.player.name, began)
        shown = None
        while acknowledged is not None and stage.recorder.now() - acknowledged < GIVE_UP_S:
            alive = [each for each in stage.clients if each is not sender and each.is_live]
            if alive and all(each.player.shown.get(room, 0) >= number for each in alive):
                shown = max(0.0, stage.recorder.now() - acknowledged)
                break
            await asyncio.sleep(0.02)
        for process in stage.site.processes:
            if not process.is_running:
                await asyncio.to_thread(process.start)
    return shown


async def _acknowledged(stage: Stage, client: str, since: float) -> float | None:
    """Wait for the acknowledgement of the message that this client has just posted."""
    while stage.recorder.now() - since < GIVE_UP_S:
        for event in reversed(stage.recorder.events):
            if event.get("t", since) < since:
                break
            if event["e"] == "ok" and event["client"] == client:
                return float(event["t"])
        await asyncio.sleep(0.02)
    return None


SCENARIOS = [
    Scenario("crash-points", "T2: a server dies at each of five points of a post, 15 times each", crash_points)
]
