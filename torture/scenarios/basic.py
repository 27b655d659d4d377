"""Short scenarios with one kind of fault each. Every seeded bug is found by one of them."""

import asyncio
from itertools import cycle

from torture import faults
from torture.stage import Scenario, Stage
from torture.workload import POSTS_ONLY, Mix

SHOWN_WITHIN_S = 10.0
MOSTLY_POSTS = Mix(edits=3, deletions=2, reactions=3, leaves=0, removals=0)


async def cuts(stage: Stage) -> None:
    """Connections of clients break all the time: every message is sent again and again."""
    await stage.crowd(8, open=1, private=1)
    seconds = stage.seconds(20)
    load = asyncio.create_task(stage.workload(rate=40).run(seconds))
    until = stage.recorder.now() + seconds - 1
    while stage.recorder.now() < until:
        await asyncio.sleep(stage.rng.uniform(0.1, 0.5))
        await faults.lose_answers(stage, 0.5, stage.rng, seconds=stage.rng.choice((0.0, 0.3)))
    await load
    # A client waits for up to 16 s once it has failed five times in a row.
    stage.expect("everybody is up to date", await stage.settle(40), at_most=35, unit="s")
    repeats = sum(each["duplicate"] for each in stage.recorder.events if each["e"] == "ok")
    stage.figures["messages that were sent again after they were stored"] = repeats


async def rollbacks(stage: Stage) -> None:
    """The database goes away just before COMMIT: what was about to be stored is not."""
    await stage.crowd(8, open=1, private=1)
    seconds = stage.seconds(20)
    load = asyncio.create_task(stage.workload(rate=30, mix=MOSTLY_POSTS).run(seconds))
    until = stage.recorder.now() + seconds - 1
    while stage.recorder.now() < until:
        await asyncio.sleep(stage.rng.uniform(0, 0.2))
        await faults.cut_before_commit(stage)
    await load
    stage.expect("everybody is up to date", await stage.settle(30), at_most=10, unit="s")


async def lost_frames(stage: Stage) -> None:
    """Single frames from the server get lost, as TCP never does it: clients find the gap by ``prev`` and heads."""
    await stage.crowd(8, open=1, private=1)
    seconds = stage.seconds(20)
    holding = cycle(("message.posted", ""))
    load = asyncio.create_task(stage.workload(rate=30).run(seconds))
    until = stage.recorder.now() + seconds - 1
    while stage.recorder.now() < until:
        await asyncio.sleep(stage.rng.uniform(0.3, 1.0))
        # Every second one holds a message, or a short run might lose none.
        await faults.lose_frames(stage, 1, holding=next(holding))
    await load
    stage.expect("everybody is up to date", await stage.settle(30), at_most=25, unit="s")
    stage.figures["frames lost"] = stage.gateway.lost_frames


async def last_hint(stage: Stage) -> None:
    """A message is posted while Redis is frozen, and then nobody says anything: it must be found all the same."""
    people = await stage.people(4)
    await stage.make_rooms(open=1, private=0)
    for place, person in enumerate(people):
        await stage.python_client(person, url=stage.site.processes[place % 2].url)
    await stage.until_live()
    stage.watch()
    assert stage.redis
    slowest: float | None = 0.0
    for _ in range(stage.scaled(4)):
        with stage.recorder.fault("Redis frozen"):
            stage.redis.pause()
            began = stage.recorder.now()
            stage.clients[0].post(stage.rooms[0])
            everywhere = await _shown_everywhere(stage, SHOWN_WITHIN_S)
            stage.redis.resume()
        if everywhere is None or slowest is None:
            slowest = None
            break
        slowest = max(slowest, everywhere - began)
        await asyncio.sleep(stage.rng.uniform(0, 1))
    stage.expect("the last message is shown by all processes", slowest, at_most=SHOWN_WITHIN_S, unit="s")
    await stage.settle(2)


async def _shown_everywhere(stage: Stage, within_s: float) -> float | None:
    """Return when the message just posted is shown by all clients; None: not in time."""
    began = stage.recorder.now()
    wanted = 1 + max(each.player.shown.get(stage.rooms[0], 0) for each in stage.clients)
    while stage.recorder.now() - began < within_s:
        if all(each.player.shown.get(stage.rooms[0], 0) >= wanted for each in stage.clients):
            return stage.recorder.now()
        await asyncio.sleep(0.02)
    return None


async def two_writers(stage: Stage) -> None:
    """Two processes write to the same rooms as fast as they can."""
    await stage.crowd(8, open=1, private=0)
    await stage.workload(rate=120, mix=POSTS_ONLY).run(stage.seconds(15))
    stage.expect("everybody is up to date", await stage.settle(30), at_most=5, unit="s")
    locked = stage.site.log().count("database is locked")
    stage.expect("times that a locked database was noticed", locked, at_most=0)


SCENARIOS = [
    Scenario("cuts", "client connections break all the time, and every message goes again and again", cuts,
             bounds={"revoke_s": 5.0}),
    Scenario("rollbacks", "the database connection breaks just before COMMIT, again and again", rollbacks,
             databases=("postgresql",), bounds={"revoke_s": 5.0}),
    Scenario("lost-frames", "single frames from server to client get lost", lost_frames, bounds={"revoke_s": 5.0}),
    Scenario("last-hint", "the last message before silence has no hint, since Redis is frozen", last_hint),
    Scenario("two-writers", "T12 in small: two processes write to one room as fast as they can", two_writers,
             bounds={"show_s": 5.0}),
]  # fmt: skip
