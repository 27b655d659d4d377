"""PostgreSQL crashes, stays away, ends connections, or is read-only for a while."""

import asyncio
import uuid

import psycopg

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.site import Person, SiteProcess
from torture import faults
from torture.recorder import hash_of
from torture.stage import Scenario, Stage
from torture.workload import POSTS_ONLY


async def postgres_restarts(stage: Stage) -> None:
    await stage.crowd(8, open=1, private=1)
    restarts = stage.scaled(5)
    pause_s = 6.0
    load = asyncio.create_task(stage.workload(30).run(600))
    await asyncio.sleep(3)
    slowest: float | None = 0.0
    for _ in range(restarts):
        await faults.restart_postgres(stage)
        took = await stage.first_ack_after(stage.recorder.now(), 30)
        slowest = None if took is None or slowest is None else max(slowest, took)
        await asyncio.sleep(pause_s)
    load.cancel()  # a busy machine takes long for a restart, and nobody must have stopped talking by then
    await asyncio.gather(load, return_exceptions=True)
    stage.expect("first acknowledgement after PostgreSQL is ready, slowest", slowest, at_most=3, unit="s")
    stage.expect("everybody is up to date", await stage.settle(30), at_most=10, unit="s")


async def postgres_away(stage: Stage) -> None:
    """Long outages: a pool's back-off must not outlive them. Probes, unlike clients, do not become patient."""
    people = await stage.people(6)
    await stage.make_rooms(open=1, private=0)
    for place, person in enumerate(people[:4]):
        await stage.python_client(person, url=stage.site.processes[place % 2].url)
    await stage.until_live()
    stage.watch()
    for away_s in (20.0, 35.0, 70.0) if stage.options.size >= 1 else (8.0,):
        load = asyncio.create_task(stage.workload(10, POSTS_ONLY).run(away_s + 8))
        probes = asyncio.gather(
            *(_probe(stage, *each, away_s) for each in zip(stage.site.processes, people[4:], strict=True))
        )
        await asyncio.sleep(2)
        await faults.restart_postgres(stage, away_s=away_s)
        back = stage.recorder.now()
        stored = await probes
        slowest = None if None in stored else max(each for each in stored if each is not None) - back
        stage.expect(
            f"both processes store again, after {away_s:.0f} s without PostgreSQL", slowest, at_most=6, unit="s"
        )
        await load
    stage.expect("everybody is up to date", await stage.settle(60), at_most=35, unit="s")


async def _probe(stage: Stage, process: SiteProcess, person: Person, away_s: float) -> float | None:
    """Post to one process again and again; return when it stored one after the outage."""
    room, who = stage.rooms[0], {"client": f"probe {process.port}", "user": person.id}
    talk = await talk_as(process.ws_url, person)
    began, was_refused = stage.recorder.now(), False
    while stage.recorder.now() - began < away_s + 120:
        id = str(uuid.uuid4())
        body = f"probe {id}"
        stage.recorder.note("post", **who, room=room, id=id, hash=hash_of(body))
        reply = await talk.reply(await talk.send("message.post", room=room, client_id=id, body=body), wait_s=60)
        while not reply["ok"]:
            was_refused = True
            await asyncio.sleep(0.1)
            reply = await talk.reply(await talk.send("message.post", room=room, client_id=id, body=body), wait_s=60)
        found = reply["result"]
        places = {"message": found["id"], "number": found["number"], "seq": found["seq"]}
        stage.recorder.note("ok", **who, room=room, id=id, **places, duplicate=found["duplicate"])
        if was_refused:
            await talk.close()
            return stage.recorder.now()
        await asyncio.sleep(0.2)
    return None


async def connections_ended(stage: Stage) -> None:
    """Each connection is terminated, again and again: a pool hands out dead ones one after the other."""
    await stage.crowd(8, open=1, private=1)
    seconds = stage.seconds(25)
    load = asyncio.create_task(stage.workload(30).run(seconds))
    await asyncio.sleep(2)
    until = stage.recorder.now() + seconds - 6
    while stage.recorder.now() < until:
        await faults.end_database_connections(stage)
        await asyncio.sleep(stage.rng.uniform(0.1, 1.2))
    took = await stage.first_ack_after(stage.recorder.now(), 30)
    await load
    stage.expect("first acknowledgement after the last termination", took, at_most=3, unit="s")
    stage.expect("everybody is up to date", await stage.settle(40), at_most=15, unit="s")


