"""A server process is frozen (SIGSTOP): its sockets stay open and it may hold a lock of the database."""

import asyncio
import random
import time
from itertools import pairwise

from torture.python_client import PythonClient
from torture.stage import Scenario, Stage
from torture.workload import POSTS_ONLY

RESUME_WITHIN_S = 6.0
HUNT_S = 8.0
IN_TRANSACTION = """
    SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) JOIN pg_class r ON r.oid = l.relation
    WHERE a.state = 'idle in transaction' AND r.relname = 'chat_room' AND l.mode = 'RowShareLock'
"""


async def frozen(stage: Stage) -> None:
    """Acknowledgements in the other process go on within 6 s, and those of the frozen one once its clients move."""
    people = await stage.people(stage.scaled(8))
    await stage.make_rooms(open=2, private=0)
    victim, other = stage.site.processes
    moving = people[: len(people) // 2]
    for person in people:
        # Those of the frozen process may go to the other one; the others keep to theirs.
        await stage.python_client(person, url=stage.url if person in moving else other.url)
    await stage.until_live()
    stage.watch()
    frozen_s = 40.0 if stage.options.size >= 1 else 12.0
    rounds = stage.scaled(3, least=1)
    staying = {person.name for person in people[len(people) // 2 :]}
    longest, in_transaction = 0.0, 0
    for _ in range(rounds):
        load = asyncio.create_task(stage.workload(40, POSTS_ONLY).run(frozen_s + HUNT_S + 8))
        await asyncio.sleep(3)
        with stage.recorder.fault("server frozen"):
            in_transaction += await asyncio.to_thread(_freeze, stage, stage.rng)
            began = stage.recorder.now()
            try:
                await asyncio.sleep(frozen_s)
            finally:
                ended = stage.recorder.now()
                victim.resume()
        longest = max(longest, _longest_pause(stage, staying, began, ended))
        await load
    stage.figures["times that it was frozen while it held a room's lock"] = in_transaction
    stage.expect("longest time without an acknowledgement elsewhere", longest, at_most=RESUME_WITHIN_S, unit="s")
    stage.expect("everybody is up to date", await stage.settle(60), at_most=40, unit="s")


def _freeze(stage: Stage, rng: random.Random) -> bool:
    """Freeze the first process; return whether it holds a room's lock.

    On PostgreSQL, try to freeze it while it does. SQLite's lock for writing is one for all rooms, and nobody can take
    it from a frozen process (docs/operations.md), so there it is frozen while it has none.
    """
    victim = stage.site.processes[0]
    until = time.monotonic() + HUNT_S
    while time.monotonic() < until:
        time.sleep(rng.uniform(0.001, 0.03))
        victim.pause()
        time.sleep(0.03)
        if stage.postgres and stage.database.rows(IN_TRANSACTION)[0][0]:
            return True
        if not stage.postgres and not stage.database.is_locked():
            return False
        victim.resume()
    victim.pause()
    return False


def _longest_pause(stage: Stage, clients: set[str], since: float, until: float) -> float:
    times: list[float] = [
        each["t"]
        for each in stage.recorder.events
        if each["e"] == "ok" and each["client"] in clients and since <= each["t"] <= until
    ]
    marks = [since, *times, until]
    return max(after - before for before, after in pairwise(marks))


async def zombie(stage: Stage) -> None:
    """A post waits in a frozen process while its sender repeats it elsewhere: it is stored once."""
    people = await stage.people(3)
    await stage.make_rooms(open=1, private=0)
    for person in people:
        await stage.python_client(person)
    await stage.until_live()
    stage.watch()
    for turn in range(stage.scaled(3)):
        victim = stage.site.processes[turn % 2]
        with stage.recorder.fault("server frozen"):
            victim.pause()
            for client in stage.clients:
                client.post(stage.rooms[0])
            await asyncio.sleep(0.5)
            stage.gateway.avoided.add(victim.port)
            stage.gateway.cut([link for link in stage.gateway.links if link.port == victim.port])
            await _all_acknowledged(stage, 40)
            victim.resume()
            stage.gateway.avoided.clear()
        await asyncio.sleep(3)
    stage.expect("everybody is up to date", await stage.settle(60), at_most=30, unit="s")


async def _all_acknowledged(stage: Stage, within_s: float) -> None:
    began = stage.recorder.now()
    while stage.recorder.now() - began < within_s:
        if not any([isinstance(each, PythonClient) and await each.waiting() for each in stage.clients]):
            return
        await asyncio.sleep(0.1)


SCENARIOS = [
    Scenario("frozen", "a server is frozen for 40 s, on PostgreSQL while it holds a room's lock if possible", frozen),
    Scenario("zombie", "what a frozen server still holds is repeated elsewhere before it wakes up", zombie),
]
