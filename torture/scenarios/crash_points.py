"""Servers die at the worst places, and nobody says anything afterwards: the message must be found all the same."""

import asyncio

from torture import failpoints
from torture.stage import Scenario, Stage

SHOWN_WITHIN_S = 10.0
GIVE_UP_S = 30.0


async def crash_points(stage: Stage) -> None:
    await stage.crowd(6, open=1, private=0)
    room = stage.rooms[0]
    slowest: dict[str, float | None] = {}
    for point in failpoints.POINTS:
        for _ in range(stage.scaled(15)):
            found = await _die_at(stage, point, room)
            known = slowest.get(point, 0.0)
            slowest[point] = None if found is None or known is None else max(found, known)
    for point, seconds in slowest.items():
        stage.expect(f"shown to all after a crash at {point}", seconds, at_most=SHOWN_WITHIN_S, unit="s")
    stage.expect("everybody is up to date", await stage.settle(30), at_most=15, unit="s")


async def _die_at(stage: Stage, point: str, room: str) -> float | None:
    """Let the process die that gets the next message there. Return how long after the message's acknowledgement all
    clients that still have a connection, to whichever process, have shown it; None: not in time."""
    sender = stage.rng.choice(stage.clients)
    before = stage.database.heads()[room][2]
    number = before + 1
    with stage.recorder.fault(f"crash at {point}"):
        failpoints.arm(stage.failpoints, point)
        began = stage.recorder.now()
        sender.post(room)
        while failpoints.is_armed(stage.failpoints, point) and stage.recorder.now() - began < GIVE_UP_S:
            await asyncio.sleep(0.01)
        assert not failpoints.is_armed(stage.failpoints, point), f"no process came to {point}"
        # Those whose process lives hear of it without any further message; the sender comes back and repeats.
        others = [each for each in stage.clients if each is not sender]
        shown = None
        acknowledged = await _acknowledged(stage, sender.player.name, began)
        while stage.recorder.now() - began < GIVE_UP_S:
            alive = [each for each in others if each.is_live]
            if alive and all(each.player.shown.get(room, 0) >= number for each in alive):
                shown = max(0.0, stage.recorder.now() - (acknowledged or began))
                break
            await asyncio.sleep(0.02)
        for process in stage.site.processes:
            if not process.is_running:
                await asyncio.to_thread(process.start)
        await _all_live(stage)
    return shown if acknowledged is not None else None


async def _acknowledged(stage: Stage, client: str, since: float) -> float | None:
    while stage.recorder.now() - since < GIVE_UP_S:
        for event in reversed(stage.recorder.events):
            if event.get("t", since) < since:
                break
            if event["e"] == "ok" and event["client"] == client:
                return float(event["t"])
        await asyncio.sleep(0.02)
    return None


async def _all_live(stage: Stage) -> None:
    """Wait for everybody, so that the next crash is one of a process with clients, and back-offs stay short."""
    await stage.until_live()


SCENARIOS = [
    Scenario("crash-points", "T2: a server dies at each of five points of a post, 15 times each", crash_points)
]