async def database_hangs(stage: Stage) -> None:
    """The network to the database is dead for 25 s, and no connection breaks."""
    await stage.crowd(6, open=1, private=0)
    hung_s = 25.0 if stage.options.size >= 1 else 8.0
    load = asyncio.create_task(stage.workload(20).run(hung_s + 10))
    await asyncio.sleep(3)
    await faults.hold_database(stage, seconds=hung_s)
    took = await stage.first_ack_after(stage.recorder.now(), 30)
    await load
    stage.expect("first acknowledgement once the network is back", took, at_most=6, unit="s")
    stage.expect("everybody is up to date", await stage.settle(60), at_most=35, unit="s")


async def read_only(stage: Stage) -> None:
    """A fail-over lands on a standby that is read-only for 8 s: nothing may be refused for good."""
    assert stage.postgres
    await stage.crowd(6, open=1, private=0)
    load = asyncio.create_task(stage.workload(20, POSTS_ONLY).run(18))
    await asyncio.sleep(3)
    name = faults.database_name(stage)
    with stage.recorder.fault("database read-only"):
        for setting, wait_s in (("on", 8.0), ("off", 0.0)):
            change = f'ALTER DATABASE "{name}" SET default_transaction_read_only = {setting}'
            await asyncio.to_thread(stage.postgres.execute, change)
            await asyncio.to_thread(stage.postgres.end_connections, name)
            await asyncio.sleep(wait_s)
    took = await stage.first_ack_after(stage.recorder.now(), 30)
    await load
    stage.expect("first acknowledgement once it can be written", took, at_most=6, unit="s")
    stage.expect("messages refused for good", stage.count("fail"), at_most=0)
    stage.expect("everybody is up to date", await stage.settle(40), at_most=20, unit="s")


async def refused(stage: Stage) -> None:
    """A post waits in one process behind a lock; its sender goes on at another process, where it is refused for good:
    it must not be stored later."""
    assert stage.postgres
    sender, _ = await stage.people(2)
    await stage.make_rooms(open=2, private=0)
    room, locked = stage.rooms
    url = stage.postgres.url(faults.database_name(stage))
    there = await talk_as(stage.site.processes[1].ws_url, sender)
    who, refusals = {"client": "sender", "user": sender.id}, 0
    for _ in range(stage.scaled(3, least=1)):
        id, body = str(uuid.uuid4()), f"refused {uuid.uuid4()}"
        here = await talk_as(stage.site.processes[0].ws_url, sender)
        with stage.recorder.fault("a room is locked"):
            lock = await asyncio.to_thread(psycopg.connect, url)
            await asyncio.to_thread(lock.execute, f"SELECT 1 FROM chat_room WHERE id = {int(locked)} FOR UPDATE")
            # What one person changes takes effect in order: the second waits behind the first.
            await _post(here, locked, str(uuid.uuid4()), f"blocks {id}")
            stage.recorder.note("post", **who, room=room, id=id, hash=hash_of(body))
            await _post(here, room, id, body)
            await here.call("ping")
            await here.close()
            await there.call("room.leave", room=room)
            second = await there.reply(await _post(there, room, id, body))
            await there.call("room.join", room=room)
            if not second["ok"] and not second["error"]["retry"]:
                refusals += 1
                stage.recorder.note("out", user=sender.id, room=room, may_read=True)
                stage.recorder.note("fail", **who, room=room, id=id, code=second["error"]["code"])
            await asyncio.sleep(stage.rng.uniform(1, 6))
            await asyncio.to_thread(lock.close)
    stage.figures["refused for good while they waited elsewhere"] = refusals
    stage.expect("refusals, the premise", refusals, at_least=1)
    await there.close()


async def _post(talk: Talk, room: str, id: str, body: str) -> int:
    return await talk.send("message.post", room=room, client_id=id, body=body)


SCENARIOS = [
    Scenario("postgres-restarts", "T6: PostgreSQL crashes and comes back, five times", postgres_restarts,
             databases=("postgresql",), bounds={"revoke_s": 5.0}),
    Scenario("postgres-away", "PostgreSQL is away for 20, 35 and 70 s", postgres_away,
             databases=("postgresql",)),
    Scenario("connections-ended", "all database connections are terminated, again and again", connections_ended,
             databases=("postgresql",), bounds={"revoke_s": 5.0}),
    Scenario("database-hangs", "nothing passes to the database for 25 s, and no connection breaks", database_hangs,
             databases=("postgresql",)),
    Scenario("refused", "a post that one process has refused for good waits in another one, behind a lock", refused,
             databases=("postgresql",)),
    Scenario("read-only", "a fail-over lands on a standby that is read-only for 8 s", read_only,
             databases=("postgresql",)),
]  # fmt: skip
